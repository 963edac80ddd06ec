"""Values of a component's YAML: templates are rendered, and the environment stays referred to.

Dagster renders `{{ env.NAME }}` when definitions load: a secret would then be part of them. In the
config of a source or a destination such a template becomes a reference, which is resolved when a
connection is opened.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster.components.resolved.errors import ResolutionException

from etl_assets.exceptions import ConfigError, EtlAssetsError
from etl_assets.redaction import MASK, redact, remember
from etl_assets.redaction.names import says_secret

_TEMPLATE = re.compile(r"\{[{%#]")
_ENTRY = re.compile(
    r"""(?P<key>(?P<name>[\w-]+)["']?[ ]*:[ ]+)"""
    r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s,}][^,}\n]*)"""
)
"""A name and its value on one line of YAML."""
_MARK = re.compile("\0([0-9]+)\0")
_SCOPE = "env"


@dataclass(frozen=True)
class Variable:
    """An environment variable, read when its value is needed.

    Args:
        env_var_name: Its name.
        default: What it stands for where it is not set; None for nothing.
    """

    env_var_name: str
    default: str | None = None

    def get_value(self) -> str | None:
        """Return its value."""
        return os.environ.get(self.env_var_name, self.default)


@dataclass(frozen=True)
class EnvironmentText:
    """A text that names environment variables, put together when its value is needed.

    Args:
        parts: Of the text, in order.
    """

    parts: tuple[str | Variable, ...]

    @property
    def env_var_name(self) -> str:
        """The variables that are not set, or all of them: what an error tells of."""
        names = [part.env_var_name for part in self._variables()]
        missing = [part.env_var_name for part in self._variables() if part.get_value() is None]
        return ", ".join(missing or names)

    def get_value(self) -> str | None:
        """Return the text, or None where a variable is not set."""
        values = [part.get_value() for part in self._variables()]
        if None in values:
            return None
        for value in values:
            remember(value)
        return "".join(
            str(part.get_value()) if isinstance(part, Variable) else part for part in self.parts
        )

    def _variables(self) -> Iterator[Variable]:
        return (part for part in self.parts if isinstance(part, Variable))


def rendered(context: dg.ResolutionContext, value: Any) -> Any:
    """Return a value with all its templates rendered.

    A text without a template stays the text it is: Dagster would make a number of `"1.10"`.

    Raises:
        ConfigError: A template inserts a variable of the environment that is not set.
    """
    return _walked(context, value, _rendered)


def _rendered(context: dg.ResolutionContext, text: str) -> Any:
    _, inserted = _environment_in(text)
    for node in inserted:
        # Dagster would insert `None`, or leave the option out. With a default, it is a call.
        name = getattr(node, "attr", None)
        if name is not None and name not in os.environ:
            raise ConfigError(
                f"{text!r}: the environment variable {name} is not set.",
                hint=f"Set it, or give a default: \"{{{{ env('{name}', 'default') }}}}\".",
            )
    return context.resolve_value(text)


def with_references(context: dg.ResolutionContext, value: Any) -> Any:
    """Return a value with its templates rendered, but for those that name the environment.

    A value that is nothing but `{{ env.NAME }}` becomes a `dagster.EnvVar`, a text around it a
    reference that is put together later.

    Raises:
        ConfigError: A template does more with a variable than to insert it.
    """
    return _walked(context, value, _with_references)


@contextmanager
def located(context: dg.ResolutionContext) -> Iterator[None]:
    """Have an error of ours name the line of the YAML file that it is about.

    Raises:
        ResolutionException: In place of the error.
    """
    try:
        yield
    except EtlAssetsError as error:
        told = redact(str(error))
        tree = context.source_position_tree
        if tree is None:
            raise ResolutionException(told) from None
        place = tree.source_error(
            yaml_path=context.path, inline_error_message=redact(error.message), value_error=True
        )
        where = f"{place.file_name}:{place.start_line_no} - {place.location}"
        raise ResolutionException(f"{where}\n{without_secrets(place.snippet)}\n{told}") from None


def without_secrets(yaml: str) -> str:
    """Return lines of a YAML file without the values whose names say that they are secret."""

    def masked(match: re.Match[str]) -> str:
        is_template = _TEMPLATE.search(match["value"])
        return match[0] if is_template or not says_secret(match["name"]) else match["key"] + MASK

    return redact(_ENTRY.sub(masked, yaml))


def _walked(
    context: dg.ResolutionContext, value: Any, render: Callable[[dg.ResolutionContext, str], Any]
) -> Any:
    if isinstance(value, Mapping):
        return {key: _walked(context.at_path(key), item, render) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(context.at_path(index), item, render) for index, item in enumerate(value)]
    is_template = isinstance(value, str) and _TEMPLATE.search(value)
    return render(context, value) if is_template else value


@dataclass
class _Marks:
    """Stands for the environment while a text is rendered: each variable leaves a mark."""

    variables: list[Variable] = field(default_factory=list)

    def __getattr__(self, name: str) -> str:
        if name.startswith("jinja"):
            raise AttributeError(name)  # Jinja looks for marks of its own
        return self(name)

    def __call__(self, key: str, default: str | None = None) -> str:
        self.variables.append(Variable(key, default))
        return f"\0{len(self.variables) - 1}\0"


def _with_references(context: dg.ResolutionContext, text: str) -> Any:
    if not _inserts_environment(text):
        return context.resolve_value(text)
    marks = _Marks()
    found: str = context.with_scope(**{_SCOPE: marks}).resolve_value(text, as_type=str)
    # Texts and marks take turns.
    pieces = _MARK.split(found)
    parts = [
        marks.variables[int(piece)] if index % 2 else piece for index, piece in enumerate(pieces)
    ]
    told = tuple(part for part in parts if part != "")
    if len(told) == 1 and isinstance(told[0], Variable) and told[0].default is None:
        return dg.EnvVar(told[0].env_var_name)
    return EnvironmentText(told)


def _inserts_environment(text: str) -> bool:
    """Return whether a template inserts variables of the environment.

    Raises:
        ConfigError: It does something else with one, for which its value would have to be known.
    """
    used, inserted = _environment_in(text)
    if len(inserted) != used:
        raise ConfigError(
            f"{text!r} needs the value of an environment variable when definitions load.",
            hint='A variable can only be inserted, as in "{{ env.NAME }}", '
            "\"{{ env('NAME', 'default') }}\" or \"https://{{ env.HOST }}/api\".",
        )
    return bool(used)


def _environment_in(text: str) -> tuple[int, list[Any]]:
    """Return how often a template names the environment, and the nodes that insert a variable."""
    from jinja2 import TemplateSyntaxError, nodes
    from jinja2.nativetypes import NativeEnvironment

    try:
        tree = NativeEnvironment().parse(text)
    except TemplateSyntaxError:
        return 0, []  # whoever renders it says what is wrong
    used = [node for node in tree.find_all(nodes.Name) if node.name == _SCOPE]
    printed = [
        node for output in tree.body if isinstance(output, nodes.Output) for node in output.nodes
    ]
    return len(used), [node for node in printed if _is_variable(node)]


def _is_variable(node: Any) -> bool:
    """Return whether a node of a template is `env.NAME`, `env('NAME')` or `env('NAME', 'text')`."""
    from jinja2 import nodes

    if not isinstance(node, nodes.Getattr | nodes.Call):
        return False
    is_environment = isinstance(node.node, nodes.Name) and node.node.name == _SCOPE
    if not is_environment or isinstance(node, nodes.Getattr):
        return is_environment
    arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
    return all(isinstance(one, nodes.Const) for one in arguments)

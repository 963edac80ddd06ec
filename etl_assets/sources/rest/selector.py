"""JMESPath expressions: which part of an answer is meant, and whether it was there at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from etl_assets.exceptions import ConfigError
from etl_assets.packages import require

MISSING: Any = object()
"""What is not there. `null` is None."""

Node = Mapping[str, Any]
_PROJECTIONS = {"projection", "filter_projection", "value_projection", "flatten"}


@dataclass(frozen=True)
class Selected:
    """What a selector has found of records.

    Args:
        value: A list, an object, None for `null`, or `MISSING`.
        count: How many records the page has; more than are in the list where the expression filters
            them.
        lost: How many records the expression has left out because they lack what it asks for.
    """

    value: Any
    count: int
    lost: int = 0


class Selector:
    """A JMESPath expression.

    A path of names (`meta.next`), also with `[]` behind it, is followed here, so that `null` and
    what is missing can be told apart. Everything else is JMESPath's.

    Args:
        text: The expression.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Selector({self.text!r})"

    @cached_property
    def _node(self) -> Node:
        jmespath = require("jmespath", "RestSource")
        try:
            parsed: Node = jmespath.compile(self.text).parsed
        except jmespath.exceptions.JMESPathError as error:
            raise ConfigError(
                f"{self.text!r} is no JMESPath expression: {error}",
                hint='For example "data", "result.items[]" or "data[].{id: id, name: label}".',
            ) from error
        return parsed

    @cached_property
    def _evaluate(self) -> Callable[[Node, Any], Any]:
        visitor = require("jmespath.visitor", "RestSource")
        found: Callable[[Node, Any], Any] = visitor.TreeInterpreter().visit
        return found

    def check(self) -> None:
        """Refuse what is no expression.

        Raises:
            ConfigError: It is none.
        """
        assert self._node  # noqa: S101 - parsed by the look at it

    def value(self, document: Any) -> Any:
        """Return what the expression selects, or `MISSING`."""
        path = _path(self._node)
        if path is not None:
            return _walked(document, path)
        found = self._evaluate(self._node, document)
        return MISSING if found is None else found

    @property
    def is_path(self) -> bool:
        """Whether it is a path of names, so that `null` and what is missing can be told apart."""
        return _path(self._node) is not None

    def records(self, document: Any) -> Selected:
        """Return the records that the expression selects."""
        node = self._node
        path = _path(node)
        if path is not None:
            return _counted(_walked(document, path))
        if node["type"] == "projection" and node["children"][1]["type"] == "identity":
            base = node["children"][0]
            is_flat = base["type"] == "flatten"
            path = _path(base["children"][0] if is_flat else base)
            if path is not None:
                return _projected(_walked(document, path), is_flat=is_flat)
        value = self._evaluate(node, document)
        base_list = self._base(node, document)
        if value is None:
            return Selected(MISSING, 0)
        found = len(value) if isinstance(value, list) else 1
        if not isinstance(base_list, list):
            return Selected(value, found)
        return Selected(value, len(base_list), _lost(node, base_list, found))

    def _base(self, node: Node, document: Any) -> Any:
        """Return the outermost list that the expression goes through."""
        inner, deepest = node, None
        while inner["children"] and inner["type"] in {*_PROJECTIONS, "pipe", "subexpression"}:
            if inner["type"] in _PROJECTIONS:
                deepest = inner["children"][0]
            inner = inner["children"][0]
        return None if deepest is None else self._evaluate(deepest, document)


def _path(node: Node) -> tuple[str, ...] | None:
    """Return the names of a plain path; None for any other expression."""
    if node["type"] == "current":
        return ()
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return None
    names: list[str] = []
    for child in node["children"]:
        inner = _path(child)
        if inner is None:
            return None
        names += inner
    return tuple(names)


def _walked(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(document, Mapping) or name not in document:
            return MISSING
        document = document[name]
    return document


def _counted(value: Any) -> Selected:
    if value is MISSING or value is None:
        return Selected(value, 0)
    return Selected(value, len(value) if isinstance(value, list) else 1)


def _projected(value: Any, *, is_flat: bool) -> Selected:
    """Return the elements of a list, those of lists in it instead of these where it is flattened.

    JMESPath itself would leave out `null` elements without a word.
    """
    if not isinstance(value, list) or not is_flat:
        return _counted(value)
    flat: list[Any] = []
    for one in value:
        flat += one if isinstance(one, list) else [one]
    return Selected(flat, len(value))


def _lost(node: Node, base: list[Any], found: int) -> int:
    """Count the elements of a list that a projection has left out, as what it asks for is null."""
    first = node["children"][0]["type"] if node["children"] else ""
    is_plain = node["type"] == "projection" and first not in _PROJECTIONS - {"flatten"}
    holds_lists = any(isinstance(one, list) for one in base)
    if not is_plain or holds_lists or node["children"][1]["type"] in _PROJECTIONS:
        return 0
    if first == "flatten" and node["children"][0]["children"][0]["type"] in _PROJECTIONS:
        return 0
    return max(0, len(base) - found)

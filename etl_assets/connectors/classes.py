"""Sources and destinations that are classes, by the name under which a package has registered them."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from etl_assets.exceptions import ConfigError, InputError, did_you_mean
from etl_assets.registry import Kind, registered

_WAYS_TO_RUN = (
    *("version", "use_python", "pip_url", "local_executable", "docker_image", "use_host_network", "source_manifest"),
    *("install_root", "no_executor", "protocol", "working_directory", "env", "arguments", "allow_custom_code"),
)
"""Arguments that say how a program is run: with one of them, a name means a program."""


def registered_class(kind: Kind, name: str, given: Mapping[str, Any]) -> type | None:
    """Return the class that is registered under a name; None where the name, or what else is given, means a program.

    Args:
        kind: What is asked for.
        name: Its name.
        given: All arguments of `get_source` or `get_destination`.

    Raises:
        ConfigError: Its package cannot be imported, or the name is one of the other kind.
    """
    if any(given.get(way) for way in _WAYS_TO_RUN):
        return None
    found = registered(kind).get(name)
    if found is not None:
        return found.load()
    other: Kind = "destination" if kind == "source" else "source"
    if name in registered(other):
        raise ConfigError(f"{name!r} is a {other}.", hint=f"Use get_{other}().")
    return None


def near(name: str) -> str:
    """Return a sentence with the registered names that are nearest, and a space; "" where none is near."""
    known = {*registered("source"), *registered("destination")}
    return f"{did_you_mean(name, known)} " if get_close_matches(name, known, cutoff=0.6) else ""


def made(
    class_: type,
    make: Callable[..., Any],
    config: Mapping[str, Any] | None,
    named: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Any:
    """Return an instance of a registered class.

    Args:
        class_: The class.
        make: The function that was called.
        config: Given as `config`; to a class whose options are a model (`Options`), each entry as an option.
        named: Arguments that the function names itself; each is passed on where it was given.
        options: What only the class takes.

    Raises:
        InputError: The class takes no such argument, or lacks one.
    """
    has_options = getattr(class_, "Options", None) is not None
    configured = dict(config or {}) if has_options else {"config": config}
    arguments = {**named, **configured, **options}
    arguments = {word: value for word, value in arguments.items() if value is not None}
    try:
        return class_(**arguments)
    except TypeError as error:
        raise InputError(f"{make.__name__}: {class_.__name__} cannot be made: {error}.") from error

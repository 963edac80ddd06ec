"""The arguments of `get_source` and `get_destination`: an error about one says what to pass."""

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from etl_assets.arguments import FLAG, PLACE, TEXT, refuse_unknown_options, words_of
from etl_assets.connectors.process import Limits
from etl_assets.exceptions import ArgumentTypeError, InputError
from etl_assets.registry import registered

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")

_DOCUMENT = (Mapping, "an object (a dict), such as json.load() gives")
_TYPES: dict[str, tuple[Any, str]] = {
    "name": (str, "the connector's name, a text such as 'source-faker'"),
    "config": _DOCUMENT,
    "streams": (Collection, "a name, '*', or a list of names"),
    "version": TEXT,
    "use_python": (
        (bool, str, Path),
        'True, False, a path, or a version as a text, such as "3.11"',
    ),
    "pip_url": TEXT,
    "local_executable": (
        (str, Path, bool),
        "a path or a name on PATH, or True for the connector's own name",
    ),
    "docker_image": ((bool, str), "the name of an image, or True for the connector's own"),
    "use_host_network": FLAG,
    "source_manifest": ((bool, Mapping, str, Path), "a document, a path or a URL"),
    "install_if_missing": FLAG,
    "install_root": PLACE,
    "no_executor": FLAG,
    "source_name": TEXT,
    "destination_name": TEXT,
    "working_directory": PLACE,
    "env": _DOCUMENT,
    "config_change_callback": (Callable, "a function of the new config"),
    "limits": (Limits, "a Limits"),
    "catalog": (object, ""),
    "types": (Mapping, "an object of streams, each with its fields and their types"),
    "cursor_keys": (Mapping, "an object of streams and their cursor fields"),
}
_PROTOCOLS = ("airbyte", "singer")


def explained(make: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    """Have a function raise an `InputError` for unknown arguments and for wrong types.

    Args:
        make: Returns a source or a destination by the connector's name. It has to pass the options
            that it does not name itself to `refuse_unknown`.
    """
    signature = inspect.signature(make)

    @wraps(make)
    def checked(*args: _Given.args, **given: _Given.kwargs) -> _Made:
        try:
            bound = signature.bind(*args, **given)
        except TypeError as error:
            raise ArgumentTypeError(
                f"{make.__name__}: {error}.", hint=_hint(make.__name__, args, given)
            ) from None
        is_class = bound.arguments.get("name") in registered("source")
        for name, value in {**bound.arguments, **bound.arguments.get("options", {})}.items():
            if not (is_class and name == "streams"):  # which may take more than names
                _check(make.__name__, name, value)
        return make(*args, **given)

    return checked


def refuse_unknown(make: Callable[..., Any], kind: type, options: Mapping[str, Any]) -> None:
    """Refuse options that a class does not have.

    If they were passed on, they would have no effect.

    Args:
        make: The function that was called. The error also names its arguments.
        kind: The class that the options are for.
        options: The options that were given.

    Raises:
        InputError: One is unknown.
    """
    refuse_unknown_options(make.__name__, kind, options, words_of(make), {"executor"})


def _hint(called: str, args: tuple[Any, ...], given: Mapping[str, Any]) -> str:
    own = "source_name" if called == "get_source" else "destination_name"
    if args and "name" in given:
        return (
            f"The first argument is the connector's name; {own}= is the name that tells it from "
            "others."
        )
    if not args and "name" not in given:
        return f'Give the connector\'s name first, as in {called}("source-faker", config={{...}}).'
    return "Give what comes behind the name and the config by its word, as in streams=[...]."


def _check(called: str, name: str, value: Any) -> None:
    if name == "protocol" and value is not None and value not in _PROTOCOLS:
        raise InputError(f"{called}: protocol is {value!r}.", hint="Use 'airbyte' or 'singer'.")
    wanted, words = _TYPES.get(name, (object, ""))
    is_left_out = value is None and name != "name"
    if not is_left_out and not isinstance(value, wanted):
        # The error never shows the value itself: it may be a config with its secrets.
        raise ArgumentTypeError(
            f"{called}: {name} must be {words}, not of the type {type(value).__name__}."
        )
    is_list_of_streams = name == "streams" and not isinstance(value, str)
    if is_list_of_streams and not all(isinstance(one, str) for one in value or ()):
        raise ArgumentTypeError(f"{called}: streams is {words}.", hint="Each name is a text.")

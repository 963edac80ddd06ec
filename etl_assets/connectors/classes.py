"""Sources and destinations that are classes, by the names that packages register."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from etl_assets.exceptions import ConfigError, InputError, did_you_mean
from etl_assets.registry import Kind, registered

_WAYS_TO_RUN = (
    *("version", "use_python", "pip_url", "local_executable", "docker_image"),
    *("use_host_network", "source_manifest", "install_root", "no_executor", "protocol"),
    *("working_directory", "env", "arguments", "allow_custom_code"),
)
"""Arguments that say how a program is run: if one of them is given, the name means a program."""


def of_registered_class(kind: Kind, given: Mapping[str, Any]) -> Any:
    """Return an instance of the class that is registered under a name.

    Return None if the name means a program.

    Args:
        kind: What is asked for.
        given: All arguments of `get_source` or `get_destination`. If one of them says how a program
            is run, the name means a program.

    Raises:
        ConfigError: The class's package cannot be imported, or the name is one of the other kind.
        InputError: The class takes no such argument, or lacks one.
    """
    name = given["name"]
    if any(given.get(way) for way in _WAYS_TO_RUN):
        return None
    found = registered(kind).get(name)
    if found is not None:
        own_name = given.get("destination_name")
        if kind == "source":
            own_name = given["source_name"] or name
        passed_on = {word: given.get(word) for word in ("streams", "config_change_callback")}
        return _made(
            found.load(), given["config"], {"name": own_name, **passed_on, **given["options"]}
        )
    other: Kind = "destination" if kind == "source" else "source"
    if name in registered(other):
        raise ConfigError(f"{name!r} is a {other}.", hint=f"Use get_{other}().")
    return None


def _made(class_: type, config: Mapping[str, Any] | None, arguments: Mapping[str, Any]) -> Any:
    """Return an instance.

    A class whose options are a model (`Options`) gets each entry of the config as an option.
    """
    has_options = getattr(class_, "Options", None) is not None
    configured = dict(config or {}) if has_options else {"config": config}
    given = {
        word: value for word, value in {**configured, **arguments}.items() if value is not None
    }
    try:
        return class_(**given)
    except TypeError as error:
        raise InputError(f"{class_.__name__} cannot be made: {error}.") from error


def near(name: str) -> str:
    """Return a sentence with the nearest registered names and a space, or "" if none is near."""
    known = {*registered("source"), *registered("destination")}
    if not get_close_matches(name, known, cutoff=0.6):
        return ""
    return f"{did_you_mean(name, known)} "

"""The command line of a source as a program: Mage's flags, or one of Airbyte's commands."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from etl_assets.protocol.singer.documents import (
    as_object,
    catalog_of_settings,
    merged_config,
    parse_document,
    read_document,
    warn_of_unknown,
)

AIRBYTE_COMMANDS = ("spec", "check", "discover", "read")
_FLAGS = (
    ("count_records", ["--count_records"], "print how many records each stream has"),
    ("discover_mode", ["-d", "--discover"], "print the catalog"),
    ("discover_streams_mode", ["--discover_streams"], "print the streams' names"),
    ("show_templates", ["--show_templates"], "print the templates of the config"),
    ("test_connection", ["--test_connection"], "say nothing if the source can be reached"),
    ("load_sample_data", ["--load_sample_data"], "print some records of each stream"),
)
_DOCUMENTS = (
    ("config", ["-c", "--config"], "JSON file: the config"),
    ("catalog", ["--catalog"], "JSON file: the catalog"),
    ("state", ["-s", "--state"], "JSON file: the state"),
    ("properties", ["-p", "--properties"], "JSON file: the catalog, by its old name"),
    ("query", ["--query"], "JSON: what to ask for"),
    ("settings", ["--settings"], "JSON or YAML file with `config` and `catalog`"),
)


_said: ContextVar[Mapping[str, Any]] = ContextVar(
    "etl_assets_command_line", default=MappingProxyType({})
)


@contextmanager
def said_by(arguments: Mapping[str, Any]) -> Iterator[None]:
    """Have sources that are made here take these arguments, read from the command line."""
    token = _said.set(arguments)
    try:
        yield
    finally:
        _said.reset(token)


def said_on_the_command_line() -> Mapping[str, Any]:
    """Return the arguments that `main` has read; none in a process that is not its own."""
    return _said.get()


def is_called_by_the_program() -> bool:
    """Return whether the script that Python was started with has called `process`, without `main`.

    Such a script may do nothing else than `MySource().process()`, for Mage's sources read
    `sys.argv` themselves. In a host such as Dagster, pytest or a notebook the command line is
    somebody else's.
    """
    if _said.get():
        return False
    # The frames between the script and here: `Source.process`, and the function that it calls.
    frame = sys._getframe(3)  # noqa: SLF001 - the one way to know who calls
    return frame.f_globals.get("__name__") == "__main__" and "__file__" in frame.f_globals


def parse_arguments(argv: Sequence[str]) -> dict[str, Any]:
    """Return the constructor's arguments that a command line stands for.

    Unknown flags are ignored with a warning.
    """
    parser = argparse.ArgumentParser(description="Run a source as a Singer tap.")
    for name, flags, text in _FLAGS:
        parser.add_argument(*flags, dest=name, action="store_true", help=text)
    for name, flags, text in _DOCUMENTS:
        parser.add_argument(*flags, dest=name, help=text)
    for name in ("config", "catalog", "state", "query", "selected_streams"):
        parser.add_argument(f"--{name}_json", help=f"JSON: the {name.replace('_', ' ')}")
    parser.add_argument(
        "--log_to_stdout", help="kept for Mage's sake: standard output is the protocol's alone"
    )
    known, unknown = parser.parse_known_args(argv)
    warn_of_unknown(unknown)
    given = vars(known)
    arguments: dict[str, Any] = {name: True for name, _, _ in _FLAGS if given[name]}
    if given["discover_streams_mode"]:
        arguments["discover_mode"] = True
    arguments.update(_documents(given))
    return arguments


def _documents(given: Mapping[str, Any]) -> dict[str, Any]:
    settings = as_object(read_document(given["settings"]), "The settings")
    config = merged_config(settings, read_document(given["config"]), _text(given, "config"))
    catalog = (
        _text(given, "catalog")
        or read_document(given["catalog"])
        or read_document(given["properties"])
        or catalog_of_settings(settings)
    )
    query = _text(given, "query") or parse_document(given["query"], "--query")
    state = _text(given, "state") or read_document(given["state"])
    selected = _text(given, "selected_streams")
    found = {
        "config": config,
        "catalog": catalog,
        "query": query,
        "state": state,
        "selected_streams": selected,
    }
    return {name: value for name, value in found.items() if value}


def _text(given: Mapping[str, Any], name: str) -> Any:
    return parse_document(given[f"{name}_json"], f"--{name}_json")

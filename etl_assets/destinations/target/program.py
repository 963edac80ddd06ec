"""The command line of a destination that is run as a program."""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel

from etl_assets.destinations.target.arguments import OPTION_NAMES, arguments_of, parsed
from etl_assets.destinations.target.hooks import DestinationHooks
from etl_assets.redaction.errors import tell_failure


class DestinationClass(Protocol):
    """A class of destinations; see `Destination`."""

    Options: type[BaseModel] | None

    def __call__(self, **given: Any) -> DestinationHooks:
        """Make a destination."""
        ...


def run_destination(destination_class: DestinationClass, argv: Sequence[str] | None = None) -> None:
    """Make a destination from the command line and run it as a Singer target on standard input.

    The exit code is 1 if it fails, and standard error says why.

    Args:
        destination_class: The class.
        argv: The command line; the process's own by default.
    """
    try:
        parser = argparse.ArgumentParser(description="Run a destination as a Singer target.")
        said = parsed(parser, sys.argv[1:] if argv is None else argv)
        destination = _made(destination_class, said)
        level = logging.DEBUG if said.get("debug") else logging.INFO
        logging.basicConfig(level=level, stream=sys.stderr)
        destination.process(sys.stdin.buffer)
    except Exception as error:  # whatever a hook raises: its words may hold secrets of the config
        raise SystemExit(tell_failure(error)) from error


def _made(destination_class: DestinationClass, said: Mapping[str, Any]) -> DestinationHooks:
    if destination_class.Options is None:
        return destination_class(batch_processing=True, **said)
    # One of our own takes its options instead of a config. What the pipe needs to know beside them
    # is told to it afterwards, by `target` and `config`.
    config, arguments = arguments_of(None, {"batch_processing": True, **said}, None)
    options = {name: value for name, value in config.items() if name not in OPTION_NAMES}
    destination = destination_class(**options)
    destination.target = arguments
    destination.config = {name: value for name, value in config.items() if name in OPTION_NAMES}
    return destination

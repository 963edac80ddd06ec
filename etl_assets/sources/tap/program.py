"""A source as a program: a Singer tap with Mage's flags, or one of Airbyte's commands."""

import sys
from typing import Any

from etl_assets.redaction.errors import tell_failure
from etl_assets.sources.base import Source
from etl_assets.sources.tap.arguments import AIRBYTE_COMMANDS, parse_arguments, said_by


def run_source(source_class: type[Source], **kwargs: Any) -> None:
    """Make a source from the command line and run it; the exit code is 1 if it fails.

    Args:
        source_class: The class.
        kwargs: Passed to it; what the command line says wins over them.
    """
    if sys.argv[1:2] and sys.argv[1] in AIRBYTE_COMMANDS:
        from etl_assets.sources.tap.airbyte import run_airbyte  # no tap needs Airbyte's protocol

        raise SystemExit(run_airbyte(source_class, sys.argv[1:], kwargs))
    try:
        with said_by(parse_arguments(sys.argv[1:])):
            source_class(**kwargs).process()
    except BrokenPipeError:
        raise  # nobody reads any more
    except Exception as error:  # whatever a hook raises: its words may hold secrets of the config
        raise SystemExit(tell_failure(error)) from error

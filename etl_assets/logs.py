"""Where the library logs: under `etl_assets`, by Python's own `logging`. It writes no file of its own.

```python
import logging

logging.getLogger("etl_assets").setLevel(logging.DEBUG)
```
"""

import logging

from etl_assets.redaction.logs import masked_logger

NAME = "etl_assets"

_warned: set[str] = set()


def get_global_file_logger() -> logging.Logger:
    """Give the logger of the library, by PyAirbyte's name; whether it goes to a file, the script's handlers say."""
    return masked_logger(NAME)


def warn_once(message: str, logger: logging.Logger | None = None, *, with_stack: int | bool = False) -> None:
    """Log a warning unless this process has logged the same before.

    Args:
        message: The warning.
        logger: Where to; the library's by default.
        with_stack: Say where it was called from, too.
    """
    if message in _warned:
        return
    _warned.add(message)
    masked_logger(logger or NAME).warning(message, stack_info=bool(with_stack))


AIRBYTE_STRUCTURED_LOGGING = False
"""Lines are as the script's handlers format them."""


def get_global_stats_logger() -> logging.Logger:
    """Return the logger of what is counted; nothing is written to a file."""
    return logging.getLogger(f"{NAME}.stats")


def get_global_stats_log_path() -> None:
    """Return no path: what is counted is written to no file."""


def new_passthrough_file_logger(connector_name: str) -> logging.Logger:
    """Return the logger of a connector; whether it goes to a file, the script's handlers say."""
    return logging.getLogger(f"{NAME}.connectors.{connector_name}")

"""The loggers of the library: Python's own, below `etl_assets`. It writes no log file.

```python
import logging

logging.getLogger("etl_assets").setLevel(logging.DEBUG)
```
"""

import logging
from collections.abc import Mapping
from typing import Any

import simplejson
from typing_extensions import override

from etl_assets.redaction import redact
from etl_assets.redaction.logs import masked_logger

NAME = "etl_assets"

_warned: set[str] = set()


def get_global_file_logger() -> logging.Logger:
    """Return the logger of the library, by PyAirbyte's name; a script adds its own handlers."""
    return masked_logger(NAME)


def warn_once(
    message: str, logger: logging.Logger | None = None, *, with_stack: int | bool = False
) -> None:
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


TAGS_CHARACTERS = 1_000
"""How many characters of the tags a log line shows; the record's `tags` has all of them."""

_PYTHON = ("exc_info", "extra", "stack_info", "stacklevel")
"""What Python's own loggers take beside a message."""


class Logger(logging.LoggerAdapter[logging.Logger]):
    """The logger of a source or destination, which takes Mage's `tags` at every level.

    ```python
    self.logger.info("Load data started.", tags={"stream": "users"})
    ```

    Args:
        caller: The object that logs, or a name. Without a `logger`, it logs to
            `etl_assets.<its class>`.
        log_to_stdout: Has no effect, because standard output belongs to the protocol. Mage has it.
        logger: One of Python's loggers, or another one of this class.
        verbose: 0 turns the log off.
    """

    def __init__(
        self,
        caller: Any = None,
        log_to_stdout: bool = False,  # noqa: FBT001, FBT002 - Mage's signature
        logger: Any = None,
        verbose: int = 1,
    ) -> None:
        name = caller
        if not isinstance(name, str):
            name = type(self if caller is None else caller).__name__
        given = logger.logger if isinstance(logger, Logger) else logger
        super().__init__(masked_logger(f"{NAME}.{name}" if given is None else given), {})
        self.caller = caller
        self.log_to_stdout = log_to_stdout
        self.verbose = verbose

    @override
    def log(self, level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
        if not self.verbose or not self.isEnabledFor(level):
            return
        python = {name: kwargs.pop(name) for name in _PYTHON if name in kwargs}
        tags = {
            **(kwargs.pop("tags", None) or {}),
            **kwargs,
        }  # any other word stands beside the tags, as Mage has it
        python["extra"] = {**(python.get("extra") or {}), "tags": tags}
        python["stacklevel"] = python.get("stacklevel", 1) + 1
        if tags:
            msg, args = f"{str(msg) % args if args else msg} {_shown(tags)}", ()
        self.logger.log(level, msg, *args, **python)

    def build_tags(self, **kwargs: Any) -> dict[str, Any]:
        """Return the tags that say something."""
        return {name: value for name, value in kwargs.items() if value}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "logger":  # asked too while a copy is being made
            raise AttributeError(name)
        return getattr(self.logger, name)


def _shown(tags: Mapping[str, Any]) -> str:
    text = redact(simplejson.dumps(dict(tags), default=str, ignore_nan=True))
    return text if len(text) <= TAGS_CHARACTERS else text[: TAGS_CHARACTERS - 1] + "…"

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

"""Loggers whose lines are masked before any handler sees them."""

import logging

from typing_extensions import override

from etl_assets.redaction import redact

_TRACES = logging.Formatter()


class _Masking(logging.Filter):
    @override
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (
            TypeError,
            ValueError,
            KeyError,
        ):  # of arguments that do not fit: the handler shows them
            text = f"{record.msg} {record.args}"
        shown = redact(text)
        if shown != text:
            record.msg, record.args = shown, ()
        if record.exc_info and not record.exc_text:
            trace = _TRACES.formatException(record.exc_info)
            shown = redact(trace)
            if shown != trace:
                record.exc_text, record.exc_info = shown, None
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


_masking = _Masking()


def masked_logger(logger: logging.Logger | str) -> logging.Logger:
    """Return a logger, or the one of a name, that masks what is logged with it."""
    found = logging.getLogger(logger) if isinstance(logger, str) else logger
    if _masking not in found.filters:
        found.addFilter(_masking)
    return found

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
        except (TypeError, ValueError, KeyError):
            # The arguments do not fit the message: the handler shows both.
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
    """Return a logger, given itself or by name, that masks what is logged with it."""
    if isinstance(logger, str):
        logger = logging.getLogger(logger)
    if _masking not in logger.filters:
        logger.addFilter(_masking)
    return logger

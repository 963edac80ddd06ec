"""Writing to a destination failed."""

from collections.abc import Sequence
from typing import Any, Self

from etl_assets import redaction
from etl_assets.exceptions.base import EtlAssetsError


class DestinationError(EtlAssetsError):
    """Writing failed; nothing of this load is visible."""


class SchemaConflictError(DestinationError):
    """The table cannot take this shape without losing something, or its contract forbids it.

    Args:
        message: Why, without the names.
        hint: What the reader can do.
        stream: The stream's name.
        field: The field's name at the source.
        column: The name of its column; it is shown where it is another name.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        stream: str | None = None,
        field: str | None = None,
        column: str | None = None,
    ) -> None:
        where = [] if stream is None else [f"stream {stream!r}"]
        if field is not None:
            where.append(f"field {field!r}")
            if column not in {None, field}:
                where[-1] += f' (column "{column}")'
        told = f"{', '.join(where)}: {message}" if where else message
        super().__init__(told, hint=hint, stream=stream)
        self.reason = redaction.redact(message)
        self.field = field
        self.column = column

    def named(
        self, *, stream: str | None = None, field: str | None = None, column: str | None = None
    ) -> Self:
        """Return the error with names that were not known where it was raised."""
        return type(self)(
            self.reason,
            hint=self.hint,
            stream=stream or self.stream,
            field=field or self.field,
            column=column or self.column,
        )


class UnsupportedWriteError(DestinationError):
    """The destination cannot do what this write strategy needs."""


class BusyError(DestinationError):
    """Another process holds the destination; trying again may help."""

    retryable = True


class ConcurrentSyncError(DestinationError):
    """Another run has synced this stream since this one began; this one was rolled back.

    Trying again helps: the next attempt reads from where the other run has stopped.
    """

    retryable = True


class SplitOvertakenError(ConcurrentSyncError):
    """Another run was faster than the steps of a split; what they have staged is of no use.

    A step that is tried again belongs to the same plan, so that it would fail again.
    """

    retryable = False


class CheckFailedError(DestinationError):
    """A check that is a gate has failed; the load was rolled back.

    Args:
        message: Which, and why.
        hint: What the reader can do.
        stream: The stream's name.
        results: What the checks of the load have found, as `CheckResult`.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        stream: str | None = None,
        results: Sequence[Any] = (),
    ) -> None:
        super().__init__(message, hint=hint, stream=stream)
        self.results = tuple(results)

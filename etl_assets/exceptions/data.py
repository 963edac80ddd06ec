"""The data itself: a value, a bookmark, or the stored state."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from etl_assets import redaction
from etl_assets.exceptions.base import EtlAssetsError
from etl_assets.exceptions.shown import shorten


class DataError(EtlAssetsError):
    """One value cannot be stored as it is.

    Args:
        message: Why, without the names.
        stream: The stream's name.
        field: The field's name.
        value: The value; shown shortened.
        hint: What the reader can do.
    """

    def __init__(
        self,
        message: str,
        *,
        stream: str,
        field: str | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> None:
        shown = shorten(value)
        if field is None:
            told = f"stream {stream!r}: {message}"
        else:
            told = f"stream {stream!r}, field {field!r}: {message} Value: {shown}."
        super().__init__(told, hint=hint, stream=stream)
        self.reason = message
        self.field = field
        self.value = shown
        self.columns: Mapping[str, Any] = {}
        """The columns of all fields that are wrong in the same rows, by the fields' names.

        They are kept only while more rows are looked at.
        """

    def rename(self, stream: str) -> None:
        """Have the error name another stream: it was raised where that one was not known."""
        self.message = f"stream {stream!r}{self.message.removeprefix(f'stream {self.stream!r}')}"
        self.stream = stream
        self.args = (self.message,)

    def told_with(
        self,
        others: Iterable["DataError"],
        *,
        hint: str | None,
        counts: Mapping[str | None, str] | None = None,
    ) -> Self:
        """Return this error, which now tells of other fields of the same rows as well.

        Args:
            others: One error for each of these fields.
            hint: What the reader can do about all of them; it replaces this error's hint.
            counts: By field, how many values are wrong, in words.
        """
        also = [f" Also field {other.field!r}: {other.told_as(counts or {})}" for other in others]
        first = self.message
        if counts:
            first = f"stream {self.stream!r}, field {self.field!r}: {self.told_as(counts)}"
        self.message = redaction.redact("".join([first, *also]))
        self.hint = hint
        self.args = (self.message,)
        return self

    def told_as(self, counts: Mapping[str | None, str]) -> str:
        """Return what is wrong without the names, with the count of such values if it is known."""
        return f"{self.reason} Value: {self.value}{counts.get(self.field, '')}."


class BookmarkError(EtlAssetsError):
    """A bookmark would go back, or its values cannot be compared."""


class StateError(EtlAssetsError):
    """The stored state and the table beside it disagree, or the state cannot be read."""

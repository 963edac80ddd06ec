"""The binary format of PostgreSQL's COPY, as Arrow."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_assets.exceptions import DataError, SourceError
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.slices import (
    Buffer,
    Nulls,
    Numbers,
    Positions,
    bits_where_not,
    booleans,
    nulls_of,
    numbers_of,
    with_nulls,
)
from etl_assets.sources.sql.types import hint_of_text

if TYPE_CHECKING:
    import pyarrow as pa

EPOCH_DAYS = 10_957
"""From 1970-01-01 to 2000-01-01, where PostgreSQL counts from."""
DAY = 86_400_000_000
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31 in days since 1970."""

NARROW_DIGITS = 18
"""Decimals of so many digits fit an int64, with which numpy can reckon."""
DIGITS_OF_BASE = 4
"""A numeric is sent in digits to the base 10,000."""
WHOLE_GROUPS = 5
"""So many of them stand before the point of a narrow decimal at most."""
COUNT_BYTES, LENGTH_BYTES = 2, 4
NEGATIVE = 0x4000
NO_NUMBERS = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
BEYOND = 1 << 40
"""The upper half of a decimal that stands for none until its batch is finished.

No narrow decimal has such a one.
"""

_WIRE = {"boolean": "u1", "date": ">i4", "timestamp": ">i8", "instant": ">i8", "time": ">i8"}
_WIRE_NUMBERS = {
    "int16": ">i2",
    "int32": ">i4",
    "int64": ">i8",
    "uint32": ">u4",
    "float": ">f4",
    "double": ">f8",
}


def is_narrow(column: SqlColumn) -> bool:
    """Return whether a column is a decimal that is read in its binary form."""
    import pyarrow as pa

    type_ = column.type.arrow
    if type_ is None or not pa.types.is_decimal(type_):
        return False
    return bool(type_.precision <= NARROW_DIGITS)


def as_text(column: SqlColumn) -> bool:
    """Return whether the server is to make text of a column, as there is no decoder here."""
    kind, how = column.type.kind, column.type.how
    if kind == "decimal":
        return not is_narrow(column)
    if kind == "text":
        return how != "native"  # of text and its like the binary form is the text
    return kind not in {
        "integer",
        "float",
        "boolean",
        "date",
        "timestamp",
        "instant",
        "time",
        "binary",
    }


class Field:
    """How one column is decoded.

    Args:
        column: The column.
        stream: For errors.
    """

    def __init__(self, column: SqlColumn, stream: str) -> None:
        self.column = column
        self.stream = stream
        self.is_text = as_text(column) or column.type.kind == "text"
        self._plain = self.is_text or column.type.kind == "binary"
        self._decimal = is_narrow(column) and not self._plain
        self._met_no_number = False
        self._wire: np.dtype[Any] | None = None if self._plain else self._record()

    def decode(self, buffer: Buffer, at: Positions) -> "tuple[pa.Array, Positions]":
        """Return the values of a slice of the column, and where the next column begins.

        Days and microseconds are plain numbers, and what is text is text.

        Args:
            buffer: The rows.
            at: Where the column begins in each row, with its length.
        """
        import pyarrow as pa

        if self._wire is None:
            length = buffer.records(">i4", at).astype(np.int64)
            null, length = _parted(length)
            begin = at + LENGTH_BYTES
            type_ = pa.string() if self.is_text else pa.binary()
            return buffer.texts(begin, length, null, type_), begin + length
        found = buffer.records(self._wire, at)
        null, length = _parted(found["length"])
        following = at + (LENGTH_BYTES + length)
        if self._decimal:
            return self._decimals(found, null), following
        self._check_width(found["value"].itemsize, length, null)
        value = found["value"]
        if self.column.type.kind == "boolean":
            return booleans(value != 0, null), following
        native = value.astype(value.dtype.newbyteorder("="))
        return with_nulls(native, pa.from_numpy_dtype(native.dtype), null), following

    # What stays encoded

    @property
    def has_limits(self) -> bool:
        """Whether PostgreSQL has values of the type that Arrow's has not."""
        return self._decimal or self.column.type.kind in {"date", "timestamp", "instant", "time"}

    def look(self, buffer: Buffer, at: Positions) -> tuple[bool, bool, Positions]:
        """Return whether a slice of the column can stay encoded, and where the next one begins.

        The first is whether all values would be decoded as the column's type, the second whether
        one is NULL.

        Args:
            buffer: The rows.
            at: Where the column begins in each row, with its length.
        """
        found = buffer.records(self._looked_at, at)
        width = self._width
        # Most columns have values of one width and no NULL.
        if width is not None and (found["length"] == np.array(width, ">i4")).all():
            return self._within(found["value"]), False, at + (LENGTH_BYTES + width)
        null, length = _parted(found["length"].astype(np.int64))
        following = at + (LENGTH_BYTES + length)
        there = found if null is None else found[~null]
        if self._decimal:
            fits = self._are_numbers(there)
        elif width is not None:
            fits = bool((there["length"] == width).all()) and self._within(there["value"])
        else:
            fits = True
        return fits, null is not None, following

    @property
    def _looked_at(self) -> "np.dtype[Any]":
        if self._decimal:
            return np.dtype(
                [("length", ">i4"), ("skipped", "V4"), ("sign", ">u2"), ("scale", ">u2")]
            )
        return np.dtype([("length", ">i4")]) if self._wire is None else self._wire

    @property
    def _width(self) -> int | None:
        """How many bytes each value has, where all have as many."""
        return None if self._decimal or self._wire is None else int(self._wire["value"].itemsize)

    def _are_numbers(self, found: Numbers) -> bool:
        """Return whether all decimals are numbers, with no more digits than their scale.

        The sign of a decimal may also mean NaN or an infinity.
        """
        arrow: Any = self.column.type.arrow
        signs, scales = (np.bitwise_or.reduce(found[name]) for name in ("sign", "scale"))
        # No number is larger than all bits of all of them.
        return bool(
            signs <= NEGATIVE and (scales <= arrow.scale or found["scale"].max() <= arrow.scale)
        )

    def _within(self, values: Numbers) -> bool:
        """Return whether values of a fixed width are such as Arrow's type has."""
        if not self.has_limits or not len(values):
            return True
        low, high = self._limits()
        native = values.astype(values.dtype.newbyteorder("="))
        return bool(low <= native.min() and native.max() < high)

    def _limits(self) -> tuple[int, int]:
        """Return the lowest value that Arrow's type has, and the first that it has not."""
        match self.column.type.kind:
            case "date":
                return FIRST_DAY - EPOCH_DAYS, LAST_DAY - EPOCH_DAYS + 1
            case "time":
                return 0, DAY
        return (FIRST_DAY - EPOCH_DAYS) * DAY, (LAST_DAY - EPOCH_DAYS + 1) * DAY

    def skip(self, buffer: Buffer, at: Positions) -> Positions:
        """Return what follows a column."""
        _, length = _parted(buffer.records(">i4", at).astype(np.int64))
        following: Positions = at + (LENGTH_BYTES + length)
        return following

    # What is decoded

    def _record(self) -> "np.dtype[Any]":
        """Return what is looked at in each row: the length, and the value or all its digits."""
        arrow: Any = self.column.type.arrow
        if not self._decimal:
            wire = _WIRE.get(self.column.type.kind) or _WIRE_NUMBERS[str(arrow)]
            return np.dtype([("length", ">i4"), ("value", wire)])
        digits = _groups(arrow.scale) + _groups(arrow.precision - arrow.scale)
        head = [
            ("length", ">i4"),
            ("count", ">u2"),
            ("weight", ">i2"),
            ("sign", ">u2"),
            ("scale", ">u2"),
        ]
        return np.dtype([*head, ("digits", ">u2", (digits,))])

    def _check_width(self, width: int, length: Numbers, null: Nulls) -> None:
        wrong = length != width
        if null is not None:
            wrong &= ~null
        if wrong.any():
            raise self._changed()

    def _changed(self) -> SourceError:
        return SourceError(
            f"stream {self.stream!r}: the server sends other values for {self.column.name!r} than "
            f"its type ({self.column.declared}) allows.",
            hint="The table was changed while it was read: read it again.",
            stream=self.stream,
        )

    def _decimals(self, found: Numbers, null: Nulls) -> "pa.Array":
        import pyarrow as pa

        arrow: Any = self.column.type.arrow
        rows = len(found)
        sign, count = found["sign"], found["count"].astype(np.int64)
        if null is not None:
            sign, count = np.where(null, 0, sign), np.where(null, 0, count)
        no_number = sign > NEGATIVE
        if no_number.any():
            self._met_no_number = True
            count = np.where(no_number, 0, count)
        # Digits of the base count from the point: the first before it is 0, the first behind it -1.
        last, rest = -_groups(arrow.scale), -arrow.scale % DIGITS_OF_BASE
        powers = 10 ** np.maximum(
            DIGITS_OF_BASE * np.arange(last, WHOLE_GROUPS) + arrow.scale, 0
        ).clip(max=18)
        place = found["weight"].astype(np.int64) - last
        present = count > 0
        if (
            present
            & (
                (found["scale"] > arrow.scale)
                | (place >= found["digits"].shape[1])
                | (place < count - 1)
            )
        ).any():
            raise self._changed()
        total = np.zeros(rows, np.int64)
        for i in range(int(count.max(initial=0))):
            digits = np.where(count > i, found["digits"][:, i], 0).astype(np.uint16)
            if rest:  # behind the column's scale stand zeros
                digits = np.where(place == i, digits // np.uint16(10**rest), digits)
            total += digits * powers.take(place - i, mode="clip")
        halves = np.empty((rows, 2), np.int64)
        halves[:, 0] = np.where(sign == NEGATIVE, -total, total)
        halves[:, 1] = halves[:, 0] >> 63
        if self._met_no_number:
            halves[no_number, 0], halves[no_number, 1] = sign[no_number], BEYOND
        return pa.Array.from_buffers(arrow, rows, [bits_where_not(null), pa.py_buffer(halves)])

    def _refuse_no_numbers(self, array: "pa.Array") -> None:
        bytes_of_each = array.type.byte_width
        halves = np.frombuffer(
            array.buffers()[1], np.int64, 2 * len(array), bytes_of_each * array.offset
        )
        wrong, null = halves[1::2] == BEYOND, nulls_of(array)
        if null is not None:
            wrong &= ~null
        if wrong.any():
            name = NO_NUMBERS.get(int(halves[0::2][wrong][0]), "NaN")
            raise self._error("no decimal type holds this; select it as a double in a view.", name)

    def _error(self, message: str, value: object) -> DataError:
        hint = hint_of_text("postgresql", self.column.name)
        return DataError(
            message, stream=self.stream, field=self.column.name, value=value, hint=hint
        )

    # What is done to a whole batch

    def finish(self, array: "pa.Array") -> "pa.Array":
        """Return dates and times of plain numbers, and decimals if all of them are numbers.

        Raises:
            DataError: One is no number, infinite, or of a year that is not between 1 and 9999.
        """
        import pyarrow as pa

        if self._met_no_number:
            self._refuse_no_numbers(array)

        arrow = self.column.type.arrow
        match self.column.type.kind:
            case "date":
                days = _shifted(array, EPOCH_DAYS, np.int32, self._refuse_days)
                return with_nulls(days, pa.date32(), nulls_of(array))
            case "timestamp" | "instant":
                moments = _shifted(array, EPOCH_DAYS * DAY, np.int64, self._refuse_moments)
                return with_nulls(moments, arrow, nulls_of(array))
            case "time":
                values = numbers_of(array, np.int64)
                if values.max(initial=0) < DAY:
                    return array.view(pa.time64("us"))
                # 24:00:00, which no time of day is.
                texts = [None if one is None else _clock(one) for one in array.to_pylist()]
                return pa.array(texts, pa.string())
        return array

    def _refuse_days(self, days: Numbers) -> None:
        low, high = self._limits()
        wrong = (days < low) | (days >= high)
        if wrong.any():
            first = int(days[wrong][0])
            raise self._error(_NO_YEAR, _infinite(first, 32) or _date(first + EPOCH_DAYS))

    def _refuse_moments(self, moments: Numbers) -> None:
        low, high = self._limits()
        wrong = (moments < low) | (moments >= high)
        if wrong.any():
            first = int(moments[wrong][0])
            day, rest = divmod(first, DAY)
            raise self._error(
                _NO_YEAR, _infinite(first, 64) or _date(day + EPOCH_DAYS, f" {_clock(rest)}")
            )


_NO_YEAR = "only dates of the years 1 to 9999 can be read."


def decode(
    fields: Sequence[Field], buffer: Buffer, begin: Positions, names: Collection[str] | None = None
) -> "list[pa.Array | None]":
    """Return the columns of some rows.

    Args:
        fields: The columns.
        buffer: The rows.
        begin: Where each row begins.
        names: Those to decode; the others are None, and what lies behind the last one is left out.
    """
    left = len(fields) if names is None else sum(field.column.name in names for field in fields)
    if (buffer.records(">i2", begin) != len(fields)).any():
        raise SourceError(
            "the server sent a row with another number of columns.", stream=fields[0].stream
        )
    at = begin + COUNT_BYTES
    arrays: list[pa.Array | None] = []
    for field in fields:
        if not left:
            break
        if names is not None and field.column.name not in names:
            arrays.append(None)
            at = field.skip(buffer, at)
            continue
        array, at = field.decode(buffer, at)
        arrays.append(array)
        left -= 1
    return arrays


def _parted(length: Numbers) -> "tuple[Nulls, Numbers]":
    """Return which values are NULL, whose length is -1, and the lengths of what is there."""
    if length.min(initial=0) >= 0:
        return None, length
    null = length < 0
    return null, np.where(null, 0, length)


def _groups(digits: int) -> int:
    return -(-digits // DIGITS_OF_BASE)


def _shifted(array: "pa.Array", by: int, type_: Any, refuse: Any) -> Numbers:
    values = numbers_of(array, type_)
    refuse(values)
    shifted: Numbers = (values + type_(by)).astype(type_)
    return shifted


def _infinite(value: int, bits: int) -> str:
    return {-(2 ** (bits - 1)): "-infinity", 2 ** (bits - 1) - 1: "infinity"}.get(value, "")


def _date(days: int, clock: str = "") -> str:
    """Return a day since 1970, and a time, as PostgreSQL writes it.

    The calendar repeats itself every 400 years, which are 146,097 days.
    """
    from datetime import date, timedelta

    cycles, rest = divmod(days - FIRST_DAY, 146_097)
    day = date(1, 1, 1) + timedelta(days=rest)
    year = day.year + 400 * cycles
    if year > 0:
        return f"{year:04d}-{day:%m-%d}{clock}"
    return f"{1 - year:04d}-{day:%m-%d}{clock} BC"


def _clock(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text

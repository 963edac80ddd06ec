"""The binary format of PostgreSQL's COPY, as Arrow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_assets.exceptions import DataError, SourceError
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.slices import Buffer, Nulls, Numbers, Positions, with_nulls

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
NEGATIVE = 0x4000
NO_NUMBERS = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}

_POWERS = 10 ** np.arange(NARROW_DIGITS + 1, dtype=np.int64)


def is_narrow(column: SqlColumn) -> bool:
    """Tell whether a column is a decimal that is read in its binary form."""
    import pyarrow as pa

    type_ = column.type.arrow
    return bool(type_ is not None and pa.types.is_decimal(type_) and type_.precision <= NARROW_DIGITS)


def as_text(column: SqlColumn) -> bool:
    """Tell whether the server is to make text of a column: of all types that have no decoder here."""
    kind, how = column.type.kind, column.type.how
    if kind == "decimal":
        return not is_narrow(column)
    if kind == "text":
        return how != "native"  # of text and its like the binary form is the text
    return kind not in {"integer", "float", "boolean", "date", "timestamp", "instant", "time", "binary"}


@dataclass(frozen=True)
class Field:
    """How one column is decoded.

    Args:
        column: The column.
        stream: For errors.
    """

    column: SqlColumn
    stream: str

    def decode(self, buffer: Buffer, at: Positions, length: Positions, null: Nulls) -> "pa.Array":
        """Give a piece of the column: days and microseconds as plain numbers, what is text as text."""
        import pyarrow as pa

        type_ = self.column.type
        if as_text(self.column) or type_.kind == "text":
            return buffer.texts(at, length, null, pa.string())
        if type_.kind == "binary":
            return buffer.texts(at, length, null, pa.binary())
        if null is not None:
            at = np.where(null, 0, at)  # anywhere: it is not looked at
        if type_.kind == "decimal":
            return self._decimals(buffer, at, null)
        name = self._wire_type()
        self._check_width(np.dtype(name).itemsize, length, null)
        found = buffer.numbers(name, at)
        if type_.kind == "boolean":
            return pa.array(found != 0, mask=null)
        numbers = found.astype(found.dtype.newbyteorder("="))
        return pa.array(numbers, mask=null)

    def _wire_type(self) -> str:
        arrow = self.column.type.arrow
        by_kind = {"boolean": "u1", "date": ">i4", "timestamp": ">i8", "instant": ">i8", "time": ">i8"}
        by_arrow = {
            "int16": ">i2",
            "int32": ">i4",
            "int64": ">i8",
            "uint32": ">u4",
            "float": ">f4",
            "double": ">f8",
        }
        return by_kind.get(self.column.type.kind) or by_arrow[str(arrow)]

    def _check_width(self, width: int, length: Positions, null: Nulls) -> None:
        wrong = length != width
        if null is not None:
            wrong &= ~null
        if wrong.any():
            raise SourceError(
                f"stream {self.stream!r}: the server sends {int(length[wrong][0])} bytes for {self.column.name!r} "
                f"({self.column.declared}), which takes {width}.",
                hint="The table was changed while it was read: read it again.",
                stream=self.stream,
            )

    def _decimals(self, buffer: Buffer, at: Positions, null: Nulls) -> "pa.Array":
        import pyarrow as pa

        arrow: Any = self.column.type.arrow
        present = np.ones(len(at), np.bool_) if null is None else ~null
        count = np.where(present, buffer.numbers(">u2", at), 0).astype(np.int64)
        weight = buffer.numbers(">i2", at + 2).astype(np.int64)
        sign = np.where(present, buffer.numbers(">u2", at + 4), 0)
        self._refuse_no_numbers(sign)
        total = np.zeros(len(at), np.int64)
        for i in range(int(count.max(initial=0))):
            there = count > i
            digits = buffer.numbers(">u2", np.where(there, at + 8 + 2 * i, 0)).astype(np.int64)
            exponent = np.where(there, DIGITS_OF_BASE * (weight - i) + arrow.scale, 0)
            # Digits of the base that lie behind the column's scale are zeros.
            scaled = digits * _POWERS[np.clip(exponent, 0, NARROW_DIGITS)] // _POWERS[np.clip(-exponent, 0, 4)]
            total += np.where(there, scaled, 0)
        halves = np.empty((len(at), 2), np.int64)
        halves[:, 0] = np.where(sign == NEGATIVE, -total, total)
        halves[:, 1] = halves[:, 0] >> 63
        validity = None if null is None else pa.array(present).buffers()[1]
        return pa.Array.from_buffers(arrow, len(at), [validity, pa.py_buffer(halves)])

    def _refuse_no_numbers(self, sign: Numbers) -> None:
        for code, name in NO_NUMBERS.items():
            if (sign == code).any():
                raise self._error("no decimal type holds this; select it as a double in a view.", name)

    def _error(self, message: str, value: object) -> DataError:
        return DataError(message, stream=self.stream, field=self.column.name, value=value)

    # What is done to a whole batch

    def finish(self, array: "pa.Array") -> "pa.Array":
        """Give plain numbers as the dates and times they are.

        Raises:
            DataError: One is infinite, or of a year that is not between 1 and 9999.
        """
        import pyarrow as pa

        arrow = self.column.type.arrow
        match self.column.type.kind:
            case "date":
                days = _shifted(array, EPOCH_DAYS, np.int32, self._refuse_days)
                return with_nulls(days, pa.date32(), _nulls(array))
            case "timestamp" | "instant":
                moments = _shifted(array, EPOCH_DAYS * DAY, np.int64, self._refuse_moments)
                return with_nulls(moments, arrow, _nulls(array))
            case "time":
                values = np.asarray(array.fill_null(0))
                if values.max(initial=0) >= DAY:  # 24:00:00, which no time of day is
                    return pa.array([None if v is None else _clock(v) for v in array.to_pylist()], pa.string())
                return array.view(pa.time64("us"))
        return array

    def _refuse_days(self, days: Numbers) -> None:
        wrong = (days < FIRST_DAY - EPOCH_DAYS) | (days > LAST_DAY - EPOCH_DAYS)
        if wrong.any():
            first = int(days[wrong][0])
            raise self._error(_NO_YEAR, _infinite(first, 32) or _date(first + EPOCH_DAYS))

    def _refuse_moments(self, moments: Numbers) -> None:
        wrong = (moments < (FIRST_DAY - EPOCH_DAYS) * DAY) | (moments >= (LAST_DAY - EPOCH_DAYS + 1) * DAY)
        if wrong.any():
            first = int(moments[wrong][0])
            day, rest = divmod(first, DAY)
            raise self._error(_NO_YEAR, _infinite(first, 64) or f"{_date(day + EPOCH_DAYS)} {_clock(rest)}")


_NO_YEAR = "only dates of the years 1 to 9999 can be read."


def decode(fields: Sequence[Field], buffer: Buffer, begin: Positions) -> "list[pa.Array]":
    """Give the columns of some rows.

    Args:
        fields: The columns.
        buffer: The rows.
        begin: Where each row begins.
    """
    if (buffer.numbers(">i2", begin) != len(fields)).any():
        raise SourceError("the server sent a row with another number of columns.", stream=fields[0].stream)
    at = begin + 2
    arrays = []
    for field in fields:
        length = buffer.numbers(">i4", at).astype(np.int64)
        null = None
        if length.min(initial=0) < 0:
            null = length < 0
            length = np.where(null, 0, length)
        at = at + 4
        arrays.append(field.decode(buffer, at, length, null))
        at = at + length
    return arrays


def _nulls(array: "pa.Array") -> Nulls:
    return np.asarray(array.is_null()) if array.null_count else None


def _shifted(array: "pa.Array", by: int, type_: Any, refuse: Any) -> Numbers:
    values = np.asarray(array.fill_null(0)) if array.null_count else np.asarray(array)
    refuse(values)
    shifted: Numbers = (values + type_(by)).astype(type_)
    return shifted


def _infinite(value: int, bits: int) -> str:
    return {-(2 ** (bits - 1)): "-infinity", 2 ** (bits - 1) - 1: "infinity"}.get(value, "")


def _date(days: int) -> str:
    """Give a day since 1970 as text, in any year: 400 years of the calendar are 146,097 days."""
    from datetime import date, timedelta

    cycles, rest = divmod(days - FIRST_DAY, 146_097)
    day = date(1, 1, 1) + timedelta(days=rest)
    year = day.year + 400 * cycles
    return f"{year if year > 0 else 1 - year:04d}-{day:%m-%d}{'' if year > 0 else ' BC'}"


def _clock(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text

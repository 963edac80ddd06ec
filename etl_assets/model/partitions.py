"""The partitions of a stream that one load brings whole.

They say what their rows have, and which rows are none of theirs.

A partition of time is a window, its end excluded. A moment with a zone is in the window that it is
in anywhere on Earth; one without a zone, and a date, are read as the clock on the wall of the
window's zone, so that each of them is in exactly one window, also where clocks are set back. Any
other partition is a value: of text, of an integer or of a boolean.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from etl_assets.exceptions import DataError

if TYPE_CHECKING:
    import pyarrow as pa

OutsidePartition = Literal["error", "drop"]
"""What becomes of rows that are in none of the partitions that were asked for."""


@dataclass(frozen=True)
class TimeWindow:
    """A span of time.

    Args:
        start: Its first moment, with a zone.
        end: The first moment after it, with a zone.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for moment in (self.start, self.end):
            if moment.tzinfo is None:
                raise ValueError(f"{moment.isoformat()} has no zone.")

    def bounds(self, type_: "pa.DataType") -> tuple[Any, Any]:
        """Return the first value of a type in the window, and the first one behind it.

        Args:
            type_: A date, or a timestamp with or without a zone.
        """
        import pyarrow as pa

        if pa.types.is_date(type_):
            return _first_date(self.start), _first_date(self.end)
        if type_.tz is None:
            return self.start.replace(tzinfo=None), self.end.replace(tzinfo=None)
        return self.start.astimezone(UTC), self.end.astimezone(UTC)


def _first_date(moment: datetime) -> date:
    """Return the first date whose midnight, on the wall, is not before a moment."""
    wall = moment.replace(tzinfo=None)
    return wall.date() if wall.time() == time.min else wall.date() + timedelta(days=1)


Condition = TimeWindow | frozenset[str]
"""What the rows of a partition have in one field: a time in a window, or one of some values."""


@dataclass(frozen=True)
class Partition:
    """One partition.

    Args:
        name: Its key, under which its state is stored.
        rows: What its rows have, by field.
    """

    name: str
    rows: Mapping[str, Condition]


@dataclass(frozen=True)
class Partitions:
    """Some partitions of a stream, which one load brings whole.

    Its rows take the place of those that are there.

    Args:
        each: The partitions.
        outside: What becomes of rows that are in none of them.
    """

    each: tuple[Partition, ...]
    outside: OutsidePartition = "error"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the partitions."""
        return tuple(one.name for one in self.each)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that tell the partitions apart."""
        return tuple(self.each[0].rows) if self.each else ()

    @cached_property
    def joined(self) -> tuple[Mapping[str, Condition], ...]:
        """What rows of any of the partitions have, with as few alternatives as there can be.

        Windows that follow each other are one, and so are values.
        """
        return tuple(_joined([dict(one.rows) for one in self.each]))

    def inside(self, table: "pa.Table", stream: str) -> "pa.ChunkedArray | None":
        """Return which rows of a table are in one of the partitions; None if all of them are.

        Raises:
            DataError: A row is in none of them, and `outside` is `error`; or a field is missing, or
                of a type that has no partitions.
        """
        import pyarrow.compute as pc

        if not table.num_rows:
            return None
        mask = self._mask(table, stream)
        if pc.all(mask).as_py():
            return None
        if self.outside == "error":
            raise self._outside(table, mask, stream)
        return mask

    def not_elsewhere(self, table: "pa.Table", stream: str) -> "pa.ChunkedArray | None":
        """Return which rows are not left to other partitions; None if none of them is.

        A row with NULL in one of the fields is in no partition at all, so no other run would load
        it, or tell of it.
        """
        import pyarrow.compute as pc

        if not table.num_rows:
            return None
        mask = self._mask(table, stream)
        for name in self.fields:
            mask = pc.or_(mask, pc.is_null(table.column(name)))
        return None if pc.all(mask).as_py() else mask

    def _mask(self, table: "pa.Table", stream: str) -> "pa.ChunkedArray":
        """Return which rows are in one of the partitions; none of it is NULL."""
        import pyarrow.compute as pc

        found = None
        for conditions in self.joined:
            alternative = None
            for name, condition in conditions.items():
                met = _met(_column(table, name, stream), condition, name, stream)
                alternative = met if alternative is None else pc.and_(alternative, met)
            found = alternative if found is None else pc.or_(found, alternative)
        return pc.fill_null(found, False)  # noqa: FBT003 - pyarrow's own order

    def _outside(self, table: "pa.Table", mask: "pa.ChunkedArray", stream: str) -> DataError:
        import pyarrow.compute as pc

        row = table.slice(pc.index(mask, False).as_py(), 1)
        values = {name: row.column(name)[0].as_py() for name in self.fields}
        name, value = next(iter(values.items()))
        if None in values.values():
            name, value = next((name, one) for name, one in values.items() if one is None)
        asked = self.names[0] if len(self.names) == 1 else f"{self.names[0]} to {self.names[-1]}"
        return DataError(
            f"the row is in no partition that was asked for ({asked}).",
            stream=stream,
            field=name,
            value=value,
            hint="Have the source honour the window it is given, or leave such rows out with "
            'outside_partition="drop", in the metadata of an asset of your own '
            '{"etl_assets/outside_partition": "drop"}.',
        )


def _column(table: "pa.Table", name: str, stream: str) -> "pa.ChunkedArray":
    import pyarrow as pa

    if name in table.column_names:
        column = table.column(name)
        # The categories of pandas: values that are written once each.
        is_coded = pa.types.is_dictionary(column.type)
        return column.cast(column.type.value_type) if is_coded else column
    raise DataError(
        "the rows lack the field that says in which partition they are.",
        stream=stream,
        field=name,
        hint="Select the field, or name another one as partition_by.",
    )


def _met(
    column: "pa.ChunkedArray", condition: Condition, name: str, stream: str
) -> "pa.ChunkedArray":
    """Return which values of a column meet a condition; NULL for NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(column.type):
        # No row of the batch has a value, which says nothing of the type that the field has.
        return pa.chunked_array([pa.nulls(len(column), pa.bool_())])
    if isinstance(condition, frozenset):
        wanted = values_of(condition, column.type, name, stream)
        is_wanted = pc.is_in(column, value_set=pa.array(wanted, column.type))
        return pc.if_else(pc.is_valid(column), is_wanted, pa.scalar(None, pa.bool_()))
    check_time(column.type, name, stream)
    start, end = (pa.scalar(one, _of_unit(column.type)) for one in condition.bounds(column.type))
    return pc.and_(pc.greater_equal(column, start), pc.less(column, end))


def _of_unit(type_: "pa.DataType") -> "pa.DataType":
    """Return the type in which a bound is compared.

    Its unit is the microsecond, in which no bound is beyond the range.
    """
    import pyarrow as pa

    return type_ if pa.types.is_date32(type_) else pa.timestamp("us", type_.tz)


def check_time(type_: "pa.DataType", name: str, stream: str) -> None:
    """Refuse a type that is no time.

    Raises:
        DataError: It is none.
    """
    import pyarrow as pa

    if pa.types.is_date32(type_) or pa.types.is_timestamp(type_):
        return
    raise DataError(
        f"a partition is a window of time, and the field is {type_}.",
        stream=stream,
        field=name,
        hint="Return dates or times instead, or name a field that has them as partition_by. A "
        f'stream with a schema may say it: types={{"{name}": {{"type": "string", "format": '
        '"date-time"}}, and one without in the properties of a schema.',
    )


def values_of(wanted: frozenset[str], type_: "pa.DataType", name: str, stream: str) -> list[Any]:
    """Return the values of a type whose texts are these keys of partitions.

    A key that is no such text has no rows.

    Raises:
        DataError: A type of whose values no partitions are made.
    """
    import pyarrow as pa

    texts = sorted(wanted)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return list(texts)
    if pa.types.is_boolean(type_):
        return [text == "true" for text in texts if text in {"true", "false"}]
    if pa.types.is_integer(type_):
        return list(_integers(texts, type_))
    raise DataError(
        f"a partition is a text, an integer or a boolean, and the field is {type_}.",
        stream=stream,
        field=name,
        hint="Name a field of such a type as partition_by.",
    )


def _integers(texts: Sequence[str], type_: "pa.DataType") -> Iterator[int]:
    import pyarrow as pa

    signed = pa.types.is_signed_integer(type_)
    least = -(2 ** (type_.bit_width - 1)) if signed else 0
    most = 2 ** (type_.bit_width - signed) - 1
    for text in texts:
        try:
            number = int(text)
        except ValueError:
            continue
        if str(number) == text and least <= number <= most:
            yield number


def _joined(alternatives: list[dict[str, Condition]]) -> list[dict[str, Condition]]:
    """Return the same rows by fewer alternatives.

    Those that differ in one field alone become one, if they can.
    """
    if not alternatives:
        return []
    for name in alternatives[0]:
        groups: dict[Any, list[Condition]] = {}
        for one in alternatives:
            others = tuple(sorted((key, value) for key, value in one.items() if key != name))
            groups.setdefault(others, []).append(one[name])
        alternatives = []
        for others, conditions in groups.items():
            alternatives += [{name: met, **dict(others)} for met in _united(conditions)]
    return alternatives


def _united(conditions: Sequence[Condition]) -> Iterator[Condition]:
    values = [one for one in conditions if isinstance(one, frozenset)]
    if values:
        yield frozenset().union(*values)
    current: TimeWindow | None = None
    windows = [one for one in conditions if isinstance(one, TimeWindow)]
    # By their instants: two moments of one zone would be compared by the clock on the wall.
    for window in sorted(windows, key=lambda one: one.start.timestamp()):
        if current is not None and window.start.timestamp() <= current.end.timestamp():
            last = max(current.end, window.end, key=datetime.timestamp)
            current = replace(current, end=last)
            continue
        if current is not None:
            yield current
        current = window
    if current is not None:
        yield current

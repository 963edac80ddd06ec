"""The cells of a sheet as columns of one type: the declared one, or one that keeps every value."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.batch import declared_schema
from etl_assets.model.refused import refused_by, without
from etl_assets.model.values.columns import columns_to_arrow, to_array
from etl_assets.model.values.scalars import to_text
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.sheets.cells import Row, Unreadable
from etl_assets.sources.files.sheets.rows import SheetRows
from etl_assets.sources.files.text.cells import converter

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = {int, float}
_DATES = {date, datetime}
SHEET = "_sheet"


class SheetColumns:
    """Turns the rows of a sheet into tables.

    Args:
        rows: The sheet, for names and errors.
        reading: What is read.
        told: Add a column of the sheet's name, where rows are to tell their origin.
    """

    def __init__(self, rows: SheetRows, reading: Reading, *, told: bool) -> None:
        self._rows = rows
        self._reading = reading
        self._told = told and reading.options.with_origin
        self._declared = declared_schema(reading.stream)
        self._types: Mapping[str, pa.DataType] = {
            field.name: field.type for field in self._declared or ()
        }

    def table(self, rows: Sequence[Row]) -> "pa.Table":
        """Return rows as a table.

        Raises:
            DataError: A cell has a value, but its column no name; names the cell.
        """
        numbers = [number for number, _ in rows]
        named = [
            name for name in self._rows.names if name is not None and self._reading.reads(name)
        ]
        columns: dict[str, list[Any]] = {
            name: [None] * len(rows) for name in (*self._types, *named)
        }
        places: dict[str, int] = {}
        for place, cells in enumerate(zip_longest(*(values for _, values in rows))):
            name = self._rows.name(place)
            if name is None:
                self._refuse_nameless(cells, numbers, place)
            elif self._reading.reads(name):
                columns[name] = self._column(name, list(cells), numbers, place)
                places[name] = place
        stream = self._reading.stream.name
        try:
            table = columns_to_arrow(columns, self._declared, stream=stream, length=len(rows))
        except DataError:
            for name, place in places.items():
                columns[name] = self._fitting(name, columns[name], numbers, place)
            table = columns_to_arrow(columns, self._declared, stream=stream, length=len(rows))
        return self._with_sheet(table) if self._told else table

    def _column(
        self, name: str, values: list[Any], numbers: Sequence[int], place: int
    ) -> list[Any]:
        kinds = set(map(type, values))
        if Unreadable in kinds:
            bad = {row: value for row, value in enumerate(values) if type(value) is Unreadable}
            for row, one in bad.items():
                self._refuse(row, numbers[row], place, one.problem, one.text, hint=one.hint)
            values = without(values, bad)
            kinds.discard(Unreadable)
        kinds.discard(type(None))
        declared = self._types.get(name)
        if declared is not None:
            return self._as_declared(values, kinds, declared, numbers, place)
        return _as_one_kind(values, kinds)

    def _as_declared(
        self,
        values: list[Any],
        kinds: set[type],
        type_: "pa.DataType",
        numbers: Sequence[int],
        place: int,
    ) -> list[Any]:
        """Read texts of columns that are declared to be none, as CSV does.

        A number is a whole one, or an error.
        """
        from pyarrow import types as t

        if t.is_null(type_):
            return _as_one_kind(values, kinds)
        is_integer = t.is_integer(type_)
        if t.is_string(type_) or not (str in kinds or (is_integer and float in kinds)):
            return values
        convert = converter(type_)
        read = []
        for row, (number, value) in enumerate(zip(numbers, values, strict=True)):
            try:
                if is_integer and type(value) is float:
                    raise ValueError("not an integer")  # noqa: TRY301 - told as what texts are is told
                read.append((convert(value) if value else None) if type(value) is str else value)
            except (ValueError, ArithmeticError, RecursionError) as error:
                self._refuse(row, number, place, f"is {error}", value)
                read.append(None)
        return read

    def _refuse_nameless(self, cells: Sequence[Any], numbers: Sequence[int], place: int) -> None:
        for number, value in zip(numbers, cells, strict=True):
            if value is not None and value != "":
                where = self._rows.cell(number, place)
                message = f"cell {place + 1} has a value, but its column has no name: {where}"
                hint = (
                    "Name it in the sheet; what is not of the table, leave out with cells=, "
                    "skip_rows or skip_footer."
                )
                raise self._rows.error(message, number, place, value=value, hint=hint)

    def _fitting(
        self, name: str, values: list[Any], numbers: Sequence[int], place: int
    ) -> list[Any]:
        """Return the values of a column without those that are none of its type."""
        convert = partial(
            to_array, declared=self._types.get(name), stream=self._reading.stream.name, field=name
        )
        bad = refused_by(convert, values)
        for row, error in bad.items():
            self._refuse(
                row,
                numbers[row],
                place,
                f": {error.reason.rstrip('.')}",
                values[row],
                hint=error.hint,
            )
        kept: list[Any] = without(values, bad)
        return kept

    def _refuse(
        self,
        row: int,
        number: int,
        place: int,
        problem: str,
        value: Any,
        *,
        hint: str | None = None,
    ) -> None:
        told = f"cell {self._rows.cell(number, place)} {problem}".replace(" :", ":", 1)
        self._reading.refusals.add(
            row, self._rows.error(told, number, place, value=value, hint=hint), value
        )

    def _with_sheet(self, table: "pa.Table") -> "pa.Table":
        import pyarrow as pa

        if SHEET in table.column_names:
            raise self._reading.error(
                f"has a column {SHEET!r} of its own.", hint="Leave with_origin out."
            )
        if not self._reading.reads(SHEET):
            return table
        return table.append_column(SHEET, pa.array([self._rows.sheet] * len(table), pa.string()))


def _as_one_kind(values: list[Any], kinds: set[type]) -> list[Any]:
    """Return values as values of one type: as their texts, where they have no other in common.

    An empty text among others is the outcome of formulas such as `=IF(A1>0, A1, "")`: no value, as
    in CSV.
    """
    if (
        str in kinds
        and len(kinds) > 1
        and not any(type(value) is str and value for value in values)
    ):
        values = [None if value == "" else value for value in values]
        kinds = kinds - {str}
    if len(kinds) <= 1 or kinds <= _NUMBERS:
        return values
    if kinds == _DATES and all(getattr(value, "tzinfo", None) is None for value in values):
        return [
            datetime.combine(value, time()) if type(value) is date else value for value in values
        ]
    return [None if value is None else to_text(value) for value in values]

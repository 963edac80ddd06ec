"""The rows of a sheet's table, with its header, without what stands above, below and beside it."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

from etl_assets.exceptions import DataError
from etl_assets.model.values.scalars import to_text
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.sheets.cell_range import column_letters, range_of
from etl_assets.sources.files.sheets.cells import Row, Unreadable
from etl_assets.sources.files.text.header import joined_names


class SheetRows:
    """The rows of one sheet; iterate once. The names are known from the first row on.

    Args:
        rows: All of the sheet, in their order.
        reading: What is read.
        sheet: The sheet's name, for errors.
    """

    def __init__(self, rows: Iterator[Row], reading: Reading, sheet: str) -> None:
        self.sheet = sheet
        self.names: Sequence[str | None] = ()
        self._reading = reading
        self._top, self._left, self._bottom, self._right = range_of(reading.options.cells)
        self._nulls = frozenset(reading.options.null_values)
        self._rows = self._without_footer(self._within(rows))

    def __iter__(self) -> Iterator[Row]:
        header = self._reading.options.header
        if header is True:
            self.names = self._read_names()
        elif header is not False:
            self.names = list(header)
            self._refuse_repeated(None)
        yield from self._rows

    def name(self, place: int) -> str | None:
        """Return a column's name by its place.

        Without a header by its number, however many there are.
        """
        if self._reading.options.header is False:
            return f"column_{place + 1}"
        return self.names[place] if place < len(self.names) else None

    def cell(self, number: int, place: int) -> str:
        """Return how a cell is called: `B3`."""
        return f"{column_letters(self._left + place)}{number}"

    def error(
        self,
        message: str,
        number: int,
        place: int,
        *,
        value: object = None,
        hint: str | None = None,
    ) -> DataError:
        """Return an error that names file, sheet, row, and the column if it has a name.

        Its message names the cell.
        """
        return self._reading.error(
            f"{message} (sheet {self.sheet!r}).",
            number,
            field=self.name(place),
            value=value,
            hint=hint,
        )

    def _within(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows in the range of cells that have a value, behind those passed over."""
        first = self._top + self._reading.options.skip_rows
        for number, cells in rows:
            if number < first:
                continue
            if number > self._bottom:
                return
            values = cells[self._left : self._right]
            if self._nulls:
                values = [self._null(value) for value in values]
            while values and values[-1] is None:
                values.pop()
            if values:
                yield number, values

    def _null(self, value: Any) -> Any:
        text = value.text if type(value) is Unreadable else value
        return None if type(text) is str and text in self._nulls else value

    def _without_footer(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Leave out the last rows, counted from the last one that has a value."""
        footer = self._reading.options.skip_footer
        if not footer:
            yield from rows
            return
        waiting: deque[Row] = deque()
        for row in rows:
            waiting.append(row)
            while waiting[0][0] <= row[0] - footer:
                yield waiting.popleft()

    def _read_names(self) -> Sequence[str | None]:
        wanted = self._reading.options.header_rows
        first = next(self._rows, None)
        if first is None:
            return ()
        header = [first]
        for row in self._rows if wanted > 1 else ():
            header.append(row)
            if row[0] >= first[0] + wanted - 1:
                break
        last = first[0] + wanted - 1
        if header[-1][0] > last:  # a row without a value was among them
            raise self._reading.error(
                f"the header has no row {last}, in sheet {self.sheet!r}.", first[0]
            )
        texts = [
            [self._text(number, place, value) for place, value in enumerate(cells)]
            for number, cells in header
        ]
        joined = [text or "" for text in texts[0]] if wanted == 1 else joined_names(texts)
        self.names = [name or None for name in joined]
        self._refuse_repeated(header[-1][0])
        return self.names

    def _text(self, number: int, place: int, value: Any) -> str | None:
        if type(value) is Unreadable:
            raise self.error(
                f"cell {self.cell(number, place)} {value.problem}", number, place, hint=value.hint
            )
        name = None if value is None else to_text(value)
        if name is not None and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise self.error(
                f"cell {self.cell(number, place)} is a name that is no Unicode text", number, place
            )
        return name

    def _refuse_repeated(self, number: int | None) -> None:
        twice = next(
            (name for name, times in Counter(self.names).items() if times > 1 and name is not None),
            None,
        )
        if twice is None:
            return
        hint = "Name the columns with header=[...]."
        where = ""
        if number is not None:
            cells = [
                self.cell(number, place) for place, name in enumerate(self.names) if name == twice
            ]
            where = f" ({', '.join(cells)} of sheet {self.sheet!r})"
            skipped = number - self._top + 1
            hint = (
                "Name the columns with header=[...], and pass the header over with "
                f"skip_rows={skipped}"
            )
            hint += "." if self._reading.options.header_rows == 1 else ", without header_rows."
        raise self._reading.error(f"two columns are called {twice!r}{where}.", number, hint=hint)

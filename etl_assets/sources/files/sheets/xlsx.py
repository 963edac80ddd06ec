"""Workbooks as Excel writes them (`.xlsx`, `.xlsm`): each cell as the file holds it, row by row.

What Excel's own reading does, and a library's default may not: a formula whose outcome is an empty
text has a value; `_x000D_` in a text is a character, and `_x005F_x000D_` is what somebody has
typed; 60 is no day; an error is no text.
"""

from collections.abc import Iterator, Mapping, Sequence

from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.sheets.cells import Row
from etl_assets.sources.files.sheets.number_formats import Shown, shown_by_style
from etl_assets.sources.files.sheets.package import Package, Quiet, local, related, too_large_row
from etl_assets.sources.files.sheets.xlsx_cells import CellHandler
from etl_assets.sources.files.sheets.xlsx_texts import SharedTexts, unescaped

_TRUE = {"1", "true"}


class Workbook:
    """A workbook; its sheets are read when they are asked for.

    Args:
        package: The archive.
        reading: What is read.

    Raises:
        DataError: It is not what it should be.
    """

    def __init__(self, package: Package, reading: Reading) -> None:
        self._package = package
        self._reading = reading
        path = next(iter(related(package, "", "officeDocument").values()), "xl/workbook.xml")
        contents = _Contents()
        package.parse(path, contents)
        self._from_1904 = contents.from_1904
        self._tells_empty_texts = contents.is_of_xlsxwriter
        sheets = related(package, path, "worksheet")
        listed = [(name, sheets[id_]) for name, id_ in contents.sheets if id_ in sheets]
        self.sheets: Sequence[str] = [name for name, _ in listed]
        self._parts = [part for _, part in listed]
        self._styles = _Styles()
        for part in related(package, path, "styles").values():
            package.parse(part, self._styles)
        self._texts = SharedTexts()
        self._texts_part = next(iter(related(package, path, "sharedStrings").values()), None)

    def rows(self, sheet: int) -> Iterator[Row]:
        """Yield the rows of a sheet that have a cell, in their order.

        Raises:
            DataError: The sheet is not what it should be.
        """
        if self._texts_part is not None:  # once, and only if a sheet is read
            self._package.parse(self._texts_part, self._texts)
            self._texts_part = None
        cells = CellHandler(
            self._reading,
            self._texts.texts,
            self._styles.shown(),
            from_1904=self._from_1904,
            tells_empty_texts=self._tells_empty_texts,
        )
        limit = self._reading.options.max_row_bytes
        done = 0
        for read in self._package.parts(self._parts[sheet], cells):
            if cells.rows:
                yield from cells.rows
                cells.rows.clear()
                done = read
            elif read - done > limit and not cells.is_over:
                raise too_large_row(self._reading, cells.number)


_XLSXWRITER = {
    "fileVersion": {"appName": "xl", "lastEdited": "4", "lowestEdited": "4", "rupBuild": "4505"},
    "calcPr": {"calcId": "124519", "fullCalcOnLoad": "1"},
}
"""What XlsxWriter, and its kin in C and Rust, say of every workbook, and no other program does."""


class _Contents(Quiet):
    """The workbook's sheets in their order, where its days begin, and who wrote it."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []
        self.from_1904 = False
        self._said: set[str] = set()

    @property
    def is_of_xlsxwriter(self) -> bool:
        """Whether each formula has the value given with it; elsewhere "" means that it has none."""
        return self._said == set(_XLSXWRITER)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        element = local(name)
        if element == "workbookPr":
            self.from_1904 = attributes.get("date1904") in _TRUE
        elif element in _XLSXWRITER:
            if dict(attributes) == _XLSXWRITER[element]:
                self._said.add(element)
        elif element == "sheet":
            id_ = next((value for key, value in attributes.items() if local(key) == "id"), "")
            self.sheets.append((unescaped(attributes.get("name", "")), id_))


class _Styles(Quiet):
    """What the formats of cells show numbers as, by the style that a cell names."""

    def __init__(self) -> None:
        self._codes: dict[int, str] = {}
        self._formats: list[int] = []
        self._is_of_cells = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        match local(name):
            case "numFmt":
                self._codes.setdefault(
                    _integer(attributes.get("numFmtId")), attributes.get("formatCode", "")
                )
            case "cellXfs":
                self._is_of_cells = True
            case "xf" if self._is_of_cells:
                self._formats.append(_integer(attributes.get("numFmtId")))

    def end(self, name: str) -> None:
        if local(name) == "cellXfs":
            self._is_of_cells = False

    def shown(self) -> dict[str | None, Shown]:
        """Return what is no plain number, by the style's number as text.

        None: where a cell names no style.
        """
        found: dict[str | None, Shown] = {
            str(style): shown for style, shown in shown_by_style(self._formats, self._codes).items()
        }
        if "0" in found:
            found[None] = found["0"]
        return found


def _integer(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0

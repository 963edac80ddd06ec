"""OpenDocument spreadsheets (`.ods`) of whatever program: each cell as the file holds it."""

from collections.abc import Iterator, Mapping, Sequence

from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.sheets.cells import Row
from etl_assets.sources.files.sheets.number_formats import Shown
from etl_assets.sources.files.sheets.ods_cells import OdsCellHandler
from etl_assets.sources.files.sheets.package import Package, Quiet, local, too_large_row

CONTENT = "content.xml"
_KNOWN = {"table", "date-style", "time-style", "hours", "style"}


class OpenDocument:
    """An OpenDocument spreadsheet.

    Args:
        package: The archive.
        reading: What is read.

    Raises:
        DataError: It is not what it should be.
    """

    def __init__(self, package: Package, reading: Reading) -> None:
        self._package = package
        self._reading = reading
        manifest = _Manifest()
        if "META-INF/manifest.xml" in package:
            package.parse("META-INF/manifest.xml", manifest)
        if manifest.is_locked:
            raise reading.error("is locked with a password.", hint="Save it without one.")
        contents = _Contents()
        if "styles.xml" in package:
            package.parse("styles.xml", contents)
        package.parse(CONTENT, contents)
        self.sheets: Sequence[str] = contents.sheets
        self._shown = contents.shown()

    def rows(self, sheet: int) -> Iterator[Row]:
        """Yield the rows of a sheet that have a cell, in their order.

        Raises:
            DataError: The sheet is not what it should be.
        """
        cells = OdsCellHandler(self._reading, sheet, self._shown)
        limit = self._reading.options.max_row_bytes
        done = 0
        for read in self._package.parts(CONTENT, cells):
            if cells.rows:
                for number, times, values in cells.rows:
                    for repeated in range(times):
                        yield number + repeated, [*values]
                cells.rows.clear()
            if cells.is_between_rows:
                done = read
            elif read - done > limit:
                raise too_large_row(self._reading, cells.number)


class _Manifest(Quiet):
    def __init__(self) -> None:
        self.is_locked = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        del attributes
        self.is_locked = self.is_locked or local(name) == "encryption-data"


class _Contents(Quiet):
    """The names of the sheets, and what styles show dates and times as."""

    def __init__(self) -> None:
        self.sheets: list[str] = []
        self._depth = 0
        self._formats: dict[str, Shown] = {}
        self._open: str | None = None
        self._names: dict[str, str | None] = {}
        self._styles: dict[str, tuple[str | None, str | None]] = {}

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        element = self._known(name)
        if element is None:
            return
        if element == "table":
            self._depth += 1
            if self._depth == 1:
                self.sheets.append(_attribute(attributes, "name") or "")
        elif element in {"date-style", "time-style"}:
            self._open = _attribute(attributes, "name") or ""
            goes_on = _attribute(attributes, "truncate-on-overflow") == "false"
            is_time = Shown.ELAPSED if goes_on else Shown.TIME
            self._formats[self._open] = Shown.DATE if element == "date-style" else is_time
        elif element == "hours" and self._open is not None:
            if self._formats[self._open] is Shown.DATE:
                self._formats[self._open] = Shown.MOMENT
        elif element == "style" and _attribute(attributes, "family") == "table-cell":
            data, parent = (
                _attribute(attributes, "data-style-name"),
                _attribute(attributes, "parent-style-name"),
            )
            self._styles[_attribute(attributes, "name") or ""] = data, parent

    def end(self, name: str) -> None:
        element = self._known(name)
        if element == "table":
            self._depth -= 1
        elif element in {"date-style", "time-style"}:
            self._open = None

    def _known(self, name: str) -> str | None:
        """Return a name without its namespace, if it matters; there are millions of others."""
        if name not in self._names:
            self._names[name] = local(name) if local(name) in _KNOWN else None
        return self._names[name]

    def shown(self) -> dict[str, Shown]:
        """Return what a cell's style shows dates and times as, where one says so."""
        return {style: shown for style in self._styles if (shown := self._of(style)) is not None}

    def _of(self, style: str) -> Shown | None:
        seen: set[str] = set()
        name: str | None = style
        while name is not None and name in self._styles and name not in seen:
            seen.add(name)
            data, name = self._styles[name]
            if data is not None:
                return self._formats.get(data)
        return None


def _attribute(attributes: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in attributes.items() if local(key) == name), None)

"""Spreadsheets written by hand, XML part by XML part, and what a `FileSource` reads of one."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

import pyarrow as pa

from etl_assets import FileSource, StreamRead
from etl_assets.protocol.stream import Stream

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def stream_of(source: FileSource) -> Stream:
    catalog = source.declared_catalog()
    assert catalog is not None
    return catalog.streams[0]


def tables_of(path: Path, **options: Any) -> Iterator[pa.Table]:
    source = FileSource("s", str(path), **options)
    stream = stream_of(source)
    for batch in StreamRead(source, stream).open(None):
        if len(batch):
            yield batch.to_arrow(stream)


def rows_of(path: Path, **options: Any) -> list[dict[str, Any]]:
    return [row for table in tables_of(path, **options) for row in table.to_pylist()]


def only(path: Path, **options: Any) -> Any:
    """Return the one value of the column `v`, beside a column `k`."""
    (row,) = rows_of(path, **options)
    return row["v"]


def _relations(targets: Mapping[str, tuple[str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="{id_}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for id_, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_RELATIONS}">{links}</Relationships>'


def workbook(
    path: Path,
    rows: str | Mapping[str, str],
    *,
    texts: str = "",
    formats: Sequence[str | int] = (),
    properties: str = "",
    namespace: str = MAIN,
    prefix: str = "",
    head: str = "",
) -> Path:
    """Write a workbook; `rows` is the XML of one sheet's rows, or of several by their names.

    Style 0 is a plain one; the others are the `formats`, a code or the number of a built-in one each.
    """
    sheets = {"S": rows} if isinstance(rows, str) else rows
    codes = "".join(
        f'<numFmt numFmtId="{200 + place}" formatCode={quoteattr(code)}/>'
        for place, code in enumerate(formats)
        if isinstance(code, str)
    )
    numbers = [0, *(200 + place if isinstance(code, str) else code for place, code in enumerate(formats))]
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in numbers)
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{place}" r:id="r{place}"/>' for place, name in enumerate(sheets, 1)
    )
    targets = {f"r{place}": ("worksheet", f"worksheets/sheet{place}.xml") for place in range(1, len(sheets) + 1)}
    targets |= {"t": ("sharedStrings", "sharedStrings.xml"), "f": ("styles", "/xl/styles.xml")}
    opening = f'xmlns{":" + prefix.rstrip(":") if prefix else ""}="{namespace}"'
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("_rels/.rels", _relations({"r1": ("officeDocument", "xl/workbook.xml")}))
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{namespace}" xmlns:r="{_OFFICE}">{properties}<sheets>{listed}</sheets></workbook>',
        )
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(targets))
        archive.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{namespace}"><numFmts>{codes}</numFmts>'
            f'<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs>{styles}</cellXfs></styleSheet>',
        )
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{namespace}">{texts}</sst>')
        for place, data in enumerate(sheets.values(), 1):
            archive.writestr(
                f"xl/worksheets/sheet{place}.xml",
                f"{head}<{prefix}worksheet {opening}><{prefix}sheetData>{data}</{prefix}sheetData></{prefix}worksheet>",
            )
    return path


def text(value: str) -> str:
    """Return a cell of text, with its text in it."""
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


HEADER = f'<row r="1">{text("k")}{text("v")}</row>'


def cell(xml: str) -> str:
    """Return a header of `k` and `v`, and a row whose `v` is this cell."""
    return f'{HEADER}<row r="2"><c r="A2"><v>1</v></c>{xml}</row>'


_NAMES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (
        ("office", "office"),
        ("table", "table"),
        ("text", "text"),
        ("style", "style"),
        ("number", "datastyle"),
    )
)
_CALCEXT = 'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'


def document(path: Path, tables: str | Mapping[str, str], *, styles: str = "", head: str = "") -> Path:
    """Write an OpenDocument spreadsheet; `tables` is the XML of one sheet's rows, or of several by their names."""
    sheets = {"S": tables} if isinstance(tables, str) else tables
    data = "".join(f"<table:table table:name={quoteattr(name)}>{rows}</table:table>" for name, rows in sheets.items())
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f"{head}<office:document-content {_NAMES} {_CALCEXT}>"
            f"<office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body><office:spreadsheet>{data}</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def ods_text(value: str) -> str:
    return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'


def ods_row(*cells: str) -> str:
    return f"<table:table-row>{''.join(cells)}</table:table-row>"

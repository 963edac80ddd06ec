"""Spreadsheets written by hand, XML part by XML part, and what a `FileSource` reads of one."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

import pyarrow as pa

from etl_assets import FileSource, StreamRead
from etl_assets.model.stream import Stream

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

    Style 0 is a plain one; the others are the `formats`, a code or the number of a built-in one
    each.
    """
    sheets = {"S": rows} if isinstance(rows, str) else rows
    codes = "".join(
        f'<numFmt numFmtId="{200 + place}" formatCode={quoteattr(code)}/>'
        for place, code in enumerate(formats)
        if isinstance(code, str)
    )
    numbers = [
        0,
        *(200 + place if isinstance(code, str) else code for place, code in enumerate(formats)),
    ]
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in numbers)
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{place}" r:id="r{place}"/>'
        for place, name in enumerate(sheets, 1)
    )
    targets = {
        f"r{place}": ("worksheet", f"worksheets/sheet{place}.xml")
        for place in range(1, len(sheets) + 1)
    }
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


def document(
    path: Path, tables: str | Mapping[str, str], *, styles: str = "", head: str = ""
) -> Path:
    """Write an OpenDocument spreadsheet; `tables` is the XML of one sheet's rows, or of several by their names."""
    sheets = {"S": tables} if isinstance(tables, str) else tables
    data = "".join(
        f"<table:table table:name={quoteattr(name)}>{rows}</table:table>"
        for name, rows in sheets.items()
    )
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


def record(kind: int, data: bytes = b"") -> bytes:
    """Return a record of a binary workbook."""
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    length, size = bytearray(), len(data)
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return head + bytes([*length, size]) + data


def wide(value: str) -> bytes:
    """Return a text as binary workbooks hold it."""
    data = value.encode("utf-16-le")
    return struct.pack("<I", len(data) // 2) + data


def binary_workbook(
    path: Path, rows: bytes, *, texts: Sequence[str] = (), from_1904: bool = False
) -> Path:
    """Write a binary workbook of one sheet `S`; style 1 is a date, style 2 a duration."""
    styles = (
        record(44, struct.pack("<H", 164) + wide("[h]:mm"))
        + record(626)
        + record(47, struct.pack("<HH", 0xFFFF, 14))
        + record(627)
        + record(617)
        + b"".join(record(47, struct.pack("<HH", 0, number)) for number in (0, 14, 164))
        + record(618)
    )
    parts = {
        "r1": ("worksheet", "worksheets/sheet1.bin"),
        "t": ("sharedStrings", "sharedStrings.bin"),
    }
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("_rels/.rels", _relations({"r1": ("officeDocument", "xl/workbook.bin")}))
        archive.writestr(
            "xl/_rels/workbook.bin.rels", _relations({**parts, "f": ("styles", "styles.bin")})
        )
        sheet = record(156, struct.pack("<II", 0, 1) + wide("r1") + wide("S"))
        archive.writestr("xl/workbook.bin", record(153, struct.pack("<II", from_1904, 0)) + sheet)
        archive.writestr("xl/styles.bin", styles)
        archive.writestr(
            "xl/sharedStrings.bin", b"".join(record(19, b"\0" + wide(one)) for one in texts)
        )
        archive.writestr("xl/worksheets/sheet1.bin", record(145) + rows + record(146))
    return path

"""A sheet that LibreOffice has saved in three formats, the old format, OpenDocument in its forms, and bad files."""

import io
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import xlwt

from etl_assets.exceptions import ConfigError, DataError
from tests.sources.workbooks import cell, document, ods_row, ods_text, only, rows_of, text, workbook

SHEETS = Path(__file__).parent / "sheets"

# Made with XlsxWriter, opened by LibreOffice 7.4 and saved in each format.
FIRST = {
    "i": 1,
    "f": 2.5,
    "t": "007",
    "date": date(2026, 1, 2),
    "moment": datetime(2026, 1, 2),  # noqa: DTZ001
    "ms": datetime(2026, 1, 2, 3, 4, 5, 678000),  # noqa: DTZ001
    "clock": time(1, 2, 3),
    "dur": timedelta(hours=26),
    "pct": 0.125,
    "cur": 9.99,
    "b": True,
    "empty": "",
    "err": None,
    "div": None,
    "mixed": "5",
    "multi": "line1\nline2",
    "spaces": "  two  spaces ",
    "rich": "a bold c",
    "big": 9007199254740991,
}
WRITTEN_OTHERWISE: dict[str, dict[str, Any]] = {
    "xlsx": {"big": 9007199254740990},  # 15 digits are what it writes
    "xls": {},
    "ods": {"ms": datetime(2026, 1, 2, 3, 4, 5, 680000), "b": 1},  # noqa: DTZ001 - as it stands in the file
}


@pytest.mark.parametrize("ending", WRITTEN_OTHERWISE)
def test_what_libreoffice_saves_is_read(ending: str) -> None:
    path = SHEETS / f"libreoffice.{ending}"
    first, second = rows_of(path, null_values=["#N/A", "#DIV/0!"])
    assert first == {**FIRST, **WRITTEN_OTHERWISE[ending]}
    assert (second["t"], second["dur"], second["clock"]) == ("x<&>\"'", timedelta(hours=12), time())
    assert rows_of(path, sheet="Second", header=False) == [{"column_1": "a"}]
    with pytest.raises(DataError, match=r"line 2: cell M2 holds the error #N/A \(sheet 'Data'\)"):
        rows_of(path)


def old(path: Path, rows: list[list[Any]], **styles: str) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for row, values in enumerate(rows):
        for place, value in enumerate(values):
            code = styles.get(f"c{place}") if row else None
            sheet.write(row, place, value, *([xlwt.easyxf(num_format_str=code)] if code else []))
    book.save(str(path))
    return path


def test_the_old_format_gives_the_same_values(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["whole", "part", "day", "moment", "clock", "long", "text", "truth", "none"],
        [1.0, 2.5, 45000, 45000, 0.5, 1.5, "007", True, None],
        [2.0, 0.1, 1, 45000.123456, 0.25, 0.5, "", False, None],
    ]
    formats = {"c2": "yyyy-mm-dd", "c3": "yyyy-mm-dd hh:mm", "c4": "hh:mm", "c5": "[h]:mm"}
    assert rows_of(old(tmp_path / "a.xls", rows, **formats)) == [
        {
            "whole": 1,
            "part": 2.5,
            "day": date(2023, 3, 15),
            "moment": datetime(2023, 3, 15),  # noqa: DTZ001
            "clock": time(12),
            "long": timedelta(hours=36),
            "text": "007",
            "truth": True,
            "none": None,
        },
        {
            "whole": 2,
            "part": 0.1,
            "day": date(1900, 1, 1),
            "moment": datetime(2023, 3, 15, 2, 57, 46, 598000),  # noqa: DTZ001
            "clock": time(6),
            "long": timedelta(hours=12),
            "text": None,
            "truth": False,
            "none": None,
        },
    ]
    with pytest.raises(DataError, match=r"a\.xls, line 2: cell A2 holds '60': 1900-02-29"):
        rows_of(old(tmp_path / "a.xls", [["a"], [60]], c0="yyyy-mm-dd"))


def test_a_file_is_read_as_what_it_is_whatever_it_is_called(tmp_path: Path) -> None:
    rows = cell("<c><v>7</v></c>")
    assert only(workbook(tmp_path / "a.xls", rows)) == 7
    workbook(tmp_path / "a.xlsx", rows).rename(tmp_path / "b.ods")
    assert only(tmp_path / "b.ods") == 7
    old(tmp_path / "c.xls", [["k", "v"], [1, 8]]).rename(tmp_path / "c.xlsx")
    assert only(tmp_path / "c.xlsx") == 8


# OpenDocument


def styles() -> str:
    return (
        '<number:date-style style:name="N1"><number:year/><number:hours/></number:date-style>'
        '<number:time-style style:name="N2" number:truncate-on-overflow="false"><number:hours/></number:time-style>'
        '<style:style style:name="moment" style:family="table-cell" style:data-style-name="N1"/>'
        '<style:style style:name="long" style:family="table-cell" style:data-style-name="N2"/>'
        '<style:style style:name="child" style:family="table-cell" style:parent-style-name="long"/>'
    )


VALUE = "table:table-cell office:value-type"


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        (f'<{VALUE}="float" office:value="5"/>', 5),
        (f'<{VALUE}="float" office:value="9007199254740993"/>', 2**53 + 1),
        (f'<{VALUE}="percentage" office:value="0.125"/>', 0.125),
        (f'<{VALUE}="currency" office:currency="EUR" office:value="9.99"/>', 9.99),
        (f'<{VALUE}="boolean" office:boolean-value="true"/>', True),
        (f'<{VALUE}="date" office:date-value="2026-01-02"/>', date(2026, 1, 2)),
        (
            f'<{VALUE}="date" table:style-name="moment" office:date-value="2026-01-02"/>',
            datetime(2026, 1, 2),  # noqa: DTZ001
        ),
        (
            f'<{VALUE}="date" office:date-value="2026-01-02T03:04:05"/>',
            datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001
        ),
        (
            f'<{VALUE}="date" office:date-value="2026-01-02T03:04:05.123456"/>',
            datetime(2026, 1, 2, 3, 4, 5, 123456),  # noqa: DTZ001
        ),
        (
            f'<{VALUE}="date" office:date-value="2026-01-02T03:04:05.677999999"/>',
            datetime(2026, 1, 2, 3, 4, 5, 678000),  # noqa: DTZ001
        ),
        (f'<{VALUE}="date" office:date-value="1600-02-29"/>', date(1600, 2, 29)),
        (
            f'<{VALUE}="date" office:date-value="2026-01-02T00:00:00Z"/>',
            datetime(2026, 1, 2, tzinfo=UTC),
        ),
        (f'<{VALUE}="time" office:time-value="PT01H02M03S"/>', time(1, 2, 3)),
        (f'<{VALUE}="time" office:time-value="PT01H02M03.5S"/>', time(1, 2, 3, 500000)),
        (
            f'<{VALUE}="time" table:style-name="child" office:time-value="PT01H00M00S"/>',
            timedelta(hours=1),
        ),
        (f'<{VALUE}="time" office:time-value="PT26H00M00S"/>', timedelta(hours=26)),
        (
            f'<{VALUE}="time" table:style-name="long" office:time-value="-PT1H"/>',
            timedelta(hours=-1),
        ),
        (
            f'<{VALUE}="string"><text:p>a</text:p><text:p/><text:p>b</text:p></table:table-cell>',
            "a\n\nb",
        ),
        (
            (
                f'<{VALUE}="string"><text:p><text:s text:c="2"/>a<text:s/> b\n   c<text:tab/>'
                "<text:line-break/>d</text:p>"
                "</table:table-cell>"
            ),
            "  a  b c\t\nd",
        ),
        (
            f'<{VALUE}="string"><text:p>a <text:span>b</text:span> <text:a>c</text:a></text:p></table:table-cell>',
            "a b c",
        ),
        (
            (
                f'<{VALUE}="string"><office:annotation><text:p>note</text:p></office:annotation><text:p>a</text:p>'
                "</table:table-cell>"
            ),
            "a",
        ),
        (
            f'<{VALUE}="string"><text:p>a <x:y xmlns:x="urn:x">b</x:y></text:p></table:table-cell>',
            "a b",
        ),
        (
            f'<{VALUE}="string"><x:y xmlns:x="urn:x"><text:p>drawn</text:p></x:y><text:p>a</text:p></table:table-cell>',
            "a",
        ),
        (
            f'<{VALUE}="string" office:string-value="long"><text:p>lo...</text:p></table:table-cell>',
            "long",
        ),
        ('<table:table-cell table:formula="of:=A1"><text:p/></table:table-cell>', ""),
        (
            "<table:table-cell><text:p>as some write it</text:p></table:table-cell>",
            "as some write it",
        ),
        ("<table:table-cell/>", None),
        ('<table:covered-table-cell office:value-type="float" office:value="5"/>', 5),
    ],
)
def test_a_cell_of_opendocument_comes_back(xml: str, value: Any, tmp_path: Path) -> None:
    rows = ods_row(ods_text("k"), ods_text("v")) + ods_row(ods_text("1"), xml)
    found = only(document(tmp_path / "a.ods", rows, styles=styles()))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (
            (
                f'<{VALUE}="string" office:string-value="" calcext:value-type="error"><text:p>#N/A</text:p>'
                "</table:table-cell>"
            ),
            "holds the error #N/A",
        ),
        (
            f'<{VALUE}="float" office:value="0" table:formula="of:=1/0"><text:p>#DIV/0!</text:p></table:table-cell>',
            "holds the error #DIV/0!",
        ),
        (
            f'<{VALUE}="string" table:formula="of:=A1:"><text:p>Err:502</text:p></table:table-cell>',
            "holds the error Err:502",
        ),
        ('<table:table-cell table:formula="of:=1+1"/>', "is a formula whose value is not stored"),
        (f'<{VALUE}="float" office:value="x"/>', "holds 'x': not a number"),
        (f'<{VALUE}="float"/>', "holds '': its value is missing"),
        (f'<{VALUE}="date" office:date-value="2026-02-30"/>', "holds '2026-02-30'"),
        (f'<{VALUE}="time" office:time-value="1:00"/>', "holds '1:00': not a duration"),
        (f'<{VALUE}="pixels"/>', "holds '': there is no type 'pixels'"),
    ],
)
def test_what_no_value_can_be_read_of_in_opendocument_names_its_cell(
    xml: str, message: str, tmp_path: Path
) -> None:
    rows = ods_row(ods_text("k"), ods_text("v")) + ods_row(ods_text("1"), xml)
    with pytest.raises(DataError) as caught:
        rows_of(document(tmp_path / "a.ods", rows))
    assert f"field 'v': a.ods, line 2: cell B2 {message}" in str(caught.value)


def test_repeated_cells_and_rows_are_read_as_often_as_they_are_there(tmp_path: Path) -> None:
    five = '<table:table-cell table:number-columns-repeated="2" office:value-type="float" office:value="5"/>'
    gap = '<table:table-cell table:number-columns-repeated="3"/>'
    end = '<table:table-cell table:number-columns-repeated="16000"/>'
    rows = (
        '<table:table-column table:number-columns-repeated="16384"/>'
        f"<table:table-header-rows>{ods_row(*map(ods_text, 'abcdef'), end)}</table:table-header-rows>"
        f'<table:table-row table:number-rows-repeated="2">{five}{gap}{ods_text("x")}{end}</table:table-row>'
        f'<table:table-row-group><table:table-row table:number-rows-repeated="3">{end}</table:table-row>'
        f"{ods_row(gap, five)}</table:table-row-group>"
        f'<table:table-row table:number-rows-repeated="1048000">{end}</table:table-row>'
    )
    twice = {"a": 5, "b": 5, "c": None, "d": None, "e": None, "f": "x", "_file": "a.ods"}
    assert rows_of(document(tmp_path / "a.ods", rows), with_origin=True) == [
        {**twice, "_line": 2},
        {**twice, "_line": 3},
        {"a": None, "b": None, "c": None, "d": 5, "e": 5, "f": None, "_file": "a.ods", "_line": 7},
    ]


# Bad files

LAUGHS = '<!DOCTYPE x [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;">]>'
FETCHES = '<!DOCTYPE x SYSTEM "file:///etc/hostname">'


@pytest.mark.parametrize("head", [LAUGHS, FETCHES])
def test_a_document_type_is_refused(head: str, tmp_path: Path) -> None:
    for path in (
        workbook(tmp_path / "a.xlsx", cell("<c><v>1</v></c>"), head=head),
        document(tmp_path / "a.ods", ods_row(ods_text("a")), head=head),
    ):
        with pytest.raises(DataError, match="declares a document type"):
            rows_of(path)


@pytest.mark.parametrize(
    "row",
    [
        (
            '<table:table-row table:number-rows-repeated="1000000">'
            '<table:table-cell table:number-columns-repeated="16384" '
            'office:value-type="float" office:value="5"/></table:table-row>'
        ),
        (
            '<table:table-row><table:table-cell table:number-columns-repeated="99999999" office:value-type="float" '
            'office:value="5"/></table:table-row>'
        ),
        (
            '<table:table-row><table:table-cell office:value-type="string">'
            '<text:p><text:s text:c="9999999999"/></text:p>'
            "</table:table-cell></table:table-row>"
        ),
        '<table:table-row table:number-rows-repeated="-1"/>',
    ],
)
def test_a_few_bytes_stand_for_few_cells(row: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.ods, line 2: "):
        rows_of(document(tmp_path / "a.ods", ods_row(ods_text("a")) + row))


def test_a_row_without_an_end_is_an_error_before_it_fills_the_memory(tmp_path: Path) -> None:
    long = text("x" * 300_000)
    with pytest.raises(DataError, match=r"a\.xlsx, line 2: a row of more than 100000 bytes"):
        rows_of(workbook(tmp_path / "a.xlsx", cell(long)), max_row_bytes=100_000)
    path = document(tmp_path / "a.ods", ods_row(ods_text("a")) + ods_row(ods_text("x" * 300_000)))
    with pytest.raises(DataError, match=r"a\.ods, line 2: a row of more than 100000 bytes"):
        rows_of(path, max_row_bytes=100_000)


@pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
def test_a_cut_file_is_an_error(ending: str, tmp_path: Path) -> None:
    whole = (SHEETS / f"libreoffice.{ending}").read_bytes()
    for size in (0, 7, 600, len(whole) // 2, len(whole) - 30):
        (tmp_path / f"a.{ending}").write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"a\.{ending}: "):
            rows_of(tmp_path / f"a.{ending}", null_values=["#N/A", "#DIV/0!"])


def test_changed_bytes_are_an_error(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", cell("<c><v>1</v></c>"))
    data = bytearray(path.read_bytes())
    with ZipFile(path) as archive:
        member = archive.getinfo("xl/worksheets/sheet1.xml")
    data[member.header_offset + 60 + len(member.filename)] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="is no whole spreadsheet"):
        rows_of(path)


@pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
def test_what_is_no_spreadsheet_is_an_error(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    empty = io.BytesIO()
    with ZipFile(empty, "w", ZIP_DEFLATED):
        pass
    for data in (b"<html><table>", b"id,name\n1,x\n", empty.getvalue()):
        path.write_bytes(data)
        with pytest.raises(DataError, match=rf"a\.{ending}: is no "):
            rows_of(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"))
    with pytest.raises(DataError, match="is locked with a password"):
        rows_of(path)


def test_the_old_format_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xlrd", None)
    with pytest.raises(ConfigError, match=r"old format needs xlrd.*etl-assets\[files\]"):
        rows_of(old(tmp_path / "a.xls", [["a"], [1]]))
    assert only(workbook(tmp_path / "a.xlsx", cell("<c><v>1</v></c>"))) == 1

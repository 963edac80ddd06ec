"""CSV files as offices write them, and that each hint works when it is followed to the letter."""

import ast
import codecs
import csv
import io
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.exceptions import ConfigError, DataError
from etl_assets.sync import sync
from tests.sources.test_files_values import rows_of, stream_of, typed, written

NUMBER = {"type": ["null", "number"]}
EXACT = {"type": ["null", "number"], "multipleOf": 0.01}
INTEGER = {"type": ["null", "integer"]}
DATE = {"type": ["null", "string"], "format": "date"}
MOMENT = {"type": ["null", "string"], "format": "date-time"}


def loaded(path: Path, text: str | bytes, **options: Any) -> list[tuple[Any, ...]]:
    """Load a file into DuckDB, and read the table with DuckDB itself."""
    source = FileSource("shop", str(written(path, text)), **options)
    database = str(path.with_suffix(".duckdb"))
    Path(database).unlink(missing_ok=True)
    sync(StreamRead(source, stream_of(source)), DuckDBDestination(database))
    with duckdb.connect(database, read_only=True) as connection:
        columns = "* EXCLUDE (_etl_assets_load_id, _etl_assets_loaded_at)"
        return connection.execute(f"SELECT {columns} FROM shop.shop").fetchall()


def options_of(hint: str) -> dict[str, Any]:
    """Take the options out of a hint, as somebody would copy them."""
    found = re.findall(r"(\w+)=(\[[^\]]*\]|'[^']*'|\"[^\"]*\"|\d+|True)", hint)
    return {name: ast.literal_eval(value) for name, value in found}


# Lines that are no rows


def test_lines_before_and_behind_the_table_are_passed_over(tmp_path: Path) -> None:
    text = 'Report "of\n\na,b\n1,2\n3,"x\ny"\n\nTotal "4\nPage 1\n'
    assert loaded(tmp_path / "a.csv", text, skip_rows=2, skip_footer=3) == [
        ("1", "2"),
        ("3", "x\ny"),
    ]
    found = rows_of(
        FileSource("shop", str(tmp_path / "a.csv"), skip_rows=2, skip_footer=3, with_origin=True)
    )
    assert [row["_line"] for row in found] == [4, 5]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_lines_are_counted_however_they_end(end: str, tmp_path: Path) -> None:
    text = end.join(["Report", "", "a,b", "1,2", "3,4", "Total", ""])
    assert loaded(tmp_path / "a.csv", text, skip_rows=2, skip_footer=1) == [("1", "2"), ("3", "4")]
    with pytest.raises(DataError, match="line 6: 1 cells"):
        loaded(tmp_path / "a.csv", text, skip_rows=2)


def test_more_footer_than_lines_is_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no header"):
        loaded(tmp_path / "a.csv", "a\n1\n", skip_footer=2)


def test_a_comment_is_a_line_that_begins_with_its_character(tmp_path: Path) -> None:
    text = '# made by us\na,b\n#x,y\n1,#2\n"#3","\n# text"\n4,5 # text\n#'
    found = loaded(tmp_path / "a.csv", text, comment="#")
    assert found == [("1", "#2"), ("#3", "\n# text"), ("4", "5 # text")]


def test_blank_lines_by_option(tmp_path: Path) -> None:
    assert loaded(tmp_path / "a.csv", "a,b\n\n1,2\n\n\n3,4\n\n", skip_blank_lines=True) == [
        ("1", "2"),
        ("3", "4"),
    ]
    assert loaded(tmp_path / "b.csv", "a\n1\n\n2\n", skip_blank_lines=True) == [("1",), ("2",)]


def test_several_rows_of_header_are_joined(tmp_path: Path) -> None:
    text = "id,Sales,,Cost,,note\n,2025,2026,2025,2026,\n7,1,2,3,4,x\n"
    found = rows_of(FileSource("shop", str(written(tmp_path / "a.csv", text)), header_rows=2))
    assert found == [
        {
            "id": "7",
            "Sales_2025": "1",
            "Sales_2026": "2",
            "Cost_2025": "3",
            "Cost_2026": "4",
            "note": "x",
        }
    ]


def test_rows_that_are_short_end_in_null_by_option(tmp_path: Path) -> None:
    assert loaded(tmp_path / "a.csv", "a,b,c\n1\n1,2\n1,2,\n", short_rows="null") == [
        ("1", None, None),
        ("1", "2", None),
        ("1", "2", ""),
    ]
    with pytest.raises(DataError, match="line 2: 4 cells"):
        loaded(tmp_path / "a.csv", "a,b,c\n1,2,3,4\n", short_rows="null")


# Escapes


def test_an_escape_keeps_quotes_delimiters_and_the_ends_of_lines(tmp_path: Path) -> None:
    cells = ['x "y"', "a,b", "\\", 'end\\"', "two\nlines", "two\r\nlines", "", "'"]
    for quoting in (csv.QUOTE_ALL, csv.QUOTE_NONE):
        file = io.StringIO()
        writer = csv.writer(
            file, quoting=quoting, escapechar="\\", doublequote=False, lineterminator="\r\n"
        )
        writer.writerows([["a", "b"], *([cell, "1"] for cell in cells)])
        assert loaded(tmp_path / "a.csv", file.getvalue(), escape="\\") == [
            (cell, "1") for cell in cells
        ]


def test_an_escaped_letter_is_refused_for_it_has_two_meanings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: '\\\\t': some programs mean"):
        loaded(tmp_path / "a.csv", "a\nx\nC:\\temp\n", escape="\\")
    with pytest.raises(DataError) as caught:
        loaded(tmp_path / "a.csv", "a,b\n\\N,x\n", escape="\\")
    options = options_of(str(caught.value.hint))
    assert loaded(tmp_path / "a.csv", "a,b\n\\N,x\\\\N\n", escape="\\", **options) == [
        (None, "x\\N")
    ]


def test_a_quote_as_its_own_escape_is_the_usual_one(tmp_path: Path) -> None:
    assert loaded(tmp_path / "a.csv", 'a\n"x ""y"""\n', escape='"') == [('x "y"',)]


# Numbers and dates


@pytest.mark.parametrize(
    ("options", "text", "value"),
    [
        ({"decimal": ","}, "45,38", Decimal("45.38")),
        ({"decimal": ","}, "-,5", Decimal("-0.50")),
        ({"decimal": ",", "thousands": "."}, "1.234.567,89", Decimal("1234567.89")),
        ({"decimal": ",", "thousands": "."}, "1234,5", Decimal("1234.50")),
        ({"decimal": ",", "thousands": "."}, "1.234", Decimal("1234.00")),
        ({"decimal": ",", "thousands": " "}, "1\u202f234\u00a0567,8", Decimal("1234567.80")),
        ({"thousands": ","}, "12,34,567.8", Decimal("1234567.80")),
        ({"thousands": "'"}, "1\u2019234'567.85", Decimal("1234567.85")),
        ({"decimal": ","}, "1.5", None),
        ({"decimal": ",", "thousands": "."}, "1.5", None),
        ({"decimal": ",", "thousands": "."}, "1.2345", None),
        ({"decimal": ",", "thousands": "."}, "1234.567", None),
        ({"thousands": ","}, "1,5", None),
        ({"decimal": ","}, "1,5,6", None),
        ({}, "1,5", None),
    ],
)
def test_numbers_as_they_are_written(
    options: dict[str, Any], text: str, value: Decimal | None, tmp_path: Path
) -> None:
    content, schema = f"a;b\n{text};{text}\n", typed(a=EXACT)
    if value is None:
        with pytest.raises(DataError, match=re.escape(f"Value: {text!r}")):
            loaded(tmp_path / "a.csv", content, delimiter=";", schema=schema, **options)
    else:
        assert loaded(tmp_path / "a.csv", content, delimiter=";", schema=schema, **options) == [
            (value, text)
        ]


def test_integers_with_thousands(tmp_path: Path) -> None:
    schema = typed(a=INTEGER)
    assert loaded(tmp_path / "a.csv", 'a\n"-1,234,567"\n89\n', thousands=",", schema=schema) == [
        (-1234567,),
        (89,),
    ]


def test_numbers_and_dates_are_inferred_as_the_options_say_and_others_stay_text(
    tmp_path: Path,
) -> None:
    text = "n;d;v;i\n1.234,5;24.12.2026;1.10;2026-12-24\n0,25;01.02.2026;2,5;2026-12-25\n"
    found = loaded(
        tmp_path / "a.csv",
        text,
        delimiter=";",
        types="infer",
        decimal=",",
        thousands=".",
        date_format="%d.%m.%Y",
    )
    assert found == [
        (1234.5, date(2026, 12, 24), "1.10", "2026-12-24"),
        (0.25, date(2026, 2, 1), "2,5", "2026-12-25"),
    ]


def test_dates_by_a_format_for_all_or_for_each_field(tmp_path: Path) -> None:
    text = "a,b,c,d\n24.12.2026,31/01/26 23:59:59,2026-01-02T03:04:05+0200,3:07 PM\n,,,\n"
    formats = {
        "a": "%d.%m.%Y",
        "b": "%d/%m/%y %H:%M:%S",
        "c": "%Y-%m-%dT%H:%M:%S%z",
        "d": "%I:%M %p",
    }
    whole = (
        date(2026, 12, 24),
        datetime(2026, 1, 31, 23, 59, 59),  # noqa: DTZ001 - as the file has it
        datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC),
        time(15, 7),
    )
    assert loaded(tmp_path / "a.csv", text, date_format=formats) == [whole, (None,) * 4]
    source = FileSource("shop", str(tmp_path / "a.csv"), date_format=formats)
    stream = source.discover().streams[0]
    assert (stream.schema or {})["properties"]["a"]["format"] == "date"
    schema = typed(a=DATE)
    assert loaded(tmp_path / "b.csv", "a\n1.2.2026\n", date_format="%d.%m.%Y", schema=schema) == [
        (date(2026, 2, 1),)
    ]


@pytest.mark.parametrize(
    ("format_", "text", "day"),
    [
        ("%Y-%j", "2024-366", date(2024, 12, 31)),
        ("%a %d.%m.%Y", "WED 31.12.2025", date(2025, 12, 31)),
        ("%A, %d %B %Y", "Wednesday, 31 December 2025", date(2025, 12, 31)),
    ],
)
def test_days_of_the_week_and_of_the_year(
    format_: str, text: str, day: date, tmp_path: Path
) -> None:
    assert loaded(
        tmp_path / "a.csv", f'a\n"{text}"\n', date_format=format_, schema=typed(a=DATE)
    ) == [(day,)]


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("%d.%m.%Y", "2026-02-01"),
        ("%d.%m.%Y", "30.02.2026"),
        ("%Y%m%d", "2026111"),
        (["%d/%m/%Y", "%m/%d/%Y"], "01/02/2026"),
        ("%Y-%j", "2026-366"),
        ("%a %d.%m.%Y", "Mon 31.12.2025"),
        ("%d.%m.%Y, %A", "31.12.2025, Monday"),
    ],
)
def test_a_date_of_another_form_is_refused(format_: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"Value: {text!r}")):
        loaded(tmp_path / "a.csv", f'a\n"{text}"\n', date_format=format_, schema=typed(a=DATE))


@pytest.mark.parametrize(
    "options",
    [
        {"decimal": "5"},
        {"decimal": ",", "thousands": ","},
        {"thousands": ".", "decimal": "."},
        {"date_format": "%d.%m."},
        {"date_format": "%H %Z"},
        {"date_format": "x"},
        {"date_format": 7},
        {"date_format": "%m/%d/%Y %H:%M %p"},
        {"date_format": "%m/%d/%Y %I:%M"},
        {"date_format": "%Y-%m-%d %j"},
        {"skip_rows": -1},
        {"skip_footer": "1"},
        {"header_rows": 0},
        {"header_rows": 2, "header": ["a"]},
        {"comment": "//"},
        {"escape": ""},
        {"short_rows": "pad"},
        {"encoding": ["utf-8", "klingon"]},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FileSource("shop", "a.csv", **options)


# Delimiters


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_inferred_of_rows_that_have_one_width(
    delimiter: str, tmp_path: Path
) -> None:
    rows = [["a", "b"], ["1", "x;y,z\t|"], ["", "2\n3"]]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    assert loaded(tmp_path / "a.csv", file.getvalue(), delimiter="infer") == [
        tuple(row) for row in rows[1:]
    ]


def test_a_delimiter_that_is_not_clear_is_asked_for(tmp_path: Path) -> None:
    for text in ("a,b;c\n1,2;3\n", "a,b\n1;2\n"):
        with pytest.raises(DataError, match="delimiter is not clear") as caught:
            loaded(tmp_path / "a.csv", text, delimiter="infer")
        assert "delimiter" in options_of(str(caught.value.hint))
    assert loaded(tmp_path / "b.csv", "a\n1\n2\n", delimiter="infer") == [("1",), ("2",)]
    assert loaded(tmp_path / "c.csv", "a;b\n1,5;2,5\n", delimiter="infer") == [("1,5", "2,5")]


def test_the_line_that_tells_excel_the_delimiter_is_no_row(tmp_path: Path) -> None:
    for options in ({}, {"delimiter": "infer"}, {"delimiter": ";"}):
        assert loaded(tmp_path / "a.csv", "sep=;\r\na;b\r\n1;2\r\n", **options) == [("1", "2")]


# Encodings

TEXT = "id,name\n1,Müller\n2,Łódź 東京\n"


@pytest.mark.parametrize(
    ("signature", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("asked", ["utf-8", "cp1252", "detect", ["utf-8", "latin-1"]])
def test_a_signature_tells_the_encoding(
    signature: bytes, encoding: str, asked: Any, tmp_path: Path
) -> None:
    found = loaded(tmp_path / "a.csv", signature + TEXT.encode(encoding), encoding=asked)
    assert found == [("1", "Müller"), ("2", "Łódź 東京")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_what_can_be_proved_is_detected_and_said(encoding: str, tmp_path: Path) -> None:
    assert loaded(tmp_path / "a.csv", TEXT.encode(encoding), encoding="detect") == [
        ("1", "Müller"),
        ("2", "Łódź 東京"),
    ]
    source = FileSource("shop", str(tmp_path / "a.csv"), encoding="detect")
    remarks = [
        batch.remark for batch in StreamRead(source, stream_of(source)).open(None) if batch.remark
    ]
    assert remarks == (
        [] if encoding == "utf-8" else [f"'a.csv' is read as {encoding}, as all of its bytes allow"]
    )


@pytest.mark.parametrize("encoding", ["cp1252", "cp1250", "cp1251", "cp932", "gb18030", "latin-1"])
def test_what_cannot_be_proved_is_never_guessed_and_each_encoding_that_is_named_works(
    encoding: str, tmp_path: Path
) -> None:
    words = {"cp1251": "Привет", "cp932": "東京", "gb18030": "北京", "cp1250": "Łódź"}
    text = f"id,name\n1,x\n2,{words.get(encoding, 'Müller')}\n"
    for asked in ("utf-8", "detect", ["utf-8", "ascii"]):
        with pytest.raises(DataError) as caught:
            loaded(tmp_path / "a.csv", text.encode(encoding), encoding=asked)
        named = re.findall(r"encoding='([^']+)'", str(caught.value.hint))
        assert named
        for one in named:
            assert loaded(tmp_path / "b.csv", text.encode(encoding), encoding=one)[1][
                1
            ] == text.encode(encoding).decode(one).split(",")[-1].strip("\n")
    assert loaded(tmp_path / "a.csv", text.encode(encoding), encoding=["utf-8", encoding])[1][
        1
    ] == (words.get(encoding, "Müller"))


def test_a_byte_that_the_encoding_has_not_names_file_line_and_what_it_would_be(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match=r"a\.csv, line 3: .*byte 0xfc") as caught:
        loaded(tmp_path / "a.csv", "id,name\n1,x\n2,Müller\n".encode("cp1252"))
    assert "encoding='cp1252' ('2,Müller')" in str(caught.value.hint)


# Hints that are followed to the letter


@pytest.mark.parametrize(
    ("text", "options", "rows"),
    [
        ("id,name,name\n1,Ada,Lovelace\n", {}, [("1", "Ada", "Lovelace")]),
        ("Report\n\nid,,\n1,Ada,Lovelace\n", {"skip_rows": 2}, [("1", "Ada", "Lovelace")]),
        ('# x\n"two\nlines","two\nlines"\n1,2\n', {"comment": "#"}, [("1", "2")]),
        ("a,\n,a\n1,2\n", {"header_rows": 2}, [("1", "2")]),
        ("a,b,c\n1,2\n", {}, [("1", "2", None)]),
        ('a,b\n1,"x \\"y\\""\n', {}, [("1", 'x "y"')]),
        ("a,b\n\n1,2\n", {}, [("1", "2")]),
    ],
)
def test_a_hint_followed_to_the_letter_loads_the_rows_and_nothing_else(
    text: str, options: dict[str, Any], rows: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        loaded(tmp_path / "a.csv", text, **options)
    hint = str(caught.value.hint)
    left = {name: value for name, value in options.items() if f"without {name}" not in hint}
    assert loaded(tmp_path / "a.csv", text, **{**left, **options_of(hint)}) == rows


def test_names_that_the_file_has_too_are_no_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: the names of the columns stand here") as caught:
        loaded(tmp_path / "a.csv", "a,b\na,b\n1,2\n", header=["a", "b"])
    options = options_of(str(caught.value.hint))
    assert loaded(tmp_path / "a.csv", "a,b\n1,2\na,b\n", header=["a", "b"], **options) == [
        ("1", "2"),
        ("a", "b"),
    ]


def test_a_header_that_names_too_few_columns_is_replaced(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: 3 cells, where the header has 2") as caught:
        loaded(tmp_path / "a.csv", '"x","y"\n"1",5,6\n')
    options = options_of(str(caught.value.hint))
    assert options["skip_rows"] == 1
    assert loaded(
        tmp_path / "a.csv", '"x","y"\n"1",5,6\n', **{**options, "header": ["row", "x", "y"]}
    ) == [("1", "5", "6")]

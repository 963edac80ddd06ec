"""Every form of a cell that a workbook can have comes back as what it is, or is an error that names the cell."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
import xlsxwriter

from etl_assets.exceptions import DataError
from tests.sources.workbooks import (
    HEADER,
    MAIN,
    STRICT,
    cell,
    only,
    rows_of,
    tables_of,
    text,
    workbook,
)

TEXTS = (
    "<si><r><rPr><b/></rPr><t>ri</t></r><r><t xml:space='preserve'> ch</t></r>"
    '<phoneticPr fontId="1"/><rPh sb="0" eb="1"><t>READ ALOUD</t></rPh></si>'
    "<si><t xml:space='preserve'>  two  spaces </t></si>"
    "<si><t/></si>"
    "<si/>"
    "<si><t>a_x000D_\nb_x005F_x000D_c_X000D_d_x00e9_e_x12_f_xD83D__xDE00_</t></si>"
)


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        ("<c><v>5</v></c>", 5),
        ("<c t='n'><v> 5.0 </v></c>", 5),
        ("<c><v>1E3</v></c>", 1000),
        ("<c><v>-0.5</v></c>", -0.5),
        ("<c><v>9.9900000000000002</v></c>", 9.99),
        ("<c><v>0.30000000000000004</v></c>", 0.30000000000000004),
        ("<c><v>1.0000000000000002</v></c>", 1.0000000000000002),
        ("<c><v>9007199254740993</v></c>", 2**53 + 1),
        ("<c><v>12345678901234567890</v></c>", Decimal(12345678901234567890)),
        ("<c><v>1.2345678901234567E+19</v></c>", 1.2345678901234567e19),
        ("<c s='0'><v/></c>", None),
        ("<c/>", None),
        ("<c t='s'><v>0</v></c>", "ri ch"),
        ("<c t='s'><v>1</v></c>", "  two  spaces "),
        ("<c t='s'><v>2</v></c>", ""),
        ("<c t='s'><v>3</v></c>", ""),
        ("<c t='s'><v>4</v></c>", "a\r\nb_x000D_c_X000D_dée_x12_f\U0001f600"),
        ("<c t='str'><f>A1</f><v>007</v></c>", "007"),
        ("<c t='str'><f>A1</f><v>a_x000D_b</v></c>", "a\rb"),
        ("<c t='str'><f>A1</f><v></v></c>", ""),
        ("<c t='str'><f>A1</f><v/></c>", ""),
        ("<c t='str'><f>A1</f></c>", ""),
        ("<c t='str'><f t='shared' si='0'/><v>x</v></c>", "x"),
        ("<c t='inlineStr'><is><t>a_x000D_b</t></is></c>", "a\rb"),
        (
            "<c t='inlineStr'><is><r><t>a</t></r><r><t> b</t></r><rPh sb='0' eb='1'><t>P</t></rPh></is></c>",
            "a b",
        ),
        ("<c t='inlineStr'>\n <is>\n  <t>a</t>\n </is>\n</c>", "a"),
        ("<c t='inlineStr'><v>as some write it</v></c>", "as some write it"),
        ("<c t='inlineStr'><v>1.0</v><is><t>1.01</t></is></c>", "1.01"),
        ("<c t='b'><v>1</v></c>", True),
        ("<c t='b'><f>A2=1</f><v>0</v></c>", False),
        ("<c t='b'><v>true</v></c>", True),
        ("<c t='d'><v>2026-01-02</v></c>", date(2026, 1, 2)),
        ("<c t='d' s='1'><v>2026-01-02T00:00:00</v></c>", date(2026, 1, 2)),
        ("<c t='d'><v>2026-01-02T03:04:05.678</v></c>", datetime(2026, 1, 2, 3, 4, 5, 678000)),  # noqa: DTZ001
        (
            "<c t='d'><v>2026-01-02T03:04:05+01:00</v></c>",
            datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC),
        ),
        ("<c t='d'><v>03:04:05</v></c>", time(3, 4, 5)),
        ("<c s='1'><v>43831</v></c>", date(2020, 1, 1)),
        ("<c><f>A1</f><v>7</v><extLst><ext><x:v xmlns:x='urn:other'>8</x:v></ext></extLst></c>", 7),
    ],
)
def test_a_cell_comes_back(xml: str, value: Any, tmp_path: Path) -> None:
    found = only(workbook(tmp_path / "a.xlsx", cell(xml), texts=TEXTS, formats=[14]))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<c r='B2'><f>1+1</f></c>", "cell B2 is a formula whose value is not stored"),
        ("<c r='B2'><f>1+1</f><v/></c>", "cell B2 is a formula whose value is not stored"),
        ("<c t='b'><f>1=1</f><v/></c>", "cell B2 is a formula whose value is not stored"),
        ("<c t='e'><v>#N/A</v></c>", "cell B2 holds the error #N/A"),
        ("<c t='e'><f>1/0</f><v>#DIV/0!</v></c>", "cell B2 holds the error #DIV/0!"),
        ("<c><v>5,5</v></c>", "cell B2 holds '5,5': not a number"),
        ("<c><v>1_000</v></c>", "cell B2 holds '1_000': not a number"),
        ("<c><v>nan</v></c>", "cell B2 holds 'nan': not a number"),
        ("<c><v>1e999</v></c>", "cell B2 holds '1e999': not a number"),
        ("<c t='s'><v>99</v></c>", "cell B2 holds '99': there are fewer shared texts"),
        ("<c t='s'><v>-1</v></c>", "cell B2 holds '-1': no number of a text"),
        ("<c t='b'><v>yes</v></c>", "cell B2 holds 'yes': no boolean"),
        ("<c t='d'><v>soon</v></c>", "cell B2 holds 'soon': not a date or time"),
        ("<c t='d'><v>2026-02-30</v></c>", "cell B2 holds '2026-02-30'"),
        ("<c t='x'><v>1</v></c>", "cell B2 holds '1': there is no type 'x'"),
        ("<c s='1'><v>60</v></c>", "cell B2 holds '60': 1900-02-29, a day that there was not"),
        ("<c s='1'><v>0</v></c>", "cell B2 holds '0': before the first date"),
        ("<c s='1'><v>-1</v></c>", "cell B2 holds '-1': before the first date"),
        ("<c s='1'><v>2958466</v></c>", "cell B2 holds '2958466': beyond 9999-12-31"),
        ("<c s='1'><v>1e300</v></c>", "cell B2 holds '1e300': beyond"),
    ],
)
def test_what_no_value_can_be_read_of_names_everything_and_is_null_where_that_is_said(
    xml: str, message: str, tmp_path: Path
) -> None:
    path = workbook(tmp_path / "a.xlsx", {"Sheet one": cell(xml)}, formats=[14])
    with pytest.raises(DataError) as caught:
        rows_of(path)
    told = str(caught.value)
    assert told.startswith(f"stream 's', field 'v': a.xlsx, line 2: {message}")
    assert "sheet 'Sheet one'" in told
    if "null_values" in told:  # the hint, followed to the letter
        listed = told.rpartition("Value: ")[2].partition("'. ")[0].strip("'")
        assert only(path, null_values=[listed]) is None


def test_what_is_not_asked_for_may_have_errors(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", cell("<c t='e'><v>#N/A</v></c>"))
    assert rows_of(path, cells="A:A") == [{"k": 1}]
    assert rows_of(path, skip_rows=2) == []


@pytest.mark.parametrize(
    ("number", "format_", "value"),
    [
        *(
            ("45000.25", one, datetime(2023, 3, 15, 6))  # noqa: DTZ001
            for one in (14, 15, 16, 17, 22, 27, 36, 50, 58, 34)
        ),
        *(("45000", one, date(2023, 3, 15)) for one in (14, 17, 27, 36, 50, 57, 34, 71, 81)),
        ("45000", 22, datetime(2023, 3, 15)),  # noqa: DTZ001
        *(("0.25", one, time(6)) for one in (18, 19, 20, 21, 32, 45, 47, 34, 55, 75)),
        *(("1.25", one, timedelta(hours=30)) for one in (46, 79)),
        *(
            ("45000.25", one, 45000.25)
            for one in (0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 37, 40, 44, 48, 49, 61)
        ),
        ("45000", "yyyy-mm-dd", date(2023, 3, 15)),
        ("45000", "[$-409]d\\-mmm\\-yy;@", date(2023, 3, 15)),
        ("45000", "[$-F800]dddd, mmmm dd, yyyy", date(2023, 3, 15)),
        ("45000", 'd"."mm"."yyyy', date(2023, 3, 15)),
        ("45000", "MMM YY", date(2023, 3, 15)),
        ("45000", "[Red]mm", date(2023, 3, 15)),
        ("45000", "[$-411]ge.m.d", date(2023, 3, 15)),
        ("45000", "yyyy\\-mm\\-dd\\ hh:mm:ss", datetime(2023, 3, 15)),  # noqa: DTZ001
        ("45000", "m/d/yy h:mm AM/PM", datetime(2023, 3, 15)),  # noqa: DTZ001
        ("45000.5", "yyyy-mm-dd", datetime(2023, 3, 15, 12)),  # noqa: DTZ001
        ("0.75", "[$-F400]h:mm:ss AM/PM", time(18)),
        ("0.75", 'hh"h" mm"min"', time(18)),
        ("0.75", "mm:ss.0", time(18)),
        ("1.5", "h:mm", datetime(1900, 1, 1, 12)),  # noqa: DTZ001
        ("1.5", "[hh]:mm:ss", timedelta(hours=36)),
        ("1.5", "[mm]:ss", timedelta(hours=36)),
        ("-0.5", "[s].000", timedelta(hours=-12)),
        ("1.5", "[h]:mm;-[h]:mm", timedelta(hours=36)),
        ("7", '0 "days"', 7),
        ("7", "0\\d", 7),
        ("7", '"day" 0', 7),
        ("7", "[Red]0.00;[Blue]-0.00", 7),
        ("7", "[$€-407] #,##0.00", 7),
        ("7", "_-* #,##0.00 [$€-407]_-", 7),
        ("7", "General", 7),
        ("7", 'General" m"', 7),
        ("7", "0.00E+00", 7),
        ("7", "##0.0E+0", 7),
        ("7", "0.0%", 7),
        ("7", "@", 7),
        ("7", ";;;", 7),
        ("7", "# ?/?", 7),
        ("7", '"yyyy"', 7),
    ],
)
def test_the_format_tells_dates_from_numbers(
    number: str, format_: str | int, value: Any, tmp_path: Path
) -> None:
    found = only(
        workbook(tmp_path / "a.xlsx", cell(f"<c s='1'><v>{number}</v></c>"), formats=[format_])
    )
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("number", "from_1904", "value"),
    [
        ("1", 0, date(1900, 1, 1)),
        ("59", 0, date(1900, 2, 28)),
        ("61", 0, date(1900, 3, 1)),
        ("2958465", 0, date(9999, 12, 31)),
        ("0", 1, date(1904, 1, 1)),
        ("60", 1, date(1904, 3, 1)),
        ("2957003", 1, date(9999, 12, 31)),
        ("43831.1234567", 0, datetime(2020, 1, 1, 2, 57, 46, 659000)),  # noqa: DTZ001
        ("43830.999999999", 0, date(2020, 1, 1)),
    ],
)
def test_days_count_from_1900_or_1904(
    number: str, from_1904: int, value: Any, tmp_path: Path
) -> None:
    properties = f'<workbookPr date1904="{from_1904}"/>'
    path = workbook(
        tmp_path / "a.xlsx",
        cell(f"<c s='1'><v>{number}</v></c>"),
        formats=[14],
        properties=properties,
    )
    assert only(path) == value


def test_every_millisecond_comes_back_of_files_by_others(tmp_path: Path) -> None:
    start = datetime(2026, 1, 2, 23, 59, 58)  # noqa: DTZ001
    moments = [start + timedelta(milliseconds=7 * step) for step in range(400)]
    book = openpyxl.Workbook()
    book.active.append(["v"])
    for moment in moments:
        book.active.append([moment])
    book.save(tmp_path / "a.xlsx")
    other = xlsxwriter.Workbook(tmp_path / "b.xlsx")
    sheet = other.add_worksheet()
    sheet.write(0, 0, "v")
    for row, moment in enumerate(moments, 1):
        sheet.write_datetime(
            row, 0, moment, other.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        )
    other.close()
    for name in ("a.xlsx", "b.xlsx"):
        assert [row["v"] for row in rows_of(tmp_path / name)] == moments


def test_texts_of_any_character_come_back_of_files_by_others(tmp_path: Path) -> None:
    texts = [
        "a\r\nb",
        "bell\x07",
        "literal _x000D_ typed",
        "_x005F_",
        "ü€😀",
        "  spaces ",
        "'q",
        "=no",
        "\t",
        "<&>",
    ]
    book = xlsxwriter.Workbook(tmp_path / "a.xlsx", {"strings_to_formulas": False})
    for row, one in enumerate(["v", *texts]):
        book.worksheets()[0].write_string(
            row, 0, one
        ) if row else book.add_worksheet().write_string(0, 0, one)
    book.close()
    assert [row["v"] for row in rows_of(tmp_path / "a.xlsx")] == texts


GIVEN: list[tuple[Any, Any]] = [
    ("", ""),
    (" ", " "),
    ("5", "5"),
    ("TRUE", "TRUE"),
    ("2026-01-01", "2026-01-01"),
    (True, True),
    (False, False),
    (7, 7),
    (1.5, 1.5),
]


@pytest.mark.parametrize(("given", "value"), GIVEN)
@pytest.mark.parametrize("options", [{}, {"date_1904": True}, {"constant_memory": True}])
@pytest.mark.parametrize("shown", ["General", "yyyy-mm-dd"])
def test_a_formula_of_xlsxwriter_has_the_value_it_was_given(
    given: Any, value: Any, options: Any, shown: str, tmp_path: Path
) -> None:
    book = xlsxwriter.Workbook(tmp_path / "a.xlsx", options)
    sheet, form = book.add_worksheet(), book.add_format({"num_format": shown})
    sheet.write(0, 0, "v")
    sheet.write_formula(1, 0, "=B1", form, given)
    book.close()
    (row,) = rows_of(tmp_path / "a.xlsx")
    if shown == "General" or isinstance(value, str | bool):  # a number shown as a date is one
        assert row["v"] == value
        assert type(row["v"]) is type(value)


@pytest.mark.parametrize(
    ("given", "told"), [("#N/A", "the error #N/A"), (None, "'None': not a number")]
)
def test_a_formula_of_xlsxwriter_without_a_value_is_refused(
    given: Any, told: str, tmp_path: Path
) -> None:
    book = xlsxwriter.Workbook(tmp_path / "a.xlsx")
    book.add_worksheet().write_column(0, 0, ["v"])
    book.worksheets()[0].write_formula(1, 0, "=B1", None, given)
    book.close()
    with pytest.raises(DataError, match=told):
        rows_of(tmp_path / "a.xlsx")


def test_a_formula_that_nobody_computed_is_no_empty_text(tmp_path: Path) -> None:
    """The cell is written as XlsxWriter writes an empty text, by another program, also over a file of XlsxWriter's."""
    book = xlsxwriter.Workbook(tmp_path / "x.xlsx")
    book.add_worksheet().write(0, 0, "v")
    book.close()
    for path in (None, tmp_path / "x.xlsx"):
        made = openpyxl.Workbook() if path is None else openpyxl.load_workbook(path)
        assert made.active is not None
        made.active["A1"], made.active["A2"] = "v", "=1+1"
        made.save(tmp_path / "a.xlsx")
        with pytest.raises(DataError, match="is not stored in the file"):
            rows_of(tmp_path / "a.xlsx")


def test_cells_and_rows_need_no_names_and_may_leave_others_out(tmp_path: Path) -> None:
    rows = (
        f"<row>{text('a')}{text('b')}{text('c')}</row>"
        "<row><c/><c><v>1</v></c></row>"
        "<row r='7'><c r='C7'><v>2</v></c></row>"
        "<row><c r='A9'><v>3</v></c><c><v>4</v></c></row>"
        "<row r='12'/>"
    )
    for prefix, namespace in (("", MAIN), ("", STRICT), ("x:", MAIN)):
        data = rows
        if prefix:
            for element in ("row", "c", "v", "is", "t"):
                for old, new in (
                    (f"<{element}>", f"<x:{element}>"),
                    (f"<{element} ", f"<x:{element} "),
                ):
                    data = data.replace(old, new)
                data = data.replace(f"<{element}/>", f"<x:{element}/>").replace(
                    f"</{element}>", f"</x:{element}>"
                )
        path = workbook(tmp_path / "a.xlsx", data, namespace=namespace, prefix=prefix)
        assert rows_of(path, with_origin=True) == [
            {"a": None, "b": 1, "c": None, "_file": "a.xlsx", "_line": 2},
            {"a": None, "b": None, "c": 2, "_file": "a.xlsx", "_line": 7},
            {"a": 3, "b": 4, "c": None, "_file": "a.xlsx", "_line": 9},
        ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "<row r='2'><c r='B2'><v>1</v></c><c r='B2'><v>2</v></c></row>",
            "line 2: cell B2 is there twice",
        ),
        ("<row r='1'><c><v>1</v></c></row>", "row 1 is not behind row 1"),
        ("<row r='2'><c r='XFE2'><v>1</v></c></row>", "there is no column 'XFE'"),
        ("<row r='2'><c r='b2'><v>1</v></c></row>", "there is no column 'b'"),
        ("<row r='99999999999'><c><v>1</v></c></row>", "there is no row '99999999999'"),
        ("<row r='2'><c r='XFD2'><v>1</v></c></row>", "its column has no name: XFD2"),
    ],
)
def test_places_that_no_sheet_has_are_errors(row: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        rows_of(workbook(tmp_path / "a.xlsx", HEADER + row))


def test_a_cell_behind_the_last_column_is_kept_where_columns_have_no_names(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx", "<row><c><v>1</v></c></row><row><c r='XFD2'><v>2</v></c></row>"
    )
    first, second = rows_of(path, header=False)
    assert (first["column_1"], second["column_16384"], len(first)) == (1, 2, 16384)


# Columns


def column(path: Path, *cells: str, **options: Any) -> pa.Array:
    rows = "".join(f"<row>{one}</row>" for one in (text("v") + text("w"), *cells))
    (table,) = tables_of(workbook(path, rows, formats=[14, 22, 21]), **options)
    return table.column("v").combine_chunks()


NUMBER, DAY, MOMENT, CLOCK = (
    "<c><v>5</v></c>",
    "<c s='1'><v>2</v></c>",
    "<c s='2'><v>2.5</v></c>",
    "<c s='3'><v>.5</v></c>",
)


@pytest.mark.parametrize(
    ("cells", "type_", "values"),
    [
        ([DAY, MOMENT], pa.timestamp("us"), [datetime(1900, 1, 2), datetime(1900, 1, 2, 12)]),  # noqa: DTZ001
        ([NUMBER, "<c><v>2.5</v></c>"], pa.float64(), [5, 2.5]),
        ([NUMBER, text("103-A")], pa.string(), ["5", "103-A"]),
        ([NUMBER, text("007"), f"<c/>{NUMBER}"], pa.string(), ["5", "007", None]),
        (
            ["<c><v>2.50</v></c>", text("x"), "<c t='b'><v>1</v></c>"],
            pa.string(),
            ["2.5", "x", "true"],
        ),
        ([NUMBER, DAY], pa.string(), ["5", "1900-01-02"]),
        ([DAY, text("soon"), MOMENT], pa.string(), ["1900-01-02", "soon", "1900-01-02 12:00:00"]),
        ([CLOCK, MOMENT], pa.string(), ["12:00:00", "1900-01-02 12:00:00"]),
        ([NUMBER, text("")], pa.int64(), [5, None]),
        ([DAY, "<c t='str'><f>A1</f><v/></c>"], pa.date32(), [date(1900, 1, 2), None]),
        ([text("x"), text("")], pa.string(), ["x", ""]),
        ([text(""), text("")], pa.string(), ["", ""]),
    ],
)
def test_a_column_has_one_type(
    cells: list[str], type_: pa.DataType, values: list[Any], tmp_path: Path
) -> None:
    found = column(tmp_path / "a.xlsx", *cells)
    assert (found.type, found.to_pylist()) == (type_, values)


@pytest.mark.parametrize(
    ("declared", "xml", "value"),
    [
        ({"type": "integer"}, "<c><v>1.0</v></c>", 1),
        ({"type": "integer"}, text("12"), 12),
        ({"type": "integer"}, text(""), None),
        ({"type": "number"}, NUMBER, 5.0),
        (
            {"type": "number", "multipleOf": 0.01},
            "<c><v>1.1000000000000001</v></c>",
            Decimal("1.10"),
        ),
        ({"type": "string"}, NUMBER, "5"),
        ({"type": "string"}, DAY, "1900-01-02"),
        ({"type": "string"}, text(""), ""),
        ({"type": "boolean"}, text("TRUE"), True),
        ({"type": "string", "format": "date"}, text("2026-01-02"), date(2026, 1, 2)),
        ({"type": "string", "format": "date"}, "<c s='2'><v>2</v></c>", date(1900, 1, 2)),
    ],
)
def test_declared_types_are_kept(
    declared: dict[str, Any], xml: str, value: Any, tmp_path: Path
) -> None:
    schema = {"properties": {"v": declared}}
    assert column(tmp_path / "a.xlsx", xml, schema=schema).to_pylist() == [value]


@pytest.mark.parametrize(
    ("declared", "xml", "told"),
    [
        (
            {"type": "integer"},
            "<c><v>1.5</v></c>",
            r"cell A3 is not an integer \(sheet 'S'\)\. Value: 1\.5",
        ),
        (
            {"type": "integer"},
            text("1.5"),
            r"cell A3 is not an integer \(sheet 'S'\)\. Value: '1\.5'",
        ),
        ({"type": "integer"}, DAY, r"cell A3: date in a column declared int64 \(sheet 'S'\)"),
        (
            {"type": "boolean"},
            NUMBER,
            r"cell A3: int in a column declared bool \(sheet 'S'\)\. Value: 5",
        ),
        (
            {"type": "string", "format": "date"},
            MOMENT,
            r"cell A3: a time of day in a column declared date",
        ),
        ({"type": "string", "format": "date"}, NUMBER, r"cell A3: not a date"),
    ],
)
def test_what_a_declared_type_does_not_take_names_its_cell(
    declared: dict[str, Any], xml: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"stream 's', field 'v': a\.xlsx, line 3: {told}"):
        column(tmp_path / "a.xlsx", "<c/>", f"{xml}<c/>", schema={"properties": {"v": declared}})

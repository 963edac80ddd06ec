"""Sheets as offices lay them out: titles above a table, totals below it, headers of several rows, and many sheets."""

import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.exceptions import ConfigError, DataError
from etl_assets.sync import sync
from tests.sources.workbooks import (
    document,
    ods_row,
    ods_text,
    rows_of,
    stream_of,
    tables_of,
    text,
    workbook,
)

Rows = Sequence[Sequence[Any]]


def book(path: Path, sheets: Mapping[str, Rows]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


REPORT: Rows = [
    ["Sales report"],
    [],
    ["", "made by", "Ada"],
    ["id", "name", "amount"],
    [1, "Ada", 2.5],
    [2, "Bob"],
    [],
    [3, "Cy", 4],
    [],
    ["Total", None, 6.5],
    ["all figures in EUR"],
]
TABLE = [
    {"id": 1, "name": "Ada", "amount": 2.5},
    {"id": 2, "name": "Bob", "amount": None},
    {"id": 3, "name": "Cy", "amount": 4},
]


@pytest.mark.parametrize(
    "options",
    [
        {"skip_rows": 3, "skip_footer": 2},
        {"skip_rows": 3, "skip_footer": 3},
        {"cells": "A4:C8"},
        {"cells": "a4:c8"},
        {"cells": "4:8"},
        {"cells": "A2:C", "skip_rows": 2, "skip_footer": 2},
    ],
)
def test_what_stands_around_a_table_is_left_out(options: dict[str, Any], tmp_path: Path) -> None:
    assert rows_of(book(tmp_path / "a.xlsx", {"S": REPORT}), **options) == TABLE


def test_a_range_of_columns_needs_no_rows(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"S": [["a", "b", "c"], [1, 2, 3], [None, None, 4]]})
    assert rows_of(path, cells="B:B") == [{"b": 2}]
    assert rows_of(path, cells="B2:C", header=["x", "y"]) == [{"x": 2, "y": 3}, {"x": None, "y": 4}]


@pytest.mark.parametrize("cells", ["B3", "", "B3-C4", "3:2", "C1:B2", "A0:B1", "ZZZ1:ZZZ2", 7])
def test_what_is_no_range_is_refused_before_a_file_is_read(cells: Any) -> None:
    with pytest.raises(ConfigError, match="cells is"):
        FileSource("s", "a.xlsx", cells=cells)


def test_footers_are_left_out_across_batches(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"S": [["a"], *([number] for number in range(10))]})
    assert [row["a"] for row in rows_of(path, skip_footer=4, batch_rows=3)] == [0, 1, 2, 3, 4, 5]
    assert rows_of(path, skip_footer=10) == rows_of(path, skip_rows=20) == []


def test_a_header_of_several_rows_is_joined(tmp_path: Path) -> None:
    rows: Rows = [
        ["Region", "2025", None, "2026", None],
        [None, "Q1", "Q2", "Q1", "Q2"],
        ["North", 1, 2, 3, 4],
    ]
    path = book(tmp_path / "a.xlsx", {"S": rows})
    assert rows_of(path, header_rows=2) == [
        {"Region": "North", "2025_Q1": 1, "2025_Q2": 2, "2026_Q1": 3, "2026_Q2": 4}
    ]


def test_names_are_the_texts_of_their_cells(tmp_path: Path) -> None:
    head = "<c><v>2024</v></c><c s='1'><v>45000</v></c><c t='b'><v>1</v></c><c t='str'><f>A1</f><v/></c>"
    values = "<c><v>1</v></c><c><v>2</v></c><c><v>3</v></c><c t='str'><f>A1</f><v/></c>"
    path = workbook(tmp_path / "a.xlsx", f"<row>{head}</row><row>{values}</row>", formats=[14])
    assert rows_of(path) == [{"2024": 1, "2023-03-15": 2, "true": 3}]


def test_a_name_that_comes_twice_is_told_with_its_cells_and_the_hint_helps(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"S": [["title"], [], ["a", "b", "a"], [1, 2, 3]]})
    told = r"line 3: two columns are called 'a' \(A3, C3 of sheet 'S'\).*header=\[\.\.\.\].*skip_rows=3\."
    with pytest.raises(DataError, match=told):
        rows_of(path, skip_rows=1)
    assert rows_of(path, header=["a", "b", "c"], skip_rows=3) == [{"a": 1, "b": 2, "c": 3}]


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", f"<row>{text('a')}{text('_xD800_')}</row>")
    with pytest.raises(DataError, match=r"line 1: cell B1 is a name that is no Unicode text"):
        rows_of(path)


def test_a_header_with_an_error_is_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: cell B1 holds the error #REF! \(sheet 'S'\)"):
        rows_of(workbook(tmp_path / "a.xlsx", f"<row>{text('a')}<c t='e'><v>#REF!</v></c></row>"))


MONTHS: Mapping[str, Rows] = {
    "2026-01": [["a"], [1]],
    "2026-02": [["a", "b"], [2, 3]],
    "notes": [["c"], [4]],
}


def test_sheets_are_chosen_by_number_name_and_pattern(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", MONTHS)
    assert rows_of(path, sheet=2) == rows_of(path, sheet="notes") == [{"c": 4}]
    assert rows_of(path, sheet="2026-*") == [{"a": 1}, {"a": 2, "b": 3}]
    assert rows_of(path, sheet="2026-0[2]", with_origin=True)[0]["_sheet"] == "2026-02"
    found = rows_of(path, sheet="*", with_origin=True)
    assert [row["_sheet"] for row in found] == ["2026-01", "2026-02", "notes"]
    with pytest.raises(DataError, match=r"has no sheet '2027-\*'"):
        rows_of(path, sheet="2027-*")


def test_several_sheets_are_chosen_by_a_list_each_once(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", MONTHS)
    found = rows_of(path, sheet=["notes", "2026-*", 0], with_origin=True)
    assert [row["_sheet"] for row in found] == ["notes", "2026-01", "2026-02"]
    with pytest.raises(DataError, match=r"has no sheet 'nots'\..*Did you mean 'notes'"):
        rows_of(path, sheet=["2026-01", "nots"])


@pytest.mark.parametrize("sheet", [[], [None], None, 1.5, {}])
def test_what_is_no_sheet_is_refused_before_a_file_is_read(sheet: Any) -> None:
    with pytest.raises(ConfigError, match="sheet is"):
        FileSource("s", "a.xlsx", sheet=sheet)


def test_all_sheets_of_a_file_go_into_one_table(tmp_path: Path) -> None:
    source = FileSource(
        "s", str(book(tmp_path / "a.xlsx", MONTHS)), sheet="2026-*", with_origin=True
    )
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    sync(StreamRead(source, stream_of(source)), warehouse)
    rows = warehouse.read_table(warehouse.table_for("s", stream_of(source))).to_pylist()
    found = sorted((row["a"], row["b"], row["_sheet"]) for row in rows)
    assert found == [(1, None, "2026-01"), (2, 3, "2026-02")]


def test_hidden_rows_columns_and_sheets_are_read_and_merged_cells_have_one_value(
    tmp_path: Path,
) -> None:
    made = openpyxl.Workbook()
    sheet = made.active
    for row in (["a", "b"], [1, 2], [3, 4], [5, 6]):
        sheet.append(row)
    sheet.row_dimensions[2].hidden = True
    sheet.column_dimensions["B"].hidden = True
    sheet.merge_cells("A3:A4")
    hidden = made.create_sheet("hidden")
    hidden.append(["c"])
    hidden.append([7])
    hidden.sheet_state = "veryHidden"
    made.save(tmp_path / "a.xlsx")
    assert rows_of(tmp_path / "a.xlsx") == [{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": None, "b": 6}]
    assert rows_of(tmp_path / "a.xlsx", sheet="hidden") == [{"c": 7}]


def test_a_sheet_of_charts_is_no_sheet_of_cells(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    made.active.append(["a"])
    made.active.append([1])
    made.create_chartsheet("chart", 0)
    made.save(tmp_path / "a.xlsx")
    assert (
        rows_of(tmp_path / "a.xlsx", sheet=0)
        == rows_of(tmp_path / "a.xlsx", sheet="*")
        == [{"a": 1}]
    )


def test_only_columns_that_are_selected_are_read(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        f"<row>{text('a')}{text('b')}</row><row><c><v>1</v></c><c t='e'><v>#N/A</v></c></row>",
    )
    source = FileSource("s", str(path))
    stream = stream_of(source).replace(columns=["a"])
    (batch,) = [batch for batch in StreamRead(source, stream).open(None) if len(batch)]
    assert batch.to_arrow(stream).to_pylist() == [{"a": 1}]


def test_the_same_options_hold_for_ods(tmp_path: Path) -> None:
    rows = [ods_row(ods_text(one)) for one in ("title", "a", "1", "2", "total")]
    path = document(tmp_path / "a.ods", {"x": "".join(rows), "y": "".join(rows)})
    found = rows_of(path, skip_rows=1, skip_footer=1, sheet="*", with_origin=True)
    assert [(row["a"], row["_sheet"], row["_line"]) for row in found] == [
        ("1", "x", 3),
        ("2", "x", 4),
        ("1", "y", 3),
        ("2", "y", 4),
    ]


def test_tables_are_of_bounded_size(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx", {"S": [["a", "b"], *([number, "x" * 100] for number in range(500))]}
    )
    tables = list(tables_of(path, batch_bytes=1160))
    assert max(map(len, tables)) == 10
    assert [row["a"] for table in tables for row in table.to_pylist()] == list(range(500))
    with pytest.raises(DataError, match="a row of more than 100 characters"):
        rows_of(path, max_row_bytes=100)


def test_a_large_sheet_is_read_in_bounded_memory(tmp_path: Path) -> None:
    row = "<row><c><v>1</v></c><c t='str'><v>some text of a cell</v></c></row>"
    path = workbook(tmp_path / "a.xlsx", f"<row>{text('a')}{text('b')}</row>{row * 40_000}")
    tracemalloc.start()
    try:
        count = sum(len(table) for table in tables_of(path, batch_rows=500))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 40_000
    assert peak < 4 * 2**20


def test_a_sheet_that_is_only_a_header_has_its_columns(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"one": [["id", "note"]], "empty": []})
    source = FileSource("shop", str(path), sheet="*")
    catalog = source.declared_catalog()
    assert catalog is not None
    (stream,) = catalog.streams
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    sync(StreamRead(source, stream), warehouse)
    table = warehouse.read_table(warehouse.table_for("shop", stream))
    assert (table.num_rows, table.column_names[:2]) == (0, ["id", "note"])

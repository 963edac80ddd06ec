"""`types="infer"`: a column that is text only by its notation is told with the option that makes values of it."""

import ast
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.protocol.load import SyncResult
from etl_assets.sync import resolve_start, sync
from tests.sources.drops import stream_of


class Drop:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = DuckDBDestination(str(folder / "w.duckdb"))

    def put(self, *texts: str, name: str = "a", head: str = "v") -> None:
        (self.folder / f"{name}.csv").write_text("".join(f'"{text}"\n' for text in (head, *texts)))

    def load(self, *, full_refresh: bool = False, **options: Any) -> SyncResult:
        source = FileSource("drop", f"{self.folder}/*.csv", types="infer", **options)
        read = StreamRead(source, stream_of(source))
        return sync(
            read,
            self.warehouse,
            start=resolve_start(read, self.warehouse, full_refresh=full_refresh),
        )

    def values(self) -> list[Any]:
        source = FileSource("drop", f"{self.folder}/*.csv", types="infer")
        table = self.warehouse.read_table(self.warehouse.table_for("drop", stream_of(source)))
        return list(table.column("v").to_pylist())


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    return Drop(tmp_path)


def options_in(remark: str) -> list[dict[str, Any]]:
    """Return the options that a remark says, each as it is written there."""
    said = re.findall(r"with (.*): if it is written so, say that to the source", remark)[0]
    calls = [ast.parse(f"f({one})", mode="eval").body for one in said.split(" or ")]
    return [
        {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg is not None}
        for call in calls
        if isinstance(call, ast.Call)
    ]


CASES: dict[str, tuple[list[str], list[list[Any]]]] = {
    "a decimal comma": (["1,5", "-2,25", "3"], [[1.5, -2.25, 3.0]]),
    "whole numbers first": (["3", "4", "1,5"], [[3.0, 4.0, 1.5]]),
    "points between thousands": (["1.234,5", "12,25", ""], [[1234.5, 12.25, None]]),
    "either of two": (["1,234", "5,678"], [[1.234, 5.678], [1234, 5678]]),
    "commas between thousands": (["1,234,567", "12"], [[1234567, 12]]),
    "days": (["24.12.2026", "01.02.2026"], [[date(2026, 12, 24), date(2026, 2, 1)]]),
    "days of two readings": (
        ["01/02/2026", ""],
        [[date(2026, 2, 1), None], [date(2026, 1, 2), None]],
    ),
    "moments": (["24.12.2026 18:30", ""], [[datetime(2026, 12, 24, 18, 30), None]]),  # noqa: DTZ001
}


@pytest.mark.parametrize("case", CASES)
def test_a_remark_that_is_followed_makes_values_of_the_texts(case: str, drop: Drop) -> None:
    texts, values = CASES[case]
    drop.put(*texts)
    [remark] = drop.load().remarks
    assert drop.values() == texts
    assert remark.startswith("the column 'v' is text, and would be ")
    assert "load the stream anew with full_refresh" in remark
    said = options_in(remark)
    assert len(said) == len(values)
    for options, expected in zip(said, values, strict=True):
        assert drop.load(full_refresh=True, **options).remarks == []
        assert drop.values() == expected


@pytest.mark.parametrize(
    "texts",
    [
        ["1,5", "x"],
        ["1,10", "2,5"],
        ["007,5"],
        ["1.5", "1,5"],
        ["30.02.2026"],
        ["24.12.2026", "x"],
        ["x"],
        ["1,2,3"],
    ],
)
def test_nothing_is_said_where_no_option_fits_all_texts(texts: list[str], drop: Drop) -> None:
    drop.put(*texts)
    assert [one for one in drop.load().remarks if "would be" in one] == []


def test_all_files_are_looked_at(drop: Drop) -> None:
    drop.put("1,5", name="a")
    drop.put("2,5", name="b")
    assert "decimal" in drop.load().remarks[0]
    drop.put("x", name="c")
    assert drop.load(full_refresh=True).remarks == []


def test_nothing_is_said_that_would_harm_another_column(drop: Drop) -> None:
    (drop.folder / "a.csv").write_text('v,w\n"1,5",2.5\n')
    assert drop.load().remarks == []


def test_a_table_that_is_there_stays_as_it_is_and_nothing_is_said(drop: Drop) -> None:
    drop.put("1,5")
    assert drop.load(incremental="name").remarks != []
    drop.put("2,5", name="b")
    assert drop.load(incremental="name").remarks == []

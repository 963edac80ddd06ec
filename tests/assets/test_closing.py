"""The log of a run ends each stream with a line that says what became of it."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import redaction
from etl_assets.assets.closing import closing_line
from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.load import SyncResult
from etl_assets.sources.sql import SqlSource
from etl_assets.strategies import WriteStrategy
from tests.assets.shop import Shop, logged, people, person, run

SECONDS = re.compile(r" in \d+\.\d s")


def closing_lines(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> list[str]:
    """Return the closing lines of a run, without the seconds that it took."""
    lines = logged(result, instance).splitlines()
    assert all(SECONDS.search(line) for line in lines if "in table" in line)
    return [SECONDS.sub("", line) for line in lines if "in table" in line]


@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_each_stream_ends_with_a_line(
    granularity: Any, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    shop.rows |= {"visits": [{"at": 1}, {"at": 2}, {"at": 2}], "countries": [{"code": "fr"}]}
    assets = stream_assets(
        shop,
        ["orders", "visits", "countries"],
        destination=warehouse,
        granularity=granularity,
    )
    first = run(assets, instance)
    assert sorted(closing_lines(first, instance)) == [
        "countries: replaced the table with 1 row, 1 row in table",
        "orders: merged 5 rows, bookmark 2026-01-05T00:00:00Z, 5 rows in table",
        "visits: appended 3 rows, bookmark 2, 3 rows in table",
    ]
    shop.rows["orders"] += [person(6)]
    second = run(assets, instance)
    told = sorted(closing_lines(second, instance))
    moved = "2026-01-05T00:00:00Z -> 2026-01-06T00:00:00Z"
    assert told[1:] == [
        f"orders: merged 1 row, bookmark {moved}, 6 rows in table",
        "visits: appended 0 rows, bookmark still 2, 3 rows in table",
    ]
    assert "~boundary" not in logged(second, instance)


def test_a_stream_that_fails_has_no_such_line(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    shop.rows["orders"] = [*people(2), {"id": 3, "updated_at": None}]
    shop.failures["orders"] = [ValueError("broken")]
    failed = run(stream_assets(shop, ["orders"], destination=warehouse), instance)
    assert not failed.success
    assert closing_lines(failed, instance) == []


def test_a_split_says_what_its_ranges_have_brought_together(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, updated_at INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(n, n) for n in range(1, 6)])
    connection.close()
    shop = SqlSource("shop", f"sqlite:///{tmp_path}/shop.db", streams=[Shop.streams[1]])
    assets = stream_assets(shop, destination=warehouse, options={"orders": {"split": 2}})
    first = run(assets, instance)
    assert first.success
    assert closing_lines(first, instance) == [
        "orders: replaced the table with 5 rows, bookmark 5, 5 rows in table"
    ]
    assert re.search(r"orders \[1\]: staged \d rows? in \d\.\d s", logged(first, instance))


def test_numbers_are_those_of_people() -> None:
    result = SyncResult("orders", "shop", "l1", WriteStrategy.MERGE)
    result.records_loaded, result.rows_in_table, result.duration_seconds = 2, 20_002, 2.14
    result.bookmark_previous, result.bookmark = {"at": "A"}, {"at": "B", "~boundary": ["hash"]}
    told = "orders: merged 2 rows in 2.1 s, bookmark A -> B, 20,002 rows in table"
    assert closing_line("orders", result) == told
    result.duration_seconds = 125.0
    assert "in 2 min 5 s" in closing_line("orders", result)
    result.rows_in_table = result.bookmark = None  # a destination that cannot tell
    assert closing_line("orders", result) == "orders: merged 2 rows in 2 min 5 s"


def test_a_secret_in_a_bookmark_stays_out() -> None:
    redaction.remember("hush-hush-token")
    result = SyncResult("orders", "shop", "l1", WriteStrategy.APPEND, records_loaded=1)
    result.bookmark = {"page": "hush-hush-token"}
    assert "hush" not in closing_line("orders", result)

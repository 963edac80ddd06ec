"""A run that finds nothing new does as little as it can, and still sees what has changed in the stream's schema."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from tests.toys import read

Query = Callable[[str], list[tuple[Any, ...]]]

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "pandas", "polars", "pyarrow", "sqlalchemy")

SYNC = """
import json, sys
import duckdb
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

class Given(Source):
    def load_data(self, stream, bookmarks=None, query=None, **kwargs):
        if not bookmarks:
            yield [{"id": 1, "seq": 7}]

opened, connect = [], duckdb.connect
duckdb.connect = lambda *args, **kwargs: opened.append(args) or connect(*args, **kwargs)
schema = {"properties": {"id": {"type": "integer"}, "seq": {"type": "integer"}}}
stream = Stream("users", primary_key=["id"], replication_key="seq", schema=schema)
result = sync(StreamRead(Given(name="shop"), stream), DuckDBDestination(sys.argv[1]))
print(json.dumps({"loaded": result.records_loaded, "opened": len(opened), "modules": sorted(sys.modules)}))
"""


def schema(**properties: str) -> dict[str, Any]:
    return {"properties": {name: {"type": ["null", type_]} for name, type_ in properties.items()}}


def users(**properties: str) -> Stream:
    return Stream("users", primary_key=["id"], replication_key="seq", schema=schema(**properties))


def run(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SYNC, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_it_imports_nothing_heavy_and_makes_one_instance_of_duckdb(path: Path) -> None:
    first, second = run(path), run(path)
    assert "pyarrow" in first["modules"]  # else the test would see nothing
    assert (first["loaded"], second["loaded"]) == (1, 0)
    assert [name for name in HEAVY if name in second["modules"]] == []
    assert second["opened"] == 1  # which has the file to look where to begin, and to commit


def test_its_commit_is_in_the_ledger(warehouse: DuckDBDestination, query: Query) -> None:
    stream = users(id="integer", seq="integer")
    first = sync(read([{"id": 1, "seq": 1}], stream), warehouse)
    second = sync(read([], stream), warehouse)
    assert (second.bookmark, second.rows_in_table, second.columns) == (
        first.bookmark,
        1,
        first.columns,
    )
    assert second.last_changed_by == first.load_id
    assert query("SELECT rows_in, rows_in_table FROM main._etl_assets_loads ORDER BY load_id") == [
        (1, 1),
        (0, 1),
    ]
    assert query("SELECT load_id FROM main._etl_assets_state") == [(second.load_id,)]


def test_a_new_field_is_a_column_at_once(warehouse: DuckDBDestination, query: Query) -> None:
    sync(read([{"id": 1, "seq": 1}], users(id="integer", seq="integer")), warehouse)
    result = sync(read([], users(id="integer", seq="integer", n="string")), warehouse)
    assert result.schema_changes == ['added column "n" VARCHAR']
    assert query("SELECT id, n FROM shop.users") == [(1, None)]


@pytest.mark.parametrize(
    ("type_", "value", "stored"), [("string", "x", ["7", "x"]), ("number", 1.5, [7.0, 1.5])]
)
def test_a_type_that_has_changed_waits_for_the_first_rows(
    type_: str, value: Any, stored: list[Any], warehouse: DuckDBDestination, query: Query
) -> None:
    sync(
        read([{"id": 1, "seq": 1, "n": 7}], users(id="integer", seq="integer", n="integer")),
        warehouse,
    )
    later = users(id="integer", seq="integer", n=type_)
    assert sync(read([], later), warehouse).schema_changes == []
    assert query("SELECT n FROM shop.users") == [(7,)]
    sync(read([{"id": 2, "seq": 2, "n": value}], later), warehouse)
    assert query("SELECT n FROM shop.users ORDER BY id") == [(one,) for one in stored]


def test_a_field_that_is_gone_is_kept(warehouse: DuckDBDestination, query: Query) -> None:
    sync(
        read([{"id": 1, "seq": 1, "n": 7}], users(id="integer", seq="integer", n="integer")),
        warehouse,
    )
    result = sync(read([], users(id="integer", seq="integer")), warehouse)
    assert [column.name for column in result.columns] == ["id", "seq", "n"]
    assert query("SELECT n FROM shop.users") == [(7,)]

"""Small batches are joined while they are staged: in their order, with their values, a schema each."""

from pathlib import Path

import duckdb
import pyarrow as pa

from etl_assets import DuckDBDestination, Stream
from etl_assets.engine.small_tables import JOINED_BYTES
from etl_assets.engine.staging import Staging
from etl_assets.sync import sync
from tests.toys import read


def _staged(tables: list[pa.Table], folder: Path, memory_bytes: int = 10**9) -> list[pa.Table]:
    staging = Staging(folder, memory_bytes)
    for table in tables:
        staging.add(table)
    parts = [part for part in staging.batches() if isinstance(part, pa.Table)]
    rows = staging.rows
    staging.close()
    assert rows == sum(table.num_rows for table in tables)
    return parts


def test_many_small_tables_are_one_in_their_order(tmp_path: Path) -> None:
    parts = _staged([pa.table({"id": [n], "name": [f"n{n}"]}) for n in range(500)], tmp_path)
    assert len(parts) == 1
    assert len(parts[0].to_batches()) == 1
    assert parts[0].column("id").to_pylist() == list(range(500))
    assert parts[0].column("name").to_pylist() == [f"n{n}" for n in range(500)]


def test_another_schema_and_a_large_table_keep_their_place(tmp_path: Path) -> None:
    large = pa.table({"id": list(range(100, 20_100))})
    tables = [pa.table({"id": [n]}) for n in range(10)]
    tables += [pa.table({"id": [10], "more": [True]}), large, pa.table({"id": [30_000]})]
    parts = _staged(tables, tmp_path)
    assert [part.num_rows for part in parts] == [10, 1, 20_000, 1]
    assert parts[1].column_names == ["id", "more"]


def test_what_is_joined_is_limited_in_size(tmp_path: Path) -> None:
    tables = [pa.table({"text": ["x" * 10_000]}) for _ in range(250)]
    parts = _staged(tables, tmp_path)
    assert 1 < len(parts) <= 4
    assert max(part.nbytes for part in parts) < 2 * JOINED_BYTES


def test_small_tables_that_do_not_fit_in_memory_are_few_in_their_file(tmp_path: Path) -> None:
    tables = [pa.table({"id": [n], "text": ["x" * 1_000]}) for n in range(300)]
    parts = _staged(tables, tmp_path, memory_bytes=100_000)
    assert [n for part in parts for n in part.column("id").to_pylist()] == list(range(300))
    assert len(parts) < 10


def test_a_source_that_gives_one_row_at_a_time_is_loaded_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.duckdb"
    rows = [{"id": n, "at": n // 3, "note": None if n % 7 else f"n{n}"} for n in range(400)]
    stream = Stream("orders", primary_key="id", replication_key="at")
    result = sync(read(rows, stream, batch=1), DuckDBDestination(path))
    assert (result.records_loaded, result.bookmark) == (400, {"at": 133})
    with duckdb.connect(str(path)) as connection:
        found = connection.execute('SELECT id, "at", note FROM shop.orders ORDER BY id').fetchall()
    assert found == [(row["id"], row["at"], row["note"]) for row in rows]


def test_a_single_row_without_a_key_moves_no_bookmark(tmp_path: Path) -> None:
    rows = [{"id": 1, "at": 5}, {"id": 2, "at": None}, {"id": 3, "at": 6}]
    stream = Stream("orders", primary_key="id", replication_key="at")
    result = sync(read(rows, stream, batch=1), DuckDBDestination(tmp_path / "shop.duckdb"))
    assert (result.records_loaded, result.bookmark) == (3, {"at": 6})

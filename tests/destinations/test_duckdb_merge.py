"""How a merge meets a DuckDB table: rows that differ are exchanged, or updated in place where a column must be kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets.destinations.duckdb import DuckDBDestination
from etl_assets.protocol.stream import Stream
from etl_assets.sync import sync
from tests.toys import read

Query = Callable[[str], list[tuple[Any, ...]]]

USERS = Stream("users", primary_key=["id"], replication_key="seq")


def test_a_column_that_no_longer_comes_keeps_its_values(warehouse: DuckDBDestination, query: Query) -> None:
    sync(
        read([{"id": 1, "seq": 1, "n": "a", "gone": "kept"}, {"id": 2, "seq": 1, "n": "b", "gone": "too"}], USERS),
        warehouse,
    )
    result = sync(read([{"id": 1, "seq": 2, "n": "A"}, {"id": 3, "seq": 2, "n": "c"}], USERS), warehouse)
    assert query("SELECT id, seq, n, gone FROM shop.users ORDER BY id") == [
        (1, 2, "A", "kept"),
        (2, 1, "b", "too"),
        (3, 2, "c", None),
    ]
    assert result.records_loaded == 2


def test_a_key_that_an_append_doubled_is_one_row_again(warehouse: DuckDBDestination, query: Query) -> None:
    for name in "ab":
        sync(read([{"id": 1, "seq": 1, "n": name}], USERS), warehouse, strategy="append")
    assert query("SELECT COUNT(*) FROM shop.users") == [(2,)]
    result = sync(read([{"id": 1, "seq": 1, "n": "b"}], USERS), warehouse, strategy="merge")
    assert query("SELECT id, n FROM shop.users") == [(1, "b")]
    assert result.records_loaded == 1


@pytest.mark.parametrize("key", ["id BIGINT PRIMARY KEY", "id BIGINT UNIQUE"])
def test_a_table_with_a_constraint_of_its_own_is_merged_into(
    key: str, warehouse: DuckDBDestination, path: Path, query: Query
) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE SCHEMA shop; CREATE TABLE shop.users ({key}, seq BIGINT, n VARCHAR)")
        connection.execute("INSERT INTO shop.users VALUES (1, 1, 'a'), (2, 1, 'b')")
    sync(read([{"id": 2, "seq": 2, "n": "B"}, {"id": 3, "seq": 2, "n": "c"}], USERS), warehouse, adopt=True)
    sync(read([{"id": 3, "seq": 3, "n": "C"}], USERS), warehouse)
    assert query("SELECT id, n FROM shop.users ORDER BY id") == [(1, "a"), (2, "B"), (3, "C")]


def test_a_row_that_another_table_refers_to_is_updated(path: Path, query: Query) -> None:
    own = DuckDBDestination(
        str(path), load_id_column=None, loaded_at_column=None
    )  # DuckDB adds no column to such a table
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA shop; CREATE TABLE shop.users (id BIGINT PRIMARY KEY, seq BIGINT, n VARCHAR)")
        connection.execute("CREATE TABLE shop.orders (user_id BIGINT REFERENCES shop.users(id))")
        connection.execute("INSERT INTO shop.users VALUES (1, 1, 'a'); INSERT INTO shop.orders VALUES (1)")
    sync(read([{"id": 1, "seq": 2, "n": "A"}, {"id": 2, "seq": 2, "n": "b"}], USERS), own, adopt=True)
    assert query("SELECT id, n FROM shop.users ORDER BY id") == [(1, "A"), (2, "b")]


@pytest.mark.parametrize("value", [float("nan"), None, -0.0, [1, None], {"a": {"b": None}}, b"\x00", True])
def test_a_row_that_came_again_is_left_alone_whatever_it_holds(value: Any, warehouse: DuckDBDestination) -> None:
    rows = [{"id": n, "seq": 1, "v": value} for n in range(3)]
    sync(read(rows, USERS), warehouse)
    assert sync(read(rows, USERS), warehouse).records_loaded == 0


def test_a_table_of_nothing_but_its_key_is_merged(warehouse: DuckDBDestination, query: Query) -> None:
    keys = Stream("keys", primary_key=["id"])
    sync(read([{"id": 1}, {"id": 2}], keys), warehouse, strategy="merge")
    assert sync(read([{"id": 2}, {"id": 3}, {"id": 3}], keys), warehouse, strategy="merge").records_loaded == 1
    assert query("SELECT id FROM shop.keys ORDER BY id") == [(1,), (2,), (3,)]

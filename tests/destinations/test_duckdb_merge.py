"""How a merge meets a DuckDB table: rows that differ are exchanged, or updated in place where a column must be kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests.toys import read

Query = Callable[[str], list[tuple[Any, ...]]]

USERS = Stream("users", primary_key=["id"], replication_key="seq")


def test_a_column_that_no_longer_comes_keeps_its_values(
    warehouse: DuckDBDestination, query: Query
) -> None:
    sync(
        read(
            [
                {"id": 1, "seq": 1, "n": "a", "gone": "kept"},
                {"id": 2, "seq": 1, "n": "b", "gone": "too"},
            ],
            USERS,
        ),
        warehouse,
    )
    result = sync(
        read([{"id": 1, "seq": 2, "n": "A"}, {"id": 3, "seq": 2, "n": "c"}], USERS), warehouse
    )
    assert query("SELECT id, seq, n, gone FROM shop.users ORDER BY id") == [
        (1, 2, "A", "kept"),
        (2, 1, "b", "too"),
        (3, 2, "c", None),
    ]
    assert result.records_loaded == 2


def test_the_first_merge_keeps_the_order_and_ends_with_the_short_row_group(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = pa.table({"id": pa.array(range(300_000)), "seq": pa.array([0] * 299_999 + [1])})
    result = sync(GivenRead(USERS, [Batch(rows)], source_name="shop"), warehouse)
    groups = "FROM pragma_storage_info('shop.users') WHERE column_name = 'id' AND segment_type <> 'VALIDITY'"
    counts = query(f"SELECT sum(count) {groups} GROUP BY row_group_id ORDER BY row_group_id")
    assert counts == [(122_880,), (122_880,), (54_240,)]
    assert query("SELECT count(*) FROM shop.users WHERE id = rowid") == [(300_000,)]
    assert result.records_loaded == result.rows_in_table == 300_000


def test_a_key_that_comes_twice_in_the_first_merge_is_one_row(
    warehouse: DuckDBDestination, query: Query
) -> None:
    result = sync(read([{"id": n % 3, "seq": n, "n": str(n)} for n in range(7)], USERS), warehouse)
    assert query("SELECT id, n FROM shop.users ORDER BY id") == [(0, "6"), (1, "4"), (2, "5")]
    assert result.records_loaded == 3


def test_a_key_that_an_append_doubled_is_one_row_again(
    warehouse: DuckDBDestination, query: Query
) -> None:
    for seq, name in enumerate("ab"):
        sync(read([{"id": 1, "seq": seq, "n": name}], USERS), warehouse, strategy="append")
    assert query("SELECT COUNT(*) FROM shop.users") == [(2,)]
    result = sync(read([{"id": 1, "seq": 1, "n": "b"}], USERS), warehouse, strategy="merge")
    assert query("SELECT id, n FROM shop.users") == [(1, "b")]
    assert result.records_loaded == 1


@pytest.mark.parametrize("key", ["id BIGINT PRIMARY KEY", "id BIGINT UNIQUE"])
def test_a_table_with_a_constraint_of_its_own_is_merged_into(
    key: str, warehouse: DuckDBDestination, path: Path, query: Query
) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"CREATE SCHEMA shop; CREATE TABLE shop.users ({key}, seq BIGINT, n VARCHAR)"
        )
        connection.execute("INSERT INTO shop.users VALUES (1, 1, 'a'), (2, 1, 'b')")
    sync(
        read([{"id": 2, "seq": 2, "n": "B"}, {"id": 3, "seq": 2, "n": "c"}], USERS),
        warehouse,
        adopt=True,
    )
    sync(read([{"id": 3, "seq": 3, "n": "C"}], USERS), warehouse)
    assert query("SELECT id, n FROM shop.users ORDER BY id") == [(1, "a"), (2, "B"), (3, "C")]


def test_a_row_that_another_table_refers_to_is_updated(path: Path, query: Query) -> None:
    own = DuckDBDestination(
        str(path), load_id_column=None, loaded_at_column=None
    )  # DuckDB adds no column to such a table
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE SCHEMA shop; CREATE TABLE shop.users (id BIGINT PRIMARY KEY, seq BIGINT, n VARCHAR)"
        )
        connection.execute("CREATE TABLE shop.orders (user_id BIGINT REFERENCES shop.users(id))")
        connection.execute(
            "INSERT INTO shop.users VALUES (1, 1, 'a'); INSERT INTO shop.orders VALUES (1)"
        )
    sync(
        read([{"id": 1, "seq": 2, "n": "A"}, {"id": 2, "seq": 2, "n": "b"}], USERS), own, adopt=True
    )
    assert query("SELECT id, n FROM shop.users ORDER BY id") == [(1, "A"), (2, "b")]


@pytest.mark.parametrize(
    "value", [float("nan"), None, -0.0, [1, None], {"a": {"b": None}}, b"\x00", True]
)
def test_a_row_that_came_again_is_left_alone_whatever_it_holds(
    value: Any, warehouse: DuckDBDestination
) -> None:
    rows = [{"id": n, "seq": 1, "v": value} for n in range(3)]
    sync(read(rows, USERS), warehouse)
    assert sync(read(rows, USERS), warehouse).records_loaded == 0


def test_a_table_of_nothing_but_its_key_is_merged(
    warehouse: DuckDBDestination, query: Query
) -> None:
    keys = Stream("keys", primary_key=["id"])
    sync(read([{"id": 1}, {"id": 2}], keys), warehouse, strategy="merge")
    assert (
        sync(
            read([{"id": 2}, {"id": 3}, {"id": 3}], keys), warehouse, strategy="merge"
        ).records_loaded
        == 1
    )
    assert query("SELECT id FROM shop.keys ORDER BY id") == [(1,), (2,), (3,)]

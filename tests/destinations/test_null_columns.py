"""A column that was NULL in every row so far takes the type of its first values, where nothing rests on it."""

import sqlite3
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests.pairs.places import DESTINATIONS, destination
from tests.pairs.readers import as_type, held
from tests.servers import mysql, postgres_server

STREAM = Stream("t", primary_key="id")
TEXT = {"duckdb": "VARCHAR", "postgresql": "text", "mysql": "longtext", "sqlite": "TEXT"}
INTEGER = {"duckdb": "BIGINT", "postgresql": "bigint", "mysql": "bigint(20)", "sqlite": "INTEGER"}


def load(
    warehouse: DatabaseDestination,
    rows: list[dict[str, Any]],
    strategy: str = "merge",
    **options: Any,
) -> SyncResult:
    return sync(
        GivenRead(STREAM, [rows], source_name="shop"), warehouse, strategy=strategy, **options
    )


def run(warehouse: DatabaseDestination, sql: str) -> None:
    """Run a statement of somebody else's; `{t}` is the table."""
    if isinstance(warehouse, DuckDBDestination):
        with duckdb.connect(warehouse.path) as connection:
            connection.execute(sql.format(t="shop.t"))
    elif isinstance(warehouse, SQLiteDestination):
        file = sqlite3.connect(warehouse.path)
        file.execute(sql.format(t="shop__t"))
        file.commit()
        file.close()
    elif "mysql" in type(warehouse).__name__.casefold():
        server: Any = mysql()
        with server.cursor() as cursor:
            cursor.execute(sql.format(t=f"{warehouse.options.schema_name}.t"))
    else:
        postgres_server().execute(sql.format(t=f"{warehouse.options.schema_name}.t").encode())


@pytest.mark.parametrize("strategy", ["merge", "append", "replace"])
@pytest.mark.parametrize("kind", DESTINATIONS)
def test_the_first_values_give_the_type(kind: str, strategy: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        load(
            warehouse, [{"id": 1, "n": None, "d": None}, {"id": 2, "n": None, "d": None}], strategy
        )
        assert held(warehouse, "t").types["n"] == TEXT[kind]
        result = load(
            warehouse, [{"id": 3, "n": 10, "d": b"\xff"}, {"id": 4, "n": 2, "d": None}], strategy
        )
        found = held(warehouse, "t")
    assert found.types["n"] == INTEGER[kind]
    rows = {
        int(row["id"]): (as_type(row["n"], pa.int64()), as_type(row["d"], pa.binary()))
        for row in found.rows
    }
    earlier = {} if strategy == "replace" else {1: (None, None), 2: (None, None)}
    assert rows == {**earlier, 3: (10, b"\xff"), 4: (2, None)}
    if strategy != "replace":
        integer = INTEGER[kind].partition("(")[0]
        assert f'widened column "n" {TEXT[kind]} to {integer}' in result.schema_changes


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_column_with_one_text_stays_text(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        load(warehouse, [{"id": at, "n": "007" if at == 5 else None} for at in range(9)])
        load(warehouse, [{"id": 10, "n": 10}])
        found = held(warehouse, "t")
    assert found.types["n"] == TEXT[kind]
    assert {row["n"] for row in found.rows} == {None, "007", "10"}


CONSTRAINTS = [
    ("duckdb", "ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 'none'"),
    ("duckdb", "CREATE INDEX mine ON {t} (n)"),
    ("postgresql", "ALTER TABLE {t} ADD CONSTRAINT mine CHECK (n <> '')"),
    ("postgresql", "ALTER TABLE {t} ADD CONSTRAINT mine UNIQUE (n)"),
    ("postgresql", "CREATE VIEW {t}_seen AS SELECT n FROM {t}"),
    ("postgresql", "ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 'none'"),
    ("mysql", "ALTER TABLE {t} ADD CONSTRAINT mine CHECK (n <> '')"),
    ("mysql", "CREATE UNIQUE INDEX mine ON {t} (n(20))"),
    ("mysql", "ALTER TABLE {t} ADD COLUMN seen longtext AS (concat(n, '!'))"),
    ("sqlite", "CREATE UNIQUE INDEX mine ON {t} (n)"),
    ("sqlite", "ALTER TABLE {t} ADD COLUMN seen TEXT CHECK (n <> '')"),
]


@pytest.mark.parametrize(("kind", "sql"), CONSTRAINTS)
def test_what_somebody_has_built_on_a_column_is_respected(
    kind: str, sql: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        load(warehouse, [{"id": 1, "n": None}], "append")
        run(warehouse, sql)
        load(warehouse, [{"id": 2, "n": 10}], "append")
        found = held(warehouse, "t")
    assert found.types["n"] == TEXT[kind]
    assert [row["n"] for row in found.rows] == [None, "10"]


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_contract_that_holds_types_holds_this_one(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        load(warehouse, [{"id": 1, "n": None}], "append")
        contract = {"data_type": "freeze"}
        with pytest.raises(Exception, match="'n'"):
            load(warehouse, [{"id": 2, "n": [1]}], "append", schema_contract=contract)
        assert held(warehouse, "t").types["n"] == TEXT[kind]


@pytest.mark.parametrize("type_", [pa.uint64(), pa.decimal128(20, 0)])
def test_whole_numbers_of_a_table_that_began_empty_are_in_their_order_in_sqlite(
    type_: Any, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        warehouse = destination("sqlite", tmp_path, stack)
        for numbers in ([], [10, 2], [2**64 - 1]):
            ids = pa.array(range(len(numbers)), pa.int64())
            table = pa.table(
                {
                    "id": ids,
                    "n": pa.array([Decimal(n) for n in numbers], pa.decimal128(20, 0)).cast(type_),
                }
            )
            sync(GivenRead(STREAM, [table], source_name="shop"), warehouse, strategy="append")
            found = held(warehouse, "t")
            if numbers != [2**64 - 1]:
                assert found.types["n"] == "INTEGER"
                assert sorted(row["n"] for row in found.rows) == sorted(numbers)
    assert sorted(int(row["n"]) for row in found.rows) == [2, 10, 2**64 - 1]


def test_whole_numbers_are_in_their_order_in_sqlite(tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = destination("sqlite", tmp_path, stack)
        table = pa.table({"id": [1, 2], "n": _decimals(10, 2)})
        sync(GivenRead(STREAM, [table], source_name="shop"), warehouse, strategy="append")
        found = held(warehouse, "t")
        assert found.types["n"] == "INTEGER"
        assert sorted(row["n"] for row in found.rows) == [2, 10]
        # One that is no integer of 64 bits makes decimals of them.
        more = pa.table({"id": [3], "n": _decimals(2**64)})
        sync(GivenRead(STREAM, [more], source_name="shop"), warehouse, strategy="append")
        found = held(warehouse, "t")
    assert found.types["n"].startswith("DECIMAL_TEXT")
    assert sorted(int(row["n"]) for row in found.rows) == [2, 10, 2**64]


def _decimals(*values: int) -> pa.Array:
    return pa.array([Decimal(value) for value in values], pa.decimal128(38, 0))

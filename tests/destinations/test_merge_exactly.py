"""A merge takes a change for a change, and a key for another, where the database would call them equal."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.exceptions import SchemaConflictError
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests.pairs.places import DESTINATIONS, destination
from tests.servers import query

NUMBERS = Stream("numbers", primary_key="id")
WORDS = Stream("words", primary_key="k")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def merged(
    warehouse: DatabaseDestination, stream: Stream, rows: list[dict[str, Any]], **options: Any
) -> int:
    read = GivenRead(stream, [pa.Table.from_pylist(rows)], source_name="shop")
    return sync(read, warehouse, strategy="merge", **options).records_loaded


@pytest.mark.parametrize("kind", [kind for kind in DESTINATIONS if kind != "mysql"])
def test_the_sign_of_zero_is_a_change(kind: str, tmp_path: Path, stack: ExitStack) -> None:
    warehouse = destination(kind, tmp_path, stack)
    assert (
        merged(warehouse, NUMBERS, [{"id": 1, "n": 0.0}, {"id": 2, "n": 1.5}, {"id": 3, "n": None}])
        == 3
    )
    again: list[dict[str, Any]] = [{"id": 1, "n": -0.0}, {"id": 2, "n": 1.5}, {"id": 3, "n": None}]
    assert merged(warehouse, NUMBERS, again) == 1
    assert merged(warehouse, NUMBERS, again) == 0
    held = warehouse.read_table(warehouse.table_for("shop", NUMBERS)).sort_by("id")["n"].to_pylist()
    assert held == [0.0, 1.5, None]
    assert math.copysign(1, held[0]) == -1


KEYS: dict[str, tuple[Any, Any]] = {
    "a decimal": (Decimal("1.50"), "1E50"),
    "a double": (1.5, "x"),
    "a time": (time(10, 0, 0, 500000), "24:00:00"),
    "a timestamp": (datetime(2026, 1, 1, 10), "2026-01-01 10:00:00+00"),  # noqa: DTZ001 - a naive one
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_key_that_would_become_text_is_refused(
    kind: str, name: str, tmp_path: Path, stack: ExitStack
) -> None:
    """As text it would be written in one way by the table, in another by the next rows: a second row."""
    warehouse = destination(kind, tmp_path, stack)
    was, text = KEYS[name]
    assert merged(warehouse, WORDS, [{"k": was, "v": "a"}]) == 1
    with pytest.raises(SchemaConflictError, match="'words', field 'k': this part of the key is"):
        merged(warehouse, WORDS, [{"k": text, "v": "b"}])
    assert merged(warehouse, WORDS, [{"k": was, "v": "c"}]) == 1
    assert warehouse.read_table(warehouse.table_for("shop", WORDS))["v"].to_pylist() == ["c"]


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_rows_are_found_by_integers_and_dates_that_became_text(
    kind: str, tmp_path: Path, stack: ExitStack
) -> None:
    warehouse = destination(kind, tmp_path, stack)
    rows: list[dict[str, Any]] = [{"k": 1, "d": date(2026, 1, 1), "v": 1}]
    stream = WORDS.replace(primary_key=["k", "d"])
    merged(warehouse, stream, rows)
    merged(warehouse, stream, [{"k": "a", "d": "never", "v": 2}])
    merged(warehouse, stream, [{**rows[0], "v": 3}])
    assert sorted(warehouse.read_table(warehouse.table_for("shop", stream))["v"].to_pylist()) == [
        2,
        3,
    ]


OTHERS = {
    "mysql": "CREATE TABLE {table} (k varchar(20), v varchar(20)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "sqlite": "CREATE TABLE {table} (k TEXT COLLATE NOCASE, v TEXT COLLATE NOCASE)",
    "postgresql": "CREATE EXTENSION citext SCHEMA {schema}; "
    "CREATE TABLE {table} (k {schema}.citext, v {schema}.citext)",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_table_of_others_that_folds_case_is_merged_into_by_the_letters(
    kind: str, tmp_path: Path, stack: ExitStack
) -> None:
    warehouse = destination(kind, tmp_path, stack)
    if kind == "postgresql" and not query(
        "SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"
    ):
        pytest.skip("this PostgreSQL has no citext")
    table = warehouse.table_for("shop", WORDS)
    with warehouse.transaction() as tx:
        tx.create_schema(table.schema or "")
        for statement in (
            OTHERS[kind].format(table=tx.quoted(table), schema=table.schema).split("; ")
        ):
            tx.execute(statement)
    rows = [{"k": "a", "v": "x"}, {"k": "A", "v": "y"}]
    assert merged(warehouse, WORDS, rows, adopt=True) == 2
    assert merged(warehouse, WORDS, [{"k": "a", "v": "X"}, {"k": "A", "v": "y"}]) == 1
    held = warehouse.read_table(table).to_pylist()
    assert sorted((row["k"], row["v"]) for row in held) == [("A", "y"), ("a", "X")]

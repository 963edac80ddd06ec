"""Hints about SQL sources, each followed by the option or the query that it names."""

import re
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBDestination, SQLiteSource, SqlSource, Stream, StreamRead
from etl_assets.sync import resolve_start, sync
from tests.hints.following import hint_of
from tests.sources.sql_databases import database, rows

ORDERS = Stream("orders", primary_key="id", replication_key="at")


class Shop:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.db"
        self.warehouse = DuckDBDestination(str(folder / "w.duckdb"))

    def run(self, *statements: str) -> None:
        with sqlite3.connect(self.path) as connection:
            for statement in statements:
                connection.execute(statement)

    def load(
        self, stream: Stream = ORDERS, *, full_refresh: bool = False, **options: Any
    ) -> list[tuple[Any, ...]]:
        """Load a stream with these options of its source; gives the rows that there are then."""
        source = SQLiteSource(str(self.path), name="shop", streams=[stream], **options)
        (found,) = source.discover([stream.name]).streams
        schema = stream.schema or found.schema
        found = found.replace(
            primary_key=stream.primary_key, replication_key=stream.replication_key, schema=schema
        )
        read = StreamRead(source, found)
        sync(
            read,
            self.warehouse,
            start=resolve_start(read, self.warehouse, full_refresh=full_refresh),
        )
        table = self.warehouse.read_table(self.warehouse.table_for("shop", found))
        names = [name for name in table.column_names if not name.startswith("_etl_assets")]
        return sorted(tuple(row.values()) for row in table.select(names).to_pylist())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.run(
        "CREATE TABLE orders (id integer PRIMARY KEY, at integer, other integer)",
        "INSERT INTO orders VALUES (1, 10, 1), (2, 20, 2)",
    )
    return made


class TestRowsWithoutAReplicationKey:
    @pytest.fixture(autouse=True)
    def without(self, shop: Shop) -> None:
        shop.run("INSERT INTO orders VALUES (3, NULL, 3)")

    @pytest.mark.parametrize(("word", "ids"), [("exclude", [1, 2]), ("include", [1, 2, 3])])
    def test_an_option_says_what_becomes_of_them(
        self, word: str, ids: list[int], shop: Shop
    ) -> None:
        hint_of(shop.load, f'"{word}"')
        for _ in range(2):
            assert [row[0] for row in shop.load(on_null_cursor=word)] == ids

    def test_another_replication_key_is_chosen(self, shop: Shop) -> None:
        hint_of(shop.load, "another replication key")
        assert [row[0] for row in shop.load(ORDERS.replace(replication_key="other"))] == [1, 2, 3]


def test_a_full_refresh_after_another_replication_key(shop: Shop) -> None:
    shop.load()
    other = ORDERS.replace(replication_key="other")
    hint_of(lambda: shop.load(other), "run once with full_refresh")
    assert [row[0] for row in shop.load(other, full_refresh=True)] == [1, 2]
    assert [row[0] for row in shop.load(other)] == [1, 2]


def test_a_full_refresh_after_another_type_of_the_key(shop: Shop) -> None:
    shop.load()
    shop.run(
        "DROP TABLE orders", "CREATE TABLE orders (id integer PRIMARY KEY, at date, other integer)"
    )
    shop.run("INSERT INTO orders VALUES (1, '2026-01-01', 1)")
    hint_of(shop.load, "run once with full_refresh")
    assert [row[0] for row in shop.load(full_refresh=True)] == [1]
    assert [row[0] for row in shop.load()] == [1]


@pytest.mark.parametrize("options", [{"on_null_cursor": "include"}, {"lookback": 1}])
def test_keys_that_options_need(options: dict[str, Any], shop: Shop) -> None:
    keyless = ORDERS.replace(primary_key=[])
    hint_of(lambda: shop.load(keyless, **options), "Declare primary_key on the stream")
    assert len(shop.load(ORDERS, **options)) == 2
    if "on_null_cursor" in options:
        assert '"exclude"' in hint_of(lambda: shop.load(keyless, **options))
        assert len(shop.load(ORDERS, on_null_cursor="exclude")) == 2


def test_a_full_refresh_where_the_source_went_back(shop: Shop) -> None:
    shop.load()
    shop.run("DELETE FROM orders WHERE id = 2")
    hint_of(shop.load, "Run once with full_refresh")
    assert [row[0] for row in shop.load(full_refresh=True)] == [1]
    assert [row[0] for row in shop.load()] == [1]


def test_a_replication_key_of_a_type_without_order(shop: Shop) -> None:
    shop.run(
        "CREATE TABLE blobs (id integer PRIMARY KEY, b blob, n integer)",
        "INSERT INTO blobs VALUES (1, x'00', 1)",
    )
    blobs = Stream("blobs", primary_key="id", replication_key="b")
    hint_of(
        lambda: shop.load(blobs), "Use an integer, a date or a timestamp as the replication key"
    )
    assert shop.load(blobs.replace(replication_key="n")) == [(1, b"\0", 1)]


def test_how_far_back_is_given_as_the_key_is(shop: Shop) -> None:
    shop.load()
    hint_of(lambda: shop.load(lookback=timedelta(days=1)), "a number for numbers")
    assert len(shop.load(lookback=5)) == 2
    hint_of(lambda: shop.load(lookback=-5), "as it is")


def test_columns_of_a_query_that_have_no_name(tmp_path: Path) -> None:
    with database("postgresql", tmp_path) as shop:
        hint_of(shop.source(queries={"t": "SELECT 5 * 2"}).discover, 'SELECT price * 2 AS "double"')
        assert rows(shop.source(queries={"t": 'SELECT 5 * 2 AS "double"'}), Stream("t")) == [
            {"double": 10}
        ]


def test_wrong_options_show_one_that_is_taken(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.path.parent)
    hint_of(lambda: shop.load(on_null_cursor="skip"), "Use one of error, include, exclude")
    hint_of(SqlSource, 'SqlSource(url="sqlite:///my.db")')
    hint_of(SQLiteSource, 'SQLiteSource("shop.db", name="shop")')
    assert [one.name for one in SqlSource(url="sqlite:///shop.db").discover().streams] == ["orders"]
    assert [one.name for one in SQLiteSource("shop.db", name="shop").discover().streams] == [
        "orders"
    ]


UNREADABLE: dict[str, tuple[list[str], str]] = {
    # by database: statements, and the text of the value that no other type holds
    "sqlite": (
        ["CREATE TABLE days (id integer, d integer)", "INSERT INTO days VALUES (1, 'abc')"],
        "abc",
    ),
    "postgresql": (
        ["CREATE TABLE days (id integer, d date)", "INSERT INTO days VALUES (1, 'infinity')"],
        "infinity",
    ),
    "mysql": (
        [
            "CREATE TABLE days (id integer, d date)",
            "SET sql_mode=''",
            "INSERT INTO days VALUES (1, '0000-00-00')",
        ],
        "0000-00-00",
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_value_of_its_column_is_read_as_text_by_a_query(
    kind: str, tmp_path: Path
) -> None:
    statements, text = UNREADABLE[kind]
    with database(kind, tmp_path) as shop:
        shop.run(*statements)
        hint = hint_of(lambda: rows(shop.source(), Stream("days")), "queries={...}")
        query = re.findall(r"SELECT .*(?=, \.\.\.)", hint)[0] + ", id FROM days"
        assert rows(shop.source(queries={"days": query}), Stream("days")) == [{"d": text, "id": 1}]


def test_a_moment_that_is_none_is_no_replication_key(shop: Shop) -> None:
    shop.run(
        "CREATE TABLE visits (id integer PRIMARY KEY, at datetime, n integer)",
        "INSERT INTO visits VALUES (1, '2026-01-01 00:00:00', 1), (2, 17, 2)",
    )
    visits = Stream("visits", primary_key="id", replication_key="at")
    hint_of(lambda: shop.load(visits), "queries={...}", "another replication key")
    query = {"seen": "SELECT * FROM visits WHERE typeof(at) = 'text'"}
    seen = Stream("seen", primary_key="id", replication_key="at")
    assert [row[0] for row in shop.load(seen, queries=query)] == [1]
    texts = {"all": "SELECT id, CAST(at AS TEXT) AS moment, n FROM visits"}
    by_number = Stream("all", primary_key="id", replication_key="n")
    assert [row[1] for row in shop.load(by_number, queries=texts)] == ["2026-01-01 00:00:00", "17"]


def test_a_split_has_a_key_that_begins_with_an_integer(shop: Shop) -> None:
    shop.run(
        "CREATE TABLE named (name blob, id integer)",
        "INSERT INTO named VALUES (x'01', 1), (x'02', 2)",
    )
    source = SQLiteSource(str(shop.path), name="shop")
    hint_of(lambda: source.key_ranges(Stream("named"), 2), "Declare primary_key")
    assert len(source.key_ranges(Stream("named", primary_key="id"), 2).ranges) == 2
    named = Stream("named", primary_key=["name", "id"])
    hint_of(
        lambda: source.key_ranges(named, 2),
        "A key that begins with an integer can",
        "leave `split` out",
    )
    assert len(source.key_ranges(Stream("named", primary_key=["id", "name"]), 2).ranges) == 2
    assert len(shop.load(named)) == 2

"""A script's source that declares its streams reads these and no others, as its assets do."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from etl_assets import DuckDBCache, DuckDBDestination, SQLiteSource, Stream
from etl_assets.model.catalog import Catalog
from etl_assets.sources.base import Source


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20);"
            "CREATE TABLE staff_pay (id INTEGER); INSERT INTO staff_pay VALUES (7);"
            "CREATE TABLE items (id INTEGER); INSERT INTO items VALUES (3);"
        )
    return path


def test_read_loads_the_declared_streams_only(shop: Path, tmp_path: Path) -> None:
    source = SQLiteSource(shop, name="shop", streams=[Stream("orders")])
    result = source.read(DuckDBCache(db_path=tmp_path / "cache.duckdb"))
    assert list(result.keys()) == ["orders"]
    assert sorted(row["id"] for row in result["orders"]) == [1, 2]


def test_write_loads_the_declared_streams_only(shop: Path, tmp_path: Path) -> None:
    source = SQLiteSource(shop, name="shop", streams=[Stream("orders"), Stream("items")])
    destination = DuckDBDestination(str(tmp_path / "out.duckdb"))
    assert sorted(destination.write(source).results) == ["items", "orders"]
    with destination.connect() as connection:
        found = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'shop'"
        ).fetchall()
    assert sorted(found) == [("items",), ("orders",)]


def test_what_was_declared_of_a_stream_holds_in_a_script(shop: Path, tmp_path: Path) -> None:
    source = SQLiteSource(shop, name="shop", streams=[Stream("orders", replication_key="at")])
    cache = DuckDBCache(db_path=tmp_path / "cache.duckdb")
    assert source.read(cache).results["orders"].bookmark == {"at": 20}
    with sqlite3.connect(shop) as connection:
        connection.execute("INSERT INTO orders VALUES (3, 30), (4, 5)")
    result = source.read(cache)
    assert result.results["orders"].bookmark == {"at": 30}
    assert sorted(row["id"] for row in result["orders"]) == [1, 2, 3]  # the key is the table's own


def test_streams_that_are_named_are_read_whatever_was_declared(shop: Path, tmp_path: Path) -> None:
    source = SQLiteSource(shop, name="shop", streams=[Stream("orders")])
    result = source.read(DuckDBCache(db_path=tmp_path / "one.duckdb"), streams=["items"])
    assert list(result.keys()) == ["items"]
    every = SQLiteSource(shop, name="shop", streams=[Stream("orders")])
    result = every.read(DuckDBCache(db_path=tmp_path / "all.duckdb"), streams="*")
    assert sorted(result.keys()) == ["items", "orders", "staff_pay"]


def test_a_catalog_says_which_streams_are_selected(shop: Path, tmp_path: Path) -> None:
    found = SQLiteSource(shop, name="shop").discover()
    chosen = found.replace(
        found["items"].replace(selected=False), found["staff_pay"].replace(selected=False)
    )
    source = SQLiteSource(shop, name="shop", catalog=chosen)
    assert list(source.read(DuckDBCache(db_path=tmp_path / "cache.duckdb")).keys()) == ["orders"]


def test_samples_are_of_the_declared_streams(shop: Path) -> None:
    assert list(SQLiteSource(shop, name="shop", streams=[Stream("items")]).get_samples()) == [
        "items"
    ]


class Found(Source):
    """A source that finds its streams in a namespace."""

    name = "found"

    @override
    def discover(self, streams: Any = None) -> Catalog:
        schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
        return Catalog(
            [Stream("a", namespace="x", schema=schema), Stream("b", namespace="x", schema=schema)]
        )

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [{"id": 1}]


def test_a_stream_that_is_declared_without_its_namespace_is_the_one_of_its_name(
    tmp_path: Path,
) -> None:
    result = Found(streams=[Stream("a")]).read(DuckDBCache(db_path=tmp_path / "cache.duckdb"))
    assert list(result.keys()) == ["a"]

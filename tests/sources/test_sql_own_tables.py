"""A database that this library has loaded into is a source like any other: its ledger is not among the streams."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_assets import SQLiteDestination, SQLiteSource, Stream
from etl_assets.destinations.base import Destination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.sources.sql import SqlSource
from tests.sources.sql_databases import database


def own(source: SqlSource) -> list[str]:
    return [stream.name for stream in source.discover().values() if "_etl_assets_" in stream.name]


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Yield the options of a source in a database that holds the stream `a` and its ledger."""
    shop = tmp_path / "shop.db"
    with sqlite3.connect(shop) as connection:
        connection.executescript(
            "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);"
        )
    source = SQLiteSource(shop, name="shop", streams=[Stream("a")])
    destination: Destination
    with database(request.param, tmp_path) as made:
        if request.param == "sqlite":
            destination = SQLiteDestination(tmp_path / "out.db")
            destination.write(source)
            yield {"url": f"sqlite:///{tmp_path / 'out.db'}"}
            return
        schema = made.schema or made.engine.url.database
        url = made.url.replace("+psycopg", "").replace("+pymysql", "")
        if request.param == "postgresql":
            destination = PostgresDestination(url, schema_name=schema, state_schema=schema)
        else:
            destination = MySQLDestination(url, schema_name=schema)
        destination.write(source)
        yield {"url": made.url, "schema": schema}


def test_the_tables_of_the_ledger_are_not_discovered(loaded: dict[str, Any]) -> None:
    url = loaded.pop("url")
    assert own(SqlSource("again", url, **loaded)) == []
    found = [stream.name for stream in SqlSource("again", url, **loaded).discover().values()]
    assert any(name.endswith("a") for name in found)
    assert own(SqlSource("again", url, include="*", **loaded)) == []


def test_who_names_them_finds_them(loaded: dict[str, Any]) -> None:
    url = loaded.pop("url")
    assert "_etl_assets_state" in own(SqlSource("again", url, include="_etl_assets_*", **loaded))
    assert own(SqlSource("again", url, include=["a", "_etl_assets_loads"], **loaded)) == [
        "_etl_assets_loads"
    ]
    named = SqlSource("again", url, **loaded).discover(streams=["_etl_assets_state"])
    assert [stream.name for stream in named.values()] == ["_etl_assets_state"]

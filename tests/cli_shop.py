"""A project in a folder, as the command line finds it: a shop in SQLite, a warehouse in DuckDB, a definitions file."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import SqlSource
from etl_assets.sync import sync

TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, seq INTEGER);
CREATE TABLE orders (id INTEGER PRIMARY KEY, total NUMERIC, seq INTEGER);
CREATE TABLE visits (seq INTEGER, page TEXT);
INSERT INTO customers VALUES (1, 'Ada', 1), (2, 'Bo', 2);
INSERT INTO orders VALUES (1, 10, 1);
INSERT INTO visits VALUES (1, 'a'), (2, 'b');
"""
CUSTOMERS = Stream("customers", primary_key=["id"], replication_key="seq")
ORDERS = Stream("orders", primary_key=["id"], replication_key="seq")
VISITS = Stream("visits", replication_key="seq")

HEAD = """
import os
import dagster as dg
from etl_assets import DuckDBDestination, Destination, Source, SqlSource, Stream, stream_assets
"""
GLOB = """
shop = SqlSource(name="shop", url="sqlite:///shop.db")
defs = dg.Definitions(assets=stream_assets(shop, streams="*", destination=DuckDBDestination("warehouse.duckdb")))
"""
NAMED = """
shop = SqlSource(name="shop", url="sqlite:///shop.db", streams=[
    Stream("customers", primary_key=["id"], replication_key="seq"),
    Stream("visits", replication_key="seq"),
])
defs = dg.Definitions(assets=stream_assets(shop, destination=DuckDBDestination("warehouse.duckdb")))
"""


def project(folder: Path, text: str) -> Path:
    """Write a definitions file beside a shop."""
    if not (folder / "shop.db").exists():
        run_sql(folder, TABLES)
    path = folder / "definitions.py"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def run_sql(folder: Path, script: str) -> None:
    """Change the shop."""
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.executescript(script)


def warehouse(folder: Path) -> DuckDBDestination:
    """Return the warehouse."""
    return DuckDBDestination(str(folder / "warehouse.duckdb"))


def load(folder: Path, stream: Stream, *, source: str = "shop", **options: Any) -> SyncResult:
    """Sync a stream."""
    shop = SqlSource(name=source, url=f"sqlite:///{folder / 'shop.db'}")
    return sync(StreamRead(shop, stream), warehouse(folder), **options)

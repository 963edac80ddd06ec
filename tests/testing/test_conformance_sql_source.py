"""`SqlSource` on SQLite passes the kit: with a key, without one, with ties, by a composite key, as a full table."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from etl_assets.model.catalog import Catalog
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.sql import SqlSource
from etl_assets.testing import SourceConformance

TABLES = """
CREATE TABLE keyed (id INTEGER PRIMARY KEY, name TEXT, price DECIMAL(10, 2), changed TIMESTAMP NOT NULL);
CREATE TABLE unkeyed (name TEXT, n INTEGER NOT NULL);
CREATE TABLE composite (id INTEGER PRIMARY KEY, day DATE NOT NULL, n INTEGER NOT NULL);
CREATE TABLE whole (id INTEGER PRIMARY KEY, data BLOB);
"""
KEYS: dict[str, Any] = {
    "keyed": "changed",
    "unkeyed": "n",
    "composite": ["day", "n"],
    "whole": None,
}


class Url:
    """A URL with a password that is kept elsewhere; no server is there."""

    def __init__(self, password: Any) -> None:
        self.password = password

    def get_value(self) -> str:
        return f"postgresql+psycopg://reader:{self.password.get_value()}@127.0.0.1:1/shop"


class TestSqlSource(SourceConformance):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        self.path = tmp_path / "shop.db"
        with closing(sqlite3.connect(self.path)) as shop:
            shop.executescript(TABLES)
            self.rows = 0
            for _ in range(7):
                self._insert(shop)
            shop.commit()
        source = SqlSource("shop", f"sqlite:///{self.path}", batch_rows=2)
        self.catalog = Catalog(
            [
                Stream(
                    one.name,
                    schema=one.schema,
                    primary_key=one.primary_key,
                    replication_key=KEYS[one.name],
                )
                for one in source.discover().streams
            ]
        )
        return source

    def streams(self) -> list[Stream]:
        return list(self.catalog.streams)

    def _insert(self, shop: sqlite3.Connection) -> None:
        n, half = self.rows, self.rows // 2
        shop.execute(
            "INSERT INTO keyed VALUES (?, ?, ?, ?)",
            (n, f"é {n}", n * 1.25, f"2026-01-0{half + 1} 10:00:00"),
        )
        shop.execute("INSERT INTO unkeyed VALUES ('equal', ?)", (half,))
        shop.execute(
            "INSERT INTO composite VALUES (?, ?, ?)", (n, f"2026-01-0{half // 2 + 1}", half % 2)
        )
        shop.execute("INSERT INTO whole VALUES (?, ?)", (n, bytes([n])))
        self.rows += 1

    def add_rows(self) -> bool:
        with closing(sqlite3.connect(self.path)) as shop:
            self._insert(shop)
            shop.commit()
        return True

    def source_with_secret(self, reference: Any) -> Source:
        return SqlSource("shop", Url(reference))

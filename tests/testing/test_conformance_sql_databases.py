"""The sources of PostgreSQL, MySQL and SQLite pass the kit, on real servers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from etl_assets import MySQLSource, PostgresSource, SQLiteSource
from etl_assets.model.catalog import Catalog
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.testing import SourceConformance
from tests.sources.sql_databases import Database, database

TABLES = (
    "CREATE TABLE keyed (id integer NOT NULL PRIMARY KEY, name text, price decimal(10, 2), changed timestamp NOT NULL)",
    "CREATE TABLE unkeyed (name varchar(10), n integer NOT NULL)",
    "CREATE TABLE composite (id integer NOT NULL PRIMARY KEY, day date NOT NULL, n integer NOT NULL)",
    "CREATE TABLE whole (id integer NOT NULL PRIMARY KEY, data {bytes})",
)
KEYS: dict[str, Any] = {
    "keyed": "changed",
    "unkeyed": "n",
    "composite": ["day", "n"],
    "whole": None,
}


class DatabaseConformance(SourceConformance):
    kind: ClassVar[str]
    bytes: ClassVar[str] = "blob"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[Source]:
        with database(self.kind, tmp_path) as self.made:
            self.made.run(*(table.format(bytes=self.bytes) for table in TABLES))
            self.rows = 0
            for _ in range(7):
                self.add_rows()
            source = self.make(self.made)
            self.catalog = Catalog(
                [one.replace(replication_key=KEYS[one.name]) for one in source.discover().streams]
            )
            yield source

    def make(self, made: Database) -> Source:
        raise NotImplementedError

    def streams(self) -> list[Stream]:
        return list(self.catalog.streams)

    def add_rows(self) -> bool:
        n, half = self.rows, self.rows // 2
        self.made.insert("keyed", [(n, f"é {n}", n * 1.25, f"2026-01-0{half + 1} 10:00:00")])
        self.made.insert("unkeyed", [("equal", half)])
        self.made.insert("composite", [(n, f"2026-01-0{half // 2 + 1}", half % 2)])
        self.made.insert("whole", [(n, bytes([n]))])
        self.rows += 1
        return True


class TestPostgresSource(DatabaseConformance):
    kind = "postgresql"
    bytes = "bytea"

    def make(self, made: Database) -> Source:
        return PostgresSource(made.url, name="shop", batch_rows=2)

    def source_with_secret(self, reference: Any) -> Source:
        return PostgresSource(
            name="shop", host="127.0.0.1", port=1, user="reader", password=reference, database="d"
        )


class TestMySQLSource(DatabaseConformance):
    kind = "mysql"

    def make(self, made: Database) -> Source:
        url = sa.make_url(made.url)
        parts: dict[str, Any] = {
            "host": url.host,
            "port": url.port,
            "user": url.username,
            "password": url.password,
        }
        return MySQLSource(name="shop", database=url.database, batch_rows=2, **parts)

    def source_with_secret(self, reference: Any) -> Source:
        return MySQLSource(
            name="shop", host="127.0.0.1", port=1, user="reader", password=reference, database="d"
        )


class TestSQLiteSource(DatabaseConformance):
    kind = "sqlite"

    def make(self, made: Database) -> Source:
        return SQLiteSource(sa.make_url(made.url).database, name="shop", batch_rows=2)

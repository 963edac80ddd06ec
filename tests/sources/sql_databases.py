"""Real databases for the tests of SQL sources: each test gets a schema or file of its own, dropped behind it."""

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from tests import servers

POSTGRES = servers.POSTGRES.replace("postgresql://", "postgresql+psycopg://")
MYSQL = servers.MYSQL.replace("mysql://", "mysql+pymysql://")

KINDS = ("sqlite", "postgresql", "mysql")


@dataclass
class Database:
    """A database with one schema that belongs to a test."""

    kind: str
    url: str
    schema: str | None
    engine: sa.Engine

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        names = [f"p{i}" for i in range(len(rows[0]))]
        statement = sa.text(
            f"INSERT INTO {table} VALUES ({', '.join(f':{name}' for name in names)})"
        )
        with self.engine.begin() as connection:
            connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])

    def source(self, **options: Any) -> SqlSource:
        return SqlSource("shop", self.url, **options)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[Database]:
    """Open a database of a kind; skips the test where its server is missing, or fails it where servers are required."""
    if kind == "sqlite":
        made = _sqlite(folder)
        try:
            yield made
        finally:
            made.engine.dispose()
        return
    server = sa.create_engine(POSTGRES if kind == "postgresql" else MYSQL, poolclass=sa.NullPool)
    name = f"t_{uuid.uuid4().hex[:12]}"
    try:
        with server.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    except sa.exc.OperationalError as error:
        product = {"postgresql": "PostgreSQL", "mysql": "MySQL or MariaDB"}[kind]
        servers.missing(f"no {product} server: {str(error.orig).splitlines()[0]}")
    try:
        made = _in_schema(kind, server.url, name)
        yield made
    finally:
        with server.begin() as connection:
            connection.exec_driver_sql(
                f"DROP SCHEMA {name}{' CASCADE' if kind == 'postgresql' else ''}"
            )
        server.dispose()


def _sqlite(folder: Path) -> Database:
    file = folder / f"{uuid.uuid4().hex}.db"
    sqlite3.connect(file).close()
    url = f"sqlite:///{file}"
    return Database("sqlite", url, None, sa.create_engine(url, poolclass=sa.NullPool))


def _in_schema(kind: str, server: sa.URL, name: str) -> Database:
    if kind == "postgresql":
        url = server.update_query_dict({"options": f"-csearch_path={name}"})
    else:
        url = server.set(database=name)
    shown = url.render_as_string(hide_password=False)
    return Database(kind, shown, name, sa.create_engine(url, poolclass=sa.NullPool))


def rows(
    source: SqlSource,
    stream: Stream,
    bookmark: Bookmark | None = None,
    query: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Read a stream to its end, as dicts of Python values."""
    # Closed whatever happens, as a sync does: a refused value is an error of its batch, and the
    # read still stands open.
    reading: Any = source.load_data(stream, bookmark, query)
    with closing(reading) as read:
        return [row for batch in read for row in batch.to_arrow(stream).to_pylist()]


def one_column(source: SqlSource, table: str, column: str) -> list[Any]:
    """Read one column of a table whose key is `id`, in the order of that key, without a declared schema."""
    stream = Stream(table, columns=["id", column])
    return [row[column] for row in sorted(rows(source, stream), key=lambda row: row["id"])]

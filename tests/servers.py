"""Real databases for tests of destinations: where they are, and a name of its own for each test, dropped behind it."""

import atexit
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NoReturn

import psycopg
import pymysql
import pytest

from tests import embedded_postgres

POSTGRES = os.environ.get(embedded_postgres.URL, embedded_postgres.DEFAULT)
MYSQL = os.environ.get("ETL_ASSETS_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")
REQUIRED = "ETL_ASSETS_REQUIRE_SERVICES"


def missing(told: str) -> NoReturn:
    """Skip the test, or fail it where servers are required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(told)
    pytest.skip(told)


@cache
def postgres() -> "psycopg.Connection | str":
    """Return a connection that every test of this process may use, or why there is none."""
    url = POSTGRES.replace("postgresql+psycopg://", "postgresql://")
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.Error as error:
        return f"no PostgreSQL server: {str(error).splitlines()[0]}"
    atexit.register(connection.close)
    return connection


def postgres_server() -> psycopg.Connection:
    """Return a connection to the server; skips the test where it is missing, or fails it where servers are required."""
    found = postgres()
    return missing(found) if isinstance(found, str) else found


@contextmanager
def postgres_schema() -> Iterator[str]:
    """Yield the name of a schema that is not there yet; it and `<name>_state` are dropped at the end."""
    server = postgres_server()
    name = f"t_{uuid.uuid4().hex[:12]}"
    try:
        yield name
    finally:
        server.execute("SET client_min_messages = warning")
        server.execute(f"DROP SCHEMA IF EXISTS {name}, {name}_state CASCADE")


def mysql_connect(**options: Any) -> "pymysql.connections.Connection[Any]":
    """Connect to the MySQL or MariaDB of the tests."""
    from urllib.parse import urlsplit

    url = urlsplit(MYSQL)
    return pymysql.connect(
        host=url.hostname or "127.0.0.1", port=url.port or 3306, user=url.username or "root",
        password=url.password or "", autocommit=True, connect_timeout=10, charset="utf8mb4", **options,
    )  # fmt: skip


@cache
def mysql() -> "pymysql.connections.Connection[Any] | str":
    """Return a connection that every test of this process may use, or why there is none."""
    try:
        return mysql_connect()
    except pymysql.Error as error:
        return f"no MySQL or MariaDB server: {error}"


@contextmanager
def mysql_schema() -> Iterator[str]:
    """Yield the name of a database of a test; it is made, and dropped at the end."""
    server = mysql()
    if isinstance(server, str):
        missing(server)
    name = f"t_{uuid.uuid4().hex[:12]}"
    with server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        with suppress(pymysql.Error), server.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")


def query(sql: str) -> list[tuple[Any, ...]]:
    """Ask PostgreSQL."""
    return postgres_server().execute(sql.encode()).fetchall()


Ask = Callable[[str], list[tuple[Any, ...]]]


def mysql_query(sql: str) -> list[tuple[Any, ...]]:
    """Ask MySQL."""
    server: Any = mysql()
    with server.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def mysql_left_over(schema: str) -> list[str]:
    """Name what swaps have left: tables of theirs, and notes."""
    tables = [row[0] for row in mysql_query(f"SHOW TABLES FROM {schema}")]
    notes = (
        mysql_query(f"SELECT table_name FROM {schema}._etl_assets_swaps")
        if "_etl_assets_swaps" in tables
        else []
    )
    left = [name for name in tables if "_etl_assets_new" in name or "_etl_assets_old" in name]
    return left + [f"a note of {name}" for (name,) in notes]

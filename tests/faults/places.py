"""The places that the fault harness is run against: a new destination is one more class here."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from typing_extensions import override

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.testing.place import SMALL_STAGING_BYTES, Place
from etl_assets.testing.points import ENGINE_POINTS
from examples.firebird_destination import FirebirdDestination
from tests.firebirds import firebird
from tests.servers import (
    MYSQL,
    POSTGRES,
    mysql_connect,
    mysql_left_over,
    mysql_query,
    postgres_server,
    query,
)

HOLD = "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
HOLD_SQLITE = (
    "import sys, sqlite3; con = sqlite3.connect(sys.argv[1], isolation_level=None); con.execute('BEGIN EXCLUSIVE'); "
    "print('held', flush=True); sys.stdin.read()"
)
HOLD_FIREBIRD = (
    "import sys; from tests.firebirds import firebird; firebird(); from firebird.driver import connect; "
    "con = connect(sys.argv[1], user='SYSDBA'); print('held', flush=True); sys.stdin.read()"
)


@contextmanager
def held(program: str, path: str) -> Iterator[None]:
    """Run a program that holds a file until the context is left."""
    command = [sys.executable, "-c", program, path]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate()


class DuckDBPlace(Place):
    """A file in the folder."""

    @override
    def destination(self) -> DuckDBDestination:
        path = str(self.folder / "warehouse.duckdb")
        return DuckDBDestination(
            path, staging_memory_bytes=SMALL_STAGING_BYTES, lock_timeout=self.lock_seconds
        )

    @override
    def files(self) -> set[str]:
        return {*super().files(), "warehouse.duckdb"}

    @override
    @contextmanager
    def hold(self) -> Iterator[None]:
        with held(HOLD, str(self.folder / "warehouse.duckdb")):
            yield


class SQLitePlace(Place):
    """A file in the folder."""

    @override
    def destination(self) -> SQLiteDestination:
        path = str(self.folder / "warehouse.sqlite")
        return SQLiteDestination(
            path, staging_memory_bytes=SMALL_STAGING_BYTES, lock_timeout=self.lock_seconds
        )

    @override
    def files(self) -> set[str]:
        return {*super().files(), "warehouse.sqlite"}

    @override
    @contextmanager
    def hold(self) -> Iterator[None]:
        with held(HOLD_SQLITE, str(self.folder / "warehouse.sqlite")):
            yield


class FirebirdPlace(Place):
    """A file in the folder."""

    @property
    def _path(self) -> str:
        firebird()
        return str(self.folder / "warehouse.fdb")

    @override
    def destination(self) -> FirebirdDestination:
        options = {"staging_memory_bytes": SMALL_STAGING_BYTES, "lock_timeout": self.lock_seconds}
        return FirebirdDestination(
            database=self._path, staging_dir=str(self.folder / "staging"), **options
        )

    @override
    def files(self) -> set[str]:
        return {*super().files(), "warehouse.fdb"}

    @override
    @contextmanager
    def hold(self) -> Iterator[None]:
        with held(HOLD_FIREBIRD, self._path):
            yield


class ServerPlace(Place):
    """A schema of a server, whose name follows from the folder."""

    url: str

    @property
    def schema(self) -> str:
        """The schema's name."""
        return f"f_{sha256(str(self.folder).encode()).hexdigest()[:16]}"

    @property
    def reached(self) -> str:
        """The URL, by the address that a test may have put in place of the server's."""
        assert self.address is not None
        parts = urlsplit(self.url)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return urlunsplit(parts._replace(netloc=f"{login}{self.address[0]}:{self.address[1]}"))

    @property
    def options(self) -> dict[str, Any]:
        """What both servers' destinations take."""
        return {
            "schema_name": self.schema,
            "staging_dir": str(self.folder / "staging"),
            "staging_memory_bytes": SMALL_STAGING_BYTES,
            "lock_timeout": self.lock_seconds,
        }


def _address(url: str, port: int) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or port


class PostgresPlace(ServerPlace):
    """A schema of PostgreSQL."""

    url = POSTGRES
    server = _address(POSTGRES, 5432)

    @override
    def destination(self) -> PostgresDestination:
        return PostgresDestination(
            self.reached, state_schema=f"{self.schema}_state", **self.options
        )

    @override
    def left_over(self) -> Sequence[str]:
        tables = query(
            f"SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('{self.schema}') AND relkind = 'r' "
            "AND relname NOT IN ('append', 'merge', 'replace')"
        )
        return [*super().left_over(), *(table for (table,) in tables)]

    @override
    @contextmanager
    def hold(self) -> Iterator[None]:
        schemas = f"to_regnamespace('{self.schema}'), to_regnamespace('{self.schema}_state')"
        tables = query(
            f"SELECT oid::regclass FROM pg_class WHERE relnamespace IN ({schemas}) AND relkind = 'r'"
        )
        # The connection ends with the context, and with it the locks.
        with psycopg.connect(POSTGRES) as holder:
            holder.execute(f"LOCK TABLE {', '.join(table for (table,) in tables)}".encode())
            yield

    @override
    def disconnect(self) -> int:
        return len(
            query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                f"AND query LIKE '%{self.schema}%'"
            )
        )

    @override
    def drop(self) -> None:
        postgres_server().execute("SET client_min_messages = warning")
        postgres_server().execute(
            f"DROP SCHEMA IF EXISTS {self.schema}, {self.schema}_state CASCADE"
        )


class MySQLPlace(ServerPlace):
    """A database of MySQL or MariaDB."""

    url = MYSQL
    server = _address(MYSQL, 3306)
    engine_points = ENGINE_POINTS

    @property
    @override
    def reached(self) -> str:
        # By which `disconnect` finds the connection, whatever it is doing.
        return urlunsplit(urlsplit(super().reached)._replace(path=f"/{self.schema}"))

    @override
    def destination(self) -> MySQLDestination:
        # To make what is there already would wait for whoever holds one of its tables.
        if not mysql_query(f"SHOW DATABASES LIKE '{self.schema}'"):
            mysql_query(f"CREATE DATABASE IF NOT EXISTS {self.schema}")
        return MySQLDestination(self.reached, state_schema=self.schema, **self.options)

    @override
    def left_over(self) -> Sequence[str]:
        with suppress(Exception):
            return [*super().left_over(), *mysql_left_over(self.schema)]
        return super().left_over()

    @override
    @contextmanager
    def hold(self) -> Iterator[None]:
        tables = [name for (name,) in mysql_query(f"SHOW TABLES FROM {self.schema}")]
        with mysql_connect(database=self.schema) as holder, holder.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {', '.join(f'`{name}` WRITE' for name in tables)}")
            yield

    @override
    def disconnect(self) -> int:
        found = mysql_query(
            f"SELECT id FROM information_schema.processlist WHERE db = '{self.schema}' AND id <> CONNECTION_ID()"
        )
        for (connection,) in found:
            mysql_query(f"KILL CONNECTION {connection}")
        return len(found)

    @override
    def drop(self) -> None:
        mysql_query(f"DROP DATABASE IF EXISTS {self.schema}")


PLACES: list[type[Place]] = [DuckDBPlace, PostgresPlace, MySQLPlace, SQLitePlace, FirebirdPlace]

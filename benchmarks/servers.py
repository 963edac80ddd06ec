"""The servers that works read and load: a database of our own in each, and the CPU that it costs.

A work whose server is missing is left out. The addresses are those of the tests.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

POSTGRES, MARIADB = "PostgreSQL", "MariaDB"
URLS = {
    POSTGRES: os.environ.get(
        "ETL_ASSETS_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test"
    ),
    MARIADB: os.environ.get("ETL_ASSETS_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test"),
}
DATABASE = "ETL_ASSETS_BENCH_DATABASE"
"""In the environment of every candidate: the name of the database in each server."""


def url(server: str) -> str:
    """Return the address of the benchmarks' database."""
    scheme, rest = URLS[server].replace("+psycopg", "").split("://", 1)
    return f"{scheme}://{rest.split('/', 1)[0]}/{os.environ[DATABASE]}"


def postgres(**options: Any) -> Any:
    """Connect to the benchmarks' database in PostgreSQL."""
    import psycopg

    return psycopg.connect(url(POSTGRES), autocommit=True, **options)


def mariadb(database: str | None = None) -> Any:
    """Connect to MariaDB, as a rule to the benchmarks' database."""
    import pymysql

    at = urlsplit(URLS[MARIADB])
    return pymysql.connect(
        host=at.hostname or "127.0.0.1", port=at.port or 3306, user=at.username or "root", password=at.password or "",
        database=database, autocommit=True, charset="utf8mb4",
    )  # fmt: skip


@cache
def missing(server: str) -> str | None:
    """Say why a server cannot be used, or None if it can."""
    import psycopg
    import pymysql

    try:
        if server == POSTGRES:
            psycopg.connect(URLS[POSTGRES].replace("+psycopg", ""), connect_timeout=10).close()
        else:
            mariadb().close()
    except (psycopg.Error, pymysql.Error) as error:
        return f"no {server}: {str(error).splitlines()[0]}"
    return None


@contextmanager
def databases() -> Iterator[None]:
    """Make a database of our own in each server that is there, and drop them again."""
    import psycopg

    name = os.environ[DATABASE] = f"etl_assets_bench_{os.getpid()}"
    try:
        if not missing(POSTGRES):
            with psycopg.connect(
                URLS[POSTGRES].replace("+psycopg", ""), autocommit=True
            ) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
                # A parallel worker is a process whose title does not say whom it serves.
                for setting in (
                    "max_parallel_workers_per_gather",
                    "max_parallel_maintenance_workers",
                ):
                    connection.execute(f"ALTER DATABASE {name} SET {setting} = 0".encode())
        if not missing(MARIADB):
            with mariadb() as server, server.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
        yield
    finally:
        if not missing(POSTGRES):
            with psycopg.connect(
                URLS[POSTGRES].replace("+psycopg", ""), autocommit=True
            ) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        if not missing(MARIADB):
            with mariadb() as server, server.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {name}")


def emptied(server: str) -> None:
    """Remove all that a work has left in the benchmarks' database."""
    name = os.environ[DATABASE]
    if server == POSTGRES:
        with postgres() as connection:
            found = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
            ).fetchall()
            connection.execute("SET client_min_messages = warning")
            for (schema,) in found:
                connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
            connection.execute("CREATE SCHEMA public")
            connection.execute(
                "CHECKPOINT"
            )  # what the last candidate wrote is not the next one's business
    else:
        with mariadb() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")
            cursor.execute(f"CREATE DATABASE {name}")


@cache
def process(server: str) -> int | None:
    """Return the server's process, or None where it runs on another machine."""
    if server == MARIADB:
        for path in Path("/proc").glob("[0-9]*/comm"):
            with suppress(OSError):
                if path.read_text().strip() in {"mariadbd", "mysqld"}:
                    return int(path.parent.name)
        return None
    with postgres() as connection:
        status = Path(f"/proc/{connection.info.backend_pid}/stat")
        title = status.parent / "cmdline"
        if not status.exists() or b"postgres" not in title.read_bytes():
            return None
        return int(status.read_text().rsplit(")", 1)[1].split()[1])

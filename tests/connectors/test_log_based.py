"""The real tap that reads a database's log, from a PostgreSQL that has the plugin for it: run, killed, run again.

The server is one of the test's own: that of the others writes no such log. Debian's
`postgresql-15-wal2json` and the
like have the plugin; `ETL_ASSETS_TEST_WAL2JSON` is the folder of one that is not where the server
looks.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from .real import WHERE, source_of

psycopg = pytest.importorskip("psycopg")
pytestmark = [pytest.mark.connectors, pytest.mark.full]

PLUGIN = "wal2json"
DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, get_source, stream_assets
tap = get_source({name!r}, {config!r}, pip_url="pipelinewise-tap-postgres", install_root={where!r}, source_name="shop")
options = {{"replication_method": "LOG_BASED", "primary_key": "id", "types": {{"price": "number"}}}}
warehouse = DuckDBDestination("w.duckdb")
name = "public-orders"
defs = dg.Definitions(stream_assets(tap, [name], destination=warehouse, options={{name: options}}))
"""
Query = Callable[[str], list[Any]]


def _programs() -> Path | None:
    found = shutil.which("initdb")
    places = (
        [Path(found).resolve().parent]
        if found
        else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((place for place in places if (place / "initdb").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """Start a PostgreSQL with a log for others; gives its port."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server to start")
    usual = (programs.parent / "lib", programs.parent / "lib" / "postgresql")
    own = next((place for place in usual if (place / "pgoutput.so").exists()), usual[0])
    where = Path(os.environ.get("ETL_ASSETS_TEST_WAL2JSON", own))
    if not (where / f"{PLUGIN}.so").exists():
        pytest.skip(f"no {PLUGIN} in {where}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="etl_assets_log_") as folder:
        user = "postgres" if os.geteuid() == 0 else None  # the server does not run as root
        if user:
            shutil.chown(folder, user)
        data = Path(folder) / "data"

        def control(program: str, *arguments: str) -> None:
            command = [str(programs / program), *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, user=user)

        control("initdb", "-D", str(data), "-A", "trust", "-U", "postgres")
        options = f"-h 127.0.0.1 -p {port} -k '' -c fsync=off -c wal_level=logical"
        options += f" -c dynamic_library_path='{where}:$libdir'"
        control("pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start")
        try:
            yield port
        finally:
            control("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")


@pytest.fixture
def ask(server: int) -> Iterator[Query]:
    """Make a table and a slot; gives what runs a statement."""
    with psycopg.connect(
        f"postgresql://postgres@127.0.0.1:{server}/postgres", autocommit=True
    ) as connection:
        run = connection.execute
        if run("SELECT 1 FROM pg_settings WHERE name = 'output_plugin_libraries'").fetchone():
            run(
                f"ALTER SYSTEM SET output_plugin_libraries = pgoutput, {PLUGIN}"
            )  # newer servers ask for it
            run("SELECT pg_reload_conf()")
            _until(lambda: PLUGIN in run("SHOW output_plugin_libraries").fetchone()[0])
        run(
            "CREATE TABLE orders (id bigint PRIMARY KEY, note text, price numeric(10, 2), at timestamptz)"
        )
        at = "2026-01-02 03:04:05.678901Z"
        run(
            f"INSERT INTO orders SELECT i, 'n' || i, i / 3.0, '{at}' FROM generate_series(1, 500) i"
        )
        run(f"SELECT pg_create_logical_replication_slot('pipelinewise_postgres', '{PLUGIN}')")
        yield (
            lambda statement: (
                run(statement).fetchall() if statement.startswith("SELECT") else [run(statement)]
            )
        )


def _until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


class Project:
    """A definitions file, run by Dagster's own command."""

    def __init__(self, folder: Path, port: int) -> None:
        config = {
            "host": "127.0.0.1", "port": port, "user": "postgres", "password": "none", "dbname": "postgres",
            "filter_schemas": "public", "logical_poll_total_seconds": 5,
        }  # fmt: skip
        source_of("tap-postgres", config, pip_url="pipelinewise-tap-postgres")
        self.folder = folder
        (folder / "definitions.py").write_text(
            DEFINITIONS.format(name="tap-postgres", config=config, where=WHERE)
        )
        (folder / "home").mkdir()
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(folder / "home"),
            "ETL_ASSETS_PROGRESS": "none",
        }
        self._run("etl-assets", "discover")

    def _start(self, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(Path(sys.executable).parent / command[0]), *command[1:]], cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def _run(self, *command: str) -> None:
        process = self._start(*command)
        said, _ = process.communicate()
        assert process.returncode == 0, said

    def materialize(self) -> None:
        self._run("dagster", "asset", "materialize", "--select", "*", "-f", "definitions.py")

    def killed_when(self, is_so: Callable[[], bool]) -> None:
        process = self._start(
            "dagster", "asset", "materialize", "--select", "*", "-f", "definitions.py"
        )
        try:
            _until(is_so)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def rows(self, where: str) -> dict[int, tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "w.duckdb"), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            query = f'SELECT id, note, price, "at"::VARCHAR FROM shop.public_orders WHERE {where}'
            found = connection.sql(query).fetchall()
        assert len({row[0] for row in found}) == len(found)
        return {row[0]: row[1:] for row in found}


def test_changes_from_the_log_come_once_whatever_is_killed(
    server: int, ask: Query, tmp_path: Path
) -> None:
    project = Project(tmp_path, server)
    project.materialize()
    assert len(project.rows("true")) == 500

    def is_read() -> bool:
        return bool(ask("SELECT active FROM pg_replication_slots")[0][0])

    def is_as_at_the_source() -> bool:
        wanted = {
            key: (note, float(price), str(at))
            for key, note, price, at in ask(
                "SELECT id, note, price, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00') FROM orders"
            )
        }
        return project.rows("_sdc_deleted_at IS NULL") == wanted

    ask("INSERT INTO orders VALUES (1001, 'new', 0.67, '2026-03-04 05:06:07.000001Z')")
    ask("UPDATE orders SET note = 'changed', price = 99999999.99 WHERE id = 1")
    ask("DELETE FROM orders WHERE id = 2")
    project.killed_when(is_read)
    assert project.rows("id = 1")[1][0] == "n1"  # nothing of what was read is there
    ask("UPDATE orders SET note = 'changed again' WHERE id = 1")
    ask("DELETE FROM orders WHERE id = 3")
    project.materialize()
    assert is_as_at_the_source()
    assert set(project.rows("_sdc_deleted_at IS NOT NULL")) == {2, 3}
    project.materialize()  # nothing has changed
    assert is_as_at_the_source()
    ask("DELETE FROM orders WHERE id = 4")
    project.materialize()
    assert is_as_at_the_source()
    assert set(project.rows("_sdc_deleted_at IS NOT NULL")) == {2, 3, 4}

"""Rows of a transaction that began before a read and commits after it: PostgreSQL tells, and the bookmark waits."""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.model.bookmarks.tracker import FINGERPRINT
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.source_read import SourceRead
from etl_assets.sources.sql.postgres import late
from etl_assets.sync import sync
from etl_assets.sync_source import sync_source
from etl_assets.testing.fakes import MemoryDestination
from tests import servers
from tests.pairs.places import destination
from tests.sources.sql_databases import POSTGRES, Database, database

MERGED = Stream("orders", primary_key=["id"], replication_key="at")
APPENDED = Stream("orders", replication_key="at")
TABLE = (
    "CREATE TABLE orders (id int, at {type} DEFAULT {now})",
    "INSERT INTO orders SELECT i, {now} - interval '1 day' + i * interval '1 minute' FROM generate_series(1, 3) i",
)


@pytest.fixture(params=["timestamptz", "timestamp", "date"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(kind: str) -> Iterator[Database]:
    # A database of its own: the transactions of other tests would be waited for, too.
    name = f"t_{uuid.uuid4().hex[:12]}"
    servers.postgres_server().execute(f"CREATE DATABASE {name}")
    url = sa.make_url(POSTGRES).set(database=name)
    opened = Database(
        "postgresql",
        url.render_as_string(hide_password=False),
        None,
        sa.create_engine(url, poolclass=sa.NullPool),
    )
    try:
        opened.run(*(text.format(type=kind, now="now()") for text in TABLE))
        yield opened
    finally:
        servers.postgres_server().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["duckdb", "postgresql"])
def into(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseDestination]:
    with ExitStack() as stack:
        yield destination(request.param, tmp_path, stack)


def connect(made: Database) -> "psycopg.Connection[Any]":
    """Open a session beside the one that reads, in the database's own schema."""
    return psycopg.connect(made.url.replace("postgresql+psycopg://", "postgresql://"))


def wait_until_alone(made: Database) -> None:
    """Return when the server has ended the sessions that were closed: it does so a little later."""
    name = sa.make_url(made.url).database
    others = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"
    deadline = time.monotonic() + 30
    while servers.query(others):  # Asked from another database.
        assert time.monotonic() < deadline
        time.sleep(0.05)


def synced(made: Database, into: Any, stream: Stream, **options: Any) -> SyncResult:
    return sync(StreamRead(made.source(**options), stream), into)


def ids(into: DatabaseDestination) -> list[int]:
    return sorted(into.read_table(into.table_for("shop", MERGED)).column("id").to_pylist())


@pytest.mark.parametrize("stream", [MERGED, APPENDED], ids=["merge", "append"])
def test_what_is_committed_after_the_read_comes_with_the_next_one(
    stream: Stream, made: Database, into: DatabaseDestination
) -> None:
    with connect(made) as late_one:
        late_one.execute(
            "INSERT INTO orders (id) VALUES (4)"
        )  # `at` is when this transaction began
        made.run(
            "SELECT pg_sleep(0.2)", "INSERT INTO orders (id) VALUES (5)", "SELECT pg_sleep(0.2)"
        )
        synced(made, into, stream)
        assert set(ids(into)) >= {1, 2, 3}
        late_one.commit()
    made.run("SELECT pg_sleep(0.2)")
    synced(made, into, stream)
    assert ids(into) == [1, 2, 3, 4, 5]
    assert synced(made, into, stream).records_loaded == 0
    assert ids(into) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", ["timestamptz"], indirect=True)
class TestOfInstants:
    def test_it_is_missed_where_lag_says_that_none_comes_late(self, made: Database) -> None:
        into = MemoryDestination()
        with connect(made) as late_one:
            late_one.execute("INSERT INTO orders (id) VALUES (4)")
            made.run("SELECT pg_sleep(0.2)", "INSERT INTO orders (id) VALUES (5)")
            synced(made, into, MERGED, lag=timedelta(0))
            late_one.commit()
        assert synced(made, into, MERGED, lag=timedelta(0)).records_loaded == 0

    def test_merged_rows_are_loaded_at_once_and_the_bookmark_waits(
        self, made: Database, tmp_path: Path
    ) -> None:
        into = destination("duckdb", tmp_path, ExitStack())
        with connect(made) as late_one:
            late_one.execute("INSERT INTO orders (id) VALUES (4)")
            made.run("SELECT pg_sleep(0.2)", "INSERT INTO orders (id) VALUES (5)")
            first = synced(made, into, MERGED)
            assert ids(into) == [1, 2, 3, 5]
            state = into.stored("shop", MERGED).state
            assert state is not None
            assert FINGERPRINT not in (state.bookmark or {})
            assert synced(made, into, MERGED).bookmark == first.bookmark  # as long as it is open

    def test_a_forgotten_transaction_is_told_by_each_run(
        self,
        made: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        short = late._BOUND.replace(f"interval '{late.LONG_SECONDS} s'", "interval '0.1 s'")
        assert short != late._BOUND
        monkeypatch.setattr(late, "_BOUND", short)
        into = destination("duckdb", tmp_path, ExitStack())
        with connect(made) as forgotten:
            forgotten.execute("INSERT INTO orders (id) VALUES (4)")
            made.run("SELECT pg_sleep(0.2)", "INSERT INTO orders (id) VALUES (5)")
            for _ in range(2):
                caplog.clear()
                synced(made, into, APPENDED)
                assert "a transaction is open since" in caplog.text
                assert "leaves it to a later one" in caplog.text
                assert "pg_stat_activity" in caplog.text

    def test_composite_keys_and_reads_of_many_streams(self, made: Database, tmp_path: Path) -> None:
        into = destination("duckdb", tmp_path, ExitStack())
        stream = Stream("orders", replication_key=["at", "id"])
        source = made.source(streams=[stream])

        def all_of_it() -> None:
            read = SourceRead(source, [stream])
            assert [outcome.error for outcome in sync_source(read, into)] == [None]

        with connect(made) as late_one:
            late_one.execute("INSERT INTO orders (id) VALUES (4)")
            made.run(
                "SELECT pg_sleep(0.2)", "INSERT INTO orders (id) VALUES (5)", "SELECT pg_sleep(0.2)"
            )
            all_of_it()
            assert ids(into) == [1, 2, 3]
            late_one.commit()
        all_of_it()
        assert ids(into) == [1, 2, 3, 4, 5]

    def test_a_query_of_old_holds_nothing_and_a_young_one_does(
        self, made: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        into = destination("duckdb", tmp_path, ExitStack())
        with connect(made) as reader:
            reader.execute("SELECT 1")  # it may be about to write
            made.run(
                "SELECT pg_sleep(0.2)", "INSERT INTO orders (id) VALUES (4)", "SELECT pg_sleep(0.2)"
            )
            synced(made, into, APPENDED)
            assert ids(into) == [1, 2, 3]
            monkeypatch.setattr(late, "_BOUND", late._BOUND.replace("'60 s'", "'0.1 s'"))
            synced(made, into, APPENDED)
            assert ids(into) == [1, 2, 3, 4]

    def test_a_split_plans_a_bookmark_that_waits(self, made: Database) -> None:
        with connect(made) as late_one:
            late_one.execute("INSERT INTO orders (id) VALUES (4)")
            made.run("SELECT pg_sleep(0.2)", "INSERT INTO orders (id) VALUES (5)")
            planned = made.source().key_ranges(MERGED, 2).bookmark
            late_one.commit()
        made.run("DELETE FROM orders WHERE id > 3")
        assert planned == made.source(lag=timedelta(0)).key_ranges(MERGED, 2).bookmark

    def test_a_role_that_sees_no_other_waits_a_minute_and_is_told(
        self, made: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        into, role = destination("duckdb", tmp_path, ExitStack()), f"r_{uuid.uuid4().hex[:12]}"
        made.run(f"CREATE ROLE {role} LOGIN", f"GRANT SELECT ON orders TO {role}")
        mine = sa.make_url(made.url).set(username=role)
        restricted = Database(
            "postgresql", mine.render_as_string(hide_password=False), None, made.engine
        )
        try:
            with connect(made) as late_one:
                late_one.execute("INSERT INTO orders (id) VALUES (4)")
                made.run("INSERT INTO orders (id) VALUES (5)")
                synced(restricted, into, APPENDED)
                assert ids(into) == [1, 2, 3]
                late_one.commit()
            assert "may not see other sessions' transactions" in caplog.text
            assert "Set `lag`" in caplog.text
            caplog.clear()
            wait_until_alone(made)
            synced(restricted, into, APPENDED)
            assert ids(into) == [1, 2, 3, 4, 5]
            assert not caplog.records
        finally:
            made.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    def test_times_to_come_are_no_times_of_transactions(
        self, made: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        into = destination("duckdb", tmp_path, ExitStack())
        made.run("INSERT INTO orders VALUES (4, now() + interval '1 day')")
        synced(made, into, APPENDED)
        assert ids(into) == [1, 2, 3, 4]
        assert "has values in the future" in caplog.text

    def test_a_key_that_is_no_time_is_warned_of_once(
        self, made: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        into, stream = (
            MemoryDestination(),
            Stream("orders", primary_key=["id"], replication_key="id"),
        )
        synced(made, into, stream)
        (told,) = [record.getMessage() for record in caplog.records]
        assert "'id' is no time at which a transaction began" in told
        assert "`lookback`" in told
        synced(made, into, stream)
        assert len(caplog.records) == 1
        caplog.clear()
        synced(made, MemoryDestination(), stream, lag=0)
        assert not caplog.records

    def test_a_run_that_finds_nothing_new_asks_for_no_transactions(
        self, made: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        into = MemoryDestination()
        synced(made, into, MERGED)
        monkeypatch.setattr(late, "_BOUND", "SELECT 1/0")
        assert synced(made, into, MERGED).records_read == 0


def test_mysql_is_warned_of_at_the_first_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with database("mysql", tmp_path) as opened:
        opened.run(
            "CREATE TABLE orders (id int PRIMARY KEY, at datetime)",
            "INSERT INTO orders VALUES (1, '2026-01-01')",
        )
        into = MemoryDestination()
        synced(opened, into, MERGED)
        synced(opened, into, MERGED)
    assert [
        record.getMessage().count("does not tell which transactions are open")
        for record in caplog.records
    ] == [1]

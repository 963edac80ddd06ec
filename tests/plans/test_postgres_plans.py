"""What PostgreSQL looks at for a sync: never the whole table where an index serves.

The tables are in an unlucky order: old rows lie as they came, new ones at the end, and so do NULLs. Planners expect
otherwise, so that a LIMIT alone has them read the table until they meet a row.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from etl_assets.destinations.database.ledger_indexes import OF_LOADS
from etl_assets.destinations.postgres import transaction
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.model.partitions import Partition, Partitions, TimeWindow
from etl_assets.model.request import ReadRequest
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import PostgresSource
from etl_assets.sync import resolve_start, sync
from etl_assets.testing.fakes import GivenRead
from tests import servers
from tests.plans.explained import Statements, in_postgres

OLD, NEW = 120_000, 60_000
FEW = 500
"""Rows that a question may look at: a page of an index more or less is no matter."""
FIRST_NEW = datetime(2026, 6, 1)  # noqa: DTZ001 - the column has no zone
ORDERS = Stream("orders", primary_key=["id"], replication_key="at")


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """Yield a schema with a table: an index on each column that is asked for, and many new rows at its end."""
    server = servers.postgres_server()
    with servers.postgres_schema() as schema:
        server.execute(f"CREATE SCHEMA {schema}")
        server.execute(
            f"CREATE TABLE {schema}.orders AS SELECT i AS id, "
            f"timestamp '2026-01-01' + i::bigint * 7919 % {OLD} * interval '10 s' AS at, i % 9 AS part, "
            f"'name ' || i AS name FROM generate_series(0, {OLD - 1}) i"
        )
        server.execute(
            f"INSERT INTO {schema}.orders SELECT i, timestamp '{FIRST_NEW}' + i * interval '1 s', "
            f"i % 9, 'name ' || i FROM generate_series({OLD}, {OLD + NEW - 1}) i"
        )
        server.execute(f"CREATE TABLE {schema}.unknown AS SELECT * FROM {schema}.orders")
        server.execute(
            f"INSERT INTO {schema}.unknown SELECT id + {OLD + NEW}, NULL, NULL, name FROM {schema}.orders"
        )
        for table in ("orders", "unknown"):
            server.execute(f"ALTER TABLE {schema}.{table} ADD PRIMARY KEY (id)")
            server.execute(f"CREATE INDEX ON {schema}.{table} (at, part)")
            server.execute(f"CREATE INDEX ON {schema}.{table} (part)")
            server.execute(f"VACUUM ANALYZE {schema}.{table}")
        yield schema


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Statements]]:
    with in_postgres(monkeypatch) as both:
        yield both


def source(told: tuple[str, Statements], schema: str, **options: Any) -> PostgresSource:
    return PostgresSource(told[0], name="shop", schema=schema, **options)


def questions(statements: Statements, table: str) -> list[str]:
    """Return those that look at more than a few rows, but for the read itself."""
    return [
        str(one)
        for one in statements.of(table)
        if one.looked_at[table] > FEW and not one.sql.startswith("COPY (")
    ]


KEYS = {"one column": ["at"], "two columns": ["at", "part"]}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("many", [True, False], ids=["many new rows", "no new row"])
def test_a_read_asks_little_before_it_reads(
    key: str, many: bool, shop: str, told: tuple[str, Statements]
) -> None:
    stream = ORDERS.replace(replication_key=KEYS[key])
    newest = FIRST_NEW if many else FIRST_NEW + timedelta(seconds=OLD + NEW - 1)
    bookmark = {"at": newest.isoformat(), "part": (OLD + NEW - 1) % 9}
    own = source(told, shop)
    request = ReadRequest(known_fingerprint="of an earlier read")
    rows = sum(map(len, own.load_data(stream, bookmark, request=request)))
    assert rows == (NEW if many else 1)
    assert len(told[1]) > 3
    assert own.pending({stream: bookmark}, timeout=60) == {stream: many}
    own.latest(stream)
    own.key_ranges(stream, 4)
    assert questions(told[1], "orders") == []


def test_a_read_finds_its_rows_by_the_index(shop: str, told: tuple[str, Statements]) -> None:
    newest = FIRST_NEW + timedelta(seconds=OLD + NEW - 100)
    batches = source(told, shop).load_data(ORDERS, {"at": newest.isoformat()})
    assert sum(map(len, batches)) == 100
    assert [str(one) for one in told[1].of("orders") if one.looked_at["orders"] > FEW] == []


def test_a_partition_is_found_by_the_index(shop: str, told: tuple[str, Statements]) -> None:
    begin = (FIRST_NEW + timedelta(seconds=OLD)).replace(tzinfo=UTC)
    window = TimeWindow(begin, begin + timedelta(seconds=100))
    request = ReadRequest(partitions=Partitions((Partition("a minute", {"at": window}),)))
    batches = source(told, shop).load_data(Stream("orders", primary_key=["id"]), request=request)
    assert sum(map(len, batches)) == 100
    assert [str(one) for one in told[1].of("orders") if one.looked_at["orders"] > FEW] == []


@pytest.mark.parametrize("key", KEYS)
def test_many_rows_without_a_key_are_no_matter(
    key: str, shop: str, told: tuple[str, Statements]
) -> None:
    stream = Stream("unknown", primary_key=["id"], replication_key=KEYS[key])
    newest = FIRST_NEW + timedelta(seconds=OLD + NEW - 1)
    bookmark = {"at": newest.isoformat(), "part": (OLD + NEW - 1) % 9}
    own = source(told, shop, on_null_cursor="exclude")
    request = ReadRequest(known_fingerprint="of an earlier read")
    assert sum(map(len, own.load_data(stream, bookmark, request=request))) == 1
    assert own.pending({stream: bookmark}, timeout=60) == {stream: False}
    own.latest(stream)
    assert questions(told[1], "unknown") == []


COUNTED = "SELECT COUNT(*) FROM"
"""The one question that looks at each row: how many rows the table has at the COMMIT."""


def test_a_load_looks_at_what_it_changes(shop: str, told: tuple[str, Statements]) -> None:
    """Upserts, a run without anything new and a partition, into a table and a ledger that are large."""
    server = servers.postgres_server()
    url, statements = told
    with servers.postgres_schema() as own:
        into = PostgresDestination(url, schema_name=own, state_schema=own)
        read = StreamRead(source(told, shop), ORDERS)
        sync(read, into, strategy="merge")
        server.execute(f'CREATE INDEX ON {own}.orders ("at")')
        _many_loads(server, own)
        changed = f"(5, 50000, {OLD + 1})"
        server.execute(
            f"UPDATE {shop}.orders SET at = at + interval '1 year' WHERE id IN {changed}"
        )
        for expected in (4, 0):
            statements.clear()
            start = resolve_start(read, into)
            assert sync(read, into, strategy="merge", start=start).records_read == expected
            assert _large(statements) == []
        statements.clear()
        _one_partition(read, into, TableName("orders", own))
        assert _large(statements) == []


def _one_partition(read: StreamRead, into: PostgresDestination, table: TableName) -> None:
    begin = (FIRST_NEW + timedelta(seconds=OLD)).replace(tzinfo=UTC)
    window = TimeWindow(begin, begin + timedelta(seconds=100))
    minute = Partitions((Partition("a minute", {"at": window}),))
    stream = Stream("orders", primary_key=["id"])
    by_minute = StreamRead(read.source, stream, source_name="by minute")
    sync(by_minute, into, table=table, adopt=True, partitions=minute, strategy="merge")


def _many_loads(server: psycopg.Connection, schema: str) -> None:
    """Add the loads of two years, of this stream and of others, to a ledger."""
    loads = f"{schema}._etl_assets_loads"
    columns = [
        name
        for (name,) in server.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            [loads],
        )
    ]
    other = {
        "load_id": "'earlier-' || n || '-' || i",
        "stream": "CASE n WHEN 0 THEN stream ELSE 'other ' || n END",
        "table_name": "CASE n WHEN 0 THEN table_name ELSE 'other ' || n END",
        "commit_number": "i - 1000",
    }
    given = ", ".join(other.get(name, name) for name in columns)
    server.execute(
        f"INSERT INTO {loads} SELECT {given} FROM {loads}, generate_series(1, 1000) i, generate_series(0, 39) n"
    )
    server.execute(f"VACUUM ANALYZE {loads}")
    server.execute(f"VACUUM ANALYZE {schema}.orders")


def _large(statements: Statements) -> list[str]:
    """Return those that look at more than a few rows of any table, but for the count of its rows."""
    return [
        str(one)
        for one in statements
        if any(rows > FEW for rows in one.looked_at.values())
        and not (one.sql.startswith(COUNTED) and "WHERE" not in one.sql)
    ]


def test_a_ledger_of_an_earlier_version_gets_its_indexes_when_nobody_writes_to_it(
    shop: str, told: tuple[str, Statements], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "INDEX_WAIT", "50ms")
    server = servers.postgres_server()
    with servers.postgres_schema() as own:
        into = PostgresDestination(servers.POSTGRES, schema_name=own, state_schema=own)
        stream = Stream("orders", primary_key=["id"], replication_key="at", columns=["id", "at"])
        read = StreamRead(source(told, shop), stream, query={"_limit": 1})
        sync(read, into, strategy="append")
        for name in OF_LOADS:
            server.execute(f"DROP INDEX {own}.{name}")
        with psycopg.connect(servers.POSTGRES) as other:
            other.execute(f"LOCK TABLE {own}._etl_assets_loads IN ROW EXCLUSIVE MODE")
            sync(read, into, strategy="append", start=resolve_start(read, into))
            assert _indexes(own) == set()
        # Whoever else makes such indexes in this server holds the same lock.
        monkeypatch.setattr(transaction, "INDEX_WAIT", "60s")
        sync(read, into, strategy="append", start=resolve_start(read, into))
        assert _indexes(own) == set(OF_LOADS)


def _indexes(schema: str) -> set[str]:
    found = servers.query(
        f"SELECT indexname FROM pg_indexes WHERE schemaname = '{schema}' AND tablename = '_etl_assets_loads'"
    )
    return {name for (name,) in found}


@pytest.mark.parametrize("strategy", ["append", "merge", "replace"])
def test_a_table_that_a_load_makes_is_not_counted(
    strategy: str, told: tuple[str, Statements]
) -> None:
    url, statements = told
    rows = [{"id": number % 700, "n": number} for number in range(1000)]
    with servers.postgres_schema() as own:
        into = PostgresDestination(url, schema_name=own, state_schema=own)
        read = GivenRead(Stream("numbers", primary_key=["id"]), [rows], source_name="shop")
        for run_number in range(2):
            statements.clear()
            result = sync(read, into, strategy=strategy)
            ((count,),) = servers.query(f"SELECT COUNT(*) FROM {own}.numbers")
            assert result.rows_in_table == count
            counted = any(
                one.sql.startswith(COUNTED) and "numbers" in one.sql for one in statements
            )
            assert counted == (run_number > 0 and strategy != "replace")


def test_rows_that_are_exchanged_are_counted(told: tuple[str, Statements]) -> None:
    """Where a view rests on a table, it stays, and others may write to it."""
    url, statements = told
    rows = [{"id": number} for number in range(10)]
    with servers.postgres_schema() as own:
        into = PostgresDestination(url, schema_name=own, state_schema=own)
        read = GivenRead(Stream("numbers", primary_key=["id"]), [rows], source_name="shop")
        sync(read, into, strategy="replace")
        servers.postgres_server().execute(f"CREATE VIEW {own}.seen AS SELECT * FROM {own}.numbers")
        statements.clear()
        assert sync(read, into, strategy="replace").rows_in_table == 10
        assert any(one.sql.startswith(COUNTED) for one in statements)

"""A DuckDB file as a SQL source: discovered and read exactly, in one snapshot, without a trace in the file."""

import datetime as dt
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets import DuckDBDestination, SQLiteDestination, SqlSource
from etl_assets.exceptions import (
    ConfigError,
    ConnectError,
    DataError,
    EtlAssetsError,
    SourceError,
    UnavailableError,
)
from etl_assets.protocol.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

VALUES = {
    "170141183460469231731687303715884105727::HUGEINT": "170141183460469231731687303715884105727",
    "340282366920938463463374607431768211455::UHUGEINT": "340282366920938463463374607431768211455",
    "5::HUGEINT": Decimal(5),
    "18446744073709551615::UBIGINT": 2**64 - 1,
    "(10::BIGNUM ** 0)::BIGNUM": Decimal(1),
    "1.10::DECIMAL(38, 10)": Decimal("1.1000000000"),
    "TIME '24:00:00'": "24:00:00",
    "'12:00:00.5+05:30'::TIMETZ": "12:00:00.5+05:30",
    "TIMESTAMP_S '9999-12-31 23:59:59'": dt.datetime(9999, 12, 31, 23, 59, 59),  # noqa: DTZ001
    "TIMESTAMPTZ '2026-01-01 00:00:00+09'": dt.datetime(2025, 12, 31, 15, tzinfo=dt.UTC),
    "'10101'::BIT": "10101",
    "INTERVAL '1 month 2 days 3 us'": "1 month 2 days 00:00:00.000003",
    "INTERVAL '9223372036854775807 us'": "2562047788:00:54.775807",
    "'\\x00\\xFF'::BLOB": b"\x00\xff",
    "'00000000-0000-0000-0000-000000000001'::UUID": "00000000-0000-0000-0000-000000000001",
    "'b'::ENUM('b', 'a')": "b",
    "'{\"a\": 1.10}'::JSON": '{"a": 1.10}',
    "[1, NULL]": [1, None],
    "[1, 2]::INTEGER[2]": (1, 2),
    "{'a \"b': 1, 'c': ['12:00:00+01'::TIMETZ]}": {'a "b': 1, "c": ["12:00:00+01"]},
    "[340282366920938463463374607431768211455::UHUGEINT]": [
        "340282366920938463463374607431768211455"
    ],
    "[INTERVAL '1 month']": ["1 month"],
    "MAP{'a': '1'::BIT}": {"a": "1"},
    "union_value(n := 1)": "1",
    "union_value(t := '12:00:00+01'::TIMETZ)": '"12:00:00+01"',
    "ROW('x', 2)": "(x, 2)",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


def run(file: Path, *statements: str) -> None:
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)


def source(file: Path, **options: Any) -> SqlSource:
    return SqlSource("shop", f"duckdb:///{file}", **options)


def load(found: SqlSource, stream: Stream, destination: Any) -> None:
    sync(StreamRead(found, stream, source_name="shop"), destination)


def loaded(file: Path, asked: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(asked).fetchall()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("how", ["table", "catalog", "query"])
def test_every_type_comes_back(how: str, value: str, shop: Path, tmp_path: Path) -> None:
    if how == "query" or value.startswith("ROW"):  # a table has no such type
        run(shop, "CREATE TABLE other (a INTEGER)")
        found = source(shop, queries={"t": f"SELECT {value} AS v UNION ALL SELECT NULL"})
    else:
        run(shop, f"CREATE TABLE t AS SELECT {value} AS v UNION ALL SELECT NULL")
        found = source(shop)
    stream = found.discover(["t"])["t"] if how == "catalog" else Stream("t")
    load(found, stream, DuckDBDestination(str(tmp_path / "w.duckdb")))
    [(got,), (nothing,)] = loaded(tmp_path / "w.duckdb", "SELECT v FROM shop.t ORDER BY v IS NULL")
    assert nothing is None
    if how == "catalog" and value.startswith("MAP"):  # for which a catalog has no word
        assert got == '[["a","1"]]'
    else:
        assert got == VALUES[value]


def test_nanoseconds_come_back(shop: Path, tmp_path: Path) -> None:
    moment = "2026-01-01 00:00:00.123456789"
    run(
        shop,
        f"CREATE TABLE t AS SELECT TIMESTAMP_NS '{moment}' AS v, '01:02:03.123456789'::TIME_NS AS w",
    )
    load(source(shop), Stream("t"), DuckDBDestination(str(tmp_path / "w.duckdb")))
    asked = "SELECT v::VARCHAR, w::VARCHAR FROM shop.t"
    assert loaded(tmp_path / "w.duckdb", asked) == [(moment, "01:02:03.123456789")]


@pytest.mark.parametrize(
    "type_", ["DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"]
)
@pytest.mark.parametrize("word", ["infinity", "-infinity"])
def test_infinity_is_refused_by_name(word: str, type_: str, shop: Path, tmp_path: Path) -> None:
    run(shop, f"CREATE TABLE t AS SELECT '{word}'::{type_} AS moment")
    with pytest.raises(DataError) as refused:
        load(source(shop), Stream("t"), DuckDBDestination(str(tmp_path / "w.duckdb")))
    assert (refused.value.stream, refused.value.field) == ("t", "moment")
    assert "Value: " in str(refused.value)


def test_discovery_says_keys_comments_and_no_tables_of_ours(shop: Path, tmp_path: Path) -> None:
    run(
        shop,
        "CREATE TABLE orders (id BIGINT PRIMARY KEY, code VARCHAR UNIQUE NOT NULL, moment TIMESTAMPTZ)",
        "COMMENT ON TABLE orders IS 'What was sold'",
        "COMMENT ON COLUMN orders.code IS 'Of the till'",
        "CREATE TABLE gone (a INTEGER)",
        "CREATE VIEW of_gone AS SELECT * FROM gone",
        "DROP TABLE gone",
        "CREATE VIEW codes AS SELECT code FROM orders",
        "CREATE SCHEMA back",
        "CREATE TABLE back.stock (a INTEGER)",
    )
    load(source(shop), Stream("orders"), DuckDBDestination(str(tmp_path / "other.duckdb")))
    found = source(shop).discover()
    assert sorted(stream.name for stream in found.streams) == ["codes", "orders"]
    orders = found["orders"]
    assert orders.primary_key == ("id",)
    assert orders.description == "What was sold"
    assert (orders.schema or {})["properties"]["code"]["description"] == "Of the till"
    own: Any = orders.metadata[0]["metadata"]
    assert own["unique-keys"] == [["code"]]
    assert own["valid-replication-keys"] == ["id", "moment"]
    everywhere = source(shop, schema="*").discover()
    assert {(stream.namespace, stream.stream) for stream in everywhere.streams} >= {
        ("back", "stock")
    }
    # Tables of ours: the destination's own file has some.
    names = [
        stream.name for stream in source(tmp_path / "other.duckdb", schema="*").discover().streams
    ]
    assert names
    assert not [name for name in names if "_etl_assets_" in name]


@pytest.mark.parametrize(
    ("type_", "first", "then"),
    [
        ("HUGEINT", "2", "100000000000000000000000000000"),
        ("DECIMAL(20, 2)", "2.5", "10.25"),
        ("TIMESTAMPTZ", "'2026-01-01 00:00:00+09'", "'2026-01-01 01:00:00+09'"),
        ("TIMESTAMP_MS", "'2026-01-01'", "'2026-01-02'"),
        ("DATE", "'2026-01-01'", "'2026-01-02'"),
        ("TIME", "'09:00'", "'10:00'"),
        (
            "UUID",
            "'0fffffff-0000-0000-0000-000000000000'",
            "'ffffffff-0000-0000-0000-000000000000'",
        ),
        ("VARCHAR COLLATE NOCASE", "'B'", "'a'"),
        ("ENUM('z', 'a')", "'a'", "'z'"),
    ],
)
def test_a_bookmark_is_followed(
    type_: str, first: str, then: str, shop: Path, tmp_path: Path
) -> None:
    stream = Stream("t", primary_key="id", replication_key="moment")
    destination = DuckDBDestination(str(tmp_path / "w.duckdb"))
    run(shop, f"CREATE TABLE t (id INTEGER, moment {type_})", f"INSERT INTO t VALUES (1, {first})")
    load(source(shop), stream, destination)
    run(shop, f"INSERT INTO t VALUES (2, {then})")
    load(source(shop), stream, destination)
    load(source(shop), stream, destination)
    assert loaded(tmp_path / "w.duckdb", "SELECT id FROM shop.t ORDER BY id") == [(1,), (2,)]
    assert source(shop).pending({stream: source(shop).latest(stream)}, timeout=5) == {stream: False}


@pytest.mark.parametrize("type_", ["HUGEINT", "UBIGINT", "DECIMAL(30, 0)", "BIGINT"])
def test_whole_numbers_are_integers_in_sqlite(type_: str, shop: Path, tmp_path: Path) -> None:
    run(shop, f"CREATE TABLE t (n {type_})", "INSERT INTO t VALUES (10), (2)")
    load(source(shop), Stream("t"), SQLiteDestination(str(tmp_path / "w.db")))
    asked = "SELECT n, typeof(n) FROM shop__t ORDER BY n"
    with closing(sqlite3.connect(tmp_path / "w.db")) as found:
        assert found.execute(asked).fetchall() == [(2, "integer"), (10, "integer")]


def test_a_snapshot_is_read_and_nothing_is_written(shop: Path) -> None:
    run(shop, "CREATE TABLE t AS SELECT range AS id FROM range(500000)")
    before = shop.read_bytes()
    batches = source(shop, batch_rows=1000).load_data(Stream("t"))
    assert len(next(batches)) <= 1000
    assert sum(map(len, batches)) == 500_000 - 1000
    assert shop.read_bytes() == before
    with pytest.raises(EtlAssetsError):
        list(
            source(shop, queries={"q": "INSERT INTO t VALUES (1) RETURNING id"}).load_data(
                Stream("q")
            )
        )
    assert sorted(one.name for one in shop.parent.iterdir()) == ["shop.duckdb"]


def test_a_file_that_is_missing_is_not_made(shop: Path) -> None:
    with pytest.raises(ConnectError, match="there is no file"):
        source(shop).test_connection()
    assert not shop.exists()
    shop.write_bytes(b"no database" * 1000)
    with pytest.raises(ConnectError, match="not a valid DuckDB database file"):
        source(shop).test_connection()


def test_what_a_killed_writer_has_committed_is_read(shop: Path) -> None:
    program = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('CREATE TABLE t AS SELECT 1 AS id'); "
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", program, str(shop)], check=False)
    assert Path(f"{shop}.wal").exists()
    assert [batch.to_rows(Stream("t")) for batch in source(shop).load_data(Stream("t"))] == [
        [{"id": 1}]
    ]
    assert Path(f"{shop}.wal").exists()


def test_a_file_that_is_open_in_this_process_is_read(shop: Path) -> None:
    with duckdb.connect(str(shop)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id")
        assert sum(map(len, source(shop).load_data(Stream("t")))) == 1


def test_a_file_that_another_process_holds_is_tried_again(shop: Path) -> None:
    run(shop, "CREATE TABLE t AS SELECT 1 AS id")
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(shop)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        assert held.stdin is not None
        assert held.stdout is not None
        held.stdout.readline()
        with pytest.raises(UnavailableError, match="lock"):
            source(shop).test_connection()
        held.stdin.close()
    source(shop).test_connection()


def test_a_value_that_fails_while_rows_are_read_is_an_error_of_ours(shop: Path) -> None:
    run(shop, "CREATE TABLE t AS SELECT range AS id FROM range(300000)")
    found = source(
        shop,
        queries={"q": "SELECT CASE WHEN id = 299999 THEN error('no') ELSE id END AS id FROM t"},
    )
    with pytest.raises(EtlAssetsError, match="stream 'q'"):
        list(found.load_data(Stream("q")))


def test_filters_limits_and_splits(shop: Path) -> None:
    run(
        shop,
        "CREATE TABLE t AS SELECT range AS id, 'n' || range AS name, uuid() AS u FROM range(100)",
    )
    found, stream = source(shop), Stream("t", primary_key="id")
    [batch] = found.load_data(stream, query={"name": "n7"})
    [row] = batch.to_rows(stream)
    assert row["id"] == 7
    assert found.count_records(stream, query={"u": row["u"]}) == 1
    assert found.count_records(stream, query={"_limit": 5}) == 5
    assert len(found.key_ranges(stream, 4).ranges) == 4


SLOW = "SELECT a.range AS id FROM range(10000000) a, range(10000000) b WHERE (a.range * 7 + b.range) % 11 = {}"


@pytest.mark.parametrize("found", [12, 3], ids=["no row", "rows enough"])
def test_a_statement_may_take_its_time_and_no_more(found: int, shop: Path) -> None:
    run(shop, "CREATE TABLE t AS SELECT range AS id FROM range(10)")
    timed = source(shop, queries={"q": SLOW.format(found)}, statement_timeout=0.5)
    questions: list[Any] = [lambda: timed.count_records(Stream("q"))]
    questions += [lambda: list(timed.load_data(Stream("q")))] if found == 12 else []
    for ask in questions:
        began = time.monotonic()
        with pytest.raises(
            SourceError, match="took longer than its time-out allows: raise `statement_timeout`"
        ):
            ask()
        assert time.monotonic() - began < 20
    assert timed.count_records(Stream("t")) == 10, "the next statement has its own time"


def test_a_read_is_no_statement_that_takes_too_long_while_its_rows_are_written(shop: Path) -> None:
    run(shop, "CREATE TABLE t AS SELECT range AS id FROM range(20000)")
    read = []
    for batch in source(shop, statement_timeout=0.3, batch_rows=5000).load_data(Stream("t")):
        read.append(len(batch))
        time.sleep(0.2)
    assert (sum(read), len(read) > 2) == (20000, True)


def test_the_hint_helps(shop: Path) -> None:
    run(shop)
    statement = "SELECT count(*) AS n FROM range(30000) a, range(10000) b WHERE (a.range * 7 + b.range) % 11 = 3"
    with pytest.raises(SourceError, match="raise `statement_timeout`"):
        list(source(shop, queries={"q": statement}, statement_timeout=0.001).load_data(Stream("q")))
    [batch] = source(shop, queries={"q": statement}, statement_timeout=300).load_data(Stream("q"))
    assert len(batch) == 1


def test_a_database_whose_statements_cannot_be_timed_is_told() -> None:
    other = SqlSource("shop", "mssql+pyodbc://host/database", statement_timeout=5)
    with pytest.raises(
        ConfigError, match=r"statement_timeout has no effect on mssql\. Leave statement_timeout out"
    ):
        other.discover()
    with pytest.raises(EtlAssetsError) as caught:
        SqlSource("shop", "mssql+pyodbc://host/database").discover()
    assert "statement_timeout" not in str(caught.value)

"""Incremental reads: no row lost, none out of order, and an error where a bookmark cannot be trusted."""

import json
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import BookmarkError, ConfigError, DataError, SourceError
from etl_assets.model.batch import json_value
from etl_assets.model.bookmarks.appending import BOUNDARY
from etl_assets.model.bookmarks.tracker import BookmarkTracker
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.values.scalars import to_instant
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import SqlSource
from etl_assets.sources.sql.connection import connected
from etl_assets.sources.sql.sqlite.times import Writing
from etl_assets.sync import sync
from tests.sources.sql_databases import KINDS, Database, database, rows

EVENTS = Stream("events", primary_key="id", replication_key="at")
TABLE = "CREATE TABLE events (id integer PRIMARY KEY, at timestamp NULL, note varchar(20))"
START = datetime(2013, 1, 1, 10)  # noqa: DTZ001 - a naive column


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with database("sqlite", tmp_path) as opened:
        yield opened


def moment(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(sep=" ", timespec="seconds")


def stored(made: Database, seconds: float) -> str:
    """Return a moment as a bookmark of this database has it: MySQL's `timestamp` is an instant."""
    zone = "+00:00" if made.kind == "mysql" else ""
    return (START + timedelta(seconds=seconds)).isoformat() + zone


def fill(made: Database, seconds: list[float | None]) -> None:
    made.run(TABLE)
    made.insert(
        "events", [(i, None if s is None else moment(s), f"n{i}") for i, s in enumerate(seconds)]
    )


def ids(
    source: SqlSource, stream: Stream, bookmark: Bookmark | None = None, **query: Any
) -> list[Any]:
    return [row["id"] for row in rows(source, stream, bookmark, query)]


def resume(source: SqlSource, stream: Stream, stop_after: int) -> list[list[Any]]:
    """Read with a break after so many batches, then from the bookmark through JSON, until nothing new comes."""
    seen: list[list[Any]] = []
    bookmark: Bookmark | None = None
    while True:
        tracker = BookmarkTracker(stream, bookmark, check_order=True, ordered=True)
        got: list[Any] = []
        for count, batch in enumerate(source.load_data(stream, bookmark), 1):
            got += [tuple(row.values()) for row in tracker.take(batch).to_arrow(stream).to_pylist()]
            if count == stop_after:
                break
        reached = json.loads(json.dumps(dict(tracker.bookmark() or {}), default=str))
        seen.append(got)
        if reached == bookmark:
            return seen
        bookmark = reached


def test_a_read_starts_at_the_bookmark_with_its_ties(made: Database) -> None:
    fill(made, [0, 1, 1, 1, 2])
    source = made.source()
    assert ids(source, EVENTS) == [0, 1, 2, 3, 4]
    assert ids(source, EVENTS, {"at": stored(made, 1)}) == [1, 2, 3, 4]
    assert ids(source, EVENTS, {"at": stored(made, 1), BOUNDARY: {"x": 1}}) == [1, 2, 3, 4]
    assert ids(source, EVENTS, {}) == [0, 1, 2, 3, 4]
    assert source.latest(EVENTS) == {"at": stored(made, 2)}


def test_more_ties_than_a_batch_holds_are_all_read(made: Database) -> None:
    fill(made, [0, *[1] * 25, 2])
    source = made.source(batch_rows=4)
    assert ids(source, EVENTS, {"at": stored(made, 1)}) == list(range(1, 27))


@pytest.mark.parametrize("stop_after", [1, 2, 5])
def test_composite_resume_equals_a_straight_read(made: Database, stop_after: int) -> None:
    made.run(
        "CREATE TABLE t (id integer PRIMARY KEY, a integer NOT NULL, b varchar(9) NOT NULL, c date NOT NULL)"
    )
    chance = random.Random(7)
    made.insert(
        "t",
        [
            (
                i,
                chance.randrange(4),
                chance.choice(["x", "X", "é", "y", "Z"]),
                f"2013-01-0{chance.randrange(1, 4)}",
            )
            for i in range(60)
        ],
    )
    stream = Stream("t", primary_key="id", replication_key=["a", "b", "c"])
    source = made.source(batch_rows=10)
    straight = [tuple(row.values()) for row in rows(source, stream)]
    assert straight == sorted(straight, key=lambda row: (row[1], row[2], row[3], row[0]))
    pieces = resume(source, stream, stop_after)
    assert len(pieces) > 60 // 10 // stop_after
    assert list(dict.fromkeys(row for piece in pieces for row in piece)) == straight


CURSORS: list[tuple[str, list[Any]]] = [
    ("bigint", [-(2**63), -1, 0, 2**53 + 1, 2**63 - 1]),
    ("decimal(20,3)", [Decimal("-1.001"), Decimal("0.1"), Decimal("123456789.125")]),
    ("date", [date(1000, 1, 1), date(2013, 2, 28), date.max]),
    ("varchar(20)", ["A", "B", "_", "a", "ab", "É", "é", "😀"]),
    ("double precision", [-1.5, 0.1, 0.30000000000000004, 1e300]),
]


@pytest.mark.parametrize(("type_", "values"), CURSORS, ids=[name for name, _ in CURSORS])
def test_a_bookmark_of_any_type_stands_where_its_row_stands(
    made: Database, type_: str, values: list[Any]
) -> None:
    made.run(f"CREATE TABLE t (id integer PRIMARY KEY, v {type_})")
    shown = [float(v) if isinstance(v, Decimal) and made.kind == "sqlite" else v for v in values]
    shown = [v.isoformat() if isinstance(v, date) and made.kind == "sqlite" else v for v in shown]
    made.insert("t", list(enumerate(shown)))
    stream = Stream("t", primary_key="id", replication_key="v")
    source = made.source()
    read = rows(source, stream)
    assert [row["v"] for row in read] == values
    for i, row in enumerate(read):
        value = json_value(row["v"])
        for form in [value, str(value)] if isinstance(value, Decimal | int) else [value]:
            assert ids(source, stream, {"v": form}) == list(range(i, len(values)))
            assert source.pending({stream: {"v": form}}, timeout=10) == {
                stream: i < len(values) - 1
            }
    assert source.latest(stream) == {"v": json_value(values[-1])}


def test_timestamps_keep_their_microseconds_in_the_bookmark(made: Database) -> None:
    types = {"sqlite": "datetime", "postgresql": "timestamptz", "mysql": "datetime(6)"}
    made.run(f"CREATE TABLE t (id integer PRIMARY KEY, v {types[made.kind]})")
    made.insert("t", [(i, f"2013-01-01 10:00:00.00000{i}") for i in range(5)])
    stream = Stream("t", primary_key="id", replication_key="v")
    read = rows(made.source(), stream)
    for i in range(5):
        assert ids(made.source(), stream, {"v": json_value(read[i]["v"])}) == list(range(i, 5))


def test_postgres_uuids_and_chars_can_be_a_cursor(tmp_path: Path) -> None:
    with database("postgresql", tmp_path) as made:
        made.run(
            "CREATE TABLE t (id integer PRIMARY KEY, u uuid NOT NULL, c char(5) NOT NULL)",
            "INSERT INTO t SELECT i, ('0000000' || i || '-0000-0000-0000-000000000000')::uuid, 'a' || i "
            "FROM generate_series(0, 4) i",
        )
        for name in ("u", "c"):
            stream = Stream("t", primary_key="id", replication_key=name)
            for i, row in enumerate(rows(made.source(), stream)):
                assert ids(made.source(), stream, {name: row[name]}) == list(range(i, 5))


def test_columns_without_an_order_are_refused_as_a_cursor(made: Database) -> None:
    type_ = {"sqlite": "blob", "postgresql": "jsonb", "mysql": "blob"}[made.kind]
    made.run(f"CREATE TABLE t (id integer PRIMARY KEY, v {type_})")
    with pytest.raises(ConfigError, match=r"'v' .* has no order"):
        rows(made.source(), Stream("t", replication_key="v"))


# NULL


def test_rows_with_a_null_cursor_are_an_error_that_says_what_to_do(made: Database) -> None:
    fill(made, [0, None, 1, None])
    with pytest.raises(SourceError, match="2 rows whose 'at' is NULL") as caught:
        rows(made.source(), EVENTS)
    assert "include" in str(caught.value)
    assert "exclude" in str(caught.value)
    assert ids(made.source(), EVENTS, note="n2") == [2]  # the rows asked for have none


def test_null_cursors_can_be_left_out_or_read_every_time(made: Database) -> None:
    fill(made, [0, None, 1, None])
    excluding, including = (
        made.source(on_null_cursor="exclude"),
        made.source(on_null_cursor="include"),
    )
    assert ids(excluding, EVENTS) == [0, 2]
    assert ids(excluding, EVENTS, {"at": stored(made, 1)}) == [2]
    assert ids(including, EVENTS) == [0, 2, 1, 3]
    assert ids(including, EVENTS, {"at": stored(made, 1)}) == [2, 1, 3]
    assert including.count_records(EVENTS, {"at": stored(made, 1)}) == 3
    with pytest.raises(ConfigError, match="primary key"):
        rows(including, Stream("events", replication_key="at"))


def test_a_null_in_any_part_of_a_composite_cursor_counts(made: Database) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer)")
    made.insert("t", [(0, 1, 1), (1, 2, None), (2, None, 3), (3, 3, 3)])
    stream = Stream("t", primary_key="id", replication_key=["a", "b"])
    with pytest.raises(SourceError, match="1 rows whose 'a' is NULL and 1 rows whose 'b' is NULL"):
        rows(made.source(), stream)
    assert ids(made.source(on_null_cursor="exclude"), stream, {"a": 1, "b": 1}) == [0, 3]
    assert ids(made.source(on_null_cursor="include"), stream, {"a": 3, "b": 3})[0] == 3


# The maximum


def test_a_source_that_ends_before_the_bookmark_is_refused(made: Database) -> None:
    fill(made, [0, 1])
    with pytest.raises(BookmarkError, match="full_refresh") as caught:
        rows(made.source(), EVENTS, {"at": stored(made, 5)})
    assert stored(made, 1) in str(caught.value)
    assert stored(made, 5) in str(caught.value)


def test_an_empty_table_is_no_lower_maximum(made: Database) -> None:
    fill(made, [])
    (batch,) = list(made.source().load_data(EVENTS, {"at": stored(made, 5)}))
    assert len(batch) == 0
    assert batch.to_arrow(EVENTS).column_names == ["id", "at", "note"]
    assert made.source().latest(EVENTS) is None


def test_a_composite_maximum_is_compared_as_a_whole(made: Database) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer)")
    made.insert("t", [(0, 1, 9), (1, 2, 1)])
    stream = Stream("t", primary_key="id", replication_key=["a", "b"])
    assert ids(made.source(), stream, {"a": 1, "b": 9}) == [0, 1]
    assert ids(made.source(), stream, {"a": 2, "b": 1}) == [1]
    with pytest.raises(BookmarkError, match=r"\(2, 1\), lower than the bookmark \(2, 2\)"):
        rows(made.source(), stream, {"a": 2, "b": 2})
    assert made.source().latest(stream) == {"a": 2, "b": 1}


BAD_BOOKMARKS: list[dict[str, Any]] = [
    {"other": 1},
    {"at": "yesterday"},
    {"at": 7},
    {"at": None},
    {"at": True},
]


@pytest.mark.parametrize("bookmark", BAD_BOOKMARKS, ids=str)
def test_a_bookmark_that_does_not_fit_is_refused(made: Database, bookmark: dict[str, Any]) -> None:
    fill(made, [0])
    with pytest.raises(BookmarkError, match="'at'"):
        rows(made.source(), EVENTS, bookmark)


# Options


def test_lookback_begins_before_the_bookmark(made: Database) -> None:
    fill(made, [0, 1, 2, 3])
    source = made.source(lookback=timedelta(seconds=1))
    assert ids(source, EVENTS, {"at": stored(made, 3)}) == [2, 3]
    assert ids(made.source(lookback=timedelta(days=999_999)), EVENTS, {"at": stored(made, 3)}) == [
        0,
        1,
        2,
        3,
    ]
    with pytest.raises(ConfigError, match="primary key"):
        rows(source, Stream("events", replication_key="at"))
    with pytest.raises(ConfigError, match="lookback=5 does not fit"):
        rows(made.source(lookback=5), EVENTS, {"at": stored(made, 3)})
    with pytest.raises(BookmarkError, match="lower"):
        rows(made.source(lookback=timedelta(seconds=9)), EVENTS, {"at": stored(made, 5)})
    by_id = Stream("events", primary_key="id", replication_key="id")
    assert ids(made.source(lookback=1.5), by_id, {"id": 3}) == [1, 2, 3]


def test_lag_leaves_the_newest_rows_to_a_later_run(made: Database) -> None:
    fill(made, [0, 1, 2, 3])
    source = made.source(lag=timedelta(seconds=2))
    assert ids(source, EVENTS) == [0, 1]
    assert source.pending({EVENTS: {"at": stored(made, 1)}}, timeout=10) == {EVENTS: False}
    assert source.pending({EVENTS: {"at": stored(made, 0)}}, timeout=10) == {EVENTS: True}
    assert ids(source, EVENTS, {"at": stored(made, 1)}) == [1]
    by_id = Stream("events", primary_key="id", replication_key="id")
    assert ids(made.source(lag=1), by_id) == [0, 1, 2]
    with pytest.raises(ConfigError, match="lag"):
        rows(made.source(lag=timedelta(days=1)), by_id)


def test_a_span_that_reaches_the_other_way_is_refused(made: Database) -> None:
    for option in ("lookback", "lag"):
        for span in (timedelta(seconds=-1), -1, Decimal("-0.5")):
            with pytest.raises(ConfigError, match=f"{option} is .*less than nothing"):
                made.source(**{option: span})
        made.source(**{option: timedelta(0)})


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
@pytest.mark.parametrize("key", [["id"], []])
def test_a_number_above_all_others_makes_no_bookmark(
    value: str, key: list[str], tmp_path: Path
) -> None:
    with database("postgresql", tmp_path) as made:
        made.run("CREATE TABLE numbers (id integer PRIMARY KEY, x double precision)")
        made.insert("numbers", [(1, 1.5), (2, float(value))])
        stream = Stream("numbers", primary_key=key, replication_key="x")
        with pytest.raises(
            BookmarkError,
            match=r"stream 'numbers'.*'x'.*(stands above every number|NaN has no order)",
        ):
            sync(
                StreamRead(made.source(), stream, source_name="s"),
                DuckDBDestination(str(tmp_path / "w.duckdb")),
            )


# The query


def test_the_bounds_of_a_source_and_of_a_run_hold_both(made: Database) -> None:
    fill(made, [0, 1, 2, 3, 4, 5])
    source = made.source(start=moment(1), end=moment(5))
    assert ids(source, EVENTS) == [1, 2, 3, 4]
    assert ids(source, EVENTS, _start_date=moment(0), _end_date=moment(3)) == [1, 2]
    assert ids(source, EVENTS, _start_date=moment(2), _end_date=moment(9)) == [2, 3, 4]
    assert ids(source, EVENTS, _execution_date=moment(2)) == [1]
    by_note = made.source(start="n1", end="n5")
    texts = Stream("events", primary_key="id", replication_key="note")
    assert ids(by_note, texts, _start_date="n2", _end_date="n4") == [2, 3]
    assert ids(by_note, texts, _start_date="A", _end_date="z") == [1, 2, 3, 4]


def test_the_query_filters_limits_and_bounds(made: Database) -> None:
    fill(made, [0, 1, 2, 3])
    source = made.source()
    plain = Stream("events", primary_key="id")
    assert ids(source, plain, note="n2") == [2]
    assert ids(source, plain, id=1, note="n2") == []
    assert ids(source, plain, _limit=2) == [0, 1]
    assert ids(source, plain, _limit=2, _offset=1) == [1, 2]
    assert sorted(ids(source, Stream("events"), _offset=3)) == [3]
    assert ids(source, plain, _execution_partition="x") == ids(source, plain)
    assert ids(source, EVENTS, _start_date=moment(1), _end_date=moment(3)) == [1, 2]
    assert ids(source, EVENTS, _start_date="2013-01-02") == []
    assert ids(source, EVENTS, _execution_date=moment(1)) == [0]
    assert ids(source, EVENTS, _execution_date=moment(1), _end_date=moment(2)) == [0, 1]
    assert ids(source, EVENTS, at=moment(2)) == [2]
    assert ids(source, EVENTS, {"at": stored(made, 1)}, _limit=2) == [1, 2]
    queries: list[dict[str, Any]] = [
        {"note": "n2"},
        {"_limit": 2},
        {"_limit": 2, "_offset": 3},
        {"id": None},
    ]
    for query in [*queries, {"_limit": 9}]:
        assert source.count_records(plain, None, query) == len(rows(source, plain, None, query))
    assert source.count_records(EVENTS, {"at": stored(made, 1)}, {"_end_date": moment(3)}) == 2


def test_a_query_that_does_not_fit_is_refused(made: Database) -> None:
    fill(made, [0])
    source, plain = made.source(), Stream("events", primary_key="id")
    cases: list[tuple[Stream, dict[str, Any], str]] = [
        (plain, {"nota": 1}, "Did you mean 'note'"),
        (plain, {"_start_date": "2013-01-01"}, "replication key"),
        (plain, {"_limits": 1}, "Did you mean '_limit'"),
        (EVENTS, {"_offset": 1}, "_offset"),
        (EVENTS, {"_limit": "2"}, "whole number"),
        (EVENTS, {"_limit": -1}, "whole number"),
        (EVENTS, {"_start_date": "soon"}, "_start_date of 'at'"),
        (plain, {"id": "one"}, "does not fit .*: is no number"),
        (plain, {"id": [1, 2]}, r"one value|does not fit"),
    ]
    for stream, query, told in cases:
        with pytest.raises(ConfigError, match=told):
            rows(source, stream, None, query)


def test_values_and_names_that_carry_sql_are_data(made: Database) -> None:
    name = 'a b"; DROP TABLE events; -- é%s:x`'
    quoted = made.engine.dialect.identifier_preparer.quote_identifier(name)
    fill(made, [0])
    with made.engine.begin() as connection:
        table = sa.table(sa.sql.quoted_name(name, True), sa.column("id"))  # noqa: FBT003
        connection.execute(
            sa.text(
                f"CREATE TABLE {quoted.replace(':', chr(92) + ':').replace('%%', '%')} (id varchar(60))"
            )
        )
        connection.execute(table.insert().values(id="x' OR 1=1; --"))
    source = made.source()
    assert ids(source, Stream(name)) == ["x' OR 1=1; --"]
    assert ids(source, Stream(name), id="x' OR 1=1; --") == ["x' OR 1=1; --"]
    assert ids(source, Stream(name), id="' OR 1=1; --") == []
    assert ids(source, Stream(name, replication_key="id"), {"id": "x' OR 1=1; --"}) == [
        "x' OR 1=1; --"
    ]
    assert ids(source, EVENTS) == [0]


def test_orders_says_when_the_batches_are_checkpoints() -> None:
    source = SqlSource("s", "sqlite://")
    assert source.orders(EVENTS)
    assert source.orders(EVENTS, {"_limit": 3, "_execution_partition": "p"})
    assert not source.orders(EVENTS, {"note": "x"})
    assert not source.orders(EVENTS, {"_end_date": "2013-01-01"})
    assert not source.orders(Stream("events"))


# One snapshot


def test_a_writer_during_the_read_does_not_tear_the_snapshot(made: Database) -> None:
    if made.kind == "sqlite":
        made.run("PRAGMA journal_mode = WAL")
    fill(made, [float(i) for i in range(200)])
    source = made.source(batch_rows=10)
    read = source.load_data(EVENTS)
    got = [row["id"] for row in next(read).to_arrow(EVENTS).to_pylist()]

    def write() -> None:
        made.run(
            f"INSERT INTO events VALUES (1000, '{moment(55.0)}', 'mid'), (1001, '{moment(999.0)}', 'end')",
            "DELETE FROM events WHERE id IN (100, 199)",
            "UPDATE events SET note = 'changed' WHERE id = 150",
        )

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(30)
    assert not writer.is_alive()
    for batch in read:
        for row in batch.to_arrow(EVENTS).to_pylist():
            got.append(row["id"])
            assert row["note"] == f"n{row['id']}"
    assert got == list(range(200))
    assert ids(source, EVENTS, {"at": stored(made, 199)}) == [1001]


def test_a_read_that_is_given_up_lets_go_of_its_connection(made: Database) -> None:
    fill(made, [float(i) for i in range(3000)])
    read = StreamRead(made.source(batch_rows=5), EVENTS).open(None)
    assert len(next(read)) == 5
    read.close()  # type: ignore[attr-defined]
    made.run("DROP TABLE events")  # waits for ever where a transaction still holds it


def test_streams_are_asked_about_over_one_connection(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(made, [0, 1])
    made.run("CREATE TABLE empty_one (id integer PRIMARY KEY)")
    opened: list[float | None] = []

    def counting(server: Any, *, timeout: float | None = None, **options: Any) -> Any:
        opened.append(timeout)
        return connected(server, timeout=timeout, **options)

    monkeypatch.setattr("etl_assets.sources.sql.source.connected", counting)
    empty = Stream("empty_one", primary_key="id", replication_key="id")
    full = Stream("events", namespace=made.schema, primary_key="id")
    asked: dict[Stream, Bookmark | None] = {
        EVENTS: {"at": stored(made, 1)},
        empty: None,
        full: None,
    }
    assert made.source().pending(asked, timeout=7) == {EVENTS: False, empty: False, full: None}
    assert made.source().pending({EVENTS: None}, timeout=7) == {EVENTS: True}
    count = made.source().count_records(full)
    assert made.source().pending({full: None}, timeout=7, rows={full: count}) == {full: False}
    assert made.source().pending({full: None}, timeout=7, rows={full: count + 1}) == {full: True}
    assert opened.count(7) == 4


def test_sqlite_questions_that_take_too_long_have_no_answer(sqlite: Database) -> None:
    sqlite.run(
        "CREATE VIEW slow AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 100000000) "
        "SELECT id FROM n"
    )
    fill(sqlite, [0])
    slow = Stream("slow", replication_key="id")
    answers = sqlite.source(on_null_cursor="exclude").pending(
        {slow: {"id": 10**9}, EVENTS: None}, timeout=0.2
    )
    assert answers == {slow: None, EVENTS: True}
    with pytest.raises(SourceError, match="statement_timeout"):
        sqlite.source(statement_timeout=0.2).count_records(slow)


def test_server_questions_that_take_too_long_have_no_answer(tmp_path: Path) -> None:
    for kind, sleep in (("postgresql", "pg_sleep(5)::text"), ("mysql", "sleep(5)")):
        with database(kind, tmp_path) as made:
            made.run(f"CREATE VIEW slow AS SELECT {sleep} AS id")
            slow = Stream("slow", replication_key="id")
            assert made.source().pending(
                {slow: {"id": "1" if kind == "postgresql" else 1}}, timeout=0.3
            ) == {slow: None}


# SQLite keeps dates as text

WRITINGS = {
    "T and Z": ["2013-01-01T10:00:00Z", "2013-01-01T10:00:01Z", "2013-01-01T10:00:02Z"],
    "T, Z, digits": [
        "2013-01-01T10:00:00.000Z",
        "2013-01-01T10:00:00.500Z",
        "2013-01-01T10:00:01.000Z",
    ],
    "plain": ["2013-01-01 10:00:00", "2013-01-01 10:00:01", "2013-01-01 10:00:02"],
    "digits where there are some": [
        "2013-01-01 10:00:00",
        "2013-01-01 10:00:00.000500",
        "2013-01-01 10:00:01",
    ],
    "trailing zeros": [
        "2013-01-01 10:00:00.000000",
        "2013-01-01 10:00:00.100000",
        "2013-01-01 10:00:01.000000",
    ],
    "an offset": [
        "2013-01-01T10:00:00+02:00",
        "2013-01-01T10:00:00.5+02:00",
        "2013-01-01T10:00:01+02:00",
    ],
    "below UTC": [
        "2013-01-01 10:00:00-0530",
        "2013-01-01 10:00:00.25-0530",
        "2013-01-01 10:00:01-0530",
    ],
    "Z, some digits": ["2013-01-01T10:00:00Z", "2013-01-01T10:00:00.5Z", "2013-01-01T10:00:01Z"],
    "T and space": ["2013-01-01T10:00:00", "2013-01-01 10:00:01", "2013-01-01T10:00:02"],
    "offsets": ["2013-01-01T23:00:00+12:00", "2013-01-01T12:00:00Z", "2013-01-01T08:00:00-05:00"],
    "no seconds": ["2013-01-01T10:00Z", "2013-01-01T10:00:01Z", "2013-01-01T11:00Z"],
}


@pytest.mark.parametrize("name", WRITINGS)
def test_sqlite_bookmarks_are_compared_in_the_way_the_table_is_written(
    name: str, sqlite: Database
) -> None:
    sqlite.run("CREATE TABLE t (id integer PRIMARY KEY, v datetime)")
    sqlite.insert("t", [(i, text) for i, text in enumerate(WRITINGS[name])])
    stream = Stream("t", primary_key="id", replication_key="v")
    source = sqlite.source()
    read = rows(source, stream)
    assert [row["id"] for row in read] == [0, 1, 2]
    for i, row in enumerate(read):
        bookmark = {"v": json_value(row["v"])}
        assert ids(source, stream, bookmark) == list(range(i, 3))
        assert source.pending({stream: bookmark}, timeout=10) == {stream: i < 2}
        assert ids(source, stream, v=WRITINGS[name][i]) == [i]
    assert source.latest(stream) == {"v": json_value(read[2]["v"])}
    assert ids(source, stream, _start_date="2013-01-01", _end_date="2013-01-02") == [0, 1, 2]
    assert ids(made_lag(sqlite), stream)[0] == 0


def made_lag(sqlite: Database) -> SqlSource:
    return sqlite.source(lag=timedelta(microseconds=1))


@given(
    seconds=st.lists(st.integers(0, 200).map(lambda n: n / 4), min_size=1, max_size=12),
    writing=st.builds(
        Writing, st.sampled_from(" T"), st.sampled_from(["", "Z", "+05:45", "-05:00"]), st.just(6)
    ),
)
def test_the_order_of_texts_written_in_one_way_is_that_of_time(
    seconds: list[float], writing: Writing
) -> None:
    zone = UTC if writing.zone else None
    moments = [START.replace(tzinfo=zone) + timedelta(seconds=s) for s in seconds]
    shorter = replace(writing, optional=writing.zone != "Z")
    for one in (writing, shorter):
        assert all(one.fits(moment) for moment in moments)
        assert sorted(moments) == [
            to_instant(text) for text in sorted(one.write(moment) for moment in moments)
        ]


def test_sqlite_dates_with_and_without_a_zone_have_no_order(sqlite: Database) -> None:
    sqlite.run("CREATE TABLE t (id integer PRIMARY KEY, v datetime)")
    sqlite.insert("t", [(0, "2013-01-01T10:00:00Z"), (1, "2013-01-01T10:00:00")])
    with pytest.raises(DataError, match="stream 't', field 'v': values with and without a zone"):
        rows(sqlite.source(), Stream("t", primary_key="id", replication_key="v"))


def test_sqlite_values_that_are_no_date_are_named_when_they_are_compared(sqlite: Database) -> None:
    sqlite.run("CREATE TABLE t (id integer PRIMARY KEY, v datetime)")
    sqlite.insert("t", [(0, "2013-01-01T10:00:00Z"), (1, 1357034400)])
    with pytest.raises(DataError, match=r"stream 't', field 'v'.*1357034400"):
        rows(sqlite.source(), Stream("t", primary_key="id", replication_key="v"))


def test_sqlite_dates_as_text_columns_are_their_text(sqlite: Database) -> None:
    sqlite.run("CREATE TABLE t (id integer PRIMARY KEY, v text COLLATE NOCASE)")
    sqlite.insert(
        "t", [(0, "2013-01-01T10:00:00Z"), (1, "2013-01-01T10:00:00.5Z"), (2, "B"), (3, "a")]
    )
    stream = Stream("t", primary_key="id", replication_key="v")
    assert ids(sqlite.source(), stream) == [1, 0, 2, 3]
    assert ids(sqlite.source(), stream, {"v": "2013-01-01T10:00:00Z"}) == [0, 2, 3]

"""Rows read from the wire: every decimal, NULL anywhere, rows of any size, time-outs, reads that are given up."""

import io
import struct
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.exceptions import DataError, SourceError
from etl_assets.model.refused import Refusals
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import query as query_module
from etl_assets.sources.sql.connection import Server, connected
from etl_assets.sources.sql.mysql import packets as mysql_packets
from etl_assets.sources.sql.mysql.packets import Packets
from etl_assets.sources.sql.postgres import copy as postgres_copy
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.slices import CHUNK_BYTES
from etl_assets.sources.sql.types import SqlType
from tests.sources.sql_databases import Database, database, one_column, rows

SHAPES = [
    (1, 0),
    (1, 1),
    (4, 4),
    (5, 1),
    (9, 3),
    (15, 2),
    (18, 0),
    (18, 2),
    (18, 9),
    (18, 18),
    (19, 2),
    (38, 9),
    (38, 38),
]


@pytest.fixture(params=["postgresql", "mysql"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as opened:
        yield opened


# Values


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal | None]:
    largest = 10**precision - 1
    edges = st.sampled_from(
        [0, 1, -1, largest, -largest, 10 ** (precision - 1), 9999, 10_000, 10_001]
    )
    numbers = (edges | st.integers(-largest, largest)).filter(lambda n: abs(n) <= largest)
    return st.none() | numbers.map(lambda n: Decimal((n < 0, tuple(map(int, str(abs(n)))), -scale)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_decimals_of_every_shape_are_read_exactly(shape: tuple[int, int], made: Database) -> None:
    precision, scale = shape
    kind = "decimal" if made.kind == "mysql" else "numeric"
    if made.kind == "mysql" and scale > 30:
        pytest.skip("MySQL has 30 digits after the point")
    made.run(f"CREATE TABLE t (id integer, v {kind}({precision}, {scale}))")

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(decimals(precision, scale), min_size=1, max_size=40))
    def same(values: list[Decimal | None]) -> None:
        made.run("DELETE FROM t")
        made.insert("t", list(enumerate(values)))
        assert one_column(made.source(), "t", "v") == values

    same()


def test_numerics_without_a_precision_are_read_exactly(postgres: Database) -> None:
    values = [
        Decimal(v) for v in ("0", "-0.00001", "1e19", "0.123456789", "-99999", "10000", "1E-18")
    ]
    postgres.run("CREATE TABLE t (id integer, v numeric)")
    postgres.insert("t", list(enumerate([*values, None])))
    assert one_column(postgres.source(), "t", "v") == [*values, None]
    postgres.run("INSERT INTO t VALUES (9, 1e38), (10, 1e-38)")
    table = next(iter(postgres.source().load_data(Stream("t")))).to_arrow(Stream("t"))
    assert table.schema.field("v").type == pa.string()  # of no decimal's digits any more
    assert {Decimal(v) for v in table["v"].to_pylist() if v} == {
        *values,
        Decimal("1e38"),
        Decimal("1e-38"),
    }


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    given_rows=st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none()
            | st.text(
                st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300
            ),
            st.none() | st.binary(max_size=70_000),
            st.none() | st.dates(),
            st.none() | st.datetimes(),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=20,
    )
)
def test_rows_of_any_values_are_read_exactly(
    given_rows: list[tuple[Any, ...]], tmp_path_factory: Any
) -> None:
    for kind in ("postgresql", "mysql"):
        with database(kind, tmp_path_factory.mktemp("any")) as made:
            blob, moment = (
                ("bytea", "timestamp") if kind == "postgresql" else ("longblob", "datetime(6)")
            )
            made.run(
                f"CREATE TABLE t (id integer PRIMARY KEY, a bigint, b text, c {blob}, d date, e {moment}, "
                "f double precision)"
            )
            year = 1000 if kind == "mysql" else 1  # MySQL promises no earlier dates
            kept = [
                (i, *(None if isinstance(v, date) and v.year < year else v for v in row))
                for i, row in enumerate(given_rows)
            ]
            made.insert("t", kept)
            stream = Stream("t", primary_key="id", replication_key="id")
            assert [tuple(row.values()) for row in rows(made.source(), stream)] == kept


def test_a_null_in_every_column_and_row(made: Database) -> None:
    made.run(
        "CREATE TABLE t (id integer, a bigint, b text, c numeric(9, 2), d timestamp NULL, e boolean)"
    )
    made.insert(
        "t",
        [
            (1, None, None, None, None, None),
            (None, 1, "x", Decimal("-0.05"), datetime(2026, 1, 2), True),  # noqa: DTZ001
        ],
    )
    table = next(iter(made.source().load_data(Stream("t")))).to_arrow(Stream("t"))
    assert [column.null_count for column in table.columns] == [1] * 6
    made.run("DELETE FROM t WHERE id IS NULL")
    got = next(iter(made.source().load_data(Stream("t")))).to_arrow(Stream("t"))
    assert got.to_pylist() == [{"id": 1, "a": None, "b": None, "c": None, "d": None, "e": None}]
    assert got.schema.types == table.schema.types


@pytest.mark.parametrize(
    ("type_", "told"),
    [("numeric(9, 4)", "numeric(9, 2)"), ("numeric(9, 2)", "numeric(4, 2)"), ("bigint", "integer")],
)
def test_a_column_that_changes_its_type_on_the_way_is_no_other_value(
    type_: str, told: str, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.run(
        f"CREATE TABLE t (v {type_})",
        f"CREATE TABLE old (v {told})",
        "INSERT INTO t VALUES (12345.6789)",
    )
    real = query_module.Query.select

    def select(self: Any, *given: Any) -> Any:
        postgres.run(
            "DROP TABLE old", "ALTER TABLE t RENAME TO old"
        )  # after the columns were looked up
        return real(self, *given)

    monkeypatch.setattr(query_module.Query, "select", select)
    with pytest.raises(SourceError, match=r"'v'.*than its type"):
        rows(postgres.source(), Stream("old"))


def test_moments_before_and_after_the_years_that_can_be_read_are_named_as_written(
    postgres: Database,
) -> None:
    cases = {
        "timestamp": [
            ("'0044-03-15 10:00:00.5 BC'", "0044-03-15 10:00:00.5 BC"),
            ("'infinity'", "infinity"),
        ],
        "date": [
            ("'10000-01-01'", "10000-01-01"),
            ("'0001-12-31 BC'", "0001-12-31 BC"),
            ("'-infinity'", "-infinity"),
        ],
        "timestamptz": [("'294276-12-31 23:59:59+00'", "294276-12-31 23:59:59")],
    }
    for type_, values in cases.items():
        for literal, shown in values:
            postgres.run(
                "DROP TABLE IF EXISTS t",
                f"CREATE TABLE t (v {type_})",
                f"INSERT INTO t VALUES ({literal})",
            )
            with pytest.raises(DataError) as caught:
                rows(postgres.source(), Stream("t"))
            assert shown in str(caught.value)


# Sizes


def test_a_read_of_many_chunks_is_the_table(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY, v text)")
    values = [(i, "x" * (i % 7 * 100) or None) for i in range(1, 3001)]
    made.insert("t", values)
    monkeypatch.setattr(postgres_copy, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(mysql_packets, "CHUNK_BYTES", 1000)
    stream = Stream("t", primary_key="id", replication_key="id")
    tables = [batch.to_arrow(stream) for batch in made.source(batch_rows=1234).load_data(stream)]
    assert [table.num_rows for table in tables] == [1234, 1234, 532]
    assert [tuple(row.values()) for table in tables for row in table.to_pylist()] == values


def test_values_of_every_length_of_their_length(made: Database) -> None:
    lengths = [0, 1, 250, 251, 252, 65_535, 65_536, 70_000, 5_000_000]
    long_text = "text" if made.kind == "postgresql" else "longtext"
    made.run(f"CREATE TABLE t (id integer PRIMARY KEY, v {long_text}, w integer)")
    for length in lengths:
        made.insert("t", [(length, "é" * (length // 2) + "x" * (length % 2), 7)])
    got = rows(made.source(), Stream("t", primary_key="id", replication_key="id"))
    assert [(row["id"], len(row["v"].encode()), row["w"]) for row in got] == [
        (n, n, 7) for n in lengths
    ]


def packet(payload: bytes, number: int = 0) -> bytes:
    """Return a payload as MySQL sends it: parts of 2^24 - 1 bytes, the last one shorter."""
    parts = [payload[i : i + 0xFFFFFF] for i in range(0, len(payload) + 1, 0xFFFFFF)]
    return b"".join(
        len(part).to_bytes(3, "little") + bytes([number % 256]) + part for part in parts
    )


@pytest.mark.parametrize("length", [0xFFFFFF - 9, 0xFFFFFF, 2 * 0xFFFFFF + 5])
def test_a_mysql_row_longer_than_a_packet_is_joined(length: int) -> None:
    column = SqlColumn(
        "v",
        SqlType("binary", pa.binary()),
        "LONGBLOB",
        nullable=True,
        comment=None,
        expression=sa.column("v"),
    )
    snapshot: Any = SimpleNamespace(dialect="mysql")
    read = Packets(snapshot, None, [column], stream="t", batch_rows=10, refusals=Refusals())  # type: ignore[arg-type]
    value = bytes(range(256)) * (length // 256) + b"z" * (length % 256)
    sent = packet(b"\x01a") + packet(b"\xfe" + struct.pack("<Q", length) + value) + packet(b"\xfb")
    rows = io.BufferedReader(io.BytesIO(sent + packet(b"\xfe\x00\x00\x02\x00")))
    line: Any = SimpleNamespace(read=lambda: rows.read1(CHUNK_BYTES))
    found: list[Any] = []
    last = False
    while not last:
        piece = read._chunk(line, 10)
        found += read._decode(piece.buffer, piece.begin)[0].to_pylist() if len(piece.begin) else []
        last = piece.last
    assert found == [b"a", value, None]


# Time


def test_the_time_out_counts_the_wait_for_rows_and_not_the_time_between_batches(
    postgres: Database,
) -> None:
    postgres.run("CREATE TABLE t (id integer)", "INSERT INTO t SELECT generate_series(1, 300000)")
    source = postgres.source(statement_timeout=1.5, batch_rows=1000)
    for i, _ in enumerate(source.load_data(Stream("t"))):
        if i == 0:
            time.sleep(2)
    postgres.run("CREATE VIEW slow AS SELECT pg_sleep(30)::text AS v")
    began = time.monotonic()
    with pytest.raises(SourceError, match="time-out") as caught:
        rows(source, Stream("slow"))
    assert "statement_timeout" in (caught.value.hint or "")
    assert time.monotonic() - began < 20


def test_a_time_out_of_the_server_itself_holds_too(postgres: Database) -> None:
    postgres.run("CREATE VIEW slow AS SELECT pg_sleep(30)::text AS v")
    options = {
        "connect_args": {"options": f"-csearch_path={postgres.schema} -cstatement_timeout=1000"}
    }
    with pytest.raises(SourceError, match="time-out"):
        rows(postgres.source(**options), Stream("slow"))


def test_a_read_that_is_given_up_leaves_nothing_running(postgres: Database) -> None:
    postgres.run("CREATE TABLE t (id integer, v text)")
    postgres.run("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 100000) i")
    read = postgres.source(batch_rows=10).load_data(Stream("t"))
    next(iter(read))
    read.close()  # type: ignore[attr-defined]
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%%{postgres.schema}%%' AND state = 'active'"
    with connected(Server(postgres.url, "s")) as snapshot:
        deadline = time.monotonic() + 10
        while (
            snapshot.connection.exec_driver_sql(asked).scalar_one() and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        assert snapshot.connection.exec_driver_sql(asked).scalar_one() == 0


def test_a_zone_of_the_session_moves_no_instant(postgres: Database) -> None:
    postgres.run(
        "CREATE TABLE t (id integer, v timestamptz)",
        "INSERT INTO t VALUES (1, '2026-03-29 01:30:00+00')",
    )
    options = {
        "connect_args": {"options": f"-csearch_path={postgres.schema} -cTimeZone=Asia/Kathmandu"}
    }
    expected = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert [row["v"] - expected for row in rows(postgres.source(**options), Stream("t"))] == [
        timedelta()
    ]

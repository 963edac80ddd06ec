"""Values of every type, at their bounds, come back exactly; what cannot is an error that names it."""

import math
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.exceptions import DataError
from etl_assets.model.schema.json_schema import to_arrow
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from tests.sources.sql_databases import Database, database, one_column, rows

TINY, HUGE = 5e-324, 1.7976931348623157e308
LAST = "9999-12-31 23:59:59.999999"


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with database("sqlite", tmp_path) as made:
        yield made


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as made:
        yield made


@pytest.fixture
def mysql(tmp_path: Path) -> Iterator[Database]:
    with database("mysql", tmp_path) as made:
        yield made


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# Each case: the declared type, SQL literals, what is read, and the Arrow type.
Case = tuple[str, list[str], list[Any], pa.DataType]

POSTGRES: dict[str, Case] = {
    "smallint": ("smallint", ["-32768", "32767"], [-(2**15), 2**15 - 1], pa.int16()),
    "integer": ("integer", ["-2147483648", "2147483647"], [-(2**31), 2**31 - 1], pa.int32()),
    "bigint": (
        "bigint",
        ["-9223372036854775808", "9223372036854775807"],
        [-(2**63), 2**63 - 1],
        pa.int64(),
    ),
    "numeric": (
        "numeric(38,9)",
        ["99999999999999999999999999999.999999999", "-0.000000001"],
        [Decimal("99999999999999999999999999999.999999999"), Decimal("-1E-9")],
        pa.decimal128(38, 9),
    ),
    "numeric of any scale": (
        "numeric",
        ["0.1234567890123456789", "12345678901234567"],
        [Decimal("0.1234567890123456789"), Decimal(12345678901234567)],
        pa.decimal128(36, 19),
    ),
    "numeric wider than Arrow": (
        "numeric(50,10)",
        ["'" + "9" * 40 + ".5'"],
        ["9" * 40 + ".5000000000"],
        pa.string(),
    ),
    "numeric of negative scale": (
        "numeric(5,-2)",
        ["1234567"],
        [Decimal(1234600)],
        pa.decimal128(7, 0),
    ),
    "real": ("real", ["0.1", "'NaN'"], [0.10000000149011612, math.nan], pa.float32()),
    "double": (
        "double precision",
        [f"'{TINY}'", f"'-{HUGE}'", "0.1", "'-Infinity'", "'NaN'"],
        [TINY, -HUGE, 0.1, -math.inf, math.nan],
        pa.float64(),
    ),
    "boolean": ("boolean", ["true", "false"], [True, False], pa.bool_()),
    "date": ("date", ["'0001-01-01'", "'9999-12-31'"], [date.min, date.max], pa.date32()),
    "timestamp": (
        "timestamp",
        ["'0001-01-01 00:00:00.000001'", f"'{LAST}'", "'2021-03-28 02:30:00'"],
        [at("0001-01-01T00:00:00.000001"), at(LAST), at("2021-03-28T02:30:00")],
        pa.timestamp("us"),
    ),
    "timestamptz": (
        "timestamptz",
        ["'2020-01-01 05:45:00.123456+05:45'", f"'{LAST}+00'"],
        [at("2020-01-01T00:00:00.123456+00:00"), at(LAST).replace(tzinfo=UTC)],
        pa.timestamp("us", "UTC"),
    ),
    "time": ("time", ["'00:00:00'", "'23:59:59.999999'"], [time.min, time.max], pa.time64("us")),
    "time 24:00": ("time", ["'24:00:00'"], ["24:00:00"], pa.string()),
    "timetz": ("timetz", ["'10:00:00.5+02'"], ["10:00:00.5+02"], pa.string()),
    "text": ("text", ["'é😀'", "''", "' '", "'a%b:c'"], ["é😀", "", " ", "a%b:c"], pa.string()),
    "char": ("char(4)", ["'ab'"], ["ab  "], pa.string()),
    "bytea": ("bytea", [r"'\x00ff'", "''"], [b"\x00\xff", b""], pa.binary()),
    "uuid": (
        "uuid",
        ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"],
        ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
        pa.string(),
    ),
    "json": (
        "json",
        ["""'{"a": 1.10, "a":2}'""", "'null'"],
        ['{"a": 1.10, "a":2}', "null"],
        pa.json_(pa.utf8()),
    ),
    "jsonb": (
        "jsonb",
        ["'[12345678901234567890.10]'"],
        ["[12345678901234567890.10]"],
        pa.json_(pa.utf8()),
    ),
    "array": ("numeric[]", ["'{{1.10,NULL},{2,3}}'"], ["[[1.10,null],[2,3]]"], pa.json_(pa.utf8())),
    "interval": (
        "interval",
        ["'1 year -2 days 00:00:00.000001'"],
        ["P1Y-2DT0.000001S"],
        pa.string(),
    ),
    "unknown": ("inet", ["'10.0.0.0/8'"], ["10.0.0.0/8"], pa.string()),
    "bit": ("bit(3)", ["B'101'"], ["101"], pa.string()),
}

MYSQL: dict[str, Case] = {
    "tinyint": ("tinyint", ["-128", "127"], [-128, 127], pa.int8()),
    "tinyint unsigned": ("tinyint unsigned", ["255"], [255], pa.uint8()),
    "mediumint": ("mediumint", ["-8388608"], [-8388608], pa.int32()),
    "int unsigned": ("int unsigned", ["4294967295"], [2**32 - 1], pa.uint32()),
    "bigint": ("bigint", ["-9223372036854775808"], [-(2**63)], pa.int64()),
    "bigint unsigned": ("bigint unsigned", ["18446744073709551615"], [2**64 - 1], pa.uint64()),
    "bit": ("bit(64)", ["b'" + "1" * 64 + "'"], [2**64 - 1], pa.uint64()),
    "year": ("year", ["2155"], [2155], pa.int16()),
    "decimal": (
        "decimal(38,9)",
        ["'" + "9" * 29 + ".999999999'"],
        [Decimal("9" * 29 + "." + "9" * 9)],
        pa.decimal128(38, 9),
    ),
    "decimal wider than Arrow": (
        "decimal(65,30)",
        ["'" + "1" * 35 + "." + "2" * 30 + "'"],
        ["1" * 35 + "." + "2" * 30],
        pa.string(),
    ),
    "float": ("float", ["0.1", "16777216"], [0.10000000149011612, 16777216.0], pa.float32()),
    "double": (
        "double",
        ["2.2250738585072014e-308", f"-{HUGE}", "0.1"],
        [2.2250738585072014e-308, -HUGE, 0.1],
        pa.float64(),
    ),
    "date": ("date", ["'1000-01-01'", "'9999-12-31'"], [date(1000, 1, 1), date.max], pa.date32()),
    "datetime": (
        "datetime(6)",
        [f"'{LAST}'", "'2021-03-28 02:30:00'"],
        [at(LAST), at("2021-03-28T02:30:00")],
        pa.timestamp("us"),
    ),
    "time": ("time(6)", ["'23:59:59.999999'"], [time.max], pa.time64("us")),
    "time beyond a day": (
        "time",
        ["'-838:59:59'", "'10:00:00'"],
        ["-838:59:59", "10:00:00"],
        pa.string(),
    ),
    "text": ("longtext", ["'é😀'", "''", "'a%b:c'"], ["é😀", "", "a%b:c"], pa.string()),
    "latin1": ("varchar(10) character set latin1", ["'é'"], ["é"], pa.string()),
    "blob": ("longblob", ["x'00ff'"], [b"\x00\xff"], pa.binary()),
    "binary": ("binary(3)", ["x'01'"], [b"\x01\x00\x00"], pa.binary()),
    "enum": ("enum('b','a')", ["'a'"], ["a"], pa.string()),
    "set": ("set('x','y')", ["'y,x'"], ["x,y"], pa.string()),
}

SQLITE: dict[str, Case] = {
    "integer": (
        "integer",
        ["-9223372036854775808", "9223372036854775807"],
        [-(2**63), 2**63 - 1],
        pa.int64(),
    ),
    "real": ("real", [repr(TINY), repr(-HUGE), "0.1"], [TINY, -HUGE, 0.1], pa.float64()),
    "decimal": (
        "decimal(10,2)",
        ["12.34", "7"],
        [Decimal("12.34"), Decimal(7)],
        pa.decimal128(10, 2),
    ),
    "decimal with more digits": (
        "decimal(10,2)",
        ["0.12345678901"],
        [Decimal("0.12345678901")],
        pa.decimal128(19, 11),
    ),
    "decimal beyond doubles": (
        "decimal(20,0)",
        ["9007199254740993", "1"],
        [Decimal(9007199254740993), Decimal(1)],
        pa.decimal128(20, 0),
    ),
    "boolean": ("boolean", ["1", "0"], [True, False], pa.bool_()),
    "date": ("date", ["'0001-01-01'", "'9999-12-31'"], [date.min, date.max], pa.date32()),
    "naive datetime": (
        "datetime",
        ["'2021-03-28 02:30:00.000001'"],
        [at("2021-03-28T02:30:00.000001")],
        pa.timestamp("us"),
    ),
    "datetime with a zone": (
        "datetime",
        ["'2021-03-28T02:30:00+05:45'", "'2021-03-28T02:30:00Z'"],
        [at("2021-03-27T20:45:00+00:00"), at("2021-03-28T02:30:00+00:00")],
        pa.timestamp("us", "UTC"),
    ),
    "time": ("time", ["'23:59:59.999999'"], [time.max], pa.time64("us")),
    "text": ("text", ["'é😀'", "''", "'007'"], ["é😀", "", "007"], pa.string()),
    "blob": ("blob", ["x'00ff'"], [b"\x00\xff"], pa.binary()),
    "json": ("json", ["""'{"a": 1.10}'""", "5"], ['{"a": 1.10}', "5"], pa.json_(pa.utf8())),
    "unknown, text": ("money_text_", ["'a'", "'b'"], ["a", "b"], pa.string()),
    "unknown, numbers": ("string", ["1", "2"], [1, 2], pa.int64()),
    "unknown, mixed": ("string", ["1", "'a'"], ["1", '"a"'], pa.json_(pa.utf8())),
}


def shown(values: list[Any]) -> str:
    """Tell NaN, 1 and True, Decimal and int apart, but not the names of UTC, nor zeros behind a decimal."""
    plain = [
        v.astimezone(UTC) if isinstance(v, datetime) and v.tzinfo is not None else v for v in values
    ]
    return repr([Fraction(v) if isinstance(v, Decimal) else v for v in plain])


def read_back(made: Database, case: Case) -> None:
    """Write the literals, read them, and read them once more by what discovery says of the type."""
    type_, literals, expected, arrow = case
    made.run(f"CREATE TABLE t (id integer, v {type_})")
    for i, literal in enumerate([*literals, "NULL"]):
        with made.engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO t VALUES ({i}, {literal.replace('%', '%%')})")
    source = made.source()
    got = one_column(source, "t", "v")
    assert shown(got) == shown([*expected, None])
    table = next(iter(source.load_data(Stream("t")))).to_arrow(Stream("t"))
    assert table.schema.field("v").type == arrow
    discovered = source.discover(["t"])["t"]
    again = [row["v"] for row in sorted(rows(source, discovered), key=lambda row: row["id"])]
    assert [comparable(value) for value in again] == [
        comparable(value) for value in [*expected, None]
    ]


def comparable(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return Decimal(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize("name", POSTGRES)
def test_postgres_values_are_read_back_exactly(name: str, postgres: Database) -> None:
    read_back(postgres, POSTGRES[name])


@pytest.mark.parametrize("name", MYSQL)
def test_mysql_values_are_read_back_exactly(name: str, mysql: Database) -> None:
    read_back(mysql, MYSQL[name])


def test_a_mysql_timestamp_is_an_instant_whatever_the_zone_of_who_wrote_it(mysql: Database) -> None:
    mysql.run("CREATE TABLE t (id integer, v timestamp(6) null)")
    with mysql.engine.begin() as connection:
        connection.exec_driver_sql("SET time_zone = '+05:45'")
        connection.exec_driver_sql("INSERT INTO t VALUES (0, '2021-03-28 07:15:00.000001')")
    assert one_column(mysql.source(), "t", "v") == [at("2021-03-28T01:30:00.000001+00:00")]


@pytest.mark.parametrize("name", SQLITE)
def test_sqlite_values_are_read_back_exactly(name: str, sqlite: Database) -> None:
    read_back(sqlite, SQLITE[name])


REFUSED_BY_SQLITE = [
    ("boolean", "2"),
    ("boolean", "'yes'"),
    ("date", "'2013-02-29'"),
    ("date", "20130101"),
    ("date", "'2013-1-1'"),
    ("datetime", "1357034400"),
    ("datetime", "'yesterday'"),
    ("time", "'25:00:00'"),
    ("integer", "'abc'"),
    ("decimal(10,2)", "'abc'"),
    ("blob", "'text'"),
    ("json", "'{not json'"),
    ("text", "x'ff'"),
]


@pytest.mark.parametrize(("type_", "literal"), REFUSED_BY_SQLITE)
def test_sqlite_values_that_contradict_their_type_are_named(
    type_: str, literal: str, sqlite: Database
) -> None:
    sqlite.run(f"CREATE TABLE t (id integer, v {type_})", f"INSERT INTO t VALUES (1, {literal})")
    with pytest.raises(DataError) as caught:
        rows(sqlite.source(), Stream("t"))
    assert "stream 't', field 'v'" in str(caught.value)
    assert caught.value.field == "v"


def test_sqlite_text_that_is_no_utf8_is_named(sqlite: Database) -> None:
    sqlite.run(
        "CREATE TABLE t (id integer, v text)", "INSERT INTO t VALUES (1, CAST(x'ff41' AS text))"
    )
    with pytest.raises(DataError, match="field 'v'"):
        rows(sqlite.source(), Stream("t"))


REFUSED_BY_POSTGRES = [
    ("timestamp", "'infinity'"),
    ("timestamptz", "'-infinity'"),
    ("date", "'infinity'"),
    ("date", "'0044-03-15 BC'"),
    ("timestamp", "'10000-01-01'"),
    ("numeric(10,2)", "'NaN'"),
    ("numeric", "'NaN'"),
    ("numeric", "'Infinity'"),
]


@pytest.mark.parametrize(("type_", "literal"), REFUSED_BY_POSTGRES)
def test_postgres_values_without_an_exact_form_are_named(
    type_: str, literal: str, postgres: Database
) -> None:
    postgres.run(f"CREATE TABLE t (id integer, v {type_})", f"INSERT INTO t VALUES (1, {literal})")
    with pytest.raises(DataError, match="stream 't', field 'v'"):
        rows(postgres.source(), Stream("t"))


@pytest.mark.parametrize(
    ("type_", "literal"),
    [("date", "'0000-00-00'"), ("datetime", "'0000-00-00'"), ("date", "'2013-00-15'")],
)
def test_mysql_zero_dates_are_named(type_: str, literal: str, mysql: Database) -> None:
    mysql.run(f"CREATE TABLE t (id integer, v {type_})")
    with mysql.engine.begin() as connection:
        connection.exec_driver_sql("SET sql_mode = ''")
        connection.exec_driver_sql(f"INSERT INTO t VALUES (1, {literal})")
    with pytest.raises(DataError, match="stream 't', field 'v'"):
        rows(mysql.source(), Stream("t"))


def test_mysql_geometries_are_bytes_not_null(mysql: Database) -> None:
    mysql.run("CREATE TABLE t (id integer, v point)", "INSERT INTO t VALUES (1, point(1, 2))")
    (value,) = one_column(mysql.source(), "t", "v")
    assert isinstance(value, bytes)
    assert len(value) == 25
    assert mysql.source().discover(["t"])["t"].schema["properties"]["v"]["x-arrow"] == "binary"  # type: ignore[index]


def test_a_postgres_domain_and_enum_and_composite_are_read(postgres: Database) -> None:
    postgres.run(
        "CREATE TYPE mood AS ENUM ('b', 'a')",
        "CREATE DOMAIN price AS numeric(8, 3)",
        "CREATE TYPE place AS (x integer, y text)",
        "CREATE TABLE t (id integer, m mood, p price, c place)",
        "INSERT INTO t VALUES (1, 'a', 1.5, '(1,x)')",
    )
    assert rows(postgres.source(), Stream("t")) == [
        {"id": 1, "m": "a", "p": Decimal("1.500"), "c": "(1,x)"}
    ]


def test_the_type_of_a_numeric_of_any_scale_only_widens_within_a_read(postgres: Database) -> None:
    postgres.run("CREATE TABLE t (id integer primary key, v numeric)")
    postgres.insert(
        "t", [(1, Decimal("1.25")), (2, Decimal(100)), (3, Decimal("0.1234567890123456789"))]
    )
    source, stream = postgres.source(batch_rows=1), Stream("t", primary_key="id")
    tables = [batch.to_arrow(stream) for batch in source.load_data(stream, query={"_limit": 3})]
    assert [table["v"][0].as_py() for table in tables] == [
        Decimal("1.25"),
        Decimal(100),
        Decimal("0.1234567890123456789"),
    ]
    assert [table.schema.field("v").type for table in tables] == [
        pa.decimal128(3, 2),
        pa.decimal128(5, 2),
        pa.decimal128(22, 19),
    ]


def test_every_discovered_schema_says_the_type_that_is_read(postgres: Database) -> None:
    columns = {
        name: case
        for name, case in POSTGRES.items()
        if name not in {"time 24:00", "numeric of any scale"}
    }
    names = {name: f"c{i}" for i, name in enumerate(columns)}
    made = ", ".join(f"{names[name]} {case[0]}" for name, case in columns.items())
    postgres.run(f"CREATE TABLE t (id integer NOT NULL, {made})")
    source = postgres.source()
    stream = source.discover(["t"])["t"]
    declared = to_arrow(stream.schema or {})
    (batch,) = list(source.load_data(stream))
    assert len(batch) == 0
    read = batch.to_arrow(stream).schema
    for name, case in columns.items():
        assert declared.field(names[name]).type == case[3] == read.field(names[name]).type
    assert (stream.schema or {})["properties"]["id"]["type"] == "integer"  # NOT NULL


@given(value=st.floats(allow_nan=False), integer=st.integers(-(2**63), 2**63 - 1), text=st.text())
def test_sqlite_keeps_any_value(value: float, integer: int, text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.db"
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE t (f real, i integer, s text)")
        encodes = all(not 0xD800 <= ord(character) <= 0xDFFF for character in text)
        connection.execute(
            "INSERT INTO t VALUES (?, ?, ?)", (value, integer, text if encodes else None)
        )
        connection.commit()
        connection.close()
        (row,) = rows(SqlSource("s", f"sqlite:///{file}"), Stream("t"))
    assert (row["f"], row["i"], row["s"]) == (value, integer, text if encodes else None)

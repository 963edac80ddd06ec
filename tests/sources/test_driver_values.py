"""What each driver makes of values by itself, and what is done instead: the table of docs/values.md, row by row."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest

from etl_assets import DuckDBDestination
from etl_assets.exceptions import DataError, EtlAssetsError
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync
from tests.sources.sql_databases import Database, database

PAGE = Path(__file__).parents[2] / "docs" / "values.md"


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as made:
        yield made


@pytest.fixture
def mysql(tmp_path: Path) -> Iterator[Database]:
    with database("mysql", tmp_path) as made:
        yield made


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with database("sqlite", tmp_path) as made:
        yield made


def by_driver(made: Database, asked: str) -> Any:
    """Return the one value that a driver gives, without SQLAlchemy's types and ours."""
    with closing(made.engine.raw_connection()) as connection:
        cursor: Any = connection.cursor()
        cursor.execute(asked)
        [(value,)] = cursor.fetchall()
        return value


def loaded(made: Database, tmp_path: Path) -> list[Any]:
    """Load the table `t` into DuckDB, and return its values as DuckDB shows them."""
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    sync(StreamRead(made.source(), Stream("t"), source_name="shop"), warehouse)
    with duckdb.connect(warehouse.path) as connection:
        return [
            value for (value,) in connection.execute("SELECT v::VARCHAR FROM shop.t").fetchall()
        ]


def refused(made: Database, tmp_path: Path, *words: str) -> None:
    with pytest.raises(DataError) as error:
        loaded(made, tmp_path)
    assert (error.value.stream, error.value.field) == ("t", "v")
    for word in words:
        assert word in str(error.value)


# What the rows of PostgreSQL are loaded as; by psycopg another value, or an error.
POSTGRES = [
    ("time", "'24:00:00'", psycopg.DataError, "24:00:00"),
    ("interval", "'1 month 2 days'", dt.timedelta(days=32), "P1M2D"),
    ("json", """'{"a": 1.10, "a": 2}'""", {"a": 2}, '{"a": 1.10, "a": 2}'),
    ("timestamptz", "'2026-01-01 00:00:00+09'", None, "2025-12-31 15:00:00+00"),
    ("numeric", "12345678901234567890.10", None, "12345678901234567890.10"),
]


@pytest.mark.parametrize(("type_", "value", "driver", "kept"), POSTGRES)
def test_postgres_values_are_kept(
    type_: str, value: str, driver: Any, kept: str, postgres: Database, tmp_path: Path
) -> None:
    with postgres.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE t (v {type_})")
        connection.exec_driver_sql(f"INSERT INTO t VALUES ({value})")
    if isinstance(driver, type):
        with pytest.raises(driver):
            by_driver(postgres, "SELECT v FROM t")
    elif driver is not None:
        assert by_driver(postgres, "SELECT v FROM t") == driver
    [got] = loaded(postgres, tmp_path)
    assert got == kept


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("numeric", "'NaN'"),
        ("date", "'infinity'"),
        ("date", "'10000-01-01'"),
        ("date", "'0001-01-01 BC'"),
        ("timestamp", "'-infinity'"),
        ("timestamp", "'10000-01-01'"),
    ],
)
def test_postgres_values_are_refused(
    type_: str, value: str, postgres: Database, tmp_path: Path
) -> None:
    postgres.run(f"CREATE TABLE t (v {type_})", f"INSERT INTO t VALUES ({value})")
    if type_ != "numeric":
        with pytest.raises(psycopg.DataError):
            by_driver(postgres, "SELECT v FROM t")
    refused(postgres, tmp_path, "Value: ")


MYSQL = [
    ("time", "'-838:59:59'", dt.timedelta(hours=-838, minutes=-59, seconds=-59), "-838:59:59"),
    ("time", "'10:00:00'", dt.timedelta(hours=10), "10:00:00"),
    ("tinyint(1)", "2", 2, "2"),
    (
        "bit(64)",
        "b'1000000000000000000000000000000000000000000000000000000000000001'",
        None,
        "9223372036854775809",
    ),
    ("float", "16777216", 16777200.0, "16777216.0"),
]


@pytest.mark.parametrize(("type_", "value", "driver", "kept"), MYSQL)
def test_mysql_values_are_kept(
    type_: str, value: str, driver: Any, kept: str, mysql: Database, tmp_path: Path
) -> None:
    with mysql.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE t (v {type_})")
        connection.exec_driver_sql(f"INSERT INTO t VALUES ({value})")
    found = by_driver(mysql, "SELECT v FROM t")
    assert isinstance(found, bytes) if driver is None else found == driver
    assert loaded(mysql, tmp_path) == [kept]


def test_mysql_zero_dates_are_refused(mysql: Database, tmp_path: Path) -> None:
    with mysql.engine.begin() as connection:
        connection.exec_driver_sql("SET SESSION sql_mode = ''")
        connection.exec_driver_sql("CREATE TABLE t (v date)")
        connection.exec_driver_sql("INSERT INTO t VALUES ('0000-00-00')")
    assert by_driver(mysql, "SELECT v FROM t") in {"0000-00-00", None}
    assert pymysql.converters.convert_date("0000-00-00") in {"0000-00-00", None}
    refused(mysql, tmp_path, "0000-00-00")


def test_sqlite_values_must_be_what_their_column_says(sqlite: Database, tmp_path: Path) -> None:
    sqlite.run("CREATE TABLE t (v INTEGER)", "INSERT INTO t VALUES ('abc')")
    assert by_driver(sqlite, "SELECT v FROM t") == "abc"
    refused(sqlite, tmp_path, "abc")


def test_sqlite_values_of_several_types_are_json(sqlite: Database, tmp_path: Path) -> None:
    sqlite.run("CREATE TABLE t (v)", "INSERT INTO t VALUES (1), ('a')")
    assert loaded(sqlite, tmp_path) == ["1", '"a"']


def test_sqlite_texts_that_are_no_utf8_are_refused(sqlite: Database, tmp_path: Path) -> None:
    sqlite.run("CREATE TABLE t (v TEXT)", "INSERT INTO t VALUES (CAST(x'61FF' AS TEXT))")
    with pytest.raises(sqlite3.OperationalError, match="decode"):
        by_driver(sqlite, "SELECT v FROM t")
    refused(sqlite, tmp_path, "UTF-8")


def test_sqlite_has_no_nan(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute("SELECT ?", [float("nan")]).fetchone() == (None,)
    from etl_assets import SQLiteDestination
    from etl_assets.testing.fakes import GivenRead

    read = GivenRead(Stream("t"), [[{"v": float("nan")}]], source_name="shop")
    with pytest.raises(DataError, match="stream 't', field 'v'"):
        sync(read, SQLiteDestination(str(tmp_path / "w.db")))


def test_duckdb_nanoseconds_are_kept(tmp_path: Path) -> None:
    from etl_assets import SqlSource

    moment = "2026-01-01 00:00:00.000000001"
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT TIMESTAMP_NS '{moment}' AS v")
        assert connection.execute("SELECT v FROM t").fetchall() == [(dt.datetime(2026, 1, 1),)]  # noqa: DTZ001
    made = SqlSource("shop", f"duckdb:///{tmp_path / 'shop.duckdb'}")
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    sync(StreamRead(made, Stream("t"), source_name="shop"), warehouse)
    with duckdb.connect(warehouse.path) as connection:
        assert connection.execute("SELECT v::VARCHAR FROM shop.t").fetchall() == [(moment,)]


def test_duckdb_takes_no_file_for_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from etl_assets import SqlSource

    monkeypatch.chdir(tmp_path)
    Path("shop.csv").write_text("a\n1\n")
    with duckdb.connect("shop.duckdb") as connection:
        assert connection.execute('SELECT * FROM "shop.csv"').fetchall() == [(1,)]
    with pytest.raises(EtlAssetsError, match="no table or view"):
        list(SqlSource("shop", "duckdb:///shop.duckdb").load_data(Stream("shop.csv")))


def test_every_row_of_the_table_has_a_test_here() -> None:
    rows = (
        PAGE.read_text(encoding="utf-8")
        .partition("### Drivers")[2]
        .partition("\n## ")[0]
        .splitlines()
    )
    drivers = [row for row in rows if row.startswith("| ") and "---" not in row][1:]
    assert len(drivers) == 15

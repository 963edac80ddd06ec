"""Values as the database itself writes them, whatever the user, the role or the address has set for the session."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from tests.sources.sql_databases import Database, database, rows

TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'O''Neil', 'a,b')",
    "CREATE TYPE spot AS (at point, seen timestamptz, raw bytea, who inet)",
    "CREATE TYPE span AS RANGE (subtype = inet)",
    "CREATE DOMAIN address AS inet",
    "CREATE DOMAIN addresses AS inet[]",
    "CREATE DOMAIN place AS spot",
)
WRITTEN = {
    "inet": ["10.0.0.1", "10.0.0.1/24", "::1", "::1/64"],
    "cidr": ["10.0.0.0/8", "10.0.0.1/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "bit(3)": ["101"],
    "varbit": ["", "10101"],
    "money": ["$1,234.50", "-$0.05"],
    "xml": ["<a>1</a>", '<?xml version="1.0" standalone="yes"?><a/>', ""],
    "interval": ["1 year 2 mons -3 days 04:05:06.789", "-00:00:01"],
    "timetz": ["12:00:00.5+02"],
    "point": ["(1.1,1e-300)"],
    "line": ["{1,2,3}"],
    "lseg": ["[(0,0),(1,1)]"],
    "box": ["(1,1),(0,0)"],
    "path": ["((0,0),(1,1))", "[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1),(1,0))"],
    "circle": ["<(0,0),0.1>"],
    "tsvector": ["'a':1A 'fat':2"],
    "tsquery": ["'fat' & !'rat':AB"],
    "int4range": ["[1,5)", "empty", "(,5)"],
    "int8range": ["[1,)"],
    "numrange": ["[1.10,2.20]"],
    "daterange": ["[2026-01-02,2026-02-03)"],
    "tsrange": ['["2026-01-02 03:04:05.6",)'],
    "tstzrange": ['["2026-01-02 03:04:05+02",)'],
    "int4multirange": ["{[1,5),[7,9)}", "{}"],
    "tstzmultirange": ['{["2026-01-02 03:04:05+02",)}'],
    "pg_lsn": ["16/B374D848"],
    "xid": ["4294967295"],
    "cid": ["7"],
    "tid": ["(0,1)"],
    "xid8": ["18446744073709551615"],
    "txid_snapshot": ["10:20:10,14,15"],
    "pg_snapshot": ["10:20:10,14,15"],
    "jsonpath": ['$."a"[*]'],
    "regclass": ["pg_class"],
    "regtype": ["integer"],
    "regproc": ["now"],
    "oidvector": ["1 2 3"],
    "int2vector": ["1 2 3"],
    "refcursor": ["c"],
    "mood": ["sad", "O'Neil", "a,b"],
    "spot": ['("(1,2)","2026-01-02 03:04:05+02","\\\\x00ff",10.0.0.1)', "(,,,)"],
    "span": ["[10.0.0.1,10.0.0.9)"],
    "address": ["10.0.0.1"],
    "place": ['(,,"\\\\x00ff",::1)'],
}
"""Literals by type, of every type that is read as the database's own text."""

HOSTILE = {
    "bytea_output": "escape",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-15",
    "TimeZone": "Asia/Kolkata",
    "lc_monetary": "de_DE.UTF-8",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "xmlbinary": "hex",
}
SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
}


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as opened:
        opened.run(*TYPES)
        yield opened


@pytest.fixture
def mysql(tmp_path: Path) -> Iterator[Database]:
    with database("mysql", tmp_path) as opened:
        yield opened


def hostile(made: Database) -> list[str]:
    """Return addresses that set each session setting otherwise, where the server takes it."""
    url = sa.make_url(made.url)
    before = str(url.query.get("options") or "")
    found = [made.url]
    for name, value in HOSTILE.items():
        options = f"{before} -c {name}={value.replace(' ', chr(92) + ' ')}"
        changed = url.set(query={**url.query, "options": options})
        engine = sa.create_engine(changed, poolclass=sa.NullPool)
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            continue  # a locale that this machine has not
        found.append(changed.render_as_string(hide_password=False))
    return found


def output(made: Database, table: str, column: str) -> list[Any]:
    """Return the values as the server sends them as text, without a cast of ours."""
    with psycopg.connect(made.url.replace("+psycopg", "")) as connection:
        connection.autocommit = True
        for name, value in SETTINGS.items():
            connection.execute(f"SET {name} = '{value}'")
        result = connection.pgconn.exec_(f"SELECT {column} FROM {table} ORDER BY id".encode())
        values = [result.get_value(row, 0) for row in range(result.ntuples)]
    return [None if value is None else value.decode() for value in values]


@pytest.mark.parametrize("route", ["copy", "rows"])
def test_every_type_of_postgresql_as_its_output_function_writes_it(
    route: str, postgres: Database
) -> None:
    names = {type_: f"c{number}" for number, type_ in enumerate(WRITTEN)}
    height = max(map(len, WRITTEN.values()))
    postgres.run(
        f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(f'{n} {type_}' for type_, n in names.items())})"
    )
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as connection:
        for number in range(height + 1):
            row = [values[number] if number < len(values) else None for values in WRITTEN.values()]
            marks = ", ".join(f"%s::{type_}" for type_ in WRITTEN)
            connection.execute(f"INSERT INTO t VALUES ({number}, {marks})", row)
    expected = {type_: output(postgres, "t", name) for type_, name in names.items()}
    if route == "rows":
        pytest.importorskip("psycopg2")
    for address in hostile(postgres):
        url = address if route == "copy" else address.replace("+psycopg", "+psycopg2")
        read = sorted(rows(SqlSource("shop", url), Stream("t")), key=lambda row: row["id"])
        for type_, name in names.items():
            assert [row[name] for row in read] == expected[type_], (type_, url)


def test_the_case_of_an_address(postgres: Database) -> None:
    postgres.run(
        "CREATE TABLE b (id int PRIMARY KEY, a inet, b inet[], y bytea[], s spot[], n money[], o address, p addresses)",
        "INSERT INTO b VALUES (1, '10.0.0.1', '{10.0.0.1}', ARRAY['\\x00ff'::bytea], "
        "ARRAY[ROW('(1,2)', '2026-01-02 00:00+02', '\\x00ff', '::1')::spot], '{1234.5}', '10.0.0.1', '{10.0.0.1}')",
    )
    for url in hostile(postgres):
        (row,) = rows(SqlSource("shop", url), Stream("b"))
        assert (row["a"], row["o"]) == ("10.0.0.1", "10.0.0.1")
        assert json.loads(row["b"]) == json.loads(row["p"]) == ["10.0.0.1"]
        assert json.loads(row["y"]) == ["\\x00ff"]
        assert json.loads(row["n"]) == ["$1,234.50"]
        assert row["s"] == r"""{"(\"(1,2)\",\"2026-01-01 22:00:00+00\",\"\\\\x00ff\",::1)"}"""


def test_a_query_gives_the_same(postgres: Database) -> None:
    postgres.run(
        "CREATE TABLE t (id int PRIMARY KEY, a inet)",
        "INSERT INTO t VALUES (1, '10.0.0.1'), (2, NULL)",
    )
    source = SqlSource("shop", postgres.url, queries={"q": "SELECT id, a FROM t"})
    assert [row["a"] for row in sorted(rows(source, Stream("q")), key=lambda r: r["id"])] == [
        "10.0.0.1",
        None,
    ]


MYSQL_SETTINGS = [
    "sql_mode='PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
    "sql_select_limit=1",
    "time_zone='+05:30'",
    "sql_auto_is_null=1",
]


@pytest.mark.parametrize("setting", MYSQL_SETTINGS)
def test_no_setting_of_a_mysql_session_changes_a_value(setting: str, mysql: Database) -> None:
    mysql.run(
        "CREATE TABLE t (id int PRIMARY KEY, c char(5), b bit(10), y year, d time(3), e enum('a','b'), "
        "s set('x','y'), j json, u bigint unsigned, n decimal(65,30), at timestamp(6) NULL, f float)",
        "INSERT INTO t VALUES (1, 'ab', 513, 2026, '838:59:58.999', 'b', 'x,y', '{\"a\": 1}', 18446744073709551615, "
        "12345678901234567890123456789012345.123456789012345678901234567891, '2026-01-02 03:04:05.678901', 0.1), "
        "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    plain = rows(SqlSource("shop", mysql.url), Stream("t"))
    assert len(plain) == 2
    assert (plain[0]["c"], plain[0]["b"], plain[0]["u"], plain[0]["y"]) == (
        "ab",
        513,
        2**64 - 1,
        2026,
    )
    changed = SqlSource("shop", mysql.url, connect_args={"init_command": f"SET SESSION {setting}"})
    assert rows(changed, Stream("t")) == plain


def test_a_mariadb_server_says_its_own_types_by_text(mysql: Database) -> None:
    with pymysql.connect(**_arguments(mysql.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        if "MariaDB" not in cursor.fetchone()[0]:
            pytest.skip("types of MariaDB")
        cursor.execute("CREATE TABLE m (id int PRIMARY KEY, a inet6, b inet4, u uuid)")
        cursor.execute(
            "INSERT INTO m VALUES (1, '::ffff:10.0.0.1', '10.0.0.1', '6ccd780c-baba-1026-9564-5b8c656024db')"
        )
        connection.commit()
        cursor.execute("SELECT CAST(a AS CHAR), CAST(b AS CHAR), CAST(u AS CHAR) FROM m")
        expected = cursor.fetchone()
    (row,) = rows(SqlSource("shop", mysql.url), Stream("m"))
    assert (row["a"], row["b"], str(row["u"])) == expected


def _arguments(url: str) -> dict[str, Any]:
    made = sa.make_url(url)
    return {
        "host": made.host, "port": made.port or 3306, "user": made.username, "password": made.password or "",
        "database": made.database,
    }  # fmt: skip

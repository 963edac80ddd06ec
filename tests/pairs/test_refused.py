"""What cannot be kept exactly fails by name, and nothing of it, or of its neighbours in the table, is loaded."""

from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from etl_assets.assets.factory import stream_assets
from tests.pairs.places import destination
from tests.sources.sql_databases import Database, database

Bad = tuple[str, str, str]
"""A column's type, a literal, and how the error shows the value."""

UNREADABLE: dict[str, list[Bad]] = {
    "postgresql": [
        ("timestamp", "'infinity'", "'infinity'"),
        ("timestamptz", "'-infinity'", "'-infinity'"),
        ("date", "'0044-03-15 BC'", "'0044-03-15 BC'"),
        ("timestamptz", "'294276-12-31 23:59:59+00'", "'294276-12-31 23:59:59'"),
        ("numeric", "'NaN'", "'NaN'"),
        ("numeric(9,2)", "'NaN'", "'NaN'"),
        ("integer[]", "'[0:1]={1,2}'", "'[0:1]={1,2}'"),
        ("integer[]", "'[1:1][-2:-1]={{1,2}}'", "'[1:1][-2:-1]={{1,2}}'"),
    ],
    "mysql": [
        ("date", "'0000-00-00'", "'0000-00-00'"),
        ("date", "'2020-02-00'", "'2020-02-00'"),
        ("datetime(6)", "'0000-00-00'", "'0000-00-00 00:00:00.000000'"),
        ("timestamp null", "'0000-00-00'", "'0000-00-00 00:00:00'"),
        ("datetime", "'0000-01-01'", "'0000-01-01 00:00:00'"),
        ("date", "'0000-01-01'", "'0000-01-01'"),
    ],
    "sqlite": [
        ("integer", "'twelve'", "'twelve'"),
        ("integer", "''", "''"),
        ("real", "x'00'", r"b'\x00'"),
        ("text", "x'ff'", r"b'\xff'"),
        ("text", "CAST(x'ff' AS text)", "'(bytes)'"),
        ("blob", "'text'", "'text'"),
        ("decimal(9,2)", "9e999", "inf"),
        ("boolean", "2", "2"),
        ("date", "'0000-01-01'", "'0000-01-01'"),
        ("date", "'2020-01-01 12:34:56'", "'2020-01-01 12:34:56'"),
        ("date", "'2023-02-29'", "'2023-02-29'"),
        ("datetime", "1577836800", "1577836800"),
        ("datetime", "'12020-01-01 00:00:00'", "'12020-01-01 00:00:00'"),
        ("json", "'[1'", "'[1'"),
    ],
}
UNHELD: dict[tuple[str, str], list[Bad]] = {
    ("postgresql", "mysql"): [
        ("double precision", "'NaN'", "nan"),
        ("double precision", "'-Infinity'", "-inf"),
        ("real", "'-0'", "-0.0"),
    ],
    ("postgresql", "sqlite"): [("double precision", "'NaN'", "nan"), ("real", "'NaN'", "nan")],
    ("mysql", "postgresql"): [("varchar(3)", r"'a\0b'", r"'a\x00b'")],
    ("sqlite", "postgresql"): [("text", "'a' || char(0)", r"'a\x00'")],
    ("sqlite", "mysql"): [("real", "9e999", "inf"), ("blob_or_not", "-0.0", "-0.0")],
}


def fill(made: Database, cases: list[Bad]) -> None:
    """Make a table for each case: a row that is good, and the bad one."""
    for number, (type_, literal, _) in enumerate(cases):
        with made.engine.begin() as connection:
            if made.kind == "mysql":
                connection.exec_driver_sql("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
            connection.exec_driver_sql(
                f"CREATE TABLE t{number} (id integer PRIMARY KEY, bad {type_})"
            )
            connection.exec_driver_sql(f"INSERT INTO t{number} VALUES (1, NULL), (2, {literal})")


def check(made: Database, kind: str, cases: list[Bad], folder: Path) -> None:
    """Load all tables in one run; each fails alone, and names stream, field and value."""
    fill(made, cases)
    with ExitStack() as stack:
        warehouse = destination(kind, folder, stack)
        names = [f"t{number}" for number in range(len(cases))]
        catalog = made.source().discover(names)
        assets = stream_assets(made.source(streams=list(catalog.streams)), destination=warehouse)
        result = dg.materialize(assets, raise_on_error=False)
        told = {}
        for event in result.all_events:
            if event.is_step_failure:
                data = event.step_failure_data.user_failure_data
                told[event.step_key] = str(data.description if data else event.message)
        for number, (type_, literal, value) in enumerate(cases):
            text = told.get(f"shop__t{number}", "it was loaded")
            assert f"'t{number}'" in text, (type_, literal, text)
            assert "'bad'" in text, (type_, literal, text)
            assert f"Value: {value}" in text, (type_, literal, text)
        assert not result.get_asset_materialization_events()
        with warehouse.transaction() as tx:
            there = [
                name for name in names if tx.exists(warehouse.table_for("shop", catalog[name]))
            ]
        assert not there


@pytest.mark.parametrize("source", UNREADABLE)
def test_what_cannot_be_read_exactly_is_named(source: str, tmp_path: Path) -> None:
    with database(source, tmp_path) as made:
        check(made, "duckdb", UNREADABLE[source], tmp_path)


@pytest.mark.parametrize(("source", "kind"), UNHELD)
def test_what_a_destination_cannot_hold_is_named(source: str, kind: str, tmp_path: Path) -> None:
    with database(source, tmp_path) as made:
        check(made, kind, UNHELD[source, kind], tmp_path)

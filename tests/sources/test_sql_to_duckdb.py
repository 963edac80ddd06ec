"""Tables of every type, from each database into DuckDB and read back: full, incremental, and without a schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync
from tests.sources.sql_databases import KINDS, Database, database
from tests.sources.test_sql_types import MYSQL, POSTGRES, SQLITE, Case, shown

CASES: dict[str, dict[str, Case]] = {"postgresql": POSTGRES, "mysql": MYSQL, "sqlite": SQLITE}


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        yield opened


def fill(made: Database) -> dict[str, Case]:
    """Make a table `t` with a column per case, filled from above with its values and then with NULL."""
    cases = {f"c{i}": case for i, case in enumerate(CASES[made.kind].values())}
    made.run(
        f"CREATE TABLE t (id integer PRIMARY KEY, {', '.join(f'{n} {case[0]}' for n, case in cases.items())})"
    )
    for row in range(max(len(case[1]) for case in cases.values()) + 1):
        literals = [case[1][row] if row < len(case[1]) else "NULL" for case in cases.values()]
        with made.engine.begin() as connection:
            connection.exec_driver_sql(
                f"INSERT INTO t VALUES ({row}, {', '.join(literals)})".replace("%", "%%")
            )
    return cases


def loaded(destination: DuckDBDestination, name: str) -> dict[str, list[Any]]:
    table = destination.read_table(TableName(name, "shop")).sort_by("id")
    return {column: table[column].to_pylist() for column in table.column_names}


def expected(case: Case, rows: int) -> list[Any]:
    return [*case[2], *[None] * (rows - len(case[2]))]


@pytest.mark.parametrize("how", ["full", "incremental", "unknown schema"])
def test_every_type_is_in_duckdb_what_it_was_at_the_source(
    how: str, made: Database, tmp_path: Path
) -> None:
    cases = fill(made)
    source = made.source(batch_rows=2)
    stream = (
        Stream("t", primary_key="id") if how == "unknown schema" else source.discover(["t"])["t"]
    )
    if how == "incremental":
        stream = stream.replace(replication_key="id")
    destination = DuckDBDestination(str(tmp_path / "w.duckdb"))
    result = sync(StreamRead(source, stream), destination)
    got = loaded(destination, "t")
    for name, case in cases.items():
        assert shown(got[name]) == shown(expected(case, result.records_read)), (case[0], name)
    again = sync(StreamRead(source, stream), destination)
    assert loaded(destination, "t").keys() == got.keys()
    assert again.rows_in_table == result.rows_in_table == result.records_read
    if how == "incremental":
        assert (again.records_read, again.records_loaded) == (
            0 if made.kind == "postgresql" else 1,
            0,
        )


def test_an_incremental_sync_takes_what_is_new_and_what_has_changed(
    made: Database, tmp_path: Path
) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY, day date NOT NULL, v numeric(9, 2))")
    made.insert("t", [(1, "2026-01-01", "1.50"), (2, "2026-01-02", "2.50")])
    source = made.source()
    stream = source.discover(["t"])["t"].replace(replication_key="day")
    destination = DuckDBDestination(str(tmp_path / "w.duckdb"))
    assert sync(StreamRead(source, stream), destination).records_loaded == 2
    made.run("UPDATE t SET v = 9.99, day = '2026-01-03' WHERE id = 1")
    made.insert("t", [(3, "2026-01-02", "3.50")])
    second = sync(StreamRead(source, stream), destination)
    assert (second.records_read, second.records_loaded, second.bookmark) == (
        3,
        2,
        {"day": "2026-01-03"},
    )
    got = loaded(destination, "t")
    assert (got["id"], [str(v) for v in got["v"]]) == ([1, 2, 3], ["9.99", "2.50", "3.50"])

"""Every pair of databases: names of any kind, keys that differ by little, and tables that are no plain tables."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.database.destination import DatabaseDestination
from tests.pairs.places import DESTINATIONS, destination
from tests.pairs.readers import held, quoted
from tests.sources.sql_databases import KINDS, Database, database

COLUMNS = [
    "id",
    "Name",
    'say "x"',
    "order",
    "é",
    "1st",
    "100%",
    "a:b",
    "a.b",
    "a`b",
    "_" * 60,
    "x" * 63,
]
TWINS = ["NAME ", "e\u0301"]
"""They meet others of `COLUMNS` in lower case, or as a letter with its accent; MariaDB has no such two columns."""
KEYS = ["a", "A", "a ", "á", "a\u0301", "ß", "ss", "", " "]
ODD_TABLE = 'Bad "name" ©.x'


def prepare(made: Database, columns: list[str]) -> None:
    """Make the tables of this test."""
    mark = "`" if made.kind == "mysql" else '"'

    def run(sql: str, **values: Any) -> None:
        with made.engine.begin() as connection:
            connection.execute(sa.text(sql.replace(":", r"\:").replace("$", ":")), values)

    declared = ", ".join(f"{quoted(name, mark)} integer" for name in columns)
    run(f"CREATE TABLE {quoted(ODD_TABLE, mark)} ({declared}, PRIMARY KEY (id))")
    run(
        f"INSERT INTO {quoted(ODD_TABLE, mark)} VALUES ({', '.join(map(str, range(len(columns))))})"
    )
    binary = " COLLATE utf8mb4_nopad_bin" if made.kind == "mysql" else ""
    run(f"CREATE TABLE words (k varchar(9){binary} PRIMARY KEY, v integer)")
    for number, key in enumerate(KEYS):
        run("INSERT INTO words VALUES ($k, $v)", k=key, v=number)
    run("CREATE TABLE empty_table (id integer PRIMARY KEY, v decimal(9,2))")
    run("CREATE TABLE plain (v varchar(9))")
    for value in ("twice", "twice", None):
        run("INSERT INTO plain VALUES ($v)", v=value)
    run("CREATE VIEW seen AS SELECT k, v FROM words WHERE v > 3")
    if made.kind == "postgresql":
        run("CREATE TABLE parts (id integer, v integer, PRIMARY KEY (id)) PARTITION BY RANGE (id)")
        run("CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (10)")
        run("CREATE TABLE parts_high PARTITION OF parts DEFAULT")
    elif made.kind == "mysql":
        run(
            "CREATE TABLE parts (id integer, v integer, PRIMARY KEY (id)) PARTITION BY HASH (id) PARTITIONS 3"
        )
    else:
        run("CREATE TABLE parts (id integer, v integer, PRIMARY KEY (id)) WITHOUT ROWID")
    for number in (1, 10, 20):
        run("INSERT INTO parts VALUES ($v, $v)", v=number)


def load(made: Database, warehouse: DatabaseDestination) -> dict[str, str]:
    """Load all tables; gives the name of each stream's table."""
    catalog = made.source().discover()
    streams = [
        one.replace(replication_key="v") if one.name == "words" else one for one in catalog.streams
    ]
    result = dg.materialize(stream_assets(made.source(streams=streams), destination=warehouse))
    assert result.success
    assert len(result.get_asset_materialization_events()) == len(streams)
    return {
        one.name: warehouse.table_for("shop", one).name.removeprefix("shop__") for one in streams
    }


ALL = [(source, kind) for source in KINDS for kind in DESTINATIONS]
SAMPLE = {
    ("postgresql", "duckdb"),
    ("mysql", "postgresql"),
    ("sqlite", "mysql"),
    ("postgresql", "sqlite"),
}


@pytest.mark.parametrize(
    ("source", "kind"),
    [pytest.param(*one, marks=[] if one in SAMPLE else [pytest.mark.full]) for one in ALL],
)
def test_names_keys_and_tables_of_every_kind(source: str, kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        made = stack.enter_context(database(source, tmp_path))
        warehouse = destination(kind, tmp_path, stack)
        columns = COLUMNS if source == "mysql" else COLUMNS + TWINS
        prepare(made, columns)
        tables = load(made, warehouse)
        assert set(tables) == {ODD_TABLE, "words", "empty_table", "plain", "seen", "parts"}
        stored = held(warehouse, tables[ODD_TABLE])
        assert len(stored.types) == len(columns) + 2
        assert [int(value) for value in list(stored.rows[0].values())[: len(columns)]] == list(
            range(len(columns))
        )
        words = {row["k"]: int(row["v"]) for row in held(warehouse, "words").rows}
        assert words == {key: number for number, key in enumerate(KEYS)}
        assert held(warehouse, "empty_table").rows == []
        assert sorted(str(row["v"]) for row in held(warehouse, "plain").rows) == [
            "None",
            "twice",
            "twice",
        ]
        assert {row["k"] for row in held(warehouse, "seen").rows} == set(KEYS[4:])
        assert sorted(int(row["id"]) for row in held(warehouse, "parts").rows) == [1, 10, 20]
        made.run("UPDATE words SET v = 100 WHERE v = 1", "DELETE FROM plain")
        load(made, warehouse)
        words = {row["k"]: int(row["v"]) for row in held(warehouse, "words").rows}
        assert words == {key: number for number, key in enumerate(KEYS)} | {KEYS[1]: 100}
        assert held(warehouse, "plain").rows == []

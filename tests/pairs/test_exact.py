"""Every pair of databases through Dagster: what was at the source is in the destination, value by value, type by type.

Each pair makes two runs of three assets at once (a table that is replaced, one that is merged, one
without a primary key x
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import pytest
import sqlalchemy as sa

from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.sources.sql import SqlSource
from tests.pairs.places import DESTINATIONS, destination
from tests.pairs.readers import Held, as_type, expected_name, held
from tests.pairs.tables import PREPARED, cases_of, refuses
from tests.servers import mysql_query, postgres_server
from tests.sources.sql_databases import KINDS, Database, database
from tests.sources.test_sql_types import Case, shown

REPLACED, MERGED, APPENDED = "replaced", "merged", "appended"
OURS = ["_etl_assets_load_id", "_etl_assets_loaded_at"]

Row = dict[str, Any]


class Pair:
    """A source with three tables of every type, a destination, and what is to be there.

    Row `i` holds the `i`-th value of each column; `seq` is what an incremental stream goes by.
    """

    def __init__(
        self,
        source: Database,
        kind: str,
        warehouse: DatabaseDestination,
        url: str = "",
        most: int | None = None,
    ) -> None:
        self.source = source
        self.url = url or source.url  # by which it is read
        self.kind = kind
        self.warehouse = warehouse
        cases = list(cases_of(source).values())[:most]
        self.cases = {f"c{i}": _held_by(kind, case) for i, case in enumerate(cases)}
        self.rows: dict[str, list[Row]] = {name: [] for name in (REPLACED, MERGED, APPENDED)}
        columns = ", ".join(f"{name} {case[0]}" for name, case in self.cases.items())
        source.run(*PREPARED[source.kind])
        for name in self.rows:
            key = " PRIMARY KEY" if name == MERGED else ""
            source.run(f"CREATE TABLE {name} (id integer{key}, seq integer NOT NULL, {columns})")

    @cached_property
    def assets(self) -> list[dg.AssetsDefinition]:
        """The assets of the three tables, as they are discovered."""
        found = SqlSource("shop", self.url).discover()
        streams = [
            found[REPLACED],
            *(found[name].replace(replication_key="seq") for name in (MERGED, APPENDED)),
        ]
        return list(
            stream_assets(SqlSource("shop", self.url, streams=streams), destination=self.warehouse)
        )

    def write(self, table: str, id_: int, seq: int, values: int) -> None:
        """Insert or update one row with the `values`-th value of each column; none where a column has fewer."""
        literals = {"id": str(id_), "seq": str(seq)}
        row: Row = {"id": id_, "seq": seq}
        for name, (type_, of_sql, of_python, _) in self.cases.items():
            if "GENERATED" in type_:
                row[name] = id_ * 2
                continue
            literals[name] = of_sql[values] if values < len(of_sql) else "NULL"
            row[name] = of_python[values] if values < len(of_python) else None
        there = [one for one in self.rows[table] if one["id"] == id_ and table != APPENDED]
        with self.source.engine.begin() as connection:
            if any(one["id"] == id_ for one in self.rows[table]):
                settings = ", ".join(f"{name} = {literal}" for name, literal in literals.items())
                sql = f"UPDATE {table} SET {settings} WHERE id = {id_}"
            else:
                sql = f"INSERT INTO {table} ({', '.join(literals)}) VALUES ({', '.join(literals.values())})"
            connection.exec_driver_sql(
                sql.replace("%", "%%") if self.source.kind != "sqlite" else sql
            )
        self.rows[table] = [one for one in self.rows[table] if one not in there] + [row]

    def run(self) -> Mapping[str, Any]:
        """Materialize all three; gives how many rows each event says were loaded."""
        result = dg.materialize(self.assets)
        assert result.success
        events = {
            name: result.asset_materializations_for_node(f"shop__{name}")[0].metadata
            for name in self.rows
        }
        return {name: event["etl_assets/records_loaded"].value for name, event in events.items()}

    def check(self) -> None:
        """Hold each table against what was written, by a reader that is none of ours."""
        for name, rows in self.rows.items():
            found = held(self.warehouse, name)
            assert list(found.types) == ["id", "seq", *self.cases, *OURS]
            self._check_types(found)
            got = sorted(found.rows, key=lambda row: (int(row["id"]), int(row["seq"])))
            wanted = sorted(rows, key=lambda row: (row["id"], row["seq"]))
            for column, case in self.cases.items():
                values = [as_type(row[column], case[3]) for row in got]
                assert shown(values) == shown([row[column] for row in wanted]), (
                    name,
                    column,
                    case[0],
                )

    def _check_types(self, found: Held) -> None:
        wrong = {
            (column, case[0]): (found.types[column], expected_name(self.kind, case[3]))
            for column, case in self.cases.items()
            if found.types[column] != expected_name(self.kind, case[3])
            and not self._is_whole(found.types[column], case)
        }
        assert not wrong

    def _is_whole(self, found: str, case: Case) -> bool:
        """Whether these are decimals without a fraction that SQLite has as integers, because all fit 64 bits."""
        expected = expected_name(self.kind, case[3])
        return (
            found == "INTEGER" and expected.startswith("DECIMAL_TEXT(") and expected.endswith(",0)")
        )


def _held_by(destination_kind: str, case: Case) -> Case:
    """Leave out the values that a destination cannot hold."""
    type_, literals, values, arrow = case
    kept = [
        (one, value)
        for one, value in zip(literals, values, strict=True)
        if not refuses(destination_kind, value)
    ]
    return type_, [one for one, _ in kept], [value for _, value in kept], arrow


def load_and_look(pair: Pair, *, again: bool = False) -> None:
    """Load all that is there, then what was added and changed, `again` nothing new; and look each time."""
    most = max(len(case[1]) for case in pair.cases.values())
    for table in pair.rows:
        for i in range(most + 1):
            pair.write(table, i, i, i)
    assert set(pair.run().values()) == {most + 1}
    pair.check()
    for table in pair.rows:
        pair.write(table, 0, most + 1, 1)
        pair.write(table, most + 1, most + 2, 0)
    assert pair.run() == {REPLACED: most + 2, MERGED: 2, APPENDED: 2}
    pair.check()
    if again:
        assert pair.run() == {REPLACED: most + 2, MERGED: 0, APPENDED: 0}
        pair.check()


PAIRS = [(source, kind) for source in KINDS for kind in DESTINATIONS]
SAMPLE = [
    ("postgresql", "duckdb"), ("postgresql", "postgresql"), ("mysql", "duckdb"), ("mysql", "mysql"),
    ("sqlite", "postgresql"), ("sqlite", "sqlite"),
]  # fmt: skip
"""For `make test`: each source twice, each destination at least once, and what is read without decoding."""


@pytest.mark.parametrize(
    "again", [False, pytest.param(True, marks=pytest.mark.full)], ids=["two", "three"]
)
@pytest.mark.parametrize(
    ("source", "kind"),
    [pytest.param(*pair, marks=[] if pair in SAMPLE else pytest.mark.full) for pair in PAIRS],
)
def test_every_type_is_exact_full_and_incremental(
    source: str, kind: str, again: bool, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        made = stack.enter_context(database(source, tmp_path))
        load_and_look(Pair(made, kind, destination(kind, tmp_path, stack)), again=again)


READS = {
    "postgresql": "GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {user}",
    "mysql": "GRANT SELECT ON {schema}.* TO {user}",
}
LOADS = {
    "postgresql": "GRANT USAGE, CREATE ON SCHEMA {schema} TO {user}",
    "mysql": "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, CREATE TEMPORARY TABLES ON {schema}.* "
    "TO {user}",
}
"""As docs/sql.md and docs/databases.md have them."""
FEW = 8
"""Columns, where it does not matter which there are."""


def run_on(kind: str, statements: str) -> None:
    for statement in statements.split("; "):
        if kind == "postgresql":
            postgres_server().execute(statement.encode())
        else:
            mysql_query(statement)


@contextmanager
def user(kind: str) -> Iterator[str]:
    """Make a user without any right."""
    name = f"u_{uuid.uuid4().hex[:12]}"
    run_on(kind, f"CREATE ROLE {name} LOGIN" if kind == "postgresql" else f"CREATE USER {name}@'%'")
    try:
        yield name
    finally:
        run_on(
            kind,
            f"DROP OWNED BY {name}; DROP ROLE {name}"
            if kind == "postgresql"
            else f"DROP USER {name}@'%'",
        )


@pytest.mark.parametrize(("source", "kind"), [("postgresql", "mysql"), ("mysql", "postgresql")])
def test_the_documented_rights_are_enough(source: str, kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        made = stack.enter_context(database(source, tmp_path))
        warehouse = destination(kind, tmp_path, stack)
        schema = str(warehouse.options.schema_name)
        reader, loader = (stack.enter_context(user(one)) for one in (source, kind))
        if kind == "postgresql":
            run_on(kind, f"CREATE SCHEMA {schema}")
        run_on(kind, LOADS[kind].format(schema=schema, user=loader))
        parts = urlsplit(str(warehouse.options.url))
        path = f"/{schema}" if kind == "mysql" else parts.path
        url = parts._replace(
            netloc=f"{loader}@{parts.netloc.rpartition('@')[2]}", path=path
        ).geturl()
        restricted = type(warehouse)(**{**warehouse.options.model_dump(), "url": url})
        url = sa.make_url(made.url).set(username=reader).render_as_string(hide_password=False)
        pair = Pair(made, kind, restricted, url, most=FEW)
        run_on(source, READS[source].format(schema=made.schema, user=reader))
        load_and_look(pair)

"""Names that some template would take for its own: of streams and columns, in every database, both ways."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests.pairs.places import DESTINATIONS, destination
from tests.servers import MYSQL, POSTGRES, mysql_schema, postgres_schema
from tests.sources.sql_databases import KINDS, database

NASTY = [
    "{x}", "{0}", "{}", "{{", "%s", "%(a)s", "%", "100%%", ":a", "a:b", "::c", r"\:d", "?", "$1", "$x", "${y}", r"\1",
    r"\g<0>", '"', '""x""', "'", "it''s", "`", "\\", "end\\", "a b", " lead", "-- c", "/* c", ";", "(a)", "[b]", "a.b",
    "ünï", "名前", "x\u2028y", "é\u0301", "a\tb", "a\nb", "select", "p0", "key 0", "value 0",
]  # fmt: skip
SQL = ("sql+sqlite", "sql+postgresql", "sql+mysql")


def _destination(kind: str, naming: str, folder: Path, stack: ExitStack) -> DatabaseDestination:
    if kind not in SQL:
        made = destination(kind, folder, stack)
        return type(made)(**{**made.options.model_dump(exclude_unset=True), "naming": naming})
    if kind == "sql+sqlite":
        return SqlDestination(
            f"sqlite:///{folder / 'any.sqlite'}", schema_name="main", naming=naming
        )
    name = stack.enter_context(postgres_schema() if kind == "sql+postgresql" else mysql_schema())
    if kind == "sql+postgresql":
        url = POSTGRES.replace("postgresql://", "postgresql+psycopg://")
        stack.enter_context(_schema(url, name))
    else:
        url = MYSQL.replace("mysql://", "mysql+pymysql://")
    return SqlDestination(url, schema_name=name, state_schema=name, naming=naming)


def _schema(url: str, name: str) -> Any:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    return ExitStack()


def _row(number: int, names: list[str], value: Any) -> dict[str, Any]:
    return {"id": number} | dict.fromkeys(names, value)


@pytest.mark.parametrize(
    ("kind", "naming"),
    [
        pytest.param(
            kind,
            naming,
            marks=[] if naming == "preserve" or kind == "duckdb" else [pytest.mark.full],
        )
        for kind in (*DESTINATIONS, *SQL)
        for naming in ("preserve", "snake_case", "pyairbyte")
    ],
)
def test_no_name_of_a_stream_or_column_passes_through_a_template(
    kind: str, naming: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        warehouse = _destination(kind, naming, tmp_path, stack)

        def load(strategy: str, rows: list[dict[str, Any]]) -> SyncResult:
            stream = Stream(
                "{x} %s :a \\1", primary_key=["id", "{x}"] if strategy == "merge" else []
            )
            return sync(GivenRead(stream, [rows]), warehouse, strategy=strategy)

        names = [one for one in NASTY if kind != "sql+mysql" or "\n" not in one]
        few = names[:-3]
        load("replace", [_row(1, few, 1)])
        load("merge", [_row(1, few, 1) | {"%s": 7}, _row(2, few, 2)])
        load("merge", [_row(1, names, 1) | {"%s": 8}, _row(3, names, 3), _row(3, names, 4)])
        if kind != "sql+mysql":
            load("append", [_row(5, names, 5) | {"{0}": "text"}])  # another type
        load("replace", [_row(6, names, 6), _row(7, names, 7) | {"%(a)s": None}])
        (state,) = warehouse.states()
        table = warehouse.read_table(state.table)
        fields = {column.name: column.physical for column in state.columns}
        assert set(fields) == {"id", *names}
        values = table.to_pylist()
        assert [
            int(row[fields["id"]]) for row in sorted(values, key=lambda row: int(row[fields["id"]]))
        ] == [6, 7]
        for row in values:
            wrong = [
                n for n in names if n != "%(a)s" and int(row[fields[n]]) != int(row[fields["id"]])
            ]
            assert not wrong
        if naming == "preserve":
            assert all(fields[name] == name for name in names if name.casefold() != "select")


@pytest.mark.parametrize("kind", [*DESTINATIONS, *SQL])
def test_a_stream_of_any_such_name_is_merged(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = _destination(kind, "preserve", tmp_path, stack)
        names = [one for one in NASTY if kind != "sql+mysql" or "\n" not in one]
        for number, name in enumerate(names):
            stream = Stream(name, primary_key=name)
            rows = [[{name: value, "v": value}] for value in (number, number + 1, number + 1)]
            sync(GivenRead(stream, rows), warehouse, strategy="merge")
        tables = {state.stream: state.table for state in warehouse.states()}
        for number, name in enumerate(names):
            stored = warehouse.read_table(tables[name])
            assert sorted(int(v) for v in stored["v"].to_pylist()) == [number, number + 1]
        assert len(tables) == len(names)


@pytest.mark.parametrize("kind", KINDS)
def test_tables_columns_and_queries_of_a_source(kind: str, tmp_path: Path) -> None:
    mark = "`" if kind == "mysql" else '"'

    def quoted(name: str) -> str:
        return mark + name.replace(mark, mark * 2) + mark

    # SQLAlchemy reads MySQL's words for a table line by line.
    names = [name for name in NASTY if kind != "mysql" or "\n" not in name]
    with database(kind, tmp_path) as made:
        raw = made.engine.raw_connection()
        cursor = raw.cursor()
        for name in names:
            declared = ", ".join(f"{quoted(one)} integer" for one in names)
            cursor.execute(f"CREATE TABLE {quoted(name)} (id integer PRIMARY KEY, {declared})")
            values = ", ".join(str(place) for place in range(len(names) + 1))
            cursor.execute(f"INSERT INTO {quoted(name)} VALUES ({values})")
        raw.commit()
        raw.close()
        queries = {
            "{q} %s :a": f"SELECT {', '.join(quoted(name) for name in names)}, ':t %s \\: {{x}} ?' AS said "
            f"FROM {quoted('{x}')} WHERE {quoted('%s')} >= 0 AND ':x' <> '%(y)s'"
        }
        source = made.source(queries=queries)
        found = {stream.name: stream for stream in source.discover().streams}
        assert set(found) == {*names, *queries}
        for name, stream in found.items():
            given = stream.replace(replication_key="%s", replication_method="INCREMENTAL")
            for bookmark in (None, {"%s": 1}):
                rows = [row for batch in _read(source, given, bookmark) for row in batch]
                assert len(rows) == 1, name
                shift = 0 if name in queries else 1
                assert [rows[0][one] for one in names] == [
                    place + 1 for place in range(len(names))
                ], (name, shift)
                if name in queries and kind != "mysql":
                    assert rows[0]["said"] == ":t %s \\: {x} ?"


def _read(source: SqlSource, stream: Stream, bookmark: Any) -> Iterator[list[dict[str, Any]]]:
    from etl_assets.sources.read import StreamRead

    for batch in StreamRead(source, stream).open(bookmark):
        yield batch.to_rows(stream)

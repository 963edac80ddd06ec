"""What a read of a table says of how many rows there will be: the server's own estimate, asked once, never counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typing_extensions import override

from etl_assets.model.events import Estimate, SourceState
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.progress import ProgressTracker
from etl_assets.progress_live import cells
from etl_assets.progress_text import StreamProgress, describe
from etl_assets.scripts.reading import Watch
from etl_assets.sources.read import StreamRead
from etl_assets.sources.source_read import SourceRead
from etl_assets.sources.sql.postgres import direct
from etl_assets.sync import Observer, sync
from etl_assets.testing.fakes import MemoryDestination
from tests.sources.sql_databases import Database, database

WORDS = ("reltuples", "table_rows")
FULL = Stream("items", primary_key=["id"])
GROWING = Stream(
    "items", primary_key=["id"], replication_key="id", replication_method="INCREMENTAL"
)


@pytest.fixture(params=["postgresql", "mysql"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with database("sqlite", tmp_path) as opened:
        yield opened


def fill(made: Database, rows: int) -> None:
    """Make a table of so many rows, which the server knows."""
    made.run("CREATE TABLE items (id integer NOT NULL PRIMARY KEY, a integer)")
    made.insert("items", [(number, number) for number in range(rows)])
    if made.kind == "postgresql":
        made.run("ALTER TABLE items SET (autovacuum_enabled = false)", "ANALYZE items")
    elif made.kind == "mysql":
        made.run("ANALYZE TABLE items")


@contextmanager
def believed(made: Database, rows: int, *, there: int) -> Iterator[None]:
    """Have the server believe that a table has so many rows: PostgreSQL from before, MySQL by what is uncommitted."""
    fill(made, there)
    more = [(number, number) for number in range(there, rows)]
    if made.kind == "postgresql":
        made.insert("items", more)
        made.run(f"DELETE FROM items WHERE id >= {rows}", "ANALYZE items", "DELETE FROM items")
        made.insert("items", [(number, number) for number in range(there)])
        yield
        return
    with made.engine.connect() as connection:
        if not getattr(connection.dialect, "is_mariadb", False):
            pytest.skip("MySQL 8 says for a day what it has said once")
        connection.execute(sa.text(f"DELETE FROM items WHERE id >= {rows}"))
        if more:
            connection.execute(
                sa.text("INSERT INTO items VALUES (:id, :a)"), [{"id": i, "a": a} for i, a in more]
            )
        yield
        connection.rollback()


class Seen(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.expected: list[tuple[str, int]] = []
        self.rows: list[int] = []

    @override
    def expect(self, stream: str, rows: int) -> None:
        self.expected.append((stream, rows))

    @override
    def progress(
        self, stream: str, rows: int, bytes_: int, seconds: float, bookmark: Bookmark | None
    ) -> None:
        self.rows.append(rows)


class Lines(ProgressTracker):
    """Keeps how the table of a script looks after each batch."""

    def __init__(self) -> None:
        super().__init__("none")
        self.counts: list[str] = []

    @override
    def tally(self, stream: str, rows: int, bytes_: int, seconds: float) -> None:
        super().tally(stream, rows, bytes_, seconds)
        self.counts.append(cells(self.streams[stream])[1])


@contextmanager
def watched() -> Iterator[tuple[list[Any], list[str]]]:
    """Yield the connections that are opened, and the statements that are run outside of the rows' own route."""
    connections: list[Any] = []
    statements: list[str] = []

    def connected(connection: Any, *_: Any) -> None:
        connections.append(connection)

    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    opened, run = direct.connect, direct.Connection._run

    def connected_directly(arguments: Any) -> Any:
        connections.append(arguments)
        return opened(arguments)

    def run_directly(self: Any, sql: str, values: Any) -> Any:
        statements.append(sql)
        return run(self, sql, values)

    direct.connect, direct.Connection._run = connected_directly, run_directly  # type: ignore[method-assign]
    sa.event.listen(sa.Engine, "engine_connect", connected)
    sa.event.listen(sa.Engine, "before_cursor_execute", executed)
    try:
        yield connections, statements
    finally:
        direct.connect, direct.Connection._run = opened, run  # type: ignore[method-assign]
        sa.event.remove(sa.Engine, "engine_connect", connected)
        sa.event.remove(sa.Engine, "before_cursor_execute", executed)


def read(
    made: Database, stream: Stream, *, bookmark: Bookmark | None = None, **options: Any
) -> tuple[Seen, int, int]:
    """Read a stream; gives what was told, how often an estimate was asked for, and how many connections there were."""
    query = options.pop("query", None)
    source, seen = made.source(batch_rows=100, **options), Seen()
    memory = MemoryDestination()
    with watched() as (connections, statements):
        one = StreamRead(source, stream, query=query)
        if bookmark is None and not one.partial:
            sync(one, memory, observer=seen)
        else:
            for batch in one.open(bookmark):
                if batch.expected:
                    seen.expect(stream.name, batch.expected)
        asked = [one for one in statements if any(word in one for word in WORDS)]
        assert not [one for one in statements if "count(" in one.lower()], "no row is counted"
        return seen, len(asked), len(connections)


@pytest.mark.parametrize("stream", [FULL, GROWING], ids=["full", "first"])
def test_a_read_of_a_whole_table_asks_once_over_its_own_connection(
    made: Database, stream: Stream
) -> None:
    fill(made, 250)
    seen, asked, connections = read(made, stream)
    assert seen.expected == [("items", 250)]
    assert seen.rows[-1] == 250
    assert (asked, connections) == (1, 1)


def test_a_read_of_one_batch_is_told_nothing(made: Database) -> None:
    """Whoever shows a total writes a line of the run's log for it."""
    fill(made, 100)
    assert read(made, FULL)[0].expected == []


@pytest.mark.parametrize(
    ("options", "bookmark"),
    [
        ({}, {"id": 5}),
        ({"query": {"a": 7}}, None),
        ({"query": {"_limit": 200}}, None),
        ({"lag": 10}, None),
        ({"start": 3}, None),
        ({"end": 240}, None),
    ],
    ids=["bookmark", "filter", "limit", "lag", "start", "end"],
)
def test_a_read_of_a_part_of_a_table_asks_for_no_estimate(
    options: dict[str, Any], bookmark: Bookmark | None, made: Database
) -> None:
    fill(made, 250)
    seen, asked, _ = read(made, GROWING, bookmark=bookmark, **options)
    # The question for PostgreSQL's columns tells it by the way.
    assert seen.expected == []
    assert asked <= int(made.kind == "postgresql")


def test_an_estimate_that_is_too_small_is_no_longer_shown_when_it_is_exceeded(
    made: Database,
) -> None:
    lines = Lines()
    with believed(made, 220, there=450):
        sync(
            StreamRead(made.source(batch_rows=100), FULL),
            MemoryDestination(),
            observer=Watch(lines),
        )
    assert lines.counts == ["100", "200 of about 220", "300", "400", "450"]


def test_an_estimate_that_is_too_large_is_gone_at_the_end(made: Database) -> None:
    lines = Lines()
    with believed(made, 2000, there=250):
        result = sync(
            StreamRead(made.source(batch_rows=100), FULL),
            MemoryDestination(),
            observer=Watch(lines),
        )
    assert lines.counts == ["100", "200 of about 2,000", "250 of about 2,000"]
    lines.ended("items", result)
    assert cells(lines.streams["items"])[1] == "250"


def test_where_nobody_knows_there_is_no_total(made: Database) -> None:
    made.run(
        "CREATE TABLE items (id integer NOT NULL PRIMARY KEY, a integer)",
        "CREATE VIEW seen AS SELECT * FROM items",
    )
    made.insert("items", [(number, number) for number in range(250)])
    if made.kind == "postgresql":  # which knows nothing of a table before it has looked
        made.run("ALTER TABLE items SET (autovacuum_enabled = false)")
        assert read(made, FULL)[0].expected == []
    assert read(made, Stream("seen", primary_key=["id"]))[0].expected == []
    seen, asked, _ = read(made, Stream("own"), queries={"own": "SELECT id FROM items"})
    # The question for PostgreSQL's columns tells it by the way.
    assert seen.expected == []
    assert asked <= int(made.kind == "postgresql")


def test_sqlite_keeps_no_such_number(sqlite: Database) -> None:
    """Its largest rowid is no estimate: a key of the user's own, with whatever gaps that has."""
    fill(sqlite, 250)
    seen, asked, _ = read(sqlite, FULL)
    assert (seen.expected, asked, seen.rows[-1]) == ([], 0, 250)


def test_a_table_of_another_schema_is_not_taken_for_it(made: Database, tmp_path: Path) -> None:
    fill(made, 250)
    with database(made.kind, tmp_path) as other:
        fill(other, 700)
        stream = Stream("items", namespace=other.schema, primary_key=["id"])
        assert read(made, stream)[0].expected == [("items", 700)]
    assert read(made, FULL)[0].expected == [("items", 250)]


def test_a_read_of_many_streams_says_it_as_an_event(made: Database) -> None:
    fill(made, 250)
    events = list(
        SourceRead(made.source(batch_rows=100), [FULL], source_name="shop").open(SourceState())
    )
    assert [one.rows for one in events if isinstance(one, Estimate)] == [250]


def test_a_lag_is_a_part_of_the_table_whatever_its_unit(made: Database) -> None:
    made.run("CREATE TABLE items (id integer NOT NULL PRIMARY KEY, at timestamp NOT NULL)")
    made.insert(
        "items",
        [(number, f"2026-01-01 00:{number // 60:02d}:{number % 60:02d}") for number in range(250)],
    )
    stream = Stream(
        "items", primary_key=["id"], replication_key="at", replication_method="INCREMENTAL"
    )
    seen, asked, _ = read(made, stream, lag=timedelta(seconds=5))
    assert seen.expected == []
    assert asked <= int(made.kind == "postgresql")


def test_a_total_is_never_less_than_what_was_read() -> None:
    assert describe("a", 10, 0, 1.0, expected=10).startswith("a: 10 of about 10 rows")
    assert describe("a", 11, 0, 1.0, expected=10).startswith("a: 11 rows")
    assert describe("a", 0, 0, 1.0, expected=0).startswith("a: 0 rows")
    one = StreamProgress("a", rows=5, expected=9, state="reading")
    assert cells(one)[1] == "5 of about 9"
    one.state = "failed"
    assert cells(one)[1] == "5"

"""One engine: a stream that is read with others fares as one that is read by itself."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.postgres.copy import CopyIn
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.engine.events import with_checkpoints
from etl_assets.exceptions import BookmarkError
from etl_assets.model.events import Checkpoint, Records, SourceState
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sources.source_read import SourceRead
from etl_assets.sources.sql.routes import Route
from etl_assets.sync import sync
from etl_assets.sync_source import StreamPlan, sync_source
from tests.servers import POSTGRES
from tests.sources.sql_databases import Database, database
from tests.toys import Rows

PACKAGE = Path(__file__).resolve().parent.parent / "etl_assets"
ORDERS = Stream("orders", primary_key=["id"], replication_key="at")
TYPED = Stream(
    "users",
    schema={"properties": {"id": {"type": "integer"}, "at": {"type": ["integer", "null"]}}},
    primary_key=["id"],
    replication_key="at",
)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as opened:
        opened.run(
            "CREATE TABLE orders (id int PRIMARY KEY, at timestamp, name text)",
            "INSERT INTO orders SELECT i, timestamp '2026-01-01' + i / 2 * interval '1 hour', 'n' || i "
            "FROM generate_series(1, 9) i",
        )
        yield opened


def together(
    source: Source, into: Any, stream: Stream, plan: StreamPlan | None = None
) -> SyncResult:
    """Sync a stream as one of many."""
    plans = {stream.key: plan} if plan else None
    (outcome,) = sync_source(SourceRead(source, [stream]), into, plans=plans)
    if outcome.error is not None:
        raise outcome.error
    return outcome.result


def test_a_read_of_many_fetches_no_row_where_nothing_is_new(
    made: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = DuckDBDestination(str(tmp_path / "w.duckdb"))
    first = together(made.source(), into, ORDERS)
    asked: list[Any] = []
    tables = Route.tables

    def noted(*given: Any) -> Any:
        asked.append(given)
        return tables(*given)

    monkeypatch.setattr(Route, "tables", noted)
    second = together(made.source(), into, ORDERS)
    assert (first.records_read, second.records_read, asked) == (9, 0, [])
    assert second.bookmark == first.bookmark == {"at": "2026-01-01T04:00:00"}
    made.run("UPDATE orders SET name = 'other' WHERE id = 9")
    assert together(made.source(), into, ORDERS).records_loaded == 1


def test_a_fingerprint_that_one_way_of_reading_has_stored_serves_the_other(
    made: Database, tmp_path: Path
) -> None:
    into = DuckDBDestination(str(tmp_path / "w.duckdb"))
    assert together(made.source(), into, ORDERS).records_read == 9
    assert sync(StreamRead(made.source(), ORDERS), into).records_read == 0
    assert together(made.source(), into, ORDERS).records_read == 0


def test_a_read_of_many_keeps_rows_in_the_databases_own_encoding(
    made: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats: list[str] = []
    copy = CopyIn._copy

    def noted(this: CopyIn, names: Any, format_: str, texts: Any) -> int:
        formats.append(format_)
        return copy(this, names, format_, texts)

    monkeypatch.setattr(CopyIn, "_copy", noted)
    schema = f"{made.schema}_loaded"
    into = PostgresDestination(
        POSTGRES.replace("+psycopg", ""),
        schema_name=schema,
        state_schema=f"{schema}_state",
        staging_dir=str(tmp_path),
    )
    try:
        assert together(made.source(), into, ORDERS).records_loaded == 9
    finally:
        made.run(
            f"DROP SCHEMA IF EXISTS {schema} CASCADE",
            f"DROP SCHEMA IF EXISTS {schema}_state CASCADE",
        )
    assert set(formats) == {"binary"}


def test_a_contract_is_asked_before_keys_are_compared(tmp_path: Path) -> None:
    rows = [{"id": 1, "at": 1}, {"id": 2, "at": "soon"}, {"id": 3, "at": 3}]
    found = []
    for name in ("alone", "together"):
        into = DuckDBDestination(str(tmp_path / f"{name}.duckdb"))
        source = Rows(rows, batch=3)
        if name == "alone":
            result = sync(StreamRead(source, TYPED), into, schema_contract="discard_row")
        else:
            result = together(source, into, TYPED, StreamPlan(schema_contract="discard_row"))
        with into.connect() as connection:
            ids = connection.execute("SELECT id FROM shop.users ORDER BY id").fetchall()
        found.append((ids, result.rejected, result.bookmark, result.records_read))
    assert found[0] == found[1] == ([(1,), (3,)], 1, {"at": 3}, 3)


class Unsorted(Rows):
    """Counts the batches that were taken of it."""

    given = 0

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        for batch in super().load_data(stream, bookmarks, query, **kwargs):
            Unsorted.given += 1
            yield batch


def test_a_stream_that_has_failed_is_read_no_further(tmp_path: Path) -> None:
    Unsorted.given = 0
    source = Unsorted([{"id": number, "at": -number} for number in range(40)], batch=2)
    with pytest.raises(BookmarkError, match="out of order"):
        together(source, DuckDBDestination(str(tmp_path / "w.duckdb")), TYPED)
    assert Unsorted.given <= 2


def test_what_is_handed_on_without_a_load_has_its_checkpoints(made: Database) -> None:
    state = SourceState()
    read = SourceRead(made.source(batch_rows=4), [ORDERS], source_name="shop")
    events = list(with_checkpoints(read.open(state), state.streams))
    kinds = [type(one) for one in events if isinstance(one, Records | Checkpoint)]
    assert kinds[:4] == [Records, Checkpoint, Records, Checkpoint]
    last = [one for one in events if isinstance(one, Checkpoint)][-1]
    assert (last.state, last.streams) == ({"at": "2026-01-01T04:00:00"}, (ORDERS.key,))


def test_a_load_is_made_in_one_place() -> None:
    makers = set()
    for path in PACKAGE.rglob("*.py"):
        calls = (
            node.func
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        )
        if any(isinstance(func, ast.Name) and func.id == "Load" for func in calls):
            makers.add(path.relative_to(PACKAGE).as_posix())
    assert makers == {"engine/start.py"}

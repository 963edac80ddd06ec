"""A source of many streams whose events are written down, and what a warehouse holds after it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import SourceError
from etl_assets.model.batch import Batch
from etl_assets.model.events import Checkpoint, Event, Records, SourceState, StreamEnd
from etl_assets.model.stream import Stream
from etl_assets.sync_source import StreamOutcome, StreamPlan, sync_source

A = Stream("a", replication_key="n")
B = Stream("b", replication_key="n")
MERGED = Stream("m", primary_key="id", replication_key="n")
FULL = Stream("f")


class Scripted:
    """A read that gives these events, or those that a function makes of the state."""

    source_name = "many"

    def __init__(
        self,
        streams: Sequence[Stream],
        events: Iterable[Any] | Callable[[SourceState], Iterable[Any]],
    ) -> None:
        self.streams = streams
        self.events = events
        self.asked: list[SourceState] = []
        self.closed = 0
        self.given = 0

    def open(self, state: SourceState) -> Iterator[Event]:
        self.asked.append(state)
        try:
            for event in self.events(state) if callable(self.events) else self.events:
                if isinstance(event, BaseException):
                    raise event
                self.given += 1
                yield event
        finally:
            self.closed += 1


def rows(stream: Stream, *numbers: int) -> Records:
    return Records(stream, Batch([{"id": n % 3, "n": n} for n in numbers]))


def shared(number: int) -> Checkpoint:
    return Checkpoint({"at": number}, None)


def own(stream: Stream, number: int) -> Checkpoint:
    return Checkpoint({"n": number}, (stream.key,))


def ends(*streams: Stream) -> list[StreamEnd]:
    return [StreamEnd(stream) for stream in streams]


def broken(stream: Stream) -> StreamEnd:
    return StreamEnd(stream, complete=False, error=SourceError("it is on fire", stream=stream.name))


def load(
    read: Scripted,
    path: Path,
    *,
    seconds: float = 0.0,
    plans: Mapping[Any, StreamPlan] | None = None,
) -> dict[str, StreamOutcome]:
    """Sync, each state a commit; gives the outcomes by stream."""
    warehouse = DuckDBDestination(str(path))
    found = list(sync_source(read, warehouse, plans=plans, checkpoint_seconds=seconds))
    names = [one.stream.name for one in found]
    assert sorted(names) == sorted({stream.name for stream in read.streams}), (
        "one outcome for each stream"
    )
    return {one.stream.name: one for one in found}


def failed(outcomes: Mapping[str, StreamOutcome]) -> list[str]:
    return sorted(name for name, one in outcomes.items() if one.error is not None)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    with duckdb.connect(str(path)) as connection:
        return connection.execute(sql).fetchall()


def numbers(path: Path, stream: str) -> list[int]:
    """Return the `n` of the rows of a table; none if there is no table, or one without rows ever."""
    there = query(
        path, f"SELECT 1 FROM duckdb_columns() WHERE table_name = '{stream}' AND column_name = 'n'"
    )
    return [n for (n,) in query(path, f"SELECT n FROM many.{stream} ORDER BY ALL")] if there else []


def state(path: Path, stream: str = "") -> Any:
    """Return the stored state of a stream, or of the whole source; None where there is no row."""
    found = {one.stream: one.bookmark for one in DuckDBDestination(str(path)).states()}
    return found.get(stream)

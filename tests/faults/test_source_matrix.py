"""An exception at every fault point of a sync of two streams at once: states never ahead, nothing lost or doubled."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_assets import faults
from etl_assets.faults import FaultError
from etl_assets.model.batch import Batch
from etl_assets.model.events import Checkpoint, Records, SourceState, StreamEnd
from etl_assets.model.stream import Stream
from etl_assets.testing import points
from tests.many import Scripted, load, query, state

ELSEWHERE = {*points.ENGINE_POINTS, *points.SOURCE_POINTS, *points.PROJECT_POINTS, "cleaning"}
POINTS = [
    point for point in points.POINTS if point not in ELSEWHERE
]  # `cleaning`: such small batches wait in memory

APPEND = Stream("append", replication_key="n")
MERGE = Stream("merge", primary_key="id", replication_key="n")
STREAMS = (APPEND, MERGE)
KEYS = 4
EVERY = 3
Table = list[tuple[Any, ...]]
KINDS, PASSINGS = ("global", "stream"), (1, 3)


def matrix() -> Iterator[Any]:
    """Yield each kind of state at each passing of each point; of each point, `make test` takes each of both once."""
    for at, point in enumerate(POINTS):
        for one, kind in enumerate(KINDS):
            for other, nth in enumerate(PASSINGS):
                again = (at + one + other) % 2
                yield pytest.param(kind, point, nth, marks=[pytest.mark.full] if again else [])


def source(last: int, kind: str) -> Scripted:
    """Yield a read of rows up to `last`, of both streams in turns, with a state after each third one."""

    def events(begins: SourceState) -> Iterator[Any]:
        at = {
            one.key: (begins.shared or begins.streams.get(one.key) or {"n": -1})["n"]
            for one in STREAMS
        }
        for n in range(last + 1):
            for stream in STREAMS:
                if n > at[stream.key]:
                    yield Records(stream, Batch([{"id": n % KEYS, "n": n}]))
                    if kind == "stream" and (n % EVERY == EVERY - 1 or n == last):
                        yield Checkpoint({"n": n}, (stream.key,))
            if kind == "global" and n > at[APPEND.key] and (n % EVERY == EVERY - 1 or n == last):
                yield Checkpoint({"n": n}, None)
        yield from (StreamEnd(one) for one in STREAMS)

    return Scripted(STREAMS, events)


def expected(stream: Stream, last: int) -> Table:
    rows = [(n % KEYS, n) for n in range(last + 1)]
    return sorted(rows if stream is APPEND else dict(rows).items())


def found(path: Path, stream: Stream) -> Table:
    there = query(path, f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{stream.name}'")
    return query(path, f"SELECT id, n FROM many.{stream.name} ORDER BY ALL") if there else []


def check(path: Path, kind: str) -> None:
    """Check that the tables hold what the stored states cover; a merge may hold more of what a shared one does not."""
    for stream in STREAMS:
        reached = (state(path, "" if kind == "global" else stream.name) or {"n": -1})["n"]
        rows = found(path, stream)
        if stream is MERGE and kind == "global" and rows != expected(stream, reached):
            assert any(rows == expected(stream, last) for last in range(reached, 20)), (
                "rows of a state are not there"
            )
        else:
            assert rows == expected(stream, reached)


@pytest.mark.parametrize(("kind", "point", "nth"), list(matrix()))
def test_fails_there_then_goes_on(
    kind: str, point: str, nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "warehouse.duckdb"
    load(source(4, kind), path)
    monkeypatch.setattr(faults, "_passed", faults._passed.__class__())
    monkeypatch.setenv(faults.VARIABLE, f"{point}:{nth}:raise")
    fine = False
    with contextlib.suppress(FaultError):
        fine = not [one for one in load(source(10, kind), path).values() if one.error is not None]
    monkeypatch.delenv(faults.VARIABLE)
    assert fine == (faults._passed[point] < nth), (
        "the fault happened if and only if the point was passed so often"
    )
    check(path, kind)
    assert [one.name for one in tmp_path.iterdir()] == ["warehouse.duckdb"], "no staging is left"

    for _ in range(2):
        outcomes = load(source(10, kind), path)
        assert not [one for one in outcomes.values() if one.error is not None]
        for stream in STREAMS:
            assert found(path, stream) == expected(stream, 10)
    assert sum(one.result.records_loaded for one in outcomes.values()) == 0


def test_every_point_is_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_passed", faults._passed.__class__())
    monkeypatch.setenv(faults.VARIABLE, "none:1:raise")  # while one is set, all are counted
    load(source(4, "global"), tmp_path / "warehouse.duckdb")
    assert set(POINTS) <= set(faults._passed)

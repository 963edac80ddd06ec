"""Thousands of streams in one read: what is done grows with their number, and not with its square."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.engine.publishing import COMMITS
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import Catalog, CatalogEntry
from etl_assets.sources.source_read import SourceRead
from etl_assets.sync_source import StreamOutcome, sync_source


class Many(Source):
    """A source of as many streams as are wanted, of which one may have rows without a key."""

    bad: str | None = None

    def __init__(self, streams: int) -> None:
        super().__init__(name="many")
        self.streams = [
            Stream(f"s{n:04}", primary_key="id", replication_key="n") for n in range(streams)
        ]

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        assert isinstance(self.catalog, Catalog)
        entry = self.catalog.get_stream(stream.name)
        assert entry is not None
        assert entry is self.catalog[stream.name], "what is looked at twice is one object"
        yield [{"id": None if stream.name == self.bad else 1, "n": 1}]


class Counting(SQLiteDestination):
    """A destination that counts its transactions."""

    transactions = 0

    def transaction(self) -> Any:
        self.transactions += 1
        return super().transaction()


def load(source: Many, destination: SQLiteDestination) -> list[StreamOutcome]:
    return list(sync_source(SourceRead(source, source.streams), destination))


def test_entries_are_copied_as_often_as_there_are_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[Stream] = []
    of = CatalogEntry.of

    def counted(stream: Stream, **options: Any) -> CatalogEntry:
        copied.append(stream)
        return of(stream, **options)

    monkeypatch.setattr(CatalogEntry, "of", counted)
    counts = []
    for streams in (10, 20, 40):
        copied.clear()
        load(Many(streams), SQLiteDestination(str(tmp_path / f"{streams}.db")))
        counts.append(len(copied))
    assert [count * 10 // counts[0] for count in counts] == [10, 20, 40]


@pytest.mark.parametrize("streams", [COMMITS, 3 * COMMITS])
def test_a_database_is_opened_as_often_for_many_streams_as_for_some(
    streams: int, tmp_path: Path
) -> None:
    source, destination = Many(streams), Counting(str(tmp_path / "w.db"))
    assert all(outcome.error is None for outcome in load(source, destination))
    assert destination.transactions == COMMITS
    destination.transactions = 0
    assert all(outcome.error is None for outcome in load(source, destination))
    looking_up = 2
    assert destination.transactions == looking_up + COMMITS
    assert len(destination.states()) == streams


def test_one_of_those_that_are_published_together_fails_alone(tmp_path: Path) -> None:
    source, destination = Many(2 * COMMITS), SQLiteDestination(str(tmp_path / "w.db"))
    source.bad = "s0007"
    failed = [outcome for outcome in load(source, destination) if outcome.error is not None]
    assert [outcome.stream.name for outcome in failed] == ["s0007"]
    assert "s0007" in str(failed[0].error)
    assert {state.stream for state in destination.states()} == {
        one.name for one in source.streams
    } - {"s0007"}
    source.bad = None
    assert all(outcome.error is None for outcome in load(source, destination))
    assert destination.read_table(destination.table_for("many", source.streams[7])).num_rows == 1

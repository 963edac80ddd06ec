"""Sources that write Singer messages themselves, read as events: nothing of what they say is lost or altered."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError, ProtocolError, StreamReadError
from etl_assets.model.events import (
    Checkpoint,
    Event,
    Records,
    SchemaChange,
    SourceState,
    StreamEnd,
    Truncate,
)
from etl_assets.model.stream import Stream
from etl_assets.protocol.singer.messages import (
    ActivateVersionMessage,
    BatchMessage,
    RecordMessage,
    Unknown,
)
from etl_assets.sources.base import Source
from etl_assets.sources.messages import write_message, write_records, write_schema, write_state
from etl_assets.sources.source_read import SourceRead, first_of, reads_together
from etl_assets.sources.tap import read as tap
from etl_assets.sync_source import StreamOutcome, sync_source
from tests.toys import Rows

A = Stream("a", replication_key="n")
B = Stream("b", replication_key="n")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


class Tap(Source):
    """Overrides `sync`, as many sources written for Mage do."""

    def __init__(self, *says: Any, **options: Any) -> None:
        super().__init__(**{"name": "tap", **options})
        self.says = says
        self.began: list[Any] = []
        self.ended: list[BaseException | None] = []

    def sync(self, catalog: Any, properties: Any = None) -> None:
        self.began.append((sorted(stream.tap_stream_id for stream in catalog.streams), self.state))
        try:
            for say in self.says:
                say()
        except BaseException as error:
            self.ended.append(error)
            raise
        self.ended.append(None)


def schema(name: str) -> Any:
    return lambda: write_schema(name, SCHEMA, [])


def record(name: str, *numbers: int) -> Any:
    return lambda: write_records(name, [{"n": n} for n in numbers])


def fails(error: BaseException) -> Any:
    def raise_it() -> None:
        raise error

    return raise_it


def at(**bookmarks: int) -> Any:
    return lambda: write_state({"bookmarks": {name: {"n": n} for name, n in bookmarks.items()}})


def version(name: str, number: int) -> Any:
    return lambda: write_message(ActivateVersionMessage(name, number))


def versioned(name: str, n: int, number: int) -> Any:
    return lambda: write_message(RecordMessage(name, {"n": n}, version=number))


def events(
    source: Source, streams: Sequence[Stream] = (A, B), state: SourceState | None = None
) -> list[Event]:
    return list(SourceRead(source, streams).open(state or SourceState()))


def shown(found: Sequence[Event]) -> list[Any]:
    """Return events in few words."""
    words: list[Any] = []
    for one in found:
        if isinstance(one, Records):
            words.append((one.stream.name, [row["n"] for row in one.batch.to_rows(one.stream)]))
        elif isinstance(one, Checkpoint):
            words.append(one.state)
        else:
            words.append((type(one).__name__, one.stream.name))
    return words


def load(
    source: Source, path: Path, streams: Sequence[Stream] = (A, B)
) -> dict[str, StreamOutcome]:
    read = SourceRead(source, streams)
    warehouse = DuckDBDestination(str(path))
    return {one.stream.name: one for one in sync_source(read, warehouse, checkpoint_seconds=0)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


def test_messages_become_events_in_their_order() -> None:
    source = Tap(
        schema("a"),
        record("a", 1, 2),
        schema("b"),
        record("b", 5),
        record("a", 3),
        at(a=3, b=5),
        record("b", 6),
    )
    assert shown(events(source)) == [
        ("SchemaChange", "a"),
        ("SchemaChange", "b"),
        ("a", [1, 2, 3]),
        ("b", [5]),
        {"bookmarks": {"a": {"n": 3}, "b": {"n": 5}}},
        ("StreamEnd", "a"),
        ("b", [6]),
        ("StreamEnd", "b"),
    ]


def test_what_a_source_uses_again_is_not_altered() -> None:
    row: dict[str, Any] = {"n": 0, "nested": {"list": [0]}}
    state: dict[str, Any] = {"bookmarks": {"a": {"n": 0}}}

    def says() -> None:
        for n in range(3):
            row["n"] = row["nested"]["list"][0] = n
            write_records("a", [row])
            state["bookmarks"]["a"]["n"] = n
            write_state(state)

    found = events(Tap(says))
    assert [
        row for one in found if isinstance(one, Records) for row in one.batch.to_rows(one.stream)
    ] == [{"n": n, "nested": {"list": [n]}} for n in range(3)]
    assert [one.state for one in found if isinstance(one, Checkpoint)] == [
        {"bookmarks": {"a": {"n": n}}} for n in range(3)
    ]


def test_a_schema_declares_the_stream() -> None:
    source = Tap(lambda: write_schema("a", SCHEMA, ["n"]), record("a", 1))
    declared = next(one.stream for one in events(source) if isinstance(one, SchemaChange))
    assert (declared.schema, declared.primary_key) == (SCHEMA, ("n",))
    mine = Stream("a", primary_key="id", replication_key="n", stream_alias="table")
    declared = next(one.stream for one in events(source, [mine]) if isinstance(one, SchemaChange))
    assert (declared.primary_key, declared.stream_alias) == (("id",), "table"), (
        "what was asked for goes first"
    )


def test_nothing_reaches_standard_output(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(Tap(schema("a"), record("a", 1), at(a=1)), path)
    assert capfd.readouterr().out == ""


def test_rows_and_states_arrive(path: Path) -> None:
    source = Tap(schema("a"), record("a", *range(12_000)), at(a=11_999), record("b", 1))
    outcomes = load(source, path)
    assert [one.error for one in outcomes.values()] == [None, None]
    assert outcomes["a"].result.records_loaded == 12_000
    again = Tap(record("b", 2))
    load(again, path)
    assert again.began == [(["a", "b"], {"bookmarks": {"a": {"n": 11_999}}})]


def test_a_failing_source_keeps_what_its_states_cover(path: Path) -> None:
    outcomes = load(
        Tap(record("a", 1), at(a=1), record("a", 2), fails(OSError("the cable was cut"))), path
    )
    assert "OSError: the cable was cut" in str(outcomes["a"].error)
    warehouse = DuckDBDestination(str(path))
    assert warehouse.read_table(warehouse.table_for("tap", A)).column("n").to_pylist() == [1]


def test_a_source_that_ends_its_process_fails(path: Path) -> None:
    outcomes = load(Tap(record("a", 1), fails(SystemExit(3))), path)
    assert "exit status 3" in str(outcomes["a"].error)


def test_a_stream_nobody_asked_for_is_an_error(path: Path) -> None:
    outcomes = load(Tap(record("c", 1), record("a", 1)), path)
    assert "'c'" in str(outcomes["a"].error)


class Each(Source):
    """Overrides `sync_stream`."""

    def sync_stream(self, stream: Any, properties: Any = None) -> int:
        if stream.tap_stream_id == "b":
            raise ValueError("no such table")
        write_records(stream.tap_stream_id, [{"n": 1}])
        return 1


def test_streams_of_an_own_sync_stream_stand_or_fall_by_themselves() -> None:
    found = events(Each(name="each"))
    ends = {one.stream.name: one for one in found if isinstance(one, StreamEnd)}
    assert ends["a"].complete
    assert not ends["b"].complete
    assert "ValueError: no such table" in str(ends["b"].error)
    assert ("a", [1]) in shown(found)


class Writes(Source):
    """Has a `load_data` that writes messages in place of yielding rows, and says so."""

    granularity = "source"

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        write_records(stream.name, [{"n": 1}])
        yield [{"n": 2}]
        write_state({"bookmarks": {stream.name: {"n": 2}}})


def test_messages_of_load_data_and_its_rows_both_count(path: Path) -> None:
    outcomes = load(Writes(name="writes"), path, [A])
    assert outcomes["a"].error is None
    assert outcomes["a"].result.records_loaded == 2
    assert outcomes["a"].result.bookmark == {"bookmarks": {"a": {"n": 2}}}


@pytest.mark.parametrize(
    ("source", "together"),
    [(Tap(), True), (Each(), True), (Writes(), True), (Rows([]), False)],
    ids=repr,
)
def test_who_is_read_together(source: Source, together: bool) -> None:
    assert reads_together(source) is together


def test_a_first_look_ends_with_the_first_records() -> None:
    source = Tap(record("a", *range(50_000)), fails(OSError("too far")))
    first_of(source, A, "tap")
    with pytest.raises(StreamReadError, match="at once"):
        first_of(Tap(fails(OSError("at once"))), A, "tap")
    with pytest.raises(StreamReadError, match="no such table"):
        first_of(Each(), B, "each")


# Versions


def test_a_new_version_begins_a_generation_before_its_first_record() -> None:
    source = Tap(
        versioned("a", 1, 7), at(a=1), versioned("a", 2, 7), version("a", 7), version("b", 3)
    )
    found = events(source)
    assert shown(found)[0] == ("Truncate", "a")
    truncated = [(one.stream.name, one.generation) for one in found if isinstance(one, Truncate)]
    assert truncated == [("a", 7), ("b", 3)]


def test_a_version_that_the_state_knows_begins_none() -> None:
    state = SourceState({"bookmarks": {"a": {"version": 7}}})
    found = events(Tap(versioned("a", 1, 7), version("a", 7)), [A], state)
    assert not any(isinstance(one, Truncate) for one in found)


# Where it begins


def begun(state: SourceState, streams: Sequence[Stream] = (A, B)) -> Any:
    source = Tap()
    events(source, streams, state)
    return source.began[0][1]


def test_a_refreshed_stream_is_taken_out_of_the_state() -> None:
    document: Mapping[str, Any] = {
        "bookmarks": {"a": {"n": 1}, "b": {"n": 2}},
        "currently_syncing": "a",
        "x": 1,
    }
    assert begun(SourceState(document)) == document
    assert begun(SourceState(document, {}, {A.key})) == {"bookmarks": {"b": {"n": 2}}, "x": 1}


def test_a_state_of_another_shape_cannot_be_taken_apart() -> None:
    with pytest.raises(ConfigError, match="'a'"):
        begun(SourceState({"offset": 5}, {}, {A.key}))
    full = Stream("full")
    assert begun(SourceState({"offset": 5}, {}, {full.key}), [A, full]) == {"offset": 5}


# The thread


def test_a_source_faster_than_the_destination_waits() -> None:
    said: list[int] = []

    def says() -> None:
        for n in range(100_000):
            write_records("a", [{"n": n}])
            said.append(n)

    found = SourceRead(Tap(says), [A]).open(SourceState())
    next(found)
    assert len(said) <= tap.BATCH_ROWS + tap.CHUNK_MESSAGES * (tap.QUEUED_CHUNKS + 3)
    found.close()
    assert not [one for one in threading.enumerate() if one.name == "tap"]
    assert len(said) < 100_000


def test_a_read_that_is_not_wanted_any_more_ends_the_source() -> None:
    def says() -> None:
        for n in range(100_000):
            try:
                write_records("a", [{"n": n}])
            except Exception as error:
                raise AssertionError from error

    source = Tap(says)
    found = SourceRead(source, [A]).open(SourceState())
    next(found)
    found.close()
    (ended,) = source.ended
    assert ended is not None
    assert not isinstance(ended, Exception)


def test_a_source_that_does_not_end_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tap, "GRACE_SECONDS", 0.1)
    reached, over = threading.Event(), threading.Event()
    source = Tap(record("a", *range(tap.BATCH_ROWS)), at(a=1), reached.set, lambda: over.wait(10))
    found = SourceRead(source, [A]).open(SourceState())
    next(found)
    assert reached.wait(10)
    found.close()
    over.set()
    assert "did not end" in caplog.text


def test_a_message_that_has_no_place_here_is_an_error() -> None:
    batch = BatchMessage("a", {"format": "jsonl"}, ["file:///x"])
    with pytest.raises(ProtocolError, match="BATCH"):
        events(Tap(lambda: write_message(batch)))


def test_other_messages_are_left_alone() -> None:
    assert shown(events(Tap(lambda: write_message(Unknown("LOG", {"type": "LOG"}))), [A])) == [
        ("StreamEnd", "a")
    ]

"""Many streams of one read: states are barriers, one stream's failure is not the others', nothing lost or doubled."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.session import DatabaseSession
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import (
    ConcurrentSyncError,
    DestinationError,
    EtlAssetsError,
    ProtocolError,
    SourceError,
)
from etl_assets.model.batch import Batch
from etl_assets.model.events import (
    Checkpoint,
    Records,
    SchemaChange,
    SourceState,
    StreamEnd,
    Truncate,
)
from etl_assets.model.stream import Stream
from etl_assets.sources.source_read import SourceRead
from etl_assets.sync_source import StreamPlan, sync_source
from tests.many import (
    FULL,
    MERGED,
    A,
    B,
    Scripted,
    broken,
    ends,
    failed,
    load,
    numbers,
    own,
    query,
    rows,
    shared,
    state,
)
from tests.toys import Rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


# States of the whole source


def test_a_shared_state_is_one_row_beside_the_rows_it_covers(path: Path) -> None:
    events = [rows(A, 1), rows(B, 1), shared(1), rows(A, 2), shared(2), *ends(A, B)]
    outcomes = load(Scripted([A, B], events), path)
    assert failed(outcomes) == []
    assert (numbers(path, "a"), numbers(path, "b"), state(path)) == ([1, 2], [1], {"at": 2})
    assert state(path, "a") is None
    assert outcomes["a"].result.bookmark == {"at": 2}
    assert outcomes["a"].result.shared


def test_rows_and_shared_state_are_one_commit(path: Path) -> None:
    load(Scripted([A, B], [rows(A, 1), rows(B, 1), shared(1), *ends(A, B)]), path, seconds=1000)
    committed = query(
        path,
        "SELECT stream, count(*), min(committed_at) FROM _etl_assets_loads GROUP BY 1 ORDER BY 1",
    )
    assert [(stream, count) for stream, count, _ in committed] == [("", 1), ("a", 1), ("b", 1)]


def test_the_next_read_begins_from_the_shared_state(path: Path) -> None:
    load(Scripted([A, B], [rows(A, 1), shared(1), *ends(A, B)]), path)
    again = Scripted([A, B], [rows(A, 2), shared(2), *ends(A, B)])
    outcomes = load(again, path)
    assert again.asked == [SourceState({"at": 1}, {}, frozenset())]
    assert outcomes["a"].result.bookmark_previous == {"at": 1}
    assert numbers(path, "a") == [1, 2]


def test_rows_after_the_last_shared_state_wait_for_a_clean_end(path: Path) -> None:
    outcomes = load(Scripted([A], [rows(A, 1), shared(1), rows(A, 2), SourceError("gone")]), path)
    assert failed(outcomes) == ["a"]
    assert (numbers(path, "a"), state(path)) == ([1], {"at": 1})
    load(Scripted([A], [rows(A, 2), *ends(A)]), path)
    assert (numbers(path, "a"), state(path)) == ([1, 2], {"at": 1})


def test_what_a_shared_state_covers_is_kept_when_the_read_fails_right_after_it(path: Path) -> None:
    events = [rows(A, 1), rows(B, 1), shared(1), SourceError("gone")]
    assert failed(load(Scripted([A, B], events), path, seconds=1000)) == ["a", "b"]
    assert (numbers(path, "a"), numbers(path, "b"), state(path)) == ([1], [1], {"at": 1})


def test_a_failed_stream_holds_the_shared_state_and_the_appends(path: Path) -> None:
    streams = [A, B, MERGED, FULL]
    first = [*(rows(one, 1) for one in streams), *ends(FULL), shared(1), *ends(A, B, MERGED)]
    assert failed(load(Scripted(streams, first), path)) == []
    then = [
        *(rows(one, 2) for one in (A, MERGED, FULL)),
        broken(B),
        shared(2),
        *ends(A, MERGED, FULL),
    ]
    outcomes = load(Scripted(streams, then), path)
    assert failed(outcomes) == ["a", "b"]
    assert "'b'" in str(outcomes["a"].error)
    assert state(path) == {"at": 1}, "it would cover rows of b that are nowhere"
    assert (numbers(path, "a"), numbers(path, "b")) == ([1], [1])
    assert (numbers(path, "m"), numbers(path, "f")) == ([1, 2], [2]), (
        "what may come twice is published"
    )
    again = [*(rows(one, 2) for one in streams), *ends(FULL), shared(2), *ends(A, B, MERGED)]
    assert failed(load(Scripted(streams, again), path)) == []
    assert [numbers(path, one) for one in "abmf"] == [[1, 2], [1, 2], [1, 2], [2]]


def test_nothing_more_is_read_when_nothing_more_can_be_published(path: Path) -> None:
    read = Scripted([A, B], [shared(1), broken(B), *(rows(A, n) for n in range(100)), *ends(A)])
    assert failed(load(read, path)) == ["a", "b"]
    assert read.given == 2
    assert read.closed == 1
    assert numbers(path, "a") == []


def test_a_bad_value_fails_its_stream_and_holds_the_shared_state(path: Path) -> None:
    strict = Stream(
        "strict", replication_key="id", schema={"properties": {"id": {"type": "integer"}}}
    )
    bad = Records(strict, Batch([{"id": "seven"}]))
    events = [shared(0), rows(MERGED, 1), bad, shared(1), *ends(MERGED, strict)]
    outcomes = load(Scripted([MERGED, strict], events), path)
    assert failed(outcomes) == ["strict"]
    assert "seven" in str(outcomes["strict"].error)
    assert (numbers(path, "m"), state(path)) == ([1], {"at": 0})


def test_a_bad_key_found_at_the_commit_fails_its_stream_alone(path: Path) -> None:
    null = Records(MERGED, Batch([{"id": None, "n": 1}]))
    load(Scripted([MERGED, FULL], [*ends(FULL), shared(0), *ends(MERGED)]), path)
    outcomes = load(
        Scripted([MERGED, FULL], [rows(FULL, 1), null, *ends(FULL), shared(1), *ends(MERGED)]), path
    )
    assert failed(outcomes) == ["m"]
    assert (numbers(path, "f"), numbers(path, "m"), state(path)) == ([1], [], {"at": 0})


def test_a_shared_state_waits_for_a_stream_that_is_replaced(path: Path) -> None:
    events = [rows(FULL, 1), rows(A, 1), shared(1), rows(FULL, 2), SourceError("gone")]
    load(Scripted([FULL, A], events), path)
    assert (numbers(path, "f"), numbers(path, "a"), state(path)) == ([], [], None)
    load(
        Scripted([FULL, A], [rows(FULL, 1), rows(A, 1), shared(1), rows(FULL, 2), *ends(FULL, A)]),
        path,
    )
    assert (numbers(path, "f"), numbers(path, "a"), state(path)) == ([1, 2], [1], {"at": 1})


def test_a_state_that_cannot_be_stored_after_its_stream_was_published_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = DatabaseSession.commit
    calls: list[object] = []

    def fails_then(self: DatabaseSession, *given: Any, **named: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise DestinationError("the disk is full")
        return commit(self, *given, **named)

    monkeypatch.setattr(DatabaseSession, "commit", fails_then)
    read = Scripted([MERGED], [rows(MERGED, 1), *ends(MERGED), own(MERGED, 7)])
    with pytest.raises(DestinationError, match="the disk is full"):
        load(read, path)
    assert (numbers(path, "m"), state(path, "m"), len(calls)) == ([1], None, 2)


def test_a_shared_state_moves_without_any_rows(path: Path) -> None:
    load(Scripted([A], [shared(1), *ends(A)]), path)
    load(Scripted([A], [shared(2), SourceError("gone")]), path)
    load(Scripted([A], [Checkpoint({"at": 1}, None), *ends(A)]), path)
    assert state(path) == {"at": 1}, "the last one, also where it is smaller"


def test_an_append_is_not_published_before_it_is_known_whose_state_covers_it(path: Path) -> None:
    events = [rows(A, 1), StreamEnd(A), rows(B, 1)]
    warehouse = DuckDBDestination(str(path))
    outcomes = sync_source(
        Scripted([A, B], [*events, shared(1), *ends(B)]), warehouse, checkpoint_seconds=0
    )
    assert [one.stream.name for one in outcomes] == ["a", "b"]
    committed = query(path, "SELECT count(*) FROM _etl_assets_loads WHERE stream = ''")
    assert committed == [(1,)]
    assert numbers(path, "a") == [1]


def test_two_syncs_of_one_shared_state_are_told_apart(path: Path) -> None:
    load(Scripted([A, B], [shared(1), *ends(A, B)]), path)
    warehouse = DuckDBDestination(str(path))

    def apart(number: int) -> Checkpoint:
        return Checkpoint({"bookmarks": {"n": number}}, None, separate=True)

    def faster(_: Any) -> list[Any]:
        assert failed(load(Scripted([B], [rows(B, 2), apart(2), *ends(B)]), path)) == []
        return [rows(A, 7), apart(7), *ends(A)]

    (outcome,) = sync_source(Scripted([A], faster), warehouse)
    assert isinstance(outcome.error, ConcurrentSyncError)
    assert (numbers(path, "a"), state(path)) == ([], {"bookmarks": {"n": 2}})


# Full refresh


def test_a_refresh_of_every_stream_begins_without_the_shared_state(path: Path) -> None:
    load(Scripted([A, B], [rows(A, 1), rows(B, 1), shared(1), *ends(A, B)]), path)
    plans = {one.key: StreamPlan(full_refresh=True) for one in (A, B)}
    read = Scripted([A, B], [rows(A, 5), shared(5), *ends(A, B)])
    assert failed(load(read, path, plans=plans)) == []
    assert read.asked == [SourceState(None, {}, frozenset({A.key, B.key}))]
    assert (numbers(path, "a"), numbers(path, "b"), state(path)) == ([5], [], {"at": 5})


def test_a_refresh_of_one_stream_leaves_the_shared_state_to_the_others(path: Path) -> None:
    load(Scripted([A, B], [rows(A, 1), rows(B, 1), shared(1), *ends(A, B)]), path)
    read = Scripted([A, B], [rows(A, 5), *ends(A), rows(B, 2), shared(5), *ends(B)])
    load(read, path, plans={A.key: StreamPlan(full_refresh=True)})
    assert read.asked == [SourceState({"at": 1}, {}, frozenset({A.key}))]
    assert (numbers(path, "a"), numbers(path, "b"), state(path)) == ([5], [1, 2], {"at": 5})


def test_a_reset_shared_state_replaces_the_tables(path: Path) -> None:
    load(Scripted([A, B], [rows(A, 1), rows(B, 1), shared(1), *ends(A, B)]), path)
    warehouse = DuckDBDestination(str(path))
    warehouse.delete_state(next(one for one in warehouse.states() if one.shared))
    for one in (A, B):
        read = Scripted([one], [rows(one, 1), shared(1), *ends(one)])
        load(read, path)
        assert set(read.asked[0].refreshed) == {one.key}
    assert (numbers(path, "a"), numbers(path, "b")) == ([1], [1])


def test_a_stream_of_a_shared_state_is_not_rewound(path: Path) -> None:
    load(Scripted([A], [rows(A, 1), shared(1), *ends(A)]), path)
    warehouse = DuckDBDestination(str(path))
    (stored,) = [one for one in warehouse.states() if not one.shared]
    with pytest.raises(EtlAssetsError, match="share one state"):
        warehouse.rewind(stored, stored.load_id)


# Some of the streams that share a state


def test_a_read_of_some_streams_does_not_skip_the_rows_of_the_others(path: Path) -> None:
    load(Scripted([A, MERGED], [rows(A, 1), rows(MERGED, 1), shared(1), *ends(A, MERGED)]), path)
    outcomes = load(Scripted([MERGED], [rows(MERGED, 2), shared(2), *ends(MERGED)]), path)
    assert failed(outcomes) == []
    assert (numbers(path, "m"), state(path)) == ([1, 2], {"at": 1}), (
        "published, but the state stays"
    )
    outcomes = load(Scripted([A], [rows(A, 2), shared(2), *ends(A)]), path)
    assert failed(outcomes) == ["a"]
    assert "'m', not read this time" in str(outcomes["a"].error)
    assert (numbers(path, "a"), state(path)) == ([1], {"at": 1})


def test_a_state_that_keeps_streams_apart_moves_with_some_of_them(path: Path) -> None:
    load(Scripted([A, B], [rows(A, 1), rows(B, 1), shared(1), *ends(A, B)]), path)
    apart = Checkpoint({"bookmarks": {"a": 2, "b": 1}}, None, separate=True)
    assert failed(load(Scripted([A], [rows(A, 2), apart, *ends(A)]), path)) == []
    assert (numbers(path, "a"), state(path)) == ([1, 2], {"bookmarks": {"a": 2, "b": 1}})


def test_a_stream_that_joins_a_shared_state_is_read_from_its_beginning(path: Path) -> None:
    load(Scripted([A], [rows(A, 1), shared(1), *ends(A)]), path)
    read = Scripted([A, B], [rows(B, 0), rows(A, 2), rows(B, 2), shared(2), *ends(A, B)])
    assert failed(load(read, path)) == []
    assert read.asked == [SourceState({"at": 1}, {}, frozenset({B.key}))]
    assert (numbers(path, "a"), numbers(path, "b"), state(path)) == ([1, 2], [0, 2], {"at": 2})


def test_a_stream_without_rows_yet_is_no_new_one(path: Path) -> None:
    load(Scripted([A, B], [rows(A, 1), shared(1), SourceError("gone")]), path)
    read = Scripted([A, B], [rows(B, 2), shared(2), *ends(A, B)])
    load(read, path)
    assert read.asked == [SourceState({"at": 1}, {}, frozenset())]
    assert numbers(path, "b") == [2]


# States of single streams


def test_each_stream_is_committed_with_its_own_state(path: Path) -> None:
    events = [
        rows(A, 1),
        rows(B, 1),
        own(A, 1),
        rows(A, 2),
        rows(B, 2),
        own(B, 2),
        rows(A, 3),
        SourceError("gone"),
    ]
    assert failed(load(Scripted([A, B], events), path)) == ["a", "b"]
    assert (numbers(path, "a"), state(path, "a")) == ([1], {"n": 1})
    assert (numbers(path, "b"), state(path, "b")) == ([1, 2], {"n": 2})
    again = Scripted([A, B], [rows(A, 2, 3), own(A, 3), *ends(A, B)])
    assert failed(load(again, path)) == []
    assert again.asked[0].streams == {A.key: {"n": 1}, B.key: {"n": 2}}
    assert numbers(path, "a") == [1, 2, 3]


def test_one_stream_fails_and_the_others_go_on(path: Path) -> None:
    events = [
        rows(A, 1),
        own(A, 1),
        rows(A, 2),
        broken(A),
        rows(A, 3),
        own(A, 3),
        rows(B, 1),
        own(B, 1),
        *ends(B),
    ]
    outcomes = load(Scripted([A, B], events), path)
    assert failed(outcomes) == ["a"]
    assert (numbers(path, "a"), state(path, "a")) == ([1], {"n": 1}), (
        "nothing is stored after its failure"
    )
    assert numbers(path, "b") == [1]
    assert outcomes["a"].result.records_loaded == 1


def test_a_stream_without_an_end_is_not_complete(path: Path) -> None:
    events = [rows(A, 1), own(A, 1), rows(A, 2), rows(FULL, 1), rows(B, 1), own(B, 1), *ends(B)]
    outcomes = load(Scripted([A, B, FULL], events), path)
    assert failed(outcomes) == ["a", "f"]
    assert (numbers(path, "a"), numbers(path, "b"), numbers(path, "f")) == ([1], [1], [])


def test_a_state_may_come_after_the_end_of_its_stream(path: Path) -> None:
    events = [
        rows(A, 1),
        own(A, 1),
        rows(A, 2),
        StreamEnd(A),
        own(A, 2),
        rows(B, 1),
        own(B, 1),
        *ends(B),
    ]
    assert failed(load(Scripted([A, B], events), path)) == []
    assert (numbers(path, "a"), state(path, "a")) == ([1, 2], {"n": 2})


def test_streams_land_as_they_end(path: Path) -> None:
    read = Scripted([A, B], [rows(A, 1), own(A, 1), *ends(A), rows(B, 1), own(B, 1), *ends(B)])
    outcomes = sync_source(read, DuckDBDestination(str(path)))
    assert next(outcomes).stream is A
    assert read.given == 3
    assert numbers(path, "a") == [1]
    outcomes.close()
    assert read.closed == 1
    assert numbers(path, "b") == []
    assert [one.name for one in path.parent.iterdir()] == [path.name], "no staging is left"


def test_a_replace_is_published_when_its_stream_is_complete(path: Path) -> None:
    load(Scripted([FULL], [rows(FULL, 1), *ends(FULL)]), path)
    failing = Scripted([FULL], [rows(FULL, 2), own(FULL, 2), SourceError("gone")])
    assert failed(load(failing, path)) == ["f"]
    assert (numbers(path, "f"), state(path, "f")) == ([1], None)
    empty = Scripted([FULL], ends(FULL))
    load(empty, path)
    assert set(empty.asked[0].refreshed) == {FULL.key}
    assert numbers(path, "f") == [], "an empty but complete stream empties the table"


def test_a_state_of_null_takes_the_stored_one_away(path: Path) -> None:
    load(Scripted([A], [rows(A, 1), own(A, 1), *ends(A)]), path)
    load(Scripted([A], [Checkpoint(None, (A.key,)), *ends(A)]), path)
    read = Scripted([A], ends(A))
    load(read, path)
    assert dict(read.asked[0].streams) == {}


def test_a_table_that_is_not_ours_fails_its_stream_alone(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA many; CREATE TABLE many.a AS SELECT 1 AS n")
    outcomes = load(Scripted([A, B], [rows(A, 2), rows(B, 2), own(B, 2), *ends(A, B)]), path)
    assert failed(outcomes) == ["a"]
    assert "not made by this library" in str(outcomes["a"].error)
    assert (numbers(path, "a"), numbers(path, "b")) == ([1], [2])


def test_a_hundred_streams_one_fails(path: Path) -> None:
    streams = [Stream(f"s{n:03d}", replication_key="n") for n in range(100)]
    events: list[Any] = [rows(one, n) for n in range(2) for one in streams]
    events += [broken(streams[42]), *(own(one, 1) for one in streams), *ends(*streams)]
    outcomes = load(Scripted(streams, events), path, seconds=1000)
    assert failed(outcomes) == ["s042"]
    assert all(
        numbers(path, one.name) == ([] if one is streams[42] else [0, 1]) for one in streams[::7]
    )


# Schemas and generations


def test_a_schema_may_change_in_the_middle_of_a_read(path: Path) -> None:
    first = Stream("a", schema={"properties": {"n": {"type": "integer"}}}, replication_key="n")
    then = first.replace(
        schema={"properties": {"n": {"type": "integer"}, "x": {"type": "string", "format": "date"}}}
    )
    events = [
        Records(first, Batch([{"n": 1}])),
        Records(then, Batch([{"n": 2, "x": "2026-01-02"}])),
        *ends(then),
    ]
    load(Scripted([first], events), path)
    assert query(path, "SELECT n, x::VARCHAR, typeof(x) FROM many.a ORDER BY n") == [
        (1, None, "DATE"),
        (2, "2026-01-02", "DATE"),
    ]


def test_a_schema_without_rows_makes_a_table(path: Path) -> None:
    known = A.replace(schema={"properties": {"n": {"type": "integer"}, "x": {"type": "string"}}})
    load(Scripted([A], [SchemaChange(known), own(A, 1), *ends(A)]), path)
    assert query(path, "SELECT n, x FROM many.a") == []
    assert state(path, "a") == {"n": 1}


def test_a_new_generation_takes_the_tables_place_when_it_is_complete(path: Path) -> None:
    load(Scripted([A], [rows(A, 1), own(A, 1), *ends(A)]), path)
    events = [
        rows(A, 2),
        own(A, 2),
        rows(A, 3),
        Truncate(A, 7),
        rows(A, 4),
        own(A, 4),
        Truncate(A, 7),
        rows(A, 5),
    ]
    assert failed(load(Scripted([A], [*events, SourceError("gone")]), path)) == ["a"]
    assert (numbers(path, "a"), state(path, "a")) == ([1, 2], {"n": 2}), (
        "the old rows, until the new ones are whole"
    )
    outcomes = load(
        Scripted([A], [Truncate(A, 7), rows(A, 4), own(A, 4), rows(A, 5), *ends(A)]), path
    )
    assert (numbers(path, "a"), state(path, "a")) == ([4, 5], {"n": 4})
    assert outcomes["a"].result.strategy == "replace"


@pytest.mark.parametrize("strategy", ["append", "merge"])
def test_a_strategy_that_was_named_rules_a_new_generation_too(strategy: str, path: Path) -> None:
    keyed = A.replace(primary_key="n")
    plans = {keyed.key: StreamPlan(strategy=strategy)}
    load(Scripted([keyed], [rows(keyed, 1), own(keyed, 1), *ends(keyed)]), path, plans=plans)
    again = [rows(keyed, 9), Truncate(keyed, 7), rows(keyed, 2), own(keyed, 2), *ends(keyed)]
    outcomes = load(Scripted([keyed], again), path, plans=plans)
    assert (numbers(path, "a"), state(path, "a")) == ([1, 2], {"n": 2}), (
        "what was staged of the old one is dropped"
    )
    assert outcomes["a"].result.strategy == strategy


def test_a_first_generation_is_committed_on_its_way(path: Path) -> None:
    load(
        Scripted([A], [Truncate(A, 7), rows(A, 4), own(A, 4), rows(A, 5), SourceError("gone")]),
        path,
    )
    assert (numbers(path, "a"), state(path, "a")) == ([4], {"n": 4})


# What is wrong with a read


@pytest.mark.parametrize(
    "event", [rows(B, 1), own(B, 1), *ends(B)], ids=["records", "state", "end"]
)
def test_an_event_of_an_unknown_stream_is_an_error(event: Any, path: Path) -> None:
    outcomes = load(Scripted([A], [rows(A, 1), own(A, 1), event]), path)
    assert isinstance(outcomes["a"].error, ProtocolError)
    assert "'b'" in str(outcomes["a"].error)
    assert state(path, "a") == {"n": 1}


def test_records_after_the_end_are_an_error(path: Path) -> None:
    with pytest.raises(ProtocolError, match="'a'"):
        load(Scripted([A], [rows(A, 1), own(A, 1), *ends(A), rows(A, 2)]), path)
    assert numbers(path, "a") == [1]


def test_a_failure_after_all_streams_have_ended_is_told(path: Path) -> None:
    with pytest.raises(SourceError, match="exit status 1"):
        load(Scripted([A], [rows(A, 1), own(A, 1), *ends(A), SourceError("exit status 1")]), path)
    assert numbers(path, "a") == [1]


def test_a_cancel_drops_what_was_not_committed(path: Path) -> None:
    read = Scripted([A, B], [rows(A, 1), shared(1), rows(B, 1), KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        load(read, path)
    assert read.closed == 1
    assert (numbers(path, "a"), numbers(path, "b"), state(path)) == ([1], [], {"at": 1})


# A destination without state


class Printed(Destination):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
        if stream == "b":
            raise OSError("the paper is out")
        self.seen.extend(item["record"]["n"] for item in record_data)


def test_a_destination_without_state_gets_the_rows_before_the_state() -> None:
    printed = Printed()
    events = [rows(A, 1), own(A, 1), rows(B, 1), own(B, 1), rows(A, 2), own(A, 2), *ends(A, B)]
    found = {one.stream.name: one for one in sync_source(Scripted([A, B], events), printed)}
    assert printed.seen == [1, 2]
    assert failed(found) == ["b"]
    assert isinstance(found["b"].error, OSError)
    assert (found["a"].result.bookmark, found["a"].result.delivery) == ({"n": 2}, "at_least_once")


def test_a_destination_without_state_does_not_skip_the_rows_of_others() -> None:
    read = Scripted([A], [rows(A, 1), shared(3), *ends(A)])
    (outcome,) = sync_source(read, Printed(), fallback=lambda: {"at": 2}, others=[B.key])
    assert "'b', not read this time" in str(outcome.error)


def test_a_destination_without_state_begins_from_what_the_caller_knows() -> None:
    read = Scripted([A], [rows(A, 1), shared(3), *ends(A)])
    (outcome,) = sync_source(read, Printed(), fallback=lambda: {"at": 2})
    assert read.asked[0].shared == {"at": 2}
    assert (outcome.result.bookmark, outcome.result.shared) == ({"at": 3}, True)


def test_an_append_of_a_keyed_stream_doubles_no_row_at_the_bookmark(path: Path) -> None:
    stream = Stream("users", primary_key=["id"], replication_key="at")
    given: list[dict[str, Any]] = [{"id": 1, "at": 1}, {"id": 2, "at": 1}]
    plans = {stream.key: StreamPlan(strategy="append")}
    for _ in range(3):
        read = SourceRead(Rows(given), [stream])
        assert (
            failed(
                {
                    o.stream.name: o
                    for o in sync_source(read, DuckDBDestination(str(path)), plans=plans)
                }
            )
            == []
        )
        given.append({"id": len(given) + 1, "at": 1})
    assert query(path, "SELECT id FROM shop.users ORDER BY id") == [(1,), (2,), (3,), (4,)]

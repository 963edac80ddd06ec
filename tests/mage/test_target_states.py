"""The states a target passes on when a stream has failed: never ahead of its rows, and no further back than needed."""

import json
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.target.states import SafeBookmarks
from etl_assets.exceptions import DestinationError
from tests.mage.test_target import Kept, into, lines, record, rows, schema, state


def bookmarks(**by_stream: Any) -> dict[str, Any]:
    return state({"bookmarks": {name: {"id": value} for name, value in by_stream.items()}})


def passed(*messages: Any, broken: tuple[str, ...] = ("users",), **config: Any) -> list[Any]:
    """Return the states that are passed on by a destination in which some streams fail from their first record on."""
    kept = Kept(config={"state_seconds": 0, **config})
    kept.broken = broken
    with pytest.raises(DestinationError, match="streams failed"):
        kept.process(lines(*messages))
    return [call[1] for call in kept.calls if call[0] == "state"]


def test_the_failed_stream_stays_and_the_others_move_on() -> None:
    assert passed(
        schema(), schema("b"), bookmarks(users=3, b=3), record(4), record(4, "b"), bookmarks(users=4, b=4),
        record(5), record(5, "b"), bookmarks(users=5, b=5),
    ) == [
        {"bookmarks": {"users": {"id": 3}, "b": {"id": 3}}},
        {"bookmarks": {"users": {"id": 3}, "b": {"id": 4}}},
        {"bookmarks": {"users": {"id": 3}, "b": {"id": 5}}},
    ]  # fmt: skip


def test_it_stays_where_it_was_when_its_rows_were_there_last() -> None:
    class Later(Kept):
        def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
            if stream == "users" and record_data[0]["record"]["id"] == 6:
                raise ValueError("full")
            super().export_batch_data(record_data, stream, tags)

    later = Later(config={"maximum_batch_rows": 1, "state_seconds": 1000})
    with pytest.raises(DestinationError):
        later.process(
            lines(
                schema(),
                record(4),
                bookmarks(users=4),
                record(5),
                bookmarks(users=5),
                record(6),
                bookmarks(users=6),
            )
        )
    # 5 was exported before the state that covers 6 came, and a state came in between.
    assert [call[1]["bookmarks"]["users"]["id"] for call in later.calls if call[0] == "state"][
        -1
    ] == 5


def test_states_name_where_a_stream_began_before_its_first_record() -> None:
    first = state({"bookmarks": {"users": {"id": 2}, "b": {"id": 2}}, "currently_syncing": "users"})
    assert passed(
        schema(),
        schema("b"),
        first,
        record(3),
        record(3, "b"),
        bookmarks(users=3, b=3),
        state_seconds=99,
    ) == [{"bookmarks": {"users": {"id": 2}, "b": {"id": 3}}}]


def test_where_it_began_is_read_from_the_state_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(bookmarks(users=1, c=1)["value"]))
    kept = Kept(state_file_path=str(path))
    kept.broken = ("users", "b")
    keyless = [schema(name, key_properties=[]) for name in ("users", "b", "c")]
    with pytest.raises(DestinationError):
        kept.process(
            lines(*keyless, record(2), record(2, "b"), record(2, "c"), bookmarks(users=2, b=2, c=2))
        )
    # `b` was never in a state: it begins anew.
    assert json.loads(path.read_text()) == {"bookmarks": {"users": {"id": 1}, "c": {"id": 2}}}


def test_a_stream_with_a_key_is_read_anew_where_its_beginning_is_not_known() -> None:
    messages = [schema("b"), record(3), record(3, "b"), bookmarks(users=3, b=3)]
    assert passed(schema(), *messages) == [{"bookmarks": {"b": {"id": 3}}}]
    assert passed(schema(key_properties=[]), *messages) == []  # it would come twice


def test_a_full_table_needs_no_bookmark() -> None:
    messages = [schema("b"), record(3), record(3, "b"), bookmarks(b=3)]
    assert passed(schema(replication_method="FULL_TABLE"), *messages) == [
        {"bookmarks": {"b": {"id": 3}}}
    ]
    assert (
        passed(schema(), *messages) == []
    )  # its bookmark may be another stream's: its parent's, or an alias's


@pytest.mark.parametrize(
    "value",
    [
        {"anything": 3},
        {"bookmarks": {"users": {"id": 3}}, "shared": 3},
        {"bookmarks": [3]},
        7,
        {"bookmarks": {"users": {"id": 3}, "b": {}}},
        {"bookmarks": {"users": {"id": 3}, "b": {"replication_key_value": 3}}},
        {"bookmarks": {"users": {"partitions": [{"context": {"parent": 1}}]}, "b": {"id": 3}}},
    ],
    ids=[
        "opaque",
        "more",
        "no object",
        "a number",
        "SDK: full table",
        "SDK: incremental",
        "SDK: child",
    ],
)
def test_a_state_that_cannot_be_taken_apart_is_held_back(
    value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert (
        passed(schema(), schema("b"), record(3), record(3, "b"), state(value), state(value)) == []
    )
    assert caplog.text.count("no state is passed on any more") == 1


def test_the_user_may_say_that_no_stream_depends_on_another() -> None:
    before, after = (
        {"bookmarks": {"users": {"partitions": [n]}, "b": {"replication_key_value": n}}}
        for n in (1, 2)
    )
    messages = [schema(), schema("b"), state(before), record(3), record(3, "b"), state(after)]
    assert passed(*messages, independent_streams=True)[-1] == {
        "bookmarks": {"users": {"partitions": [1]}, "b": {"replication_key_value": 2}}
    }


def test_no_bookmark_of_uncommitted_rows_is_safe() -> None:
    safe = SafeBookmarks()
    safe.take({"bookmarks": {"a": 1, "b": 1}}, {"a"})
    arguments: Any = {"full_tables": (), "keyed": {"a"}, "trusted": False}
    assert safe.state_without({"bookmarks": {"a": 2, "b": 2}}, ["b"], **arguments) == {
        "bookmarks": {"a": 2, "b": 1}
    }
    assert safe.state_without({"bookmarks": {"a": 2, "b": 2}}, ["a"], **arguments) == {
        "bookmarks": {"b": 2}
    }


def test_resuming_duckdb_from_such_a_state_loses_and_doubles_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.duckdb"

    def tap(start: dict[str, Any], third: Any) -> list[Any]:
        """Return what a tap writes of two streams without keys from its state on; `third` is the third id of `users`."""
        began = {name: start.get(name, {}).get("id", 0) for name in ("users", "b")}
        messages: list[Any] = [schema(name, key_properties=[]) for name in began]
        messages.append(bookmarks(**began))
        for n in range(1, 6):
            new = [name for name, first in began.items() if n > first]
            messages.extend(record(third if (name, n) == ("users", 3) else n, name) for name in new)
            messages.append(bookmarks(**{name: max(n, began[name]) for name in began}))
        return messages

    with pytest.raises(DestinationError, match="'users'"):
        into(path, tap({}, third="three"), state_seconds=0)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])["bookmarks"]
    assert last == {"users": {"id": 2}, "b": {"id": 5}}
    into(path, tap(last, third=3))
    for name in ("users", "b"):
        assert rows(path, f"SELECT id FROM tap.{name} ORDER BY id") == [(n,) for n in range(1, 6)]

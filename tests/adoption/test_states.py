"""What the states of other tools say, in each of the forms that they come in."""

import base64
import json
import sqlite3
import zlib
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl_assets.adoption.airbyte import read_airbyte
from etl_assets.adoption.dlt import read_dlt, unpacked
from etl_assets.adoption.recognise import read_file
from etl_assets.adoption.singer import read_meltano, read_singer
from etl_assets.adoption.states import PEERS, PeerState
from etl_assets.cli import _PEERS
from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream

KEYED = {"replication_key": "at", "replication_key_value": "2026-01-02"}


def said(state: PeerState) -> dict[str, Any]:
    """Return the bookmark of each stream, or why there is none."""
    return {str(one): one.bookmark or one.why_not for one in state.streams}


def test_a_singer_state_in_each_form() -> None:
    bookmarks = {
        "plain": {"id": 5},
        "keyed": {**KEYED, "version": 7, "last_replication_method": "INCREMENTAL"},
        "whole": {"last_replication_method": "FULL_TABLE", "version": 1},
        "logged": {"lsn": 88, "last_replication_method": "LOG_BASED"},
        "begun": {"starting_replication_value": None, "progress_markers": {"replication_key": "at"}},
        "parts": {"partitions": [{"context": {"a": 2}, **KEYED}, {"context": {"a": 1}, **KEYED, "replication_key_value": "2026-01-01"}]},
        "some": {"partitions": [{"context": {"a": 1}, **KEYED}, {"context": {"a": 2}}]},
        "mixed": {"partitions": [{"context": {"a": 1}, **KEYED}, {"context": {"a": 2}, **KEYED, "replication_key_value": 3}]},
        "null": {**KEYED, "replication_key_value": None},
    }  # fmt: skip
    state = read_singer({"type": "STATE", "value": {"bookmarks": bookmarks}}, "it")
    assert said(state) == {
        "plain": {"id": 5},
        "keyed": {"at": "2026-01-02"},
        "whole": "it is read whole there, and has no bookmark",
        "logged": "it is a position in a database's log, which only its tap can read",
        "begun": "its first sync there has not ended, so it has no bookmark",
        "parts": {"at": "2026-01-01"},
        "some": "one of its partitions has no bookmark",
        "mixed": "its partitions have bookmarks of several kinds",
        "null": "it has no bookmark",
    }
    assert {one.name: one.earliest_of for one in state.streams if one.earliest_of} == {"parts": 2}
    assert state.shared == {"bookmarks": bookmarks}, "a tap gets all of it back"


def test_a_state_of_meltano_whose_last_run_has_not_ended() -> None:
    completed = {"singer_state": {"bookmarks": {"a": {"id": 1}, "b": {"id": 1}}}}
    partial = {"singer_state": {"bookmarks": {"a": {"id": 9}}}}
    for document in ({"completed": completed, "partial": partial}, {"completed": completed}):
        found = said(read_meltano(document, "it"))
        assert found == {"a": {"id": 9 if "partial" in document else 1}, "b": {"id": 1}}
    assert said(read_meltano(completed, "it")) == {"a": {"id": 1}, "b": {"id": 1}}


def test_a_system_database_with_several_states_needs_a_name(tmp_path: Path) -> None:
    path = tmp_path / "meltano.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE state (state_id, completed_state, partial_state)")
        for name in ("dev:a-to-b", "dev:c-to-d"):
            text = json.dumps({"singer_state": {"bookmarks": {name: {"id": 1}}}})
            connection.execute("INSERT INTO state VALUES (?, ?, NULL)", (name, text))
        connection.commit()
    with pytest.raises(ConfigError, match=r"--pipeline: dev:a-to-b, dev:c-to-d"):
        read_file(path, None, None)
    with pytest.raises(ConfigError, match=r"Did you mean 'dev:a-to-b'"):
        read_file(path, None, "dev:a-to-x")
    assert said(read_file(path, None, "dev:c-to-d")) == {"dev:c-to-d": {"id": 1}}


STREAMS: list[dict[str, Any]] = [
    {"streamDescriptor": {"name": "a", "namespace": "s"}, "streamState": {"updated_at": "2026-01-01"}},
    {"streamDescriptor": {"name": "b"}, "streamState": {"state_type": "cursor_based", "version": 2, "cursor_field": ["id"], "cursor": "7"}},
    {"streamDescriptor": {"name": "c"}, "streamState": {"state_type": "xmin", "xmin_raw_value": 3}},
    {"streamDescriptor": {"name": "d"}, "streamState": {"states": [{"partition": {}, "cursor": {}}], "use_global_cursor": False}},
    {"streamDescriptor": {"name": "e"}, "streamState": {"__ab_full_refresh_sync_complete": True}},
    {"streamDescriptor": {"name": "f"}},
]  # fmt: skip
TOLD = {
    "s.a": {"updated_at": "2026-01-01"},
    "b": {"id": "7"},
    "c": "it is a position of the kind 'xmin', which only its connector can read",
    "d": 'only its connector can read it: it has "states", "use_global_cursor"',
    "e": "it has no bookmark",
    "f": "it has no state there",
}


def as_message(one: dict[str, Any]) -> dict[str, Any]:
    stream = {"stream_descriptor": one["streamDescriptor"], "stream_state": one.get("streamState")}
    return {"type": "STREAM", "stream": stream}


@pytest.mark.parametrize(
    "document",
    [
        STREAMS,
        {"stateType": "stream", "connectionId": "1-2", "streamState": STREAMS},
        [as_message(one) for one in STREAMS],
    ],
    ids=["web", "api", "messages"],
)
def test_an_airbyte_state_of_streams_in_each_form(document: Any) -> None:
    state = read_airbyte(document, "it")
    assert (said(state), state.shared) == (TOLD, None)


def test_a_global_and_a_legacy_state_of_airbyte() -> None:
    states = [{"streamDescriptor": {"name": "a"}, "streamState": {"id": 1}}]
    given = {"sharedState": {"lsn": 5}, "streamStates": states}
    found = read_airbyte({"stateType": "global", "globalState": given}, "it")
    assert said(found) == {"a": {"id": 1}}
    whole = {"shared_state": {"lsn": 5}, "stream_states": [{"stream_descriptor": {"name": "a"}, "stream_state": {"id": 1}}]}  # fmt: skip
    assert found.shared == {"type": "GLOBAL", "global": whole}, "as its connectors write it"
    data = {"cdc": False, "streams": [{"stream_name": "a", "stream_namespace": "s", "cursor_field": ["id"], "cursor": "4"}]}  # fmt: skip
    found = read_airbyte({"stateType": "legacy", "state": data}, "it")
    assert said(found) == {"s.a": {"id": "4"}}
    assert found.shared == {"type": "LEGACY", "data": data}
    assert said(read_airbyte({"type": "LEGACY", "data": {"a": {"at": "x"}}}, "it")) == {
        "a": {"at": "x"}
    }


def of_dlt(**cursors: Any) -> dict[str, Any]:
    resources = {name: {"incremental": incremental} for name, incremental in cursors.items()}
    return {"_state_engine_version": 4, "sources": {"shop": {"resources": resources}}}


def test_the_cursors_of_dlt_with_the_types_that_it_marks() -> None:
    def last(value: Any, path: str = "k") -> dict[str, Any]:
        return {path: {"last_value": value, "initial_value": None, "unique_hashes": []}}

    document = of_dlt(
        number=last(7),
        decimal=last("\uf0261.50"),
        at=last("\uf0272026-01-03T00:00:00+00:00"),
        day=last("\uf0282026-01-03"),
        text=last("abc", "$.k"),
        binary=last("\uf02bAAAA"),
        nested=last(1, "a.b"),
        none=last(None),
        two={**last(1), **last(2, "j")},
        plain={},
    )
    assert said(read_dlt(document, "it")) == {
        "number": {"k": 7},
        "decimal": {"k": Decimal("1.50")},
        "at": {"k": "2026-01-03T00:00:00+00:00"},
        "day": {"k": "2026-01-03"},
        "text": {"k": "abc"},
        "binary": "the last value of its cursor 'k' is of no type that a bookmark can have",
        "nested": "its cursor 'a.b' is inside another field",
        "none": "its cursor has no last value",
        "two": "it has 2 cursors",
        "plain": "it has no incremental cursor",
    }


def packed(document: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()


def test_a_row_of_dlts_table_is_unpacked_and_nothing_else_is() -> None:
    document = of_dlt(a={"id": {"last_value": 1}})
    assert unpacked(packed(document), "it") == document
    for broken in ("", "eJ!", packed(document)[:-8], base64.b64encode(b"no zlib").decode()):
        with pytest.raises(ConfigError, match="it is no state"):
            unpacked(broken, "it")


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        (json.dumps(STREAMS), "airbyte"),
        (json.dumps({"bookmarks": {}}), "singer"),
        (json.dumps({"singer_state": {"bookmarks": {}}}), "meltano"),
        (json.dumps(of_dlt()), "dlt"),
        (packed(of_dlt()) + "\n", "dlt"),
    ],
    ids=["airbyte", "singer", "meltano", "dlt", "packed"],
)
def test_a_form_tells_whose_state_it_is(text: str, peer: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text(text)
    assert read_file(path, None, None).peer == peer
    assert read_file(path, peer, None).peer == peer


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", '{"bookmarks": [1]}', "\ud800"])
@pytest.mark.parametrize("peer", [None, *PEERS])
def test_what_is_no_state_is_refused(text: str, peer: str | None, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=r"is no state|is not JSON|is not UTF-8"):
        read_file(path, peer, None)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_file(tmp_path / "nowhere", peer, None)


def test_a_stream_is_known_by_the_names_that_others_give_it() -> None:
    state = read_singer({"bookmarks": {"public-orders": {"id": 1}}}, "it")
    assert state.streams[0].is_of(Stream("orders", namespace="public"))
    assert not state.streams[0].is_of(Stream("orders", namespace="other"))
    (of_airbyte,) = read_airbyte([STREAMS[0]], "it").streams
    assert of_airbyte.is_of(Stream("a", namespace="s"))
    assert of_airbyte.is_of(Stream("a"))
    assert not of_airbyte.is_of(Stream("a", namespace="t"))


def test_the_command_line_names_the_same_peers() -> None:
    assert _PEERS == PEERS

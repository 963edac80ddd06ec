"""Singer taps: their messages, their catalog and their state, by a fake that writes what it is told."""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl_assets.exceptions import ConfigError, ConnectorError, ProtocolError
from etl_assets.model.events import SourceState
from etl_assets.model.stream import Stream
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.singer.read import state_given

from .conftest import Loaded

Make = Callable[..., ConnectorSource]
Load = Callable[..., Loaded]


def schema(stream: str, *, keys: tuple[str, ...] = ("id",), **properties: Any) -> dict[str, Any]:
    fields = properties or {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"properties": fields},
        "key_properties": list(keys),
    }


def record(stream: str, number: int, version: int | None = None, **more: Any) -> dict[str, Any]:
    line = {"type": "RECORD", "stream": stream, "record": {"id": number, **more}}
    return line if version is None else {**line, "version": version}


def state(**bookmarks: Any) -> dict[str, Any]:
    return {"type": "STATE", "value": {"bookmarks": bookmarks}}


def activate(stream: str, version: int) -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def test_interleaved_streams_land_and_the_whole_state_comes_back(
    singer: Make, load: Load, tmp_path: Path
) -> None:
    lines = [
        schema("a"),
        schema("b"),
        record("a", 1),
        record("b", 7),
        record("a", 2),
        state(a=2),
        state(a=2, b=7),
    ]
    first = load(singer(*lines))
    assert first.error is None
    assert first.rows("tap_fake.a") == [1, 2]
    assert first.rows("tap_fake.b") == [7]
    note = tmp_path / "note"
    load(singer(schema("a"), schema("b"), record("a", 3), state(a=3, b=7), note=str(note)))
    noted = json.loads(note.read_text())
    assert noted["state"] == {"bookmarks": {"a": 2, "b": 7}}
    own = [one["metadata"][0]["metadata"] for one in noted["catalog"]["streams"]]
    assert [one["selected"] for one in own] == [True, True]
    assert own[0]["replication-key"] == "id"


def test_only_what_is_selected_is_read(singer: Make, load: Load, tmp_path: Path) -> None:
    note = tmp_path / "note"
    lines = [schema("a"), schema("b"), record("a", 1), record("b", 1), state(a=1)]
    result = load(singer(*lines, note=str(note)), streams=["a"])
    assert set(result.outcomes) == {"a"}
    assert result.outcomes["a"].error is None
    noted = json.loads(note.read_text())["catalog"]["streams"]
    assert {one["tap_stream_id"]: one["metadata"][0]["metadata"]["selected"] for one in noted} == {
        "a": True,
        "b": False,
    }


def test_rows_after_the_last_state_are_committed_at_a_clean_end(singer: Make, load: Load) -> None:
    result = load(singer(schema("a"), record("a", 1), state(a=1), record("a", 2), streams=["a"]))
    assert result.error is None
    assert result.rows("tap_fake.a") == [1, 2]


def test_a_death_keeps_what_a_state_covers_and_the_next_read_has_each_row_once(
    singer: Make, load: Load
) -> None:
    dead = [
        schema("log", keys=()),
        record("log", 1),
        state(log=1),
        record("log", 2),
        state(log=2),
        record("log", 3),
        1,
    ]
    first = load(singer(*dead, streams=["log"]))
    assert "exit code 1" in first.failure("log")
    assert first.rows("tap_fake.log") == [1, 2]
    second = load(
        singer(
            schema("log", keys=()),
            record("log", 3),
            record("log", 4),
            state(log=4),
            streams=["log"],
        )
    )
    assert second.rows("tap_fake.log") == [1, 2, 3, 4]


def test_a_record_before_its_schema_is_told(singer: Make, load: Load) -> None:
    result = load(singer(record("a", 1), streams=["a"]))
    assert isinstance(result.outcomes["a"].error, ProtocolError)
    assert "'a'" in result.failure("a")


def test_the_same_schema_again_changes_nothing_and_another_adds_its_column(
    singer: Make, load: Load
) -> None:
    wider = schema("a", id={"type": "integer"}, name={"type": "string"}, extra={"type": "string"})
    lines = [
        schema("a"),
        record("a", 1),
        schema("a"),
        record("a", 2),
        wider,
        record("a", 3, extra="x"),
    ]
    result = load(singer(*lines, streams=["a"]))
    assert result.error is None
    assert result.rows("tap_fake.a", "id, extra") == [(1, None), (2, None), (3, "x")]


def test_a_schema_without_records_makes_the_table_and_saves_the_state(
    singer: Make, load: Load
) -> None:
    result = load(singer(schema("a"), state(a=5), streams=["a"]))
    assert result.rows("tap_fake.a", "id, name") == []
    assert result.bookmark("a") == {"bookmarks": {"a": 5}}


def test_a_stream_it_says_nothing_of_is_a_failure(singer: Make, load: Load) -> None:
    result = load(singer(schema("a"), record("a", 1)))
    assert "without a word of it" in result.failure("b")


def test_a_new_version_takes_the_place_of_the_old_rows(singer: Make, load: Load) -> None:
    load(
        singer(
            schema("a"),
            activate("a", 1),
            record("a", 1, 1),
            record("a", 2, 1),
            activate("a", 1),
            streams=["a"],
        )
    )
    second = load(
        singer(schema("a"), record("a", 2, 2), record("a", 3, 2), activate("a", 2), streams=["a"])
    )
    assert second.error is None
    assert second.rows("tap_fake.a") == [2, 3]
    empty = load(singer(schema("a"), activate("a", 3), streams=["a"]))
    assert empty.rows("tap_fake.a") == []


def test_a_version_that_the_state_knows_removes_nothing(singer: Make, load: Load) -> None:
    bookmark = {"version": 5, "id": 2}
    load(
        singer(
            schema("a"),
            activate("a", 5),
            record("a", 1, 5),
            record("a", 2, 5),
            state(a=bookmark),
            streams=["a"],
        )
    )
    second = load(
        singer(
            schema("a"),
            activate("a", 5),
            record("a", 3, 5),
            state(a={**bookmark, "id": 3}),
            streams=["a"],
        )
    )
    assert second.error is None
    assert second.rows("tap_fake.a") == [1, 2, 3]


def test_a_new_version_that_dies_leaves_the_old_rows(singer: Make, load: Load) -> None:
    load(singer(schema("a"), record("a", 1, 1), record("a", 2, 1), activate("a", 1), streams=["a"]))
    second = load(singer(schema("a"), record("a", 9, 2), 1, streams=["a"]))
    assert "exit code 1" in second.failure("a")
    assert second.rows("tap_fake.a") == [1, 2]


def test_an_unknown_type_is_counted_not_fatal(
    singer: Make, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    result = load(singer(schema("a"), {"type": "FUTURE", "x": 1}, record("a", 1), streams=["a"]))
    assert result.error is None
    assert result.rows("tap_fake.a") == [1]
    assert "1 messages of the unknown type FUTURE" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "RECORD", "stream": "a", "rec',
        '{"type": "RECORD", "stream": "a"}',
        '{"type": "STATE"}',
    ],
)
def test_a_broken_message_is_a_failure_and_the_state_before_it_stays(
    singer: Make, load: Load, line: str
) -> None:
    result = load(singer(schema("a"), record("a", 1), state(a=1), line, streams=["a"]))
    assert isinstance(result.outcomes["a"].error, ProtocolError)
    assert result.rows("tap_fake.a") == [1]


def test_nan_in_one_line_leaves_the_others_exact(singer: Make, load: Load) -> None:
    numbers = schema("a", id={"type": "integer"}, x={"type": "number"})
    lines = [
        numbers,
        record("a", 1, x=0.5),
        '{"type": "RECORD", "stream": "a", "record": {"id": 2, "x": NaN}}',
        record("a", 3, x=1e-300),
    ]
    result = load(singer(*lines, streams=["a"]))
    assert result.error is None
    assert [str(row) for row in result.rows("tap_fake.a", "id, x")] == [
        "(1, 0.5)",
        "(2, nan)",
        "(3, 1e-300)",
    ]


def test_discovery_that_fails_tells_the_taps_own_words(singer: Make) -> None:
    with pytest.raises(ConnectorError, match="no such database"):
        singer(bad="no such database").test_connection()


def test_about_gives_the_schema_of_the_config(singer: Make) -> None:
    assert "lines" in singer().config_spec["properties"]


def test_streams_that_cannot_be_told_apart_are_refused(singer: Make) -> None:
    source = singer(schema("a"))
    fields = {"properties": {"id": {"type": "integer"}}}
    twins = [
        Stream("a", namespace="one", schema=fields),
        Stream("a", namespace="two", schema=fields),
    ]
    with pytest.raises(ConfigError, match="do not tell them apart"):
        list(source.load_streams(twins, SourceState()))


def test_a_refreshed_stream_is_taken_out_of_the_state() -> None:
    a, b = Stream("a", replication_key="id"), Stream("b", replication_key="id")
    shared: dict[str, Any] = {
        "bookmarks": {"a": {"id": 1}, "b": {"id": 2}},
        "currently_syncing": "a",
    }
    refreshed = SourceState(shared, refreshed=frozenset({a.key}))
    assert state_given(refreshed, [a, b]) == {
        "bookmarks": {"b": {"id": 2}},
        "currently_syncing": None,
    }
    assert shared["bookmarks"]["a"] == {"id": 1}
    with pytest.raises(ConfigError, match="which part of it"):
        state_given(SourceState({"cursor": 1}, refreshed=frozenset({a.key})), [a, b])


def test_the_state_of_a_full_table_is_not_given_back() -> None:
    full, b = Stream("full"), Stream("b", replication_key="id")
    shared = SourceState({"bookmarks": {"full": {"max_pk": 5}, "b": 2}})
    assert state_given(shared, [full, b]) == {"bookmarks": {"b": 2}}


def test_a_run_of_one_stream_leaves_the_others_where_they_were(
    singer: Make, load: Load, tmp_path: Path
) -> None:
    load(singer(schema("a"), schema("b"), record("a", 1), record("b", 1), state(a=1, b=1)))
    alone = load(singer(schema("a"), record("a", 2), state(a=2, b=1)), streams=["a"])
    assert alone.outcomes["a"].error is None
    note = tmp_path / "note"
    load(singer(schema("a"), schema("b"), record("b", 2), state(a=2, b=2), note=str(note)))
    assert json.loads(note.read_text())["state"] == {"bookmarks": {"a": 2, "b": 1}}


def test_a_stream_that_was_only_named_gets_its_schema_and_keys_from_the_tap(
    singer: Make, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    source = singer(schema("a"), record("a", 1), note=str(note))
    events = list(source.load_streams([Stream("a")], SourceState()))
    assert events[-1].stream.primary_key == ("id",)  # type: ignore[union-attr]
    (entry,) = [
        one
        for one in json.loads(note.read_text())["catalog"]["streams"]
        if one["tap_stream_id"] == "a"
    ]
    assert entry["schema"]["properties"]
    assert entry["metadata"][0]["metadata"]["replication-method"] == "FULL_TABLE"
    with pytest.raises(ConfigError, match="'aa'"):
        list(singer(schema("a")).load_streams([Stream("aa")], SourceState()))


def test_a_schema_that_grows_with_each_record_costs_what_it_weighs(
    singer: Make, load: Load
) -> None:
    lines: list[Any] = []
    properties: dict[str, Any] = {"id": {"type": "integer"}}
    for number in range(150):
        properties[f"c{number}"] = {"type": ["null", "string"]}
        lines += [schema("a", **properties), record("a", number, None, **{f"c{number}": "x"})]
    began = time.process_time()
    result = load(singer(*lines), streams=["a"])
    assert time.process_time() - began < 15  # it took more than 10 times that
    assert result.rows("tap_fake.a") == list(range(150))
    assert result.rows("tap_fake.a", "count(c149)") == [1]


NUMERIC = {"type": ["null", "number"], "multipleOf": 1e-38, "minimum": -(10**62), "maximum": 10**62}


@pytest.mark.parametrize(
    ("declared", "values", "stored"),
    [
        (NUMERIC, ["12.50", "-0.125"], "DOUBLE"),
        (NUMERIC, ["12345678901234567890.25", "1"], "DECIMAL(22,2)"),
        ({**NUMERIC, "exclusiveMaximum": True, "exclusiveMinimum": True}, ["1.5"], "DOUBLE"),
        ({"type": "number", "multipleOf": 1e-38}, ["7.5", "0.1"], "DOUBLE"),
        ({"type": "number", "multipleOf": 1e-40}, ["7.5", "1e-40"], "DOUBLE"),
        ({"type": "number", "multipleOf": 0.0001, "maximum": 1e38}, ["5.25"], "DOUBLE"),
        ({"type": "number", "multipleOf": 1e300}, ["2e300"], "DOUBLE"),
        ({"type": "integer", "multipleOf": 5}, ["15"], "BIGINT"),
        ({"type": "integer", "multipleOf": 1e-38}, ["15"], "BIGINT"),
        ({"type": "number", "multipleOf": 1e-60, "maximum": 1}, ["0.5"], "DOUBLE"),
        ({"type": "number", "multipleOf": 0.01, "maximum": 10**37}, ["5.25"], "DOUBLE"),
        ({"type": "number", "multipleOf": 0.01, "maximum": 10**36}, ["5.25"], "DECIMAL(38,2)"),
        (
            {"type": "number", "multipleOf": 0.01, "minimum": -(10**6), "maximum": 100},
            ["5.25"],
            "DECIMAL(8,2)",
        ),
    ],
)
def test_a_numeric_of_any_size_has_the_type_that_its_values_need(
    singer: Make, load: Load, declared: dict[str, Any], values: list[str], stored: str
) -> None:
    rows = [
        f'{{"type": "RECORD", "stream": "a", "record": {{"id": {number}, "n": {value}}}}}'
        for number, value in enumerate(values)
    ]
    result = load(singer(schema("a", id={"type": "integer"}, n=declared), *rows, streams=["a"]))
    assert result.error is None
    found = result.rows("tap_fake.a", "typeof(n), n::VARCHAR")
    assert {type_ for type_, _ in found} == {stored}
    assert {Decimal(text) for _, text in found} == set(map(Decimal, values))


def test_a_control_character_in_a_line_is_told_in_words(singer: Make, load: Load) -> None:
    line = '{"type":"RECORD","stream":"a","record":{"id":1,"name":"x\x00y"}}'
    said = load(singer(schema("a"), line, state(a=1), streams=["a"])).failure("a")
    assert "The line is not JSON (Invalid control character, at character 56)" in said
    assert said.startswith("stream 'a': tap-fake: ")


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        ('{"type":"RECORD","stream":"a","record":{"id":1,"name":"x', "a"),
        ('{"type":"RECORD","stream":"a","record":{"id":1}} {"x":', "a"),
        ('text {"type":"RECORD","stream":"a","record":{"id":1}}', "a"),
        ('{"stream":"say \\"a\\" ","type":"RECORD","record":{"id":1}', 'say "a" '),
        (
            '{"type":"RECORD","record":{"id":1,"o":{"stream":"b"}},"stream":"a"',
            None,
        ),  # it might be a value
        ('{"type":"STATE","value":{"x":', None),
    ],
)
def test_a_broken_line_names_its_connector_and_the_stream_that_it_tells(
    singer: Make, load: Load, line: str, stream: str | None
) -> None:
    result = load(singer(schema("a"), line, state(a=1), streams=["a"]))
    failure = result.outcomes["a"].error
    assert isinstance(failure, ProtocolError)
    assert failure.stream == stream
    assert failure.connector_name == "tap-fake"
    assert str(failure).startswith(f"stream {stream!r}: tap-fake: " if stream else "tap-fake: ")


def test_a_byte_order_mark_before_the_first_message_is_none_of_it(singer: Make, load: Load) -> None:
    first = "\ufeff" + json.dumps(schema("a"))
    assert load(singer(first, record("a", 1), state(a=1), streams=["a"])).rows("tap_fake.a") == [1]

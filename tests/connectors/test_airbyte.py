"""Airbyte sources, one that misbehaves on purpose: each ends as it should, and nothing is lost, doubled or altered."""

import json
import signal
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.connectors.process import Limits
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    ConnectorError,
    ProtocolError,
    UnavailableError,
)
from etl_assets.model.events import SourceState
from etl_assets.sources.airbyte.source import AirbyteSource
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sync_source import StreamPlan

from .conftest import Loaded

Make = Callable[..., ConnectorSource]
Load = Callable[..., Loaded]


def complete(name: str, start: int, stop: int, state: Any) -> list[list[Any]]:
    return [
        ["status", name, "STARTED"],
        ["rows", name, start, stop],
        ["state", name, state, stop - start],
        ["status", name, "COMPLETE"],
    ]


GOOD = [*complete("a", 0, 5, {"n": 5}), *complete("b", 0, 3, {"n": 3})]


def test_two_streams_land_with_their_states_and_the_next_read_gets_them(
    airbyte: Make, load: Load, tmp_path: Path
) -> None:
    first = load(airbyte(*GOOD))
    assert first.error is None
    assert first.rows("source_fake.a") == [0, 1, 2, 3, 4]
    assert (first.bookmark("a"), first.bookmark("b")) == ({"n": 5}, {"n": 3})
    second = load(
        airbyte(
            ["note", str(tmp_path / "note")],
            *complete("a", 4, 6, {"n": 6}),
            *complete("b", 3, 3, {"n": 3}),
        )
    )
    noted = json.loads((tmp_path / "note").read_text())
    assert [
        (one["type"], one["stream"]["stream_descriptor"], one["stream"]["stream_state"])
        for one in noted["state"]
    ] == [
        ("STREAM", {"name": "a"}, {"n": 5}),
        ("STREAM", {"name": "b"}, {"n": 3}),
    ]
    assert [one["sync_mode"] for one in noted["catalog"]["streams"]] == [
        "incremental",
        "incremental",
    ]
    assert second.rows("source_fake.a") == [0, 1, 2, 3, 4, 5]
    assert second.outcomes["b"].result.records_loaded == 0


def test_exit_1_half_way_keeps_what_a_state_covers(airbyte: Make, load: Load) -> None:
    result = load(
        airbyte(
            *complete("a", 0, 5, {"n": 5}),
            ["status", "b", "STARTED"],
            ["rows", "b", 0, 3],
            ["state", "b", {"n": 3}],
            ["rows", "b", 3, 6],
            ["exit", 1],
        )
    )
    assert result.outcomes["a"].error is None
    assert "exit code 1" in result.failure("b")
    assert result.rows("source_fake.b") == [0, 1, 2]
    again = load(airbyte(*complete("a", 0, 0, {"n": 5}), *complete("b", 3, 7, {"n": 7})))
    assert again.rows("source_fake.b") == [0, 1, 2, 3, 4, 5, 6]


def test_an_error_of_one_stream_with_exit_0_fails_that_one_alone(airbyte: Make, load: Load) -> None:
    result = load(
        airbyte(
            *complete("a", 0, 5, {"n": 5}),
            ["rows", "b", 0, 3],
            ["error", "b is forbidden", "config_error", "b"],
            ["status", "b", "INCOMPLETE"],
        )
    )
    assert result.outcomes["a"].error is None
    assert "b is forbidden" in result.failure("b")
    assert isinstance(result.outcomes["b"].error, ConfigError)


@pytest.mark.parametrize(
    ("kind", "expected", "retryable"),
    [
        ("config_error", ConfigError, False),
        ("transient_error", UnavailableError, True),
        ("system_error", ConnectorError, True),
    ],
)
def test_an_error_of_the_whole_is_ours_by_its_kind(
    airbyte: Make, load: Load, kind: str, expected: type[Exception], retryable: bool
) -> None:
    result = load(airbyte(["rows", "a", 0, 3], ["error", "out of order", kind]))
    for name in ("a", "b"):
        error = result.outcomes[name].error
        assert isinstance(error, expected)
        assert "out of order" in str(error)
        assert getattr(error, "retryable", None) is retryable


SUMMARY = ["error", "the following streams did not sync successfully: b", "config_error"]


@pytest.mark.parametrize("kind", ["transient_error", "system_error", "config_error"])
def test_a_closing_summary_explains_nothing_that_a_stream_explains(
    airbyte: Make, load: Load, kind: str
) -> None:
    failing = [["rows", "b", 0, 3], ["error", "HTTP 500", kind, "b"], ["status", "b", "INCOMPLETE"]]
    result = load(airbyte(*complete("a", 0, 5, {"n": 5}), *failing, SUMMARY, ["exit", 1]))
    assert result.error is None
    assert result.rows("source_fake.a") == [0, 1, 2, 3, 4]
    error = result.outcomes["b"].error
    assert error is not None
    assert getattr(error, "retryable", None) is (kind != "config_error")
    assert "HTTP 500" in str(error)
    assert "did not sync" not in str(error)


def test_a_summary_is_told_of_a_stream_that_has_no_error_of_its_own(
    airbyte: Make, load: Load
) -> None:
    result = load(airbyte(["error", "HTTP 500", "transient_error", "b"], SUMMARY, ["exit", 1]))
    assert "did not sync successfully" in result.failure("a")
    assert getattr(result.outcomes["a"].error, "retryable", None) is True
    assert "HTTP 500" in result.failure("b")


def test_an_error_of_a_stream_that_was_complete_already_is_not_lost(
    airbyte: Make, load: Load
) -> None:
    result = load(airbyte(*GOOD, ["error", "out of memory", "system_error", "b"], ["exit", 1]))
    assert [outcome.error for outcome in result.outcomes.values()] == [None, None]
    assert "out of memory" in str(result.error)


@pytest.mark.parametrize("streams", [["b"], ["a", "b"]])
def test_a_stream_that_may_pass_is_tried_again_whatever_the_summary_says(
    airbyte: Make, tmp_path: Path, streams: list[str]
) -> None:
    runs = tmp_path / "runs"
    failing = [["error", "HTTP 500", "transient_error", name] for name in streams]
    source = airbyte(["append", str(runs)], *failing, SUMMARY, ["exit", 1], streams=streams)
    assets = stream_assets(
        source,
        streams,
        catalog=source.discover(),
        destination=DuckDBDestination(str(tmp_path / "w.duckdb")),
        retry_policy=dg.RetryPolicy(max_retries=2),
    )
    assert not dg.materialize(assets, raise_on_error=False).success
    assert runs.read_text() == "xxx"


def test_incomplete_with_exit_0_is_a_failure_of_that_stream(airbyte: Make, load: Load) -> None:
    result = load(
        airbyte(*complete("a", 0, 1, {}), ["rows", "b", 0, 3], ["status", "b", "INCOMPLETE"])
    )
    assert result.outcomes["a"].error is None
    assert "INCOMPLETE" in result.failure("b")


def test_a_stream_it_says_nothing_of_is_a_failure(airbyte: Make, load: Load) -> None:
    result = load(airbyte(*complete("a", 0, 1, {"n": 1})))
    assert "nothing of it" in result.failure("b")


def test_one_that_never_says_how_streams_end_is_complete_at_a_clean_end(
    airbyte: Make, load: Load
) -> None:
    result = load(
        airbyte(
            ["rows", "a", 0, 3], ["state", "a", {"n": 2}], ["rows", "a", 3, 5], ["rows", "b", 0, 1]
        )
    )
    assert result.error is None
    assert result.rows("source_fake.a") == [0, 1, 2, 3, 4]  # also those after the last state
    assert result.bookmark("a") == {"n": 2}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_is_a_failure_and_half_a_line_is_no_row(
    airbyte: Make, load: Load, number: int
) -> None:
    half = '{"type":"RECORD","record":{"stream":"a","data":{"id":9'
    script = [["rows", "a", 0, 3], ["state", "a", {"n": 3}], ["raw", half], ["kill", int(number)]]
    result = load(airbyte(*script, streams=["a"]))
    assert result.outcomes["a"].error is not None
    assert result.rows("source_fake.a") == [0, 1, 2]


def test_half_a_message_at_a_clean_end_is_a_failure(airbyte: Make, load: Load) -> None:
    half = '{"type":"RECORD","record":{"stream":"a","data":{"id":9'
    result = load(
        airbyte(["rows", "a", 0, 3], ["state", "a", {"n": 3}], ["raw", half], streams=["a"])
    )
    assert isinstance(result.outcomes["a"].error, ProtocolError)
    assert result.bookmark("a") == {"n": 3}
    assert result.rows("source_fake.a") == [0, 1, 2]


def test_a_corrupt_line_is_told_shortened(airbyte: Make, load: Load) -> None:
    corrupt = '{"type":"RECORD","record":{"stream":"a","data":{"id":' + "x" * 5000 + "}}}\n"
    result = load(
        airbyte(["rows", "a", 0, 1], ["raw", corrupt], ["state", "a", {"n": 9}], streams=["a"])
    )
    assert "not JSON" in result.failure("a")
    assert len(result.failure("a")) < 500
    assert result.bookmark("a") is None


@pytest.mark.parametrize(
    "noise", ["hello\n", "[1, 2]\n", "12\n", "WARNING: {not a message}\n", '{"level": "info"}\n']
)
def test_noise_between_messages_loses_nothing(airbyte: Make, load: Load, noise: str) -> None:
    result = load(airbyte(["rows", "a", 0, 2], ["raw", noise], ["rows", "a", 2, 4], streams=["a"]))
    assert result.error is None
    assert result.rows("source_fake.a") == [0, 1, 2, 3]


def test_a_message_behind_text_in_one_line_is_an_error(airbyte: Make, load: Load) -> None:
    glued = 'loading... {"type":"RECORD","record":{"stream":"a","data":{"id":9}}}\n'
    result = load(airbyte(["raw", glued], streams=["a"]))
    assert "behind other text" in result.failure("a")


def test_a_hang_with_a_grandchild_ends_within_its_time(
    airbyte: Make, load: Load, tmp_path: Path
) -> None:
    began = time.monotonic()
    script = [["rows", "a", 0, 2], ["state", "a", {"n": 2}], ["hang", str(tmp_path / "pids")]]
    result = load(
        airbyte(*script, streams=["a"], limits=Limits(silence_seconds=2, grace_seconds=0.5))
    )
    assert time.monotonic() - began < 15
    assert "said nothing for 2 seconds" in result.failure("a")
    assert result.rows("source_fake.a") == [0, 1]
    for pid in (tmp_path / "pids").read_text().split():
        stat = Path(f"/proc/{pid}/stat")
        assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_twenty_megabytes_of_log_before_each_line_change_nothing(airbyte: Make, load: Load) -> None:
    script = [
        one
        for number in range(3)
        for one in (["stderr", 20_000], ["rows", "a", number, number + 1])
    ]
    result = load(airbyte(*script, streams=["a"]))
    assert result.error is None
    assert result.rows("source_fake.a") == [0, 1, 2]


def test_its_own_password_is_in_no_error(
    airbyte: Make, load: Load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_KEY", "canary-7f3b/9+")
    source = airbyte(["leak"], ["exit", 1], streams=["a"], nested=[{"key": dg.EnvVar("FAKE_KEY")}])
    result = load(source)
    assert "cannot log in with ****" in result.failure("a")
    assert "canary" not in repr(result.outcomes) + caplog.text
    assert "Y2FuYXJ5" not in repr(result.outcomes) + caplog.text


def test_a_global_state_is_given_back_whole_as_global(
    airbyte: Make, load: Load, tmp_path: Path
) -> None:
    shared = {
        "shared_state": {"lsn": 2**70},
        "stream_states": [{"stream_descriptor": {"name": "a"}, "stream_state": {"x": 1}}],
    }
    first = load(airbyte(["rows", "a", 0, 2], ["rows", "b", 0, 2], ["global", shared]))
    assert first.error is None
    load(airbyte(["note", str(tmp_path / "note")], ["rows", "a", 2, 3], ["global", shared]))
    assert json.loads((tmp_path / "note").read_text())["state"] == [
        {"type": "GLOBAL", "global": shared}
    ]


def test_an_empty_full_refresh_empties_the_table(airbyte: Make, load: Load, tmp_path: Path) -> None:
    done = {"__ab_full_refresh_sync_complete": True}
    first = load(airbyte(*complete("full", 0, 3, done), streams=["full"]))
    assert first.rows("source_fake.full") == [0, 1, 2]
    note = ["note", str(tmp_path / "note")]
    second = load(airbyte(note, ["status", "full", "COMPLETE"], streams=["full"]))
    assert second.rows("source_fake.full") == []
    noted = json.loads((tmp_path / "note").read_text())
    assert noted["state"] is None  # what says that it is done would have it read nothing
    assert noted["catalog"]["streams"][0]["sync_mode"] == "full_refresh"


def test_a_full_refresh_that_dies_leaves_the_old_table(airbyte: Make, load: Load) -> None:
    load(airbyte(*complete("full", 0, 3, {}), streams=["full"]))
    result = load(
        airbyte(["rows", "full", 0, 1], ["state", "full", {"p": 1}], ["exit", 1], streams=["full"])
    )
    assert "exit code 1" in result.failure("full")
    assert result.rows("source_fake.full") == [0, 1, 2]


def test_the_same_key_again_and_again_is_one_row_the_last(airbyte: Make, load: Load) -> None:
    rows = [["record", "a", {"id": 1, "name": name}] for name in ("x", "y", "z")]
    assert load(airbyte(*rows, streams=["a"])).rows("source_fake.a", "id, name") == [(1, "z")]


def test_append_after_a_death_has_each_row_once(airbyte: Make, load: Load) -> None:
    plans = None
    script = [
        ["rows", "log", 0, 3],
        ["state", "log", {"n": 3}],
        ["rows", "log", 3, 5],
        ["state", "log", {"n": 5}],
        ["rows", "log", 5, 7],
        ["exit", 1],
    ]
    load(airbyte(*script, streams=["log"]), plans)
    result = load(airbyte(*complete("log", 5, 9, {"n": 9}), streams=["log"]), plans)
    assert result.rows("source_fake.log") == list(range(9))


def test_fewer_records_than_the_source_says_it_sent_is_an_error(airbyte: Make, load: Load) -> None:
    result = load(airbyte(["rows", "a", 0, 3], ["state", "a", {"n": 4}, 4.0], streams=["a"]))
    assert "sent 4 records since its last state, and 3 came" in result.failure("a")
    assert result.bookmark("a") is None


def test_complete_before_the_last_state(airbyte: Make, load: Load) -> None:
    script = [
        ["rows", "a", 0, 3],
        ["state", "a", {"n": 2}],
        ["status", "a", "COMPLETE"],
        ["state", "a", {"n": 3}, 0],
    ]
    result = load(airbyte(*script, streams=["a"]))
    assert result.error is None
    assert result.bookmark("a") == {"n": 3}


def test_exit_1_after_everything_is_told_and_the_rows_are_there(airbyte: Make, load: Load) -> None:
    result = load(
        airbyte(["rows", "a", 0, 3], ["state", "a", {"n": 3}], ["exit", 1], streams=["a"])
    )
    assert "exit code 1" in result.failure("a")
    assert result.rows("source_fake.a") == [0, 1, 2]
    complete_too = load(airbyte(*complete("a", 3, 4, {"n": 4}), ["exit", 1], streams=["a"]))
    assert isinstance(complete_too.error, ConnectorError)
    assert complete_too.rows("source_fake.a") == [0, 1, 2, 3]


def test_a_state_may_lag_behind_interleaved_rows_and_be_smaller(airbyte: Make, load: Load) -> None:
    script = [
        ["rows", "a", 5, 8],
        ["rows", "b", 0, 2],
        ["rows", "a", 0, 2],
        ["state", "a", {"n": 9}],
        ["state", "a", {"n": 1}],
    ]
    result = load(airbyte(*script))
    assert result.error is None
    assert result.bookmark("a") == {"n": 1}
    assert result.rows("source_fake.a") == [0, 1, 5, 6, 7]


def test_a_changed_config_is_kept_before_anything_goes_on(airbyte: Make, load: Load) -> None:
    kept: list[dict[str, Any]] = []
    result = load(
        airbyte(
            ["config", {"token": "new-token"}],
            ["rows", "a", 0, 1],
            streams=["a"],
            callback=kept.append,
        )
    )
    assert result.error is None
    assert [one["token"] for one in kept] == ["new-token"]

    def broken(config: dict[str, Any]) -> None:
        raise OSError("the vault is sealed")

    result = load(
        airbyte(
            ["config", {"token": "newer-one"}], ["rows", "a", 5, 6], streams=["a"], callback=broken
        )
    )
    assert "the vault is sealed" in result.failure("a")
    assert result.rows("source_fake.a") == [0]


def test_two_spacings_in_one_output(airbyte: Make, load: Load) -> None:
    result = load(
        airbyte(
            ["rows", "a", 0, 2],
            ["spaced", "a", {"id": 2, "name": "x"}],
            ["rows", "a", 3, 4],
            streams=["a"],
        )
    )
    assert result.rows("source_fake.a") == [0, 1, 2, 3]


def test_numbers_beyond_doubles_and_64_bits_stay_exact(airbyte: Make, load: Load) -> None:
    text = "12345678901234567890123456789.123456789"
    raw = f'{{"type":"RECORD","record":{{"stream":"a","data":{{"id":{10**30},"price":{text},"tiny":0.1}}}}}}\n'
    result = load(airbyte(["raw", raw], streams=["a"]))
    assert result.error is None
    ((number, price, tiny),) = result.rows("source_fake.a", "id, price, tiny")
    assert (int(number), Decimal(str(price)), tiny) == (10**30, Decimal(text), 0.1)


def test_a_record_that_contradicts_its_schema_is_told(airbyte: Make, load: Load) -> None:
    result = load(airbyte(["record", "a", {"id": "seven"}], ["rows", "b", 0, 1]))
    assert "'a'" in result.failure("a")
    assert "'id'" in result.failure("a")
    assert "seven" in result.failure("a")


def test_a_record_of_a_stream_that_was_not_asked_for_is_told(airbyte: Make, load: Load) -> None:
    result = load(airbyte(["rows", "c", 0, 1], streams=["a"]))
    assert "'c', which was not asked for" in result.failure("a")


def test_what_the_source_nulled_is_told(
    airbyte: Make, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    meta = {"changes": [{"field": "name", "change": "NULLED", "reason": "SOURCE_RETRIEVAL_ERROR"}]}
    raw = {
        "type": "RECORD",
        "record": {"stream": "a", "data": {"id": 1}, "emitted_at": 1, "meta": meta},
    }
    load(airbyte(["raw", json.dumps(raw) + "\n"], streams=["a"]))
    assert "1 values were nulled by the source in a.name (SOURCE_RETRIEVAL_ERROR)" in caplog.text


def test_check_spec_and_discover(airbyte: Make) -> None:
    source = airbyte()
    source.test_connection()
    with pytest.raises(AuthenticationError, match="no such user"):
        airbyte(bad="no such user").test_connection()
    assert [stream.name for stream in source.discover().values()] == ["a", "b"]
    assert isinstance(source, AirbyteSource)
    assert source.config_spec == {"type": "object", "properties": {}}


def test_a_sample_is_read_without_a_state(airbyte: Make) -> None:
    source = airbyte(*complete("a", 0, 3, {"n": 3}))
    stream = source.discover()["a"]
    assert [len(batch) for batch in source.load_data(stream)] == [3, 0]


def test_an_environment_variable_is_resolved_late_and_never_its_own_name(
    airbyte: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "note"
    source = airbyte(["note", str(note)], streams=["a"], nested=[{"key": dg.EnvVar("LATE_KEY")}])
    monkeypatch.setenv("LATE_KEY", "late-value")
    list(source.load_streams(list(source.discover().values()), SourceState()))
    noted = json.loads(note.read_text())
    assert noted["config"]["nested"] == [{"key": "late-value"}]
    assert "late-value" not in json.dumps([noted["argv"], noted["env"]])
    assert "LATE_KEY" not in noted["env"]


PLAN = StreamPlan(full_refresh=True)


def test_a_refresh_of_one_stream_gets_no_state_of_it(
    airbyte: Make, load: Load, tmp_path: Path
) -> None:
    load(airbyte(*GOOD))
    note = ["note", str(tmp_path / "note")]
    result = load(
        airbyte(note, *complete("a", 0, 2, {"n": 2}), *complete("b", 3, 3, {"n": 3})),
        {("", "a"): PLAN},
    )
    given = json.loads((tmp_path / "note").read_text())["state"]
    assert [one["stream"]["stream_descriptor"]["name"] for one in given] == ["b"]
    assert result.rows("source_fake.a") == [0, 1]
    assert result.rows("source_fake.b") == [0, 1, 2]


def test_each_read_is_of_a_later_generation_and_a_full_refresh_of_none_before(
    airbyte: Make, load: Load, tmp_path: Path
) -> None:
    seen = []
    for number in range(2):
        note = tmp_path / f"note{number}"
        load(
            airbyte(
                ["note", str(note)],
                ["rows", "a", 0, 1],
                ["rows", "full", 0, 1],
                streams=["a", "full"],
            )
        )
        entries = json.loads(note.read_text())["catalog"]["streams"]
        seen.append({one["stream"]["name"]: one for one in entries})
    first, second = seen
    assert first["a"]["generation_id"] < second["a"]["generation_id"]
    assert first["a"]["sync_id"] < second["a"]["sync_id"]
    assert second["a"]["minimum_generation_id"] == 0
    assert second["full"]["minimum_generation_id"] == second["full"]["generation_id"]


@pytest.mark.parametrize("many", [8, pytest.param(100, marks=pytest.mark.full)])
def test_one_of_many_streams_fails_alone(airbyte: Make, load: Load, many: int) -> None:
    names = [f"s{number:03}" for number in range(many)]
    script: list[list[Any]] = []
    for name in names:
        script += [["status", name, "STARTED"], ["rows", name, 0, 2], ["state", name, {"n": 2}, 2]]
        script += [["error", "it is locked", "transient_error", name]] if name == "s005" else []
        script += [["status", name, "INCOMPLETE" if name == "s005" else "COMPLETE"]]
    found = load(airbyte(*script, ["exit", 1], streams=names))
    failed = [name for name, outcome in found.outcomes.items() if outcome.error is not None]
    assert (len(found.outcomes), failed) == (many, ["s005"])
    assert "it is locked" in found.failure("s005")
    assert found.rows(f"source_fake.{names[-1]}") == [0, 1]
    assert all(found.bookmark(name) == {"n": 2} for name in names)


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        ('{"type":"RECORD","record":{"stream":"a","data":{"id":', "a"),
        (
            '{"type":"RECORD","record":{"namespace":"n","stream":"a","data":{"id":"x\x00y"},"emitted_at":1}}',
            "a",
        ),
        (
            '{"type":"RECORD","record":{"data":{"stream":"b"},"stream":"a","emitted_at":',
            None,
        ),  # it might be a value
        (
            '{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":{',
            "a",
        ),
        (
            '{"type":"TRACE","trace":{"type":"STREAM_STATUS","stream_status":{"stream_descriptor":{"name":"a"}',
            "a",
        ),
    ],
)
def test_a_broken_line_names_its_connector_and_the_stream_that_it_tells(
    airbyte: Make, load: Load, line: str, stream: str | None
) -> None:
    failure = load(airbyte(["raw", line + "\n"], streams=["a"])).outcomes["a"].error
    assert isinstance(failure, ProtocolError)
    assert failure.stream == stream
    assert str(failure).startswith(
        f"stream {stream!r}: source-fake: " if stream else "source-fake: "
    )


def test_a_byte_order_mark_before_the_first_message_is_none_of_it(
    airbyte: Make, load: Load
) -> None:
    line = '{"type":"RECORD","record":{"stream":"a","data":{"id":1},"emitted_at":1}}\n'
    assert load(airbyte(["raw", "\ufeff" + line], streams=["a"])).rows("source_fake.a") == [1]

"""Destinations of others: what they are sent, and that nothing counts as loaded which they have not confirmed."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from etl_assets.connectors.process import Limits
from etl_assets.destinations.connector import ConnectorDestination
from etl_assets.destinations.connectors import get_destination
from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    ConnectorError,
    ConnectorWriteError,
    DataError,
    UnavailableError,
)
from etl_assets.model.load import SyncResult
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sources.source_read import SourceRead
from etl_assets.sync import sync
from etl_assets.sync_source import sync_source

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LIMITS = Limits(silence_seconds=20, grace_seconds=0.5)
ORDERS = Stream(
    "orders",
    schema={
        "properties": {
            "id": {"type": "integer"},
            "amount": {"type": ["null", "number"], "multipleOf": 0.01, "maximum": 10**18},
            "at": {"type": "string", "format": "date-time"},
            "tags": {"type": "array"},
        }
    },
    primary_key=["id"],
    replication_method="INCREMENTAL",
    replication_key=["id"],
)
ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "amount": Decimal("12345678901234567.89"),
        "at": AT,
        "tags": ["a", {"b": None}],
        "new": 2**62,
    },
    {"id": 2, "amount": None, "at": AT, "tags": None},
    {"id": 2, "amount": Decimal("0.10"), "at": AT, "tags": []},
]


class Shop(Source):
    """Orders, as rows are set."""

    rows: Sequence[Mapping[str, Any]] = ROWS

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield self.rows


class Kept:
    """What a fake has written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def messages(self, kind: str) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines()
        return [
            one
            for one in (json.loads(line, parse_float=Decimal) for line in lines)
            if one["type"] == kind
        ]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "out.jsonl")


Make = Callable[..., ConnectorDestination]


@pytest.fixture
def target(program: Callable[[str], Path], kept: Kept) -> Make:
    def made(
        mode: str = "good", limits: Limits = LIMITS, options: Any = None, **config: Any
    ) -> ConnectorDestination:
        document = {"mode": mode, "out": str(kept.path), **config}
        where = program("fake_target")
        return get_destination(
            "target-fake", document, local_executable=where, limits=limits, **(options or {})
        )

    return made


@pytest.fixture
def airbyte(program: Callable[[str], Path], kept: Kept) -> Make:
    def made(
        mode: str = "good", limits: Limits = LIMITS, options: Any = None, **config: Any
    ) -> ConnectorDestination:
        document = {"mode": mode, "out": str(kept.path), **config}
        where = program("fake_destination")
        return get_destination(
            "destination-fake", document, local_executable=where, limits=limits, **(options or {})
        )

    return made


@pytest.fixture(params=["target", "airbyte"])
def either(request: pytest.FixtureRequest) -> Make:
    made: Make = request.getfixturevalue(request.param)
    return made


def loaded(
    destination: ConnectorDestination, rows: Any = ROWS, stream: Stream = ORDERS, **how: Any
) -> SyncResult:
    shop = Shop(name="shop")
    shop.rows = rows
    return sync(StreamRead(shop, stream), destination, **how)


# What is sent


def test_a_target_gets_schema_records_and_a_state(target: Make, kept: Kept) -> None:
    result = loaded(target())
    assert (result.records_loaded, result.delivery, result.strategy) == (
        2,
        "at_least_once",
        "merge",
    )
    assert result.bookmark == {"id": 2}
    (schema,) = kept.messages("SCHEMA")
    assert schema["key_properties"] == ["id"]
    properties = schema["schema"]["properties"]
    assert properties["amount"] == {"type": ["null", "number"]}
    assert properties["at"] == {"type": ["null", "string"], "format": "date-time"}
    assert properties["new"] == {"type": ["null", "integer"]}
    records = [message["record"] for message in kept.messages("RECORD")]
    assert records == [
        {
            "id": 1,
            "amount": Decimal("12345678901234567.89"),
            "at": "2026-01-02T03:04:05+00:00",
            "tags": ["a", {"b": None}],
            "new": 2**62,
        },
        {
            "id": 2,
            "amount": Decimal("0.10"),
            "at": "2026-01-02T03:04:05+00:00",
            "tags": [],
            "new": None,
        },
    ], "of a key that came twice, the last row"
    assert [message["value"] for message in kept.messages("STATE")] == [
        {"bookmarks": {"orders": {"etl_assets_load_id": result.load_id}}}
    ]


def test_an_airbyte_destination_gets_a_catalog_records_a_state_and_the_end(
    airbyte: Make, kept: Kept
) -> None:
    before = time.time_ns() // 1_000_000
    result = loaded(airbyte(), table=TableName("orders", "shop_raw"))
    assert (result.records_read, result.records_loaded, result.delivery) == (3, 2, "at_least_once")
    (entry,) = kept.messages("CATALOG")[0]["catalog"]["streams"]
    assert (entry["destination_sync_mode"], entry["sync_mode"]) == ("append_dedup", "incremental")
    assert (entry["primary_key"], entry["minimum_generation_id"]) == ([["id"]], 0)
    assert entry["stream"]["namespace"] == "shop_raw"
    records = [message["record"] for message in kept.messages("RECORD")]
    assert [record["data"]["id"] for record in records] == [1, 2]
    assert set(records[0]["data"]) == {"id", "amount", "at", "tags", "new"}, (
        "nothing of ours is among the data"
    )
    assert all(before <= record["emitted_at"] <= time.time_ns() // 1_000_000 for record in records)
    assert {(record["stream"], record["namespace"]) for record in records} == {
        ("orders", "shop_raw")
    }
    assert kept.messages("STATE")[0]["state"]["sourceStats"] == {"recordCount": 2}
    assert kept.messages("TRACE")[0]["trace"]["stream_status"]["status"] == "COMPLETE"


def test_each_strategy_is_a_sync_mode_and_a_replace_a_newer_generation(
    airbyte: Make, kept: Kept
) -> None:
    destination = airbyte()
    loaded(destination, strategy="replace")
    loaded(destination, strategy="append")
    time.sleep(0.002)
    loaded(destination, rows=[], strategy="replace")
    modes = [message["catalog"]["streams"][0] for message in kept.messages("CATALOG")]
    assert [mode["destination_sync_mode"] for mode in modes] == ["overwrite", "append", "overwrite"]
    generations = [mode["generation_id"] for mode in modes]
    assert generations == sorted(generations)
    assert generations[0] < generations[2]
    assert [mode["minimum_generation_id"] for mode in modes] == [generations[0], 0, generations[2]]
    assert len(kept.messages("RECORD")) == 6, (
        "an append takes rows as they come, a replace of nothing empties"
    )


def test_an_append_of_nothing_starts_nothing(either: Make, kept: Kept) -> None:
    result = loaded(either(), rows=[])
    assert (result.records_loaded, kept.path.exists()) == (0, False)


def test_a_target_replaces_only_where_it_is_said_to_heed_versions(target: Make, kept: Kept) -> None:
    with pytest.raises(ConfigError, match="cannot replace"):
        loaded(target(), strategy="replace")
    whole = Stream("orders", schema=ORDERS.schema, primary_key=["id"])
    assert loaded(target(), stream=whole).strategy == "merge", "a key that is merged is not doubled"
    kept.path.unlink()
    loaded(target(options={"activate_version": True}), stream=whole)
    (activated,) = kept.messages("ACTIVATE_VERSION")
    assert {message["version"] for message in kept.messages("RECORD")} == {activated["version"]}


def test_a_failing_read_leaves_nothing_behind(either: Make, kept: Kept, tmp_path: Path) -> None:
    class Broken(Shop):
        @override
        def load_data(
            self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield ROWS
            raise RuntimeError("gone")

    staging = tmp_path / "staging"
    destination = either(options={"staging_dir": staging, "staging_memory_bytes": 0})
    with pytest.raises(Exception, match="gone"):
        sync(StreamRead(Broken(name="shop"), ORDERS), destination)
    assert not kept.path.exists()
    assert not staging.exists() or not list(staging.iterdir())


def test_many_batches_wait_in_files(either: Make, kept: Kept, tmp_path: Path) -> None:
    rows = [{"id": number, "tags": []} for number in range(5000)]
    loaded(
        either(options={"staging_dir": tmp_path / "staging", "staging_memory_bytes": 0}), rows=rows
    )
    assert len(kept.messages("RECORD")) == 5000


def test_a_value_without_a_form_in_json_is_an_error_by_name(either: Make) -> None:
    with pytest.raises(DataError, match=r"orders.*amount"):
        loaded(
            either(),
            rows=[{"id": 1, "amount": float("nan")}],
            stream=Stream("orders", primary_key=["id"]),
        )


def test_streams_of_one_read_share_a_run_and_fail_together(either: Make, kept: Kept) -> None:
    streams = [Stream(name, schema=ORDERS.schema, primary_key=["id"]) for name in ("a", "b")]
    destination = either()
    outcomes = list(sync_source(SourceRead(Shop(name="shop"), streams), destination))
    sent = 2 if destination.protocol == "singer" else 3  # merged, or replaced
    assert {one.stream.name: one.result.records_loaded for one in outcomes if not one.error} == {
        "a": sent,
        "b": sent,
    }
    outcomes = list(sync_source(SourceRead(Shop(name="shop"), streams), either("die")))
    assert all("disk is full" in str(one.error) and one.result.commits == 0 for one in outcomes)


# What they confirm


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("die", r"stream 'orders'.*exit code 3.*\n.*disk is full"),
        ("late", r"stream 'orders'.*exit code 1.*\n.*clean up"),
        ("half", r"stream 'orders'.*(before it had read all|without giving back the state)"),
    ],
)
def test_what_is_not_confirmed_is_not_loaded(either: Make, mode: str, why: str) -> None:
    with pytest.raises(ConnectorWriteError, match=f"(?s){why}") as caught:
        loaded(either(mode))
    assert caught.value.stream == "orders"


def test_one_that_talks_before_it_reads_is_no_deadlock(either: Make, kept: Kept) -> None:
    rows = [{"id": number, "tags": ["x" * 500]} for number in range(5000)]
    assert loaded(either("loud"), rows=rows).records_loaded == 5000
    assert len(kept.messages("RECORD")) == 5000


def test_one_that_hangs_is_ended(target: Make) -> None:
    with pytest.raises(ConnectorError, match="silence"):
        loaded(target("hang", limits=Limits(silence_seconds=1, grace_seconds=0.2)))


def test_a_target_that_prints_no_state_is_believed_by_its_good_end(target: Make) -> None:
    assert loaded(target("silent")).records_loaded == 2


def test_an_airbyte_destination_must_give_the_state_back(airbyte: Make) -> None:
    with pytest.raises(ConnectorWriteError, match="without giving back the state of 'orders'"):
        loaded(airbyte("silent"))


def test_an_airbyte_destination_says_what_went_wrong_with_exit_code_0(airbyte: Make) -> None:
    with pytest.raises(UnavailableError, match=r"stream 'orders'.*the table is locked"):
        loaded(airbyte("trace"))


def test_records_that_an_airbyte_destination_rejected_are_not_loaded(airbyte: Make) -> None:
    with pytest.raises(ConnectorWriteError, match="rejected 2 records"):
        loaded(airbyte("rejects"))
    with pytest.raises(ConnectorWriteError, match="counted 1 records of 'orders', and was sent 2"):
        loaded(airbyte("loses"))


def test_a_password_that_it_prints_is_masked(
    target: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    with pytest.raises(ConnectorWriteError, match="cannot log in with") as caught:
        loaded(target("leak", password="canary-of-the-target"))  # noqa: S106 - a canary
    assert "canary-of-the-target" not in f"{caught.value} {caught.value.log_text} {caplog.text}"
    assert "DEBUG" in caplog.text


def test_records_without_their_key_are_an_error_by_name(either: Make, kept: Kept) -> None:
    with pytest.raises(DataError, match=r"orders.*id"):
        loaded(
            either(), rows=[{"n": 1}], stream=Stream("orders", primary_key=["id"]), strategy="merge"
        )
    assert not kept.messages("RECORD")


def test_a_changed_config_is_kept(airbyte: Make) -> None:
    changed: list[Any] = []
    loaded(airbyte("token", options={"config_change_callback": changed.append}))
    assert [config["token"] for config in changed] == ["the next one"]


# What they are asked


def test_check_and_spec(either: Make, capsys: pytest.CaptureFixture[str]) -> None:
    destination = either()
    assert "out" in destination.config_spec["properties"]
    destination.check()
    said = capsys.readouterr().out
    assert ("succeeded" in said) is not ("A Singer target has no check" in said)
    with pytest.raises((AuthenticationError, ConnectorError), match="no such server"):
        either(bad="no such server").test_connection()


def test_a_script_writes_to_one(either: Make) -> None:
    shop = Shop(name="shop", catalog={"streams": [ORDERS.to_dict()]})
    written = either().write(shop, state_cache=False)
    assert written.processed_records == 2


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("source-faker", {}, "get_source"),
        ("tap-jsonl", {}, "get_source"),
        ("target-jsonl", {"version": "1", "pip_url": "x"}, "version and pip_url"),
        ("destination-x", {"local_executable": "/bin/x", "docker_image": True}, "only one can be"),
        ("destination-nowhere", {}, "no connector"),
        ("nowhere", {"local_executable": "/bin/x"}, "protocol"),
    ],
)
def test_arguments_that_make_no_sense(name: str, options: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        get_destination(name, {}, **options)


def test_making_one_neither_installs_nor_starts(tmp_path: Path) -> None:
    destination = get_destination(
        "target-jsonl", {"password": "canary"}, install_root=tmp_path, destination_name="x"
    )
    assert (destination.connector_version, list(tmp_path.iterdir())) == (None, [])
    assert "canary" not in repr(destination)
    assert destination.identity == "SingerDestination:x"
    nothing = get_destination("destination-duckdb", no_executor=True)
    with pytest.raises(ConfigError, match="no_executor"):
        nothing.test_connection()

"""Connectors as assets: in a run of Dagster."""

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets import (
    Catalog,
    DuckDBDestination,
    Source,
    Stream,
    get_destination,
    get_source,
    stream_assets,
)
from etl_assets.sources.connector import ConnectorSource

from .conftest import Wheel

Make = Callable[..., ConnectorSource]
ROOT = Path(__file__).parents[2]


def test_a_missing_connector_fails_the_run_at_once_and_says_what_to_do(
    wheel: Wheel, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    source = get_source(
        "tap-tiny", pip_url=wheel(), install_root=root, catalog=Catalog([Stream("a")])
    )
    assets = stream_assets(source, destination=DuckDBDestination(str(tmp_path / "w.duckdb")))
    result = dg.materialize(assets, raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert "etl-assets connectors install -f definitions.py" in str(told.description)
    assert not root.exists()


def test_one_stream_fails_and_the_other_lands_with_its_state(airbyte: Make, tmp_path: Path) -> None:
    source = airbyte(
        ["rows", "a", 0, 3],
        ["state", "a", {"n": 3}],
        ["status", "a", "COMPLETE"],
        ["rows", "b", 0, 2],
        ["error", "b is out of reach", "transient_error", "b"],
        ["exit", 1],
    )
    source.catalog = source.discover()
    assets = stream_assets(source, destination=DuckDBDestination(str(tmp_path / "w.duckdb")))
    result = dg.materialize(assets, raise_on_error=False)
    assert not result.success
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(["source_fake", "a"])
    assert event.materialization.metadata["etl_assets/bookmark"].value == {"n": 3}
    (failure,) = [one for one in result.all_events if one.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert "b is out of reach" in str(told.description)


def test_a_retry_reads_only_what_was_not_materialized_and_estimates_are_progress(
    airbyte: Make, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    source = airbyte(
        ["note", str(note)],
        ["estimate", "a", 4100],
        ["rows", "a", 0, 3],
        ["state", "a", {"n": 3}],
        ["status", "a", "COMPLETE"],
        ["error", "b is out of reach", "transient_error", "b"],
        ["status", "b", "INCOMPLETE"],
    )
    source.catalog = source.discover()
    policy = dg.RetryPolicy(max_retries=1)
    assets = stream_assets(
        source, destination=DuckDBDestination(str(tmp_path / "w.duckdb")), retry_policy=policy
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(assets, instance=instance, raise_on_error=False)
        log = "\n".join(entry.user_message for entry in instance.all_logs(result.run_id))
    assert [
        event.asset_key.path[-1]
        for event in result.get_asset_materialization_events()
        if event.asset_key
    ] == ["a"]
    (asked,) = json.loads(note.read_text())["catalog"]["streams"]  # by the retry
    assert asked["stream"]["name"] == "b"
    assert "a: about 4,100 rows are expected" in log


class Counter(Source):
    """Numbers from the bookmark on."""

    streams = (
        Stream(
            "numbers",
            primary_key="n",
            replication_key="n",
            schema={"properties": {"n": {"type": "integer"}}},
        ),
    )

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        first = bookmarks["n"] if bookmarks else 0
        yield [{"n": number} for number in range(first, first + 3)]


def test_a_target_as_the_destination_of_assets(
    program: Callable[[str], Path], tmp_path: Path
) -> None:
    config = {"out": str(tmp_path / "out"), "mode": "good"}
    target = get_destination("target-fake", config, local_executable=program("fake_target"))
    assets = stream_assets(Counter(name="counter"), destination=target)
    with dg.DagsterInstance.ephemeral() as instance:
        for bookmark in (2, 4):
            result = dg.materialize(assets, instance=instance)
            (event,) = result.get_asset_materialization_events()
            metadata = event.materialization.metadata
            assert metadata["etl_assets/bookmark"].value == {"n": bookmark}
            assert metadata["etl_assets/delivery"].value == "at_least_once"
        target.config = {**config, "mode": "die"}
        failed = dg.materialize(assets, instance=instance, raise_on_error=False)
        assert not failed.get_asset_materialization_events()
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [line["record"]["n"] for line in lines if line["type"] == "RECORD"][:6] == [
        0,
        1,
        2,
        2,
        3,
        4,
    ]


def test_the_example_loads_without_installing_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(ROOT / "examples" / "connectors.py"))
    keys = {spec.key.to_user_string() for spec in found["defs"].resolve_all_asset_specs()}
    assert keys == {
        "source_faker/users",
        "source_faker/products",
        "source_faker/purchases",
        "tap_jsonl/orders",
    }
    assert list(tmp_path.iterdir()) == []

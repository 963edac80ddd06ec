"""With `runs="tick"` the sensor launches one run for all streams with news; each waits for its own failures only."""

import time
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.back_off import BACK_OFF
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.runs import STREAM_TAG, TICK_TAG
from etl_assets.assets.sensors import Polled, build_source_sensor
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from tests.assets.shop import Shop, broken, person, query, run

CUSTOMERS = dg.AssetKey(["shop", "customers"])
ORDERS = dg.AssetKey(["shop", "orders"])


class Project:
    """Assets of a shop, and the sensor that launches one run a tick."""

    def __init__(
        self,
        shop: Shop,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        granularity: Any = "stream",
    ) -> None:
        self.shop = shop
        self.instance = instance
        self.assets = stream_assets(
            shop, ["customers", "orders"], destination=warehouse, granularity=granularity
        )
        self.sensor = build_source_sensor(shop, assets=self.assets, runs="tick")
        self.defs = dg.Definitions(assets=self.assets, sensors=[self.sensor])

    def tick(self) -> list[dg.RunRequest]:
        """Evaluate the sensor as Dagster's daemon does."""
        context = dg.build_sensor_context(instance=self.instance, definitions=self.defs)
        return list(self.sensor.evaluate_tick(context).run_requests or [])

    def later(self, seconds: float) -> list[list[dg.AssetKey]]:
        """Return what would be launched some seconds later, a list for each run."""
        streams = dict(zip((CUSTOMERS, ORDERS), self.shop.streams, strict=False))
        polled = Polled(self.shop, streams, 1800, 10, "tick", "shop")
        requests, _ = polled.evaluate(self.instance, time.time() + seconds)
        return [list(request.asset_selection or ()) for request in requests]

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute a requested run, with its tags and its selection."""
        keys = [key.to_user_string() for key in request.asset_selection or ()]
        return run(self.defs, self.instance, *keys, tags=request.tags)


@pytest.fixture(params=["stream", "source"])
def project(
    request: pytest.FixtureRequest,
    shop: Shop,
    warehouse: DuckDBDestination,
    instance: dg.DagsterInstance,
) -> Project:
    return Project(shop, warehouse, instance, request.param)


def test_all_streams_with_news_are_in_one_run(project: Project, path: str) -> None:
    (first,) = project.tick()
    assert first.asset_selection == [CUSTOMERS, ORDERS]
    assert first.run_key is None
    assert first.tags[TICK_TAG] == "shop"
    assert STREAM_TAG not in first.tags
    assert project.launch(first).success
    assert project.tick() == []
    project.shop.rows["orders"] += [person(6)]
    (second,) = project.tick()
    assert second.asset_selection == [ORDERS]  # what has no news is not in the run
    assert project.launch(second).success
    assert query(path, "SELECT count(*) FROM shop.orders") == [(6,)]


def test_only_the_stream_that_failed_waits(project: Project) -> None:
    project.launch(*project.tick())
    for failures in (1, 2, 3):
        project.shop.rows["orders"] += [person(5 + failures)]
        project.shop.rows["customers"] += [person(5 + failures)]
        project.shop.failures["orders"] = [broken()]
        request = dg.RunRequest(asset_selection=[CUSTOMERS, ORDERS], tags={TICK_TAG: "shop"})
        assert not project.launch(request).success
        assert project.tick() == []  # the customers of the failed run are loaded
        pause = BACK_OFF * 2 ** (failures - 1)
        assert project.later(pause - 20) == []
        assert project.later(pause + 1) == [[ORDERS]]
    project.shop.rows["customers"] += [person(20)]
    (request,) = project.tick()
    assert request.asset_selection == [CUSTOMERS]


def test_a_success_ends_the_pause(project: Project) -> None:
    project.shop.failures["orders"] = [broken()]
    project.launch(*project.tick())
    assert project.later(0) == []
    assert run(project.defs, project.instance, "shop/orders").success
    project.shop.rows["orders"] += [person(6)]
    assert project.later(0) == [[ORDERS]]


def test_a_stream_in_a_run_in_progress_is_left_to_it(project: Project) -> None:
    job = project.defs.resolve_implicit_global_asset_job_def()
    made = project.instance.create_run_for_job(
        job, asset_selection=frozenset([ORDERS]), tags={TICK_TAG: "shop"}
    )
    project.instance.report_engine_event("begun", made)
    (request,) = project.tick()
    assert request.asset_selection == [CUSTOMERS]


def test_another_word_is_an_error(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="runs is 'all'") as caught:
        build_source_sensor(shop, ["orders"], runs="all")  # type: ignore[arg-type]
    assert '"stream"' in str(caught.value.hint)
    assert build_source_sensor(shop, ["orders"], runs="stream").name == "shop_new_data"

"""Asset checks of streams that share a step: one failing stream takes only its own checks with it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import SourceError, UnavailableError
from tests.assets.shop import failure_text, logged, run
from tests.assets.test_together import Log

A, B, C = (dg.AssetKey(["log", name]) for name in "abc")


@pytest.fixture
def log() -> Log:
    return Log()


class Checks:
    """Checks of three streams, and how often each was run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

        @dg.asset_check(asset=A)
        def has_rows(a: list[dict[str, Any]]) -> dg.AssetCheckResult:
            """Read the table that the step has loaded."""
            self.ran.append("has_rows")
            return dg.AssetCheckResult(passed=a == [{"n": 1}], metadata={"rows": len(a)})

        @dg.asset_check(asset=B)
        def never() -> dg.AssetCheckResult:
            self.ran.append("never")
            return dg.AssetCheckResult(passed=True)

        @dg.asset_check(asset=C, blocking=True)
        def wrong(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            self.ran.append("wrong")
            assert context.instance.get_latest_materialization_event(C) is not None
            return dg.AssetCheckResult(passed=False)

        @dg.asset_check(asset=A, additional_deps=[B])
        def alike() -> dg.AssetCheckResult:
            self.ran.append("alike")
            return dg.AssetCheckResult(passed=True)

        day = timedelta(days=1)
        fresh = dg.build_last_update_freshness_checks(assets=[A, B, C], lower_bound_delta=day)
        self.all: list[Any] = [has_rows, never, wrong, alike, *fresh]

    def defs(self, assets: list[dg.AssetsDefinition], place: DuckDBDestination) -> dg.Definitions:
        """Return a project of these assets and checks."""
        return dg.Definitions(
            assets=assets,
            asset_checks=self.all,
            resources={"warehouse": DestinationIOManager(place)},
        )


def shown(instance: dg.DagsterInstance, defs: dg.Definitions, run_id: str) -> Mapping[str, str]:
    """Return what the UI shows of each check of a run."""
    keys = list(defs.get_repository_def().asset_graph.asset_check_keys)
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert all(record.run_id == run_id for record in found.values())
    planned = {"PLANNED": "EXECUTION_FAILED"}  # of a run that has ended
    return {
        f"{key.asset_key.path[-1]}:{key.name}": planned.get(
            record.status.value, record.status.value
        )
        for key, record in found.items()
    }


ONE_FAILED = {
    "a:has_rows": "SUCCEEDED",
    "a:freshness_check": "SUCCEEDED",
    "a:alike": "EXECUTION_FAILED",  # it waits for b
    "b:never": "EXECUTION_FAILED",
    "b:freshness_check": "EXECUTION_FAILED",
    "c:wrong": "FAILED",
    "c:freshness_check": "SUCCEEDED",
}


def test_the_checks_of_healthy_streams_are_run_by_the_step_that_fails(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    checks = Checks()
    defs = checks.defs(stream_assets(log, io_manager_key="warehouse"), warehouse)
    log.failures["b"] = [SourceError("it is on fire")]
    failed = run(defs, instance)
    assert not failed.success
    assert shown(instance, defs, failed.run_id) == ONE_FAILED
    assert checks.ran == ["has_rows", "wrong"]
    assert "1 of 3 streams failed: log/b" in failure_text(failed)

    well = run(defs, instance)
    found = shown(instance, defs, well.run_id)
    assert {name for name, status in found.items() if status != "SUCCEEDED"} == {"c:wrong"}
    assert checks.ran.count("has_rows") == 2


def test_only_the_selected_checks_are_run(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    checks = Checks()
    defs = checks.defs(stream_assets(log, io_manager_key="warehouse"), warehouse)
    log.failures["b"] = [SourceError("it is on fire")]
    assert not run(defs, instance, "log/a", "log/b").success
    assert checks.ran == ["has_rows"]


def test_they_wait_for_the_last_retry(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    checks = Checks()
    policy = dg.RetryPolicy(max_retries=1)
    assets = stream_assets(log, io_manager_key="warehouse", retry_policy=policy)
    defs = checks.defs(assets, warehouse)
    log.failures["b"] = [UnavailableError("not now")]
    run(defs, instance)
    assert sorted(checks.ran) == ["alike", "has_rows", "never", "wrong"], "each once, as steps"
    checks.ran.clear()
    log.last, log.failures["b"] = 1, [UnavailableError("not now")] * 2
    failed = run(defs, instance)
    assert checks.ran == ["has_rows", "wrong"], "also of what an earlier attempt has loaded"
    assert shown(instance, defs, failed.run_id) == ONE_FAILED


def test_a_check_that_cannot_be_run_does_not_hide_what_failed(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    made = []

    @dg.resource
    def line(_context: dg.InitResourceContext) -> None:
        made.append(True)  # once for the run, and once more for the check
        if len(made) > 1:
            raise OSError("nobody home")

    @dg.asset_check(asset=A, required_resource_keys={"line"})
    def asks() -> dg.AssetCheckResult:
        raise AssertionError("it has no resource")

    defs = dg.Definitions(
        assets=stream_assets(log, destination=warehouse),
        asset_checks=[asks],
        resources={"line": line},
    )
    log.failures["b"] = [SourceError("it is on fire")]
    failed = run(defs, instance)
    assert failure_text(failed).startswith("1 of 3 streams failed: log/b")
    assert "Running the asset checks of the healthy streams failed" in logged(failed, instance)
    assert shown(instance, defs, failed.run_id) == {"a:asks": "EXECUTION_FAILED"}

"""Sources that read many streams at once and keep states of their own: all is read, and the partition is kept."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import DuckDBDestination, stream_assets
from tests.assets.test_together import Log, rows
from tests.partitions.orders import events, run

NUMBERS = dg.StaticPartitionsDefinition(["1", "2", "3"])
BY_NUMBER = {"partitions_def": NUMBERS, "partition_by": "n", "outside_partition": "drop"}


@pytest.fixture(params=[False, True], ids=["states of streams", "a shared state"])
def log(request: pytest.FixtureRequest) -> Log:
    made = Log(shared=request.param)
    made.last = 3
    return made


def by_number(log: Log, warehouse: DuckDBDestination) -> Any:
    return stream_assets(log, destination=warehouse, options={"a": BY_NUMBER})


def test_each_run_reads_everything_and_keeps_its_partition(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    assets = by_number(log, warehouse)
    for name in ("1", "3"):
        result = run(assets, instance, name)
        assert result.success
        shown = events(result, "log/a")[name]
        assert (shown["dagster/partition_row_count"], shown["etl_assets/outside"]) == (1, 2)
    assert rows(path, "a") == [1, 3]
    assert rows(path, "b") == [1, 2, 3]
    _, state = log.reads[-1]
    assert ("", "a") in state.refreshed
    log.last = 4
    assert run(assets, instance, "2").success
    assert (rows(path, "a"), rows(path, "b")) == ([1, 2, 3], [1, 2, 3, 4])


def test_their_states_are_no_place_to_go_on_from(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    """They cover the rows of other partitions, too, which were left out."""
    keyed = {"primary_key": "n"}
    parted = stream_assets(log, ["a"], destination=warehouse, options={"a": {**BY_NUMBER, **keyed}})
    assert run(parted, instance, "2").success
    whole = stream_assets(log, ["a"], destination=warehouse, options={"a": keyed})
    assert run(whole, instance).success
    assert rows(path, "a") == [1, 2, 3]


def test_a_state_that_others_have_moved_meanwhile_leaves_nothing_out(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    keyed = {"primary_key": "n"}
    whole = stream_assets(log, destination=warehouse, options={"a": keyed})
    parted = stream_assets(log, destination=warehouse, options={"a": {**BY_NUMBER, **keyed}})
    log.last = 1
    assert run(whole, instance).success
    log.last = 3
    assert run(parted, instance, "2").success
    assert rows(path, "a") == [1, 2]
    log.last = 4
    assert run(whole, instance).success
    assert rows(path, "a") == rows(path, "b") == [1, 2, 3, 4]
    log.last = 5
    assert run(whole, instance).success
    assert rows(path, "a") == rows(path, "b") == [1, 2, 3, 4, 5]
    assert ("", "a") not in log.reads[-1][1].refreshed

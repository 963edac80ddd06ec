"""Each private name of Dagster that is used, by itself: the first to look at when a release of Dagster breaks."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.context.system import StepExecutionContext

from etl_assets.assets import dagster_private as private


class Looking(dg.IOManager):
    """Looks at its context with every private name."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        del obj
        self.seen = {
            "instance": private.instance_of(context),
            "tags": private.run_tags(context),
            "policy": private.retry_policy(context),
            "attempts": private.attempts(context),
        }
        private.set_data_version(context, "version of mine")

    def load_input(self, context: dg.InputContext) -> None:
        """Never asked."""


def test_what_an_output_context_keeps_to_itself(instance: dg.DagsterInstance) -> None:
    policy = dg.RetryPolicy(max_retries=3)

    @dg.asset(retry_policy=policy)
    def thing() -> int:
        return 1

    looking = Looking()
    result = dg.materialize(
        [thing], instance=instance, resources={"io_manager": looking}, tags={"a": "b"}
    )
    assert looking.seen["instance"] is instance
    assert looking.seen["tags"]["a"] == "b"
    assert looking.seen["policy"] == policy
    assert looking.seen["attempts"] == 0
    (made,) = result.asset_materializations_for_node("thing")
    assert made.tags
    assert made.tags["dagster/data_version"] == "version of mine"


def test_the_function_of_an_asset_is_found_again() -> None:
    def thing() -> None:
        """Do nothing."""

    made = dg.asset(thing)
    moved = made.with_attributes(asset_key_replacements={made.key: dg.AssetKey("moved")})
    assert private.compute_function(made) is thing
    assert private.compute_function(moved) is thing
    assert private.compute_function(dg.AssetsDefinition(specs=[dg.AssetSpec("external")])) is None


def test_the_function_of_an_op_that_was_made_without_a_decorator_is_found() -> None:
    def compute(_context: dg.OpExecutionContext, _inputs: Any) -> Iterator[Any]:
        yield dg.Output(1, "result")

    op = dg.OpDefinition(name="thing", compute_fn=compute, outs={"result": dg.Out()})
    key = dg.AssetKey("thing")
    made = dg.AssetsDefinition(
        node_def=op, keys_by_output_name={"result": key}, specs=[dg.AssetSpec(key)]
    )
    assert private.compute_function(made) is compute


def test_the_definition_of_an_io_manager_may_be_shared() -> None:
    made = private.resource_of(Looking())
    assert isinstance(made, dg.ResourceDefinition)
    assert private.resource_of(Looking()) is not made  # Dagster refuses two under one key

    def asset(name: str) -> dg.AssetsDefinition:
        return dg.asset(name=name, io_manager_key="w", resource_defs={"w": made})(lambda: None)

    defs = dg.Definitions(assets=[asset("a"), asset("b")])
    assert defs.resolve_implicit_global_asset_job_def().resource_defs["w"] is made


def test_the_assets_of_a_repository_are_known_in_it_and_none_without() -> None:
    seen = []

    @dg.asset
    def thing(context: dg.AssetExecutionContext) -> None:
        seen.append(private.assets_of_repository(context))

    dg.materialize([thing])
    assert seen == [[]]

    class InRepository:
        repository_def = dg.Definitions(assets=[thing]).get_repository_def()

    context: Any = InRepository()
    assert [one.key for one in private.assets_of_repository(context)] == [thing.key]


def test_metadata_sets_are_mappings_of_what_is_set() -> None:
    shown = private.TableMetadataSet(row_count=1, table_name="t")
    assert {key: shown[key] for key in shown.keys()} == {  # noqa: SIM118
        "dagster/row_count": 1,
        "dagster/table_name": "t",
    }
    assert issubclass(private.TableMetadataSet, private.NamespacedMetadataSet)


def test_the_output_of_a_graph_has_the_io_manager_of_its_node() -> None:
    @dg.op(out=dg.Out(io_manager_key="mine"))
    def only() -> int:
        return 1

    mapping = private.output_mapping("result", "only", "mine")
    (output,) = dg.GraphDefinition("graph", node_defs=[only], output_mappings=[mapping]).output_defs
    assert (output.name, output.io_manager_key) == ("result", "mine")


def test_what_a_step_may_yield_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    whole = StepExecutionContext.get_output_asset_keys

    def counted(step: StepExecutionContext) -> Any:
        asked.append(step)
        return whole(step)

    monkeypatch.setattr(StepExecutionContext, "get_output_asset_keys", counted)

    @dg.multi_asset(
        specs=[dg.AssetSpec(f"asset_{n}", skippable=True) for n in range(9)], can_subset=True
    )
    def many(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        asked.clear()
        private.work_out_outputs_once(context)
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(asset_key=key)

    result = dg.materialize([many], selection=[f"asset_{n}" for n in range(1, 9)])
    assert len(result.get_asset_materialization_events()) == 8
    assert len(asked) == 1


DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-05")
RANGE = {
    "dagster/asset_partition_range_start": "2026-01-02",
    "dagster/asset_partition_range_end": "2026-01-03",
}


class OfPartitions(dg.IOManager):
    """Adds metadata for each partition, and notes whether an input is of all of them."""

    def __init__(self) -> None:
        self.seen: list[bool] = []

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        del obj
        if context.has_asset_partitions:
            counts = {key: {"rows": int(key[-2:])} for key in context.asset_partition_keys}
            private.add_partition_metadata(context.step_context, context.asset_key, counts)
        context.add_output_metadata({"of": "all"})

    def load_input(self, context: dg.InputContext) -> None:
        self.seen.append(private.is_of_all_partitions(context))


def test_each_event_has_the_metadata_of_its_partition(instance: dg.DagsterInstance) -> None:
    named: list[list[str]] = []

    @dg.asset(partitions_def=DAYS)
    def daily(context: dg.AssetExecutionContext) -> int:
        named.append(private.partition_names(context))
        return 1

    io = {"io_manager": OfPartitions()}
    result = dg.materialize([daily], instance=instance, resources=io, tags=RANGE)
    shown = {
        one.materialization.partition: {
            key: value.value for key, value in one.materialization.metadata.items()
        }
        for one in result.get_asset_materialization_events()
    }
    assert shown == {
        "2026-01-02": {"of": "all", "rows": 2},
        "2026-01-03": {"of": "all", "rows": 3},
    }
    assert dg.materialize(
        [daily], instance=instance, resources=io, partition_key="2026-01-04"
    ).success
    assert named == [["2026-01-02", "2026-01-03"], ["2026-01-04"]]


def test_an_input_is_of_all_partitions_or_of_some(instance: dg.DagsterInstance) -> None:
    only = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-02")

    @dg.asset(partitions_def=only)
    def daily() -> int:
        return 1

    @dg.asset
    def whole(daily: Any) -> None:
        del daily

    @dg.asset(partitions_def=only)
    def same(daily: Any) -> None:
        del daily

    io = OfPartitions()
    resources = {"io_manager": io}
    for reader in (whole, same):
        assert dg.materialize(
            [daily, reader],
            instance=instance,
            resources=resources,
            selection=[reader],
            partition_key="2026-01-01" if reader is same else None,
        ).success
    assert io.seen == [True, False]  # a day is no whole table, though there is no other day


def test_an_event_is_written_into_a_run_that_has_ended(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def thing() -> None:
        """Do nothing."""

    run = dg.materialize([thing], instance=instance).dagster_run
    private.report_in_run(instance, run, "all is well", {"more": dg.MetadataValue.md("*so it is*")})
    (event,) = [one for one in instance.all_logs(run.run_id) if one.message == "all is well"]
    assert event.dagster_event is not None
    told = event.dagster_event.engine_event_data.metadata["more"]
    assert told == dg.MetadataValue.md("*so it is*")

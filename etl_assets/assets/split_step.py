"""One stream read by several steps at once: plan, one step for each range, publish.

What passes between the steps is a key: the load id and the number of a range, by which Dagster
knows the dynamic step too. All else is in the destination: nothing is pickled, and no file is
shared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

import dagster as dg
from typing_extensions import override

from etl_assets.assets.bindings import Binding, bound, refuse_same_names
from etl_assets.assets.checked_step import load_checked
from etl_assets.assets.config import SYNC_CONFIG_SCHEMA, SyncConfig, names_of, refreshed_by_tag
from etl_assets.assets.dagster_private import output_mapping
from etl_assets.assets.errors import Edge
from etl_assets.assets.metadata import decoration
from etl_assets.assets.names import op_name
from etl_assets.assets.observer import RunObserver
from etl_assets.assets.split_read import SplitRead
from etl_assets.assets.steps import StepSettings
from etl_assets.assets.stream_checks import check_specs
from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.engine.start import StreamPlan, plan_load, resolve_start, strategy_of
from etl_assets.engine.sync import sync
from etl_assets.exceptions import ConfigError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.progress_text import counted
from etl_assets.redaction import redact
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.strategies import WriteStrategy, resolve_strategy

OUTPUT = "result"
RANGES = "ranges"
LEAST = 2
"""Ranges of a split."""


class _Problem(NamedTuple):
    """Why a stream cannot be split, and what to do about it."""

    told: str
    hint: str


class KeysIOManager(dg.IOManager):
    """Passes the key of a dynamic step on; there is nothing to store."""

    @override
    def handle_output(self, context: dg.OutputContext, obj: None) -> None:
        del context, obj

    @override
    def load_input(self, context: dg.InputContext) -> str:
        upstream = context.upstream_output
        # It is the input of a dynamic step, or of what collects them.
        assert upstream is not None  # noqa: S101
        return upstream.mapping_key or upstream.step_key.partition("[")[2].rstrip("]")


KEYS = "etl_assets__split_keys"
"""Key of the resource that is a `KeysIOManager`. Each split asset brings it along."""

# One object for all: Dagster refuses two under one key.
_KEYS_RESOURCE = dg.IOManagerDefinition.hardcoded_io_manager(KeysIOManager())


def check_splits(
    bindings: Iterable[Binding], destination: Destination | None, *, together: bool
) -> None:
    """Refuse a split that would lose or double rows, or that the source or destination cannot do.

    Raises:
        ConfigError: It says why.
    """
    for binding in bindings:
        if binding.options.split is not None:
            _check(binding, destination, together=together)


def _check(binding: Binding, destination: Destination | None, *, together: bool) -> None:
    problem = _problem_of_stream(binding) or _problem_of_place(
        binding, destination, together=together
    )
    if problem is not None:
        raise _refused(binding.stream, problem)


def _problem_of_stream(binding: Binding) -> _Problem | None:
    """Return why a stream that is written so cannot be split, or None."""
    options, stream, writing = binding.options, binding.stream, binding.writing
    strategy = resolve_strategy(
        writing.strategy, incremental=bool(stream.cursor), keyed=bool(stream.primary_key)
    )
    if type(options.split) is not int or options.split < LEAST:
        problem = f"split={options.split!r} is no number of ranges"
        return _Problem(problem, hint="Give a whole number from 2 on.")
    if not stream.primary_key:
        problem = "a split needs a primary key, by which it is split"
        return _Problem(problem, hint="Declare primary_key on the stream.")
    if stream.unique_constraints and stream.primary_key[0] not in stream.unique_constraints:
        # Two rows with one key could be in two ranges, and both would be published.
        key = ", ".join(map(repr, stream.unique_constraints))
        problem = (
            f"its rows are merged by unique_constraints ({key}), and split by "
            f"{stream.primary_key[0]!r}"
        )
        hint = "Leave split out, or begin the primary key with one of the unique_constraints."
        return _Problem(problem, hint)
    if not stream.cursor:
        problem = (
            "a split needs a replication key: what changes while it is read is found by the next "
            "run"
        )
        return _Problem(problem, hint="Declare replication_key on the stream.")
    if strategy is WriteStrategy.APPEND:
        problem = "a split reads what has changed meanwhile again, which an append would double"
        return _Problem(problem, hint='Use write_strategy="merge" (or "auto").')
    if not writing.contract.evolves:
        problem = "a split does not go with a schema_contract"
        return _Problem(problem, hint="Leave out one of them.")
    return None


def _problem_of_place(
    binding: Binding,
    destination: Destination | None,
    *,
    together: bool,
) -> _Problem | None:
    """Return why this source or destination, or the one step of many streams, cannot do it."""
    if together:
        problem = "its streams are read together in one step, so none can be split"
        return _Problem(problem, hint="Leave split out.")
    if type(binding.source).key_ranges is Source.key_ranges:
        problem = f"{type(binding.source).__name__} cannot split a stream: it has no `key_ranges`"
        return _Problem(problem, hint="SQL sources have it.")
    # That of a resource is known to a run only.
    if destination is not None and not _can_publish(destination):
        return _not_publishable(destination)
    return None


def _can_publish(destination: Any) -> TypeGuard[DatabaseDestination]:
    return isinstance(destination, DatabaseDestination) and destination.can_split


def _not_publishable(destination: Any, io_manager_key: str | None = None) -> _Problem:
    """Return what is wrong with a destination, or with the resource that should have one."""
    place = "destination=" if io_manager_key is None else f"the resource {io_manager_key!r}"
    named = "an IO manager that has no destination" if destination is None else destination
    hint = (
        f"Give {place} a destination for DuckDB, PostgreSQL, MySQL or SQLite, or leave split out."
    )
    return _Problem(f"a split cannot be published by {named}", hint)


def _refused(stream: Stream, problem: _Problem) -> ConfigError:
    message = f"stream {stream.full_name!r}: {problem.told}."
    return ConfigError(message, hint=problem.hint, stream=stream.name)


def split_asset(
    binding: Binding,
    spec: dg.AssetSpec,
    io_manager_key: str,
    settings: StepSettings,
) -> dg.AssetsDefinition:
    """Return the asset of a stream that several steps read, as a graph of theirs."""
    name = op_name(spec.key)
    retry_policy = settings.retry_policy
    steps = _Steps(binding, spec.key, io_manager_key, retry_policy)
    of_each: dict[str, Any] = {"required_resource_keys": {io_manager_key}, **settings.of_op()}
    upstream = {f"upstream_{number}": dep.asset_key for number, dep in enumerate(spec.deps)}
    waiting = {one: dg.In(dg.Nothing) for one in upstream}
    ranges = {RANGES: dg.DynamicOut(dg.Any, io_manager_key=KEYS)}
    checked = {one.get_python_identifier(): one for one in check_specs(binding, spec.key)}

    @dg.op(name=f"{name}__plan", ins=waiting, out=ranges, **of_each)
    def plan(
        context: dg.AssetExecutionContext, config: SyncConfig
    ) -> Iterator[dg.DynamicOutput[None]]:
        with Edge(retry_policy, context.retry_number):
            found = steps.plan(context, config)
        for key in found:
            yield dg.DynamicOutput(None, mapping_key=key, output_name=RANGES)

    @dg.op(name=f"{name}__range", out=dg.Out(dg.Any, io_manager_key=KEYS), **of_each)
    def load_range(context: dg.AssetExecutionContext, key: str) -> None:
        with Edge(retry_policy, context.retry_number):
            steps.load_range(context, key)

    publishing = _publishing(f"{name}__publish", steps, tuple(checked), of_each)
    return dg.AssetsDefinition(
        node_def=_as_one(name, (plan, load_range, publishing), upstream),
        keys_by_input_name=upstream,
        keys_by_output_name={OUTPUT: spec.key},
        check_specs_by_output_name=checked,
        specs=[spec],
        resource_defs={KEYS: _KEYS_RESOURCE, **settings.resources},
        hook_defs=settings.hooks,
    )


def _publishing(
    name: str, steps: "_Steps", checks: Sequence[str], of_each: Mapping[str, Any]
) -> dg.OpDefinition:
    """Return the op of the last step, with an output for the stream and one for each check."""
    binding, key, retry_policy = steps.binding, steps.io_manager_key, steps.retry_policy

    def publish(
        context: dg.AssetExecutionContext, config: SyncConfig, keys: list[str]
    ) -> StreamRead | SplitRead:
        with Edge(retry_policy, context.retry_number):
            return steps.last(config, keys)

    def publish_checked(
        context: dg.AssetExecutionContext, config: SyncConfig, keys: list[str]
    ) -> Iterator[Any]:
        with Edge(retry_policy, context.retry_number):
            yield from load_checked(context, steps.last(config, keys), binding, key)

    outs = {
        OUTPUT: dg.Out(dg.Any, io_manager_key=key),
        **{check: dg.Out(dg.Any, io_manager_key=KEYS) for check in checks},
    }
    body = bound(publish_checked if checks else publish, {OUTPUT: binding})
    return dg.op(name=name, out=outs, **of_each)(body)


def _as_one(
    name: str,
    steps: tuple[dg.OpDefinition, dg.OpDefinition, dg.OpDefinition],
    upstream: Iterable[str],
) -> dg.GraphDefinition:
    """Return a graph of steps that looks like the op of any other stream.

    Its first step waits for the assets upstream, by its inputs; its run config is that of an op and
    goes to the first and the last step; its outputs are those of the last one, each with its IO
    manager.
    """
    plan, load_range, publish = steps

    @dg.graph(name=name)
    def graph() -> None:
        publish(plan().map(load_range).collect())

    def to_steps(config: Mapping[str, Any]) -> dict[str, Any]:
        return {step: {"config": config} for step in (plan.name, publish.name)}

    return dg.GraphDefinition(
        name=name,
        node_defs=graph.node_defs,
        dependencies=graph.dependencies,
        input_mappings=[
            dg.InputMapping(
                graph_input_name=one, mapped_node_name=plan.name, mapped_node_input_name=one
            )
            for one in upstream
        ],
        output_mappings=[
            output_mapping(one.name, publish.name, str(one.io_manager_key))
            for one in publish.output_defs
        ],
        config=dg.ConfigMapping(config_fn=to_steps, config_schema=SYNC_CONFIG_SCHEMA),
    )


@dataclass(frozen=True)
class _Steps:
    """The bodies of the steps."""

    binding: Binding
    key: dg.AssetKey
    io_manager_key: str
    retry_policy: dg.RetryPolicy | None

    def plan(self, context: dg.AssetExecutionContext, config: SyncConfig) -> list[str]:
        """Return a key for each range.

        There are none where the stream is to be synced by the last step, as any other is.
        """
        from etl_assets.destinations.database.split import drop_split, plan_split, table_exists

        binding = self.binding
        refuse_same_names(context, [binding])
        database = self._database(context)
        read, writing = binding.read(config), binding.writing
        drop_split(database, read.source_name, read.stream)
        table = self._table(database)
        names = names_of(read.source_name, read.stream, self.key)
        start = resolve_start(
            read,
            database,
            full_refresh=read.full_refresh or refreshed_by_tag(context.run.tags, names),
            bookmark=read.bookmark,
            keep_bookmark=read.keep_bookmark,
            on_table_changed=writing.on_table_changed,
            adopt=writing.adopt,
            table=table,
        )
        strategy = strategy_of(read, database, start, writing.strategy)
        is_new = start.state is None and not table_exists(database, table)
        whole = strategy is WriteStrategy.REPLACE or is_new
        if read.partial or start.given or not whole:
            context.log.info("%s: is synced in one step (%s)", read.stream.full_name, start.reason)
            return []
        ranges = binding.source.key_ranges(read.stream, binding.options.split or 1)
        load = plan_load(
            read,
            database,
            start,
            StreamPlan(table=table, schema_contract=writing.contract),
            run_id=context.run.run_id,
            settled=WriteStrategy.REPLACE,
        )
        plan_split(database, load, ranges)
        context.log.info(
            "%s: is read in %s ranges (%s)", read.stream.full_name, len(ranges.ranges), start.reason
        )
        return [f"{load.load_id}_{number}" for number in range(len(ranges.ranges))]

    def load_range(self, context: dg.AssetExecutionContext, key: str) -> None:
        """Read one range into its staging table, whatever an earlier attempt has left there."""
        from etl_assets.destinations.database.split import note_staged, planned_split

        binding, database = self.binding, self._database(context)
        load_id, _, number = key.rpartition("_")
        whole = binding.read(SyncConfig())
        plan = planned_split(database, whole.source_name, whole.stream, load_id)
        read = StreamRead(
            binding.source,
            binding.stream,
            source_name=binding.source_name,
            key_range=plan.ranges[int(number)],
        )
        table, partition = plan.tables[int(number)], plan.partition(int(number))
        start = resolve_start(read, database, full_refresh=True, table=table, partition=partition)
        # A full refresh by "auto" replaces what an earlier attempt has left, and keeps the newest
        # image of each key, as a sync in one step does. Who asks for "replace" has them all.
        wanted = WriteStrategy(binding.writing.strategy)
        strategy = wanted if wanted is WriteStrategy.REPLACE else WriteStrategy.AUTO
        name = f"{read.stream.full_name} [{number}]"
        with RunObserver(
            context, source=read.source_name, stream=name, destination=None
        ) as observer:
            result = sync(
                read,
                database,
                start=start,
                strategy=strategy,
                run_id=context.run.run_id,
                table=table,
                partition=partition,
                observer=observer,
            )
        with decoration(context.log, "Writing down the size of the rows"):
            note_staged(database, whole.stream, partition, result)
        staged = counted(result.records_loaded, "row")
        context.log.info(redact(f"{name}: staged {staged} in {result.duration_seconds:.1f} s"))

    def last(self, config: SyncConfig, keys: list[str]) -> StreamRead | SplitRead:
        """Return what the IO manager is to do."""
        if not keys:
            return self.binding.read(config)
        return SplitRead(self.binding.read(SyncConfig()), keys[0].rpartition("_")[0])

    def _database(self, context: dg.AssetExecutionContext) -> DatabaseDestination:
        destination = getattr(getattr(context.resources, self.io_manager_key), "destination", None)
        if not _can_publish(destination):
            raise _refused(self.binding.stream, _not_publishable(destination, self.io_manager_key))
        return destination

    def _table(self, database: DatabaseDestination) -> TableName:
        return self.binding.table(database)

"""One step for many streams of a source: it drives `sync_source` itself, and says of each stream what became of it.

An exception inside an IO manager would end the step and take the other streams with it; so the body
has the same IO manager as a resource, loads through its destination, and yields results without a
value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from etl_assets.assets.bindings import Binding, bound, same_name
from etl_assets.assets.bookmarks import newest_bookmark, newest_shared_bookmark
from etl_assets.assets.config import SourceSyncConfig, matches, names_of, refreshed_by_tag
from etl_assets.assets.dagster_private import work_out_outputs_once
from etl_assets.assets.errors import Edge, as_failure, failure_of_many
from etl_assets.assets.metadata import decoration, event_metadata, log_changes
from etl_assets.assets.names import op_name, short_hash, word
from etl_assets.assets.observer import SourceObserver, shortened
from etl_assets.assets.state_explained import explain_missing_event
from etl_assets.assets.steps import StepSettings
from etl_assets.destinations.base import Destination
from etl_assets.engine.line import StreamOutcome
from etl_assets.engine.start import Start, StreamPlan
from etl_assets.engine.sync_source import sync_source
from etl_assets.exceptions import ConfigError
from etl_assets.model.events import StreamKey, keeps_streams_apart
from etl_assets.model.load import Load
from etl_assets.model.stored import TableName
from etl_assets.redaction import redact
from etl_assets.sources.source_read import SourceRead


def source_asset(
    bindings: Sequence[Binding],
    specs: Sequence[dg.AssetSpec],
    io_manager_key: str,
    settings: StepSettings,
) -> dg.AssetsDefinition:
    """Return one definition with an asset for each stream; a run may select some of them."""
    outs = {op_name(spec.key): spec for spec in specs}
    by_output = dict(zip(outs, bindings, strict=True))
    retry_policy = settings.retry_policy

    def materialize(context: dg.AssetExecutionContext, config: SourceSyncConfig) -> Iterator[Any]:
        with Edge(retry_policy, context.retry_number):
            manager = getattr(context.resources, io_manager_key)
            yield from _Step(context, config, by_output, _destination(manager), retry_policy).run()

    deps = {name: {dep.asset_key for dep in spec.deps} for name, spec in outs.items()}
    return dg.multi_asset(
        name=_step_name(bindings[0].source_name, specs),
        outs={
            name: dg.AssetOut.from_spec(
                spec.replace_attributes(deps=[]),
                dagster_type=dg.Any,
                io_manager_key=io_manager_key,
                is_required=False,
            )
            for name, spec in outs.items()
        },
        deps=list({dep.asset_key: dep for spec in specs for dep in spec.deps}.values()),
        internal_asset_deps=deps if any(deps.values()) else None,
        can_subset=True,
        required_resource_keys={io_manager_key},
        retry_policy=retry_policy,
        pool=settings.pool,
        op_tags=settings.op_tags,
        hooks=settings.hooks,
    )(bound(materialize, by_output))


def _step_name(source: str, specs: Sequence[dg.AssetSpec]) -> str:
    return f"{word(source)}__{short_hash(chr(10).join(spec.key.to_string() for spec in specs))}"


def _destination(manager: Any) -> Destination:
    found = getattr(manager, "destination", None)
    if not isinstance(found, Destination):
        raise ConfigError(
            f"The IO manager {type(manager).__name__} has no destination that many streams could be loaded into.",
            hint='Use one of this library, or granularity="stream".',
        )
    return found


@dataclass(frozen=True)
class _Step:
    """One run of the step."""

    context: dg.AssetExecutionContext
    config: SourceSyncConfig
    by_output: Mapping[str, Binding]
    destination: Destination
    retry_policy: dg.RetryPolicy | None

    def run(self) -> Iterator[dg.MaterializeResult[Any]]:
        """Load what is selected and was not materialized before the retry.

        At the end, fail for those that failed.
        """
        context = self.context
        work_out_outputs_once(context)
        wanted = self._wanted()
        if not wanted:
            context.log.info("Every selected stream was materialized before the retry.")
            return
        for binding in wanted.values():
            for other in same_name(context, binding):
                raise two_of_one_name(binding, other)
        keys = {binding.stream.key: key for key, binding in wanted.items()}
        first = next(iter(wanted.values()))
        read = SourceRead(
            first.source, [one.stream for one in wanted.values()], source_name=first.source_name
        )
        keeps_state = self.destination.capabilities.keeps_state
        identity = self.destination.identity
        observer = SourceObserver(
            context,
            source=first.source_name,
            keys=keys,
            destination=None if keeps_state else identity,
            says_start=self._say,
        )
        outcomes = sync_source(
            read,
            self.destination,
            plans={binding.stream.key: self._plan(key, binding) for key, binding in wanted.items()},
            run_id=context.run.run_id,
            fallback=lambda: newest_shared_bookmark(context.instance, wanted, identity),
            others=[
                one.stream.key for one in self.by_output.values() if one.stream.key not in keys
            ],
            observer=observer,
        )
        with observer:
            yield from self._settle(outcomes, keys, wanted)

    def _settle(
        self,
        outcomes: Iterator[StreamOutcome],
        keys: Mapping[StreamKey, dg.AssetKey],
        wanted: Mapping[dg.AssetKey, Binding],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        failed: dict[str, Exception] = {}
        untold = dict(keys)
        for outcome in outcomes:
            key = untold.pop(outcome.stream.key)
            name = key.to_user_string()
            if outcome.error is None:
                yield self._result(key, wanted[key], outcome)
            else:
                failed[name] = outcome.error
                self.context.log.error(redact(f"{name}: {as_failure(outcome.error).description}"))
        if untold:
            raise AssertionError(
                f"nothing is known of {sorted(key.to_user_string() for key in untold.values())}"
            )
        if failed:
            raise failure_of_many(failed, len(keys), self.retry_policy, self.context.retry_number)

    def _wanted(self) -> dict[dg.AssetKey, Binding]:
        context = self.context
        keys = context.assets_def.keys_by_output_name  # of a subset: those that are selected
        selected = {
            key: self.by_output[name]
            for name, key in keys.items()
            if key in context.selected_asset_keys
        }
        if (
            not context.retry_number
            or not selected
            or self._moves_as_one(next(iter(selected.values())).source_name)
        ):
            return selected
        done: set[dg.AssetKey | None] = set()
        cursor: str | None = None
        while True:
            page = context.instance.get_records_for_run(
                context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION, cursor=cursor
            )
            events = (record.event_log_entry.dagster_event for record in page.records)
            done.update(event.asset_key for event in events if event is not None)
            if not page.has_more:
                return {key: one for key, one in selected.items() if key not in done}
            cursor = page.cursor

    def _moves_as_one(self, source: str) -> bool:
        """Return whether the streams share a state that only a read of all of them can move."""
        state = self.destination.stored_source(source).state
        return state is not None and not keeps_streams_apart(state.bookmark)

    def _plan(self, key: dg.AssetKey, binding: Binding) -> StreamPlan:
        names = names_of(binding.source_name, binding.stream, key)
        writing = binding.writing
        refreshed = matches(self.config.full_refresh, names) or refreshed_by_tag(
            self.context.run.tags, names
        )
        identity = self.destination.identity
        return StreamPlan(
            strategy=writing.strategy,
            full_refresh=refreshed,
            fallback=lambda: newest_bookmark(self.context.instance, key, identity),
            on_table_changed=writing.on_table_changed,
            adopt=writing.adopt,
            table=self._table(binding),
            on_conflict=writing.on_conflict,
            schema_contract=writing.contract,
            keep_rejected=writing.keep_rejected,
            late_rows=writing.late_rows,
            repeated_keys=writing.repeated_keys,
        )

    def _table(self, binding: Binding) -> TableName:
        return binding.table(self.destination)

    def _say(self, key: dg.AssetKey, load: Load, start: Start) -> None:
        where = f" from {shortened(load.bookmark)}" if load.bookmark else ""
        self.context.log.info(redact(f"{load.stream.full_name}: begins{where} ({start.reason})"))
        if start.state is not None:
            with decoration(self.context.log, "Looking for the event of the last load"):
                explain_missing_event(self.context.instance, key, start, self.context.log)

    def _result(
        self, key: dg.AssetKey, binding: Binding, outcome: StreamOutcome
    ) -> dg.MaterializeResult[Any]:
        result, log = outcome.result, self.context.log
        log_changes(log, binding.stream.full_name, result)
        return dg.MaterializeResult(
            asset_key=key,
            metadata=event_metadata(
                log, self.destination, result, outcome.stream, self._table(binding)
            ),
            data_version=dg.DataVersion(result.last_changed_by) if result.last_changed_by else None,
        )


def two_of_one_name(binding: Binding, other: Binding) -> ConfigError:
    """Return the error for two different sources of one name in a repository: they would share state and tables."""
    return ConfigError(
        f"Two sources are named {binding.source_name!r}: {other.source!r} and {binding.source!r}, and both have "
        f"the stream {binding.stream.full_name!r}.",
        hint="Give one of them another name: it is the key of the stored state.",
        stream=binding.stream.name,
    )

"""One step for many streams of a source.

It drives `sync_source` itself, and says of each stream what became of it. An exception inside an IO
manager would end the step and take the other streams with it; so the body has the same IO manager
as a resource, loads through its destination, and yields results without a value.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from etl_assets.assets.bindings import Binding, bound, refuse_same_names
from etl_assets.assets.bookmarks import newest_bookmark, newest_shared_bookmark
from etl_assets.assets.closing import log_closing
from etl_assets.assets.config import SourceSyncConfig, matches, names_of, refreshed_by_tag
from etl_assets.assets.dagster_private import (
    add_partition_metadata,
    keys_of_step,
    partition_names,
    step_of,
    with_own_name,
    work_out_outputs_once,
)
from etl_assets.assets.errors import Edge, as_failure, failure_of_many
from etl_assets.assets.lineage import lineage_metadata
from etl_assets.assets.metadata import decoration, event_metadata, log_changes
from etl_assets.assets.names import op_name, step_name
from etl_assets.assets.observer import SourceObserver, shortened
from etl_assets.assets.partition_runs import metadata_by_partition, partitions_of_run, told
from etl_assets.assets.runs import materialized_in
from etl_assets.assets.state_explained import explain_missing_event
from etl_assets.assets.step_checks import evaluate_checks
from etl_assets.assets.step_config import check_known, refreshed_streams
from etl_assets.assets.steps import StepSettings
from etl_assets.assets.stream_checks import (
    check_specs,
    checks_of,
    checks_of_load,
    evaluated_alone,
    evaluations,
    held_back_in,
    refuse_checks,
    results_of,
)
from etl_assets.destinations.base import Destination
from etl_assets.engine.line import StreamOutcome
from etl_assets.engine.start import Start, StreamPlan
from etl_assets.engine.sync_source import sync_source
from etl_assets.exceptions import CheckFailedError, ConfigError
from etl_assets.model.checks import CheckResult
from etl_assets.model.events import StreamKey, keeps_streams_apart
from etl_assets.model.load import Load
from etl_assets.model.partitions import Partitions
from etl_assets.model.stored import TableName
from etl_assets.progress_text import counted
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
            refreshed = refreshed_streams(context, config, bindings[0].source_name)
            step = _Step(context, by_output, _destination(manager), retry_policy, refreshed)
            yield from step.run()

    deps = {output: {dep.asset_key for dep in spec.deps} for output, spec in outs.items()}
    made = dg.multi_asset(
        name=settings.name or step_name(bindings[0].source_name),
        outs={
            output: dg.AssetOut.from_spec(
                spec.replace_attributes(deps=[]),
                dagster_type=dg.Any,
                io_manager_key=io_manager_key,
                is_required=False,
            )
            for output, spec in outs.items()
        },
        deps=list({dep.asset_key: dep for spec in specs for dep in spec.deps}.values()),
        check_specs=[
            one for output, spec in outs.items() for one in check_specs(by_output[output], spec.key)
        ],
        internal_asset_deps=deps if any(deps.values()) else None,
        can_subset=True,
        required_resource_keys={io_manager_key},
        retry_policy=retry_policy,
        pool=settings.pool,
        op_tags=settings.op_tags,
        hooks=settings.hooks,
        backfill_policy=settings.backfill_policy,
    )(bound(materialize, by_output))
    own = with_own_name(made)
    return dg.with_resources([own], settings.resources)[0] if settings.resources else own


def _destination(manager: Any) -> Destination:
    found = getattr(manager, "destination", None)
    if not isinstance(found, Destination):
        raise ConfigError(
            f"The IO manager {type(manager).__name__} has no destination that many streams could "
            "be loaded into.",
            hint='Use one of this library, or granularity="stream".',
        )
    return found


@dataclass(frozen=True)
class _Step:
    """One run of the step."""

    context: dg.AssetExecutionContext
    by_output: Mapping[str, Binding]
    destination: Destination
    retry_policy: dg.RetryPolicy | None
    refreshed: Sequence[str]
    """Names and globs of the streams that the run config asks to read anew."""

    def run(self) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        """Load what is selected and was not materialized before the retry.

        At the end, fail for those that failed.
        """
        context = self.context
        work_out_outputs_once(context)
        check_known(self.refreshed, self._names().values())
        selected = self._selected()
        yield from self._checked_alone(selected)
        if not selected:
            return
        wanted = self._without_those_done(selected)
        if not wanted:
            context.log.info("Every selected stream was materialized before the retry.")
            return
        for binding in wanted.values():
            refuse_checks(binding, self.destination)
        refuse_same_names(context, wanted.values())
        observer = self._observer(wanted)
        outcomes = self._outcomes(wanted, observer)
        with observer:
            failed = yield from self._settle(outcomes, wanted)
        if not failed:
            return
        failure = failure_of_many(
            {key.to_user_string(): error for key, error in failed.items()},
            len(wanted),
            self.retry_policy,
            context.retry_number,
        )
        if not self._is_tried_again(failure):
            evaluate_checks(context, selected.keys() - failed.keys())
        raise failure

    def _checked_alone(
        self, selected: Mapping[dg.AssetKey, Binding]
    ) -> Iterator[dg.AssetCheckResult]:
        """Evaluate the checks of the run whose streams it does not load."""
        checks = self.context.selected_asset_check_keys
        keys = keys_of_step(self.context)
        for output, binding in self.by_output.items():
            if keys[output] not in selected:
                yield from evaluated_alone(binding, keys[output], self.destination, checks)

    def _outcomes(
        self, wanted: Mapping[dg.AssetKey, Binding], observer: SourceObserver
    ) -> Iterator[StreamOutcome]:
        first = next(iter(wanted.values()))
        streams = [one.stream for one in wanted.values()]
        read = {one.key for one in streams}
        others = [one.stream.key for one in self.by_output.values() if one.stream.key not in read]
        identity = self.destination.identity
        return sync_source(
            SourceRead(first.source, streams, source_name=first.source_name),
            self.destination,
            plans={binding.stream.key: self._plan(key, binding) for key, binding in wanted.items()},
            run_id=self.context.run.run_id,
            fallback=lambda: newest_shared_bookmark(self.context.instance, wanted, identity),
            others=others,
            observer=observer,
        )

    def _observer(self, wanted: Mapping[dg.AssetKey, Binding]) -> SourceObserver:
        keeps_state = self.destination.capabilities.keeps_state
        return SourceObserver(
            self.context,
            source=next(iter(wanted.values())).source_name,
            keys=_by_stream(wanted),
            destination=None if keeps_state else self.destination.identity,
            says_start=self._say,
        )

    def _settle(
        self, outcomes: Iterator[StreamOutcome], wanted: Mapping[dg.AssetKey, Binding]
    ) -> Generator[
        dg.MaterializeResult[Any] | dg.AssetCheckResult, None, dict[dg.AssetKey, Exception]
    ]:
        """Yield what was loaded, and return what failed."""
        failed: dict[dg.AssetKey, Exception] = {}
        untold, rows = _by_stream(wanted), 0
        for outcome in outcomes:
            key = untold.pop(outcome.stream.key)
            if outcome.error is None:
                rows += outcome.result.records_loaded
                yield self._result(key, wanted[key], outcome)
                continue
            failed[key] = outcome.error
            if isinstance(outcome.error, CheckFailedError):
                yield from self._evaluations(key, wanted[key], outcome.error.results)
            told = as_failure(outcome.error).description
            self.context.log.error(redact(f"{key.to_user_string()}: {told}"))
        if untold:
            raise AssertionError(
                f"nothing is known of {sorted(key.to_user_string() for key in untold.values())}"
            )
        loaded = len(wanted) - len(failed)
        told = f"{loaded} of {counted(len(wanted), 'stream')} loaded, {counted(rows, 'row')}"
        self.context.log.info(told)
        return failed

    def _is_tried_again(self, failure: dg.Failure | dg.RetryRequested) -> bool:
        if isinstance(failure, dg.RetryRequested):
            return True
        policy = self.retry_policy
        attempts_left = policy is not None and self.context.retry_number < policy.max_retries
        return attempts_left and failure.allow_retries

    def _names(self) -> dict[dg.AssetKey, set[str]]:
        """Return the names by which a run may speak of each stream of the step, selected or not."""
        keys = keys_of_step(self.context)
        return {
            keys[output]: names_of(one.source_name, one.stream, keys[output])
            for output, one in self.by_output.items()
        }

    def _selected(self) -> dict[dg.AssetKey, Binding]:
        keys = self.context.assets_def.keys_by_output_name  # of a subset: those that are selected
        selected = self.context.selected_asset_keys
        return {key: self.by_output[output] for output, key in keys.items() if key in selected}

    def _without_those_done(
        self, selected: Mapping[dg.AssetKey, Binding]
    ) -> Mapping[dg.AssetKey, Binding]:
        """Return the streams that no earlier attempt of this run has materialized."""
        if not self.context.retry_number or not selected:
            return selected
        if self._moves_as_one(next(iter(selected.values())).source_name):
            return selected
        instance, run_id = self.context.instance, self.context.run.run_id
        # What a check holds back is held back by the last attempt, too: it is loaded once more.
        held_back = held_back_in(
            instance,
            run_id,
            {
                dg.AssetCheckKey(key, check.name)
                for key, binding in selected.items()
                for check in checks_of(binding)
                if check.holds_back
            },
        )
        done = materialized_in(instance, run_id) - held_back
        return {key: one for key, one in selected.items() if key not in done}

    def _moves_as_one(self, source: str) -> bool:
        """Return whether the streams share a state that only a read of all of them can move."""
        state = self.destination.stored_source(source).state
        return state is not None and not keeps_streams_apart(state.bookmark)

    def _plan(self, key: dg.AssetKey, binding: Binding) -> StreamPlan:
        names = names_of(binding.source_name, binding.stream, key)
        by_config = matches(self.refreshed, names)
        by_tag = refreshed_by_tag(self.context.run.tags, names)
        writing = binding.writing
        identity = self.destination.identity
        return StreamPlan(
            strategy=writing.strategy,
            full_refresh=by_config or by_tag,
            fallback=lambda: newest_bookmark(self.context.instance, key, identity),
            on_table_changed=writing.on_table_changed,
            adopt=writing.adopt,
            table=self._table(binding),
            on_conflict=writing.on_conflict,
            schema_contract=writing.contract,
            keep_rejected=writing.keep_rejected,
            late_rows=writing.late_rows,
            repeated_keys=writing.repeated_keys,
            checks=checks_of_load(binding),
            partitions=self._partitions(key, binding),
        )

    def _partitions(self, key: dg.AssetKey, binding: Binding) -> Partitions | None:
        definition = self.context.assets_def.specs_by_key[key].partitions_def
        names = partition_names(self.context) if definition is not None else ()
        return partitions_of_run(key, definition, names, binding.writing)

    def _table(self, binding: Binding) -> TableName:
        return binding.table(self.destination)

    def _say(self, key: dg.AssetKey, load: Load, start: Start) -> None:
        if load.partitions is not None:
            name = load.stream.full_name
            self.context.log.info(redact(f"{name}: loads {told(load.partitions)}"))
            return
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
        log_closing(log, binding.stream.full_name, result)
        changed_by = result.last_changed_by
        table = self._table(binding)
        previewed = binding.writing.preview
        metadata = event_metadata(
            log, self.destination, result, outcome.stream, table, previewed=previewed
        )
        # Not by `metadata_by_key`, which Dagster makes anew, of all assets of the step, for each.
        definition = self.context.assets_def.specs_by_key[key].metadata
        with decoration(log, "Describing where the columns come from"):
            own = self.destination.own_columns
            metadata |= lineage_metadata(definition, result.columns, own)
        if result.partition_rows:
            metadata, of_each = metadata_by_partition(metadata, result)
            add_partition_metadata(step_of(self.context), key, of_each)
        return dg.MaterializeResult(
            asset_key=key,
            metadata=metadata,
            data_version=dg.DataVersion(changed_by) if changed_by else None,
            check_results=list(self._evaluations(key, binding, results_of(binding, result))),
        )

    def _evaluations(
        self, key: dg.AssetKey, binding: Binding, results: Sequence[CheckResult]
    ) -> Iterator[dg.AssetCheckResult]:
        selected = self.context.selected_asset_check_keys
        return evaluations(key, checks_of(binding), results, selected)


def _by_stream(wanted: Mapping[dg.AssetKey, Binding]) -> dict[StreamKey, dg.AssetKey]:
    return {binding.stream.key: key for key, binding in wanted.items()}

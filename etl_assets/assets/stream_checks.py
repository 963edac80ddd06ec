"""The checks of a stream as Dagster's: their specs before a run, and what a load has found.

The database evaluates them in the transaction of the load (`destinations/database/checking.py`);
here only the source is asked, for `matches_source`.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import dagster as dg

from etl_assets.assets.bindings import Binding
from etl_assets.assets.markdown import as_markdown, fenced
from etl_assets.assets.options import PREFIX
from etl_assets.checks import Check, MatchesSource
from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.check_alone import check_alone
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.engine.start import Start, StreamPlan, plan_load
from etl_assets.exceptions import ConfigError, EtlAssetsError
from etl_assets.model.checks import CheckResult
from etl_assets.model.load import StreamToRead, SyncResult, refuse_unchecked
from etl_assets.redaction import redact
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import CatalogEntry
from etl_assets.strategies import WriteStrategy


def checks_of(binding: Binding) -> Sequence[Check]:
    """Return the checks of a stream."""
    return binding.options.checked or ()


def checks_of_load(binding: Binding) -> list[Check]:
    """Return those of them that the destination evaluates."""
    return [check for check in checks_of(binding) if not isinstance(check, MatchesSource)]


def refuse_checks(binding: Binding, destination: Destination | None) -> None:
    """Refuse checks that could never be evaluated; asks neither the source nor the destination.

    Raises:
        ConfigError: The destination has no transactions, or the source cannot count.
    """
    checks = checks_of(binding)
    stream = binding.stream
    if not checks:
        return
    if destination is not None:
        refuse_unchecked(checks, destination.capabilities, stream)
    for check in checks:
        counts = type(binding.source).count_records is not Source.count_records
        if isinstance(check, MatchesSource) and not counts:
            raise ConfigError(
                f"stream {stream.full_name!r}: the check {check.name!r} asks for the number of "
                f"rows at the source, and {type(binding.source).__name__} cannot count them.",
                hint="Leave the check out, or override count_records(self, stream, ...).",
                stream=stream.name,
            )


def check_specs(binding: Binding, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the specs of a stream's checks, for the UI to list them before the first run."""
    return [
        dg.AssetCheckSpec(
            check.name,
            asset=key,
            description=_description(check),
            blocking=check.holds_back,
            metadata={f"{PREFIX}gate": True} if check.gate else None,
        )
        for check in checks_of(binding)
    ]


def _description(check: Check) -> str:
    meaning = redact(check.meaning)
    if check.gate:
        meaning = f"{meaning}\n\nIf it fails, the load is rolled back."
    return as_markdown(meaning)


def evaluations(
    key: dg.AssetKey,
    checks: Sequence[Check],
    results: Sequence[CheckResult],
    selected: AbstractSet[dg.AssetCheckKey] | None = None,
) -> Iterator[dg.AssetCheckResult]:
    """Yield what was found, as Dagster's results.

    Args:
        key: Of the stream's asset.
        checks: Of the stream.
        results: What was found; a check without a result is left out.
        selected: The checks that the run wants to hear of; None for all.
    """
    found = {result.name: result for result in results}
    for check in checks:
        result = found.get(check.name)
        is_wanted = selected is None or dg.AssetCheckKey(key, check.name) in selected
        if result is not None and is_wanted:
            yield _evaluation(key, result)


def _evaluation(key: dg.AssetKey, result: CheckResult) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {}
    if result.failing_rows is not None:
        metadata[f"{PREFIX}failing_rows"] = result.failing_rows
    if result.failing_keys:
        metadata[f"{PREFIX}failing_keys"] = dg.MetadataValue.json(list(result.failing_keys))
    if result.query:
        metadata[f"{PREFIX}query"] = dg.MetadataValue.md(fenced(result.query, "sql"))
    for name, figure in result.figures.items():
        metadata[f"{PREFIX}{name}"] = _shown(figure)
    return dg.AssetCheckResult(
        passed=result.passed,
        asset_key=key,
        check_name=result.name,
        severity=dg.AssetCheckSeverity(result.severity),
        description=as_markdown(redact(result.description)),
        metadata=metadata,
    )


def _shown(figure: Any) -> Any:
    return dg.MetadataValue.json(dict(figure)) if isinstance(figure, Mapping) else figure


def results_of(binding: Binding, result: SyncResult) -> list[CheckResult]:
    """Return what the checks of a loaded stream have found.

    The source is asked for its rows where one of them wants that. A check that a destination of
    one's own has left out has failed.
    """
    told = {one.name: one for one in result.checks}
    results = []
    for check in checks_of(binding):
        if isinstance(check, MatchesSource):
            results.append(_matches_source(check, binding, result.rows_in_table))
        elif check.name in told:
            results.append(told[check.name])
        else:
            why = "the destination has said nothing of it."
            results.append(_unevaluated(check, binding.stream.full_name, why))
    return results


def evaluated_alone(
    binding: Binding,
    key: dg.AssetKey,
    destination: Destination,
    selected: AbstractSet[dg.AssetCheckKey],
) -> Iterator[dg.AssetCheckResult]:
    """Yield what checks find in a stream's table as it is, in a run that does not load it.

    Args:
        binding: Of the stream.
        key: Of its asset.
        destination: Where its table is.
        selected: The checks that the run is for.
    """
    wanted = [one for one in checks_of(binding) if dg.AssetCheckKey(key, one.name) in selected]
    if not wanted:
        return
    # What has checks has a database, or a destination of one's own that evaluates them itself.
    if not isinstance(destination, DatabaseDestination):
        raise ConfigError(
            f"stream {binding.stream.full_name!r}: {destination!r} evaluates the check "
            f"{wanted[0].name!r} when it loads, and not by itself.",
            hint="Materialize the stream.",
            stream=binding.stream.name,
        )
    # None of them has anything to stop.
    asked = [replace(one, gate=False) for one in wanted if not isinstance(one, MatchesSource)]
    load = plan_load(
        StreamToRead(binding.source_name, binding.stream),
        destination,
        Start(),
        StreamPlan(checks=asked),
        load_id="",
        settled=WriteStrategy.REPLACE,
    )
    found = check_alone(destination, load)
    results = [
        *found.results,
        *(
            _matches_source(one, binding, found.rows_in_table)
            for one in wanted
            if isinstance(one, MatchesSource)
        ),
    ]
    yield from evaluations(key, wanted, results)


def _matches_source(check: MatchesSource, binding: Binding, rows: int | None) -> CheckResult:
    name = binding.stream.full_name
    try:
        counted = binding.source.count_records(CatalogEntry.of(binding.stream))
    except Exception as error:  # noqa: BLE001 - a custom source may raise anything
        told = error.message if isinstance(error, EtlAssetsError) else repr(error)
        return _unevaluated(check, name, redact(told))
    if counted is None or rows is None:
        side = "source" if counted is None else "destination"
        return _unevaluated(check, name, f"the {side} cannot tell how many rows it has.")
    allowed = f"; a difference of {check.tolerance:.2%} is allowed" if check.tolerance else ""
    return CheckResult(
        name=check.name,
        passed=abs(counted - rows) <= check.tolerance * counted,
        description=f"{counted:,} rows at the source, {rows:,} in the table{allowed}",
        severity=check.severity,
        figures={"rows_at_source": counted, "rows": rows},
    )


def _unevaluated(check: Check, stream: str, why: str) -> CheckResult:
    told = f"stream {stream!r}: the check {check.name!r} could not be evaluated: {why}"
    return CheckResult(name=check.name, passed=False, description=told, evaluated=False)


def held_back_in(
    instance: dg.DagsterInstance, run_id: str, specs: AbstractSet[dg.AssetCheckKey]
) -> set[dg.AssetKey]:
    """Return the assets of which a check that holds back has failed in a run, by its last word.

    Args:
        instance: Where the events are.
        run_id: Of the run.
        specs: The checks that hold back.
    """
    failed: dict[dg.AssetCheckKey, bool] = {}
    wanted = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    cursor: str | None = None
    while True:
        page = instance.get_records_for_run(run_id, of_type=wanted, cursor=cursor)
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event is None:
                continue
            told = event.asset_check_evaluation_data
            is_error = told.severity is dg.AssetCheckSeverity.ERROR
            failed[told.asset_check_key] = not told.passed and is_error
        if not page.has_more:
            return {key.asset_key for key, wrong in failed.items() if wrong and key in specs}
        cursor = page.cursor

"""What to say if the destination's state and Dagster's events differ, and which of them counts."""

import dagster as dg

from etl_assets.assets.bookmarks import newest_event
from etl_assets.engine.start import Start
from etl_assets.redaction import redact


def explain_missing_event(
    instance: dg.DagsterInstance, key: dg.AssetKey, start: Start, log: dg.DagsterLogManager
) -> None:
    """Log why the event of the last load is missing, if it is.

    The destination's state rules all the same.

    Args:
        instance: Where events are.
        key: Of the asset.
        start: Where the sync begins; has a state.
        log: Of the run.
    """
    state = start.state
    if state is None or start.full_refresh or start.given:
        return
    event = newest_event(instance, key)
    if event is not None and event.load_id == state.load_id:
        return
    name = key.to_user_string()
    goes_on = "It goes on from the state in the destination, which is what was really loaded."
    if not state.run_id or not instance.has_run(state.run_id):
        elsewhere = f"run {state.run_id}, which this Dagster instance does not know"
        who = elsewhere if state.run_id else "no run of Dagster (a script, or `etl-assets state`)"
        log.info(redact(f"{name} was last changed by {who}. {goes_on}"))
        return
    if event is None and _is_in_log_of_run(instance, state.run_id, key):
        wiped = f"The events of {name} were wiped, but its table and state were not. {goes_on}"
        log.warning(redact(f"{wiped} To load everything anew, launch it with `full_refresh`."))
    elif event is None or event.run_id != state.run_id:
        ended = (
            f"Run {state.run_id} loaded {name} and ended before it could say so: "
            "its event is missing."
        )
        log.warning(redact(f"{ended} {goes_on}"))


def _is_in_log_of_run(instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey) -> bool:
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    entries = (record.event_log_entry for record in found.records)
    return any(
        entry.dagster_event is not None and entry.dagster_event.asset_key == key
        for entry in entries
    )

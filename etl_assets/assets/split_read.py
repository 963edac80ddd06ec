"""What the last step of a split hands over: ranges that are staged, and are to be published."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from etl_assets.assets.options import Writing
from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.engine.start import Start, StreamPlan, plan_load
from etl_assets.model.checks import LoadCheck
from etl_assets.model.load import SyncResult
from etl_assets.model.stored import StreamState, TableName
from etl_assets.sources.read import StreamRead
from etl_assets.strategies import WriteStrategy


@dataclass(frozen=True)
class SplitRead:
    """The ranges of a load, which its last step publishes.

    Args:
        read: The read of the whole stream.
        load_id: Of the load.
    """

    read: StreamRead
    load_id: str


def published_before(
    split: SplitRead, destination: Destination, table: TableName
) -> SyncResult | None:
    """Return what an attempt has published that was ended between its COMMIT and its event.

    None where there was no such attempt.
    """
    read = split.read
    previous = _stored(split, destination, table)
    if previous is None or previous.load_id != split.load_id:
        return None
    result = SyncResult(read.stream.name, read.source_name, split.load_id, WriteStrategy.REPLACE)
    result.bookmark = previous.bookmark
    result.columns = previous.columns
    result.table = str(table)
    result.records_read = result.records_loaded = result.rows_in_table = previous.rows_in_table
    result.last_changed_by = previous.changed_by
    return result


def published(
    split: SplitRead,
    destination: Destination,
    table: TableName,
    writing: Writing,
    run_id: str,
    checks: Sequence[LoadCheck],
) -> SyncResult:
    """Publish the ranges of a split, and return what all of its steps did.

    Raises:
        CheckFailedError: One of the checks is a gate, and has failed.
    """
    from etl_assets.destinations.database.split import publish_split

    assert isinstance(destination, DatabaseDestination)  # noqa: S101 - its first step has seen it
    read = split.read
    previous = _stored(split, destination, table)
    load = plan_load(
        read,
        destination,
        Start(),  # the plan knows from which state row the ranges began
        StreamPlan(
            table=table, adopt=writing.adopt, schema_contract=writing.contract, checks=checks
        ),
        run_id=run_id,
        load_id=split.load_id,
        settled=WriteStrategy.REPLACE,
    )
    result = SyncResult(read.stream.name, read.source_name, split.load_id, WriteStrategy.REPLACE)
    plan, committed = publish_split(destination, load)
    result.account(committed)
    result.records_read = committed.rows_loaded
    result.bytes_loaded = plan.staged_bytes or 0  # they were staged by other steps
    result.bookmark = plan.bookmark
    result.bookmark_previous = previous.bookmark if previous else None
    result.duration_seconds = (datetime.now(UTC) - plan.planned_at).total_seconds()
    return result


def _stored(split: SplitRead, destination: Destination, table: TableName) -> StreamState | None:
    return destination.stored(split.read.source_name, split.read.stream, table=table).state

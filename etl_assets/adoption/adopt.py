"""Taking over a table that another tool has made, with the bookmark up to which it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from etl_assets.caches.takeover import fit_types
from etl_assets.constants import AB_EXTRACTED_AT_COLUMN
from etl_assets.destinations.database.bookkeeping import relax
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.ownership import lock_name
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.engine.start import new_load_id
from etl_assets.exceptions import ConcurrentSyncError
from etl_assets.model.stored import Bookmark, SharedState, StreamState, TableName
from etl_assets.model.stream import Stream


@dataclass(frozen=True)
class Adoption:
    """One stream whose table is taken over.

    Args:
        source: The name under which its state is stored.
        stream: The stream.
        table: The table.
        bookmark: Up to where it was read.
        state: What is stored of the stream already; None where nothing is.
    """

    source: str
    stream: Stream
    table: TableName
    bookmark: Bookmark | None
    state: StreamState | None = None


def adopt(destination: DatabaseDestination, adoption: Adoption) -> list[str]:
    """Make a table the stream's own, and store its bookmark, in one transaction.

    Returns:
        The bookkeeping columns that had to be made to take NULL.

    Raises:
        ConcurrentSyncError: The stream was synced meanwhile.
    """
    with destination.transaction() as tx:
        ledger = destination.ledger(tx)
        ledger.create()
        return _adopt(tx, ledger, destination, adoption)


def adopt_shared(
    destination: DatabaseDestination,
    source: str,
    shared: Mapping[str, Any],
    adoptions: list[Adoption],
) -> list[str]:
    """Make the tables of streams their own, and store the state that they share.

    All of it is one transaction: a state that all streams share must not be there without one of
    them.

    Returns:
        The bookkeeping columns that had to be made to take NULL.
    """
    with destination.transaction() as tx:
        ledger = destination.ledger(tx)
        ledger.create()
        relaxed = [
            name
            for one in adoptions
            for name in _adopt(tx, ledger, destination, replace(one, bookmark=None))
        ]
        current = next((one for one in ledger.source_states(source) if one.shared), None)
        state = SharedState(source, new_load_id(), bookmark=shared)
        if current is not None:
            state = replace(state, begins_from=current.load_id)
        ledger.save_shared(state, datetime.now(UTC))
    return relaxed


def _adopt(
    tx: Transaction, ledger: Ledger, destination: DatabaseDestination, adoption: Adoption
) -> list[str]:
    stream, table = adoption.stream, adoption.table
    tx.lock(lock_name(adoption.source, stream, ""))
    found = ledger.state(adoption.source, stream)
    if (found and found.load_id) != (adoption.state and adoption.state.load_id):
        raise ConcurrentSyncError(
            f"stream {stream.name!r} was synced meanwhile; its bookmark was not changed.",
            hint="Nothing is lost: the next run goes on from there.",
            stream=stream.name,
        )
    if found is not None:
        ledger.set_bookmark(found, adoption.bookmark, new_load_id())
        return []
    if AB_EXTRACTED_AT_COLUMN in tx.type_names(table):
        fit_types(tx, destination, table, stream)
    relaxed = relax(tx, table)
    load_id = new_load_id()
    ledger.adopt(
        StreamState(
            source=adoption.source,
            namespace=stream.namespace or "",
            stream=stream.name,
            partition="",
            load_id=load_id,
            run_id="",
            bookmark=adoption.bookmark,
            committed_at=datetime.now(UTC),
            table=table,
            rows_in_table=tx.count(table),
            changed_by=load_id,
        )
    )
    return relaxed

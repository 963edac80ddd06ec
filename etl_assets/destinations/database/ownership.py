"""Whose a table is: where a stream's table lies, who may write to it, and whether it was changed.

A table is a stream's *own* if the ledger says that the stream was loaded into it. Any other table
is *foreign* to the stream: it is not written to, unless the user has it *adopted* (`adopt=True`).
An own table is *changed* if it is not as the last load has left it. The columns that a load adds
to those of the rows are *our own* columns.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.ledger_partitions import joined_state
from etl_assets.destinations.database.places import base_name
from etl_assets.destinations.database.state_rows import sound
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.exceptions import DestinationError, UnsupportedWriteError
from etl_assets.model.bookmarks.given import side_of
from etl_assets.model.load import Load
from etl_assets.model.stored import (
    Bookmark,
    Stored,
    StoredPartitions,
    StoredSource,
    StreamState,
    TableName,
)
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    from etl_assets.destinations.database.interface import Database

StreamId = tuple[str, str, str]
"""How the ledger knows an owner: source, namespace ("" for none) and name of the stream."""


def own_table(
    ledger: Ledger, database: "Database", source: str, stream: Stream, wanted: TableName | None
) -> TableName:
    """Return the table of a stream by what the ledger says.

    A stream keeps the table that it was loaded into. A new stream whose table already belongs to
    another stream of its source gets a table with a hash in its name. Both hold for names that are
    made here; a table that the stream's options name is taken as it is.

    Args:
        ledger: The database's ledger, which has to exist.
        database: The destination.
        source: The name under which the source is stored.
        stream: The stream.
        wanted: The table it is to have; None for the database's default.
    """
    usual = database.table_for(base_name(source), stream)
    wanted = wanted or database.table_for(source, stream)
    plain = TableName(usual.name, wanted.schema)
    by_hash = plain.hashed(stream.full_name, database.capabilities.max_identifier_bytes)
    made_here = {plain, by_hash}
    if wanted not in made_here:
        return wanted
    state = ledger.state(source, stream) or ledger.table_state(source, stream)
    if state is not None:
        return state.table if state.table in made_here else wanted
    return by_hash if _is_taken(ledger, source, stream, wanted) else wanted


def _is_taken(ledger: Ledger, source: str, stream: Stream, table: TableName) -> bool:
    """Return whether another stream of the same source has a table."""
    owner = ledger.owner(table)
    if owner is not None and owner[0] == source and owner[1:] != stream.key:
        return True
    # Engines compare names without regard to case.
    return any(one.folded == table.folded for one in ledger.source_tables(source))


def lock_name(source: str, stream: Stream, partition: str) -> str:
    """Return the name of the lock under which a stream's table and state are written."""
    return f"{source}\0{stream.namespace or ''}\0{stream.name}\0{partition}"


def check_owner(tx: Transaction, ledger: Ledger, load: Load, table: TableName) -> None:
    """Refuse to write to a foreign table that is not to be adopted, or to one that is not safe.

    Raises:
        DestinationError: The table is foreign. The error names its owner.
        UnsupportedWriteError: What is written to the table could not be rolled back.
    """
    problem = why_foreign(tx, ledger, _key(load.source, load.stream), table)
    if problem and not load.adopt:
        raise DestinationError(
            f"stream {load.stream.name!r}: {problem}.",
            hint="Choose another table, or take this one over with adopt=True.",
            stream=load.stream.name,
        )
    unsafe = tx.unsafe(table)
    if unsafe:
        raise UnsupportedWriteError(
            f"stream {load.stream.name!r}: {unsafe}", stream=load.stream.name
        )


def why_foreign(tx: Transaction, ledger: Ledger, stream: StreamId, table: TableName) -> str | None:
    """Return why a table is foreign to a stream, or None if the stream may write to it."""
    if not tx.exists(table):
        return None
    owner = ledger.owner(table)
    if owner is None:
        return None if tx.left_empty(table) else _nobody_knows(tx, table)
    if owner == stream:
        return None
    if owner[0] == stream[0]:
        return (
            f"the table {tx.quoted(table)} is that of another stream of the same source, "
            f"{owner[2]!r}: two of its streams have one table name (give one its own: "
            f'options={{"{stream[2]}": {{"table": "{table.schema or "schema"}.another_name"}}}})'
        )
    return (
        f"the table {tx.quoted(table)} belongs to stream {owner[2]!r} of source {owner[0]!r}, not "
        f"to {stream[2]!r} of {stream[0]!r} (was the source renamed? "
        f"`etl-assets state rename {owner[0]} {stream[0]}`)"
    )


def _nobody_knows(tx: Transaction, table: TableName) -> str:
    return f"the table {tx.quoted(table)} exists and was not made by this library"


def _key(source: str, stream: Stream) -> StreamId:
    return source, stream.namespace or "", stream.name


def look_up(
    tx: Transaction, ledger: Ledger, source: str, stream: Stream, table: TableName, partition: str
) -> Stored:
    """Return what is stored of a stream: its state row, and what is wrong with its table."""
    found = _looked_up(tx, ledger, source, stream, table, partition)
    unsafe = tx.unsafe(table)
    if not unsafe and ledger.exists():
        unsafe = ledger.unsafe()
    return replace(found, unsafe=unsafe) if unsafe else found


def _looked_up(
    tx: Transaction, ledger: Ledger, source: str, stream: Stream, table: TableName, partition: str
) -> Stored:
    if not ledger.exists():
        return Stored(foreign=_nobody_knows(tx, table) if tx.exists(table) else None)
    problem = why_foreign(tx, ledger, _key(source, stream), table)
    if problem:
        return Stored(foreign=problem)
    state = ledger.state(source, stream, partition)
    partitions = _partitions(ledger, source, stream, state) if not partition else []
    joined = state or joined_state(partitions)
    if joined is None:
        return Stored(reset=tx.exists(table) and not ledger.knows(source, stream))
    if joined.table != table:
        here, there = tx.quoted(joined.table), tx.quoted(table)
        changed: str | None = f"its rows are in {here}, and are now to go to {there}"
    else:
        changed = _what_changed(tx, joined if state else replace(joined, rows_in_table=0))
    return Stored(
        state,
        problem=changed,
        by_partition=bool(partitions),
        of_partitions=_largest_bookmark(partitions, stream),
    )


def _partitions(
    ledger: Ledger, source: str, stream: Stream, state: StreamState | None
) -> list[StreamState]:
    """Return the state rows of a stream's partitions, where they make a difference to its sync.

    They make none to a stream that goes on from a bookmark of its own, and whose rows are merged.
    """
    has_key = bool(stream.primary_key or stream.unique_constraints)
    if state is not None and (has_key or not stream.cursor):
        return []
    return [one for one in ledger.stream_states(source, stream) if one.partition]


def _largest_bookmark(partitions: Sequence[StreamState], stream: Stream) -> Bookmark | None:
    """Return the bookmark up to which the partitions of a stream were read; None for unknown."""
    largest: Bookmark | None = None
    for one in partitions:
        if one.bookmark is None:  # it had no rows, or is none of the replication key
            continue
        side = "ahead" if largest is None else side_of(one.bookmark, largest, stream)
        if side == "unknown":
            return None
        if side == "ahead":
            largest = one.bookmark
    return largest


def look_up_partitions(
    tx: Transaction,
    ledger: Ledger,
    source: str,
    stream: Stream,
    table: TableName,
    names: Sequence[str],
) -> StoredPartitions:
    """Return what is known of a stream that is loaded by partition, and of these partitions."""
    unsafe = tx.unsafe(table)
    if not ledger.exists():
        unknown = _nobody_knows(tx, table) if tx.exists(table) else None
        return StoredPartitions(Stored(foreign=unknown, unsafe=unsafe), {})
    unsafe = unsafe or ledger.unsafe()
    problem = why_foreign(tx, ledger, _key(source, stream), table)
    if problem:
        return StoredPartitions(Stored(foreign=problem, unsafe=unsafe), {})
    state = ledger.table_state(source, stream)
    changed = None
    if state is not None and state.table != table:
        here, there = tx.quoted(state.table), tx.quoted(table)
        changed = f"its rows are in {here}, and are now to go to {there}"
    elif state is not None:
        # The table may be empty: partitions that were loaded again can have no rows.
        changed = _what_changed(tx, replace(state, rows_in_table=0))
    states = ledger.partition_states(source, stream, names)
    load_ids = {name: one.load_id for name, one in states.items()}
    return StoredPartitions(Stored(state, problem=changed, unsafe=unsafe), load_ids)


def loaded_columns(ledger: Ledger, table: TableName) -> dict[str, str]:
    """Return the column of each field that was loaded into a table, as far as the ledger knows."""
    owner = ledger.owner(table) if ledger.exists() else None
    if owner is None:
        return {}
    source, namespace, name = owner
    state = ledger.table_state(source, Stream(name, namespace=namespace or None))
    return {} if state is None else {one.name: one.physical for one in state.columns}


def look_up_source(ledger: Ledger, source: str, partition: str) -> StoredSource:
    """Return what is stored of a whole source: its shared state, and which streams were loaded."""
    if not ledger.exists():
        return StoredSource()
    states = ledger.source_states(source, partition)
    streams = frozenset((one.namespace, one.stream) for one in states if not one.shared)
    shared = next((one for one in states if one.shared), None)
    if shared is None:
        return StoredSource(None, streams)
    return StoredSource(sound(shared), streams, ledger.partitioned(source))


def _what_changed(tx: Transaction, state: StreamState) -> str | None:
    """Return what someone else did to an own table since its last load, or None."""
    table = tx.quoted(state.table)
    if not tx.exists(state.table):
        return f"the table {table} is gone, though {state.rows_in_table} rows were loaded into it"
    if state.rows_in_table and not tx.has_rows(state.table):
        return f"the table {table} is empty, though its ledger says {state.rows_in_table} rows"
    types = tx.type_names(state.table)
    for column in state.columns:
        type_ = types.get(column.physical)
        if type_ is None:
            return f'the column "{column.physical}" of the table {table} is gone'
        if type_ != column.type:
            return (
                f'the column "{column.physical}" of the table {table} is now {type_}, '
                f"and was {column.type}"
            )
    return None

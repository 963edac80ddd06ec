"""What is known of a stream's table: where it is, whose it is, and whether it is as the last load has left it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.places import base_name
from etl_assets.destinations.database.state_rows import sound
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.exceptions import DestinationError, UnsupportedWriteError
from etl_assets.model.load import Load
from etl_assets.model.stored import Stored, StoredSource, StreamState, TableName
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    from etl_assets.destinations.database.interface import Database


def table_in(
    ledger: Ledger, database: "Database", source: str, stream: Stream, wanted: TableName | None
) -> TableName:
    """Return the table of a stream by what the ledger knows.

    A stream keeps the table that it was loaded into. A new one whose table another stream of its
    source holds gets another, as columns do. Both is about tables that nobody has named: what the
    stream's options say rules.

    Args:
        ledger: Of the database; it is there.
        database: The destination.
        source: The name under which the source is stored.
        stream: The stream.
        wanted: Its table as it is to be; None for the database's default.
    """
    usual = database.table_for(base_name(source), stream)
    wanted = wanted or database.table_for(source, stream)
    plain = TableName(usual.name, wanted.schema)
    by_hash = plain.hashed(stream.full_name, database.capabilities.max_identifier_bytes)
    unnamed = {plain, by_hash}
    if wanted not in unnamed:
        return wanted
    state = ledger.state(source, stream)
    if state is not None:
        return state.table if state.table in unnamed else wanted
    owner = ledger.owner(wanted)
    held = owner is not None and owner[0] == source and owner[1:] != stream.key
    # Engines compare names without regard to case.
    others = (one.table.folded for one in ledger.source_states(source) if not one.shared)
    return by_hash if held or wanted.folded in others else wanted


def lock_name(source: str, stream: Stream, partition: str) -> str:
    """Return the name of the lock under which a stream's table and state are written."""
    return f"{source}\0{stream.namespace or ''}\0{stream.name}\0{partition}"


def check_owner(tx: Transaction, ledger: Ledger, load: Load, table: TableName) -> None:
    """Refuse to write to a table that is not this stream's.

    Raises:
        DestinationError: Names the owner.
        UnsupportedWriteError: What is written to it could not be rolled back.
    """
    problem = foreign(
        tx, ledger, (load.source, load.stream.namespace or "", load.stream.name), table
    )
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


def foreign(
    tx: Transaction, ledger: Ledger, stream: tuple[str, str, str], table: TableName
) -> str | None:
    """Return why a table is not a stream's (source, namespace, name) to write to, or None."""
    if not tx.exists(table):
        return None
    owner = ledger.owner(table)
    if owner is None:
        if tx.left_empty(table):
            return None
        return f"the table {tx.quoted(table)} exists and was not made by this library"
    if owner != stream and owner[0] == stream[0]:
        return (
            f"the table {tx.quoted(table)} is that of another stream of the same source, {owner[2]!r}: two of its "
            f"streams have one table name (give one its own: "
            f'options={{"{stream[2]}": {{"table": "{table.schema or "schema"}.another_name"}}}})'
        )
    if owner != stream:
        return (
            f"the table {tx.quoted(table)} belongs to stream {owner[2]!r} of source {owner[0]!r}, not to {stream[2]!r} "
            f"of {stream[0]!r} (was the source renamed? `etl-assets state rename {owner[0]} {stream[0]}`)"
        )
    return None


def look_up(
    tx: Transaction, ledger: Ledger, source: str, stream: Stream, table: TableName, partition: str
) -> Stored:
    """Return what is known of a stream: its state row, and whether its table is as the ledger says."""
    found = _looked_up(tx, ledger, source, stream, table, partition)
    unsafe = tx.unsafe(table) or (ledger.unsafe() if ledger.exists() else None)
    return replace(found, unsafe=unsafe) if unsafe else found


def _looked_up(
    tx: Transaction, ledger: Ledger, source: str, stream: Stream, table: TableName, partition: str
) -> Stored:
    key = (source, stream.namespace or "", stream.name)
    if not ledger.exists():
        return Stored(foreign=_unknown(tx, table))
    problem = foreign(tx, ledger, key, table)
    if problem:
        return Stored(foreign=problem)
    state = ledger.state(source, stream, partition)
    if state is None:
        return Stored(reset=tx.exists(table) and not ledger.knows(source, stream))
    if state.table != table:
        return Stored(
            state,
            problem=f"its rows are in {tx.quoted(state.table)}, and are now to go to {tx.quoted(table)}",
        )
    return Stored(state, problem=_changed(tx, state))


def look_up_source(ledger: Ledger, source: str, partition: str) -> StoredSource:
    """Return what is known of a whole source: its shared state, and which of its streams were loaded."""
    if not ledger.exists():
        return StoredSource()
    states = ledger.source_states(source, partition)
    streams = frozenset((one.namespace, one.stream) for one in states if not one.shared)
    return StoredSource(next((sound(one) for one in states if one.shared), None), streams)


def _unknown(tx: Transaction, table: TableName) -> str | None:
    if not tx.exists(table):
        return None
    return f"the table {tx.quoted(table)} exists and was not made by this library"


def _changed(tx: Transaction, state: StreamState) -> str | None:
    """Return what someone else did to a table since its last load."""
    if not tx.exists(state.table):
        return f"the table {tx.quoted(state.table)} is gone, though {state.rows_in_table} rows were loaded into it"
    if state.rows_in_table and not tx.has_rows(state.table):
        return f"the table {tx.quoted(state.table)} is empty, though its ledger says {state.rows_in_table} rows"
    types = tx.type_names(state.table)
    for column in state.columns:
        if column.physical not in types:
            return f'the column "{column.physical}" of the table {tx.quoted(state.table)} is gone'
        if types[column.physical] != column.type:
            return (
                f'the column "{column.physical}" of the table {tx.quoted(state.table)} is now '
                f"{types[column.physical]}, and was {column.type}"
            )
    return None

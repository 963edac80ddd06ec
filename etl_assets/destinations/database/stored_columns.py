"""What the state row of a stream says of its table's columns."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from etl_assets.destinations.database.transaction import Transaction
from etl_assets.model.stored import Column, StreamState, TableName
from etl_assets.model.stream import Stream


def known_columns(state: StreamState | None) -> dict[str, str]:
    """Return the column of each field that was loaded before."""
    if state is None:
        return {}
    return {column.name: column.physical for column in state.columns}


def columns_if_kept(
    tx: Transaction,
    stream: Stream,
    state: StreamState,
    fields: Sequence[str],
    own_columns: Collection[str],
) -> list[Column] | None:
    """Return the columns of a stream's table, or None if it lacks one.

    Args:
        tx: Where the table is.
        stream: The stream.
        state: Its state row.
        fields: The fields that need a column.
        own_columns: Our own columns.
    """
    types = tx.type_names(state.table)
    known = {name: column for name, column in known_columns(state).items() if column in types}
    lacks_own = not types.keys() >= set(own_columns)
    if not known or lacks_own or not known.keys() >= set(fields):
        return None
    return columns_after(tx, stream, state.table, {name: known[name] for name in fields}, state)


def columns_after(
    tx: Transaction,
    stream: Stream,
    table: TableName,
    fields: Mapping[str, str],
    state: StreamState | None,
) -> list[Column]:
    """Return a table's columns after a load, for the state row.

    The columns of the load's fields come first, then those that earlier loads have made.

    Args:
        tx: Where the table is.
        stream: The stream.
        table: Its table.
        fields: The column of each field of the load.
        state: The stream's state row before the load.
    """
    types = tx.type_names(table)
    # A column that is not there was left out by the contract of a load without rows.
    columns = [
        _column(stream, name, physical, types[physical])
        for name, physical in fields.items()
        if physical in types
    ]
    before = state.columns if state else ()
    kept = [one for one in before if one.name not in fields and one.physical in types]
    return columns + kept


def _column(stream: Stream, name: str, physical: str, type_name: str) -> Column:
    properties: Mapping[str, Any] = (stream.schema or {}).get("properties") or {}
    declared = properties.get(name)
    if not isinstance(declared, Mapping):
        declared = {}
    description = declared.get("description")
    if physical != name:
        description = f"{description or ''} (field {name!r})".strip()
    allowed = declared.get("type")
    nullable = allowed is None or "null" in allowed
    return Column(name, physical, type_name, nullable, description)

"""Tables that PyAirbyte has made.

Its own two tables beside them say which these are, and how far they were read.

`_airbyte_streams` names the table of each stream, `_airbyte_state` its state. Both are in the
cache's schema, and are
only read: once a table is adopted, the ledger has its state.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from etl_assets.constants import AB_EXTRACTED_AT_COLUMN
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.engine.start import new_load_id
from etl_assets.model.batch import declared_schema
from etl_assets.model.stored import Bookmark, SharedState, StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import normalise, quote

if TYPE_CHECKING:
    import pyarrow as pa

STREAMS_TABLE = "_airbyte_streams"
STATE_TABLE = "_airbyte_state"
INTERNAL = "_airbyte_"
"""The names of all tables of PyAirbyte's own begin so."""
_OF_ALL = ("_GLOBAL", "_LEGACY")


@dataclass(frozen=True)
class Registered:
    """What PyAirbyte says of one table.

    Args:
        stream: The stream's name.
        table: The table's name before it was normalised: the prefix and the stream.
        source: Whose state there is, such as `source-faker`; None where there is none.
        state: The state message.
        updated: When PyAirbyte has written that state.
    """

    stream: str
    table: str
    source: str | None = None
    state: Any = None
    updated: datetime | None = None

    def is_of(self, prefix: str) -> bool:
        """Return whether it is of a cache with this prefix."""
        return self.table == f"{prefix}{self.stream}"

    @property
    def bookmark(self) -> Bookmark | None:
        """The stream's own state."""
        return ((self.state or {}).get("stream") or {}).get("stream_state")

    def is_newer(self, known: StreamState) -> bool:
        """Return whether PyAirbyte has read into the table after what the ledger knows of it."""
        if self.at is None or self.bookmark is None:
            return False
        return self.at > known.committed_at and self.bookmark != known.bookmark

    @property
    def at(self) -> datetime | None:
        """When PyAirbyte has written the state, in UTC."""
        if self.updated is None:
            return None
        return (
            self.updated
            if self.updated.utcoffset() is not None
            else self.updated.replace(tzinfo=UTC)
        ).astimezone(UTC)


def registered(tx: Transaction, schema: str) -> list[Registered]:
    """Return what PyAirbyte says of the tables in a schema; [] where it was never there."""
    streams, states = TableName(STREAMS_TABLE, schema), TableName(STATE_TABLE, schema)
    found: dict[str, Registered] = {}
    if tx.exists(streams):
        # Its `source_name` is not asked: it is the name of the cache's class there.
        rows = tx.execute(f"SELECT stream_name, table_name FROM {tx.quoted(streams)} ORDER BY 1, 2")
        found = {table: Registered(stream, table) for stream, table in rows}
    if tx.exists(states):
        rows = tx.execute(
            "SELECT stream_name, table_name, source_name, state_json, last_updated "
            f"FROM {tx.quoted(states)} ORDER BY 1, 2"
        )
        for stream, table, source, text, updated in rows:
            found[table] = Registered(
                stream, table, source, json.loads(text) if text else None, _moment(updated)
            )
    return list(found.values())


def take_over(
    cache: Any, source: Any, stored_as: str, streams: Sequence[Stream]
) -> dict[str, Bookmark | None]:
    """Adopt the tables that PyAirbyte has made for streams of a source, with their states.

    Args:
        cache: Where they are.
        source: The source.
        stored_as: The name under which its state is stored here.
        streams: Streams of which nothing is stored here.

    Returns:
        The bookmark of each stream whose table was adopted, by the stream's name.
    """
    destination = cache.destination
    if not streams or not destination.exists():
        return {}
    with destination.transaction() as tx:
        rows = _of_source(tx, cache, source)
        mine = {row.stream: row for row in rows if row.is_of(cache.table_prefix or "")}
        if not mine:
            return {}
        ledger = destination.ledger(tx)
        ledger.create()
        taken: dict[str, Bookmark | None] = {}
        for stream in streams:
            table = cache.place_of(source.state_name, stream)
            if stream.name in mine and tx.exists(table) and ledger.owner(table) is None:
                fit_types(tx, destination, table, stream)
                ledger.adopt(_as_ours(tx, stored_as, stream, table, mine[stream.name].bookmark))
                taken[stream.name] = mine[stream.name].bookmark
        if taken:
            _take_shared(ledger, stored_as, [row for row in rows if row.stream in _OF_ALL])
    return taken


def catch_up(cache: Any, source: Any, streams: Sequence[StreamState]) -> dict[str, Bookmark]:
    """Take the states of streams that PyAirbyte has read since they were read here.

    What it has loaded since would come twice otherwise; and of a table that it has made anew, rows
    might never come.

    Args:
        cache: Where they are.
        source: The source.
        streams: What is stored here.

    Returns:
        The new bookmarks, by the streams' names.
    """
    destination = cache.destination
    if not streams:
        return {}
    with destination.transaction() as tx:
        rows = {
            row.stream: row
            for row in _of_source(tx, cache, source)
            if row.is_of(cache.table_prefix or "")
        }
        newer = [
            state
            for state in streams
            if state.stream in rows and rows[state.stream].is_newer(state)
        ]
        if newer:
            ledger = destination.ledger(tx)
            for state in newer:
                ledger.set_bookmark(
                    state, rows[state.stream].bookmark, new_load_id(), read_at=rows[state.stream].at
                )
    return {
        state.stream: bookmark
        for state in newer
        if (bookmark := rows[state.stream].bookmark) is not None
    }


def _of_source(tx: Transaction, cache: Any, source: Any) -> list[Registered]:
    """Return what PyAirbyte says of a source's tables, and of those it names no source of."""
    names = {source.name, getattr(source, "connector_name", None), source.state_name} - {None}
    words = {None, *map(normalise, names)}
    return [
        row
        for row in registered(tx, cache.schema_name)
        if (row.source and normalise(row.source)) in words
    ]


def _moment(stored: Any) -> datetime | None:
    """Return a time as a database gives it, in some of them as a text."""
    if isinstance(stored, str):
        try:
            return datetime.fromisoformat(stored)
        except ValueError:
            return None
    return stored if isinstance(stored, datetime) else None


def fit_types(tx: Transaction, destination: Any, table: TableName, stream: Stream) -> None:
    """Give columns the types that they would have been made with, where every value stays as it is.

    PyAirbyte keeps times in UTC without saying so, and numbers with nine decimals: beside what is
    read from now on, both would become text.
    """
    import pyarrow as pa

    declared = declared_schema(stream) or pa.schema([])
    physical = destination.column_identifiers(declared.names, {}, destination.own_columns)
    wanted = {physical[field.name]: tx.stored_type(field.type) for field in declared}
    wanted |= {AB_EXTRACTED_AT_COLUMN: tx.stored_type(pa.timestamp("us", "UTC"))}
    for field in tx.schema(table) or ():
        new = wanted.get(field.name)
        if new is None:
            continue
        in_utc = (
            pa.types.is_timestamp(field.type)
            and pa.types.is_timestamp(new)
            and new.tz
            and not field.type.tz
        )
        as_double = pa.types.is_decimal(field.type) and pa.types.is_float64(new)
        if in_utc or (as_double and _fits_double(tx, table, field)):
            tx.widen_column(table, field.name, field.type, new)


def _fits_double(tx: Transaction, table: TableName, field: "pa.Field") -> bool:
    """Return whether all decimals of a column are the shortest texts of doubles."""
    import pyarrow as pa

    name, exact = quote(field.name), tx.type_name(field.type)
    there_and_back = f"CAST(CAST({name} AS {tx.type_name(pa.float64())}) AS {exact})"
    return not tx.count(table, f"{there_and_back} <> {name}")


def _as_ours(
    tx: Transaction, source: str, stream: Stream, table: TableName, bookmark: Bookmark | None
) -> StreamState:
    load_id = new_load_id()
    return StreamState(
        source=source,
        namespace=stream.namespace or "",
        stream=stream.name,
        partition="",
        load_id=load_id,
        run_id="",
        bookmark=bookmark,
        committed_at=datetime.now(UTC),
        table=table,
        rows_in_table=tx.count(table),
        changed_by=load_id,
    )


def _take_shared(ledger: Ledger, source: str, rows: Sequence[Registered]) -> None:
    """Take the state of a whole source over, where the ledger has none."""
    message = next((row.state for row in rows if row.state), None)
    given = (message or {}).get("global") or (message or {}).get("global_")
    if given is None or any(state.shared for state in ledger.source_states(source)):
        return
    shared = SharedState(source, new_load_id(), bookmark={"type": "GLOBAL", "global": given})
    ledger.save_shared(shared, datetime.now(UTC))

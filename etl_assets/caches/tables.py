"""Which tables a cache has: those of the streams that were read into it, and any other there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl_assets.caches.takeover import INTERNAL, registered
from etl_assets.destinations.database.places import Place, base_name
from etl_assets.exceptions import InputError, StreamNotFoundError
from etl_assets.model.stored import StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import OWN_TABLES


@dataclass(frozen=True)
class CacheTables:
    """The tables of a cache.

    Args:
        cache: For people.
        tables: By the stream's name; of a table that is none's, by its own.
        states: What is stored of those that were read, by stream.
        twice: Streams of one name that several sources have here.
    """

    cache: str
    tables: Mapping[str, TableName]
    states: Mapping[str, StreamState]
    twice: Mapping[str, list[StreamState]]

    @property
    def names(self) -> list[str]:
        """The names of the streams."""
        return list(self.tables)

    def of(self, stream: Any) -> TableName:
        """Return the table of a stream.

        Raises:
            InputError: Several sources have a stream of this name.
            StreamNotFoundError: There is none.
        """
        if not isinstance(stream, str):
            raise self._missing(stream)
        if stream in self.twice:
            states = self.twice[stream]
            sources = ", ".join(repr(_called(state)) for state in states)
            raise InputError(
                f"The cache has {len(states)} streams {stream!r}: of {sources}.",
                hint="Give each source a cache, or a table_prefix, of its own.",
                stream=stream,
            )
        if stream not in self.tables:
            raise self._missing(stream)
        return self.tables[stream]

    def _missing(self, stream: Any) -> StreamNotFoundError:
        return StreamNotFoundError(
            f"Nothing was read into {self.cache} as {stream!r}, and it has no table of this name.",
            available_streams=self.names,
            stream=stream,
        )


def tables_of(cache: Any) -> CacheTables:
    """Return the tables of a cache as they are now."""
    destination = cache.destination
    if not destination.exists():
        return CacheTables(repr(cache), {}, {}, {})
    with destination.transaction() as tx:
        ledger = destination.ledger(tx)
        rows = [state for state in ledger.states() if not state.shared] if ledger.exists() else []
        theirs = registered(tx, cache.schema_name)
        usual = destination.table_for("", Stream("x"))
        there = tx.tables(usual.schema)
    mine = [row for row in rows if Place(destination, base_name(row.source)).holds(row)]
    by_name: dict[str, list[StreamState]] = {}
    for row in mine:
        by_name.setdefault(row.stream, []).append(row)
    tables = {name: found[0].table for name, found in by_name.items()}
    taken = {row.table.name for row in rows if row.table.schema == usual.schema}
    for one in theirs:
        table = destination.table_for("", Stream(one.stream))
        if table.name in there and table.name not in taken and one.is_of(cache.table_prefix or ""):
            tables.setdefault(one.stream, table)
        taken.add(destination.identifier(one.table))
    beginning = usual.name.removesuffix("x")
    for name in there:
        if (
            name.startswith(beginning)
            and not name.startswith((INTERNAL, OWN_TABLES))
            and name not in taken
        ):
            tables.setdefault(name.removeprefix(beginning), TableName(name, usual.schema))
    return CacheTables(
        repr(cache),
        tables,
        {name: found[0] for name, found in by_name.items()},
        {name: found for name, found in by_name.items() if len(found) > 1},
    )


def _called(state: StreamState) -> str:
    return f"{state.source}: {state.namespace}" if state.namespace else state.source

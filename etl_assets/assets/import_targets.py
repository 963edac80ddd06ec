"""The streams that a state is imported for, and the tables that they are to go on in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_assets.adoption.adopt import Adoption
from etl_assets.adoption.table import Greatest, TableLook
from etl_assets.assets.state_cli import Store
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.database.state_rows import dump
from etl_assets.exceptions import ConfigError, StateError, did_you_mean
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.stored import StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.source_read import reads_together
from etl_assets.strategies import WriteStrategy, resolve_strategy

if TYPE_CHECKING:
    from etl_assets.assets.bindings import Binding


class SkippedError(Exception):
    """A stream is left as it is; the text says why."""


@dataclass(frozen=True)
class Target:
    """A stream that a bookmark may be imported for.

    Args:
        source: The name under which its state is stored.
        stream: The stream.
        state: What is stored of it.
        binding: How it is read and written; None without definitions.
        has_partitions: Whether the states of single partitions are stored.
    """

    source: str
    stream: Stream
    state: StreamState | None = None
    binding: "Binding | None" = None
    has_partitions: bool = False

    def __str__(self) -> str:
        return f"{self.source}/{self.stream.full_name}"

    @property
    def appends(self) -> bool:
        """Whether its rows are appended, so that none may come twice."""
        if self.binding is None:
            return False
        keyed = bool(self.stream.primary_key or self.stream.unique_constraints)
        wanted = self.binding.writing.strategy
        settled = resolve_strategy(wanted, incremental=bool(self.stream.cursor), keyed=keyed)
        return settled is WriteStrategy.APPEND

    @property
    def protocol(self) -> str:
        """Whose states its source keeps; "" where it goes by replication keys."""
        if self.binding is None:
            return ""
        source: Any = self.binding.source
        return str(getattr(source, "protocol", "singer" if reads_together(source) else ""))

    def table(self, destination: DatabaseDestination) -> TableName:
        """Return the table that its rows are in, there or not."""
        if self.state is not None:
            return self.state.table
        if self.binding is None:
            return destination.table_for(self.source, self.stream)
        table = self.binding.table(destination)
        return destination.settled_table(self.source, self.stream, table)

    def place(self, destination: DatabaseDestination, *, adopt: bool) -> Adoption:
        """Return the table that it is to go on in, though nothing is stored of it yet.

        Args:
            destination: Where the table is.
            adopt: Whether a table may be taken that this library did not make.

        Raises:
            SkippedError: The table is not there, or not the stream's to write to.
        """
        is_partitioned = self.binding is not None and self.binding.is_partitioned
        if is_partitioned or self.has_partitions:
            raise SkippedError("it is loaded by partition; launch a backfill of the missing ones.")
        table = self.table(destination)
        with destination.transaction() as tx:
            ledger = destination.ledger(tx)
            owner = ledger.owner(table) if ledger.exists() else None
            is_there, unsafe = tx.exists(table), tx.unsafe(table)
        if not is_there:
            option = dump({self.stream.full_name: {"table": "schema.name"}})
            raise SkippedError(
                f"its table {table} is not there, so the rows before the bookmark would be "
                f"missing. If they are in another table, name it: options={option}."
            )
        if unsafe:
            raise SkippedError(unsafe)
        if owner is not None and owner != (self.source, *self.stream.key):
            raise SkippedError(f"the table {table} is that of {owner[0]}/{owner[2]}.")
        if owner is None and not (adopt or self._adopts):
            raise SkippedError(
                f"the table {table} was not made by this library. With --adopt it is taken over."
            )
        return Adoption(self.source, self.stream, table, None)

    @property
    def _adopts(self) -> bool:
        return self.binding is not None and self.binding.writing.adopt

    def greatest(self, destination: DatabaseDestination, table: TableName) -> Greatest:
        """Return up to where a table has rows.

        Raises:
            SkippedError: Nothing tells.
        """
        with destination.transaction() as tx:
            look = TableLook(tx, destination, self.stream, table)
            try:
                return look.greatest(with_rows=self.appends)
            except StateError as error:
                raise SkippedError(str(error)) from error


def targets_of(store: Store, source: str, names: Sequence[str]) -> list[Target]:
    """Return the streams of a source.

    Args:
        store: Where their states are.
        source: The source.
        names: Some of its streams; empty for all.

    Raises:
        ConfigError: There is no such source, or no such stream.
    """
    states = [one for one in store.destination.states() if not one.shared]
    stored = {(one.source, one.namespace, one.stream): one for one in states if not one.partition}
    by_partition = {(one.source, one.namespace, one.stream) for one in states if one.partition}
    found = [
        Target(source, stream, stored.get(key), store.bindings.get(key), key in by_partition)
        for key, stream in store.streams.items()
        if key[0] == source
    ]
    found += [
        Target(source, _stream_of(state), state)
        for key, state in stored.items()
        if key[0] == source and key not in store.streams
    ]
    if not found:
        known = {key[0] for key in (*store.streams, *stored)}
        raise ConfigError(f"There is no source {source!r}.", hint=did_you_mean(source, known))
    for name in names:
        if not any(name in {one.stream.name, one.stream.full_name} for one in found):
            streams = {one.stream.full_name for one in found}
            raise ConfigError(
                f"The source {source!r} has no stream {name!r}.", hint=did_you_mean(name, streams)
            )
    chosen = set(names)
    return [one for one in found if not chosen or chosen & {one.stream.name, one.stream.full_name}]


def _stream_of(state: StreamState) -> Stream:
    keys = tuple(plain(state.bookmark) or ())
    return Stream(state.stream, namespace=state.namespace or None, bookmark_properties=keys)


def database_of(store: Store) -> DatabaseDestination:
    """Return the destination as a database.

    Raises:
        ConfigError: It is none.
    """
    if isinstance(store.destination, DatabaseDestination):
        return store.destination
    raise ConfigError(
        f"{type(store.destination).__name__} is no database whose tables could be looked at."
    )

"""What a destination has stored: tables, their columns, the states of streams and of sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from etl_assets.naming import with_hash

Bookmark = Mapping[str, Any]
"""How far a stream has been read: JSON values by replication key, or what its source gives."""


@dataclass(frozen=True)
class TableName:
    """Where a stream's rows are kept, by physical (already normalised) names."""

    name: str
    schema: str = ""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def folded(self) -> tuple[str, str]:
        """The name where the case of letters makes no difference."""
        return self.schema.casefold(), self.name.casefold()

    def hashed(self, original: str, max_bytes: int) -> "TableName":
        """Return the name for another thing that would have the same name: it ends in a hash.

        Args:
            original: The name of the thing.
            max_bytes: The engine's limit.
        """
        return TableName(with_hash(self.name, original, max_bytes), self.schema)


@dataclass(frozen=True)
class Column:
    """One column of a destination table.

    Args:
        name: The field's name at the source.
        physical: The column's name in the table.
        type: The destination's name of the type, such as `BIGINT`.
        nullable: Whether the stream allows NULL there.
        description: What the stream's schema says about the field.
    """

    name: str
    physical: str
    type: str
    nullable: bool = True
    description: str | None = None


@dataclass(frozen=True)
class SharedState:
    """The state of a whole source, to be stored by the commit of the rows that it covers.

    Args:
        source: The source's name.
        load_id: Of this sync.
        bookmark: The state; opaque.
        run_id: As in a `Load`.
        partition: As in a `Load`.
        begins_from: The load id of the shared state row that the read began from (None: there was
            none); checked as that of a `Load`.
    """

    source: str
    load_id: str
    bookmark: Bookmark | None = None
    run_id: str = ""
    partition: str = ""
    begins_from: str | None = None


@dataclass(frozen=True)
class StreamState:
    """The state row of one stream: the state of record, written by the transaction of the data.

    The row of a whole source's state has no stream ("") and no table.
    """

    source: str
    namespace: str
    stream: str
    partition: str
    load_id: str
    run_id: str
    bookmark: Bookmark | None
    committed_at: datetime
    table: TableName
    columns: Sequence[Column] = ()
    rows_in_table: int = 0
    changed_by: str = ""
    damage: str | None = None
    """What is wrong with the row, where somebody else has changed it: no sync can begin from it."""

    @property
    def shared(self) -> bool:
        """Whether this is the state of a whole source."""
        return not self.stream


@dataclass(frozen=True)
class StoredSource:
    """What a destination knows of a whole source before a sync begins.

    Args:
        state: The row of its shared state, if there is one.
        streams: Keys (namespace, name) of its streams that have a state row.
        by_partition: Keys of its streams of which partitions were loaded, where there is a shared
            state.
    """

    state: StreamState | None = None
    streams: frozenset[tuple[str, str]] = frozenset()
    by_partition: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class StoredPartitions:
    """What a destination knows of a stream that is loaded by partition.

    Args:
        stored: Its table, and what all its state rows together know of the columns; `state` has no
            bookmark to go on from.
        load_ids: The load ids of the state rows of those that were asked about, by name.
    """

    stored: "Stored"
    load_ids: Mapping[str, str]


@dataclass(frozen=True)
class Stored:
    """What a destination knows of a stream before a sync begins.

    Args:
        state: The state row, if there is one.
        problem: Why the table is not as its ledger says (missing, emptied, columns gone), or None.
        foreign: Why the table is not this stream's to write to, or None.
        reset: There is no state row though the ledger knows the table: its state was reset, so a
            sync replaces it.
        unsafe: Why a load that fails could not be rolled back, with the statement that changes it;
            or None.
        by_partition: Partitions of it were loaded, each with a state row of its own.
        of_partitions: The largest bookmark of these rows; None where they do not tell.
    """

    state: StreamState | None = None
    problem: str | None = None
    foreign: str | None = None
    reset: bool = False
    unsafe: str | None = None
    by_partition: bool = False
    of_partitions: Bookmark | None = None

"""What a sync hands to a destination, and what comes back: the types that the one loop needs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from etl_assets.exceptions import ConfigError, UnsupportedWriteError
from etl_assets.model.batch import Batch, Encoding
from etl_assets.model.checks import CheckResult, LoadCheck
from etl_assets.model.contract import EVOLVES, ContractMode, Rejected, SchemaContract, summed
from etl_assets.model.encoded import Format
from etl_assets.model.partitions import Partitions
from etl_assets.model.request import ReadRequest, TableTypes
from etl_assets.model.stored import (
    Bookmark,
    Column,
    SharedState,
    Stored,
    StoredPartitions,
    StoredSource,
    TableName,
)
from etl_assets.model.stream import Stream
from etl_assets.strategies import WriteStrategy

RepeatedKeys = Literal["newest", "last"]
"""Which of several images of a key that one read gives is merged.

It is the one with the greatest replication key, or the one that comes last.
"""
CDC_FIELDS = "_ab_cdc_"
"""How the fields begin that Airbyte adds to the records of a log."""


@dataclass(frozen=True)
class Load:
    """What one sync is about to do with one stream.

    Args:
        source: The source's name, unique in a project.
        stream: The stream.
        strategy: Never `AUTO`.
        load_id: Of this sync, unique. Which load came first is for the ledger to say.
        run_id: Of the orchestrator's run; "" outside of one.
        table: Where to; None leaves it to the destination.
        partition: Which partition of the asset; "" for none.
        partitions: The partitions that it brings whole: its rows take the place of theirs. None for
            a load of rows wherever they belong.
        fences: The load ids of the state rows of these partitions that this read began from, by the
            partition's name, as `begins_from`.
        by_partition: Some of what is there was loaded by partition, each with a state row.
        begins_from: The load id of the state row that this read began from (None: there was none).
            A commit that finds another one there is refused: somebody was faster.
        bookmark: Where the read began.
        on_conflict: `update` or `ignore`: what a merge does with a key that is there already.
        adopt: Take over a table that this library did not make.
        contract: What becomes of what does not fit the table.
        keep_rejected: Keep the records that were left out, or lost a value, in a table beside it.
        declared_only: Leave out fields that the stream does not declare, where it declares any.
        image: Which of several images of a key in this read the table is to have: the `newest` by
            the replication key, or the `last` to come; None leaves it to the merge, which takes the
            last.
        checks: What the table is checked for before the COMMIT.
    """

    source: str
    stream: Stream
    strategy: WriteStrategy
    load_id: str
    run_id: str = ""
    table: TableName | None = None
    partition: str = ""
    partitions: Partitions | None = None
    fences: Mapping[str, str] = field(default_factory=dict)
    by_partition: bool = False
    begins_from: str | None = None
    bookmark: Bookmark | None = None
    on_conflict: str = "update"
    adopt: bool = False
    contract: SchemaContract = EVOLVES
    keep_rejected: bool = False
    declared_only: bool = False
    image: RepeatedKeys | None = None
    checks: Sequence[LoadCheck] = ()

    @property
    def is_whole(self) -> bool:
        """Whether its rows replace others, so that they are published at the end or not at all."""
        return self.strategy is WriteStrategy.REPLACE or self.partitions is not None

    @property
    def waits_for_end(self) -> bool:
        """Whether nothing is committed before its end, as a gate judges all of its rows."""
        return self.is_whole or any(check.gate for check in self.checks)


@dataclass(frozen=True)
class Committed:
    """One COMMIT of one stream, as the ledger has it.

    Args:
        rows_loaded: Rows this commit brought; of a merge those that were inserted or changed.
        rows_in_table: Rows the table held at the COMMIT; None where the destination cannot tell.
        bytes_loaded: Bytes of the rows as they were staged.
        table: As the destination would quote it.
        columns: The table's columns.
        schema_changes: Sentences, such as `added column "x" VARCHAR`.
        last_changed_by: The load id of the last load that changed rows.
        delivery: `exactly_once`, or `at_least_once` where the destination keeps no state.
        rejected: Records that were left out by the schema contract, or lost a value.
        rejections: How many of them, by field and reason.
        shared: The bookmark is the state of the whole source.
        partition_rows: Rows in the table of each partition that was loaded, by its name.
        checks: What the checks of the load have found; none before its end.
    """

    load_id: str
    rows_loaded: int
    rows_in_table: int | None
    bookmark: Bookmark | None
    committed_at: datetime
    table: str
    bytes_loaded: int = 0
    columns: Sequence[Column] = ()
    schema_changes: Sequence[str] = ()
    last_changed_by: str = ""
    delivery: str = "exactly_once"
    rejected: int = 0
    rejections: Sequence[Rejected] = ()
    shared: bool = False
    partition_rows: Mapping[str, int] = field(default_factory=dict)
    checks: Sequence[CheckResult] = ()


@dataclass(frozen=True)
class Capabilities:
    """What a destination can do; a test kit skips what it cannot.

    Args:
        strategies: The write strategies it takes.
        keeps_state: It stores the state row and the ledger in the same transaction as the rows,
            which makes a load exactly-once. Without it a load is at-least-once, and its metadata
            says so.
        partitions: It can replace the rows of single partitions, and stores a state for each.
        encoding: How it wants its batches: `arrow` or `rows`.
        max_identifier_bytes: Its limit for names.
        max_columns: Its limit for the columns of a table.
        checks: It evaluates the checks of a load, and rolls it back where a gate fails.
    """

    strategies: frozenset[WriteStrategy] = frozenset({WriteStrategy.APPEND})
    keeps_state: bool = False
    partitions: bool = False
    encoding: Encoding = "rows"
    max_identifier_bytes: int = 255
    max_columns: int | None = None
    checks: bool = False


def contract_of(
    given: SchemaContract | str | Mapping[str, Any] | None,
    stream: Stream,
    capabilities: Capabilities | None = None,
    *,
    keep_rejected: bool = False,
) -> SchemaContract:
    """Return the contract of a stream: the given one, else that of its catalog, else to evolve.

    The catalog says it in Mage's word, `disable_column_type_check`.

    Args:
        given: What is said; None leaves it to the stream.
        stream: The stream.
        capabilities: Of the destination, where it is known.
        keep_rejected: Rejected records are to be kept.

    Raises:
        ConfigError: There is no such contract, or it rejects nothing that could be kept, or nothing
            could keep it.
    """
    contract = SchemaContract.of(given)
    if given is None and stream.disable_column_type_check is False:
        contract = SchemaContract(data_type=ContractMode.FREEZE)
    if keep_rejected and not contract.discards:
        raise ConfigError(
            f"stream {stream.name!r}: keep_rejected has nothing to keep: its schema contract "
            "rejects no record.",
            hint='Set schema_contract to "discard_row" or "discard_value" too.',
            stream=stream.name,
        )
    if keep_rejected and capabilities is not None and not capabilities.keeps_state:
        raise ConfigError(
            f"stream {stream.name!r}: keep_rejected needs a destination with transactions, and "
            "this one has none.",
            hint="Leave keep_rejected out: rejected records are counted all the same.",
            stream=stream.name,
        )
    return contract


def refuse_unchecked(
    checks: Sequence[LoadCheck], capabilities: Capabilities, stream: Stream
) -> None:
    """Refuse checks of a stream whose destination evaluates none.

    Raises:
        ConfigError: It has some. The error names the first.
    """
    if not checks or capabilities.checks:
        return
    raise ConfigError(
        f"stream {stream.name!r}: the check {checks[0].name!r} needs a destination with "
        "transactions, and this one has none.",
        hint="Leave checks out, or load into a database.",
        stream=stream.name,
    )


def image_of(
    read: "StreamOfSource",
    strategy: WriteStrategy,
    wanted: WriteStrategy,
    repeated_keys: RepeatedKeys | None = None,
) -> RepeatedKeys | None:
    """Settle which of several images of a key in one read its table is to have.

    Args:
        read: What is read.
        strategy: How it meets the table.
        wanted: How it was to meet it: a full refresh replaces the table of a stream that merges.
        repeated_keys: `newest`, or `last`; by default the newest by the replication key, and of a
            log the last.

    Returns:
        `last` also where there is no replication key, and None where all are
            wanted, or where a merge itself keeps the right one.
    """
    stream = read.stream
    replaces_merged = strategy is WriteStrategy.REPLACE and _would_merge(stream, wanted)
    if strategy is not WriteStrategy.MERGE and not replaces_merged:
        return None
    if read.ordered:
        # A database's own order by the replication key: the last image is the newest, and a merge
        # keeps that one.
        return "last" if replaces_merged else None
    if repeated_keys == "last" or is_log(stream) or not stream.cursor:
        return "last"
    return "newest"


def _would_merge(stream: Stream, wanted: WriteStrategy) -> bool:
    """Return whether the rows of a stream are merged when its table is not replaced."""
    if wanted not in {WriteStrategy.AUTO, WriteStrategy.MERGE}:
        return False
    has_key = bool(stream.unique_constraints or stream.primary_key)
    return has_key and stream.method != "FULL_TABLE"


def is_log(stream: Stream) -> bool:
    """Return whether a stream has a log's changes in order.

    It is declared so, or has Airbyte's CDC fields.
    """
    fields = (stream.schema or {}).get("properties") or {}
    return stream.method == "LOG_BASED" or any(name.startswith(CDC_FIELDS) for name in fields)


class StreamOfSource(Protocol):
    """What is said of one stream before it is read.

    Attributes:
        source_name: The source's name, unique in a project.
        stream: What is read.
        partial: Cut by a limit or a query, so not the whole stream.
        ordered: The engine itself orders the rows by the replication key, so that the largest key
            so far is a safe checkpoint, also of a read cut by a limit.
        checked_order: The source promises that order without an engine behind it: the first row out
            of order is an error.
    """

    source_name: str
    stream: Stream
    partial: bool = False
    ordered: bool = False
    checked_order: bool = False


@dataclass
class StreamToRead(StreamOfSource):
    """A whole stream of whose order nothing is known: one of many that are read together."""

    source_name: str
    stream: Stream


@runtime_checkable
class Readable(StreamOfSource, Protocol):
    """Something that can be read once per call of `open`, from a bookmark on."""

    def open(self, bookmark: Bookmark | None) -> Iterator[Batch]:
        """Read the rows at and after the bookmark, oldest first where `ordered`."""
        ...


@runtime_checkable
class TakesRequest(Protocol):
    """A `Readable` that can be told what its read is asked for."""

    def requested(self, request: ReadRequest) -> Readable:
        """Return the same read, with this request."""
        ...


class Session(Protocol):
    """One transaction after another on one destination, for one or more loads.

    Nothing that was exported is visible before `commit`; leaving the session without one, by any
    exception (a cancelled run is a `BaseException`), leaves everything as it was.
    """

    encoding: Encoding
    encoded_as: Format | None = None
    """The format in which it takes batches as they are, if there is one."""
    commits_many: bool = False
    """Whether a failed commit of many loads leaves nothing behind.

    Each of them may then be committed again by itself.
    """

    def table_types(self, load: Load, *, anew: bool = False) -> TableTypes | None:
        """Return what types a load's table has; None where nobody can tell.

        Args:
            load: The load.
            anew: The table is going to be replaced: its columns may become others.
        """
        del load, anew
        return None

    def screen(self, batch: Batch, load: Load) -> Batch:
        """Hold a batch against its load's schema contract, if that is not to evolve.

        `export` leaves out what this marks.

        Raises:
            SchemaConflictError: The contract freezes the table, and something does not fit.
        """
        del batch
        raise UnsupportedWriteError(
            f"stream {load.stream.name!r}: {type(self).__name__} knows no schema contract.",
            hint='Leave schema_contract out, or set it to "evolve".',
            stream=load.stream.name,
        )

    def export(self, batch: Batch, load: Load) -> int:
        """Take a batch, which the next commit makes visible, and return its size in bytes."""
        ...

    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> Sequence[Committed]:
        """Make what was exported for these loads visible, with bookmarks and ledger, or nothing.

        Args:
            bookmarks: The bookmark that covers what was exported, by load id.
            complete: The loads have positively ended. A replace publishes only then; before, its
                commit is refused.
            shared: The state of the whole source that covers all of it, stored by the same
                transaction.
        """
        ...

    def revise(self, load: Load) -> None:
        """Go on with a load whose stream has another schema by now; a new load id begins a load."""
        del load

    def discard(self, load_id: str) -> None:
        """Drop what was exported for a load and not committed, where that is possible."""
        del load_id


class Target(Protocol):
    """The destination as `sync` sees it."""

    capabilities: Capabilities

    def session(self, loads: Sequence[Load]) -> AbstractContextManager[Session]:
        """Open a session for these loads."""
        ...

    def stored(
        self, source: str, stream: Stream, *, table: TableName | None = None, partition: str = ""
    ) -> Stored:
        """Return what is known of a stream; an empty `Stored` if the destination keeps no state."""
        ...


@runtime_checkable
class PartitionedTarget(Protocol):
    """A destination that can replace the rows of single partitions: its `capabilities` say so."""

    def stored_partitions(
        self,
        source: str,
        stream: Stream,
        *,
        names: Sequence[str],
        table: TableName | None = None,
    ) -> StoredPartitions:
        """Return what is known of a stream that is loaded by partition.

        Args:
            source: The source's name.
            stream: The stream.
            names: The partitions asked about; there may be many more.
            table: Its table, where it is not the destination's default.
        """
        ...


class SourceTarget(Target, Protocol):
    """The destination as `sync_source` sees it."""

    def stored_source(self, source: str, *, partition: str = "") -> StoredSource:
        """Return what is known of a whole source; empty if the destination keeps no state."""
        ...


@dataclass
class SyncResult:
    """What one sync of one stream did.

    Args:
        rejected: Records that the schema contract left out, or took a value from; `rejections` says
            why.
        outside: Records in none of the partitions that were asked for, which were left out.
        partition_rows: Rows in the table of each partition that was loaded, by its name.
        late_rows: Records from before the bookmark, which were left out or loaded as the option of
            that name says.
        remarks: What people should know of what was read.
        checks: What the checks of the load have found.
    """

    stream: str
    source: str
    load_id: str
    strategy: WriteStrategy
    records_read: int = 0
    records_loaded: int = 0
    rejected: int = 0
    bytes_loaded: int = 0
    rows_in_table: int | None = None
    bookmark_previous: Bookmark | None = None
    bookmark: Bookmark | None = None
    table: str = ""
    columns: Sequence[Column] = ()
    schema_changes: list[str] = field(default_factory=list)
    duration_seconds: float = 0.0
    commits: int = 0
    last_changed_by: str = ""
    delivery: str = "exactly_once"
    rejections: list[Rejected] = field(default_factory=list)
    late_rows: int = 0
    outside: int = 0
    partition_rows: Mapping[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    checks: Sequence[CheckResult] = ()
    shared: bool = False
    """The bookmarks are the state of the whole source."""
    skipped: Mapping[str, Bookmark] | None = None
    """The bookmarks between which nothing was read: the stored (`after`), the given (`before`)."""

    def account(self, committed: Committed) -> None:
        """Add what a COMMIT did."""
        self.commits += 1
        self.records_loaded += committed.rows_loaded
        self.bytes_loaded += committed.bytes_loaded
        self.rows_in_table = committed.rows_in_table
        self.table = committed.table
        self.columns = committed.columns
        self.schema_changes.extend(committed.schema_changes)
        self.last_changed_by = committed.last_changed_by
        self.delivery = committed.delivery
        self.partition_rows = committed.partition_rows
        self.checks = committed.checks or self.checks
        if committed.rejected:
            self.rejected += committed.rejected
            self.rejections = summed(self.rejections, committed.rejections)

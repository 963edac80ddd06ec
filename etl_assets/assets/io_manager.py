"""The Dagster face of a destination: the IO manager that every asset's rows go through."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from typing_extensions import override

from etl_assets.assets.bindings import default_table
from etl_assets.assets.bookmark_metadata import BOOKMARK
from etl_assets.assets.bookmarks import newest_bookmark
from etl_assets.assets.closing import log_closing
from etl_assets.assets.config import names_of, refreshed_by_tag
from etl_assets.assets.dagster_private import (
    add_event_metadata,
    add_partition_metadata,
    attempts,
    instance_of,
    is_of_all_partitions,
    retry_policy,
    run_tags,
    set_data_version,
)
from etl_assets.assets.errors import Edge
from etl_assets.assets.handwritten import Returned, place_of, returned, stream_of
from etl_assets.assets.inputs import DATASETS, converter, database_of, named, opened
from etl_assets.assets.lineage import lineage_metadata
from etl_assets.assets.metadata import decoration, event_metadata, log_changes, log_given
from etl_assets.assets.observer import RunObserver, shortened
from etl_assets.assets.options import (
    ALIAS,
    HASHED_TABLE,
    NAMESPACE,
    PREFIX,
    SOURCE,
    STREAM,
    TABLE,
    Writing,
    plain,
    to_table,
)
from etl_assets.assets.partition_runs import (
    metadata_by_partition,
    partitions_of_input,
    partitions_of_run,
    told,
)
from etl_assets.assets.split_read import SplitRead, published, published_before
from etl_assets.assets.state_explained import explain_missing_event
from etl_assets.destinations.base import Destination
from etl_assets.engine.start import Start, resolve_partitions, resolve_start
from etl_assets.engine.sync import sync
from etl_assets.exceptions import ConfigError
from etl_assets.model.checks import LoadCheck
from etl_assets.model.load import SyncResult
from etl_assets.model.partitions import Partitions
from etl_assets.model.stored import Bookmark, TableName
from etl_assets.model.stream import Stream
from etl_assets.redaction import redact
from etl_assets.sources.read import StreamRead
from etl_assets.strategies import WriteStrategy

_Read = StreamRead | Returned


class DestinationIOManager(dg.IOManager):
    """Loads what an asset returns into a destination, and reads it back for those that come after.

    Connects when there is something to do, never before. A subclass may do without a destination:

    ```python
    class Printer(DestinationIOManager):
        def export_batch_data(self, record_data, stream, tags=None):
            for item in record_data:
                print(stream, item["record"])
    ```

    Args:
        destination: Where to; None for a subclass that overrides `export_batch_data`.
    """

    native_types: bool = False
    """Give `export_batch_data` Python's dates, times and bytes instead of JSON values."""

    def __init__(self, destination: Destination | None = None) -> None:
        self._destination = destination

    @property
    def destination(self) -> Destination:
        """The destination, or one that hands its batches to `export_batch_data`."""
        destination: Destination | None = getattr(
            self, "_destination", None
        )  # a subclass need not call our __init__
        if destination is None:
            if type(self).export_batch_data is DestinationIOManager.export_batch_data:
                raise ConfigError(
                    f"{type(self).__name__} has no destination.",
                    hint="Give it one, or override "
                    "export_batch_data(self, record_data, stream, tags=None).",
                )
            destination = self._destination = Handed(self)
        return destination

    def test_connection(self) -> None:
        """Raise an error that says what is wrong.

        Called before the first batch where there is no destination.
        """

    def export_batch_data(
        self, record_data: list[dict[str, Any]], stream: str, tags: Mapping[str, Any] | None = None
    ) -> None:
        """Take a batch of records, as `Destination.export_batch_data` does."""
        self.destination.export_batch_data(record_data, stream, tags)

    @override
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        with Edge(retry_policy(context), attempts(context)):
            _refuse_what_is_no_table(context)
            Output(self.destination, context, obj).load()

    @override
    def load_input(self, context: dg.InputContext) -> Any:
        with Edge():
            annotation = context.dagster_type.typing_type
            kind = named(annotation)
            convert = None if kind in DATASETS else converter(annotation)
            columns = plain(context.definition_metadata.get("columns"))
            columns = list(columns) if columns else None
            upstream = context.upstream_output
            metadata = upstream.definition_metadata if upstream is not None else {}
            table = loaded_table(self.destination, context.asset_key, metadata)
            partitions = _partitions_of_input(context, metadata)
            if convert is None:
                return opened(
                    self.destination,
                    table,
                    stream_of(context.asset_key, metadata),
                    kind[1],
                    columns,
                    partitions,
                )
            found = _read_table(self.destination, table, columns, partitions)
            # Our own columns come only when they are named: an asset that returns its input would
            # store them as its.
            own = () if columns else self.destination.own_columns
            return convert(found.drop_columns([name for name in own if name in found.column_names]))


class Handed(Destination):
    """The destination of an IO manager that has none.

    The rows are handed to the IO manager's `export_batch_data`.
    """

    storage_kind = "custom"

    def __init__(self, target: Any) -> None:
        super().__init__()
        self._target = target
        self.native_types = bool(getattr(target, "native_types", False))  # type: ignore[misc] # of this one object

    def __repr__(self) -> str:
        return f"{type(self._target).__name__}()"

    @property
    @override
    def identity(self) -> str:
        return type(self._target).__name__

    @override
    def test_connection(self) -> None:
        test = getattr(self._target, "test_connection", None)
        if callable(test):
            test()

    @override
    def export_batch_data(
        self, record_data: list[dict[str, Any]], stream: str, tags: Mapping[str, Any] | None = None
    ) -> None:
        self._target.export_batch_data(record_data, stream, tags)


def to_io_manager(destination: Any) -> dg.IOManager:
    """Return the IO manager of a destination, or of a cache.

    One that is already an IO manager stays as it is.

    Raises:
        ConfigError: It is neither, or a class in place of an object.
    """
    if isinstance(destination, dg.IOManager):
        return destination
    if isinstance(destination, Destination):
        return DestinationIOManager(destination)
    from etl_assets.caches.base import CacheBase

    if isinstance(destination, CacheBase):
        return DestinationIOManager(destination.destination)
    if isinstance(destination, type):
        raise ConfigError(
            f"{destination.__name__} is a class.",
            hint=f"Make one of it: {destination.__name__}(...).",
        )
    if callable(getattr(destination, "export_batch_data", None)):
        return DestinationIOManager(Handed(destination))
    raise ConfigError(
        f"A {type(destination).__name__} is no destination.",
        hint="Give an etl_assets Destination or cache, an IO manager, "
        "or any object with export_batch_data.",
    )


def table_of(destination: Destination, key: dg.AssetKey, metadata: Mapping[str, Any]) -> TableName:
    """Return where an asset's rows are.

    The table is the one in its definition metadata, else that of the last two parts of its key.
    """
    named = plain(metadata.get(TABLE))
    if named is not None:
        return to_table(named)
    source, stream = plain(metadata.get(SOURCE)), plain(metadata.get(STREAM))
    if not (isinstance(source, str) and isinstance(stream, str)):
        return destination.table_for(*place_of(key))
    alias, namespace = plain(metadata.get(ALIAS)), plain(metadata.get(NAMESPACE))
    found = Stream(stream, namespace=namespace, stream_alias=alias)
    return default_table(destination, source, found, hashed=bool(plain(metadata.get(HASHED_TABLE))))


def loaded_table(
    destination: Destination, key: dg.AssetKey, metadata: Mapping[str, Any]
) -> TableName:
    """Return the table that an asset was loaded into, as the destination knows it."""
    table = table_of(destination, key, metadata)
    source, stream = plain(metadata.get(SOURCE)), plain(metadata.get(STREAM))
    if not (isinstance(source, str) and isinstance(stream, str)):
        return table
    alias, namespace = plain(metadata.get(ALIAS)), plain(metadata.get(NAMESPACE))
    return destination.settled_table(
        source, Stream(stream, namespace=namespace, stream_alias=alias), table
    )


def _refuse_what_is_no_table(context: dg.OutputContext) -> None:
    if not context.has_asset_key:
        raise ConfigError(
            f"The output {context.name!r} of an op has no asset key, so no table.",
            hint="Make the op an asset.",
        )


def _partitions_of_input(
    context: dg.InputContext, metadata: Mapping[str, Any]
) -> Partitions | None:
    """Return the partitions that an input is made of; None for the whole table."""
    if not context.has_asset_partitions or is_of_all_partitions(context):
        return None
    return partitions_of_input(context, metadata)


def _read_table(
    destination: Destination,
    table: TableName,
    columns: list[str] | None,
    partitions: Partitions | None,
) -> Any:
    if partitions is None:
        return destination.read_table(table, columns=columns)
    return database_of(destination).read_table(table, columns=columns, partitions=partitions)


def _partitions(context: dg.OutputContext, writing: Writing) -> Partitions | None:
    """Return the partitions that the run is about; None of an asset without partitions."""
    try:
        definition = context.asset_partitions_def
    except dg.DagsterInvariantViolationError:
        return None
    names = context.asset_partition_keys if context.has_asset_partitions else ()
    return partitions_of_run(context.asset_key, definition, names, writing)


class Output:
    """One output on its way into the destination.

    Args:
        destination: Where to.
        context: Of the output.
        obj: What the asset has returned.
        checks: What the table is checked for.
        observed: What is told how the load goes on; by default the output.
    """

    def __init__(
        self,
        destination: Destination,
        context: dg.OutputContext,
        obj: Any,
        *,
        checks: Sequence[LoadCheck] = (),
        observed: dg.AssetExecutionContext | None = None,
    ) -> None:
        self.destination = destination
        self.context = context
        self.checks = checks
        self._observed = observed or context
        self.key = context.asset_key
        metadata = context.definition_metadata
        self.read: _Read
        self.split: SplitRead | None = None
        if isinstance(obj, SplitRead):
            self.split, obj = obj, obj.read
        if isinstance(obj, StreamRead):
            self.read = obj
            self.writing = Writing.from_metadata(metadata, default=WriteStrategy.AUTO)
            self.table = self.writing.table or default_table(
                destination,
                obj.source_name,
                obj.stream,
                hashed=bool(plain(metadata.get(HASHED_TABLE))),
            )
        else:
            self.read = returned(obj, self.key, metadata)
            self.writing = Writing.from_metadata(metadata, default=WriteStrategy.REPLACE)
            self.table = table_of(destination, self.key, metadata)
        self.partitions = _partitions(context, self.writing)

    def load(self) -> None:
        """Sync, then say so."""
        self._report(self.synced())

    def synced(self) -> SyncResult:
        """Sync, or publish what is staged, and say what was done."""
        if self.split is not None:
            return self._published(self.split)
        start = self._start()
        self._say(start)
        keeps_state = self.destination.capabilities.keeps_state
        observer = RunObserver(
            self._observed,
            source=self.read.source_name,
            stream=self.read.stream.full_name,
            destination=None if keeps_state else self.destination.identity,
        )
        with observer:
            return sync(
                self.read,
                self.destination,
                start=start,
                strategy=self._strategy(),
                run_id=self.context.run_id,
                table=self.table,
                partitions=self.partitions,
                on_conflict=self.writing.on_conflict,
                adopt=self.writing.adopt,
                schema_contract=self.writing.contract,
                keep_rejected=self.writing.keep_rejected,
                late_rows=self.writing.late_rows,
                repeated_keys=self.writing.repeated_keys,
                checks=self.checks,
                observer=observer,
            )

    def _published(self, split: SplitRead) -> SyncResult:
        before = published_before(split, self.destination, self.table)
        if before is None:
            run_id = self.context.run_id
            return published(split, self.destination, self.table, self.writing, run_id, self.checks)
        if not self.checks:
            return before
        # Nobody was told what the checks have found, so they are evaluated by a sync of what has
        # changed since then.
        self.split = None
        return self.synced()

    def _start(self) -> Start:
        read, adopt, on_table_changed = self.read, self.writing.adopt, self.writing.on_table_changed
        if self.partitions is not None:
            return resolve_partitions(
                read,
                self.destination,
                self.partitions,
                on_table_changed=on_table_changed,
                adopt=adopt,
                table=self.table,
            )
        if isinstance(read, Returned):
            if self.writing.strategy is WriteStrategy.REPLACE:
                on_table_changed = (
                    "full_refresh"  # it has no use for the rows that somebody deleted
                )
            return resolve_start(
                read,
                self.destination,
                on_table_changed=on_table_changed,
                adopt=adopt,
                table=self.table,
            )
        return resolve_start(
            read,
            self.destination,
            full_refresh=read.full_refresh or self._refreshed(read),
            bookmark=read.bookmark,
            keep_bookmark=read.keep_bookmark,
            fallback=self._newest_bookmark,  # asked where the destination keeps no state
            on_table_changed=on_table_changed,
            adopt=adopt,
            table=self.table,
        )

    def _newest_bookmark(self) -> Bookmark | None:
        return newest_bookmark(instance_of(self.context), self.key, self.destination.identity)

    def _refreshed(self, read: StreamRead) -> bool:
        return refreshed_by_tag(
            run_tags(self.context), names_of(read.source_name, read.stream, self.key)
        )

    def _strategy(self) -> WriteStrategy:
        # A custom destination takes rows as they come: what a hand-written asset did not ask for is
        # not refused.
        wanted = self.writing.strategy
        can = self.destination.capabilities.strategies
        declared = "etl_assets/write_strategy" in self.context.definition_metadata
        return wanted if declared or wanted in can else WriteStrategy.AUTO

    def _say(self, start: Start) -> None:
        name = self.read.stream.full_name
        if self.partitions is not None:
            self.context.log.info(redact(f"{name}: loads {told(self.partitions)}"))
            return
        where = f" from {shortened(start.bookmark)}" if start.bookmark else ""
        self.context.log.info(redact(f"{name}: begins{where} ({start.reason})"))
        if start.asked is not None:
            log_given(self.context.log, name, start.asked)
        if start.state is not None and isinstance(self.read, StreamRead):
            with decoration(self.context.log, "Looking for the event of the last load"):
                explain_missing_event(instance_of(self.context), self.key, start, self.context.log)

    def metadata(self, result: SyncResult) -> dict[str, Any]:
        """Return what the event of the load says; what those of single partitions say is added."""
        log = self.context.log
        metadata = event_metadata(
            log,
            self.destination,
            result,
            self.read.stream,
            self.table,
            previewed=self.writing.preview,
        )
        definition, own = self.context.definition_metadata, self.destination.own_columns
        with decoration(log, "Describing where the columns come from"):
            metadata |= lineage_metadata(definition, result.columns, own)
        if self.partitions is not None:
            metadata, of_each = metadata_by_partition(metadata, result)
            add_partition_metadata(self.context.step_context, self.key, of_each)
        if self.split is not None and result.records_loaded and not result.bytes_loaded:
            metadata.pop(f"{PREFIX}bytes", None)  # not every step could tell what it has staged
        return metadata

    def _report(self, result: SyncResult) -> None:
        log = self.context.log
        metadata = self.metadata(result)
        if isinstance(self.read, Returned):
            metadata.pop(BOOKMARK, None)  # it can have none
        add_event_metadata(self.context, metadata)
        if result.last_changed_by:
            with decoration(log, "Setting the data version"):
                set_data_version(self.context, result.last_changed_by)
        log_changes(log, self.read.stream.full_name, result)
        log_closing(log, self.read.stream.full_name, result)

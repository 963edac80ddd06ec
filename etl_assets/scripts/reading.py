"""What the reading verbs do: `read`, `get_records`, `get_samples`, `print_samples`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from typing_extensions import override

from etl_assets import configuring
from etl_assets.caches.util import get_default_cache
from etl_assets.datasets import InMemoryDataset, LazyDataset
from etl_assets.engine.observer import Observer
from etl_assets.engine.start import Start, StreamPlan, plan_load, resolve_start
from etl_assets.engine.sync import sync
from etl_assets.engine.sync_source import sync_source
from etl_assets.exceptions import ConnectorError, ConnectorFailedError, EtlAssetsError, InputError
from etl_assets.model.batch import Batch
from etl_assets.model.events import Records, SourceState, StreamEnd, StreamKey
from etl_assets.model.load import StreamToRead, SyncResult
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.naming import normalise
from etl_assets.progress import ProgressTracker
from etl_assets.records import StreamRecord, StreamRecordHandler
from etl_assets.redaction import redact
from etl_assets.results import ReadResult, checked_cache
from etl_assets.scripts.stored_names import changed_keys, note_of, stored_name
from etl_assets.sources import selecting
from etl_assets.strategies import WriteStrategy, strategy_named


class StreamsFailedError(ConnectorFailedError):
    """Some streams of a read failed.

    Args:
        message: Which streams failed, and why the first one did.
        read_result: The result of the others.
        options: See `ConnectorError`.
    """

    def __init__(self, message: str, *, read_result: ReadResult, **options: Any) -> None:
        super().__init__(message, **options)
        self.read_result = read_result


class Watch(Observer):
    """Tells a tracker about the progress of syncs.

    Args:
        tracker: It counts the records and shows the progress.
    """

    def __init__(self, tracker: ProgressTracker) -> None:
        self._tracker = tracker

    @override
    def progress(
        self, stream: str, rows: int, bytes_: int, seconds: float, bookmark: Bookmark | None
    ) -> None:
        self._tracker.tally(stream, rows, bytes_, seconds)

    @override
    def expect(self, stream: str, rows: int) -> None:
        self._tracker.expect(stream, rows)


def pyairbyte_auto(stream: Stream, strategy: WriteStrategy) -> WriteStrategy:
    """Settle `auto` as PyAirbyte does.

    A stream with a primary key is merged, else one with a replication key is appended, else the
    table is replaced. The engine decides about appending, because a replication key may turn out
    to be unusable.
    """
    if strategy is not WriteStrategy.AUTO:
        return strategy
    if stream.primary_key:
        return WriteStrategy.MERGE
    return WriteStrategy.REPLACE if stream.method == "FULL_TABLE" else WriteStrategy.AUTO


def read(
    source: Any,
    cache: Any,
    *,
    streams: str | Sequence[str] | None,
    write_strategy: str | WriteStrategy,
    full_refresh: bool,
    skip_validation: bool,
    adopt: bool,
    prune_undeclared_fields: bool,
) -> ReadResult:
    """Read streams into a cache; see `ReadVerbs.read`."""
    strategy = strategy_named(write_strategy)
    cache = checked_cache(cache) or get_default_cache()
    wanted = wanted_streams(source, streams, skip_validation=skip_validation)
    stored_as = stored_name(source, cache.destination, [stream.key for stream in wanted])
    known = cache.known_streams(source, stored_as, wanted)
    _say_incremental(wanted, known, full_refresh=full_refresh)
    loaded = load(
        source,
        wanted,
        cache.destination,
        strategy=strategy,
        full_refresh=full_refresh,
        stored_as=stored_as,
        adopt=adopt or cache.adopt,
        declared_only=prune_undeclared_fields,
    )
    result = ReadResult(
        source_name=source.name,
        stored_as=stored_as,
        state_name=source.state_name,
        processed_streams=list(loaded.results),
        cache=cache,
        results=loaded.results,
        streams_read={stream.name: stream for stream in wanted},
        progress_tracker=loaded.progress,
    )
    _refuse_failure(source, loaded, result)
    return result


def _refuse_failure(source: Any, loaded: "Loaded", result: ReadResult) -> None:
    if loaded.errors:
        raise _failed(source, loaded.errors, result)
    if loaded.late is not None:
        why = redact(str(loaded.late))
        message = f"All streams of {source.name!r} were read, but then it failed: {why}"
        raise StreamsFailedError(message, read_result=result) from loaded.late


def create_tables(source: Any, cache: Any, streams: str | Sequence[str] | None) -> None:
    """Create the missing tables of streams; see `CacheBase.create_source_tables`."""
    wanted = wanted_streams(source, streams, skip_validation=True)
    destination = cache.destination
    stored_as = stored_name(source, destination, [stream.key for stream in wanted])
    cache.known_streams(source, stored_as, wanted)
    for stream in wanted:
        table = cache.place_of(source.state_name, stream)
        stored = destination.stored(stored_as, stream, table=table)
        if stored.state is None and stored.foreign is None:
            one = StreamToRead(stored_as, stream)
            plan = StreamPlan(WriteStrategy.APPEND, table=table)
            load = plan_load(one, destination, Start(), plan)
            with destination.session([load]) as session:
                session.commit({load.load_id: None}, complete=True)


@dataclass
class Loaded:
    """The outcome of many streams.

    Args:
        results: The results of the streams that were synced.
        errors: Why the others failed.
        late: The error after all streams had been synced, if there was one.
        progress: The tracker that has counted them.
    """

    results: dict[str, SyncResult] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    late: Exception | None = None
    progress: ProgressTracker | None = None

    def take(self, name: str, result: SyncResult | None, error: Exception | None) -> None:
        """Add the outcome of a stream."""
        if error is not None:
            self.errors[name] = error
        elif result is not None:
            self.results[name] = result


def wanted_streams(
    source: Any, streams: str | Sequence[str] | None, *, skip_validation: bool = False
) -> list[Stream]:
    """Select the named streams, if any, check the config, and return the selected streams."""
    if streams:
        selecting.select(source, streams)
    if not skip_validation:
        source.validate_config()
    return selecting.chosen(source, None)


def load(  # noqa: PLR0913 - options of one verb
    source: Any,
    streams: Sequence[Stream],
    destination: Any,
    *,
    strategy: WriteStrategy,
    full_refresh: bool,
    stored_as: str,
    memory: Any = None,
    adopt: bool = False,
    declared_only: bool = False,
) -> Loaded:
    """Sync streams of a source into a destination, each on its own.

    Args:
        source: The source.
        streams: The streams to read.
        destination: The destination.
        strategy: How rows are written to the tables.
        full_refresh: Read everything.
        stored_as: The name under which the state of the source is stored there.
        memory: Keeps the bookmarks for a destination that keeps none.
        adopt: Take over tables that this library did not make.
        declared_only: Leave out fields that a stream does not declare.
    """
    names = [stream.name for stream in streams]
    progress = ProgressTracker(source=source, destination=destination, expected_streams=names)
    common = StreamPlan(
        strategy=strategy,
        full_refresh=full_refresh,
        adopt=adopt,
        by_default=strategy is WriteStrategy.AUTO,
        declared_only=declared_only,
    )
    # Of all streams, not only those that are read: streams whose names are alike then get the same
    # tables, whatever the order.
    known = {stream.key: stream for stream in (*selecting.catalog_of(source).values(), *streams)}
    tables = destination.tables_for(source.state_name, list(known.values()))
    plans = {}
    for stream in streams:
        plan = replace(common, table=tables[stream.key])
        if not full_refresh:
            plan = replace(plan, strategy=_settled(stream, strategy, destination))
        if memory:
            plan = replace(plan, fallback=partial(memory.of, stream.name))
        plans[stream.key] = plan
    return _loaded(source, stored_as, streams, destination, plans, progress, memory)


def _loaded(  # noqa: PLR0917 - the planned options of `load`
    source: Any,
    stored_as: str,
    streams: Sequence[Stream],
    destination: Any,
    plans: Mapping[Any, StreamPlan],
    progress: ProgressTracker,
    memory: Any,
) -> Loaded:
    loaded = Loaded(progress=progress)
    noted = _config_noted(source, destination, stored_as)
    run = _together if source.granularity == "source" else _one_by_one
    try:
        for stream, result, error in run(
            source, stored_as, streams, destination, plans, Watch(progress)
        ):
            loaded.take(stream.name, result, error)
            if error is not None:
                result = None  # noqa: PLW2901 - what a failed stream has loaded is no result
            if memory and result is not None:
                memory.keep(stream.name, result.bookmark)
            progress.ended(stream.name, result)
    except EtlAssetsError as error:
        if not (loaded.results or loaded.errors):
            raise
        loaded.late = error
    finally:
        progress.end()
    if loaded.results and noted is not None:
        destination.noted_config(stored_as, noted)
    return loaded


def _config_noted(source: Any, destination: Any, stored_as: str) -> Mapping[str, Any] | None:
    """Log which keys of a connector's config have changed since it was last read into these tables.

    Returns:
        What to note once it was read. None if that is noted already, or if nothing can be noted.
    """
    if not (hasattr(source, "connector_name") and destination.capabilities.keeps_state):
        return None
    known = destination.noted_config(stored_as)
    now = note_of(source, known)
    if known is None:
        return now
    changed = changed_keys(known, now)
    if changed:
        source.logger.warning(
            "%s: its config has changed since these tables were last read (%s); it goes on from "
            "where they ended. If it is another account now, give it another cache, a "
            "table_prefix, or a source_name.",
            source.name,
            ", ".join(changed),
        )
    return now if changed else None


def _settled(stream: Stream, wanted: WriteStrategy, destination: Any) -> WriteStrategy:
    """Return what `auto` stands for if the destination supports it, else leave it to the engine."""
    settled = pyairbyte_auto(stream, wanted)
    return settled if settled in destination.capabilities.strategies else wanted


_Outcome = tuple[Stream, SyncResult | None, Exception | None]


def _together(
    source: Any,
    stored_as: str,
    streams: Sequence[Stream],
    destination: Any,
    plans: Mapping[Any, StreamPlan],
    observer: Observer,
) -> Iterator[_Outcome]:
    from etl_assets.sources.source_read import SourceRead

    read = SourceRead(source, streams, source_name=stored_as)
    outcomes = sync_source(read, destination, plans=plans, observer=observer)
    with closing(outcomes):
        for outcome in outcomes:
            yield outcome.stream, outcome.result, outcome.error


def _one_by_one(
    source: Any,
    stored_as: str,
    streams: Sequence[Stream],
    destination: Any,
    plans: Mapping[Any, StreamPlan],
    observer: Observer,
) -> Iterator[_Outcome]:
    from etl_assets.sources.read import StreamRead

    for stream in streams:
        plan = plans[stream.key]
        try:
            one = StreamRead(source, stream, source_name=stored_as)
            start = resolve_start(
                one,
                destination,
                full_refresh=plan.full_refresh,
                fallback=plan.fallback,
                table=plan.table,
                adopt=plan.adopt,
            )
            done = sync(
                one,
                destination,
                start=start,
                strategy=plan.strategy,
                table=plan.table,
                adopt=plan.adopt,
                declared_only=plan.declared_only,
                observer=observer,
            )
        except EtlAssetsError as error:
            yield stream, None, error
        else:
            yield stream, done, None


def records(
    source: Any, stream: str, *, limit: int | None, normalize: bool, prune: bool
) -> LazyDataset:
    """Return the records of a stream as they are read; see `ReadVerbs.get_records`."""
    found = selecting.with_own_keys(selecting.one(source, stream))
    schema = found.schema or {}
    handler = StreamRecordHandler(
        json_schema=schema,
        prune_extra_fields=prune and bool(schema.get("properties")),
        normalize_keys=normalize,
        stream=found.name,
    )
    if normalize:
        named = {normalise(name): prop for name, prop in (schema.get("properties") or {}).items()}
        shown = Stream(found.name, schema={**schema, "properties": named})
    else:
        shown = Stream(found.name, schema=found.schema, primary_key=found.primary_key)
    return LazyDataset(_Records(source, found, handler, limit), stream_metadata=shown)


class _Records:
    """The records of a stream, read anew by each iteration."""

    def __init__(
        self, source: Any, stream: Stream, handler: StreamRecordHandler, limit: int | None
    ) -> None:
        self._source = source
        self._stream = stream
        self._handler = handler
        self._limit = limit

    def __iter__(self) -> Iterator[StreamRecord]:
        left = self._limit
        with closing(_batches(self._source, self._stream, self._limit)) as batches:
            for batch in batches:
                if left is not None and left <= 0:
                    return
                some = batch if left is None else batch.head(left)
                if left is not None:
                    left -= len(some)
                yield from self._of(some)

    def _of(self, batch: Batch) -> Iterator[StreamRecord]:
        if batch.encoding == "rows":
            for row in batch.to_rows(self._stream, native_types=True):
                yield StreamRecord(row, stream_record_handler=self._handler)
            return
        columns = batch.to_python(self._stream)
        yield from StreamRecord.of_columns(columns, len(batch), stream_record_handler=self._handler)


def _batches(source: Any, stream: Stream, limit: int | None) -> Any:
    if source.granularity != "source":
        from etl_assets.sources.read import StreamRead

        return StreamRead(source, stream, limit=limit).open(None)
    return _batches_of_one(source, stream)


def _batches_of_one(source: Any, stream: Stream) -> Iterator[Batch]:
    from etl_assets.sources.source_read import SourceRead

    ended = False
    try:
        for event in SourceRead(source, [stream]).open(SourceState()):
            if isinstance(event, Records):
                yield event.batch
            elif isinstance(event, StreamEnd):
                ended = event.complete
                if event.error is not None:
                    raise event.error
    except ConnectorError as error:
        if isinstance(error, ConnectorFailedError):
            raise
        failed = ConnectorFailedError(
            error.message,
            connector_name=configuring.name_of(source),
            hint=error.hint,
            stream=error.stream or stream.name,
        )
        failed.log_text, failed.exit_code = error.log_text, error.exit_code
        raise failed from error
    if not ended:
        raise ConnectorFailedError(
            f"stream {stream.name!r} ended before it was complete.", stream=stream.name
        )


def samples(
    source: Any, streams: Sequence[str] | str | None, *, limit: int, on_error: str
) -> dict[str, InMemoryDataset | None]:
    """Return the first records of streams."""
    if on_error not in {"raise", "ignore", "log"}:
        raise InputError(
            f"on_error is one of 'raise', 'ignore', 'log', not {on_error!r}.", input_value=on_error
        )
    found: dict[str, InMemoryDataset | None] = {}
    for stream in selecting.chosen(source, streams):
        try:
            found[stream.name] = records(
                source, stream.name, limit=limit, normalize=False, prune=True
            ).fetch_all()
        except EtlAssetsError as error:
            if on_error == "raise":
                raise
            if on_error == "log":
                source.logger.warning("stream %r: no sample: %s", stream.name, redact(str(error)))
            found[stream.name] = None
    return found


def print_samples(found: Mapping[str, InMemoryDataset | None]) -> None:
    """Print samples as tables."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for name, dataset in found.items():
        if dataset is None:
            console.print(f"{name}: no sample", markup=False)
            continue
        rows = [
            {key: value for key, value in row.items() if not key.startswith("_airbyte_")}
            for row in dataset
        ]
        columns: dict[str, None] = {}
        for row in rows:
            columns.update(dict.fromkeys(row))
        table = Table(title=Text(f"{name}: {len(rows)} records"))
        if len(columns) <= _COLUMNS_ACROSS:
            heads = list(columns)
            lines = [[row.get(column) for column in columns] for row in rows]
        else:  # a row for each field
            heads = ["field", *(str(number + 1) for number in range(len(rows)))]
            lines = [[column, *(row.get(column) for row in rows)] for column in columns]
        for head in heads:
            table.add_column(Text(head))
        for line in lines:
            table.add_row(*(Text(str(value)) for value in line))
        console.print(table)


_COLUMNS_ACROSS = 10


def _say_incremental(
    streams: Sequence[Stream], known: Collection[StreamKey], *, full_refresh: bool
) -> None:
    """Print which streams continue from where they ended, and which will the next time."""
    if full_refresh:
        return
    incremental = [stream for stream in streams if stream.method != "FULL_TABLE"]
    going_on = [stream.name for stream in incremental if stream.key in known]
    new = [stream.name for stream in incremental if stream.key not in known]
    if going_on:
        print(  # noqa: T201 - said to the person at the script
            f"Read incrementally, from where they ended: {', '.join(going_on)}. "
            "For all of their records, use read(force_full_refresh=True)."
        )
    if new:
        print(  # noqa: T201 - as above
            f"Read from the beginning, and incrementally the next time: {', '.join(new)}."
        )


def _failed(source: Any, errors: Mapping[str, Exception], result: ReadResult) -> StreamsFailedError:
    first = next(iter(errors))
    failed = StreamsFailedError(
        f"{len(errors)} of {len(errors) + len(result)} streams of {source.name!r} failed: "
        f"{', '.join(map(repr, errors))}. {redact(str(errors[first]))}",
        connector_name=configuring.name_of(source),
        stream=first,
        read_result=result,
    )
    failed.__cause__ = errors[first]
    if len(errors) > 1:
        failed.__cause__ = ExceptionGroup("the streams' errors", list(errors.values()))
    return failed

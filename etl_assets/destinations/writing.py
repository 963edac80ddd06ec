"""What the verb `Destination.write` does: a source's streams, or what was read into a cache, into a destination."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from etl_assets.destinations.places import is_hashed_name_of
from etl_assets.exceptions import ConnectorWriteError, EtlAssetsError, EtlAssetsWarning, InputError
from etl_assets.protocol.load import SyncResult
from etl_assets.protocol.stored import Bookmark, SharedState, StreamState
from etl_assets.redaction import redact
from etl_assets.replay import CachedRead
from etl_assets.results import ReadResult, WriteResult, checked_cache
from etl_assets.strategies import WriteStrategy, strategy_named
from etl_assets.sync import new_load_id, resolve_start, sync


def in_destination(name: str) -> str:
    """Give the end of the name under which the bookmarks of a source in this destination are kept."""
    return f" in {name}"


class StateMemory:
    """The bookmarks of streams in a destination that keeps none itself: in a cache.

    Args:
        keeper: The cache's destination, where they are kept; None to keep none.
        source_name: The source.
        destination_name: The destination.
    """

    def __init__(self, keeper: Any, source_name: str, destination_name: str) -> None:
        self._keeper = keeper
        self._source_name, self._destination_name = source_name, destination_name
        self._key = f"{source_name}{in_destination(destination_name)}"
        self._known = self._load() if keeper else {}

    @property
    def known(self) -> Mapping[str, Bookmark]:
        """The bookmarks by stream."""
        return self._known

    def of(self, stream: str) -> Bookmark | None:
        """Give the bookmark of a stream, or None."""
        return self._known.get(stream)

    def keep(self, stream: str, bookmark: Bookmark | None) -> None:
        """Keep the bookmark of a stream."""
        if bookmark is None or self._known.get(stream) == bookmark:
            return
        self._known[stream] = bookmark
        if self._keeper:
            self._save()

    def _load(self) -> dict[str, Any]:
        found = self._keeper.stored_source(self._key).state or self._hashed()
        return dict((found.bookmark or {}).get("streams") or {}) if found else {}

    def _hashed(self) -> StreamState | None:
        """Return the row under the name and a hash of a config, as it was stored once; only one can be meant."""
        end = in_destination(self._destination_name)
        rows = [
            row
            for row in self._keeper.states()
            if row.source.endswith(end) and is_hashed_name_of(row.source.removesuffix(end), self._source_name)
        ]
        return rows[0] if len(rows) == 1 else None

    def _save(self) -> None:
        destination = self._keeper
        with destination.transaction() as tx:
            ledger = destination.ledger(tx)
            ledger.create()
            current = next((one for one in ledger.source_states(self._key, "") if one.shared), None)
            shared = SharedState(
                source=self._key,
                load_id=new_load_id(),
                bookmark={"streams": self._known},
                begins_from=current.load_id if current else None,
            )
            ledger.save_shared(shared, datetime.now(UTC))


def write(
    destination: Any,
    source_data: Any,
    *,
    streams: Sequence[str] | str | None,
    cache: Any,
    state_cache: Any,
    write_strategy: str | WriteStrategy,
    full_refresh: bool,
) -> WriteResult:
    """Write; see `DestinationVerbs.write`."""
    reading = import_module("etl_assets.sources.reading")
    source_class = import_module("etl_assets.sources.base").Source
    strategy = strategy_named(write_strategy)
    if isinstance(source_data, source_class) and checked_cache(cache):
        source_data = source_data.read(cache, streams=streams, write_strategy=strategy, force_full_refresh=full_refresh)
    late = None
    if isinstance(source_data, ReadResult):
        memory = _memory(destination, source_data.stored_as, state_cache or source_data.cache)
        results, errors = _write_cached(destination, source_data, streams, strategy, memory, full_refresh=full_refresh)
    elif isinstance(source_data, source_class):
        wanted = reading.wanted_streams(source_data, streams)
        stored_as = reading.stored_name(source_data, destination, [stream.key for stream in wanted])
        memory = _memory(destination, stored_as, state_cache)
        loaded = reading.load(
            source_data,
            wanted,
            destination,
            strategy=strategy,
            full_refresh=full_refresh,
            stored_as=stored_as,
            memory=memory,
        )
        results, errors, late = loaded.results, loaded.errors, loaded.late
    else:
        raise _no_source(source_data)
    if errors:
        raise _not_written(errors, len(results)) from next(iter(errors.values()))
    if late is not None:
        raise late
    return WriteResult(destination=destination, source_data=source_data, results=results)


def _no_source(given: Any) -> InputError:
    return InputError(
        f"A {type(given).__name__} cannot be written.",
        hint="Give a source, or what its read() has returned.",
        input_value=given,
    )


def _not_written(errors: Mapping[str, Exception], written: int) -> ConnectorWriteError:
    first = next(iter(errors))
    return ConnectorWriteError(
        f"{len(errors)} of {len(errors) + written} streams were not written: "
        f"{', '.join(map(repr, errors))}. {redact(str(errors[first]))}",
        stream=first,
    )


def _memory(destination: Any, source_name: str, state_cache: Any) -> StateMemory:
    if destination.capabilities.keeps_state:
        return StateMemory(None, source_name, "")  # it knows better
    if state_cache is None:
        warnings.warn(
            f"{destination!r} keeps no state, so every write begins anew. Give it a state_cache, or False.",
            EtlAssetsWarning,
            stacklevel=4,
        )
    keeper = checked_cache(state_cache)
    return StateMemory(keeper.destination if keeper else None, source_name, destination.identity)


def _write_cached(
    destination: Any,
    result: ReadResult,
    streams: Sequence[str] | str | None,
    strategy: WriteStrategy,
    memory: StateMemory,
    *,
    full_refresh: bool,
) -> tuple[dict[str, SyncResult], dict[str, Exception]]:
    names = list(result) if streams in (None, "*") else [streams] if isinstance(streams, str) else list(streams or ())
    done: dict[str, SyncResult] = {}
    errors: dict[str, Exception] = {}
    for name in names:
        if name not in result:
            raise InputError(f"{name!r} was not read: {', '.join(map(repr, result))} were.", input_value=name)
        try:
            done[name] = _write_one(destination, result, name, strategy, memory, full_refresh=full_refresh)
        except EtlAssetsError as error:
            errors[name] = error
    return done, errors


def _write_one(
    destination: Any, result: ReadResult, name: str, strategy: WriteStrategy, memory: StateMemory, *, full_refresh: bool
) -> SyncResult:
    stored_as = destination.stored_under(result.stored_as, [("", name)], hashed=result.state_name != result.source_name)
    read = CachedRead(result, name, source_name=stored_as)
    can = destination.capabilities.strategies
    table = destination.table_for(result.state_name, read.stream)
    start = resolve_start(read, destination, full_refresh=full_refresh, fallback=lambda: memory.of(name), table=table)
    if not start.full_refresh and start.bookmark is not None and not read.is_continued_by(start.bookmark):
        start = resolve_start(read, destination, full_refresh=True, table=table)
    if strategy is WriteStrategy.AUTO and not start.full_refresh:
        # As it came into the cache: what was merged is merged, what was replaced is replaced.
        came = result.results[name].strategy if name in result.results else WriteStrategy.REPLACE
        strategy = came if came in can else WriteStrategy.APPEND
    written = sync(read, destination, start=start, strategy=strategy, table=table)
    memory.keep(name, written.bookmark)
    return written

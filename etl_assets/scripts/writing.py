"""What `Destination.write` does with the streams of a source, or with what a cache holds."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from etl_assets.caches.state_memory import StateMemory
from etl_assets.engine.start import resolve_start
from etl_assets.engine.sync import sync
from etl_assets.exceptions import ConnectorWriteError, EtlAssetsError, EtlAssetsWarning, InputError
from etl_assets.model.load import SyncResult
from etl_assets.redaction import redact
from etl_assets.results import ReadResult, WriteResult, checked_cache
from etl_assets.scripts import reading
from etl_assets.scripts.replay import CachedRead
from etl_assets.scripts.stored_names import stored_name
from etl_assets.sources.base import Source
from etl_assets.strategies import WriteStrategy, strategy_named


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
    strategy = strategy_named(write_strategy)
    if isinstance(source_data, Source) and checked_cache(cache):
        source_data = source_data.read(
            cache, streams=streams, write_strategy=strategy, force_full_refresh=full_refresh
        )
    late = None
    if isinstance(source_data, ReadResult):
        memory = _memory(destination, source_data.stored_as, state_cache or source_data.cache)
        results, errors = _write_cached(
            destination, source_data, streams, strategy, memory, full_refresh=full_refresh
        )
    elif isinstance(source_data, Source):
        wanted = reading.wanted_streams(source_data, streams)
        stored_as = stored_name(source_data, destination, [stream.key for stream in wanted])
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
        return StateMemory(None, source_name, "")  # the destination's own state is the right one
    if state_cache is None:
        warnings.warn(
            f"{destination!r} keeps no state, so every write begins anew. Give it a state_cache, "
            "or False.",
            EtlAssetsWarning,
            stacklevel=4,
        )
    keeper = checked_cache(state_cache)
    kept_in = keeper.destination if keeper else None
    return StateMemory(kept_in, source_name, destination.identity)


def _write_cached(
    destination: Any,
    result: ReadResult,
    streams: Sequence[str] | str | None,
    strategy: WriteStrategy,
    memory: StateMemory,
    *,
    full_refresh: bool,
) -> tuple[dict[str, SyncResult], dict[str, Exception]]:
    if streams is None or streams == "*":
        names = list(result)
    elif isinstance(streams, str):
        names = [streams]
    else:
        names = list(streams)
    done: dict[str, SyncResult] = {}
    errors: dict[str, Exception] = {}
    for name in names:
        if name not in result:
            raise InputError(
                f"{name!r} was not read: {', '.join(map(repr, result))} were.", input_value=name
            )
        try:
            done[name] = _write_one(
                destination, result, name, strategy, memory, full_refresh=full_refresh
            )
        except EtlAssetsError as error:
            errors[name] = error
    return done, errors


def _write_one(
    destination: Any,
    result: ReadResult,
    name: str,
    strategy: WriteStrategy,
    memory: StateMemory,
    *,
    full_refresh: bool,
) -> SyncResult:
    stored_as = destination.stored_under(
        result.stored_as, [("", name)], hashed=result.state_name != result.source_name
    )
    read = CachedRead(result, name, source_name=stored_as)
    table = destination.table_for(result.state_name, read.stream)
    start = resolve_start(
        read, destination, full_refresh=full_refresh, fallback=lambda: memory.of(name), table=table
    )
    has_bookmark = not start.full_refresh and start.bookmark is not None
    if has_bookmark and not read.is_continued_by(start.bookmark):
        start = resolve_start(read, destination, full_refresh=True, table=table)
    if strategy is WriteStrategy.AUTO and not start.full_refresh:
        # As into the cache: what was merged is merged, what was replaced is replaced.
        strategy = WriteStrategy.REPLACE
        if name in result.results:
            strategy = result.results[name].strategy
        if strategy not in destination.capabilities.strategies:
            strategy = WriteStrategy.APPEND
    written = sync(read, destination, start=start, strategy=strategy, table=table)
    memory.keep(name, written.bookmark)
    return written

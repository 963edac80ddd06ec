"""Where a sync begins: the caller's word, else the destination's state row, else what an orchestrator knows."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from etl_assets.exceptions import ConfigError, DestinationError, StateError, UnsupportedWriteError, naming_stream
from etl_assets.faults import fault
from etl_assets.model.bookmarks.given import GivenBookmark, given_bookmark
from etl_assets.model.bookmarks.tracker import without_fingerprint
from etl_assets.model.load import StreamOfSource, Target
from etl_assets.model.stored import Bookmark, Stored, StreamState, TableName


@dataclass(frozen=True)
class Start:
    """Where a sync begins, and why.

    Args:
        bookmark: Read from here; None from the very beginning.
        begins_from: The load id of the state row this read begins from; the commit checks that it is still there.
        full_refresh: Read everything. `auto` then replaces the table; one that was named rules all the same.
        anew: The table, or its state, is not what the last load has left (somebody changed or emptied it, the state was
            reset): it is replaced whatever the write strategy, as an append would double what is left of it.
        given: The bookmark is the caller's.
        asked: And this is what the caller asks for, held against what is stored; None where it is not known.
        reason: A sentence for the log.
        state: The state row, if there is one.
    """

    bookmark: Bookmark | None = None
    begins_from: str | None = None
    full_refresh: bool = False
    anew: bool = False
    given: bool = False
    reason: str = "nothing was synced before"
    state: StreamState | None = None
    asked: GivenBookmark | None = None

    @property
    def begins_anew(self) -> bool:
        """Whether a table that is replaced need not have the types it has."""
        return self.full_refresh or self.anew


def resolve_start(  # noqa: PLR0913 - each is one of the things that can rule
    read: StreamOfSource,
    destination: Target,
    *,
    full_refresh: bool = False,
    bookmark: Bookmark | None = None,
    keep_bookmark: bool = False,
    fallback: Callable[[], Bookmark | None] | None = None,
    on_table_changed: Literal["error", "full_refresh"] = "error",
    adopt: bool = False,
    table: TableName | None = None,
    partition: str = "",
    stored: Stored | None = None,
) -> Start:
    """Decide where a sync begins: the caller's word, else the destination's state row, else the fallback.

    Args:
        read: What is going to be read.
        destination: Where to.
        full_refresh: Read everything, as a new stream.
        bookmark: Begin here instead of where the stored bookmark says. If that leaves rows out, the stored bookmark
            stays where it is.
        keep_bookmark: Store what a read from the given bookmark reaches, so that those rows are skipped for good.
        fallback: Asked where the destination keeps no state (the newest event of a run).
        on_table_changed: What to do when someone else emptied or dropped the table since the last load.
        adopt: Take over a table that this library did not make.
        table: The stream's table, where it is not the destination's default.
        partition: The partition that is synced.
        stored: What the destination knows of the stream, where the caller has asked already.

    Raises:
        DestinationError: The table is somebody else's.
        UnsupportedWriteError: The table's engine cannot roll back.
        StateError: The table is not as its ledger says, and `on_table_changed` is `error`.
    """
    fault("begin")
    if stored is None:
        with naming_stream(read.stream.name):
            stored = destination.stored(read.source_name, read.stream, table=table, partition=partition)
    _refuse_table(read, stored, adopt=adopt)
    state = stored.state
    begins_from = state.load_id if state else None
    if full_refresh:
        asked = "a full refresh was asked for"
        return Start(None, begins_from, full_refresh=True, anew=stored.reset, reason=asked, state=state)
    if stored.problem:
        if on_table_changed == "full_refresh":
            return Start(None, begins_from, full_refresh=True, anew=True, reason=stored.problem, state=state)
        raise StateError(
            f"stream {read.stream.name!r}: {stored.problem}.",
            hint="Someone else changed it. Load it anew with `full_refresh` (in a script `force_full_refresh=True`), "
            'or always, with on_table_changed="full_refresh".',
            stream=read.stream.name,
        )
    if bookmark is not None:
        return _given(read, destination, bookmark, state, fallback, keep=keep_bookmark)
    return _where_it_ended(stored, None if destination.capabilities.keeps_state else fallback)


def _where_it_ended(stored: Stored, fallback: Callable[[], Bookmark | None] | None) -> Start:
    """Begin where the last sync ended, as the state row says; a destination that keeps none has the fallback asked."""
    if stored.state:
        reached = without_fingerprint(stored.state.bookmark)
        reason = "the destination's state row" if reached else "the last sync left no bookmark"
        return Start(reached, stored.state.load_id, reason=reason, state=stored.state)
    if stored.reset:
        return Start(full_refresh=True, anew=True, reason="the stored state was reset")
    # A destination that keeps state and has none for this stream is new to it, whatever events say.
    found = fallback() if fallback else None
    return Start(found, None, reason="the newest event of a run") if found is not None else Start()


def _given(
    read: StreamOfSource,
    destination: Target,
    bookmark: Bookmark,
    state: StreamState | None,
    fallback: Callable[[], Bookmark | None] | None,
    *,
    keep: bool,
) -> Start:
    stored = state.bookmark if state else None
    if fallback is not None and not destination.capabilities.keeps_state:
        with suppress(ConfigError):  # it shows no more than a digest, which a given bookmark takes the place of
            stored = fallback()
    asked, begins_from = given_bookmark(bookmark, stored, read.stream, keep=keep), state.load_id if state else None
    return Start(bookmark, begins_from, given=True, reason="the bookmark was given", state=state, asked=asked)


def _refuse_table(read: StreamOfSource, stored: Stored, *, adopt: bool) -> None:
    """Refuse a table that is not to be written to, before anything is read."""
    if stored.foreign and not adopt:
        raise DestinationError(
            f"stream {read.stream.name!r}: {stored.foreign}.",
            hint="Choose another table, or take this one over with adopt=True.",
            stream=read.stream.name,
        )
    if stored.unsafe:
        raise UnsupportedWriteError(f"stream {read.stream.name!r}: {stored.unsafe}", stream=read.stream.name)

"""The rows of an appended stream that must not be loaded again: those at the bookmark or before it.

A merge takes away what comes twice. Where rows are appended nothing does, so those at the bookmark
are kept with it and recognised when they come again (`boundary.py`). Equal rows that are really
there twice both stay.
"""

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Literal, NoReturn

from etl_assets.exceptions import BookmarkError, shorten
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.boundary import Boundary, UndecidableError
from etl_assets.model.bookmarks.keys import Key, Keys, source_value
from etl_assets.model.selection import column_selector
from etl_assets.model.stream import Stream
from etl_assets.model.values.arrays import rows_of
from etl_assets.model.values.scalars import to_json

LateRows = Literal["drop", "error", "load"]
"""What becomes of appended rows that come from before the bookmark."""
BOUNDARY = "~boundary"
"""The key under which a bookmark has its rows: it sorts behind every replication key."""
MAX_BOUNDARY_ROWS = 10_000
"""How many rows may share the largest replication key."""


@dataclass(frozen=True)
class Appending:
    """How the rows of a stream are appended.

    Args:
        source: The source's name.
        fields_before: The fields of the table after the last load, where that is known.
        late_rows: What becomes of rows from before the bookmark: `drop` (they are counted, and
            told), `error` or `load`. None is `error` for a stream with a primary key, `drop` for
            one without.
        merged_before: Whether an earlier sync may have merged: then nothing tells which rows are
            there already.
    """

    source: str = ""
    fields_before: Collection[str] | None = None
    late_rows: LateRows | None = None
    merged_before: bool = True


class AppendedRows:
    """Tells which rows of a read are loaded already, and keeps those that will come again.

    Args:
        stream: Has a cursor.
        bookmark: Where the read began, with what is stored of its rows.
        appending: How.
        given: The bookmark is the caller's, who wants the rows from there on.

    Raises:
        BookmarkError: What is stored of the rows cannot be read.
    """

    late = 0
    """Rows that came from before the bookmark."""

    def __init__(
        self,
        stream: Stream,
        bookmark: Mapping[str, Any] | None,
        appending: Appending,
        *,
        given: bool,
    ) -> None:
        self._stream = stream
        self._source = appending.source
        self._stored_key = {name: (bookmark or {}).get(name) for name in stream.cursor}
        self._boundary = _boundary(stream, bookmark, appending)
        default: LateRows = "error" if stream.primary_key else "drop"
        self._late_rows: LateRows = appending.late_rows or default
        self._earliest: tuple[Key, str] | None = None
        may_be_merged = appending.merged_before and bool(stream.primary_key)
        has_boundary = BOUNDARY in (bookmark or {})
        # Of a stream that was merged until now, nothing tells which rows are there already.
        self._merged = may_be_merged and not given and not has_boundary
        self._bookmark: Key | None = None
        self._passed = False
        """Whether no more rows at the stored bookmark can come."""
        self._loaded = len(self._boundary)
        """How many rows are loaded at the largest key so far."""
        self._pending: Callable[[], Sequence[Mapping[str, Any]]] | None = None

    def begin_at(self, bookmark: Key) -> None:
        """Take the stored bookmark in the form of the first keys that have come."""
        self._bookmark = bookmark

    @property
    def settled(self) -> bool:
        """Whether what came so far may be committed.

        It may not while a row that is still to come decides which of them are loaded already.
        """
        is_decided = self._passed or not self._boundary.undecided
        # With too many rows at one key no bookmark can be stored, until a larger key comes.
        return is_decided and self._loaded <= MAX_BOUNDARY_ROWS

    def refuse_null(self, batch: Batch, keys: Keys) -> None:
        """Refuse rows that no bookmark covers and no key tells apart.

        They would be loaded again and again.

        Raises:
            BookmarkError: There are such rows.
        """
        without = keys.rows_without()
        if without:
            first = shown(source_value(batch, self._stream, without[0]))
            raise BookmarkError(
                f"stream {self._stream.name!r}: {len(without)} rows have no value in the "
                f"replication key {names_of(self._stream)}, so that they would be loaded again by "
                f"the next sync. The first: {first}.",
                hint="Leave them out in the source, or give the stream a primary key, and they are "
                "merged.",
                stream=self._stream.name,
            )

    def left_out(self, batch: Batch, keys: Keys) -> set[int]:
        """Return the rows that are not to be loaded.

        These are the late ones, and those at the bookmark that were loaded before.

        Raises:
            BookmarkError: Nothing tells which rows are loaded already, or late rows are an error.
        """
        if self._bookmark is None:
            return set()
        left_out = self._late(batch, keys, self._bookmark)
        if self._passed:
            return left_out
        return left_out | self._repeated(batch, keys.rows_at(self._bookmark), self._bookmark)

    def _late(self, batch: Batch, keys: Keys, bookmark: Key) -> set[int]:
        """Count the rows from before the bookmark, and return those that are to be left out."""
        late, earliest = keys.rows_before(bookmark), keys.smallest()
        if not late or earliest is None:
            return set()
        first = shown(source_value(batch, self._stream, earliest[1]))
        if self._late_rows == "error":
            raise BookmarkError(
                f"stream {self._stream.name!r}: a row from before the bookmark {shown(bookmark)} "
                "came, and an append could not tell whether it is there: "
                f"{names_of(self._stream)} = {first}.",
                hint='Merge by a primary key instead. Or set late_rows="drop" to leave such rows '
                'out, or "load" to append them, if the source gives none that it has given before.',
                stream=self._stream.name,
            )
        self.late += len(late)
        if self._earliest is None or earliest[0] < self._earliest[0]:
            self._earliest = (earliest[0], first)
        return set() if self._late_rows == "load" else set(late)

    def _repeated(self, batch: Batch, at_bookmark: list[int], bookmark: Key) -> set[int]:
        if not at_bookmark:
            return set()
        if self._merged:
            raise BookmarkError(
                f"stream {self._stream.name!r}: a row at the bookmark {shown(bookmark)} came "
                "again, and the sync that stored it did not append: nothing tells whether the row "
                "is there.",
                hint="Go on merging, or begin to append after `etl-assets state reset`.",
                stream=self._stream.name,
            )
        try:
            known = self._boundary.recognise(self._rows(batch, at_bookmark))
        except UndecidableError as error:
            self._refuse_undecided(error)
        return {row for row, is_known in zip(at_bookmark, known, strict=True) if is_known}

    def move(self, *, ordered: bool) -> None:
        """Take note that a larger key was reached.

        In an ordered read, no more rows at the bookmark can come then.

        Raises:
            BookmarkError: Nothing tells which rows are loaded already.
        """
        if ordered:
            self._settle()
            self._passed = True
        self._boundary.move()
        self._loaded = 0
        self._pending = None

    def load(self, batch: Batch, keys: Keys, largest: Key, left_out: Collection[int]) -> None:
        """Record the rows at the largest key so far, which this sync loads."""
        self._load_pending()
        rows = [row for row in keys.rows_at(largest) if row not in left_out]
        self._loaded += len(rows)
        if self._loaded > MAX_BOUNDARY_ROWS:
            return  # there is no use in hashing them: either a larger key comes, or it is an error
        # The next batch mostly has a larger key: only the rows at the last one are worth a hash.
        self._pending = lambda: self._rows(batch, rows)
        if batch.rows is not None:
            self._load_pending()  # the source may use its list and dicts again for what comes next

    def stored(self, largest: Key | None) -> dict[str, Any]:
        """Return what is to be stored with the bookmark.

        Raises:
            BookmarkError: Too many rows have the largest key, or nothing tells which of them are
                loaded already.
        """
        self._load_pending()
        self._settle()
        if self._loaded > MAX_BOUNDARY_ROWS:
            raise BookmarkError(
                f"stream {self._stream.name!r}: more than {MAX_BOUNDARY_ROWS} rows share the "
                f"replication key {names_of(self._stream)} = {shown(largest or ())}, too many to "
                "tell apart when they come again.",
                hint="Merge by a primary key, or give the stream a replication key with fewer "
                "equal values.",
                stream=self._stream.name,
            )
        return {BOUNDARY: self._boundary.to_json()} if len(self._boundary) else {}

    def remarks(self) -> list[tuple[str, int]]:
        """Return what people should know of this read.

        These are sentences for its log, each with the number of late rows it is about.
        """
        late = [] if self._earliest is None else [(self._late_remark(self._earliest[1]), self.late)]
        return [*late, *((sentence, 0) for sentence in self._boundary_remarks())]

    def _late_remark(self, earliest: str) -> str:
        what = "loaded" if self._late_rows == "load" else "left out"
        return (
            f"{self.late:,} rows from before the bookmark were {what}: the earliest has "
            f"{names_of(self._stream)} = {earliest}. They came late, or the source gives rows that "
            'it has given before; late_rows says what becomes of them ("drop", "load" or "error")'
        )

    def _boundary_remarks(self) -> Iterator[str]:
        if self._boundary.told_by:
            fields = ", ".join(map(repr, self._boundary.told_by))
            yield (
                f"rows at the bookmark were recognised by {fields} alone: their other fields have "
                "changed"
            )
        if self._boundary.changed:
            yield (
                f"{self._boundary.changed:,} rows at the bookmark came again with other values and "
                "were not appended once more: their replication key and primary key are the same"
            )
        missing, new = self._boundary.replaced
        if missing and new:
            yield (
                f"{missing:,} of the rows loaded at the bookmark did not come again, and {new:,} "
                "others came there and were appended. If the source has changed rows, or a "
                "column's type has changed their values, both versions are in the table now"
            )

    def _load_pending(self) -> None:
        if self._pending is not None:
            self._boundary.load(self._pending())
            self._pending = None

    def _settle(self) -> None:
        if self._passed:
            return
        try:
            self._boundary.settle()
        except UndecidableError as error:
            self._refuse_undecided(error)

    def _refuse_undecided(self, error: UndecidableError) -> NoReturn:
        place = shlex.quote(f"{self._source}/{self._stream.full_name}")
        again = shlex.quote(to_json({**self._stored_key, BOUNDARY: []}))
        raise BookmarkError(
            f"stream {self._stream.name!r}: nothing tells which rows at the bookmark "
            f"{shown(self._bookmark or ())} are loaded already, so an append would double or lose "
            f"them: {error}.",
            hint=f"Run `etl-assets state reset {place}`, and the next sync loads the stream anew. "
            "Or, to keep older rows, delete those that have this replication key from the table "
            f"and run `etl-assets state set {place} {again}`: the next sync then loads these once "
            "more.",
            stream=self._stream.name,
        ) from error

    def _rows(self, batch: Batch, indexes: Sequence[int]) -> Sequence[Mapping[str, Any]]:
        if not indexes:
            return []
        if batch.rows is not None:
            return [batch.rows[index] for index in indexes]
        return rows_of(batch.some(self._stream, None, indexes))


def _boundary(stream: Stream, bookmark: Mapping[str, Any] | None, appending: Appending) -> Boundary:
    try:
        return Boundary(
            (bookmark or {}).get(BOUNDARY),
            primary_key=stream.primary_key,
            cursor=stream.cursor,
            selects=column_selector(stream),
            fields_before=appending.fields_before,
        )
    except ValueError as error:
        raise BookmarkError(
            f"stream {stream.name!r}: what its bookmark says under {BOUNDARY!r} cannot be read: "
            f"{error}.",
            hint="Store the bookmark again as `etl-assets state get` showed it, or run "
            "`etl-assets state reset`.",
            stream=stream.name,
        ) from error


def names_of(stream: Stream) -> str:
    """Return the names of the replication key, for a message."""
    return ", ".join(repr(name) for name in stream.cursor)


def shown(key: Key) -> str:
    """Return a key, shortened, for a message: times in ISO 8601, as bookmarks have them."""
    values = tuple(value.isoformat() if isinstance(value, date | time) else value for value in key)
    return shorten(values[0] if len(values) == 1 else values)

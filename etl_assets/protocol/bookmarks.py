"""The bookmark of a stream whose source gives none: the largest replication key, and the rows at that boundary.

A source reads `>=` the bookmark, so that ties are never lost. A merge by the primary key takes the repeated rows away.
Where rows are appended, those already loaded at the boundary are told by a hash of their values, kept with the bookmark
under `BOUNDARY`, each with how often it came: append never removes equal rows that are really there twice.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from etl_assets.exceptions import BookmarkError, shorten
from etl_assets.protocol.arrays import rows_of
from etl_assets.protocol.batch import Batch, json_value
from etl_assets.protocol.keys import Key, Keys, comparable, keys_of, source_value
from etl_assets.protocol.load import Bookmark
from etl_assets.protocol.stream import Stream
from etl_assets.protocol.values import to_json

BOUNDARY = "~boundary"
"""Sorts behind every replication key, so that people see those first."""
FINGERPRINT = "~fingerprint"
"""What the source said of all that is at and after the bookmark: while it says the same, there is nothing to read."""
MAX_BOUNDARY_ROWS = 10_000
HASH_BYTES = 10


def plain(bookmark: Bookmark | None) -> dict[str, Any] | None:
    """Give the bookmark as a source is to see it: its values only."""
    if bookmark is None:
        return None
    return {name: value for name, value in bookmark.items() if name not in {BOUNDARY, FINGERPRINT}} or None


def without_fingerprint(bookmark: Bookmark | None) -> Bookmark | None:
    """Give the bookmark as it is reported: what is stored with it for the next read alone is nobody else's."""
    return {name: value for name, value in bookmark.items() if name != FINGERPRINT} if bookmark else bookmark


class BookmarkTracker:
    """Follows the replication key through a read. It never goes back, and never becomes NULL.

    Args:
        stream: Has a cursor.
        bookmark: Where the read began.
        boundary: Tell rows at the boundary apart by their hash (where rows are appended, or have no primary key).
        check_order: The first row out of order is an error.
        ordered: The engine orders the rows, so once a larger key has come the boundary of the last sync lies behind.
        given: The bookmark is the caller's, who wants the rows from there on.
    """

    def __init__(
        self,
        stream: Stream,
        bookmark: Bookmark | None,
        *,
        boundary: bool,
        check_order: bool,
        ordered: bool,
        given: bool = False,
    ) -> None:
        self.stream = stream
        self._check_order = check_order
        self._ordered = ordered
        self._began_at = bookmark
        self._best: Key | None = None
        self._best_values: Key | None = None
        if bookmark and all(bookmark.get(name) is not None for name in stream.cursor):
            self._best_values = tuple(bookmark[name] for name in stream.cursor)
        self._repeats: Counter[str] = Counter((bookmark or {}).get(BOUNDARY) or {}) if boundary else Counter()
        self._repeats_at: Key | None = None
        # Of a stream that was merged until now, nothing tells which rows are there already.
        self._merged = boundary and not given and bool(stream.primary_key) and BOUNDARY not in (bookmark or {})
        self._boundary: Counter[str] | None = Counter(self._repeats) if boundary else None
        self._pending: Callable[[], list[str]] | None = None
        self._last: Key | None = None

    def take(self, batch: Batch) -> Batch:
        """Follow a batch; gives it without the rows that an earlier sync has already loaded at the boundary.

        Raises:
            BookmarkError: The keys cannot be compared, or are out of order though the source promised one.
        """
        try:
            return self._take(batch)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise BookmarkError(
                f"stream {self.stream.name!r}: values of its replication key {self._names()} cannot be compared: "
                f"{error}.",
                hint="Give the key one type in the stream's schema; correct rows where it is NaN.",
                stream=self.stream.name,
            ) from error

    def bookmark(self) -> Bookmark | None:
        """Give the bookmark that covers everything taken so far; the one it began from if nothing was.

        Raises:
            BookmarkError: Too many rows share the largest key.
        """
        self._hash_pending()
        values = self.position()
        if self._best_values is not None and self._boundary:
            return {**(values or {}), BOUNDARY: dict(self._boundary)}
        return values

    def position(self) -> Bookmark | None:
        """Give the bookmark without what tells its boundary rows apart, which takes longer: for people to see."""
        if self._best_values is None:
            return self._began_at
        return {name: json_value(v) for name, v in zip(self.stream.cursor, self._best_values, strict=True)}

    def _take(self, batch: Batch) -> Batch:
        keys = keys_of(batch, self.stream)
        if self._boundary is not None:
            self._refuse_null(batch, keys)
        largest = keys.largest()
        if largest is None:
            return batch
        key, index = largest
        if self._best is None and self._best_values is not None:
            stored = zip(self._best_values, key, strict=True)
            self._best = self._repeats_at = tuple(comparable(value, like) for value, like in stored)
        if self._check_order:
            self._check(keys)
        repeated = self._repeated(batch, keys)
        self._advance(batch, keys, key, index, repeated)
        return batch.keep([row not in repeated for row in range(len(batch))]) if repeated else batch

    def _check(self, keys: Keys) -> None:
        found = keys.disorder(self._last)
        if found:
            raise BookmarkError(
                f"stream {self.stream.name!r}: rows came out of order: {self._names()} "
                f"{_show(found[0])} after {_show(found[1])}.",
                hint="Have the source order them, or set `is_sorted = False` on it: the bookmark is then saved once, "
                "when the stream has ended.",
                stream=self.stream.name,
            )
        self._last = keys.last()

    def _refuse_null(self, batch: Batch, keys: Keys) -> None:
        """Refuse rows that no bookmark covers and no key tells apart: they would be loaded again and again."""
        without = keys.rows_without()
        if without:
            raise BookmarkError(
                f"stream {self.stream.name!r}: {len(without)} rows have no value in the replication key "
                f"{self._names()}, so that they would be loaded again by the next sync. The first: "
                f"{_show(source_value(batch, self.stream, without[0]))}.",
                hint="Leave them out in the source, or give the stream a primary key, and they are merged.",
                stream=self.stream.name,
            )

    def _refuse_endless(self, values: Key) -> None:
        """Refuse a key above which no row can ever come, and which JSON has no word for."""
        for name, value in zip(self.stream.cursor, values, strict=True):
            if not is_finite(value):
                raise BookmarkError(
                    f"stream {self.stream.name!r}: its largest replication key {name!r} = {value} stands above every "
                    "number, so no bookmark can be made of it.",
                    hint="Correct that row, or choose another replication key.",
                    stream=self.stream.name,
                )

    def _repeated(self, batch: Batch, keys: Keys) -> set[int]:
        """Give the rows that an earlier sync has loaded.

        Those before its bookmark, which a source that honours it would not have given, and at its bookmark as many of
        each hash as it had counted.

        Raises:
            BookmarkError: Rows of a stream with a primary key come from before the bookmark: they may be late ones.
        """
        if self._boundary is None or self._repeats_at is None:
            return set()
        repeated = set(keys.rows_before(self._repeats_at))
        if repeated and self.stream.primary_key:
            raise BookmarkError(
                f"stream {self.stream.name!r}: a row from before the bookmark {_show(self._repeats_at)} came, and an "
                f"append could not tell whether it is there: {self._names()} = "
                f"{_show(source_value(batch, self.stream, min(repeated)))}.",
                hint="Merge by the primary key instead, or leave out what has rows read again (lookback).",
                stream=self.stream.name,
            )
        if not self._repeats and not self._merged:
            return repeated
        at_boundary = keys.rows_at(self._repeats_at)
        if at_boundary and self._merged:
            raise BookmarkError(
                f"stream {self.stream.name!r}: a row at the bookmark {_show(self._repeats_at)} came again, and the "
                "sync that stored it did not append: nothing tells whether the row is there.",
                hint="Go on merging, or begin to append with full_refresh.",
                stream=self.stream.name,
            )
        for row, its_hash in zip(at_boundary, self._hashes(batch, at_boundary), strict=True):
            if self._repeats[its_hash] > 0:
                self._repeats[its_hash] -= 1
                repeated.add(row)
        return repeated

    def _advance(self, batch: Batch, keys: Keys, largest: Key, index: int, repeated: set[int]) -> None:
        if self._best is None or largest > self._best:
            self._best = largest
            self._best_values = source_value(batch, self.stream, index)
            self._refuse_endless(self._best_values)
            if self._ordered:
                self._repeats.clear()
                self._merged = False
            if self._boundary is not None:
                self._boundary, self._pending = Counter(), None
        if self._boundary is not None and largest == self._best:
            self._hash_pending()
            # The next batch mostly has a larger key: only the rows at the last one are worth a hash.
            self._pending = lambda: self._hashes(batch, [r for r in keys.rows_at(largest) if r not in repeated])
            if batch.rows is not None:
                self._hash_pending()  # the source may use its list and dicts again for what comes next

    def _hash_pending(self) -> None:
        if self._boundary is None or self._pending is None:
            return
        self._boundary.update(self._pending())
        self._pending = None
        if self._boundary.total() > MAX_BOUNDARY_ROWS:
            raise BookmarkError(
                f"stream {self.stream.name!r}: more than {MAX_BOUNDARY_ROWS} rows share the replication key "
                f"{self._names()} = {_show(self._best or ())}, too many to tell apart when they come again.",
                hint="Merge by a primary key, or give the stream a replication key with fewer equal values.",
                stream=self.stream.name,
            )

    def _hashes(self, batch: Batch, indexes: Sequence[int]) -> list[str]:
        if not indexes:
            return []
        if batch.rows is not None:
            return [row_hash(batch.rows[index]) for index in indexes]
        return [row_hash(row) for row in rows_of(batch.some(self.stream, None, indexes))]

    def _names(self) -> str:
        return ", ".join(repr(name) for name in self.stream.cursor)


def is_finite(value: Any) -> bool:
    """Tell whether a value of a replication key is no NaN and no infinity."""
    if isinstance(value, Decimal):
        return value.is_finite()  # as a float, a number beyond 1.8e308 would be infinite
    return not isinstance(value, float) or math.isfinite(value)


def row_hash(row: Mapping[str, Any]) -> str:
    """Give a short hash of a row's values; a NULL field counts as not there, so that a new column is no change."""
    present = {name: _hashable(value) for name, value in sorted(row.items()) if value is not None}
    return blake2b(to_json(present).encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).hexdigest()


def _hashable(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        text = f"{value:f}"  # how many zeros end it depends on the other rows of a batch
        return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
    return repr(value) if isinstance(value, float) else json_value(value)  # JSON has no NaN


def _show(key: Key) -> str:
    return shorten(key[0] if len(key) == 1 else key)

"""Checks of writing and state: what is committed, what a failure leaves, who may write where."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from etl_assets.engine.start import resolve_start
from etl_assets.engine.sync import sync
from etl_assets.exceptions import ConcurrentSyncError, EtlAssetsError
from etl_assets.model.batch import Batch
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.testing.fakes import GivenRead, NumbersRead, PlannedCancel, PlannedError
from etl_assets.testing.kit import DestinationKit
from etl_assets.testing.points import STRATEGIES

KEYS = 5
Rows = Sequence[Mapping[str, Any]]


def numbered(first: int, end: int) -> list[dict[str, Any]]:
    """Return rows from `first` up to `end`; every `KEYS` of them share a key."""
    return [{"id": n % KEYS, "n": n, "text": f"row {n}"} for n in range(first, end)]


FIRST = numbered(0, 8)
THEN = numbered(0, 17)


def stream_of(strategy: str, suffix: str = "") -> Stream:
    """Return the stream that the checks load by a strategy."""
    name = f"numbers_{strategy}{suffix}"
    if strategy == "replace":
        return Stream(name, primary_key=["n"])
    return Stream(name, primary_key=["id"] if strategy == "merge" else ["n"], replication_key="n")


def expected(strategy: str, rows: Rows) -> list[tuple[Any, ...]]:
    """Return what the table holds after these rows."""
    kept = {row["id"]: row for row in rows}.values() if strategy == "merge" else rows
    return sorted((row["id"], row["n"], row["text"]) for row in kept)


class StateChecks(DestinationKit):
    """Tests of the write strategies and of the stored state.

    They are skipped if the capabilities do not promise them.
    """

    suffix = ""
    """Of the streams' names: with another one the same check begins anew."""

    def _numbers(self, strategy: str) -> list[tuple[Any, ...]]:
        found = self.rows(stream_of(strategy, self.suffix))
        return sorted((int(row["id"]), int(row["n"]), row["text"]) for row in found)

    def _sync(
        self, strategy: str, rows: Rows, *, checkpoints: bool = True, **failing: Any
    ) -> SyncResult:
        """Load by a strategy; a replace gives no bookmarks."""
        kind = NumbersRead if strategy != "replace" else GivenRead
        cuts = (
            rows
            if strategy != "replace"
            else [rows[start : start + 3] for start in range(0, len(rows), 3)]
        )
        read = kind(stream_of(strategy, self.suffix), cuts, **failing)
        return self.load(read, strategy=strategy, checkpoints=checkpoints)

    def _check_whole(self, strategy: str) -> None:
        """Check that the rows are those of the bookmark; a replaced table is the old or the new.

        Raises:
            AssertionError: It does not hold.
        """
        found = self._numbers(strategy)
        if strategy == "replace":
            assert found in (expected(strategy, FIRST), expected(strategy, THEN))
            return
        reached = (self.bookmark(stream_of(strategy, self.suffix)) or {"n": -1})["n"]
        covered = expected(strategy, [row for row in THEN if row["n"] <= reached])
        assert found == covered, f"the stored bookmark says {reached}"

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_bookmark_is_stored_with_the_rows(self, strategy: str) -> None:
        """The bookmark of a sync is there after it, and covers what is there."""
        self.needs(strategy, state=True)
        self._sync(strategy, FIRST)
        assert self._numbers(strategy) == expected(strategy, FIRST)
        assert self.destination.stored("conformance", stream_of(strategy)).state is not None
        assert strategy == "replace" or self.bookmark(stream_of(strategy)) == {"n": 7}

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_second_sync_goes_on(self, strategy: str) -> None:
        """A second sync begins at the bookmark, and a third one finds nothing new."""
        self.needs(strategy, state=True)
        for rows in (FIRST, THEN, THEN):
            self._sync(strategy, rows)
            assert self._numbers(strategy) == expected(strategy, rows)
        assert not self.left_over()

    @pytest.mark.parametrize("error", [PlannedError, PlannedCancel])
    @pytest.mark.parametrize("after", [0, 2, 100])
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_source_fails(self, strategy: str, after: int, error: type[BaseException]) -> None:
        """After a failure or a cancelled run, the state is never ahead of the rows."""
        self.needs(strategy, state=True)
        self._sync(strategy, FIRST)
        for checkpoints in (False, True):
            with pytest.raises(error):
                self._sync(strategy, THEN, checkpoints=checkpoints, fails_after=after, error=error)
            self._check_whole(strategy)
            unchanged = strategy == "replace" or not checkpoints
            assert not unchanged or self._numbers(strategy) == expected(strategy, FIRST), (
                "an uncommitted row is there"
            )
            assert not self.left_over(), "something is left of the sync that failed"
        self._sync(strategy, THEN)
        assert self._numbers(strategy) == expected(strategy, THEN)

    def test_bookmark_keeps_every_digit(self) -> None:
        """A bookmark is any JSON of the source: large, nested, with any integers and texts."""
        self.needs("append", state=True)
        stream = stream_of("append")
        given = {
            "n": 2**70,
            "text": "é\u0000'\"",
            "nested": {"a": [None, True, {}]},
            "large": "x" * 1_000_000,
        }
        self.load(GivenRead(stream, [Batch(FIRST, bookmark=given)]))
        assert self.bookmark(stream) == given

    def test_last_bookmark_is_saved_not_the_largest(self) -> None:
        """The source owns its bookmark: the last one is saved, with rows or without."""
        self.needs("append", state=True)
        stream = stream_of("append")
        self.load(GivenRead(stream, [Batch(FIRST, bookmark={"n": 9})]))
        self.load(GivenRead(stream, [Batch([], bookmark={"n": 4})]))
        assert self.bookmark(stream) == {"n": 4}
        assert self._numbers("append") == expected("append", FIRST)

    def test_no_rows_make_a_table(self) -> None:
        """A schema and a bookmark but no rows: a table with its columns, and the state."""
        self.needs("append", state=True)
        schema = {
            "type": "object",
            "properties": {"n": {"type": "integer"}, "text": {"type": "string"}},
        }
        stream = Stream("nothing", schema=schema, replication_key="n")
        result = self.load(GivenRead(stream, [Batch([], bookmark={"n": 4})]))
        assert self.rows(stream) == []
        assert self.bookmark(stream) == {"n": 4}
        assert not result.columns or {column.name for column in result.columns} == {"n", "text"}

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_concurrent_sync_is_refused(self, strategy: str) -> None:
        """A sync that began before another one committed is refused, and changes nothing."""
        self.needs(strategy, state=True)
        self._sync(strategy, FIRST)
        stream = stream_of(strategy)
        slow = GivenRead(stream, [[{"id": 0, "n": 100, "text": "slow"}]])
        began = resolve_start(slow, self.destination)
        self._sync(strategy, THEN)
        with pytest.raises(ConcurrentSyncError, match=stream.name):
            sync(slow, self.destination, start=began, strategy=strategy)
        assert self._numbers(strategy) == expected(strategy, THEN)

    def test_two_first_syncs_are_told_apart(self) -> None:
        """Of two first syncs at once one is refused."""
        self.needs("append", state=True)
        slow = GivenRead(stream_of("append"), [THEN])
        began = resolve_start(slow, self.destination)
        self._sync("append", FIRST)
        with pytest.raises(EtlAssetsError, match="numbers_append"):
            sync(slow, self.destination, start=began, strategy="append")
        assert self._numbers("append") == expected("append", FIRST)

    def test_table_of_another_source_is_refused(self) -> None:
        """A table that belongs to another source is not touched; the error names both."""
        self.needs("append", state=True)
        stream = stream_of("append")
        self._sync("append", FIRST)
        other = GivenRead(stream, [THEN], source_name="another")
        table = self.destination.table_for("conformance", stream)
        with pytest.raises(EtlAssetsError, match="conformance") as refused:
            sync(other, self.destination, strategy="append", table=table)
        assert "another" in str(refused.value) or "adopt" in str(refused.value)
        assert self._numbers("append") == expected("append", FIRST)
        assert self.bookmark(stream) == {"n": 7}

    def test_full_refresh_takes_the_place_of_all(self) -> None:
        """A full refresh replaces the table and the bookmark, where no strategy was named."""
        self.needs("append", "replace", state=True)
        stream = stream_of("append")
        self._sync("append", THEN)
        read = GivenRead(stream, [Batch(FIRST, bookmark={"n": 7})])
        self.load(read, strategy="auto", full_refresh=True)
        assert self._numbers("append") == expected("append", FIRST)
        assert self.bookmark(stream) == {"n": 7}

    def test_counts_are_true(self) -> None:
        """What a sync says it loaded is what is there."""
        self.needs("append")
        result = self.give(stream_of("append"), FIRST, THEN)
        assert result.records_read == result.records_loaded == len(FIRST) + len(THEN)
        assert result.rows_in_table in {None, len(FIRST) + len(THEN)}

    def test_a_strategy_it_has_not_is_refused(self) -> None:
        """A write strategy that is not promised is refused before anything is written."""
        can = self.destination.capabilities.strategies
        for strategy in set(STRATEGIES) - {str(one) for one in can}:
            with pytest.raises(EtlAssetsError, match=f"numbers_{strategy}"):
                self._sync(strategy, FIRST)

    def test_delivery_is_honest(self) -> None:
        """A destination that keeps no state says that it delivers at least once."""
        strategy = min(self.destination.capabilities.strategies)
        delivery = self.give(stream_of(strategy), FIRST, strategy=strategy).delivery
        assert delivery == (
            "exactly_once" if self.destination.capabilities.keeps_state else "at_least_once"
        )

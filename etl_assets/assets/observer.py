"""What a run shows of a sync while it goes on.

These are log lines, checkpoints as observations, and the progress on a terminal.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import dagster as dg
from typing_extensions import override

from etl_assets.assets.bookmark_metadata import (
    BOOKMARK,
    BOOKMARK_BOUNDARY,
    LOAD_ID,
    boundary_to_metadata,
    to_metadata,
)
from etl_assets.assets.bookmarks import DESTINATION, SCOPE
from etl_assets.assets.metadata import decoration
from etl_assets.engine.observer import Observer
from etl_assets.engine.start import Start
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.events import StreamKey
from etl_assets.model.load import Committed, Load
from etl_assets.model.stored import Bookmark
from etl_assets.model.values.scalars import to_json
from etl_assets.own_threads import OwnThread
from etl_assets.progress import ProgressBar, ProgressStyle, chosen_style
from etl_assets.progress_text import describe
from etl_assets.redaction import redact

LOG_SECONDS = 15.0
"""A line costs 4 ms of CPU and an event row, so it comes now and then only."""
OBSERVATION_SECONDS = 10.0
HEARTBEAT_SECONDS = 50.0
"""A sensor takes a run that has been silent for long for dead.

A slow query yields no batch to log.
"""
BEAT_SECONDS = 1.0
MAX_SHOWN_CHARACTERS = 200


class RunObserver(Observer):
    """Tells a run how its sync goes on.

    Used as a context manager, for its heartbeat.

    Args:
        context: Of the output.
        source: The source's name.
        stream: The stream's name.
        destination: The identity of a destination that keeps no state; None for one that keeps the
            bookmark, so that a large one is shown by its digest.
        clock: Gives seconds that never go back.
        progress: Where progress is shown; chosen by the environment by default.
    """

    def __init__(
        self,
        context: dg.OutputContext | dg.AssetExecutionContext,
        *,
        source: str,
        stream: str,
        destination: str | None,
        clock: Callable[[], float] = time.monotonic,
        progress: ProgressBar | None = None,
    ) -> None:
        self._context = context
        self._source = source
        self._stream = stream
        self._destination = destination
        self._clock = clock
        self._bar = progress or ProgressBar(_style())
        self._logged_at = clock()
        self._observed_at: dict[dg.AssetKey, float] = {}
        self._line = self._last = f"{stream}: waiting for the first rows"
        self._expected: dict[str, int] = {}
        self._began = clock()
        self._over = threading.Event()
        self._heart = OwnThread(target=self._beat, name=f"heartbeat of {stream}", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del error, trace
        self._over.set()
        self._heart.join()
        self._bar.end(self._last if kind is None else "")

    @override
    def progress(
        self, stream: str, rows: int, bytes_: int, seconds: float, bookmark: Bookmark | None
    ) -> None:
        shown = shortened(bookmark)
        expected = self._expected.get(stream)
        self._line = describe(stream, rows, bytes_, seconds, expected=expected)
        self._last = describe(
            stream, rows, bytes_, seconds
        )  # what has ended has as many rows as it has
        self._bar.show(stream, rows, bytes_, seconds, shown, expected=expected)
        if self._clock() - self._logged_at >= LOG_SECONDS:
            self._log(f"{self._line}, bookmark {shown}" if shown else self._line)

    @override
    def expect(self, stream: str, rows: int) -> None:
        self._expected[stream] = rows
        self._log(f"{stream}: about {rows:,} rows are expected")

    @override
    def remark(self, stream: str, text: str) -> None:
        self._context.log.warning(redact(f"{stream}: {text}"))

    @override
    def checkpoint(self, committed: Committed) -> None:
        self._observe(self._context.asset_key, committed, f"{self._source}/{self._stream}")

    def _observe(self, key: dg.AssetKey, committed: Committed, place: str) -> None:
        now = self._clock()
        if key in self._observed_at and now - self._observed_at[key] < OBSERVATION_SECONDS:
            return
        self._observed_at[key] = now
        with decoration(self._context.log, "Showing a checkpoint"):
            show_with = f"etl-assets state get {place}"
            # No bare numbers: the UI would plot them among those of whole syncs.
            metadata: dict[str, dg.MetadataValue] = {
                BOOKMARK: to_metadata(
                    committed.bookmark, show_with=show_with, may_cut=self._destination is None
                ),
                LOAD_ID: dg.MetadataValue.text(committed.load_id),
                "etl_assets/checkpoint": dg.MetadataValue.text(
                    f"{committed.rows_loaded:,} rows committed so far"
                ),
            }
            if self._destination is not None:
                metadata[DESTINATION] = dg.MetadataValue.text(self._destination)
                boundary = boundary_to_metadata(committed.bookmark)
                if boundary is not None:
                    metadata[BOOKMARK_BOUNDARY] = boundary
            if committed.shared:
                metadata[SCOPE] = dg.MetadataValue.text("source")
            self._context.log_event(dg.AssetObservation(key, metadata=metadata))

    def _log(self, line: str) -> None:
        self._logged_at = self._clock()
        self._context.log.info(redact(line))

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            if self._clock() - self._logged_at < HEARTBEAT_SECONDS:
                continue
            with suppress(Exception):  # a log that cannot be written now must not end the heartbeat
                self._log(f"{self._line}; at it for {self._clock() - self._began:,.0f} s")


class SourceObserver(RunObserver):
    """Tells a run how the sync of many streams goes on.

    Args:
        context: Of the step.
        source: The source's name.
        keys: Of the streams' assets.
        destination: As for a `RunObserver`.
        says_start: Called where a stream begins.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        *,
        source: str,
        keys: Mapping[StreamKey, dg.AssetKey],
        destination: str | None,
        says_start: Callable[[dg.AssetKey, Load, Start], None],
    ) -> None:
        super().__init__(context, source=source, stream=source, destination=destination)
        self._keys = keys
        self._loads: dict[str, Load] = {}
        self._says_start = says_start

    @override
    def begin(self, load: Load, start: Start) -> None:
        self._loads[load.load_id] = load
        self._says_start(self._keys[load.stream.key], load, start)

    @override
    def checkpoint(self, committed: Committed) -> None:
        load = self._loads.get(committed.load_id)
        if load is not None:
            place = f"{self._source}/{'' if committed.shared else load.stream.full_name}"
            self._observe(self._keys[load.stream.key], committed, place)


def shortened(bookmark: Bookmark | None) -> str:
    """Return a bookmark in one short line, without what tells its boundary rows apart."""
    values = plain(bookmark)
    if not values:
        return ""
    text = to_json(next(iter(values.values())) if len(values) == 1 else values).strip('"')
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[: MAX_SHOWN_CHARACTERS - 1]}…"


def _style() -> ProgressStyle:
    # Without a terminal the log lines of the run are enough.
    default = ProgressStyle.BAR if sys.stderr.isatty() else ProgressStyle.NONE
    return chosen_style(default)

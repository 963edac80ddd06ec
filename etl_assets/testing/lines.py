"""The source of the fault harness: numbered rows of a file, in batches with their bookmarks.

It reads rows after its bookmark (`>`), so that a lost or doubled row is the fault of whoever keeps
the bookmark.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etl_assets.engine.sync import sync
from etl_assets.faults import fault
from etl_assets.model.batch import Batch
from etl_assets.model.load import SyncResult
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead

SOURCE = "lines"
BATCH_ROWS = 10
KEYS = 20
STREAMS = {
    "append": Stream("append", replication_key="n"),
    "merge": Stream("merge", primary_key=["id"], replication_key="n"),
    "replace": Stream("replace"),
}
"""The streams by the strategy that `auto` gives them."""
Rows = Sequence[Mapping[str, Any]]


def numbered(count: int, *, old: int = 0, text: str = "") -> list[dict[str, Any]]:
    """Return rows, the first `old` of them as in an earlier sync, the others with a new column."""
    rows: list[dict[str, Any]] = [
        {"n": n, "id": n % KEYS, "text": f"first {n}"} for n in range(old)
    ]
    rows += [
        {"n": n, "id": n % KEYS, "text": f"then {n}{text}", "more": n} for n in range(old, count)
    ]
    return rows


FIRST = numbered(30, old=30)
THEN = numbered(60, old=30)


class Lines(Source):
    """Gives the rows of a file.

    Args:
        path: JSON lines.
        pause: Seconds after each batch.
        started: A file to make when it is first asked for rows.
    """

    streams = list(STREAMS.values())  # noqa: RUF012 - as a user declares them

    def __init__(self, path: Path, *, pause: float = 0.0, started: Path | None = None) -> None:
        super().__init__(name=SOURCE)
        self.started = started
        self.path = path
        self.pause = pause

    def load_data(
        self, stream: Stream, bookmarks: Bookmark | None = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Batch]:
        """Yield the rows behind the bookmark."""
        del query, kwargs
        fault("source_started")
        if self.started is not None:
            self.started.touch()
        with self.path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        after = (bookmarks or {}).get("n", -1)
        rows = [row for row in rows if row["n"] > after]
        for start in range(0, len(rows), BATCH_ROWS):
            batch = rows[start : start + BATCH_ROWS]
            yield Batch(batch, bookmark={"n": batch[-1]["n"]} if stream.cursor else None)
            time.sleep(self.pause)
        fault("source_ended")


def write_rows(path: Path, rows: Rows) -> None:
    """Make these the rows that the source has."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def expected(strategy: str, rows: Rows) -> list[tuple[Any, ...]]:
    """Return what the table holds after these rows."""
    kept = {row["id"]: row for row in rows}.values() if strategy == "merge" else rows
    return sorted((row["n"], row["id"], row["text"]) for row in kept)


def load(source: Lines, destination: Any, strategy: str) -> SyncResult:
    """Sync a stream without Dagster, committing at every checkpoint."""
    return sync(StreamRead(source, STREAMS[strategy]), destination, checkpoint_seconds=0)

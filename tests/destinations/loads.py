"""One sync of a stream, as a process to be killed: `python loads.py WAREHOUSE ROWS STREAM`; and what must then hold.

The source gives 10 rows a batch, each with the bookmark that covers it, and reads `>` its bookmark.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.batch import Batch
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

BATCH = 10
MEMORY = 500
STREAMS = {
    "append": Stream("append", replication_key="n"),
    "merge": Stream("merge", primary_key=["id"], replication_key="n"),
    "replace": Stream("replace"),
}
Rows = Sequence[Mapping[str, Any]]


class Numbered(Source):
    """Gives the rows it was made with."""

    def __init__(self, rows: Rows, pause: float = 0.0) -> None:
        super().__init__(name="lines")
        self.rows = rows
        self.pause = pause

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Batch]:
        after = (bookmarks or {}).get("n", -1)
        rows = [row for row in self.rows if row["n"] > after]
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            yield Batch(list(batch), bookmark={"n": batch[-1]["n"]} if stream.cursor else None)
            time.sleep(self.pause)


def load(
    warehouse: Path | DatabaseDestination, rows: Rows, stream: str, *, pause: float = 0.0
) -> SyncResult:
    """Sync a stream, committing at every checkpoint; a little memory, so that batches are staged in files."""
    destination = warehouse
    if isinstance(destination, Path):
        destination = DuckDBDestination(str(warehouse), staging_memory_bytes=MEMORY)
    return sync(
        StreamRead(Numbered(rows, pause), STREAMS[stream]), destination, checkpoint_seconds=0
    )


def expected(stream: str, rows: Rows) -> list[tuple[Any, ...]]:
    """Return what the table holds after these rows."""
    if stream == "merge":
        return sorted((row["id"], row["text"]) for row in {row["id"]: row for row in rows}.values())
    return sorted((row["n"], row["text"]) for row in rows)


def found(warehouse: Path | DatabaseDestination, stream: str) -> tuple[list[tuple[Any, ...]], int]:
    """Return what the table holds, and how far the stored bookmark says the stream was read (-1: not at all)."""
    if not isinstance(warehouse, Path):
        return found_in(warehouse, stream)
    columns = "id, text" if stream == "merge" else "n, text"
    if not warehouse.exists():
        return [], -1
    with duckdb.connect(str(warehouse)) as connection:
        tables = {
            name for (name,) in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()
        }
        rows = (
            connection.sql(f"SELECT {columns} FROM lines.{stream}").fetchall()
            if stream in tables
            else []
        )
        asked = "SELECT bookmark FROM _etl_assets_state WHERE stream = ?"
        state = (
            connection.execute(asked, [stream]).fetchall() if "_etl_assets_state" in tables else []
        )
    return sorted(rows), json.loads(state[0][0])["n"] if state and state[0][0] else -1


def found_in(destination: DatabaseDestination, stream: str) -> tuple[list[tuple[Any, ...]], int]:
    """Return the same of any database, by a connection that sees what is committed."""
    states = [state for state in destination.states() if state.stream == stream]
    table = destination.table_for("lines", STREAMS[stream])
    with destination.transaction() as tx:
        there = tx.schema(table) is not None
    rows = destination.read_table(table).to_pylist() if there else []
    key = "id" if stream == "merge" else "n"
    reached = (states[0].bookmark or {}).get("n", -1) if states else -1
    return sorted((row[key], row["text"]) for row in rows), reached


def check(warehouse: Path | DatabaseDestination, stream: str, first: Rows, then: Rows) -> int:
    """Check what must hold at any moment; gives how far the bookmark is.

    The state is never ahead of the rows nor behind them (each batch has its bookmark), and a
    replace is whole: the old table or the new one.
    """
    rows, reached = found(warehouse, stream)
    if stream == "replace":
        assert rows in (expected(stream, first), expected(stream, then))
    else:
        assert rows == expected(stream, [row for row in then if row["n"] <= reached])
    return reached


if __name__ == "__main__":
    given = [json.loads(line) for line in Path(sys.argv[2]).read_text().splitlines()]
    load(Path(sys.argv[1]), given, sys.argv[3], pause=0.005)

"""One of several processes that load into one DuckDB file at once: `python duckdb_writer.py FILE STREAM ROWS GO`."""

import sys
import time
from pathlib import Path

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from tests.toys import read

if __name__ == "__main__":
    file, stream, rows, go = sys.argv[1:]
    while not Path(go).exists():
        time.sleep(0.001)
    for _ in range(3):
        sync(
            read([{"n": n} for n in range(int(rows))], Stream(stream), batch=1_000),
            DuckDBDestination(file),
        )

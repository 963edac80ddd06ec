"""How much memory a load into SQLite takes: as much for many batches as for few, and little for a large one."""

import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import sys
import pyarrow as pa
import pyarrow.compute as pc
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

path, batches, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


class Wide(Source):
    def load_data(self, stream, bookmarks=None, query=None, **kwargs):
        for number in range(batches):
            ids = pc.add(pa.array(range(rows)), number * rows)
            texts = pc.binary_join_element_wise("text", ids.cast(pa.string()), " ")
            columns = {f"n{i}": pc.add(ids, i) for i in range(8)} | {f"t{i}": texts for i in range(6)}
            yield pa.table({"id": ids, **columns})


stream = Stream("wide", primary_key=["id"], replication_key="id", replication_method="INCREMENTAL")
target = SQLiteDestination(path, staging_memory_bytes=1024 * 1024)
assert sync(StreamRead(Wide(name="shop"), stream), target).records_loaded == batches * rows
told = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(told["VmHWM"].split()[0]) // 1024)
"""
ROWS = 24_000


def peak(folder: Path, batches: int, rows: int) -> int:
    """Load in a process of its own; gives the most memory it ever held, in MB."""
    file = folder / f"{batches}_{rows}.db"
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(file), str(batches), str(rows)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells the most memory a process held"
)
def test_four_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    """Measured: 4 MB more in four batches, 22 MB in a larger one, which in Arrow is as large.

    With all values of a batch as Python's at a time it was 20 MB and 75 MB.
    """
    few = peak(tmp_path, 1, ROWS)
    batches, one = peak(tmp_path, 4, ROWS), peak(tmp_path, 1, 4 * ROWS)
    assert batches - few < 12, f"{few} MB, then {batches} MB"
    assert one - few < 45, f"{few} MB, then {one} MB"

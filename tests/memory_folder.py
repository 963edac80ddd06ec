"""Where the files of tests are kept: in memory, where there is plenty of it.

No test asks what a loss of power leaves behind, and half of what a test with a Dagster home waits for is
the disk.
"""

import os
import sys
import tempfile
from pathlib import Path

VARIABLE = "TMPDIR"
"""For pytest's folders and for those of connectors' processes: some tests move files from one to the other."""
FOLDER = Path("/dev/shm")  # noqa: S108 - what is made in it is the user's alone
ENOUGH_BYTES = 8 * 2**30


def keep_files_in_memory() -> None:
    """Have pytest, and the processes it starts, make their folders in memory, unless they were told where."""
    if VARIABLE not in os.environ and _has_room():
        os.environ[VARIABLE] = str(FOLDER)
        tempfile.tempdir = None  # it is looked up anew


def _has_room() -> bool:
    """Return whether programs can be started from the folder, and there is room in it and in memory."""
    if sys.platform != "linux" or not os.access(FOLDER, os.W_OK):
        return False
    found = os.statvfs(FOLDER)
    if found.f_flag & os.ST_NOEXEC:
        return False
    return min(found.f_bavail * found.f_frsize, _available_bytes()) >= ENOUGH_BYTES


def _available_bytes() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes["MemAvailable"].split()[0]) * 1024

"""Runs one candidate of one work: `python -m benchmarks.candidate WORK CANDIDATE FOLDER ROWS STEP`.

A step is `prepare`, `before`, `each` or `time`. The last line printed is the CPU seconds of this
process and of those that it started, without the imports.
"""

import resource
import sys
import time
from pathlib import Path

from benchmarks.works import work


def main() -> None:
    name, candidate, folder, rows, step = (
        sys.argv[1],
        sys.argv[2],
        Path(sys.argv[3]),
        int(sys.argv[4]),
        sys.argv[5],
    )
    chosen = work(name)
    if step == "prepare":
        chosen.prepare(folder, rows)
        return
    untimed = {"before": chosen.before, "each": chosen.each}
    if step in untimed:
        if candidate in untimed[step]:
            untimed[step][candidate](folder)
        return
    timed = chosen.candidates[candidate](folder, chosen.given(folder))
    began = cpu_seconds()
    timed()
    print(cpu_seconds() - began)


def cpu_seconds() -> float:
    """Give the CPU seconds of this process, all its threads, and its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()

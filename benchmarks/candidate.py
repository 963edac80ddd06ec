"""Runs one candidate of one work: `python -m benchmarks.candidate WORK CANDIDATE FOLDER ROWS STEP`.

A step is `prepare`, `before`, `each` or `time`. The last line that `time` prints are two numbers of
CPU seconds, of this process and those that it started: what the work took without its imports, and
what the process took for things that are no part of the work, such as reading what is given in
memory.
"""

import resource
import sys
import time
from pathlib import Path

from benchmarks.imports import ImportMeter


def main() -> None:
    meter = ImportMeter()
    from benchmarks.works import work  # some works import at their top what they are about

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
    began = _without(meter)
    timed = chosen.candidates[candidate](folder, chosen.given(folder))
    ready = _without(meter)
    timed()
    print(_without(meter) - ready, ready - began)


def _without(meter: ImportMeter) -> float:
    """Return the CPU seconds so far without the imports."""
    return cpu_seconds() - meter.seconds


def cpu_seconds() -> float:
    """Return the CPU seconds of this process, all its threads, and its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()

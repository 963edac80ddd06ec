"""`make bench`: prints, for each work, CPU seconds as a ratio to the shortest way of doing it by hand.

Each candidate runs in a process of its own; the figure is the CPU of that process beyond its imports, as the median of
several rounds in which the candidates take turns, so that a machine whose speed drifts does not favour one. What was
loaded is counted and summed afterwards: a fast wrong load does not count.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.works import WORKS

ROUNDS = 5


def main() -> int:
    """Run every work, or those named on the command line; the exit code is 1 if a checksum was wrong."""
    names = sys.argv[1:] or list(WORKS)
    wrong = False
    print(f"{'work':<34}{'limit (CPU s)':>14}{'ours':>8}{'ratio':>8}   (medians of {ROUNDS})")
    for name in names:
        seconds: dict[str, list[float]] = {"by_hand": [], "ours": []}
        checks = set()
        with tempfile.TemporaryDirectory() as folder:
            run(name, "prepare", Path(folder))
            for _ in range(ROUNDS):
                for candidate, taken in seconds.items():
                    result = run(name, candidate, Path(folder))
                    taken.append(float(result["cpu"]))
                    checks.add(json.dumps(result["check"]))
        limit, ours = (statistics.median(seconds[candidate]) for candidate in ("by_hand", "ours"))
        told = "" if len(checks) == 1 else f"   WRONG: {sorted(checks)}"
        wrong = wrong or bool(told)
        print(f"{name:<34}{limit:>14.3f}{ours:>8.3f}{ours / limit:>8.2f}{told}")
    return int(wrong)


def run(name: str, candidate: str, folder: Path) -> dict[str, Any]:
    """Run one candidate in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.works", name, candidate, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}, {candidate}: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    raise SystemExit(main())

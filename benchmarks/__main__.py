"""`make bench`: prints, for each work, CPU seconds as a ratio to the shortest way of doing it by hand.

Each candidate runs in a process of its own; the figure is the CPU of that process and its children, without the
imports unless the work is about them, as the median of several rounds in which the candidates take turns, so that a
machine whose speed drifts does not favour one. What was loaded is counted and summed afterwards: a fast wrong load does
not count. Peers take part whose environment was made by `make bench-peers`.
"""

import argparse
import compileall
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import duckdb

from benchmarks import peers, works
from benchmarks.work import BY_HAND, OURS, Work

PEER_ROUNDS = 3
"""Peers are slower; fewer rounds tell enough."""
HEADER = ("work", "limit (CPU s)", "ours (CPU s)", "ours", "target", *peers.PEERS)


def main() -> int:
    """Run every work, or those named; the exit code is 1 if a checksum was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(works.names())}")
    parser.add_argument("--quick", action="store_true", help="few rows, one round: does it run at all?")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    unknown = set(asked.works) - set(works.names())
    if unknown:
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    compileall.compile_dir("etl_assets", quiet=2)
    compileall.compile_dir("benchmarks", quiet=2)
    print(f"{machine()}\n\n| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    wrong = [
        measured(name, 1 if asked.quick else asked.rounds, quick=asked.quick) for name in asked.works or works.names()
    ]
    return int(any(wrong))


def measured(name: str, rounds: int, *, quick: bool) -> bool:
    """Measure a work and print its row; gives whether a checksum was wrong."""
    work = works.work(name)
    candidates = [one for one in work.candidates if one in {BY_HAND, OURS} or peers.there(one)]
    rows = str(work.rows[quick])
    taken: dict[str, list[float]] = {one: [] for one in candidates}
    checks: dict[str, set[str]] = {one: set() for one in candidates}
    with tempfile.TemporaryDirectory() as folder:
        run(OURS, [name, OURS, folder, rows, "prepare"])
        for one in candidates:
            run(one, [name, one, folder, rows, "before"])
        for number in range(rounds):
            for one in candidates:
                if one in peers.PEERS and number >= PEER_ROUNDS:
                    continue
                inside, whole = run(one, [name, one, folder, rows, "time"])
                taken[one].append(whole if work.whole else inside)
                checks[one].add(checksum(work, Path(folder), one))
    seconds = {one: statistics.median(each) for one, each in taken.items()}
    right = {one: checks[one] == checks[BY_HAND] and len(checks[one]) == 1 for one in candidates}
    print(f"| {' | '.join(row(work, seconds, right))} |", flush=True)
    for one in candidates:
        if not right[one]:
            print(f"{name}, {one}: WRONG: {sorted(checks[one])}, by hand {sorted(checks[BY_HAND])}", file=sys.stderr)
    return not right[OURS]


def row(work: Work, seconds: dict[str, float], right: dict[str, bool]) -> list[str]:
    """Give the cells of a work's row."""

    def figure(candidate: str) -> str:
        if candidate not in seconds:
            return "-"
        limit = seconds[BY_HAND]
        told = f"{seconds[candidate] - limit:+.2f} s" if work.beyond else f"{seconds[candidate] / limit:.2f}"
        return told if right[candidate] else f"WRONG ({told})"

    target = "-" if work.target is None else (f"+{work.target:.2f} s" if work.beyond else f"{work.target:.2f}")
    cells = [f"{seconds[BY_HAND]:.3f}", f"{seconds[OURS]:.3f}", figure(OURS), target]
    return [work.title, *cells, *(figure(peer) for peer in peers.PEERS)]


def run(candidate: str, arguments: list[str]) -> tuple[float, float]:
    """Run a step of a candidate in a process of its own; gives the CPU seconds that it tells, and all it took."""
    python = str(peers.python(candidate)) if candidate in peers.PEERS else sys.executable
    environment = {**os.environ, **peers.QUIET}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [python, "-m", "benchmarks.candidate", *arguments]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{arguments}: {errors.read()[-4000:]}")
        lines = out.read().split("\n")
    told = float(lines[-2]) if arguments[-1] == "time" else 0.0
    return told, used.ru_utime + used.ru_stime


def checksum(work: Work, folder: Path, candidate: str) -> str:
    """Count and sum what a candidate has loaded."""
    if work.file is None:
        return ""
    with duckdb.connect(str(folder / work.file(candidate)), read_only=True) as connection:
        return str(connection.execute(work.check).fetchall())


def machine() -> str:
    """Give the date, the machine and the versions."""
    model, memory = platform.processor() or "unknown", 0.0
    with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), model)
    with Path("/proc/meminfo").open(encoding="utf-8") as file:
        memory = int(next(line for line in file if line.startswith("MemTotal")).split()[1]) / 2**20
    ours = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "dagster", "sqlalchemy"))
    others = [peers.versions(peer) for peer in peers.PEERS if peers.there(peer)]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} cores, {model}, {memory:.0f} GiB, load "
        f"{os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()}, {ours}; "
        f"peers: {', '.join(others) or 'none (make bench-peers)'}"
    )


if __name__ == "__main__":
    raise SystemExit(main())

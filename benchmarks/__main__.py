"""`make bench`: prints, for each work, CPU seconds as a ratio to the shortest way of doing it by hand.

Each candidate runs in a process of its own; the figure is the CPU of that process, its children and
the server that serves it, as the median of several rounds in which the candidates take turns, so
that a machine whose speed drifts does not favour one. A ratio in brackets is that of the work
without the start of the process and its imports. What was loaded is counted and summed afterwards: a fast wrong load does not count.
Peers take part whose environment was made by `make bench-peers`. What is printed is Markdown.
"""

import argparse
import compileall
import os
import platform
import signal
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import peers, servers, works
from benchmarks.measure import Measured, measured
from benchmarks.work import BY_HAND, OURS, Work

HEADER = ("work", "limit", "ours", "ours : limit", "target", *peers.PEERS)
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
"""Between these lines `--into` puts what was measured."""


def main() -> int:
    """Run every work, or those named; the exit code is 1 if a checksum of ours was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(works.names())}")
    parser.add_argument(
        "--quick", action="store_true", help="few rows, one round: does it run at all?"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--peers", nargs="*", default=list(peers.PEERS), metavar="PEER", help="these only; or none"
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help=f"put it there too, below the line {BEGIN.strip()}",
    )
    asked = parser.parse_args()
    unknown = set(asked.works) - set(works.names())
    if unknown:
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    beside = [peer for peer in asked.peers if peers.there(peer)]
    compileall.compile_dir("etl_assets", quiet=2)
    compileall.compile_dir("benchmarks", quiet=2)
    lines = [machine(beside), "", f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
    print("\n".join(lines))
    results: list[Measured] = []
    asked_works = asked.works or works.names()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the databases are dropped then too
    with servers.databases():
        for name in asked_works:
            if works.work(name).sizes:
                continue
            result = measured(name, 1 if asked.quick else asked.rounds, beside, quick=asked.quick)
            results.append(result)
            lines.append(f"| {' | '.join(row(result))} |")
            print(lines[-1], flush=True)
        for name in asked_works:
            table, measured_sizes = sizes_table(
                name, 1 if asked.quick else asked.rounds, quick=asked.quick
            )
            if table:
                print("\n".join(table), flush=True)
            lines += table
            results += measured_sizes
    found = findings(results)
    print("\n".join(found))
    if asked.into is not None:
        text = asked.into.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN, 1)
        told = "\n".join([*lines, *found, f"Load at the end: {os.getloadavg()[0]:.1f}.", ""])
        asked.into.write_text(
            f"{before}{BEGIN}\n{told}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8"
        )
    return int(any(OURS in result.wrong for result in results))


def row(result: Measured) -> list[str]:
    """Return the cells of a work's row."""
    work = result.work
    figures = result.peaks if work.shown == "memory" else result.figures
    if result.skipped:
        return [work.title, f"skipped: {result.skipped}", *["-"] * (len(HEADER) - 2)]
    unit, precise = ("MB", 0) if work.shown == "memory" else ("s", 3)

    def figure(candidate: str) -> str:
        if candidate not in figures:
            return "FAILED" if candidate in result.wrong else "-"
        text = compared(result, candidate)
        if work.memory and work.shown != "memory":
            text += f", {result.peaks[candidate]:.0f} MB"
        return f"WRONG ({text})" if candidate in result.wrong else text

    cells = [f"{figures[one]:.{precise}f} {unit}" for one in (BY_HAND, OURS)]
    cells += [figure(OURS), target(work)]
    return [work.title, *cells, *(figure(peer) for peer in peers.PEERS)]


def compared(result: Measured, candidate: str) -> str:
    """Return a candidate's figure as the table shows it; in brackets that without the imports."""
    shown = result.work.shown
    figures = result.peaks if shown == "memory" else result.figures
    text = _told(shown, figures[candidate], figures[BY_HAND])
    own = result.without_imports
    if shown != "ratio" or candidate not in own:
        return text
    return f"{text} ({_told(shown, own[candidate], own[BY_HAND])})"


def target(work: Work) -> str:
    """Return what a work of ours is to stay below, as its figure is shown."""
    text = "-" if work.target is None else _shown_as(work.shown, work.target)
    if work.target_without_imports is None:
        return text
    return f"{text} ({work.target_without_imports:.2f})"


def _told(shown: str, value: float, limit: float) -> str:
    of = {"ratio": value / limit, "beyond": value - limit, "memory": value}
    return _shown_as(shown, of[shown])


def _shown_as(shown: str, value: float) -> str:
    return {"ratio": f"{value:.2f}", "beyond": f"{value:+.2f} s", "memory": f"{value:.0f} MB"}[
        shown
    ]


def sizes_table(name: str, rounds: int, *, quick: bool) -> tuple[list[str], list[Measured]]:
    """Measure a work at each of its sizes, and give the lines of its table, and what was measured.

    There are none if it has no sizes.
    """
    work = works.work(name)
    if not work.sizes:
        return [], []
    others = [*work.beside, BY_HAND]
    columns = [work.title, f"{OURS} : {BY_HAND}", "target", *others, OURS]
    columns += [f"MB, {one}" for one in (BY_HAND, OURS) if work.written is not None]
    lines = ["", f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    results = []
    for size in [work.rows[quick]] if quick else work.sizes:
        results.append(measured(name, rounds, [], quick=quick, rows=size))
        lines.append(f"| {' | '.join(sizes_row(results[-1], size, len(columns)))} |")
    return lines, results


def sizes_row(one: Measured, size: int, columns: int) -> list[str]:
    """Return the cells of a work's row for one of its sizes."""
    if one.skipped:
        return [f"{size:,}", f"skipped: {one.skipped}", *["-"] * (columns - 2)]
    others = [*one.work.beside, BY_HAND]
    ratio = compared(one, OURS)
    cells = [f"{size:,}", f"WRONG ({ratio})" if OURS in one.wrong else ratio, target(one.work)]
    cells += [f"{one.figures[who]:.2f} s" for who in (*others, OURS)]
    return [*cells, *(f"{one.written[who] / 1e6:.2f}" for who in (BY_HAND, OURS) if one.written)]


def findings(results: list[Measured]) -> list[str]:
    """Tell what was wrong, and which types are not those of the load by hand, which stand in brackets."""
    wrong = [
        f"- {one.work.title}, {who}: {' '.join(what.split())}"
        for one in results
        for who, what in one.wrong.items()
    ]
    types = [
        f"- {one.work.title}, {who}: {what}" for one in results for who, what in one.types.items()
    ]
    lines = ["", "Wrong or failed:", "", *(wrong or ["- nothing"]), ""]
    return [*lines, *(["Other types than by hand (in brackets):", "", *types, ""] if types else [])]


def machine(beside: list[str]) -> str:
    """Return the date, the machine and the versions, those of the peers that take part too."""
    model, memory = platform.processor() or "unknown", 0.0
    with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        model = next(
            (line.split(":")[1].strip() for line in file if line.startswith("model name")), model
        )
    with Path("/proc/meminfo").open(encoding="utf-8") as file:
        memory = int(next(line for line in file if line.startswith("MemTotal")).split()[1]) / 2**20
    ours = ", ".join(
        f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "dagster", "sqlalchemy")
    )
    others = [peers.versions(peer) for peer in beside]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} cores, {model}, {memory:.0f} GiB, load "
        f"{os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()}, {ours}; "
        f"peers: {', '.join(others) or 'none (make bench-peers)'}"
    )


if __name__ == "__main__":
    sys.exit(main())

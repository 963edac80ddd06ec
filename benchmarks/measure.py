"""Measures a work: each candidate in a process of its own, in turn, and what it has loaded compared."""

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers, servers, works
from benchmarks.watch import Watch
from benchmarks.work import BY_HAND, OURS, Work

PEER_ROUNDS = 3
"""Peers are slower; fewer rounds tell enough."""


class StepFailedError(Exception):
    """A candidate has not done what it was to do; the text is the end of what it said."""


@dataclass
class Measured:
    """What came of a work.

    Attributes:
        figures: CPU seconds or MB by candidate, the median of its rounds.
        wrong: By candidate, what is wrong with what it loaded, or why it loaded nothing.
        types: By candidate, the columns whose type is not that of the load by hand.
        skipped: Why it was not measured.
    """

    work: Work
    figures: dict[str, float] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    skipped: str = ""


def measured(name: str, rounds: int, *, quick: bool) -> Measured:
    """Measure a work."""
    work = works.work(name)
    result = Measured(work)
    result.skipped = "; ".join(reason for server in work.servers if (reason := servers.missing(server)))
    result.skipped = result.skipped or work.needs()
    if result.skipped:
        return result
    for server in work.servers:
        servers.emptied(server)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _measure(name, result, Path(folder), min(rounds, work.rounds), str(work.rows[quick]))
    finally:
        for server in work.servers:
            servers.emptied(server)
    return result


def _measure(name: str, result: Measured, folder: Path, rounds: int, rows: str) -> None:
    work = result.work
    candidates = [one for one in work.candidates if one in {BY_HAND, OURS} or peers.there(one)]
    taken: dict[str, list[float]] = {one: [] for one in candidates}
    checks: dict[str, set[str]] = {one: set() for one in candidates}
    _run(work, OURS, [name, OURS, str(folder), rows, "prepare"])

    def step(candidate: str, what: str) -> float | None:
        try:
            return _run(work, candidate, [name, candidate, str(folder), rows, what])
        except StepFailedError as error:
            if candidate not in peers.PEERS:
                raise
            result.wrong[candidate] = f"failed: {str(error)[-600:]}"  # and takes no part any more
        return None

    for one in candidates:
        step(one, "before")
    for number in range(rounds):
        for one in candidates:
            if one in result.wrong or (one in peers.PEERS and number >= PEER_ROUNDS):
                continue
            if one in work.each:
                _run(work, OURS, [name, one, str(folder), rows, "each"])
            figure = step(one, "time")
            if figure is None:
                continue
            print(f"{name}, {one}: {figure:.3f}", file=sys.stderr, flush=True)
            taken[one].append(figure)
            if work.loaded is not None:
                checks[one].add(str(work.loaded(folder, one).answer(work.check)))
    result.figures = {one: statistics.median(each) for one, each in taken.items() if each}
    for one in result.figures:
        if checks[one] != checks[BY_HAND] or len(checks[one]) > 1:
            result.wrong[one] = f"loaded {sorted(checks[one])}, by hand {sorted(checks[BY_HAND])}"
    if work.loaded is not None:
        types = {one: work.loaded(folder, one).types() for one in result.figures}
        result.types = {one: told for one in types if (told := _differing(types[BY_HAND], types[one]))}


def _differing(hand: dict[str, str], own: dict[str, str]) -> str:
    """Name the columns whose type differs."""
    found = {name.lower(): type_ for name, type_ in own.items()}
    return ", ".join(
        f"{name} {found.get(name.lower(), 'missing')} ({type_})"
        for name, type_ in hand.items()
        if found.get(name.lower()) != type_
    )


def _run(work: Work, candidate: str, arguments: list[str]) -> float:
    """Run a step of a candidate in a process of its own; gives the figure that the work is about."""
    python, environment = sys.executable, {**os.environ, **peers.QUIET}
    if candidate in peers.PEERS:
        python, environment = str(peers.python(candidate)), {**environment, **peers.environment(candidate)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [python, "-m", "benchmarks.candidate", *arguments]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=environment)
        watch = Watch(process.pid, work.servers, memory=work.shown == "memory")
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        server = watch.stopped()
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            raise StepFailedError(f"{arguments}: {errors.read()[-4000:]}")
        lines = out.read().split("\n")
    if arguments[-1] != "time":
        return 0.0
    if work.shown == "memory":
        return max(watch.peak, used.ru_maxrss * 1024) / 1e6
    own = used.ru_utime + used.ru_stime if work.whole else float(lines[-2])
    return own + server

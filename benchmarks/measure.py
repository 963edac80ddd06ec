"""Measures a work: each candidate in a process of its own, in turn, and what it has loaded compared."""

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import psycopg

from benchmarks import peers, servers, works
from benchmarks.watch import Watch
from benchmarks.work import BY_HAND, OURS, Loaded, Work

PEER_ROUNDS = 3
"""Peers are slower; fewer rounds tell enough."""


class StepFailedError(Exception):
    """A candidate has not done what it was to do; the text is the end of what it said."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds, the server's included, and the most MB that the processes held together.

    Args:
        seconds: Of the whole process, its start and imports included.
        without_imports: Of the work alone.
        peak: The MB.
    """

    seconds: float
    without_imports: float
    peak: float


@dataclass
class Measured:
    """What came of a work.

    Attributes:
        figures: CPU seconds by candidate, the median of its rounds.
        without_imports: The same without the start and the imports, where the work tells both.
        peaks: The same in MB, where memory was looked at.
        wrong: By candidate, what is wrong with what it loaded, or why it loaded nothing.
        types: By candidate, the columns whose type is not that of the load by hand.
        written: The bytes that each candidate has made, where it is about that.
        skipped: Why it was not measured.
    """

    work: Work
    figures: dict[str, float] = field(default_factory=dict)
    without_imports: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    skipped: str = ""


def measured(
    name: str, rounds: int, beside: list[str], *, quick: bool, rows: int | None = None
) -> Measured:
    """Measure a work, with the peers of `beside` that do it; with so many rows, if that is given."""
    work = works.work(name)
    result = Measured(work)
    result.skipped = (
        "; ".join(reason for server in work.servers if (reason := servers.missing(server)))
        or work.needs()
    )
    if result.skipped:
        return result
    for server in work.servers:
        servers.emptied(server)
    try:
        with tempfile.TemporaryDirectory() as folder:
            asked = work.rows[quick] if rows is None else rows
            taking_part = [*beside, *work.beside]
            _Measuring(name, result, Path(folder), str(asked), taking_part).measure(
                min(rounds, work.rounds)
            )
    finally:
        for server in work.servers:
            servers.emptied(server)
    return result


class _Measuring:
    """The candidates of one work, in turn."""

    def __init__(
        self, name: str, result: Measured, folder: Path, rows: str, beside: list[str]
    ) -> None:
        self.name, self.work, self.result, self.folder, self.rows = (
            name,
            result.work,
            result,
            folder,
            rows,
        )
        self.candidates = [one for one in self.work.candidates if one in {BY_HAND, OURS, *beside}]
        self.taken: dict[str, list[Cost]] = {one: [] for one in self.candidates}
        self.checks: dict[str, set[str]] = {one: set() for one in self.candidates}

    def measure(self, rounds: int) -> None:
        """Put what came of it into the result."""
        self._step(OURS, OURS, "prepare")
        for one in self.candidates:
            if one in self.work.before:
                self._attempt(one, "before")
        for number in range(rounds):
            for one in self.candidates:
                if one not in self.result.wrong and (
                    one not in peers.PEERS or number < PEER_ROUNDS
                ):
                    self._round(one)
        for one, costs in self.taken.items():
            if costs:
                self.result.figures[one] = statistics.median(cost.seconds for cost in costs)
                if not self.work.whole:
                    self.result.without_imports[one] = statistics.median(
                        cost.without_imports for cost in costs
                    )
                self.result.peaks[one] = statistics.median(cost.peak for cost in costs)
            if self.work.written is not None:
                self.result.written[one] = self.work.written(self.folder, one)
        self._compare()

    def _round(self, one: str) -> None:
        if one in self.work.each:
            self._step(OURS, one, "each")
        cost = self._attempt(one, "time")
        if cost is None:
            return
        print(
            f"{self.name}, {one}: {cost.seconds:.3f} s, {cost.without_imports:.3f} s without imports, "
            f"{cost.peak:.0f} MB",
            file=sys.stderr,
            flush=True,
        )
        self.taken[one].append(cost)
        if self.work.loaded is not None:
            self.checks[one].add(_answer(self.work.loaded(self.folder, one), self.work.check))

    def _attempt(self, one: str, step: str) -> Cost | None:
        """Do a step; a peer that fails takes no part any more."""
        try:
            return self._step(one, one, step)
        except StepFailedError as error:
            if one not in peers.PEERS:
                raise
            self.result.wrong[one] = f"failed: {str(error)[-600:]}"
        return None

    def _step(self, environment: str, one: str, step: str) -> Cost:
        return _run(self.work, environment, [self.name, one, str(self.folder), self.rows, step])

    def _compare(self) -> None:
        """Compare what was loaded with what was loaded by hand."""
        hand = self.checks[BY_HAND]
        for one in self.result.figures:
            if self.checks[one] != hand or len(self.checks[one]) > 1:
                self.result.wrong[one] = (
                    f"loaded {sorted(self.checks[one])}, by hand {sorted(hand)}"
                )
        if self.work.loaded is not None:
            types = {one: self.work.loaded(self.folder, one).types() for one in self.result.figures}
            told = {one: _differing(types[BY_HAND], types[one]) for one in types}
            self.result.types = {one: text for one, text in told.items() if text}


def _answer(loaded: Loaded, check: str) -> str:
    """Count and sum what was loaded; a table that cannot be counted so has other columns or types."""
    try:
        return str(loaded.answer(check))
    except (duckdb.Error, psycopg.Error) as error:
        return str(error).split("\n", 1)[0]


def _differing(hand: dict[str, str], own: dict[str, str]) -> str:
    """Name the columns whose type differs."""
    found = {name.lower(): type_ for name, type_ in own.items()}
    return ", ".join(
        f"{name} {found.get(name.lower(), 'missing')} ({type_})"
        for name, type_ in hand.items()
        if found.get(name.lower()) != type_
    )


def _run(work: Work, candidate: str, arguments: list[str]) -> Cost:
    """Run a step of a candidate in a process of its own; only that of `time` is measured."""
    python, environment = sys.executable, {**os.environ, **peers.QUIET}
    if candidate in peers.PEERS:
        python, environment = (
            str(peers.python(candidate)),
            {**environment, **peers.environment(candidate)},
        )
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [python, "-m", "benchmarks.candidate", *arguments]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=environment)
        watch = Watch(process.pid, work.servers, memory=work.memory)
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
        return Cost(0.0, 0.0, 0.0)
    without_imports, not_counted = map(float, lines[-2].split())
    whole = used.ru_utime + used.ru_stime - not_counted
    peak = max(watch.peak, used.ru_maxrss * 1024) / 1e6
    return Cost(whole + server, without_imports + server, peak)

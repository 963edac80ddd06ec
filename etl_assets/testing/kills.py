"""The fault harness: a run as a process, which is ended at a fault point, checked and repeated.

```python
class MyPlace(Place):
    def destination(self):
        return MyDestination(self.folder / "data", staging_memory_bytes=SMALL_STAGING_BYTES)


class TestMine(KillConformance):
    place = MyPlace
```
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from etl_assets.model.bookmarks.tracker import plain
from etl_assets.testing.lines import FIRST, STREAMS, THEN, Lines, expected, load, numbered
from etl_assets.testing.place import Place
from etl_assets.testing.points import (
    ENGINE_POINTS,
    POINTS,
    PROJECT_POINTS,
    STRATEGIES,
    passing,
    positions,
)
from etl_assets.testing.proxy import LosingProxy
from etl_assets.testing.site import TIMEOUT_SECONDS, Site, armed, ended, wait_for

STATUS = {"kill": -signal.SIGKILL, "exit": 137}
"""The exit status by how a process ended; of the others it is any but 0."""
SIGNALS = ("exit", "term", "int")
SIGNALLED_AT = ("staged", "rows", "committed")
RecordProperty = Callable[[str, object], None]
PROPERTY = "etl_assets_fault"
"""Under which a test tells what it did, for a summary."""
HELD_SECONDS = 2.0
LARGE_BYTES = 300_000
FILE_BYTES = 2_000_000
"""A batch of ten large rows is a staged file that may not become as large."""
CHAOS_FIRST, CHAOS_THEN = numbered(40, old=40), numbered(240, old=40)
EARLY = 0.1
"""The share of random kills whose moment is counted from the process's start, not the read's."""
LATER = 1.1
"""Random kills come up to so many times the seconds that a sync takes."""


@dataclass(frozen=True)
class Kill:
    """How one sync ends: at which passing of which point, and by what."""

    strategy: str
    point: str
    position: str
    action: str

    def __str__(self) -> str:
        return f"{self.strategy}-{POINTS[self.point]}-{self.point}-{self.position}-{self.action}"


def kills(place: type[Place]) -> list[Kill]:
    """Return every way in which syncs into a place are ended.

    By SIGKILL at every point and position; by an exception (in this process) at every point, the
    other positions being the conformance kit's; at some points also by an exit and by the signals
    that may be caught.
    """
    points = [
        point for point in POINTS if point not in ENGINE_POINTS or point in place.engine_points
    ]
    found = []
    for strategy in STRATEGIES:
        own = [point for point in points if point not in ENGINE_POINTS or strategy == "replace"]
        found += [
            Kill(strategy, point, where, "kill")
            for point in own
            for where in positions(strategy, point)
        ]
        found += [Kill(strategy, point, "first", "raise") for point in own]
        found += [
            Kill(strategy, point, "first", action) for point in SIGNALLED_AT for action in SIGNALS
        ]
    return found


class KillConformance:
    """The promises of a destination when a run is ended anywhere, as tests.

    A subclass defines `place`. It is in a module of tests, and its name begins with `Test`.
    """

    place: ClassVar[type[Place]]
    seeds: ClassVar[range] = range(200)
    """Of the random kills."""
    _passed: ClassVar[dict[tuple[type[Place], str], Counter[str]]] = {}
    _seconds: ClassVar[dict[tuple[type[Place], str], float]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each kill and each seed a test."""
        if "kill" in metafunc.fixturenames:
            metafunc.parametrize("kill", kills(self.place), ids=str)
        if "seed" in metafunc.fixturenames:
            metafunc.parametrize("seed", self.seeds)

    @pytest.fixture
    def folders(self, tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
        """Where places are made that serve several tests."""
        return tmp_path_factory

    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[Site]:
        """A place of its own, whose streams are still to be synced."""
        site = Site(self.place(tmp_path))
        yield site
        site.close()

    def test_ended_then_run_again(
        self,
        kill: Kill,
        site: Site,
        folders: pytest.TempPathFactory,
        record_property: RecordProperty,
    ) -> None:
        """After a run has ended at a point, all invariants hold, and after the next two runs."""
        passed = self.passed(kill.strategy, folders)[kill.point]
        assert passed, f"no sync of this place passes {kill.point}"
        record_property(PROPERTY, f"{kill.action} at a point")
        self.check_kill(kill, site, passing(kill.position, passed))

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_first_run_killed_before_its_event(self, strategy: str, site: Site) -> None:
        """The very first run is killed after its last COMMIT: the next one tells of its rows."""
        site.give(FIRST)
        with ended(site.start(strategy, "last_committed:1:kill")) as process:
            process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == -signal.SIGKILL
        assert site.events(strategy) == []
        assert site.found(strategy) == expected(strategy, FIRST)
        assert site.run(strategy)
        site.check_recovered(strategy, FIRST)

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_of_two_runs_one_succeeds(self, strategy: str, site: Site) -> None:
        """A run that another one overtakes is refused, and its rows come once."""
        self.begin(site, strategy)
        with ended(site.start(strategy, "before_commit:1:wait")) as slow:
            wait_for(site.place.folder / "waiting", slow)
            assert site.run(strategy)
            (site.place.folder / "waiting").unlink()
            _, errors = slow.communicate(timeout=TIMEOUT_SECONDS)
        assert slow.returncode == 1
        assert "was synced by run" in errors
        site.check_recovered(strategy, THEN)

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_waits_for_a_lock(self, strategy: str, site: Site) -> None:
        """Another process holds the destination for a while: a sync waits."""
        self.begin(site, strategy)
        with ExitStack() as stack:
            with site.place.hold():
                process = stack.enter_context(ended(site.start_bare(strategy)))
                time.sleep(HELD_SECONDS)
                assert process.poll() is None, "it did not wait"
            _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 0, errors
        assert site.found(strategy) == expected(strategy, THEN)
        site.check_clean()

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_gives_up_on_a_lock(self, strategy: str, site: Site) -> None:
        """If another process holds the destination too long, a sync fails and changes nothing."""
        self.begin(site, strategy)
        site.place.lock_seconds = 0.2
        with site.place.hold():
            assert not site.run(strategy)
        assert site.found(strategy) == expected(strategy, FIRST)
        site.check_clean()
        self.check_recovery(site, strategy, site.reached(strategy))

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_connection_is_cut(self, strategy: str, site: Site) -> None:
        """The server ends the connection in the middle of a transaction: it is rolled back."""
        self.begin(site, strategy)
        with ended(site.start(strategy, "state:1:wait")) as process:
            wait_for(site.place.folder / "waiting", process)
            assert site.place.disconnect()
            (site.place.folder / "waiting").unlink()
            _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 1, errors
        reached = site.check(strategy, FIRST, THEN)
        assert site.found(strategy) == expected(strategy, FIRST), "what was cut off is there"
        self.check_recovery(site, strategy, reached)

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_answer_to_the_commit_is_lost(self, strategy: str, site: Site) -> None:
        """If the connection ends between a COMMIT and its answer, nothing is loaded twice."""
        server = site.place.server
        if server is None:
            pytest.skip(f"{type(site.place).__name__} has no `server`")
        self.begin(site, strategy)
        # The first transaction looks the state up.
        with LosingProxy(server, nth=2) as proxy:
            site.place.address = proxy.address
            site.run(strategy)
            site.place.address = server
        assert proxy.lost, "no answer was lost"
        reached = site.check(strategy, FIRST, THEN)
        site.check_events(strategy)
        self.check_recovery(site, strategy, reached)

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_no_room_for_staging(self, strategy: str, site: Site) -> None:
        """If a staged file cannot be written, the sync fails and names the directory.

        Nothing is changed, and nothing is left behind.
        """
        self.begin(site, strategy)
        site.give(numbered(60, old=30, text="x" * LARGE_BYTES))
        with ended(site.start_bare(strategy, file_bytes=FILE_BYTES)) as process:
            _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 1
        assert "The staging directory" in errors
        assert site.found(strategy) == expected(strategy, FIRST)
        site.check_clean()
        site.give(THEN)
        self.check_recovery(site, strategy, site.reached(strategy))

    def test_random_kill(
        self,
        seed: int,
        site: Site,
        folders: pytest.TempPathFactory,
        record_property: RecordProperty,
    ) -> None:
        """After a kill at a random moment, all invariants hold at once and after the next run."""
        chance = random.Random(seed)  # noqa: S311 - chance with a seed is what this wants
        strategy = chance.choice(STRATEGIES)
        site.give(CHAOS_FIRST)
        load(Lines(site.rows), site.place.destination(), strategy)
        site.give(CHAOS_THEN)
        early, moment = (
            chance.random() < EARLY,
            chance.uniform(0, LATER) * self.seconds(strategy, folders),
        )
        with ended(site.start_bare(strategy)) as process:
            if not early:
                wait_for(site.home / "started", process)
            time.sleep(moment)
            process.kill()
            process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}
        reached = site.check(strategy, CHAOS_FIRST, CHAOS_THEN)
        record_property(
            PROPERTY,
            _random_outcome(process.returncode, reached, len(site.found(strategy)), strategy),
        )
        assert site.run(strategy)
        site.check_recovered(strategy, CHAOS_THEN)

    # What they share

    def begin(self, site: Site, strategy: str) -> None:
        """Sync the first rows, and give the source more."""
        site.give(FIRST)
        assert site.run(strategy)
        site.give(THEN)

    def check_kill(self, kill: Kill, site: Site, nth: int) -> None:
        """End a run at the n-th passing of a point, and check everything."""
        self.begin(site, kill.strategy)
        fault = f"{kill.point}:{nth}:{kill.action}"
        if kill.action == "raise":
            assert not site.run(kill.strategy, fault), "the run did not fail where it should have"
        else:
            with ended(site.start(kill.strategy, fault)) as process:
                _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
            assert process.returncode == STATUS.get(kill.action, process.returncode), errors
            assert process.returncode != 0, "the run did not end where it should have"
        reached = site.check(kill.strategy, FIRST, THEN)
        site.check_events(kill.strategy)
        if kill.action not in STATUS:
            site.check_clean()
        self.check_expected(kill, site, reached)
        self.check_recovery(site, kill.strategy, reached)

    def check_expected(self, kill: Kill, site: Site, reached: int) -> None:
        """Check what is particular about a point."""
        before, last = FIRST[-1]["n"], THEN[-1]["n"]
        replaces = kill.strategy == "replace"
        old = site.found("replace") == expected("replace", FIRST) if replaces else reached == before
        crash = POINTS[kill.point]
        if crash in {"P0", "P1"} or (replaces and crash in {"P2", "P3", "P4", "P5", "P9", "P10"}):
            assert old, "nothing was committed, and yet the table is not the old one"
        if kill.point in {"last_committed", "event", "dropping", "dropped"} or (
            crash == "P9" and not replaces
        ):
            assert not old, "what was committed is gone"
            assert replaces or reached == last, "what was committed is gone"
        assert len(site.events(kill.strategy)) == (2 if crash == "P8" else 1), (
            "an event only of a load that has ended"
        )

    def check_recovery(self, site: Site, strategy: str, reached: int) -> None:
        """Check the next run, and that the one after it changes nothing (I7)."""
        assert site.run(strategy)
        site.check_recovered(strategy, THEN)
        event = site.events(strategy)[-1]
        if strategy != "replace":
            assert plain(event["etl_assets/bookmark"]) == {"n": THEN[-1]["n"]}
            assert plain(event["etl_assets/bookmark_previous"]) == {"n": reached}
        before = site.place.state(STREAMS[strategy])
        assert site.run(strategy)
        site.check_recovered(strategy, THEN)
        after = site.place.state(STREAMS[strategy])
        assert before is not None
        assert after is not None
        assert after.bookmark == before.bookmark
        if strategy != "replace":
            assert site.events(strategy)[-1]["etl_assets/records_loaded"] == 0
            assert after.changed_by == before.changed_by, "a run without news has changed rows"

    def passed(self, strategy: str, folders: pytest.TempPathFactory) -> Counter[str]:
        """Count how often the second sync of a stream passes each point, once for all tests."""
        key = (self.place, strategy)
        if key not in self._passed:
            site = Site(self.place(folders.mktemp("passed")))
            try:
                self.begin(site, strategy)
                with armed("none:1:raise") as passed:
                    assert site.run(strategy)
            finally:
                site.close()
            self._passed[key] = passed + Counter(dict.fromkeys(PROJECT_POINTS, 1))
        return self._passed[key]

    def seconds(self, strategy: str, folders: pytest.TempPathFactory) -> float:
        """Measure once for all tests how long the killed sync takes, from its first read on."""
        key = (self.place, strategy)
        if key not in self._seconds:
            site = Site(self.place(folders.mktemp("seconds")))
            try:
                site.give(CHAOS_FIRST)
                load(Lines(site.rows), site.place.destination(), strategy)
                site.give(CHAOS_THEN)
                with ended(site.start_bare(strategy)) as process:
                    wait_for(site.home / "started", process)
                    began = time.monotonic()
                    process.communicate(timeout=TIMEOUT_SECONDS)
                self._seconds[key] = time.monotonic() - began
            finally:
                site.close()
        return self._seconds[key]


def _random_outcome(status: int, reached: int, rows: int, strategy: str) -> str:
    if status == 0:
        return "random kill after the end"
    begun = rows != len(CHAOS_FIRST) if strategy == "replace" else reached >= len(CHAOS_FIRST)
    whole = rows == len(CHAOS_THEN) if strategy == "replace" else reached == CHAOS_THEN[-1]["n"]
    if whole:
        return "random kill after the last commit"
    return "random kill between two commits" if begun else "random kill before the first commit"

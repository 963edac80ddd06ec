"""The fault harness: `dagster asset materialize` as a process, ended at a fault point, looked at, and run again.

```python
class MyPlace(Place):
    def destination(self):
        return MyDestination(self.folder / "data", staging_memory_bytes=SMALL_STAGING_BYTES)


class TestMine(KillConformance):
    place = MyPlace
```
"""

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from etl_assets import faults
from etl_assets.testing.lines import FIRST, STREAMS, THEN
from etl_assets.testing.place import Place
from etl_assets.testing.points import ENGINE_POINTS, POINTS, PROJECT_POINTS, STRATEGIES, passing, positions
from etl_assets.testing.site import TIMEOUT_SECONDS, Site, ended

STATUS = {"kill": -signal.SIGKILL, "exit": 137}
"""The exit status by how a process ended; of the others it is any but 0."""
SIGNALLED = ("exit", "term", "int", "raise")
SIGNALLED_AT = ("staged", "rows", "committed")


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
    """Give every way in which syncs into a place are ended.

    SIGKILL at every point and position; at some points the other ways, too; the source fails after its last checkpoint.
    """
    points = [point for point in POINTS if point not in ENGINE_POINTS or point in place.engine_points]
    found = []
    for strategy in STRATEGIES:
        # A replace alone swaps tables.
        own = [point for point in points if point != "swapped" or strategy == "replace"]
        found += [Kill(strategy, point, where, "kill") for point in own for where in positions(strategy, point)]
        found += [Kill(strategy, point, "first", action) for point in SIGNALLED_AT for action in SIGNALLED]
        found.append(Kill(strategy, "source_ended", "first", "raise"))
    return found


class KillConformance:
    """The promises of a destination when a run is ended anywhere, as tests.

    A subclass, in a module of tests and with a name that begins with `Test`, gives `place`.
    """

    place: ClassVar[type[Place]]
    _passed: ClassVar[dict[tuple[type[Place], str], Counter[str]]] = {}

    def marks(self, kill: Kill) -> Sequence[pytest.MarkDecorator]:
        """Give the marks of a test; none by default."""
        del kill
        return ()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each kill a test."""
        if "kill" in metafunc.fixturenames:
            cases = [pytest.param(kill, id=str(kill), marks=self.marks(kill)) for kill in kills(self.place)]
            metafunc.parametrize("kill", cases)

    @pytest.fixture
    def site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
        """A place of its own, whose streams are still to be synced."""
        monkeypatch.setenv("ETL_ASSETS_CHECKPOINT_SECONDS", "0")
        site = Site(self.place(tmp_path))
        yield site
        site.place.drop()

    def test_ended_then_run_again(self, kill: Kill, site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A run ends at a point: all invariants hold at once, after the next run, and after the one after it."""
        stream = kill.strategy
        site.give(FIRST)
        assert site.run(stream).success
        site.give(THEN)
        passed = self.passed(stream, tmp_path_factory)[kill.point]
        assert passed, f"no sync of this place passes {kill.point}"
        with ended(site.start(stream, f"{kill.point}:{passing(kill.position, passed)}:{kill.action}")) as process:
            _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == STATUS.get(kill.action, process.returncode), errors
        assert process.returncode != 0, "the run did not end where it should have"

        reached = site.check(stream, FIRST, THEN)
        site.check_events(stream)
        if kill.action not in STATUS:
            site.check_clean()
        self.check_expected(kill, site, reached)
        self.check_recovery(site, stream, reached)

    def check_expected(self, kill: Kill, site: Site, reached: int) -> None:
        """Check what is particular about a point."""
        before, last = FIRST[-1]["n"], THEN[-1]["n"]
        old = len(site.found("replace")) == len(FIRST) if kill.strategy == "replace" else reached == before
        crash = POINTS[kill.point]
        if crash in {"P0", "P1"} or (kill.strategy == "replace" and crash in {"P2", "P3", "P9", "P4", "P5", "P10"}):
            assert old, "nothing was committed, and yet the table is not the old one"
        if kill.strategy != "replace" and crash == "P9":
            assert reached == last, "a committed checkpoint is gone"
        if kill.point in {"last_committed", "event"}:
            assert not old
            assert kill.strategy == "replace" or reached == last, "what was committed is gone"
        assert len(site.events(kill.strategy)) == (2 if crash == "P8" else 1), "an event only of a load that has ended"

    def check_recovery(self, site: Site, stream: str, reached: int) -> None:
        """Check the next run, and that the one after it changes nothing (I7)."""
        assert site.run(stream).success
        site.check_recovered(stream, THEN)
        event = site.events(stream)[-1]
        if stream != "replace":
            assert event["etl_assets/bookmark"] == {"n": THEN[-1]["n"]}
            assert event["etl_assets/bookmark_previous"] == {"n": reached}
        before = site.place.state(STREAMS[stream])
        assert site.run(stream).success
        site.check_recovered(stream, THEN)
        after = site.place.state(STREAMS[stream])
        assert before is not None
        assert after is not None
        assert after.bookmark == before.bookmark
        if stream != "replace":
            assert site.events(stream)[-1]["etl_assets/records_loaded"] == 0
            assert after.changed_by == before.changed_by, "a run without news has changed rows"

    def passed(self, stream: str, folders: pytest.TempPathFactory) -> Counter[str]:
        """Count how often a sync passes each point that a position is asked of, once for all tests."""
        key = (self.place, stream)
        if key not in self._passed:
            site = Site(self.place(folders.mktemp("passed")))
            try:
                self._passed[key] = count_passed(site, stream)
            finally:
                site.place.drop()
        return self._passed[key]


def count_passed(site: Site, stream: str) -> Counter[str]:
    """Count the passings of the second sync of a stream."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETL_ASSETS_CHECKPOINT_SECONDS", "0")
        site.give(FIRST)
        assert site.run(stream).success
        site.give(THEN)
        passed: Counter[str] = Counter(dict.fromkeys(PROJECT_POINTS, 1))
        patch.setattr(faults, "_passed", passed)
        patch.setenv(faults.VARIABLE, "none:1:raise")
        assert site.run(stream).success
    return passed

"""The fault points: each is passed by a sync and documented; one that is not set does nothing."""

import re
import subprocess
import sys
import timeit
from pathlib import Path

import pytest

from etl_assets import faults
from etl_assets.faults import FaultError, fault
from etl_assets.testing.kills import kills
from etl_assets.testing.points import ENGINE_POINTS, POINTS, STRATEGIES, positions
from tests.faults.places import PLACES, DuckDBPlace

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (P\d+) \| ([^|]+) \|", re.MULTILINE)


def test_each_point_is_documented_under_its_crash_point() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    documented = {
        name: crash for crash, names in ROW.findall(page) for name in re.findall(r"`(\w+)`", names)
    }
    assert documented == POINTS
    assert set(POINTS.values()) == {f"P{number}" for number in range(14)}


def test_every_point_in_the_code_is_known() -> None:
    called = {
        name
        for path in (ROOT / "etl_assets").rglob("*.py")
        for name in re.findall(r'(?<!\.)\bfault\("(\w+)"\)', path.read_text(encoding="utf-8"))
    }
    assert called == set(POINTS) - set(ENGINE_POINTS) or called == set(POINTS)


@pytest.mark.parametrize("place", PLACES)
def test_every_point_is_hit_by_each_place(place: type[DuckDBPlace]) -> None:
    mine = set(POINTS) - set(ENGINE_POINTS) | set(place.engine_points)
    for strategy in STRATEGIES:
        for action in ("raise", "kill"):
            hit = {
                (one.point, one.position)
                for one in kills(place)
                if (one.strategy, one.action) == (strategy, action)
            }
            wanted = {
                point for point in mine if point not in ENGINE_POINTS or strategy == "replace"
            }
            everywhere = {
                (point, position) for point in wanted for position in positions(strategy, point)
            }
            assert hit == (
                everywhere if action == "kill" else {(point, "first") for point in wanted}
            )


def test_a_point_that_is_not_set_costs_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(faults.VARIABLE, raising=False)
    monkeypatch.setattr(faults, "_act", pytest.fail)
    assert min(timeit.repeat(lambda: fault("rows"), number=1000, repeat=5)) / 1000 < 50e-6


@pytest.mark.parametrize("armed", ["rows:2:raise", "other:1:raise"])
def test_only_the_nth_passing_of_the_point_acts(
    armed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_passed", type(faults._passed)())
    monkeypatch.setenv(faults.VARIABLE, armed)
    fault("rows")
    if armed.startswith("rows"):
        with pytest.raises(FaultError, match="rows"):
            fault("rows")
    fault("rows")


@pytest.mark.parametrize(("action", "status"), [("kill", -9), ("term", -15), ("exit", 137)])
def test_a_process_ends_as_it_should(action: str, status: int) -> None:
    # A process inherits what is ignored.
    code = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_DFL); "
        "from etl_assets.faults import fault; fault('here'); print('went on')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={faults.VARIABLE: f"here:1:{action}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (status, "")

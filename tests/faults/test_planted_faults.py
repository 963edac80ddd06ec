"""The fault harness catches what is broken: each planted place fails it, for the reason that was planted."""

import os
import signal
from pathlib import Path

import pytest

from etl_assets.testing.kills import Kill, KillConformance
from etl_assets.testing.place import Place, processes_of
from etl_assets.testing.points import passing
from etl_assets.testing.site import Site
from tests.faults import planted

PLANTED = [
    (
        planted.StateBeforeRows,
        Kill("append", "rows", "first", "raise"),
        "the stored bookmark says 39",
    ),
    (
        planted.StateBeforeRows,
        Kill("merge", "altered", "first", "raise"),
        "the stored bookmark says 39",
    ),
    (planted.DeleteBeforeInsert, Kill("replace", "rows", "first", "raise"), "a table of 0 rows"),
    (
        planted.NoRollback,
        Kill("append", "rows", "first", "raise"),
        "40 rows are there; the stored bookmark says 29",
    ),
    (
        planted.StagingLeft,
        Kill("merge", "staged", "first", "raise"),
        "a sync has left something behind",
    ),
    (
        planted.EventBeforeCommit,
        Kill("append", "state", "first", "raise"),
        "which the ledger does not know",
    ),
]


@pytest.mark.parametrize(("place", "kill", "reason"), PLANTED)
def test_a_broken_place_is_caught(
    place: type[Place], kill: Kill, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=reason):
        KillConformance().check_kill(kill, Site(place(tmp_path)), passing(kill.position, 1))


@pytest.mark.parametrize("kill", dict.fromkeys(kill for _, kill, _ in PLANTED), ids=str)
def test_one_that_is_not_broken_passes_the_same(kill: Kill, tmp_path: Path) -> None:
    KillConformance().check_kill(kill, Site(planted.Planted(tmp_path)), passing(kill.position, 1))


def test_a_process_that_outlives_its_run_is_caught(tmp_path: Path) -> None:
    site = Site(planted.ProcessLeft(tmp_path))
    site.give([{"n": 0, "id": 0, "text": "first 0"}])
    process = site.start_bare("append")
    try:
        process.wait(timeout=100)
        with pytest.raises(AssertionError, match="a process is left"):
            site.check_clean()
    finally:
        for left in processes_of(site.place):
            os.kill(left, signal.SIGKILL)
        process.communicate()

"""The disk of a DuckDB file is full: a sync fails and names the file; what was committed stays, and no more."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.testing.lines import FIRST, THEN, Lines, expected, load
from etl_assets.testing.points import STRATEGIES
from etl_assets.testing.site import TIMEOUT_SECONDS, Site, ended
from tests.faults.places import DuckDBPlace

ROOM = "4m"
FILE_BYTES = 4_000_000
BYTES = 150_000
"""Of chance in each row, so that each of the three batches takes 1.5 MB, or twice that."""
LARGE = [
    *FIRST,
    *({**row, "text": random.Random(row["n"]).randbytes(BYTES).hex()} for row in THEN[30:]),
]


class InMemory(DuckDBPlace):
    """Stages in memory, so that the file is what is too large."""

    @override
    def destination(self) -> DuckDBDestination:
        return DuckDBDestination(
            str(self.folder / "warehouse.duckdb"), lock_timeout=self.lock_seconds
        )


class OnSmallDisk(InMemory):
    """A file on a disk of its own."""

    @override
    def destination(self) -> DuckDBDestination:
        return DuckDBDestination(
            str(self.folder / "disk" / "warehouse.duckdb"), lock_timeout=self.lock_seconds
        )

    @override
    def files(self) -> set[str]:
        return {*super().files(), "disk"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    yield tmp_path
    subprocess.run(["umount", str(disk)], check=True)  # noqa: S607 - as the shell finds it


def check(site: Site, strategy: str, *, file_bytes: int | None) -> None:
    """Run out of room and look at what is there."""
    site.give(FIRST)
    load(Lines(site.rows), site.place.destination(), strategy)
    site.give(LARGE)
    with ended(site.start_bare(strategy, file_bytes=file_bytes)) as process:
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1, errors
    assert "DestinationError" in errors or "UnavailableError" in errors
    assert "warehouse.duckdb" in errors
    assert site.check(strategy, FIRST, LARGE) < LARGE[-1]["n"]
    assert len(site.found(strategy)) < len(expected("append", LARGE))
    site.check_clean()


def check_recovered(site: Site, strategy: str) -> None:
    """Go on, now that there is room."""
    assert site.run(strategy)
    site.check_recovered(strategy, LARGE)


@pytest.mark.parametrize(
    "strategy",
    [
        "append",
        pytest.param("merge", marks=pytest.mark.full),
        pytest.param("replace", marks=pytest.mark.full),
    ],
)
def test_the_file_may_not_grow(strategy: str, tmp_path: Path) -> None:
    site = Site(InMemory(tmp_path))
    check(site, strategy, file_bytes=FILE_BYTES)
    check_recovered(site, strategy)


@pytest.mark.full
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_disk_is_full(strategy: str, small_disk: Path) -> None:
    site = Site(OnSmallDisk(small_disk))
    check(site, strategy, file_bytes=None)
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk / "disk")], check=True)  # noqa: S607 - as above
    check_recovered(site, strategy)

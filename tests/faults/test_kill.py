"""A sync is killed with SIGKILL; at once and after the next run nothing is lost, doubled, ahead or left over."""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import BATCH_ROWS, Site

FIRST: list[dict[str, Any]] = [{"n": n, "id": n % 20, "text": f"first {n}"} for n in range(30)]
THEN: list[dict[str, Any]] = [*FIRST, *({"n": n, "id": n % 20, "text": f"then {n}"} for n in range(30, 60))]

POINTS = {
    "in the middle of the batches": "export:2:kill",
    "in the transaction, rows written": "rows:1:kill",
    "in the transaction, state written": "state:1:kill",
    "in the second transaction": "state:2:kill",
    "after the COMMIT, before the event": "committed:1:kill",
    "after the last COMMIT, before the event": "last_committed:1:kill",
}


def expected(stream: str, rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    if stream == "merge":
        return sorted([row["id"], row["text"]] for row in {row["id"]: row for row in rows}.values())
    return sorted([row["n"], row["text"]] for row in rows)


def look(site: Site, stream: str) -> list[list[Any]]:
    return site.look(stream, "id, text" if stream == "merge" else "n, text")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A project whose streams were synced once."""
    site = Site(tmp_path_factory.mktemp("base"))
    site.write(FIRST)
    done = site.run("*")
    assert done.returncode == 0, done.stderr
    return site


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS.keys())
@pytest.mark.parametrize("stream", ["append", "merge", "replace"])
def test_killed_then_run_again(stream: str, point: str, base: Site, tmp_path: Path) -> None:
    if stream == "replace" and ":2:" in point and not point.startswith("export"):
        pytest.skip("a replace has one transaction")
    site = base.copy(tmp_path)
    site.write(THEN)

    killed = site.run(stream, point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    # At once, seen by another process: the old table or the new one, and the state never ahead of the rows.
    found = look(site, stream)
    if stream == "replace":
        assert found in (expected(stream, FIRST), expected(stream, THEN))
    else:
        reached = site.bookmark(stream)
        assert reached >= FIRST[-1]["n"]
        assert (reached + 1) % BATCH_ROWS == 0
        assert found == expected(stream, THEN[: reached + 1])
    assert len(site.events(stream)) == 1, "an event only for what a run has finished"

    recovered = site.run(stream)
    assert recovered.returncode == 0, recovered.stderr
    assert look(site, stream) == expected(stream, THEN)
    assert site.left_over() == []

    event = site.events(stream)[-1]
    assert event["dagster/row_count"] == len(expected(stream, THEN))
    if stream != "replace":
        assert event["etl_assets/bookmark"] == {"n": 59}
        assert event["etl_assets/bookmark_previous"] == {"n": reached}
        assert event["etl_assets/records_loaded"] == THEN[-1]["n"] - reached


@pytest.mark.parametrize("stream", ["append"])
def test_the_run_after_the_recovery_changes_nothing(stream: str, base: Site, tmp_path: Path) -> None:
    site = base.copy(tmp_path)
    site.write(THEN)
    assert site.run(stream, "committed:2:kill").returncode == -signal.SIGKILL
    for _ in range(2):
        assert site.run(stream).returncode == 0
    assert look(site, stream) == expected(stream, THEN)
    assert site.events(stream)[-1]["etl_assets/records_loaded"] == 0


def test_the_first_run_killed_before_any_event(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write(FIRST)
    assert site.run("append", "last_committed:1:kill").returncode == -signal.SIGKILL
    assert site.events("append") == []
    assert site.run("append").returncode == 0
    assert look(site, "append") == expected("append", FIRST)


@pytest.mark.parametrize("signalled", ["term", "int"])
def test_a_cancelled_run_rolls_back_and_leaves_nothing(signalled: str, base: Site, tmp_path: Path) -> None:
    site = base.copy(tmp_path)
    site.write(THEN)
    cancelled = site.run("merge", f"rows:2:{signalled}")
    assert cancelled.returncode not in (0, -signal.SIGKILL)
    reached = site.bookmark("merge")
    assert reached == 39, "the first checkpoint stays, the second is rolled back"
    assert look(site, "merge") == expected("merge", THEN[:40])
    assert site.left_over() == []


def test_a_failed_run_leaves_rows_and_bookmark_and_says_so(base: Site, tmp_path: Path) -> None:
    site = base.copy(tmp_path)
    site.write(THEN)
    failed = site.run("replace", "batch:3:raise")
    assert failed.returncode == 1
    assert look(site, "replace") == expected("replace", FIRST)
    assert len(site.events("replace")) == 1


def test_of_two_runs_of_one_append_stream_one_succeeds(base: Site, tmp_path: Path) -> None:
    site = base.copy(tmp_path)
    site.write(THEN)
    # The first waits in the middle of its read; the second begins and ends meanwhile.
    waiting = site.start("append", "read:1:wait")
    try:
        (site.folder / "home").mkdir(exist_ok=True)
        wait_for(site.folder / "waiting")
        second = site.run("append")
        assert second.returncode == 0, second.stderr
        (site.folder / "waiting").unlink()
        _, errors = waiting.communicate(timeout=120)
    finally:
        if waiting.poll() is None:
            waiting.kill()
    assert waiting.returncode == 1
    assert "was synced by run" in errors
    assert look(site, "append") == expected("append", THEN)


def wait_for(path: Path, seconds: float = 60) -> None:
    subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'for i in $(seq {int(seconds * 10)}); do [ -e "{path}" ] && exit 0; sleep 0.1; done; exit 1',
        ],
        check=True,
    )

"""`dagster asset materialize` into each database is killed with SIGKILL, then run again: nothing lost or doubled."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import Site
from tests.faults.loads import check, expected, found, load
from tests.faults.places import PLACES, Place

FIRST: list[dict[str, Any]] = [{"n": n, "id": n % 20, "text": f"first {n}"} for n in range(30)]
THEN: list[dict[str, Any]] = [*FIRST, *({"n": n, "id": n % 20, "text": f"then {n}"} for n in range(30, 60))]
FULL = pytest.mark.full
KILLS = [
    ("append", "state:2:kill"),
    ("replace", "state:1:kill"),
    pytest.param("merge", "rows:1:kill", marks=FULL),
    pytest.param("merge", "state:2:kill", marks=FULL),
    pytest.param("replace", "rows:1:kill", marks=FULL),
    pytest.param("append", "export:2:kill", marks=FULL),
    pytest.param("append", "committed:1:kill", marks=FULL),
    pytest.param("merge", "last_committed:1:kill", marks=FULL),
    pytest.param("replace", "last_committed:1:kill", marks=FULL),
]


class ServerSite(Site):
    """A project whose warehouse is not a DuckDB file."""

    place: Place

    def environment(self, fault: str | None = None) -> dict[str, str]:
        return super().environment(fault) | dict(self.place.environment)


@pytest.mark.parametrize(("stream", "point"), KILLS)
@pytest.mark.parametrize("kind", ["postgresql", "mysql", pytest.param("sqlite", marks=FULL)])
def test_killed_then_run_again(kind: str, stream: str, point: str, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    with PLACES[kind](tmp_path / "place") as place:
        load(place.destination, FIRST, stream)
        (tmp_path / "site").mkdir()
        site = ServerSite(tmp_path / "site")
        object.__setattr__(site, "place", place)
        site.write(THEN)

        killed = site.run(stream, point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        check(place.destination, stream, FIRST, THEN)

        recovered = site.run(stream)
        assert recovered.returncode == 0, recovered.stderr
        assert found(place.destination, stream)[0] == expected(stream, THEN)
        assert place.left_over() == []
        assert site.events(stream)[-1]["dagster/row_count"] == len(expected(stream, THEN))


def test_killed_between_the_rename_and_the_commit(tmp_path: Path) -> None:
    """P11, where a change of tables cannot be rolled back."""
    test_killed_then_run_again("mysql", "replace", "renamed:1:kill", tmp_path)

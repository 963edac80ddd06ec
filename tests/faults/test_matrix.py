"""An exception at every fault point of a sync, at its first, a middle and its last passing: nothing lost or doubled."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_assets import faults
from etl_assets.faults import FaultError
from tests.faults.loads import check, expected, found, load
from tests.faults.places import PLACES, Place

FIRST: list[dict[str, Any]] = [{"n": n, "id": n % 20, "text": f"first {n}"} for n in range(30)]
THEN: list[dict[str, Any]] = [*FIRST, *({"n": n, "id": n % 20, "text": f"then {n}"} for n in range(30, 60))]

POINTS = [
    "batch",  # a batch has arrived
    "export",  # before it is staged
    "staged",  # after
    "read",  # the source has ended
    "before_commit",  # before the transaction
    "altered",  # the table is made or changed
    "rows",  # the rows are written
    "state",  # the state row is written
    "committed",  # after the COMMIT
    "last_committed",  # after the last one
    "cleaned",  # staging is dropped
    "after_commit",  # the destination is done
]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as place:
        yield place


@pytest.mark.parametrize(
    "nth", [1, pytest.param(2, marks=pytest.mark.full), 3, pytest.param(4, marks=pytest.mark.full)]
)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("stream", ["append", "merge", "replace"])
def test_fails_there_then_goes_on(
    stream: str, point: str, nth: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = place.destination
    load(warehouse, FIRST, stream)
    monkeypatch.setattr(faults, "_passed", faults._passed.__class__())
    monkeypatch.setenv(faults.VARIABLE, f"{point}:{nth}:raise")
    passed = True
    try:
        load(warehouse, THEN, stream)
    except FaultError:
        passed = False
    monkeypatch.delenv(faults.VARIABLE)
    assert passed == (faults._passed[point] < nth), "the fault happened if and only if the point was passed so often"
    check(warehouse, stream, FIRST, THEN)
    assert place.left_over() == [], "no staging is left"

    load(warehouse, THEN, stream)
    assert found(warehouse, stream)[0] == expected(stream, THEN)
    again = load(warehouse, THEN, stream)
    assert found(warehouse, stream)[0] == expected(stream, THEN)
    assert again.records_loaded == (60 if stream == "replace" else 0)


def test_every_point_is_passed_by_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_passed", faults._passed.__class__())
    for point in POINTS:
        monkeypatch.setenv(faults.VARIABLE, f"{point}:1000:raise")
        load(tmp_path / f"{point}.duckdb", FIRST, "merge")
        assert faults._passed[point] > 0, point

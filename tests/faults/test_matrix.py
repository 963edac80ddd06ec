"""An exception at every fault point of a sync, at its first, a middle and its last passing: nothing lost or doubled."""

from pathlib import Path
from typing import Any

import pytest

from etl_assets import faults
from etl_assets.faults import FaultError
from tests.faults.loads import check, expected, found, load

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


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("stream", ["append", "merge", "replace"])
def test_fails_there_then_goes_on(
    stream: str, point: str, nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
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
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"], "no staging is left"

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

"""The kit catches what is broken: each planted connector fails the check that is about it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import EtlAssetsError
from etl_assets.sources.base import Source
from etl_assets.testing import DestinationConformance, SourceConformance, load_cases
from etl_assets.testing.fakes import PlannedCancel, PlannedError
from tests.testing import planted

CASES = {case.name: case for case in load_cases()}
BROKEN = (AssertionError, EtlAssetsError, PlannedError, KeyError, pytest.fail.Exception)


class Kit(DestinationConformance):
    """The kit without pytest: its checks are called one by one."""

    def __init__(self, kind: type[DuckDBDestination], folder: Path) -> None:
        self.kind = kind
        self.folder = folder

    def begin(self, name: str) -> None:
        (self.folder / name).mkdir()
        self.file = self.folder / name / "warehouse.duckdb"
        self.destination = self.kind(str(self.file))
        self._columns = {}

    def left_over(self) -> list[str]:
        return [path.name for path in self.file.parent.iterdir() if path.name != self.file.name]

    def failed(self, names: Iterable[str]) -> set[str]:
        """Run cases and checks (`name`, or `name:argument`); give those that failed."""
        found = set()
        for name in names:
            self.begin(name.replace(":", "_"))
            try:
                self._call(name)
            except BROKEN:
                found.add(name)
        return found

    def _call(self, name: str) -> None:
        if name in CASES:
            self._run(CASES[name])
            assert not self.left_over()
            return
        check, *arguments = name.split(":")
        extra = {"source_fails": [1, PlannedError], "source_is_cancelled": [1, PlannedCancel]}.get(
            check, []
        )
        getattr(self, f"test_{check.replace('is_cancelled', 'fails')}")(*arguments, *extra)


# What is broken, and the cases and checks that must say so.
DESTINATIONS: list[tuple[type[DuckDBDestination], list[str]]] = [
    (planted.DropsTheLastRow, ["integer_64_bit", "append_equal_rows", "counts_are_true"]),
    (planted.RoundsDecimals, ["decimal_undeclared"]),
    (planted.SwapsTwoColumns, ["name_case", "name_reserved", "name_not_ascii"]),
    (
        planted.CutsMicroseconds,
        ["instant_microseconds", "instant_beyond_nanoseconds", "timestamp_python"],
    ),
    (planted.EmptyTextIsNull, ["text_empty"]),
    (planted.LowerCasesText, ["text_unicode"]),
    (planted.LosesLateColumns, ["change_new_column"]),
    (
        planted.AppendsOnReplace,
        ["replace_fewer_rows", "replace_empty", "full_refresh_takes_the_place_of_all"],
    ),
    (
        planted.IgnoresKeys,
        ["key_three_times", "key_update_and_insert", "key_null", "second_sync_goes_on:merge"],
    ),
    (planted.SavesStateFirst, ["source_fails:append", "source_is_cancelled:merge"]),
    (planted.CommitsRowsFirst, ["source_fails:append", "source_is_cancelled:append"]),
    (planted.LeavesStaging, ["boolean", "second_sync_goes_on:append"]),
    (
        planted.WritesOverOthers,
        ["concurrent_sync_is_refused:append", "table_of_another_source_is_refused"],
    ),
    (
        planted.ForgetsItsBookmark,
        ["second_sync_goes_on:append", "bookmark_is_stored_with_the_rows:append"],
    ),
]


@pytest.mark.parametrize(("kind", "checks"), DESTINATIONS)
def test_a_broken_destination_is_caught(
    kind: type[DuckDBDestination], checks: list[str], tmp_path: Path
) -> None:
    assert Kit(kind, tmp_path).failed(checks) == set(checks)


def test_what_is_not_broken_passes_the_same_checks(tmp_path: Path) -> None:
    checks = {check for _, several in DESTINATIONS for check in several}
    assert Kit(planted.Broken, tmp_path).failed(sorted(checks)) == set()


# Sources


class SourceKit(SourceConformance):
    def __init__(self, kind: type[Source]) -> None:
        self.kind = kind
        self.source = kind(name="planted")

    def source_with_secret(self, reference: Any) -> Source:
        return self.kind(name="planted", config={"token": reference})


SOURCES: list[tuple[type[Source], set[str]]] = [
    (planted.Numbers, set()),
    (planted.LosesTies, {"resuming_equals_one_straight_read"}),
    (planted.IgnoresTheBookmark, {"final_bookmark_gives_boundary_rows_alone"}),
    (planted.GoesBack, {"bookmark_never_goes_back"}),
    (planted.CountsWrong, {"counts_agree"}),
    (planted.BreaksItsSchema, {"every_row_fits_its_schema"}),
    (planted.GuessesItsStreams, {"discover_is_stable_and_reads_no_rows"}),
    (planted.ShowsItsSecret, {"secrets_are_not_shown"}),
]


@pytest.mark.parametrize(("kind", "caught"), SOURCES)
def test_a_broken_source_is_caught(
    kind: type[Source],
    caught: set[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    given: dict[str, list[Any]] = {
        "discover_is_stable_and_reads_no_rows": [monkeypatch],
        "loading_definitions_does_not_connect": [monkeypatch],
        "secrets_are_not_shown": [caplog],
    }
    found = set()
    for name in (
        one.removeprefix("test_") for one in dir(SourceConformance) if one.startswith("test_")
    ):
        check: Callable[..., None] = getattr(SourceKit(kind), f"test_{name}")
        try:
            check(*given.get(name, []))
        except BROKEN:
            found.add(name)
        except pytest.skip.Exception:
            pass
    assert found >= caught, found
    assert caught or not found, found

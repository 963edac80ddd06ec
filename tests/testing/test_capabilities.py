"""Each capability, where a destination does not have it: what it is not asked for, and what it must still keep."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.load import Capabilities
from etl_assets.model.stream import Stream
from etl_assets.strategies import WriteStrategy
from etl_assets.testing import DestinationConformance, load_cases
from etl_assets.testing.plugin import table
from tests.testing.test_planted import Kit

CASES = {case.name: case for case in load_cases()}
ALL = DuckDBDestination.capabilities


class Sent(Destination):
    """Takes rows by `export_batch_data`, and cannot be read back."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows: list[dict[str, Any]] = []

    def export_batch_data(
        self, record_data: list[dict[str, Any]], stream: str, tags: Mapping[str, Any] | None = None
    ) -> None:
        self.rows += [item["record"] for item in record_data]


class TestRowHook(DestinationConformance):
    """`keeps_state` and every strategy but append are False here; values are not read back."""

    case_folders: ClassVar[list[Path]] = []

    @pytest.fixture
    def destination(self) -> Destination:
        return Sent()


class Native(Sent):
    native_types = True


class TestNativeRowHook(TestRowHook):
    @pytest.fixture
    def destination(self) -> Destination:
        return Native()


def kit(folder: Path, **changed: Any) -> Kit:
    """Return the kit for a DuckDB that says it can do less."""
    kind = type("Less", (DuckDBDestination,), {"capabilities": replace(ALL, **changed)})
    made = Kit(kind, folder)
    made.begin("less")
    return made


@pytest.mark.parametrize("strategy", ["append", "merge", "replace"])
def test_a_strategy_that_is_not_promised_is_not_asked_for_and_refused(
    strategy: str, tmp_path: Path
) -> None:
    less = kit(tmp_path, strategies=ALL.strategies - {WriteStrategy(strategy)})
    with pytest.raises(pytest.skip.Exception, match=strategy):
        less.test_second_sync_goes_on(strategy)
    less.test_a_strategy_it_has_not_is_refused()


def test_state_that_is_not_kept_is_not_asked_for(tmp_path: Path) -> None:
    less = kit(tmp_path, keeps_state=False)
    with pytest.raises(pytest.skip.Exception, match="state"):
        less.test_second_sync_goes_on("append")


def test_a_destination_without_state_that_says_exactly_once_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="at_least_once"):
        kit(tmp_path, keeps_state=False).test_delivery_is_honest()


def test_columns_beyond_the_limit_must_be_refused(tmp_path: Path) -> None:
    less = kit(tmp_path, max_columns=1600)
    assert less._run(CASES["name_2000_columns"])[0] == "refused"


def test_batches_come_as_rows_or_columns() -> None:
    asked: list[str] = []

    class Rows(Sent):
        capabilities = Capabilities()

        def export(self, batch: Any, load: Any) -> None:
            asked.append("arrow" if batch.converted else "rows")

    class Columns(Rows):
        capabilities = Capabilities(encoding="arrow")

    for kind in (Rows, Columns):
        made = DestinationConformance()
        made.destination, made._columns = kind(), {}
        made.give(Stream("things"), [{"id": 1}])
    assert asked == ["rows", "arrow"]


def test_a_limit_for_names_is_kept() -> None:
    class Short(Sent):
        capabilities = Capabilities(max_identifier_bytes=20)

    places = [Short().table_for("shop", Stream(f"{'long' * 9}{end}")) for end in "ab"]
    assert all(len(place.name) <= 20 for place in places)
    assert places[0] != places[1]


def test_a_destination_that_cannot_be_read_back_is_not_asked_for_its_values() -> None:
    made = DestinationConformance()
    made.destination, made._columns = Sent(), {}
    with pytest.raises(pytest.skip.Exception, match="read"):
        made.needs("append")


def test_the_report_has_a_column_for_each_destination() -> None:
    told = {
        "group": "numbers",
        "case": "x",
        "title": "a | b",
        "outcome": "exact",
        "type": "BIGINT",
        "gap": "",
    }
    page = table([{**told, "destination": "One"}, {**told, "destination": "Two", "gap": "why"}])
    assert "| Case | One | Two |" in page
    assert "| a \\| b | exact (BIGINT) | gap: why |" in page


def test_a_case_says_nothing_unknown(tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text(
        json.dumps({"group": "g", "title": "t", "values": [], "acept": ["exact"]})
    )
    with pytest.raises(ValueError, match=r"wrong.json.*acept"):
        load_cases(tmp_path)

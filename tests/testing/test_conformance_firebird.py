"""The database destination that `docs/own-database.md` is about passes the kit, and is as small as the page says."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from etl_assets.destinations.database.dbapi import DbApiTransaction
from etl_assets.testing import DestinationConformance
from examples.firebird_destination import FirebirdDestination, FirebirdTransaction
from tests.firebirds import firebird

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "firebird_destination.py"


class TestFirebird(DestinationConformance):
    title = "examples/firebird_destination.py"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Iterator[FirebirdDestination]:
        firebird()
        self.folder = tmp_path
        yield FirebirdDestination(str(tmp_path / "warehouse.fdb"), staging_dir=str(tmp_path / "staging"))

    def left_over(self) -> Sequence[str]:
        return [path.name for path in self.folder.iterdir() if path.name != "warehouse.fdb"]


def test_the_example_is_small() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 150


def test_an_engine_says_ten_things_and_derives_the_rest() -> None:
    said = {name for name in vars(FirebirdTransaction) if not name.startswith("_")}
    offered = {name for one in DbApiTransaction.__mro__ for name in vars(one) if not name.startswith("_")}
    assert said <= offered, "the example leans on nothing but what can be overridden"

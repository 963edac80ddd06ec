"""The database destination that `docs/own-database.md` is about passes the kit, and is as small as the page says."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from etl_assets.destinations.database.dbapi import DbApiTransaction
from etl_assets.destinations.database.sql_rows import SqlRows
from etl_assets.testing import DestinationConformance
from examples.firebird_destination import FirebirdDestination, FirebirdTransaction
from tests.firebirds import firebird

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "firebird_destination.py"


class TestFirebird(DestinationConformance):
    title = "examples/firebird_destination.py"
    known_gaps = {
        "replace_other_types": "a change of tables commits: a replace keeps the table, and a text column with it"
    }

    @pytest.fixture
    def destination(self, tmp_path: Path) -> FirebirdDestination:
        firebird()
        self.folder = tmp_path
        return FirebirdDestination(
            database=str(tmp_path / "warehouse.fdb"), staging_dir=str(tmp_path / "staging")
        )

    def left_over(self) -> Sequence[str]:
        return [path.name for path in self.folder.iterdir() if path.name != "warehouse.fdb"]


def test_the_example_is_small() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 150


def test_an_engine_has_to_say_little_and_leans_on_nothing_hidden() -> None:
    assert SqlRows.__abstractmethods__ == {"execute", "type_names"}
    assert DbApiTransaction.__abstractmethods__ == {"type_names"}
    said = {name for name in vars(FirebirdTransaction) if not name.startswith("_")}
    offered = {
        name
        for one in DbApiTransaction.__mro__
        for name in {*vars(one), *vars(one).get("__annotations__", ())}
    }
    assert said <= offered


def test_the_example_imports_from_one_place() -> None:
    imports = re.findall(r"^from etl_assets.*", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert imports == ["from etl_assets.destinations.database import own"]

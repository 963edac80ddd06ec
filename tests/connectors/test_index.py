"""The index of names is what its script makes of the list of packages, and names none that is not there."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from etl_assets.connectors.executors import PythonExecutor
from etl_assets.connectors.names import (
    InstallType,
    Language,
    get_connector_metadata,
    known_connectors,
)
from etl_assets.sources.connectors import get_source

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "connector_index" / "packages.txt").read_text("utf-8").splitlines()
BY_HAND = json.loads((ROOT / "connector_index" / "by_hand.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def make() -> Any:
    spec = importlib.util.spec_from_file_location(
        "make_index", ROOT / "connector_index" / "make.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_index_is_what_the_script_makes(make: Any) -> None:
    assert make.INDEX.read_text("utf-8") == make.text_of(make.index_of(PACKAGES, BY_HAND)), (
        "run connector_index/make.py"
    )


def test_each_name_stands_for_a_package_that_is_there_or_an_image() -> None:
    known = known_connectors()
    there = set(PACKAGES)
    assert sorted(PACKAGES) == PACKAGES
    for name, one in known.items():
        assert (one.distribution in there) if one.package else one.protocol == "airbyte", name
    assert {f"airbyte-{name}" for name in known} >= {
        one for one in there if one.startswith("airbyte-")
    }


def test_versions_that_cannot_be_installed_are_left_out_unless_asked_for() -> None:
    assert known_connectors()["source-file"].package == "airbyte-source-file<0.5.40"
    assert get_connector_metadata("source-file").pypi_package_name == "airbyte-source-file"
    assert get_connector_metadata("target-duckdb").pypi_package_name == "target-duckdb"
    for version, wanted in (
        (None, "airbyte-source-file<0.5.40"),
        ("0.6.0", "airbyte-source-file==0.6.0"),
    ):
        chosen = get_source("source-file", version=version).executor
        assert isinstance(chosen, PythonExecutor)
        assert chosen.environment.requirement == wanted


def test_what_is_said_by_hand_must_be_in_the_list(make: Any) -> None:
    hand = {**BY_HAND, "packages": {"tap-x": ["tap-there!=1.2", "b<2"], "tap-y": ["gone"]}}
    with pytest.raises(ValueError, match="gone"):
        make.index_of(["tap-there"], hand)
    made = make.index_of(["tap-there", "", "gone"], hand)
    assert made["packages"] == {
        "tap-there": "tap-there",
        "tap-x": "tap-there!=1.2 b<2",
        "tap-y": "gone",
    }
    assert '"tap-x: tap-there!=1.2 b<2"' in make.text_of(made)


def test_a_low_code_connector_with_a_package_installs_and_is_still_listed_as_one() -> None:
    found = get_connector_metadata("source-airtable")
    assert found.pypi_package_name == "airbyte-source-airtable"
    assert found.language is Language.MANIFEST_ONLY
    assert found.default_install_type is InstallType.PYTHON
    assert get_connector_metadata("source-calendly").default_install_type is InstallType.YAML

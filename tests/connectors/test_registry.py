"""Sources and destinations of one's own by name: entry points of an installed package, and the library's own."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import etl_assets as ea
from etl_assets import registry

ENTRY_POINTS = """
[etl_assets.sources]
mycrm = mycrm:CrmSource
broken = mycrm.nowhere:CrmSource
lacking = mycrm_lacking:Source
nothing = mycrm:limit

[etl_assets.destinations]
mydb = mycrm:ListDestination
"""
MODULE = """
from etl_assets import Destination, Source, Stream

limit = 3
written = []


class CrmSource(Source):
    def __init__(self, *args, token=None, **options):
        super().__init__(*args, **options)
        self.token = token

    def discover(self, streams=None):
        return {"people": Stream("people", schema={"properties": {"id": {"type": "integer"}}}, primary_key=["id"])}

    def load_data(self, stream, **_):
        yield [{"id": number} for number in range(self.config.get("count", 2))]


class ListDestination(Destination):
    def export_batch_data(self, record_data, stream, tags=None):
        written.extend(row["record"]["id"] for row in record_data)
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as pip leaves it: a module, and its entry points."""
    (tmp_path / "mycrm.py").write_text(dedent(MODULE))
    (tmp_path / "mycrm_lacking.py").write_text("import a_package_that_is_not_there\n")
    info = tmp_path / "mycrm_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mycrm-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.registered.cache_clear()
    yield tmp_path
    registry.registered.cache_clear()
    sys.modules.pop("mycrm", None)


def test_a_source_of_ones_own_is_made_and_read_by_its_name(tmp_path: Path) -> None:
    source = ea.get_source("mycrm", {"count": 3}, source_name="crm", token="t")  # noqa: S106 - no secret
    assert (source.state_name, getattr(source, "token", None)) == ("crm", "t")
    cache = ea.new_local_cache("crm", str(tmp_path / "cache"))
    assert [row["id"] for row in source.read(cache)["people"]] == [0, 1, 2]


def test_a_destination_of_ones_own_is_written_to_by_its_name() -> None:
    ea.get_destination("mydb").write(ea.get_source("mycrm"), state_cache=False)
    assert importlib.import_module("mycrm").written == [0, 1]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: ea.get_source("postgres", url="postgresql://localhost/shop"), ea.PostgresSource),
        (lambda: ea.get_source("sqlite", {"path": "shop.db"}), ea.SQLiteSource),
        (lambda: ea.get_source("files", path="*.csv", delimiter=";"), ea.FileSource),
        (lambda: ea.get_destination("duckdb", {"path": "shop.duckdb"}), ea.DuckDBDestination),
        (lambda: ea.get_destination("sqlite", path="shop.db"), ea.SQLiteDestination),
    ],
    ids=["postgres", "sqlite", "files", "duckdb", "sqlite destination"],
)
def test_the_librarys_own_are_registered(call: Any, kind: type) -> None:
    assert type(call()) is kind


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_each_of_the_librarys_own_can_be_imported(kind: registry.Kind) -> None:
    ours = [one for one in registry.registered(kind).values() if one.distribution == "etl-assets"]
    assert [one.name for one in ours if not isinstance(one.load(), type)] == []
    assert len(ours) >= 6


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mycmr", "Did you mean 'mycrm'"),
        ("mydb", "'mydb' is a destination. Use get_destination()"),
        ("broken", "mycrm.nowhere:CrmSource of the package mycrm-package"),
        ("lacking", "Install 'a_package_that_is_not_there'"),
        ("nothing", "which is no class"),
    ],
)
def test_a_name_that_gives_no_source_says_why(name: str, words: str) -> None:
    with pytest.raises(ea.exceptions.ConfigError) as raised:
        ea.get_source(name)
    assert words in str(raised.value)


def test_the_function_that_the_hint_names_makes_it() -> None:
    with pytest.raises(ea.exceptions.ConfigError, match="Use get_destination"):
        ea.get_source("mydb")
    assert type(ea.get_destination("mydb")).__name__ == "ListDestination"
    with pytest.raises(ea.exceptions.ConfigError, match="Use get_source"):
        ea.get_destination("mycrm")
    assert type(ea.get_source("mycrm")).__name__ == "CrmSource"


def test_an_argument_that_the_class_lacks_is_told() -> None:
    with pytest.raises(ea.exceptions.ConfigError, match="nonsense"):
        ea.get_destination("sqlite", path="shop.db", nonsense=1)


def test_a_name_that_two_packages_have_is_an_error(package: Path) -> None:
    other = package / "other_crm-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other-crm\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[etl_assets.sources]\nmycrm = other:Source\n")
    registry.registered.cache_clear()
    with pytest.raises(ea.exceptions.ConfigError, match="is registered twice"):
        ea.get_source("mycrm")


def test_a_way_to_run_a_program_means_a_program() -> None:
    source = ea.get_source("mycrm", local_executable="/bin/true", protocol="singer")
    assert isinstance(source, ea.SingerSource)


def test_nothing_is_imported_before_it_is_asked_for(package: Path) -> None:
    code = (
        "import sys; import etl_assets.registry as r; r.registered('source'); r.registered('destination');"
        "print([m for m in ('mycrm', 'sqlalchemy', 'duckdb', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=package
    )
    assert ran.stdout.strip() == "[]"

"""`docs/supported.md` is what the kit finds; and the option of pytest writes such a page."""

import subprocess
import sys
from pathlib import Path

import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.testing import load_cases
from etl_assets.testing.plugin import table
from tests.testing import test_conformance_duckdb as duckdb_kit
from tests.testing.test_planted import Kit

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "supported.md"
KIT = "tests/testing/test_conformance_duckdb.py"


def test_the_page_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gaps = duckdb_kit.TestDuckDB.known_gaps
    kit = Kit(DuckDBDestination, tmp_path)
    told = []
    for case in load_cases():
        kit.begin(case.name)
        outcome, type_ = ("", "") if case.name in gaps else kit._run(case)
        one = {
            "case": case.name,
            "group": case.group,
            "title": case.title,
            "gap": gaps.get(case.name, ""),
        }
        told.append({**one, "destination": "DuckDB", "outcome": outcome, "type": type_})
    again = f"pytest -p etl_assets.testing.plugin --etl-assets-report docs/supported.md -k test_case {KIT}"
    assert PAGE.read_text(encoding="utf-8") == table(told), f"write it anew: {again}"


def test_the_option_writes_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "etl_assets.testing.plugin",
        "--etl-assets-report",
        str(page),
    ]
    subprocess.run(
        [*command, "-k", "boolean", KIT], cwd=ROOT, check=True, capture_output=True, timeout=100
    )
    rows = [
        line
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| booleans")
    ]
    assert rows == ["| booleans and NULL | exact (BOOLEAN) |"]


def test_cases_are_shipped() -> None:
    assert len(load_cases()) > 100
    assert 'packages = ["etl_assets"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_a_missing_extra_is_named(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import etl_assets.testing"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "ConfigError: etl_assets.testing needs" in ran.stderr
    assert "etl-assets[testing]" in ran.stderr

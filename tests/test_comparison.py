"""Each claim of docs/comparison.md about this library leads to a test that is there."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "comparison.md"
TEXT = PAGE.read_text(encoding="utf-8")
FEATURES, REPORTS = 33, 25
ROW = re.compile(r"^\| (?P<number>\d+) \| .* \|$", re.MULTILINE)
LINK = re.compile(r'\[[^\]]+\]\((?P<target>[^)\s]+)(?: "(?P<title>[^"]+)")?\)')
VERDICT = re.compile(r"(Yes|Partly|No|n/a)(\. |, |$)")


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table below a heading, from the number on."""
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return [found[0].strip("| ").split(" | ") for found in ROW.finditer(section)]


TABLES = {"Features": FEATURES, "What users report": REPORTS}
OURS = [(f"{title} {cells[0]}", cells[-1]) for title in TABLES for cells in rows(title)]


def linked_in(cell: str) -> list[str]:
    """Return the tests that a cell links to, as pytest names them."""
    return [
        f"{found['target'].removeprefix('../')}::{found['title']}"
        for found in LINK.finditer(cell)
        if found["target"].startswith("../tests/")
    ]


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the tests of a file by their names, of a class as `Class::test`."""
    found = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            own = [one.name for one in node.body if isinstance(one, ast.FunctionDef)]
            found |= {f"{node.name}::{name}" for name in own}
    return frozenset(found)


@pytest.mark.parametrize("title", TABLES)
def test_the_table_has_a_row_for_each(title: str) -> None:
    table = rows(title)
    assert [cells[0] for cells in table] == [str(n) for n in range(1, TABLES[title] + 1)]
    for cells in table:
        assert len(cells) == 7, cells[1]  # the number, the row, the four, and ours
        assert all(VERDICT.match(cell) for cell in cells[2:]), cells[1]


@pytest.mark.parametrize(("row", "cell"), OURS)
def test_each_cell_of_ours_leads_to_its_tests(row: str, cell: str) -> None:
    linked = linked_in(cell)
    assert linked, row
    for test in linked:
        file, _, name = test.partition("::")
        assert Path(file).name.startswith("test_"), test
        assert name.rpartition("::")[2].startswith("test_"), test
        assert name in names_in(file), test


def test_what_is_summed_up_is_so() -> None:
    told = re.search(r"\*\*Yes\*\* in (\d+) of 33 features and (\d+) of 25 reports", TEXT)
    assert told
    counted = [sum(cells[-1].startswith("Yes") for cells in rows(title)) for title in TABLES]
    assert [int(one) for one in told.groups()] == counted


@pytest.mark.full
def test_pytest_finds_every_test_that_is_linked() -> None:
    tests = sorted({test for _, cell in OURS for test in linked_in(cell)})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    collected = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert collected == set(tests)

"""The table of seed_statements.txt walks every line of the documents, and each test it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TABLE = TESTS / "seed_statements.txt"
LINES = {"000": 60, "001": 52, "002": 73, "003": 3478, "004": 773}
"""How long each document is."""
SHOWN_BY_NOTHING = re.compile(r"heading|listing|where |elsewhere|advice")

ROW = re.compile(
    r"(?P<document>\d{3}) (?P<first>\d+)-(?P<last>\d+) \| (?P<says>[^|]+) \| (?P<shown>.+)"
)


def rows() -> list[re.Match[str]]:
    found = []
    for line in TABLE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            row = ROW.fullmatch(line)
            assert row, line
            found.append(row)
    return found


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("document", LINES)
def test_no_line_is_left_out(document: str) -> None:
    spans = [(int(row["first"]), int(row["last"])) for row in rows() if row["document"] == document]
    end = 0
    for first, last in spans:
        again = (first, last) in spans[: spans.index((first, last)) + 1] and last == end
        assert first == end + 1 or again, f"{document}: {first}-{last} comes after line {end}"
        assert first <= last
        end = last
    assert end == LINES[document]


@pytest.mark.parametrize(
    "row", rows(), ids=lambda row: f"{row['document']}:{row['first']}-{row['last']} {row['says']}"
)
def test_a_statement_is_shown_by_tests_that_are_there(row: re.Match[str]) -> None:
    if row["shown"] == "-":
        assert SHOWN_BY_NOTHING.search(row["says"]), f"{row['says']!r} could be shown"
        return
    for named in row["shown"].split():
        path, _, test = named.partition("::")
        assert test in names_in(path), f"{named} is not there"

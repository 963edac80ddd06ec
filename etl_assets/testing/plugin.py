"""A pytest plugin that writes what destinations support.

Run `pytest -p etl_assets.testing.plugin --etl-assets-report FILE`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

PROPERTY = "etl_assets"
GROUPS = (
    *("numbers", "dates and times", "text and bytes", "nested data", "names"),
    *("keys and write strategies", "schema changes"),
)
_LEGEND = (
    "`exact`: unchanged. `text`, `json`, `base64`: stored in that form, with every digit. "
    "`refused`: the sync fails, names stream and field, and does not change the table. "
    "`-`: the destination does not support what the case needs."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--etl-assets-report",
        metavar="FILE",
        help="write the Markdown table of supported types here",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to collect, in the process that sees all reports."""
    if config.getoption("--etl-assets-report") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(
            _Report(Path(config.getoption("--etl-assets-report"))), "etl_assets_report"
        )


class _Report:
    """Collects what the tests of cases tell, and writes it at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: list[Mapping[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._told += [
                json.loads(str(value)) for name, value in report.user_properties if name == PROPERTY
            ]

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(table(self._told), encoding="utf-8")


def table(told: Sequence[Mapping[str, Any]]) -> str:
    """Return the page: a table for each group, a column for each destination."""
    destinations = sorted({one["destination"] for one in told})
    cells = {(one["case"], one["destination"]): cell(one) for one in told}
    lines = [
        "# What is supported",
        "",
        "The [conformance kit](conformance.md) writes this page. Each row is one of its cases.",
    ]
    lines += ["", _LEGEND]
    for group in [*GROUPS, *sorted({one["group"] for one in told} - set(GROUPS))]:
        cases = sorted({(one["title"], one["case"]) for one in told if one["group"] == group})
        if not cases:
            continue
        heads = ["Case", *destinations]
        lines += [
            "",
            f"## {group[0].upper()}{group[1:]}",
            "",
            _row(heads),
            _row(["---"] * len(heads)),
        ]
        lines += [
            _row([title, *(cells.get((case, one), "-") for one in destinations)])
            for title, case in cases
        ]
    return "\n".join(lines) + "\n"


def cell(told: Mapping[str, Any]) -> str:
    """Return what a table shows of one case: the form, and the column's type if it matters."""
    if told["gap"]:
        return f"gap: {told['gap']}"
    return f"{told['outcome']} ({told['type']})" if told["type"] else str(told["outcome"])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(one.replace('|', chr(92) + '|') for one in cells)} |"

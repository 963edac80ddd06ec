"""What all tests share."""

import re
from collections import Counter

import pytest
from hypothesis import settings

from etl_assets import redaction
from tests.embedded_postgres import start_if_missing

# No deadline: the machines that run this are busy, and a slow example is no wrong one.
settings.register_profile("etl_assets", deadline=None, print_blob=True)
settings.load_profile("etl_assets")


@pytest.fixture(autouse=True)
def secrets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of a test after it: what one has for a password may be a word that another looks for."""
    monkeypatch.setattr(redaction, "_redactor", redaction.Redactor())


def pytest_configure(config: pytest.Config) -> None:
    """Start a PostgreSQL where there is none; processes of xdist inherit where it is."""
    if hasattr(config, "workerinput"):
        return
    server = start_if_missing()
    if server is not None:
        config.add_cleanup(server.stop)


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Say in one line which server is missing, and how many tests were skipped for it."""
    reasons = [
        report.longrepr[2]
        for report in terminalreporter.stats.get("skipped", ())
        if report.longrepr
    ]
    missing = Counter(
        found[1]
        for reason in reasons
        if (found := re.search(r"(no (?:PostgreSQL|MySQL or MariaDB) server)", reason))
    )
    for told, tests in missing.items():
        terminalreporter.write_line(f"{told}: {tests} tests were skipped")

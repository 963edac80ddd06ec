"""What all tests share."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import settings

from etl_assets import redaction
from tests.embedded_postgres import start_if_missing
from tests.memory_folder import keep_files_in_memory
from tests.sampling import leave_the_rest_to_full

# No deadline: the machines that run this are busy, and a slow example is no wrong one.
settings.register_profile("etl_assets", deadline=None, print_blob=True)
settings.load_profile("etl_assets")


@pytest.fixture(autouse=True)
def secrets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of a test after it: what one has for a password may be a word that another looks for."""
    monkeypatch.setattr(redaction, "_redactor", redaction.Redactor())


@pytest.fixture(scope="session", autouse=True)
def migrations_are_read_once() -> Iterator[None]:
    """Read the migrations of Dagster's storages once in a process, and not for each new instance.

    They are scripts in a folder, which Alembic imports one by one: two thirds of what an instance costs.
    """
    if "dagster" not in sys.modules:
        yield
        return
    from alembic.script import ScriptDirectory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", cache(ScriptDirectory.from_config))
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave combinations that prove one thing again to `make test-full`."""
    leave_the_rest_to_full(items)


def pytest_configure(config: pytest.Config) -> None:
    """Choose where files are, and start a PostgreSQL where there is none; processes of xdist inherit both."""
    if hasattr(config, "workerinput"):
        return
    keep_files_in_memory()
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
        if (found := re.search(r"(no (?:PostgreSQL|MySQL or MariaDB|RabbitMQ) server)", reason))
    )
    for told, tests in missing.items():
        terminalreporter.write_line(f"{told}: {tests} tests were skipped")

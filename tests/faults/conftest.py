"""What `make test` takes of the fault harness, and what a whole run of it has to say."""

import subprocess
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import pytest

from etl_assets.testing.kills import PROPERTY, KillConformance
from etl_assets.testing.place import Place
from tests.faults.places import FirebirdPlace, MySQLPlace, PostgresPlace, SQLitePlace

SAMPLE = {
    "test_ended_then_run_again[append-P2-staged-middle-kill]",
    "test_ended_then_run_again[merge-P4-rows-middle-kill]",
    "test_ended_then_run_again[append-P5-state-first-kill]",
    "test_ended_then_run_again[append-P7-last_committed-first-kill]",
    "test_ended_then_run_again[replace-P12-cleaning-first-kill]",
    "test_ended_then_run_again[merge-P4-rows-first-term]",
    "test_ended_then_run_again[append-P8-event-first-raise]",
    "test_ended_then_run_again[append-P9-source_ended-first-raise]",
    "test_first_run_killed_before_its_event[append]",
    "test_of_two_runs_one_succeeds[append]",
    "test_waits_for_a_lock[merge]",
    "test_gives_up_on_a_lock[replace]",
    "test_connection_is_cut[append]",
    "test_answer_to_the_commit_is_lost[append]",
    "test_no_room_for_staging[append]",
    "test_random_kill[0]",
}
"""Of DuckDB; `test_planted_faults.py` runs more of its exceptions."""

KILLED_AT_STATE = "test_ended_then_run_again[append-P5-state-first-kill]"
KILLED_IN_ROWS = "test_ended_then_run_again[merge-P4-rows-middle-kill]"
KILLED_AFTER_COMMIT = "test_ended_then_run_again[replace-P7-last_committed-first-kill]"
OF_A_SERVER = {
    "test_connection_is_cut[append]",
    "test_answer_to_the_commit_is_lost[append]",
}
ELSEWHERE: Mapping[type[Place], Collection[str]] = {
    PostgresPlace: {
        KILLED_AT_STATE,
        KILLED_IN_ROWS,
        KILLED_AFTER_COMMIT,
        "test_of_two_runs_one_succeeds[append]",
        "test_waits_for_a_lock[merge]",
        *OF_A_SERVER,
    },
    MySQLPlace: {
        KILLED_IN_ROWS,
        KILLED_AFTER_COMMIT,
        "test_ended_then_run_again[replace-P11-swapped-first-kill]",
        "test_ended_then_run_again[replace-P13-dropping-first-kill]",
        "test_of_two_runs_one_succeeds[append]",
        "test_random_kill[0]",
        *OF_A_SERVER,
    },
    SQLitePlace: {KILLED_IN_ROWS, KILLED_AFTER_COMMIT, "test_waits_for_a_lock[merge]"},
    FirebirdPlace: {KILLED_AT_STATE, KILLED_IN_ROWS, KILLED_AFTER_COMMIT},
}
"""Of the databases after the first: what is said by their own transactions and locks."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the rest of the harness to `make test-full`."""
    for item in items:
        kind = getattr(item, "cls", None)
        if kind is None or not issubclass(kind, KillConformance):
            continue
        if item.name not in ELSEWHERE.get(kind.place, SAMPLE):
            item.add_marker(pytest.mark.full)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the result of a run as it stands in `docs/faults.md`."""
    reports = [
        one for outcome in ("passed", "failed") for one in terminalreporter.stats.get(outcome, [])
    ]
    told = Counter(
        (one.nodeid.split("::")[1].removeprefix("Test"), str(what))
        for one in reports
        for name, what in one.user_properties
        if name == PROPERTY and one.when == "call"
    )
    if not told:
        return
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - as the shell finds it
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    failed = sum(
        PROPERTY in dict(one.user_properties) for one in terminalreporter.stats.get("failed", [])
    )
    terminalreporter.section("faults")
    terminalreporter.line(
        f"On {datetime.now(UTC):%Y-%m-%d}, commit {commit}: {told.total()} syncs, {failed} failures."
    )
    for line in ("", "| Destination | What | Syncs |", "| --- | --- | --- |"):
        terminalreporter.line(line)
    for (destination, what), count in sorted(told.items()):
        terminalreporter.line(f"| {destination} | {what} | {count} |")

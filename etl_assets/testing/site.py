"""A place with a source and a Dagster instance, its syncs as processes, and what must hold."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import faults
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.testing.lines import SOURCE, STREAMS, Rows, expected, write_rows
from etl_assets.testing.nursery import Process, start
from etl_assets.testing.place import Place, processes_of
from etl_assets.testing.points import PROJECT_POINTS

PROJECT = "etl_assets.testing.project"
IN_PROCESS = json.dumps({"execution": {"config": {"in_process": {}}}})
SETTINGS = """
telemetry: {enabled: false}
compute_logs: {module: dagster._core.storage.noop_compute_log_manager, class: NoOpComputeLogManager}
"""
"""Dagster's. To keep what a step prints, two more processes would be started for each."""
TIMEOUT_SECONDS = 200


class Site:
    """One place under test.

    Args:
        place: In a folder that is empty.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.home = place.folder / "home"
        self.rows = place.folder / "rows.jsonl"
        self.home.mkdir(exist_ok=True)
        (self.home / "dagster.yaml").write_text(SETTINGS)

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """The instance of the place's folder, opened once.

        Its files are also what other processes write to.
        """
        return dg.DagsterInstance.from_config(str(self.home))

    def close(self) -> None:
        """Close the instance and drop the place."""
        if "instance" in vars(self):
            self.instance.dispose()
        self.place.drop()

    def give(self, rows: Rows) -> None:
        """Make these the rows that the source has."""
        write_rows(self.rows, rows)

    # Syncs

    def run(self, stream: str, fault: str | None = None) -> bool:
        """Materialize a stream in this process, and return whether that succeeded.

        Every checkpoint is committed.
        """
        from etl_assets.testing.project import chosen

        assets = chosen(self.place, stream, later=_is_later(fault))
        with armed(fault):
            return dg.materialize(assets, instance=self.instance, raise_on_error=False).success

    def start(self, stream: str, fault: str | None = None) -> Process:
        """Begin `dagster asset materialize` in a process of its own."""
        select = f"key:{SOURCE}/{stream}" + (f" or key:after_{stream}" if _is_later(fault) else "")
        materialize = [
            "asset",
            "materialize",
            "-m",
            PROJECT,
            "--select",
            select,
            "--config-json",
            IN_PROCESS,
        ]
        return self._start("dagster", materialize, fault)

    def start_bare(self, stream: str, *, file_bytes: int | None = None) -> Process:
        """Begin a sync without Dagster; `file_bytes` is how large a file may become."""
        limit = [] if file_bytes is None else [str(file_bytes)]
        return self._start(PROJECT, [stream, *limit], None)

    def _start(self, module: str, arguments: Sequence[str], fault: str | None) -> Process:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("ETL_ASSETS_")
        }
        ours = {
            **self.place.environment(),
            "DAGSTER_HOME": str(self.home),
            "ETL_ASSETS_CHECKPOINT_SECONDS": "0",
            "PYTHONPATH": os.pathsep.join(path or "." for path in ["", *sys.path]),
        }
        fault_point = {faults.VARIABLE: fault} if fault else {}
        environment = kept | ours | fault_point
        errors = self.home / "errors.txt"
        return start(
            module, arguments, environment=environment, folder=self.place.folder, errors=errors
        )

    # What is there

    def found(self, stream: str) -> list[tuple[Any, ...]]:
        """Read the table."""
        return sorted(
            (row["n"], row["id"], row["text"]) for row in self.place.rows(STREAMS[stream])
        )

    def reached(self, stream: str) -> int:
        """Return how far the destination's state says a stream was read; -1 for not at all."""
        state = self.place.state(STREAMS[stream])
        return -1 if state is None or state.bookmark is None else int(state.bookmark["n"])

    def events(self, stream: str) -> list[dict[str, Any]]:
        """Return the metadata of a stream's materialization events, oldest first."""
        key = dg.AssetKey([SOURCE, stream])
        records = self.instance.fetch_materializations(key, limit=100, ascending=True).records
        found = [record.asset_materialization for record in records]
        return [
            {name: value.value for name, value in one.metadata.items()}
            for one in found
            if one is not None
        ]

    # What must hold

    def check(self, stream: str, first: Rows, then: Rows) -> int:
        """Check what must hold at any time (I2, I3, I4); gives how far the bookmark is.

        The state is neither ahead of the rows nor behind them (each batch has its bookmark), and a
        replace is whole: the old table or the new one.
        """
        found, reached = self.found(stream), self.reached(stream)
        if stream == "replace":
            assert found in (expected(stream, first), expected(stream, then)), (
                f"a table of {len(found)} rows, mixed"
            )
        else:
            covered = expected(stream, [row for row in then if row["n"] <= reached])
            assert found == covered, (
                f"{len(found)} rows are there; the stored bookmark says {reached}"
            )
        return reached

    def check_events(self, stream: str) -> None:
        """Check that each event tells of what was committed, and tells the truth (I5)."""
        commits = self.place.commits(STREAMS[stream])
        for event in self.events(stream):
            load_id = event["etl_assets/load_id"]
            own = [commit for commit in commits if commit[0] == load_id]
            assert own, f"an event tells of load {load_id}, which the ledger does not know"
            assert event["etl_assets/records_loaded"] == sum(rows for _, rows, _, _ in own), (
                "an event's rows"
            )
            assert event["dagster/row_count"] == own[-1][2], "an event's rows in the table"
            # The hashes of the rows at the bookmark are in the state row alone.
            assert event.get("etl_assets/bookmark") == plain(own[-1][3]), "an event's bookmark"

    def check_recovered(self, stream: str, rows: Rows) -> None:
        """Check what must hold when a run has succeeded (I1, I2, I5, I6)."""
        assert self.found(stream) == expected(stream, rows), "rows are lost, doubled or old"
        self.check_events(stream)
        event = self.events(stream)[-1]
        state = self.place.state(STREAMS[stream])
        assert state is not None
        assert event["etl_assets/load_id"] == state.load_id, (
            "the newest event is not of the last load"
        )
        assert event["dagster/row_count"] == len(expected(stream, rows)), (
            "the newest event's rows in the table"
        )
        self.check_clean()

    def check_clean(self) -> None:
        """Check that nothing is left of syncs that have ended (I6)."""
        assert list(self.place.left_over()) == [], "a sync has left something behind"
        assert list(processes_of(self.place)) == [], "a process is left"


def _is_later(fault: str | None) -> bool:
    return fault is not None and fault.partition(":")[0] in PROJECT_POINTS


@contextmanager
def armed(fault: str | None) -> Iterator[Counter[str]]:
    """Arm a point in this process and commit at every checkpoint.

    The value of the context counts how often each point was passed.
    """
    passed: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETL_ASSETS_CHECKPOINT_SECONDS", "0")
        if fault is not None:
            patch.setenv(faults.VARIABLE, fault)
            patch.setattr(faults, "_passed", passed)
        yield passed


@contextmanager
def ended(process: Process) -> Iterator[Process]:
    """Have a process end with the context, whatever happens."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def wait_for(path: Path, process: Process, seconds: float = 60.0) -> None:
    """Wait until a process has made a file.

    Raises:
        AssertionError: It has not, or has ended.
    """
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, "the process has ended"
        assert time.monotonic() < deadline, f"there is no {path.name} after {seconds:g} s"
        time.sleep(0.05)

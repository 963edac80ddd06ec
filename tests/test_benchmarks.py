"""The benchmarks' own promises: a wrong load is shown as wrong, and what a candidate starts is counted."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks import __main__ as printed
from benchmarks import measure, peers, works
from benchmarks.watch import Watch, cpu
from benchmarks.work import BY_HAND, OURS, Work

WORK = Work(title="toys", rows=(1, 1), prepare=lambda folder, rows: None, candidates={}, target=1.5)


def load(folder: Path, candidate: str, query: str) -> None:
    with duckdb.connect(str(folder / f"{candidate}.duckdb")) as connection:
        connection.execute(f"CREATE SCHEMA bench; CREATE TABLE bench.t AS {query}")


def test_a_load_that_lost_a_row_or_changed_a_type_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = {BY_HAND: "SELECT 1 AS id UNION ALL SELECT 2", OURS: "SELECT 2::BIGINT AS id UNION ALL SELECT 1",
             "dlt": "SELECT 1 AS id", "sling": "SELECT 'one' AS id UNION ALL SELECT 'two'"}  # fmt: skip
    for candidate, query in loads.items():
        load(tmp_path, candidate, query)
    candidates = dict.fromkeys(loads, lambda folder, given: lambda: None)
    work = replace(WORK, candidates=candidates, check="SELECT COUNT(*), SUM(id) FROM t")
    monkeypatch.setattr(measure, "_run", lambda *_: measure.Cost(1.0, 0.5, 1.0))
    result = measure.Measured(work)
    measure._Measuring("toys", result, tmp_path, "1", ["dlt", "sling"]).measure(2)
    assert set(result.wrong) == {"dlt", "sling"}
    assert result.types == {OURS: "id BIGINT (INTEGER)", "sling": "id VARCHAR (INTEGER)"}
    told = "\n".join(printed.findings([result]))
    assert "toys, dlt: loaded ['[(1, 1)]'], by hand ['[(2, 3)]']" in told
    assert "WRONG (1.00 (1.00))" in printed.row(result)


def test_the_cells_of_a_row() -> None:
    result = measure.Measured(
        WORK, figures={BY_HAND: 2.0, OURS: 3.0, "dlt": 5.0}, wrong={"sling": "failed: no"}
    )
    assert printed.row(result)[:5] == ["toys", "2.000 s", "3.000 s", "1.50", "1.50"]
    beside = dict(zip(printed.HEADER[5:], printed.row(result)[5:], strict=True))
    assert beside == {
        "dlt": "2.50",
        "ingestr": "-",
        "sling": "FAILED",
        "pyairbyte": "-",
        "target-duckdb": "-",
    }


def test_a_ratio_is_told_with_the_imports_and_without() -> None:
    figures = {BY_HAND: 2.0, OURS: 3.0, "dlt": 5.0}
    without = {BY_HAND: 1.0, OURS: 1.1, "dlt": 3.0}
    work = replace(WORK, target_without_imports=1.2)
    row = printed.row(measure.Measured(work, figures=figures, without_imports=without))
    assert row[1:6] == ["2.000 s", "3.000 s", "1.50 (1.10)", "1.50 (1.20)", "2.50 (3.00)"]


def test_what_a_process_imports_is_metered_also_where_the_import_is_late(tmp_path: Path) -> None:
    busy = "import time\nend = time.thread_time() + 0.2\nwhile time.thread_time() < end: pass\n"
    (tmp_path / "slow.py").write_text(f"import slower\n{busy}")
    (tmp_path / "slower.py").write_text(busy)
    code = (
        "from benchmarks.imports import ImportMeter; from concurrent.futures import ThreadPoolExecutor; "
        "import importlib; meter = ImportMeter(); pool = ThreadPoolExecutor(1); "
        "pool.submit(importlib.import_module, 'slow').result(); import slow; print(meter.seconds)"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert 0.4 <= float(done.stdout) < 0.6  # CPU seconds, none of them twice


def test_a_work_whose_server_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.servers.missing", lambda server: f"no {server}: refused")
    result = measure.measured("i_postgres_duckdb", 1, [], quick=True)
    assert printed.row(result)[1] == "skipped: no PostgreSQL: refused"


def test_the_memory_of_what_a_candidate_starts_is_counted() -> None:
    held = 80_000_000
    started = f"import time; held = b'x' * {held}; print('held', flush=True); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {started!r}])"
    process: Any = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    watch = Watch(process.pid, (), memory=True)
    try:
        process.stdout.readline()
        watch.look()
        assert watch.peak > held
        assert cpu(process.pid) > 0
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("name", works.names())
def test_every_work_says_what_is_done_and_who_does_it(name: str) -> None:
    work = works.work(name)
    known = {BY_HAND, OURS, *work.beside, *peers.PEERS}
    assert {BY_HAND, OURS} <= set(work.candidates) <= known
    assert {*work.before, *work.each} <= set(work.candidates)

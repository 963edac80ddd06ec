"""How a script's read or write shows its progress: live on a terminal and in a notebook, plain lines elsewhere."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from etl_assets import SyncResult, WriteStrategy, get_benchmark_source
from etl_assets.caches import DuckDBCache
from etl_assets.exceptions import ConfigError
from etl_assets.progress import ProgressStyle, ProgressTracker, in_notebook
from etl_assets.progress_live import NotebookTable, html_table
from etl_assets.secrets.managers import is_interactive

READ = """
import etl_assets as ab
result = ab.get_benchmark_source(1000).read(ab.DuckDBCache(db_path=":memory:"))
print(result.processed_records)
"""


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def nobody_names_a_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETL_ASSETS_PROGRESS", raising=False)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[InteractiveShell]:
    """Yield IPython's shell as a notebook's kernel has it: without a terminal."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setattr(
        sys, "ps1", "", raising=False
    )  # which the shell sets, for all tests that come after
    shell = InteractiveShell.instance()
    history: Any = shell.history_manager
    history.enabled = False
    yield shell
    history.end_session()
    InteractiveShell.clear_instance()


def done(*, read: int, loaded: int) -> SyncResult:
    return SyncResult(
        "users", "shop", "load", WriteStrategy.MERGE, records_read=read, records_loaded=loaded
    )


def told(tracker: ProgressTracker) -> ProgressTracker:
    """Tell a tracker of two streams, one of which fails."""
    tracker.tally("users", 1200, 5_000_000, 2.0)
    tracker.tally("users", 2400, 9_000_000, 4.0)
    tracker.ended("users", done(read=2400, loaded=2300))
    tracker.tally("orders", 7, 0, 1.0)
    tracker.ended("orders", None)
    tracker.end()
    return tracker


def test_what_is_counted() -> None:
    now = iter(range(100))
    tracker = told(
        ProgressTracker(
            "none", expected_streams=["users", "orders", "late"], clock=lambda: next(now)
        )
    )
    assert (tracker.total_records_read, tracker.total_destination_records_delivered) == (2407, 2300)
    assert tracker.elapsed_seconds == tracker.elapsed_seconds == 1
    assert [(one.name, one.state) for one in tracker.streams.values()] == [
        ("users", "done"), ("orders", "failed"), ("late", "waiting"),
    ]  # fmt: skip


def test_a_terminal_has_a_table_that_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    tracker = told(ProgressTracker(expected_streams=["users", "orders"], stream=stream))
    assert tracker.style is ProgressStyle.RICH
    text = stream.getvalue()
    assert "\x1b[" in text, "it goes back to where the table begins"
    shown = [re.split(r"\s*│\s*", line.strip("│ ")) for line in text.splitlines() if "│" in line]
    assert shown[-2:] == [
        ["users", "2,400", "9.0 MB", "600", "done"],
        ["orders", "7", "", "7", "failed"],
    ]


def test_elsewhere_each_stream_has_a_line_at_its_end() -> None:
    stream = StringIO()
    tracker = told(ProgressTracker(stream=stream))
    assert tracker.style is ProgressStyle.PLAIN
    assert stream.getvalue().splitlines() == [
        "users: 2,400 rows, 9.0 MB in 4.0 s (600 rows/s)",
        "orders: 7 rows in 1.0 s (7 rows/s), failed",
    ]
    slow = ProgressTracker(stream=stream)
    slow.tally("slow", 5, 0, 12.0)
    assert stream.getvalue().splitlines()[-1] == "slow: 5 rows in 12.0 s (0 rows/s)"


@pytest.mark.parametrize("name", ["plain", "none", "rich", "bar", "notebook", "ipython"])
def test_the_style_can_be_chosen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    assert ProgressTracker(name, stream=stream).style is ProgressStyle(name)
    monkeypatch.setenv("ETL_ASSETS_PROGRESS", name)
    assert ProgressTracker(stream=stream).style is ProgressStyle(name)
    assert ProgressTracker("none", stream=stream).style is ProgressStyle.NONE, (
        "what the code says goes first"
    )
    if name == "none":
        told(ProgressTracker(stream=stream))
        assert not stream.getvalue()


def test_a_style_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_ASSETS_PROGRESS", "loud")
    with pytest.raises(ConfigError, match=r"'loud'.*plain"):
        ProgressTracker()


def test_a_notebook_has_a_table_that_is_updated(notebook: InteractiveShell) -> None:
    assert in_notebook()
    assert is_interactive(), "somebody can be asked for a secret"
    with capture_output() as captured:
        tracker = told(ProgressTracker(expected_streams=["users", "orders"], stream=Terminal()))
    assert tracker.style is ProgressStyle.IPYTHON
    first, *_, last = captured.outputs
    assert "<td>1,200</td>" in first.data["text/html"]
    assert "<td>2,400</td><td>9.0 MB</td><td>600</td><td>done</td>" in last.data["text/html"]
    assert last.update
    assert first.transient == last.transient, "one display"


def test_a_notebook_is_not_updated_at_every_batch(notebook: InteractiveShell) -> None:
    now = [0.0]
    table = NotebookTable(clock=lambda: now[0])
    with capture_output() as captured:
        for second in range(10):
            now[0] = second / 10
            table.show([])
    assert len(captured.outputs) == 2


def test_that_ipython_is_installed_makes_no_notebook() -> None:
    assert "IPython" in sys.modules
    assert not in_notebook()
    assert not is_interactive()


def test_names_are_shown_as_they_are() -> None:
    tracker = ProgressTracker("none", expected_streams=["<b>&"])
    assert "<td>&lt;b&gt;&amp;</td>" in html_table(list(tracker.streams.values()))


def test_a_read_on_a_terminal_shows_it_there_and_prints_nothing_of_it(tmp_path: Path) -> None:
    terminal, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    environment.pop("ETL_ASSETS_PROGRESS", None)
    done = subprocess.run(
        [sys.executable, "-c", READ],
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    os.close(theirs)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert done.returncode == 0, shown
    assert done.stdout.decode().split() == ["1000"]
    assert "\x1b[" in shown
    assert re.search(r"stream1\s*│\s*1,000\s*│.*│\s*done", shown)


def test_a_failed_read_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source: Any = get_benchmark_source(5)
    source.load_data = lambda *_, **__: iter(["no batch"])
    with pytest.raises(Exception, match="stream1"):
        source.read(DuckDBCache(db_path=tmp_path / "x.duckdb"))
    assert "stream1: 0 rows in 0.0 s, failed" in capsys.readouterr().err

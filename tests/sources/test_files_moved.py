"""Files that were read and have moved: not read again where time, size and content tell, and told where they do not."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBDestination, FileSource
from etl_assets.sources.files import listing as file_listing
from tests.sources.drops import load, loaded, put, stream_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(tmp_path / "warehouse.duckdb"))


@pytest.fixture
def drop(folder: Path) -> FileSource:
    return FileSource("drop", f"{folder}/**/*.csv", incremental="modified")


def move(old: Path, new: Path) -> Path:
    new.parent.mkdir(parents=True, exist_ok=True)
    return old.rename(new)


@pytest.mark.parametrize("how", ["renamed", "to another disk", "with a new one beside it"])
def test_a_file_that_was_moved_is_not_read_again(
    how: str,
    folder: Path,
    drop: FileSource,
    warehouse: DuckDBDestination,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    old, new = put(folder / "a.csv", [1, 2], at=1), folder / "done" / "a.csv"
    load(drop, warehouse)
    if how == "to another disk":
        new.parent.mkdir()
        shutil.copy2(old, new)
        old.unlink()
    else:
        move(old, new)
    stored = warehouse.stored("drop", stream_of(drop)).state
    if how == "with a new one beside it":
        put(folder / "b.csv", [3], at=0)
    elif stored:
        assert drop.pending({stream_of(drop): stored.bookmark}, timeout=1) == {
            stream_of(drop): False
        }
    bookmark = load(drop, warehouse).bookmark or {}
    more = ["3"] if how == "with a new one beside it" else []
    assert loaded(drop, warehouse) == ["1", "2", *more]
    assert "'done/a.csv' is 'a.csv', read before and moved" in caplog.text
    assert "done/a.csv" in bookmark["files"]
    assert "a.csv" not in bookmark["files"]
    assert load(drop, warehouse).records_loaded == 0


def test_it_may_be_gone_for_a_while(
    folder: Path, drop: FileSource, warehouse: DuckDBDestination, tmp_path: Path
) -> None:
    old = put(folder / "a.csv", [1], at=1)
    load(drop, warehouse)
    away = move(old, tmp_path / "away.csv")
    put(folder / "b.csv", [2], at=2)
    load(drop, warehouse)
    move(away, folder / "back.csv")
    load(drop, warehouse)
    assert loaded(drop, warehouse) == ["1", "2"]


@pytest.mark.parametrize("first_is_gone", [False, True])
def test_two_files_of_one_content_are_both_read(
    first_is_gone: bool,
    folder: Path,
    drop: FileSource,
    warehouse: DuckDBDestination,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = put(folder / "monday.csv", ["none"], at=1)
    load(drop, warehouse)
    put(folder / "tuesday.csv", ["none"], at=2 if first_is_gone else 1)
    if first_is_gone:
        first.unlink()
    load(drop, warehouse)
    assert loaded(drop, warehouse) == ["none", "none"]
    told = "'tuesday.csv' is read, though it may be 'monday.csv'" in caplog.text
    assert told is first_is_gone, "where nothing else tells, the log says so"


def test_of_a_file_that_took_another_ones_place_the_content_tells(
    folder: Path, drop: FileSource, warehouse: DuckDBDestination
) -> None:
    put(folder / "a.csv", [1], at=1).parent.mkdir(exist_ok=True)
    load(drop, warehouse)
    (folder / "a.csv").unlink()
    put(folder / "b.csv", [2], at=1)  # of the same time and size
    load(drop, warehouse)
    assert loaded(drop, warehouse) == ["1", "2"]


def test_a_bookmark_of_an_earlier_version_tells_too_little(
    folder: Path, drop: FileSource, warehouse: DuckDBDestination, caplog: pytest.LogCaptureFixture
) -> None:
    old = put(folder / "a.csv", [1], at=1)
    load(drop, warehouse)
    (state,) = warehouse.states()
    bookmark: dict[str, Any] = dict(state.bookmark or {})
    bookmark["files"] = {
        name: stamp.rpartition(" ")[0] for name, stamp in bookmark["files"].items()
    }
    warehouse.set_bookmark(state, bookmark)
    assert load(drop, warehouse).records_loaded == 0
    move(old, folder / "b.csv")
    load(drop, warehouse)
    assert loaded(drop, warehouse) == ["1", "1"]
    assert "nothing tells of the content" in caplog.text


def test_a_large_file_is_told_by_chunks(
    folder: Path, drop: FileSource, warehouse: DuckDBDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_listing, "CHUNK_BYTES", 8)
    numbers = list(range(1000, 2000))
    old = put(folder / "a.csv", numbers, at=1)
    load(drop, warehouse)
    move(old, folder / "b.csv")
    assert load(drop, warehouse).records_loaded == 0
    other = put(folder / "c.csv", [*numbers[:-1], 5000], at=1)
    (folder / "b.csv").unlink()
    assert load(drop, warehouse).records_loaded == 1000
    assert other.exists()


def test_files_of_a_url_are_known_by_what_the_system_says(warehouse: DuckDBDestination) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    drop = FileSource("drop", f"memory://moved{os.getpid()}/**/*.csv", incremental="modified")
    memory.pipe(f"/moved{os.getpid()}/a.csv", b"id\n1\n")
    load(drop, warehouse)
    memory.mv(f"/moved{os.getpid()}/a.csv", f"/moved{os.getpid()}/b.csv")
    load(drop, warehouse)
    assert loaded(drop, warehouse) == ["1", "1"]  # it tells of no content: see docs/files.md

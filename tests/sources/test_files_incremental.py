"""When files are read: once each, again where they have changed, and on from where a read failed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from etl_assets import DuckDBDestination, FileSource, StreamRead, stream_assets
from etl_assets.exceptions import (
    BookmarkError,
    ConfigError,
    DataError,
    SourceError,
    StreamReadError,
)
from etl_assets.model.stream import Stream
from etl_assets.sources.files import batches as file_batches
from etl_assets.sources.files import formats as file_formats
from etl_assets.sources.files import progress as file_progress
from etl_assets.sources.files.listing import Found
from etl_assets.sources.files.options import FileOptions
from etl_assets.sources.files.progress import Progress
from etl_assets.sync import sync
from tests.sources.drops import START, batches, ids, load, loaded, put, stream_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(tmp_path / "warehouse.duckdb"))


# Incremental


@pytest.mark.parametrize("incremental", ["modified", "name"])
def test_each_file_is_read_once(
    incremental: str, folder: Path, warehouse: DuckDBDestination
) -> None:
    source = FileSource("drop", f"{folder}/*.csv", incremental=incremental)
    stream = stream_of(source)
    assert load(source, warehouse).records_loaded == 0
    put(folder / "a.csv", [1, 2], at=1)
    put(folder / "b.csv", [2], at=2)
    stored = warehouse.stored("drop", stream).state
    assert source.pending({stream: stored.bookmark if stored else None}, timeout=1) == {
        stream: True
    }
    assert load(source, warehouse).strategy == "append"
    result = load(source, warehouse)
    assert result.records_loaded == 0
    assert source.pending({stream: result.bookmark}, timeout=1) == {stream: False}
    put(folder / "c.csv", [3], at=3)
    (folder / "a.csv").unlink()
    assert load(source, warehouse).records_loaded == 1
    assert loaded(source, warehouse) == ["1", "2", "2", "3"]


def test_files_of_one_time_and_files_that_arrive_late_are_read(
    folder: Path, warehouse: DuckDBDestination
) -> None:
    source = FileSource("drop", f"{folder}/*.csv", incremental="modified")
    for name, at in (("b.csv", 5), ("a.csv", 5), ("moved.csv", 1), ("z.csv", 5)):
        put(folder / name, [name], at=at)
        load(source, warehouse)
    result = load(source, warehouse)
    assert loaded(source, warehouse) == ["a.csv", "b.csv", "moved.csv", "z.csv"]
    assert result.bookmark is not None
    assert result.bookmark["modified"] == "2026-01-01T00:00:05.000000000Z"


@pytest.mark.parametrize("incremental", ["modified", "name"])
@pytest.mark.parametrize("broken_at", range(4))
def test_a_failed_read_goes_on_where_it_failed(
    incremental: str, broken_at: int, folder: Path, warehouse: DuckDBDestination
) -> None:
    for number in range(4):
        put(folder / f"{number}.csv", [number * 10 + row for row in range(5)], at=number % 2)
    path = folder / f"{broken_at}.csv"
    whole = path.read_text()
    modified = path.stat().st_mtime_ns
    path.write_text(whole + "1,2\n")
    os.utime(path, ns=(modified, modified))
    source = FileSource("drop", f"{folder}/*.csv", incremental=incremental, batch_rows=2)
    with pytest.raises(DataError, match=rf"{broken_at}\.csv, line 7"):
        load(source, warehouse, checkpoint_seconds=0)
    path.write_text(whole)
    os.utime(path, ns=(modified, modified))
    load(source, warehouse)
    load(source, warehouse)
    assert sorted(map(int, loaded(source, warehouse))) == [
        n * 10 + row for n in range(4) for row in range(5)
    ]


def test_without_a_key_a_changed_file_is_an_error(
    folder: Path, warehouse: DuckDBDestination
) -> None:
    source = FileSource("drop", f"{folder}/*.csv", incremental="modified")
    put(folder / "a.csv", [1], at=1)
    load(source, warehouse)
    put(folder / "a.csv", [1, 2], at=2)
    with pytest.raises(SourceError, match=r"'a\.csv' has changed since it was read"):
        load(source, warehouse)
    load(
        FileSource("drop", f"{folder}/*.csv", incremental="modified", on_changed="ignore"),
        warehouse,
    )
    assert loaded(source, warehouse) == ["1"]
    load(
        FileSource("drop", f"{folder}/*.csv", incremental="modified", on_changed="read"), warehouse
    )
    assert loaded(source, warehouse) == ["1", "1", "2"]
    load(source, warehouse, strategy="replace")
    assert loaded(source, warehouse) == ["1", "2"]


def test_with_a_key_a_changed_file_is_merged(folder: Path, warehouse: DuckDBDestination) -> None:
    source = FileSource("drop", f"{folder}/*.csv", incremental="modified", primary_key="id")
    put(folder / "a.csv", [1], at=1)
    assert load(source, warehouse).strategy == "merge"
    put(folder / "a.csv", [1, 2], at=1)  # of one time, but of another size
    load(source, warehouse)
    assert loaded(source, warehouse) == ["1", "2"]


@pytest.mark.parametrize("how", ["grows", "goes", "is replaced"])
@pytest.mark.parametrize("incremental", [None, "modified"])
def test_nothing_is_loaded_of_a_file_that_changes_while_it_is_read(
    how: str,
    incremental: str | None,
    folder: Path,
    warehouse: DuckDBDestination,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = put(folder / "a.csv", range(10), at=1)
    source = FileSource("drop", f"{folder}/*.csv", incremental=incremental, batch_rows=3)
    pieces = file_formats.pieces

    def changing(*arguments: Any) -> Iterator[Any]:
        for number, table in enumerate(pieces(*arguments)):
            if number == 1 and how == "grows":
                path.write_text(path.read_text() + "10\n")
            elif number == 1 and how == "goes":
                path.unlink()
            elif number == 1:
                put(folder / ".b", range(10), at=1).replace(path)
            yield table

    with monkeypatch.context() as patched:
        patched.setattr(file_batches, "pieces", changing)
        with pytest.raises(
            StreamReadError, match=r"a\.csv: has (changed|gone) while it was read"
        ) as caught:
            load(source, warehouse, checkpoint_seconds=0)
    assert caught.value.retryable
    assert warehouse.stored("drop", stream_of(source)).state is None
    put(path, [1])
    load(source, warehouse)
    assert loaded(source, warehouse) == ["1"]


def test_a_file_that_changes_before_it_is_opened_is_an_error(folder: Path) -> None:
    put(folder / "a.csv", [1], at=1)
    later = put(folder / "b.csv", [2], at=2)
    read = batches(FileSource("drop", f"{folder}/*.csv", batch_rows=1))
    next(read)
    put(later, [2, 3], at=3)
    with pytest.raises(StreamReadError, match=r"b\.csv: has changed"):
        list(read)


def test_young_files_are_left_to_a_later_run(folder: Path) -> None:
    put(folder / "a.csv", [1], at=1)
    young = put(folder / "b.csv", [2])
    put(folder / "c.csv", [3], at=1)
    options: dict[str, Any] = {"incremental": "name", "min_age": 3600}
    assert ids(FileSource("drop", f"{folder}/*.csv", **options)) == ["1"]
    assert ids(FileSource("drop", f"{folder}/*.csv", incremental="modified", min_age=3600)) == [
        "1",
        "3",
    ]
    os.utime(young, ns=(START, START))
    assert ids(FileSource("drop", f"{folder}/*.csv", **options), {"name": "a.csv"}) == ["2", "3"]


@pytest.mark.parametrize(
    "value", ["2026-01-01", "2026-01-01T00:00:05Z", "2026-01-01T01:00:05+01:00"]
)
def test_a_bookmark_may_be_set_by_hand(value: str, folder: Path) -> None:
    put(folder / "a.csv", [1], at=5)
    put(folder / "b.csv", [2], at=6)
    source = FileSource("drop", f"{folder}/*.csv", incremental="modified")
    assert ids(source, {"modified": value}) == (["1", "2"] if len(value) == 10 else ["2"])


@pytest.mark.parametrize(
    "bookmark",
    [{"name": "a"}, {"modified": 7}, {"modified": "soon"}, {"modified": "x", "files": 1}],
)
def test_a_bookmark_of_another_kind_is_an_error(bookmark: dict[str, Any], folder: Path) -> None:
    with pytest.raises(BookmarkError):
        ids(FileSource("drop", f"{folder}/*.csv", incremental="modified"), bookmark)


def test_a_stream_that_is_incremental_needs_a_source_that_is(folder: Path) -> None:
    stream = stream_of(FileSource("drop", f"{folder}/*.csv", incremental="name"))
    with pytest.raises(ConfigError, match="its source is not"):
        list(StreamRead(FileSource("drop", f"{folder}/*.csv"), stream).open(None))
    keyed = Stream("drop", replication_key="id")
    with pytest.raises(ConfigError, match="has a replication key"):
        list(
            StreamRead(FileSource("drop", f"{folder}/*.csv", incremental="name"), keyed).open(None)
        )


def test_a_column_may_say_how_far_a_stream_was_read(
    folder: Path, warehouse: DuckDBDestination
) -> None:
    source = FileSource("drop", f"{folder}/*.csv")
    stream = Stream("drop", replication_key="id")
    for name in ("b.csv", "a.csv"):
        put(folder / name, [name])
        sync(StreamRead(source, stream), warehouse)
    sync(StreamRead(source, stream), warehouse)
    assert loaded(source, warehouse) == ["b.csv"]  # a.csv lies before the bookmark


@given(
    rounds=st.lists(st.dictionaries(st.integers(0, 12), st.integers(0, 3), max_size=6), max_size=6)
)
def test_however_files_come_each_state_is_read_once_and_the_bookmark_stays_bounded(
    rounds: list[dict[int, int]],
) -> None:
    stream, options = Stream("s", primary_key="id"), FileOptions(incremental="modified")
    there: dict[str, Found] = {}
    bookmark: dict[str, Any] | None = None
    for arriving in rounds:
        for number, at in arriving.items():
            there[f"{number}"] = Found(
                f"{number}", "", at, f"2026-01-01T00:00:0{at}.000000000Z", ()
            )
        listed = list(there.values())
        known = (bookmark or {}).get("files") or {}
        progress = Progress(stream, options, bookmark)
        left = progress.left(listed)
        assert {one.name for one in left} == {
            one.name for one in listed if known.get(one.name) != one.stamp
        }
        for place, found in enumerate(left):
            bookmark = progress.done(found, listed)
            rest = Progress(stream, options, bookmark).left(listed)
            assert rest == left[place + 1 :]  # a resume is the rest of a straight read


def test_of_very_many_files_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_progress, "REMEMBERED", 3)
    listed = [Found(f"{at}", "", 1, f"2026-01-01T00:00:0{at}.000000000Z", ()) for at in range(9)]
    progress = Progress(Stream("s"), FileOptions(incremental="modified"), None)
    for found in progress.left(listed):
        bookmark = progress.done(found, listed)
    assert (len(bookmark["files"]), bookmark["before"]) == (3, "2026-01-01T00:00:05.000000000Z")
    assert Progress(Stream("s"), FileOptions(incremental="modified"), bookmark).left(listed) == []


def test_rows_of_parquet_files_are_counted(folder: Path) -> None:
    parquet.write_table(pa.table({"id": ["1", "2"]}), folder / "a.parquet")
    source = FileSource("drop", f"{folder}/*.parquet", incremental="name")
    stream = stream_of(source)
    assert source.storage_kind == "parquet"
    assert (source.count_records(stream), source.count_records(stream, {"name": "a.parquet"})) == (
        2,
        0,
    )
    full = FileSource("drop", f"{folder}/*.parquet")
    assert full.pending({stream_of(full): None}, timeout=1, rows={stream_of(full): 2}) == {
        stream_of(full): False
    }
    put(folder / "b.csv", [1])
    assert (
        FileSource("drop", f"{folder}/*").count_records(stream_of(FileSource("drop", "*"))) is None
    )


def test_columns_are_discovered_from_all_files(folder: Path) -> None:
    (folder / "a.csv").write_text("id,x\n")
    (folder / "b.csv").write_text("id,y\n")
    schema = FileSource("drop", f"{folder}/*.csv", with_origin=True).discover()["drop"].schema or {}
    assert list(schema["properties"]) == ["id", "x", "_file", "_line", "y"]
    (folder / "c.jsonl").write_text("{}")
    assert FileSource("drop", f"{folder}/*").discover()["drop"].schema is None


def test_files_are_an_asset(folder: Path, warehouse: DuckDBDestination) -> None:
    put(folder / "orders/a.csv", [1], at=1)
    source = FileSource(
        "drop", str(folder), streams={"orders": "orders/*.csv"}, incremental="modified"
    )
    assets = stream_assets(source, destination=warehouse)
    for _ in range(2):
        result = dg.materialize(assets)
        assert result.success
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["etl_assets/records_loaded"].value == 0
    assert warehouse.read_table(warehouse.table_for("drop", stream_of(source))).num_rows == 1

"""Which files are read: globs, links, URLs, and never what lies outside of the root."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.exceptions import (
    ConfigError,
    DataError,
    SourceError,
    StreamReadError,
)
from etl_assets.sources.files.listing import LocalFiles, RemoteFiles, _identity
from tests.sources.drops import SECOND, START, batches, ids, load, loaded, put, stream_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(tmp_path / "warehouse.duckdb"))


# Which files


def test_a_glob_is_one_stream_and_each_file_may_be_one(folder: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden.csv", "sub/c.csv", "sub/.d/e.csv", "notes.txt"):
        put(folder / name, [name])
    assert ids(FileSource("drop", f"{folder}/*.csv")) == ["a.csv", "b.csv"]
    assert ids(FileSource("drop", f"{folder}/**/*.csv")) == ["a.csv", "b.csv", "sub/c.csv"]
    assert ids(FileSource("drop", f"{folder}/[!a].csv")) == ["b.csv"]
    each = FileSource("drop", f"{folder}/**/*.csv", streams="file")
    assert each.declared_catalog() is None
    assert [stream.name for stream in each.discover().streams] == ["a", "b", "sub/c"]
    read = StreamRead(each, stream_of(each, "sub/c"))
    assert [batch.to_arrow(read.stream).to_pydict() for batch in read.open(None)] == [
        {"id": ["sub/c.csv"]}
    ]


def test_streams_are_declared_with_options_of_their_own(folder: Path) -> None:
    put(folder / "orders/1.csv", [1])
    parquet.write_table(pa.table({"id": [7]}), folder / "customers.parquet")
    source = FileSource(
        "drop",
        str(folder),
        streams={
            "orders": {"path": "orders/*.csv", "primary_key": "id"},
            "customers": "customers.parquet",
        },
    )
    assert stream_of(source, "orders").primary_key == ("id",)
    assert source.storage_kind == "files"
    source.test_connection()
    schema = source.discover()["customers"].schema or {}
    assert schema["properties"]["id"] == {"type": ["null", "integer"]}
    assert source.discover(["orders"])["orders"].primary_key == ("id",)


def test_a_path_may_be_a_reference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder / "a.csv", [1])
    source = FileSource("drop", dg.EnvVar("DROP"))
    assert source.declared_catalog() is not None  # nothing was resolved
    with pytest.raises(ConfigError, match="DROP"):
        ids(source)
    monkeypatch.setenv("DROP", f"{folder}/*.csv")
    assert ids(source) == ["1"]


def test_a_name_with_a_wildcard_in_it_is_a_name_if_it_is_there(folder: Path) -> None:
    put(folder / "[a].csv", [1])
    put(folder / "a.csv", [2])
    assert ids(FileSource("drop", f"{folder}/[a].csv")) == ["1"]


@pytest.mark.parametrize("pattern", ["../*.csv", "a/../../*.csv", "/etc/*.csv", "memory://x/*.csv"])
def test_a_glob_never_leaves_its_root(pattern: str, folder: Path) -> None:
    source = FileSource("drop", str(folder), streams={"x": pattern})
    with pytest.raises(ConfigError, match="leaves its root"):
        source.test_connection()
    if pattern.startswith("."):
        with pytest.raises(ConfigError, match="leaves its root"):
            ids(FileSource("drop", f"{folder}/*/{pattern}"))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_are_followed_inside_of_the_root_only(
    what: str, folder: Path, tmp_path: Path
) -> None:
    outside = put(tmp_path / "outside/secret.csv", ["secret"])
    link = folder / ("link.csv" if what == "file" else "link")
    link.symlink_to(outside if what == "file" else outside.parent)
    pattern = f"{folder}/*.csv" if what == "file" else f"{folder}/*/*.csv"
    with pytest.raises(ConfigError, match="leads out of"):
        ids(FileSource("drop", pattern))
    assert ids(FileSource("drop", pattern, follow_symlinks=True)) == ["secret"]
    assert (
        ids(FileSource("drop", f"{folder}/**", allow_empty=True)) == []
        if what == "folder"
        else True
    )


@pytest.mark.timeout(20)
@pytest.mark.parametrize("by", ["link", "parent", "fifo"])
@pytest.mark.parametrize("follow", [False, True])
def test_what_takes_a_files_place_once_it_was_listed_is_not_read(
    by: str, folder: Path, tmp_path: Path, *, follow: bool
) -> None:
    """Also where the link was there when the file was looked at: it was inside, then it leads out."""
    listed = put(folder / "below" / "a.csv", ["good"])
    outside = put(tmp_path / "outside" / "a.csv", ["secret"])
    place = LocalFiles(str(folder), follow=follow)
    (found,) = place.files("below/*.csv")
    if by == "parent":
        listed.parent.rename(folder / "gone")
        (folder / "below").symlink_to(outside.parent)
    else:
        listed.unlink()
        os.mkfifo(listed) if by == "fifo" else listed.symlink_to(outside)
    if by != "fifo":  # whoever wins the race against the look at the file, too
        found = replace(found, identity=_identity(outside.stat()))
    if follow and by != "fifo":
        with place.open(found) as file:
            assert b"secret" in file.read()
        return
    with pytest.raises(
        StreamReadError, match=r"below/a\.csv: has (been replaced|changed) before or"
    ):
        place.open(found)


def test_a_file_that_is_there_twice_is_read_once(folder: Path) -> None:
    put(folder / "b.csv", [1])
    (folder / "a.csv").symlink_to("b.csv")
    os.link(folder / "b.csv", folder / "c.csv")
    (folder / "loop").symlink_to(".")
    assert ids(FileSource("drop", f"{folder}/**/*.csv", with_origin=True)) == ["1"]
    (folder / "d.csv").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"d\.csv: a link that leads nowhere"):
        ids(FileSource("drop", f"{folder}/*.csv"))


def test_what_is_no_file_is_left_alone(folder: Path) -> None:
    put(folder / "a.csv", [1])
    (folder / "b.csv").mkdir()
    os.mkfifo(folder / "c.csv")
    assert ids(FileSource("drop", f"{folder}/*.csv")) == ["1"]


def test_two_files_of_one_stream_name_are_an_error(folder: Path) -> None:
    put(folder / "a.csv", [1])
    put(folder / "a.tsv", [1])
    with pytest.raises(ConfigError, match=r"'a\.csv' and 'a\.tsv' would both be the stream 'a'"):
        FileSource("drop", f"{folder}/*", streams="file").discover()


def test_where_rows_come_from(folder: Path) -> None:
    (folder / "a.csv").write_text('id\n"1\n"\n2\n')
    source = FileSource("drop", f"{folder}/*.csv", with_origin=True)
    (batch,) = batches(source)
    assert batch.to_arrow(stream_of(source)).to_pydict() == {
        "id": ["1\n", "2"],
        "_file": ["a.csv", "a.csv"],
        "_line": [2, 4],
    }
    (folder / "a.csv").write_text("id,_file\n1,2\n")
    with pytest.raises(DataError, match="has a column '_file' of its own"):
        ids(source)


# Elsewhere


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    if system.exists("/bucket"):
        system.rm("/bucket", recursive=True)


def test_urls_are_read_as_folders_are(memory: Any, warehouse: DuckDBDestination) -> None:
    memory.pipe_file("/bucket/in/a.csv", b"id\n1\n")
    memory.pipe_file("/bucket/in/sub/b.csv", b"id\n2\n")
    parquet_file = pa.BufferOutputStream()
    parquet.write_table(pa.table({"id": ["3"]}), parquet_file)
    memory.pipe_file("/bucket/in/c.parquet", parquet_file.getvalue().to_pybytes())
    assert ids(FileSource("drop", "memory://bucket/in/*.csv")) == ["1"]
    assert ids(FileSource("drop", "memory://bucket/in/a.csv")) == ["1"]
    assert ids(FileSource("drop", "memory://bucket", streams={"x": "in/**/*.csv"})) == ["1", "2"]
    source = FileSource("drop", "memory://bucket/in/**", incremental="modified")
    load(source, warehouse)
    assert load(source, warehouse).records_loaded == 0
    memory.pipe_file("/bucket/in/d.csv", b"id\n4\n")
    load(source, warehouse)
    assert loaded(source, warehouse) == ["1", "2", "3", "4"]
    with pytest.raises(SourceError, match="no file matches"):
        FileSource("drop", "memory://bucket/none/*.csv").test_connection()


def test_a_file_url_is_a_path(folder: Path) -> None:
    put(folder / "a.csv", [1])
    assert ids(FileSource("drop", f"file://{folder}/*.csv")) == ["1"]


def test_a_url_whose_file_changes_while_it_is_read_is_an_error(memory: Any) -> None:
    memory.pipe_file("/bucket/a.csv", b"id\n" + b"1\n" * 10)
    read = batches(FileSource("drop", "memory://bucket/*.csv", batch_rows=2))
    next(read)
    memory.pipe_file("/bucket/a.csv", b"id\n1\n")
    with pytest.raises(StreamReadError, match="has changed while it was read"):
        list(read)


def test_a_listed_name_outside_of_the_root_is_an_error(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = RemoteFiles("memory://bucket", {})
    for name in ("/bucket/../secret.csv", "/other/secret.csv"):
        monkeypatch.setattr(type(memory), "find", lambda *_, name=name, **__: {name: {"size": 1}})
        with pytest.raises(SourceError, match="not under the root"):
            place.files("**")


def test_an_unknown_kind_of_url_is_an_error() -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        ids(FileSource("drop", "nosuch://x/*.csv"))


def test_a_file_that_tells_no_time_is_read_by_name(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(memory), "find", lambda *_, **__: {"/bucket/a.csv": {"size": 1}})
    with pytest.raises(SourceError, match=r"nothing tells when 'a\.csv' was modified"):
        ids(FileSource("drop", "memory://bucket/*.csv", incremental="modified"))


def test_a_time_is_told_in_nanoseconds(folder: Path) -> None:
    path = put(folder / "a.csv", [1])
    os.utime(path, ns=(START + 1, START + 1))
    *_, last = batches(FileSource("drop", f"{folder}/*.csv", incremental="modified"))
    assert last.bookmark["modified"] == "2026-01-01T00:00:00.000000001Z"
    assert datetime.fromtimestamp(START // SECOND, UTC).year == 2026

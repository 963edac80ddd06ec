"""Hints about files, each followed by the option that it names."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import fsspec
import openpyxl
import pyarrow as pa
import pyarrow.orc as pa_orc
import pyarrow.parquet as pq
import pytest

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.sync import sync
from tests.hints.following import hint_of
from tests.sources.drops import batches as batches_of
from tests.sources.drops import load, loaded, put, stream_of

Rows = list[tuple[Any, ...]]


def rows_of(path: Path | str, **options: Any) -> Rows:
    """Read files to their end, and give their rows."""
    source = FileSource("drop", str(path), **options)
    tables = [batch.to_arrow(stream_of(source)) for batch in batches_of(source)]
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


def text(name: str, content: str, encoding: str = "utf-8") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode(encoding))
        return path

    return write


def packed(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        with gzip.open(path, "wb") as file:
            file.write(content)
        return path

    return write


def parquet(**columns: list[Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        pq.write_table(pa.table(columns), folder / "a.parquet")  # type: ignore[no-untyped-call, unused-ignore]
        return folder / "a.parquet"

    return write


def avro(**columns: list[Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        kinds = {
            "name": "r",
            "type": "record",
            "fields": [{"name": name, "type": "string"} for name in columns],
        }
        with (folder / "a.avro").open("wb") as file:
            fastavro.writer(file, kinds, pa.table(columns).to_pylist(), codec="deflate")
        return folder / "a.avro"

    return write


def orc(**columns: list[Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        pa_orc.write_table(pa.table(columns), folder / "a.orc", compression="zlib")
        return folder / "a.orc"

    return write


def arrow(**columns: list[Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        table = pa.table(columns)
        with pa.ipc.new_file(
            folder / "a.arrow", table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
        ) as to:
            to.write_table(table)
        return folder / "a.arrow"

    return write


def sheet(*rows: tuple[Any, ...]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        book = openpyxl.Workbook()
        assert book.active is not None
        for row in rows:
            book.active.append(row)
        book.save(folder / "a.xlsx")
        return folder / "a.xlsx"

    return write


LONG = "x" * 3000
ALIKE: Rows = [("x" * 1000,)] * 100
FOLLOWED: dict[str, tuple[Callable[[Path], Path], dict[str, Any], str, dict[str, Any], Rows]] = {
    # what it is: the file, the options so far, words of the hint, what they say to do, what is read
    # then
    "a format": (text("a.dat", "id\n1\n"), {}, "format=", {"format": "csv"}, [("1",)]),
    "an encoding": (
        text("a.csv", "id\nMüller\n", "cp1252"),
        {},
        "encoding=",
        {"encoding": "cp1252"},
        [("Müller",)],
    ),
    "a long row": (
        text("a.csv", f"id\n{LONG}\n"),
        {"max_row_bytes": 100},
        "max_row_bytes",
        {"max_row_bytes": 9999},
        [(LONG,)],
    ),
    "a long row of JSON": (
        text("a.jsonl", f'{{"id": "{LONG}"}}\n'),
        {"max_row_bytes": 100},
        "max_row_bytes",
        {"max_row_bytes": 9999},
        [(LONG,)],
    ),
    "a long row of Parquet": (
        parquet(id=[LONG]),
        {"max_row_bytes": 100},
        "max_row_bytes",
        {"max_row_bytes": 99_999},
        [(LONG,)],
    ),
    "a large file": (
        packed("a.csv.gz", b"id\n" + b"1\n" * 3000),
        {"max_file_bytes": 2000, "max_ratio": 10**6},
        "max_file_bytes",
        {"max_file_bytes": 9999},
        [("1",)] * 3000,
    ),
    "a large sheet": (
        sheet(("id",), ("1",)),
        {"max_file_bytes": 2000},
        "max_file_bytes",
        {"max_file_bytes": 10**6},
        [("1",)],
    ),
    "a ratio": (
        packed("a.csv.gz", b"id\n" + b"1\n" * 9999),
        {"max_ratio": 2},
        "max_ratio",
        {"max_ratio": 10_000},
        [("1",)] * 9999,
    ),
    "a Parquet file's ratio": (
        parquet(id=["x" * 1000] * 100),
        {"max_ratio": 1},
        "max_ratio",
        {"max_ratio": 10_000},
        [("x" * 1000,)] * 100,
    ),
    **{
        f"{option} of {make.__name__}": (
            make(id=["x" * 1000] * 100),
            {option: low},
            option,
            {option: high},
            ALIKE,
        )
        for make in (avro, orc, arrow)
        for option, low, high in (("max_ratio", 1, 10_000), ("max_file_bytes", 2000, 10**6))
    },
    "a sheet's ratio": (
        sheet(("id",), *[("x" * 1000,)] * 100),
        {"max_ratio": 1},
        "max_ratio",
        {"max_ratio": 10_000},
        [("x" * 1000,)] * 100,
    ),
    "a column called as the origin": (
        text("a.csv", "_file\nx\n"),
        {"with_origin": True},
        "with_origin",
        {"with_origin": False},
        [("x",)],
    ),
    "a Parquet column called so": (
        parquet(_file=["x"]),
        {"with_origin": True},
        "with_origin",
        {"with_origin": False},
        [("x",)],
    ),
    "a sheet's column called so": (
        sheet(("_file",), ("x",)),
        {"with_origin": True},
        "with_origin",
        {"with_origin": False},
        [("x",)],
    ),
    "a header of ours that names a column twice": (
        text("a.csv", "1,2\n"),
        {"header": ["a", "a"]},
        "header=",
        {"header": ["a", "b"]},
        [("1", "2")],
    ),
    "a header of ours that is too short": (
        text("a.csv", "1,2\n"),
        {"header": ["a"]},
        "header=",
        {"header": ["a", "b"]},
        [("1", "2")],
    ),
    "an array inside of a document": (
        text("a.json", '{"n": 1, "rows": [{"id": 2}]}'),
        {"record_path": "n"},
        "record_path",
        {"record_path": "rows"},
        [(2,)],
    ),
    "a document of one long record": (
        text("a.json", '{"rows": [' + ",".join(['{"id": 1}'] * 100) + "]}"),
        {"max_row_bytes": 100},
        "record_path",
        {"record_path": "rows"},
        [(1,)] * 100,
    ),
    "a document that is empty": (text("a.json", ""), {}, 'format="jsonl"', {"format": "jsonl"}, []),
    "columns by width": (
        text("a.txt", "1    Ada                 \n"),
        {"format": "fixed_width"},
        'columns={"id": [0, 5], "name": [5, 25]}',
        {"columns": {"id": [0, 5], "name": [5, 25]}},
        [("1", "Ada")],
    ),
    "columns by width, in another form": (
        text("a.txt", "1    Ada                 \n"),
        {"format": "fixed_width", "columns": {"id": "5"}},
        '{"id": 5, "name": 20}',
        {"columns": {"id": 5, "name": 20}},
        [("1", "Ada")],
    ),
    "values beside a table": (
        sheet(("id", None), ("1", None), (None, "total")),
        {},
        "cells=",
        {"cells": "A1:A2"},
        [("1",)],
    ),
    "a footer": (
        sheet(("id", None), ("1", None), (None, "total")),
        {},
        "skip_footer",
        {"skip_footer": 1},
        [("1",)],
    ),
    "no file": (lambda folder: folder / "*.csv", {}, "allow_empty=True", {"allow_empty": True}, []),
}


@pytest.mark.parametrize("case", FOLLOWED)
def test_the_option_that_a_hint_names_helps(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = (
        "content",
        "sheets.package",
        "typed.arrow",
        "typed.avro",
        "typed.orc",
        "typed.parquet",
    )
    for module in places:  # so that small files show it
        monkeypatch.setattr(f"etl_assets.sources.files.{module}.RATIO_COUNTS_FROM", 1000)
    write, options, words, then, rows = FOLLOWED[case]
    path = write(tmp_path)
    hint_of(lambda: rows_of(path, **options), words)
    assert rows_of(path, **{**options, **then}) == rows


def test_a_link_is_followed_where_that_is_allowed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "a.csv", [1])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").symlink_to(tmp_path / "elsewhere" / "a.csv")
    pattern = tmp_path / "data" / "*.csv"
    hint_of(lambda: rows_of(pattern), "follow_symlinks=True")
    assert rows_of(pattern, follow_symlinks=True) == [("1",)]


def test_the_examples_of_a_path_and_of_streams_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "data" / "a.csv", [1])
    hint_of(lambda: FileSource("shop", None), 'FileSource("shop", "data/*.csv")')
    taken = [FileSource("shop", "data/*.csv")]
    hint_of(
        lambda: FileSource("shop", "data", streams=["a"]),  # type: ignore[arg-type]
        'Use "file", or a mapping of names to globs',
    )
    taken += [
        FileSource("shop", "data/*", streams="file"),
        FileSource("shop", "data", streams={"a": "*.csv"}),
    ]
    hint_of(lambda: FileSource("shop", "data", streams={"a": {}}), "as a glob")
    taken.append(FileSource("shop", "data", streams={"a": {"path": "*.csv"}}))
    for source in taken:
        assert [batch.to_arrow(stream_of(source)).to_pylist() for batch in batches_of(source)] == [
            [{"id": "1"}]
        ]


def test_files_of_one_name_are_told_apart_by_streams(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", [1])
    (tmp_path / "a.jsonl").write_text('{"id": 2}\n')
    hint_of(lambda: FileSource("drop", f"{tmp_path}/*", streams="file").discover(), "streams={...}")
    source = FileSource("drop", str(tmp_path), streams={"one": "a.csv", "two": "a.jsonl"})
    assert [one.name for one in source.discover().streams] == ["one", "two"]


def test_files_that_tell_no_time_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/hints/a.csv", b"id\n1\n")
    monkeypatch.setattr(type(memory), "find", lambda *_, **__: {"/hints/a.csv": {"size": 5}})
    hint_of(
        lambda: rows_of("memory://hints/*.csv", incremental="modified"), 'Use incremental="name"'
    )
    assert rows_of("memory://hints/*.csv", incremental="name") == [("1",)]


def test_parts_of_a_path_that_lead_up(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", [1])
    (tmp_path / "b" / "c").mkdir(parents=True)
    hint_of(lambda: rows_of(f"{tmp_path}/b/*/../../a.csv"), "Write '..' before the first wildcard.")
    assert rows_of(f"{tmp_path}/b/../*.csv") == [("1",)]
    below = FileSource("drop", str(tmp_path / "b"), streams={"a": "../a.csv"})
    hint_of(below.discover, "Name files under `path`")
    assert [
        one.name
        for one in FileSource("drop", str(tmp_path), streams={"a": "a.csv"}).discover().streams
    ] == ["a"]


def test_options_of_another_form_show_one_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\nx\n", encoding="latin-1")
    path = str(tmp_path / "a.csv")
    hint_of(lambda: FileSource("drop", path, encoding="none-such"), "utf-8", "latin-1")
    assert rows_of(path, encoding="utf-8") == rows_of(path, encoding="latin-1") == [("x",)]
    hint_of(lambda: FileSource("drop", path, delimiter=";;"), "one character")
    assert rows_of(path, delimiter=";") == [("x",)]
    hint_of(lambda: FileSource("drop", path, batch_rows=0), "at least 1")
    assert rows_of(path, batch_rows=1) == [("x",)]


class TestAnIncrementalSource:
    """Hints of files that are read by what is new."""

    @pytest.fixture
    def warehouse(self, tmp_path: Path) -> DuckDBDestination:
        return DuckDBDestination(str(tmp_path / "w.duckdb"))

    def source(self, tmp_path: Path, **options: Any) -> FileSource:
        return FileSource("drop", f"{tmp_path}/*.csv", **options)

    @pytest.mark.parametrize(
        ("then", "ids"),
        [
            ({"on_changed": "read"}, ["1", "1", "2"]),
            ({"on_changed": "ignore"}, ["1"]),
        ],
    )
    def test_a_file_that_has_changed(
        self, then: dict[str, Any], ids: list[str], tmp_path: Path, warehouse: DuckDBDestination
    ) -> None:
        put(tmp_path / "a.csv", [1], at=1)
        load(self.source(tmp_path, incremental="modified"), warehouse)
        put(tmp_path / "a.csv", [1, 2], at=2)
        hint = hint_of(
            lambda: load(self.source(tmp_path, incremental="modified"), warehouse),
            "on_changed='read'",
        )
        assert repr(then["on_changed"]) in hint
        load(self.source(tmp_path, incremental="modified", **then), warehouse)
        assert loaded(self.source(tmp_path), warehouse) == ids

    @pytest.mark.parametrize("by", ["modified", "name"])
    def test_a_stream_that_is_incremental(
        self, by: str, tmp_path: Path, warehouse: DuckDBDestination
    ) -> None:
        put(tmp_path / "a.csv", [1])
        stream = stream_of(self.source(tmp_path, incremental="name"))
        plain = StreamRead(self.source(tmp_path), stream)
        hint = hint_of(lambda: sync(plain, warehouse), "incremental=")
        assert f'"{by}"' in hint
        assert (
            sync(
                StreamRead(self.source(tmp_path, incremental=by), stream), warehouse
            ).records_loaded
            == 1
        )

    def test_a_stream_with_a_replication_key(
        self, tmp_path: Path, warehouse: DuckDBDestination
    ) -> None:
        put(tmp_path / "a.csv", [1])
        source = self.source(tmp_path, incremental="name")
        keyed = stream_of(source).replace(replication_key="id")
        hint_of(
            lambda: sync(StreamRead(source, keyed), warehouse),
            "Leave the replication key out",
            "incremental=",
        )
        for read in (
            StreamRead(source, stream_of(source)),
            StreamRead(self.source(tmp_path), keyed),
        ):
            assert (
                sync(
                    read, DuckDBDestination(str(tmp_path / f"{read.stream.replication_key}.duckdb"))
                ).records_read
                == 1
            )

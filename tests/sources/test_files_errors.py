"""What bad files, wrong options and missing folders say."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBDestination, FileSource
from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    DataError,
    EtlAssetsError,
    SourceError,
)
from etl_assets.model.stream import Stream
from etl_assets.sources.files.options import OPTIONS
from tests.sources.drops import ids, load, loaded, put, stream_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(tmp_path / "warehouse.duckdb"))


# What bad files say

BAD: list[tuple[str, bytes, str]] = [
    ("a.csv", b"id,x\n1,2\n3\n", r"a\.csv, line 3: 1 cells, where the header has 2"),
    ("a.csv", b"id,x\n1,2\n3,4,5\n", r"a\.csv, line 3: 3 cells, where the header has 2"),
    ("a.csv", b'id,x\n1,"2\n3,4\n', r"a\.csv, line 2: a quote that is opened here"),
    ("a.csv", b'id,x\n1,"2"3\n', r"a\.csv, line 2: "),
    ("a.csv", b"id,id\n1,2\n", r"a\.csv, line 1: two columns are called 'id'"),
    ("a.csv", b"id,x\n1,2\n\n3,4\n", r"a\.csv, line 3: an empty line between rows"),
    ("a.csv", b"id,x\n1,\0\n", r"a\.csv, line 2: holds a NUL byte"),
    ("a.csv", b"id,x\n1,2\n3,\xe9\n", r"a\.csv, line 3: is not in the encoding utf-8: .*0xe9"),
    (
        "a.csv",
        b"id\n" + b"1\n" * 20_000 + b"\xff\n",
        r"a\.csv, line 20002: is not in the encoding utf-8",
    ),
    (
        "a.csv",
        "id\n1\n".encode("utf-16-le"),
        r"a\.csv, line 1: holds a NUL byte.*encoding='utf-16-le'",
    ),
    ("a.csv", b"", r"a\.csv, line 1: has no header"),
    ("a.jsonl", b'{"id":1}\n{"id":2,}\n', r"a\.jsonl, line 2: not JSON"),
    ("a.jsonl", b'{"id":1}\n{"id":', r"a\.jsonl, line 2: not JSON: .*was the file cut"),
    ("a.jsonl", b'{"id":1}\n[1]\n', r"a\.jsonl, line 2: a list, where"),
    (
        "a.jsonl",
        b'{"id":1,"id":2}\n',
        r"field 'id': a\.jsonl, line 1: the key comes twice .* Value: 1, then 2\.",
    ),
    (
        "a.jsonl",
        b'{"id":{"x":1,"x" :null}}\n',
        r"field 'id\.x': a\.jsonl, line 1: the key comes twice .* Value: 1, then None\.",
    ),
    (
        "a.jsonl",
        b'{"id":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        r"a\.jsonl, line 1: JSON nested too deep",
    ),
    ("a.jsonl", b'{"id":' + b"9" * 5000 + b"}\n", r"a\.jsonl, line 1: "),
    ("a.jsonl", b'{"id":"\\ud800"}\n', r"a\.jsonl, line 1: .*surrogate"),
    ("a.parquet", b"PAR1 no", r"a\.parquet: is no whole Parquet file"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
@pytest.mark.parametrize("incremental", [None, "modified"])
def test_a_bad_file_names_file_and_line_and_nothing_is_loaded(
    name: str,
    content: bytes,
    message: str,
    incremental: str | None,
    folder: Path,
    warehouse: DuckDBDestination,
) -> None:
    (folder / name).write_bytes(content)
    source = FileSource("drop", f"{folder}/*", incremental=incremental, batch_rows=1)
    with pytest.raises(EtlAssetsError, match=rf"stream 'drop'.*{message}"):
        load(source, warehouse, checkpoint_seconds=0)
    assert warehouse.stored("drop", stream_of(source)).state is None


def test_a_title_is_not_taken_for_the_names_of_columns(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "Sales of January,,,\nMade on 1 February,,,\nid,name,day,amount\n1,Ada,3,4\n"
    )
    with pytest.raises(
        DataError, match=r"(?s)two columns are called ''.*a title.*skip_rows.*header=\['Sales"
    ):
        ids(FileSource("drop", f"{folder}/*.csv"))
    assert ids(FileSource("drop", f"{folder}/*.csv", skip_rows=2)) == ["1"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_table_of_one_column_by_the_wrong_delimiter_is_told(
    delimiter: str, folder: Path, warehouse: DuckDBDestination
) -> None:
    (folder / "a.csv").write_text(f"id{delimiter}name\n1{delimiter}Ada\n")
    result = load(FileSource("drop", f"{folder}/*.csv"), warehouse)
    assert f"say delimiter={delimiter!r}" in "".join(result.remarks)
    said = load(FileSource("said", f"{folder}/*.csv", delimiter=delimiter), warehouse)
    assert not said.remarks
    (folder / "a.csv").write_text("id\n1;2\n")
    assert not load(FileSource("one", f"{folder}/*.csv"), warehouse).remarks


def test_an_option_that_resembles_none_is_told_all_there_are() -> None:
    with pytest.raises(ConfigError) as error:
        FileSource("drop", "a.csv", separator=";")
    assert all(repr(option) in str(error.value) for option in OPTIONS)


def test_an_ending_that_says_nothing_needs_a_format(folder: Path) -> None:
    put(folder / "a.dat", [1])
    with pytest.raises(ConfigError, match=r"the ending of 'a\.dat' tells no format"):
        ids(FileSource("drop", f"{folder}/*"))
    assert ids(FileSource("drop", f"{folder}/*", format="csv")) == ["1"]


@pytest.mark.parametrize(
    "options",
    [
        {"format": "xml"},
        {"delimeter": ";"},
        {"delimiter": ";;"},
        {"encoding": "utf-7b"},
        {"incremental": "size"},
        {"batch_rows": 0},
        {"null_values": "NA"},
        {"streams": "files"},
        {"streams": [Stream("x")]},
        {"streams": {"x": {"pth": "a"}}},
        {"streams": {"x": {"path": "a", "sheets": 1}}},
        {"path": None},
    ],
)
def test_a_wrong_option_is_an_error_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FileSource("drop", **{"path": "data/*.csv", **options})


def test_every_option_stands_in_the_documentation() -> None:
    text = (ROOT / "docs/files.md").read_text(encoding="utf-8")
    assert [
        name for name in (*OPTIONS, "storage_options", "follow_symlinks") if name not in text
    ] == []


# The connection


def test_the_test_of_the_connection_says_what_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="There is no folder"):
        FileSource("drop", f"{folder}/none/*.csv").test_connection()
    source = FileSource("drop", f"{folder}/*.csv")
    with pytest.raises(SourceError, match="stream 'drop': no file matches"):
        source.test_connection()
    path = put(folder / "a.csv", [1])
    source.test_connection()
    path.chmod(0)
    if not os.access(path, os.R_OK):  # not for the superuser, who may read everything
        with pytest.raises(AuthenticationError, match=r"a\.csv: no permission"):
            source.test_connection()
    path.chmod(stat.S_IRUSR)

    really = os.open

    def refuse(name: Any, *arguments: Any, **options: Any) -> int:
        if str(name).endswith("a.csv"):
            raise PermissionError(13, "Permission denied")
        return really(name, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AuthenticationError, match=r"a\.csv: no permission"):
        source.test_connection()


def test_no_file_never_empties_a_full_table(folder: Path, warehouse: DuckDBDestination) -> None:
    path = put(folder / "a.csv", [1])
    source = FileSource("drop", f"{folder}/*.csv")
    load(source, warehouse)
    path.unlink()
    with pytest.raises(SourceError, match="no file matches"):
        load(source, warehouse)
    assert loaded(source, warehouse) == ["1"]
    load(FileSource("drop", f"{folder}/*.csv", allow_empty=True), warehouse)
    assert loaded(source, warehouse) == []


def test_a_full_table_is_replaced(folder: Path, warehouse: DuckDBDestination) -> None:
    source = FileSource("drop", f"{folder}/*.csv")
    for name in ("a.csv", "b.csv"):
        put(folder / name, [name])
        load(source, warehouse)
    assert loaded(source, warehouse) == ["a.csv", "b.csv"]

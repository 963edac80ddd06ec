"""The rows of small files are joined into batches: no row, line, bookmark or error is another one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from etl_assets import FileSource
from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream
from etl_assets.sources.files import batches as file_batches


def batches_of(source: FileSource, stream: Stream | None = None) -> tuple[list[Batch], str | None]:
    """Return the batches of a source with one stream, and the error that ended them."""
    found: list[Batch] = []
    try:
        for batch in source.load_data(stream or source.discover().streams[0]):
            found.append(batch)  # noqa: PERF402 - what came before an error counts
    except EtlAssetsError as error:
        return found, str(error)
    return found, None


def rows_of(batches: Sequence[Batch], source: FileSource) -> list[dict[str, Any]]:
    stream = source.discover().streams[0]
    return [row for batch in batches if len(batch) for row in batch.to_arrow(stream).to_pylist()]


def write(folder: Path, name: str, columns: dict[str, Any]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)


def test_small_parquet_files_are_joined_up_to_the_size_of_a_batch(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path, f"{number:02}.parquet", {"n": [number * 10, number * 10 + 1]})
    source = FileSource("shop", f"{tmp_path}/*.parquet", batch_rows=12)
    found, error = batches_of(source)
    assert error is None
    assert [len(batch) for batch in found] == [12, 12, 12, 4]
    numbers = [row["n"] for row in rows_of(found, source)]
    assert numbers == [n * 10 + m for n in range(20) for m in range(2)]


def test_files_of_another_schema_are_in_a_batch_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "1.parquet", {"n": [1]})
    write(tmp_path, "2.parquet", {"n": [2]})
    write(tmp_path, "3.parquet", {"n": ["x"]})
    write(tmp_path, "4.parquet", {"n": pa.array([4], pa.int32())})
    found, error = batches_of(FileSource("shop", f"{tmp_path}/*.parquet"))
    assert error is None
    assert [len(batch) for batch in found] == [2, 1, 1]


def test_the_bookmark_of_joined_files_comes_behind_their_rows(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path, f"{number}.parquet", {"n": [number]})
    source = FileSource("shop", f"{tmp_path}/*.parquet", incremental="name", batch_rows=4)
    found, _ = batches_of(source)
    told = [(len(batch), batch.bookmark) for batch in found]
    assert told == [
        (4, None),
        (0, {"name": "3.parquet"}),
        (1, None),
        (0, {"name": "4.parquet"}),
    ]


def test_the_files_before_one_that_fails_are_covered_and_none_of_its_rows(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, f"{number}.parquet", {"n": [number]})
    source = FileSource("shop", f"{tmp_path}/*.parquet", incremental="name")
    stream = source.discover().streams[0]
    (tmp_path / "3.parquet").write_bytes(b"PAR1 is none")
    found, error = batches_of(source, stream)
    assert error is not None
    assert "3.parquet" in error
    assert [(len(batch), batch.bookmark) for batch in found] == [
        (3, None),
        (0, {"name": "2.parquet"}),
    ]


def test_a_file_that_fails_late_leaves_no_rows_before_a_bookmark(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("n\n1\n")
    (tmp_path / "2.csv").write_text("n\n" + "2\n" * 9 + "2,2\n")
    source = FileSource("shop", f"{tmp_path}/*.csv", incremental="name", batch_rows=3)
    found, error = batches_of(source)
    assert error is not None
    bookmark = next(at for at, batch in enumerate(found) if batch.bookmark)
    assert found[bookmark].bookmark == {"name": "1.csv"}
    assert [row["n"] for row in rows_of(found[:bookmark], source)] == ["1"]
    assert not any(batch.bookmark for batch in found[bookmark + 1 :])


def test_a_value_that_is_refused_names_its_file_and_row(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, f"{number}.parquet", {"t": pa.array([b"a", b"b"]).cast(pa.string())})
    bad = pa.StringArray.from_buffers(
        2, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"x\xff")
    )
    write(tmp_path, "2.parquet", {"t": bad})
    found, error = batches_of(FileSource("shop", f"{tmp_path}/*.parquet"))
    assert error is None
    refused = [(at, str(one[0].message)) for batch in found for at, one in batch.refused.items()]
    assert len(refused) == 1
    assert refused[0][0] == 1
    assert "2.parquet, line 2" in refused[0][1]


FILES = st.lists(
    st.tuples(
        st.sampled_from(["parquet", "csv", "jsonl"]),
        st.sampled_from(["", "k=1/", "k=2/", "k=x/"]),
        st.lists(st.sampled_from([1, 2**62, None, "x", 0.5]), max_size=4),
    ),
    max_size=6,
)


@given(files=FILES, rows=st.sampled_from([1, 2, 4, 50_000]), origin=st.booleans())
@settings(max_examples=60, deadline=None)
def test_joined_files_have_the_rows_of_files_read_one_by_one(
    files: list[tuple[str, str, list[Any]]],
    rows: int,
    origin: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("files")
    for number, (format_, below, values) in enumerate(files):
        _write_values(folder / below, f"{number}.{format_}", format_, values)

    def source() -> FileSource:
        return FileSource(
            "shop", f"{folder}/**/*.*", with_origin=origin, batch_rows=rows, allow_empty=True
        )

    found, error = batches_of(source())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_batches.FileBatches, "_is_small", lambda *_: False)
        wanted, told = batches_of(source())
    assert error == told
    assert rows_of(found, source()) == rows_of(wanted, source())


def _write_values(folder: Path, name: str, format_: str, values: list[Any]) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    if format_ == "jsonl":
        path.write_text("".join(json.dumps({"n": value}) + "\n" for value in values))
    elif format_ == "csv":
        path.write_text("".join(["n\n", *(f'"{value}"\n' for value in values)]))
    elif len({type(value) for value in values if value is not None}) < 2:
        parquet.write_table(pa.table({"n": values}), path)

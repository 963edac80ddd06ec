"""Columns that the names of folders tell."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.exceptions import ConfigError, DataError
from etl_assets.sync import sync
from tests.sources.test_files_values import stream_of, typed


def put(path: Path, **columns: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)


def loaded(source: FileSource, folder: Path) -> tuple[list[tuple[str, str]], list[tuple[Any, ...]]]:
    """Load the stream into DuckDB; give its columns with their types, and its rows, as DuckDB tells them."""
    database = str(folder / "w.duckdb")
    Path(database).unlink(missing_ok=True)
    sync(StreamRead(source, stream_of(source)), DuckDBDestination(database))
    with duckdb.connect(database, read_only=True) as connection:
        columns = "* EXCLUDE (_etl_assets_load_id, _etl_assets_loaded_at)"
        found = connection.execute(f"SELECT {columns} FROM shop.shop ORDER BY v")
        return [(one[0], str(one[1])) for one in found.description or []], found.fetchall()


def test_folders_tell_columns(tmp_path: Path) -> None:
    put(tmp_path / "day=2020-01-01/region=eu/p.parquet", v=[1])
    put(tmp_path / "day=2020-01-02/region=us/p.parquet", v=[2])
    columns, rows = loaded(FileSource("shop", f"{tmp_path}/**/*.parquet"), tmp_path)
    assert columns == [("v", "BIGINT"), ("day", "VARCHAR"), ("region", "VARCHAR")]
    assert rows == [(1, "2020-01-01", "eu"), (2, "2020-01-02", "us")]
    types = {"day": "date", "region": {"type": ["null", "string"]}}
    columns, rows = loaded(
        FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions=types), tmp_path
    )
    assert columns == [("v", "BIGINT"), ("day", "DATE"), ("region", "VARCHAR")]
    assert rows == [(1, date(2020, 1, 1), "eu"), (2, date(2020, 1, 2), "us")]
    assert loaded(FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions=False), tmp_path)[
        1
    ] == [(1,), (2,)]


def test_what_another_program_has_written_comes_back(tmp_path: Path) -> None:
    """Names and values that a folder cannot have are percent-encoded; NULL has a folder of its own."""
    values = ["a/b", "50%", "ü=x", "", None, "a b", "..", "2026-01-01 00:00:00"]
    values.remove("")  # no folder is called so by this writer
    table = pa.table({"k": values, "v": list(range(len(values)))})
    dataset.write_dataset(
        table,
        tmp_path / "d",
        format="parquet",
        partitioning=dataset.partitioning(pa.schema([("k", pa.string())]), flavor="hive"),
    )
    assert loaded(FileSource("shop", f"{tmp_path}/d/**/*.parquet"), tmp_path)[1] == list(
        zip(range(len(values)), values, strict=True)
    )


def test_folders_of_the_path_itself_count_and_the_files_name_does_not(tmp_path: Path) -> None:
    put(tmp_path / "year=2026/month=01/a=b.parquet", v=[1])
    source = FileSource("shop", f"{tmp_path}/year=2026/month=01/*.parquet", schema=None)
    columns, rows = loaded(source, tmp_path)
    assert ([name for name, _ in columns], rows) == (["v", "year", "month"], [(1, "2026", "01")])
    declared = typed(v={"type": "integer"}, year={"type": ["null", "integer"]})
    columns, _ = loaded(
        FileSource("shop", f"{tmp_path}/year=2026/**/*.parquet", schema=declared), tmp_path
    )
    assert columns == [("v", "BIGINT"), ("year", "BIGINT"), ("month", "VARCHAR")]
    stream = source.discover().streams[0]
    assert set((stream.schema or {})["properties"]) == {"v", "year", "month"}


def test_a_column_that_the_file_has_too_is_the_same_or_an_error(tmp_path: Path) -> None:
    put(tmp_path / "year=2026/a.parquet", v=[1, 2], year=[2026, 2026])
    for asked in (True, None):
        source = FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions=asked)
        assert loaded(source, tmp_path)[1] == [(1, 2026), (2, 2026)]
    put(tmp_path / "year=2026/a.parquet", v=[1, 2], year=[2026, 2025])
    with pytest.raises(
        DataError, match=r"field 'year'.*tells '2026', and a row has another value. Value: 2025"
    ):
        loaded(FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions=True), tmp_path)
    source = FileSource("shop", f"{tmp_path}/**/*.parquet")
    assert loaded(source, tmp_path)[1] == [(1, 2026), (2, 2025)]
    remarks = [
        batch.remark for batch in StreamRead(source, stream_of(source)).open(None) if batch.remark
    ]
    assert len(remarks) == 1
    assert "the file's are loaded" in remarks[0]
    put(
        tmp_path / "year=__HIVE_DEFAULT_PARTITION__/a.parquet",
        v=[3],
        year=pa.array([None], pa.int64()),
    )
    (tmp_path / "year=2026/a.parquet").unlink()
    assert loaded(FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions=True), tmp_path)[
        1
    ] == [(3, None)]


def test_what_a_folder_cannot_be_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "year=soon/a.parquet", v=[1])
    with pytest.raises(DataError, match=r"field 'year'.*not an integer. Value: 'soon'"):
        loaded(
            FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions={"year": "integer"}),
            tmp_path,
        )
    with pytest.raises(DataError, match="none of its folders tells 'month'"):
        loaded(
            FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions={"month": "integer"}),
            tmp_path,
        )
    with pytest.raises(ConfigError, match="no type 'int7'"):
        loaded(
            FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions={"year": "int7"}),
            tmp_path,
        )
    with pytest.raises(ConfigError, match="hive_partitions is 'yes'"):
        FileSource("shop", "x", hive_partitions="yes")
    put(tmp_path / "b/a=1/a=2/x.parquet", v=[1])
    with pytest.raises(DataError, match="two of its folders tell 'a'"):
        loaded(FileSource("shop", f"{tmp_path}/b/**/*.parquet"), tmp_path)


def test_a_moment_without_a_zone_is_a_folder_s_too(tmp_path: Path) -> None:
    put(tmp_path / "ts=2020-01-01 10%3A30%3A00/a.parquet", v=[1])
    put(tmp_path / "ts=__HIVE_DEFAULT_PARTITION__/a.parquet", v=[2])
    source = FileSource("shop", f"{tmp_path}/**/*.parquet", hive_partitions={"ts": "date-time"})
    columns, rows = loaded(source, tmp_path)
    assert columns == [("v", "BIGINT"), ("ts", "TIMESTAMP")]
    assert rows == [(1, datetime.fromisoformat("2020-01-01 10:30")), (2, None)]


def test_text_files_have_them_too(tmp_path: Path) -> None:
    for name, text in (("k=1/a.csv", "v\n1\n"), ("k=2/a.jsonl", '{"v": "2"}\n')):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    source = FileSource("shop", f"{tmp_path}/**/a.*", with_origin=True)
    assert loaded(source, tmp_path)[1] == [("1", "1", "k=1/a.csv", 2), ("2", "2", "k=2/a.jsonl", 1)]

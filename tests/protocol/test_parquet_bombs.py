"""What a small Parquet file may stand for: each kind of bomb is a named error of a process that is held to a budget."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from etl_assets.exceptions import DataError
from etl_assets.protocol.parquet import files as parquet_files
from etl_assets.protocol.singer.batch_files import tables_of
from etl_assets.sources.files.source import FileSource
from tests.sources.test_files_values import rows_of

MEMORY_BYTES = 3 * 1024**3
LONG = 8 * 1024**2
ROWS = 10_000

READ = """
import json, resource, sys
way, path = sys.argv[1:]
from etl_assets import StreamRead
from etl_assets.exceptions import EtlAssetsError
from etl_assets.sources.files.source import FileSource
from etl_assets.protocol.singer.batch_files import batches_in
import pyarrow.parquet, pandas
try:
    if way == "files":
        source = FileSource("drop", path)
        for _ in StreamRead(source, source.declared_catalog()["drop"]).open(None):
            pass
    else:
        for batch in batches_in(open(path, "rb", buffering=0), {"format": "parquet"}, url=path, stream="shop"):
            pass
    told = None
except EtlAssetsError as error:
    told = str(error)
print(json.dumps({"told": told, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def _text() -> pa.Array:
    return pa.array(["x" * LONG])


def _same(value: Any, type_: pa.DataType) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array([0] * ROWS, pa.int32()), pa.array([value], type_)
    )


def _dictionary(path: Path) -> None:
    parquet.write_table(
        pa.table({"id": range(ROWS), "note": _same("x" * LONG, pa.string())}),
        path,
        compression="zstd",
    )


def _after_small_ones(path: Path) -> None:
    """The first row is NULL, and the long text comes late."""
    some = pa.array([None, *[0] * (ROWS // 2), *[1] * ROWS], pa.int32())
    column = pa.DictionaryArray.from_arrays(some, pa.array(["a", "x" * LONG]))
    parquet.write_table(pa.table({"note": column}), path, compression="zstd", store_schema=False)


def _without_arrows_schema(path: Path) -> None:
    table = pa.table({"note": _same(b"x" * LONG, pa.binary())})
    parquet.write_table(table, path, compression="zstd", store_schema=False)


def _nested(path: Path) -> None:
    lists = pa.ListArray.from_arrays(
        pa.array(range(ROWS + 1), pa.int32()), _same("x" * LONG, pa.string())
    )
    table = pa.table({"note": pa.StructArray.from_arrays([lists], ["l"])})
    parquet.write_table(table, path, compression="zstd", store_schema=False)


def _one_row(path: Path) -> None:
    lists = pa.ListArray.from_arrays(
        pa.array([0, ROWS], pa.int32()), _same("x" * LONG, pa.string())
    )
    parquet.write_table(pa.table({"note": lists}), path, compression="zstd", store_schema=False)


def _many_rows(path: Path, column: pa.Array, count: int, **how: Any) -> None:
    table = pa.table({"note": column})
    with parquet.ParquetWriter(path, table.schema, compression="zstd", **how) as writer:
        writer.write_table(pa.concat_tables([table] * count), row_group_size=len(column) * count)


def _prefixes(path: Path) -> None:
    how: dict[str, Any] = {"use_dictionary": False, "column_encoding": {"note": "DELTA_BYTE_ARRAY"}}
    _many_rows(path, _text(), 200, **how)


def _plain(path: Path) -> None:
    _many_rows(path, _text(), 200, use_dictionary=False)


def _fixed_width(path: Path) -> None:
    column = pa.array([b"x" * LONG], pa.binary(LONG))
    _many_rows(path, column, 200)


def _numbers(path: Path) -> None:
    _many_rows(path, pa.array([7] * 1_000_000), 50)


def _elements(path: Path) -> None:
    _many_rows(path, pa.array([[None] * 50_000_000], pa.list_(pa.int64())), 2)


BOMBS = {
    make.__name__.strip("_"): make
    for make in (
        _dictionary, _after_small_ones, _without_arrows_schema, _nested, _one_row, _prefixes, _plain, _fixed_width,
        _numbers, _elements,
    )
}  # fmt: skip


@pytest.mark.parametrize("way", ["files", "batches"])
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_a_named_error_within_the_budget(kind: str, way: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    BOMBS[kind](path)
    assert path.stat().st_size < 1_300_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    done = subprocess.run(
        [sys.executable, "-c", READ, way, str(path)],
        capture_output=True, text=True, timeout=120, check=False, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1500:]
    told = json.loads(done.stdout)["told"]
    assert told, "it was read"
    for part in ("bomb.parquet", "note", "bytes"):
        assert part in told
    assert "max_" in told or "smaller files" in told or "at most" in told
    assert "alloc" not in told


def _legit(rows: int = 3000) -> pa.Table:
    texts = [None if at % 7 == 0 else "x" * (at % 50) for at in range(rows)]
    arrays = {
        "id": pa.array(range(rows)),
        "text": pa.array(texts),
        "large": pa.array(texts, pa.large_string()),
        "category": pa.array(texts).dictionary_encode(),
        "list": pa.array([[one, "k"] if one else None for one in texts]),
        "struct": pa.array([{"a": one, "b": [{"c": one}]} for one in texts]),
        "pair": pa.array([[one, "k"] for one in texts], pa.list_(pa.string(), 2)),
        "map": pa.array([[("k", one)] for one in texts], pa.map_(pa.string(), pa.string())),
        "fixed": pa.array([b"abcd"] * rows, pa.binary(4)),
        "amount": pa.array(["1.23"] * rows).cast(pa.decimal128(10, 2)),
        "nothing": pa.nulls(rows, pa.string()),
        "long": pa.array(["y" * 200_000 if at % 1000 == 5 else f"{at}" for at in range(rows)]),
    }
    return pa.table(arrays)


@pytest.mark.parametrize("at_once", [parquet_files.AT_ONCE, 3_000_000, 1])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_what_is_none_comes_back_equal(
    at_once: int, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way a row group is read: at once, in a few batches, or as references."""
    monkeypatch.setattr(parquet_files, "AT_ONCE", at_once)
    path = tmp_path / "a.parquet"
    for how in (
        {"row_group_size": 1000},
        {"dictionary_pagesize_limit": 1000},
        {"use_dictionary": False},
    ):
        parquet.write_table(_legit(), path, data_page_version=version, **how)
        with path.open("rb") as file:
            batches = [batch for batch, _ in tables_of(file, "t")]
        wanted = parquet.read_table(path)
        for batch in batches:
            batch.validate(full=True)
            assert batch.schema.equals(wanted.schema)
        assert pa.Table.from_batches(batches).to_pylist() == wanted.to_pylist()


def test_a_higher_ratio_reads_what_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the error says to do works."""
    monkeypatch.setattr("etl_assets.sources.files.typed.parquet.RATIO_COUNTS_FROM", 1000)
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"note": ["x" * 1000] * 5000}), path)
    with pytest.raises(
        DataError, match=r"field 'note'.*a\.parquet.*may be a bomb.*Raise max_ratio"
    ):
        rows_of(FileSource("shop", str(path)))
    assert len(rows_of(FileSource("shop", str(path), max_ratio=10_000))) == 5000

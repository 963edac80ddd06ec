"""Arrow tables as pandas, polars, a DuckDB relation, rows, or a dataset of batches."""

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl_assets.engine.casting import conform
from etl_assets.engine.staging import Staging
from etl_assets.model.json.lines import exact_decoder
from etl_assets.model.schema.types import is_json
from etl_assets.packages import require

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds


_MEMORY_BYTES = 32 * 1024 * 1024


def to_pandas(table: "pa.Table", *, with_objects: bool = False) -> "pd.DataFrame":
    """Return a DataFrame that holds every value exactly.

    pandas' own types are taken where they do; Arrow's for what they would round: integers with
    NULL, decimals, times.

    Args:
        table: The rows.
        with_objects: Give dicts, lists and plain texts for JSON; else its text.
    """
    import pandas as pd
    import pyarrow as pa

    names = _json_columns(table) if with_objects else []
    table = json_as_text(table)
    inexact = {
        field.type
        for index, field in enumerate(table.schema)
        if pa.types.is_decimal(field.type)
        or pa.types.is_nested(field.type)
        or pa.types.is_date(field.type)
        or pa.types.is_time(field.type)
        or (
            table.column(index).null_count
            and (pa.types.is_integer(field.type) or pa.types.is_boolean(field.type))
        )
        or pa.types.is_uint64(field.type)
    }
    frame: pd.DataFrame = table.to_pandas(
        types_mapper=lambda type_: pd.ArrowDtype(type_) if type_ in inexact else None
    )
    for field in table.schema if with_objects and len(frame) else ():
        if pa.types.is_string(field.type) and table.column(field.name).null_count == len(frame):
            frame[field.name] = pd.Series(
                [None] * len(frame), index=frame.index, dtype=object
            )  # as pandas has it
    for name in names:
        frame[name] = pd.Series(_objects(table.column(name)), index=frame.index, dtype=object)
    return frame


def to_arrow(table: "pa.Table") -> "pa.Table":
    """Return the table as it is."""
    return table


def to_reader(table: "pa.Table") -> "pa.RecordBatchReader":
    """Return a reader of its batches."""
    return table.to_reader()


def to_polars(table: "pa.Table") -> Any:
    """Return a polars DataFrame.

    Raises:
        ConfigError: polars is not installed.
    """
    return require("polars", "A polars DataFrame").from_arrow(json_as_text(table))


def to_lazy_polars(table: "pa.Table") -> Any:
    """Return a polars LazyFrame."""
    return to_polars(table).lazy()


def to_relation(table: "pa.Table") -> "duckdb.DuckDBPyRelation":
    """Return a relation of a private DuckDB in memory, over the Arrow table.

    Nothing holds the destination's own file: the next step of the same process could not open it
        otherwise.
    """
    import duckdb

    return duckdb.connect(":memory:").from_arrow(json_as_text(table))


def to_rows(table: "pa.Table", *, with_objects: bool = False) -> list[dict[str, Any]]:
    """Return a list of dicts.

    Args:
        table: The rows.
        with_objects: Give dicts, lists and plain texts for JSON; else its text.
    """
    names = _json_columns(table) if with_objects else []
    plain = json_as_text(table)
    rows: list[dict[str, Any]] = plain.to_pylist()
    for name in names:
        for row, value in zip(rows, _objects(plain.column(name)), strict=True):
            row[name] = value
    return rows


def _json_columns(table: "pa.Table") -> list[str]:
    return [field.name for field in table.schema if is_json(field.type)]


def _objects(texts: "pa.ChunkedArray") -> list[Any]:
    """Return what JSON texts stand for, every digit of a number kept."""
    return [None if text is None else exact_decoder.decode(text) for text in texts.to_pylist()]


def json_as_text(table: "pa.Table") -> "pa.Table":
    """Return JSON columns as their text: not every reader knows the extension type."""
    for index, field in enumerate(table.schema):
        if is_json(field.type):
            column = table.column(index)
            import pyarrow as pa

            storage = pa.chunked_array(
                [chunk.storage for chunk in column.chunks], type=field.type.storage_type
            )
            table = table.set_column(index, field.with_type(storage.type), storage)
    return table


def to_dataset(
    tables: "Iterable[pa.Table]", *, chunk_rows: int, directory: Path | None = None
) -> "ds.Dataset":
    """Return tables as a dataset that can be read many times, from an Arrow file on disk.

    The file is removed together with the dataset.

    Args:
        tables: The tables. Their types may differ; the dataset has types that hold all values.
        chunk_rows: The most rows of one batch.
        directory: Where the file is made, by default where temporary files are.
    """
    import pyarrow as pa
    import pyarrow.fs
    from pyarrow import dataset

    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="dataset-", dir=directory))
    with ExitStack() as undone:
        undone.callback(shutil.rmtree, folder, ignore_errors=True)
        with closing(Staging(folder / "parts", memory_bytes=_MEMORY_BYTES)) as staging:
            for table in tables:
                staging.add(table)
            schema = staging.schema if staging.schema is not None else pa.schema([])
            path = folder / "all.arrow"
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
                for table in staging.tables():
                    writer.write_table(conform(table, schema), max_chunksize=chunk_rows)
        files = _files()
        found = dataset.dataset(str(path), format="ipc", filesystem=pa.fs.PyFileSystem(files))
        undone.pop_all()
    # What is derived of the dataset (`found.filter(...)`) has another object, and the same files.
    weakref.finalize(files, shutil.rmtree, str(folder), ignore_errors=True)
    return found


def _files() -> Any:
    """Return a read-only handler of local files, which lives as long as what reads through it."""
    from pyarrow import fs

    local = fs.LocalFileSystem()

    def refuse(*_: Any, **__: Any) -> Any:
        raise NotImplementedError("the files of a dataset are only read")

    methods: dict[str, Any] = dict.fromkeys(fs.FileSystemHandler.__abstractmethods__, refuse)
    methods |= {
        "get_type_name": lambda _: "local",
        "normalize_path": lambda _, path: path,
        "get_file_info": lambda _, paths: local.get_file_info(paths),
        "get_file_info_selector": lambda _, selector: local.get_file_info(selector),
        "open_input_file": lambda _, path: local.open_input_file(path),
        "open_input_stream": lambda _, path: local.open_input_stream(path),
    }
    return type("DatasetFiles", (fs.FileSystemHandler,), methods)()

"""A stored table as what a downstream asset asks for by its annotation, told by names: nothing is imported to ask."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_origin

from etl_assets.exceptions import ConfigError
from etl_assets.protocol.types import is_json

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa


def converter(annotation: Any) -> "Callable[[pa.Table], Any]":
    """Give what makes of an Arrow table what an annotation asks for; pandas where there is none.

    Raises:
        ConfigError: Nothing here can make it.
    """
    if annotation is None or annotation is Any or annotation is object or annotation is type(None):
        return to_pandas
    annotation = get_origin(annotation) or annotation
    package = str(getattr(annotation, "__module__", "")).partition(".")[0].lstrip("_")
    name = str(getattr(annotation, "__qualname__", annotation))
    found = _CONVERTERS.get((package, name))
    if found is None:
        raise ConfigError(
            f"A table cannot be loaded as {package}.{name}.",
            hint=f"Annotate the input as one of {', '.join(sorted('.'.join(known) for known in _CONVERTERS))}.",
        )
    return found


def to_pandas(table: "pa.Table") -> "pd.DataFrame":
    """Give a DataFrame that holds every value exactly.

    pandas' own types are taken where they do; Arrow's for what they would round: integers with NULL, decimals, times.
    """
    import pandas as pd
    import pyarrow as pa

    table = _without_json(table)
    inexact = {
        field.type
        for index, field in enumerate(table.schema)
        if pa.types.is_decimal(field.type)
        or pa.types.is_nested(field.type)
        or pa.types.is_date(field.type)
        or pa.types.is_time(field.type)
        or (table.column(index).null_count and (pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)))
        or pa.types.is_uint64(field.type)
    }
    frame: pd.DataFrame = table.to_pandas(types_mapper=lambda type_: pd.ArrowDtype(type_) if type_ in inexact else None)
    return frame


def to_arrow(table: "pa.Table") -> "pa.Table":
    """Give the table as it is."""
    return table


def to_reader(table: "pa.Table") -> "pa.RecordBatchReader":
    """Give a reader of its batches."""
    return table.to_reader()


def to_polars(table: "pa.Table") -> Any:
    """Give a polars DataFrame.

    Raises:
        ConfigError: polars is not installed.
    """
    try:
        import polars as pl
    except ImportError as error:
        raise ConfigError("polars is not installed.", hint='pip install "etl-assets[polars]"') from error
    return pl.from_arrow(_without_json(table))


def to_lazy_polars(table: "pa.Table") -> Any:
    """Give a polars LazyFrame."""
    return to_polars(table).lazy()


def to_relation(table: "pa.Table") -> "duckdb.DuckDBPyRelation":
    """Give a relation of a private DuckDB in memory, over the Arrow table.

    Nothing holds the destination's own file: the next step of the same process could not open it otherwise.
    """
    import duckdb

    return duckdb.connect(":memory:").from_arrow(_without_json(table))


def to_rows(table: "pa.Table") -> list[dict[str, Any]]:
    """Give a list of dicts."""
    rows: list[dict[str, Any]] = _without_json(table).to_pylist()
    return rows


def _without_json(table: "pa.Table") -> "pa.Table":
    """Give JSON columns as their text: not every reader knows the extension type."""
    for index, field in enumerate(table.schema):
        if is_json(field.type):
            column = table.column(index)
            import pyarrow as pa

            storage = pa.chunked_array([chunk.storage for chunk in column.chunks], type=field.type.storage_type)
            table = table.set_column(index, field.with_type(storage.type), storage)
    return table


_CONVERTERS: Mapping[tuple[str, str], "Callable[[pa.Table], Any]"] = {
    ("pandas", "DataFrame"): to_pandas,
    ("pyarrow", "Table"): to_arrow,
    ("pyarrow", "RecordBatchReader"): to_reader,
    ("polars", "DataFrame"): to_polars,
    ("polars", "LazyFrame"): to_lazy_polars,
    ("duckdb", "DuckDBPyRelation"): to_relation,
    ("builtins", "list"): to_rows,
}

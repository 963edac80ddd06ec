"""A stored table as what a downstream asset asks for by its annotation, told by names: nothing is imported to ask."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_origin

from etl_assets.exceptions import ConfigError
from etl_assets.frames import to_arrow, to_lazy_polars, to_pandas, to_polars, to_reader, to_relation, to_rows

if TYPE_CHECKING:
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


_CONVERTERS: Mapping[tuple[str, str], "Callable[[pa.Table], Any]"] = {
    ("pandas", "DataFrame"): to_pandas,
    ("pyarrow", "Table"): to_arrow,
    ("pyarrow", "RecordBatchReader"): to_reader,
    ("polars", "DataFrame"): to_polars,
    ("polars", "LazyFrame"): to_lazy_polars,
    ("duckdb", "DuckDBPyRelation"): to_relation,
    ("builtins", "list"): to_rows,
}

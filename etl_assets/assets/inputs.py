"""A stored table as the type that a downstream asset's annotation asks for.

The type is told by its name, so that nothing has to be imported in order to ask.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_origin

from etl_assets.caches.stored import StoredTable
from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.exceptions import ConfigError
from etl_assets.frames import (
    to_arrow,
    to_lazy_polars,
    to_pandas,
    to_polars,
    to_reader,
    to_relation,
    to_rows,
)
from etl_assets.model.partitions import Partitions
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    import pyarrow as pa


def converter(annotation: Any) -> "Callable[[pa.Table], Any]":
    """Return what makes of an Arrow table what an annotation asks for; pandas where there is none.

    Raises:
        ConfigError: Nothing here can make it.
    """
    if annotation is None or annotation is Any or annotation is object or annotation is type(None):
        return to_pandas
    package, name = named(annotation)
    found = _CONVERTERS.get((package, name))
    if found is None:
        possible = sorted(".".join(parts) for parts in (*_CONVERTERS, *DATASETS))
        raise ConfigError(
            f"A table cannot be loaded as {package}.{name}.",
            hint=f"Annotate the input as one of {', '.join(possible)}.",
        )
    return found


def named(annotation: Any) -> tuple[str, str]:
    """Return the package and the name of what an annotation asks for."""
    annotation = get_origin(annotation) or annotation
    package = str(getattr(annotation, "__module__", "")).partition(".")[0].lstrip("_")
    return package, str(getattr(annotation, "__qualname__", annotation))


def opened(
    destination: Destination,
    table: TableName,
    stream: Stream,
    kind: str,
    columns: Sequence[str] | None,
    partitions: Partitions | None = None,
) -> Any:
    """Return a stored table as a dataset, which is read bit by bit.

    Args:
        destination: Holds the table.
        table: The table.
        stream: Its stream.
        kind: The dataset's name, of those in `DATASETS`.
        columns: Those that are wanted; by default all but our own.
        partitions: Those whose rows are wanted; by default all rows.

    Raises:
        ConfigError: The destination is no database, or the dataset cannot leave columns out.
    """
    if not isinstance(destination, DatabaseDestination):
        raise ConfigError(
            f"{destination!r} is no database, so it gives no dataset.",
            hint="Ask for a pyarrow.Table.",
        )
    conditions: list[str] = []
    if partitions is not None:
        conditions.append(destination.partition_condition(table, partitions))
    if kind == "Dataset":
        if columns is None:
            own = set(destination.own_columns)
            with destination.transaction() as tx:
                columns = [name for name in tx.type_names(table) if name not in own] or None
        return destination.snapshot(table, where=conditions, columns=columns)
    if columns is not None:
        raise ConfigError(
            "A CachedDataset has all columns of its table.",
            hint="Ask for a pyarrow.dataset.Dataset.",
        )
    if conditions and kind == "CachedDataset":
        raise ConfigError(
            "A CachedDataset has all rows of its table, and the input is of some partitions.",
            hint="Annotate the input as etl_assets.datasets.SQLDataset, which has theirs.",
        )
    dataset = StoredTable(destination, table, stream).dataset()
    return dataset.with_filter(*conditions) if conditions else dataset


def database_of(destination: Destination) -> DatabaseDestination:
    """Return a destination of which single partitions can be read.

    Raises:
        ConfigError: It is no database.
    """
    if isinstance(destination, DatabaseDestination):
        return destination
    raise ConfigError(
        f"{destination!r} is no database, so single partitions cannot be read from it.",
        hint="Load into a database, or leave out the partitions of the asset that is read.",
    )


DATASETS = frozenset({
    ("pyarrow", "Dataset"), ("etl_assets", "CachedDataset"), ("etl_assets", "SQLDataset"),
    ("etl_assets", "DatasetBase"),
})  # fmt: skip
_CONVERTERS: Mapping[tuple[str, str], "Callable[[pa.Table], Any]"] = {
    ("pandas", "DataFrame"): to_pandas,
    ("pyarrow", "Table"): to_arrow,
    ("pyarrow", "RecordBatchReader"): to_reader,
    ("polars", "DataFrame"): to_polars,
    ("polars", "LazyFrame"): to_lazy_polars,
    ("duckdb", "DuckDBPyRelation"): to_relation,
    ("builtins", "list"): to_rows,
}

"""What a hand-written asset returns, as something that `sync` can read like any stream."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from etl_assets.assets.options import PRIMARY_KEY, plain
from etl_assets.datasets import DatasetBase
from etl_assets.exceptions import ConfigError
from etl_assets.model.batch import Batch, batches_of, frames_of
from etl_assets.model.load import Readable
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.values.dataframes import is_pandas
from etl_assets.results import ReadResult

ROOT_SOURCE = "assets"
"""The source's name under which the state of an asset is kept whose key has one part only."""


class Returned(Readable):
    """Rows that an asset returned: a full table, read once.

    Args:
        rows: A dataset, a DataFrame, anything with the Arrow C interfaces, a list of dicts, or an
            iterator of these.
        source_name: Under which the state is kept.
        stream: Named after the asset.
    """

    def __init__(self, rows: Any, source_name: str, stream: Stream) -> None:
        self.source_name = source_name
        self.stream = stream
        self._rows = rows

    def open(self, bookmark: Bookmark | None) -> Iterator[Batch]:
        """Yield the rows; there is no bookmark to begin from."""
        del bookmark
        with frames_of(self.stream.name):
            for item in _items(self._rows):
                yield from batches_of(item)


def returned(rows: Any, key: dg.AssetKey, metadata: Mapping[str, Any]) -> Returned:
    """Return what an asset returned as something to read.

    Raises:
        ConfigError: It is nothing that has rows.
    """
    if rows is None:
        raise ConfigError(
            f"The asset {key.to_user_string()} returned None, which has no rows.",
            hint="Return a DataFrame, an Arrow table, a dataset, a list of dicts or an iterator of "
            "batches. If the asset writes its table itself, annotate its return type as None "
            "(`-> None`): then no IO manager is asked.",
        )
    from etl_assets.caches.base import CacheBase

    one = (
        " Of a read result return one stream: result['name']."
        if isinstance(rows, ReadResult | CacheBase)
        else ""
    )
    if isinstance(rows, str | bytes | Mapping | CacheBase) or not _has_rows(rows):
        raise ConfigError(
            f"The asset {key.to_user_string()} returned a {type(rows).__name__}, "
            "which has no rows.",
            hint="Return a DataFrame, an Arrow table, a dataset, a list of dicts or an iterator of "
            f"batches.{one}",
        )
    stream = stream_of(key, metadata)
    if isinstance(rows, DatasetBase) and not stream.primary_key:
        stream = stream.replace(primary_key=rows.stream_metadata.primary_key)
    return Returned(rows, source_of(key), stream)


def source_of(key: dg.AssetKey) -> str:
    """Return the name of the source under which the state of an asset is kept.

    It is the last part but one of the asset's key.
    """
    return key.path[-2] if len(key.path) > 1 else ROOT_SOURCE


def stream_of(key: dg.AssetKey, metadata: Mapping[str, Any]) -> Stream:
    """Return the stream that stands for an asset: the last part of its key.

    What is before two is its namespace.
    """
    keys = plain(metadata.get(PRIMARY_KEY)) or ()
    if isinstance(keys, str):
        keys = [name.strip() for name in keys.split(",")]
    namespace = "/".join(key.path[:-2]) or None
    return Stream(key.path[-1], namespace=namespace, primary_key=list(keys))


def place_of(key: dg.AssetKey) -> tuple[str, Stream]:
    """Return what a destination names an asset's table by: the last two parts of its key."""
    return source_of(key), Stream(key.path[-1])


def _has_rows(rows: Any) -> bool:
    arrow = hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__")
    if hasattr(rows, "to_batches"):  # pyarrow's datasets
        return True
    return (
        arrow
        or isinstance(rows, Sequence | Batch)
        or hasattr(rows, "__next__")
        or hasattr(rows, "__iter__")
    )


def _items(rows: Any) -> Iterator[Any]:
    whole = (
        isinstance(rows, Batch)
        or hasattr(rows, "__arrow_c_stream__")
        or hasattr(rows, "__arrow_c_array__")
    )
    if isinstance(rows, DatasetBase):
        yield from _tables(rows)
    elif hasattr(rows, "to_batches") and hasattr(
        rows, "scanner"
    ):  # a dataset of pyarrow's, bit by bit
        yield from rows.to_batches()
    elif whole or (
        isinstance(rows, list | tuple) and all(isinstance(row, Mapping) for row in rows)
    ):
        yield rows
    elif is_pandas(rows):
        yield rows  # iterating it would give its columns' names
    else:
        yield from rows


def _tables(dataset: DatasetBase) -> Iterator[Any]:
    """Yield the tables of a dataset, without the columns that this library has added."""
    own = set(dataset.own_columns)
    for table in dataset.tables():
        yield table.drop_columns([name for name in table.column_names if name in own])

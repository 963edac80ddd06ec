"""Folders of CSV files, read and loaded."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sync import sync

SECOND = 10**9
START = 1_767_225_600 * SECOND


def put(path: Path, ids: Sequence[Any], at: int | None = None) -> Path:
    """Write a CSV file of ids, modified so many seconds after 2026 began."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{one}\n" for one in ("id", *ids)))
    if at is not None:
        os.utime(path, ns=(START + at * SECOND, START + at * SECOND))
    return path


def stream_of(source: FileSource, name: str | None = None) -> Stream:
    catalog = source.declared_catalog() or source.discover()
    return catalog[name] if name else catalog.streams[0]


def batches(source: FileSource, bookmark: Mapping[str, Any] | None = None) -> Iterator[Any]:
    return StreamRead(source, stream_of(source)).open(bookmark)


def ids(source: FileSource, bookmark: Mapping[str, Any] | None = None) -> list[Any]:
    tables = [
        batch.to_arrow(stream_of(source)) for batch in batches(source, bookmark) if len(batch)
    ]
    return [one for table in tables for one in table.column("id").to_pylist()]


def load(source: FileSource, warehouse: DuckDBDestination, **options: Any) -> SyncResult:
    return sync(StreamRead(source, stream_of(source)), warehouse, **options)


def loaded(source: FileSource, warehouse: DuckDBDestination) -> list[Any]:
    table = warehouse.read_table(warehouse.table_for("drop", stream_of(source)))
    return sorted(table.column("id").to_pylist())

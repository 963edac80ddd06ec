"""Some of the rows that a load has brought, shown with its event where somebody asks for it."""

from typing import Any

import dagster as dg

from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.checking import shown_value
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.model.load import SyncResult
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.redaction.names import says_secret

MOST_COLUMNS = 30
"""More columns than these are not shown."""
_MARKS = ("airbyte_secret", "writeOnly")
"""Words by which the JSON Schema of a field says that its value is not for everybody's eyes."""


def preview(
    destination: Destination, result: SyncResult, stream: Stream, table: TableName, rows: int
) -> dg.TableMetadataValue | None:
    """Return at most so many rows of a load as a table that the UI shows, or None.

    Columns that are secret by their name or their schema are left out; values are shortened and
    masked. Nothing is shown where the load brought no row, or the database has no word for the
    first rows of a query.
    """
    own = destination.own_columns
    names = [
        column.physical
        for column in result.columns
        if not _is_secret(column.name, stream) and column.physical not in own
    ][:MOST_COLUMNS]
    if not (names and result.records_loaded and isinstance(destination, DatabaseDestination)):
        return None
    found = destination.first_rows(table, names, rows, load_id=result.load_id)
    records = [
        dg.TableRecord({name: _cell(value) for name, value in zip(names, row, strict=True)})
        for row in found
    ]
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in names])
    return dg.TableMetadataValue(records, schema) if records else None


def _is_secret(field: str, stream: Stream) -> bool:
    declared = (stream.schema or {}).get("properties", {}).get(field)
    marks: dict[str, Any] = declared if isinstance(declared, dict) else {}
    is_marked = any(marks.get(mark) for mark in _MARKS) or marks.get("format") == "password"
    return is_marked or says_secret(field)


def _cell(value: Any) -> str | bool | int | None:
    shown: str | bool | int | None = shown_value(value)
    return shown

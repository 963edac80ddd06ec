"""The metadata of every materialization: Dagster's own keys, and ours under one prefix."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import dagster as dg

from etl_assets.assets.bookmark_metadata import boundary_to_metadata, to_metadata
from etl_assets.assets.dagster_private import NamespacedMetadataSet, TableMetadataSet
from etl_assets.assets.lag import lag_seconds
from etl_assets.assets.markdown import as_markdown
from etl_assets.assets.options import PREFIX, PREVIEW, shown_table
from etl_assets.assets.partition_runs import shortened_names
from etl_assets.destinations.base import Destination
from etl_assets.model.bookmarks.given import GivenBookmark
from etl_assets.model.contract import Rejected
from etl_assets.model.load import SyncResult
from etl_assets.model.selection import selected_columns
from etl_assets.model.stored import Column, TableName
from etl_assets.model.stream import Stream
from etl_assets.model.values.scalars import to_json
from etl_assets.naming import identifiers
from etl_assets.redaction import redact

MAX_REASONS = 50
"""Of so many kinds an event tells why records were rejected.

The table of the rejected records has all.
"""
MAX_REMARKS = 50
"""So many remarks are in an event; the log has all."""

TABLE_NAME = "dagster/table_name"
URI = "dagster/uri"

_FORMATS = {
    "date-time": "timestamp",
    "date": "date",
    "time": "time",
    "singer.decimal": "decimal",
    "binary": "binary",
    "uuid": "uuid",
}


class SyncMetadata(NamespacedMetadataSet):
    """Our keys of a materialization, in the order in which the UI shows them.

    Numbers are those worth a plot.
    """

    bookmark: dg.JsonMetadataValue | dg.TextMetadataValue | dg.NullMetadataValue
    bookmark_previous: dg.JsonMetadataValue | dg.TextMetadataValue | dg.NullMetadataValue | None = (
        None
    )
    bookmark_skipped: dg.JsonMetadataValue | None = None
    bookmark_scope: str | None = None
    lag_seconds: float | None = None
    records_loaded: int | None = None
    load_id: str | None = None
    write_strategy: str | None = None
    bytes: int | None = None
    duration_seconds: float | None = None
    schema_changes: dg.JsonMetadataValue | None = None
    rejected: int | None = None
    rejected_reasons: dg.JsonMetadataValue | None = None
    late_rows: int | None = None
    remarks: dg.JsonMetadataValue | None = None
    partitions: str | None = None
    outside: int | None = None
    delivery: str | None = None
    destination: str | None = None
    bookmark_boundary: dg.JsonMetadataValue | None = None

    @classmethod
    def namespace(cls) -> str:
        """Return the prefix of the keys."""
        return PREFIX.rstrip("/")


def sync_metadata(result: SyncResult, stream: Stream, destination: str) -> dict[str, Any]:
    """Return our part of the metadata of a sync's event, the bookmark first.

    Args:
        result: What was done.
        stream: The stream, as it was read.
        destination: The destination's identity.
    """
    at_least_once = result.delivery != "exactly_once"
    show_with = f"etl-assets state get {result.source}/{'' if result.shared else result.stream}"
    remarks = [redact(text) for text in result.remarks[:MAX_REMARKS]]
    reasons = [_sentence(one) for one in result.rejections[:MAX_REASONS]]
    loaded = list(result.partition_rows)
    previous = None
    if result.bookmark_previous is not None:
        previous = to_metadata(
            result.bookmark_previous, show_with=show_with, may_cut=True, shared=result.shared
        )
    shown = SyncMetadata(
        # Where the destination keeps no state, the next run begins from this very value, and knows
        # the rows at it by the boundary.
        bookmark=to_metadata(
            result.bookmark,
            show_with=show_with,
            may_cut=not at_least_once,
            shared=result.shared,
        ),
        bookmark_previous=previous,
        bookmark_skipped=dg.JsonMetadataValue(result.skipped) if result.skipped else None,
        bookmark_scope="source" if result.shared else None,
        # The state of a whole source says nothing of one stream.
        lag_seconds=None if result.shared else lag_seconds(result.bookmark, stream),
        records_loaded=result.records_loaded,
        load_id=result.load_id,
        write_strategy=str(result.strategy),
        bytes=result.bytes_loaded,
        duration_seconds=round(result.duration_seconds, 3),
        schema_changes=dg.JsonMetadataValue(list(result.schema_changes))
        if result.schema_changes
        else None,
        rejected=result.rejected,
        rejected_reasons=dg.JsonMetadataValue(reasons) if reasons else None,
        late_rows=result.late_rows or None,
        remarks=dg.JsonMetadataValue(remarks) if remarks else None,
        partitions=shortened_names(loaded) if len(loaded) > 1 else None,
        outside=result.outside or None,
        delivery=result.delivery if at_least_once else None,
        # Its next run goes on from an event of this destination only.
        destination=destination if at_least_once else None,
        bookmark_boundary=boundary_to_metadata(result.bookmark) if at_least_once else None,
    )
    return {key: shown[key] for key in shown.keys()}  # noqa: SIM118 - it has no __iter__ of its own


def _sentence(rejected: Rejected) -> str:
    """Return in a line why records were rejected; it holds no value of theirs."""
    parts = []
    if rejected.rows:
        parts.append(f"{rejected.rows:,} {'record' if rejected.rows == 1 else 'records'} left out")
    if rejected.values:
        parts.append(
            f"{rejected.values:,} {'value' if rejected.values == 1 else 'values'} left out"
        )
    return f"field {rejected.field!r} {rejected.reason}: {', '.join(parts)}"


def event_metadata(
    log: dg.DagsterLogManager,
    destination: Destination,
    result: SyncResult,
    stream: Stream,
    table: TableName,
    *,
    previewed: int = 0,
) -> dict[str, Any]:
    """Return all metadata of a sync's event, with so many rows where these are asked for.

    What of it cannot be computed is left out with a warning.
    """
    metadata: dict[str, Any] = {}
    with decoration(log, "Describing what was loaded"):
        metadata |= sync_metadata(result, stream, destination.identity)
    with decoration(log, "Describing the table"):
        metadata |= table_metadata(result, stream, table, storage_kind=destination.storage_kind)
    # Hooks that anybody may have written: each by itself, so that nothing else is lost with it.
    with decoration(log, "Asking where the table is"):
        uri = destination.uri(table)
        if uri:
            metadata[URI] = redact(uri)
    with decoration(log, "Asking which database the table is in"):
        prefix = destination.prefix_of(table)
        if prefix and metadata.get(TABLE_NAME):
            metadata[TABLE_NAME] = f"{prefix}.{metadata[TABLE_NAME]}"
    if previewed:
        from etl_assets.assets.preview import preview

        with decoration(log, "Reading some rows to show"):
            shown = preview(destination, result, stream, table, previewed)
            if shown is not None:
                metadata[PREVIEW] = shown
    return metadata


def table_metadata(
    result: SyncResult, stream: Stream, table: TableName, *, storage_kind: str
) -> dict[str, Any]:
    """Return Dagster's part of the metadata of a sync's event."""
    shown = TableMetadataSet(
        row_count=result.rows_in_table,
        column_schema=table_schema(result.columns, stream) if result.columns else None,
        table_name=shown_table(table) or result.table or None,
        storage_kind=storage_kind,
    )
    return {key: shown[key] for key in shown.keys()}  # noqa: SIM118 - it has no __iter__ of its own


def table_schema(columns: Sequence[Column], stream: Stream) -> dg.TableSchema:
    """Return a table's columns as the UI shows them."""
    return dg.TableSchema([_table_column(column, stream) for column in columns])


def declared_table_schema(
    stream: Stream, physical: Mapping[str, str] | None = None
) -> dg.TableSchema | None:
    """Return the columns that a stream declares, under the names they are to get.

    None where it declares none.

    Args:
        stream: The stream.
        physical: The column of each field; the default normalisation where it is not given.
    """
    properties = (stream.schema or {}).get("properties") or {}
    chosen = selected_columns(stream) or tuple(properties)
    if not properties:
        return None
    names = physical or identifiers(chosen)
    required = set((stream.schema or {}).get("required") or ())
    columns = []
    for field in chosen:
        schema = properties.get(field)
        described = schema if isinstance(schema, Mapping) else {}
        type_, nullable = _declared_type(described)
        columns.append(
            Column(
                field,
                names[field],
                type_,
                nullable=nullable and field not in required,
                description=described.get("description"),
            )
        )
    return table_schema(columns, stream)


def _table_column(column: Column, stream: Stream) -> dg.TableColumn:
    name = column.name
    return _shown_column(column, keyed=name in stream.primary_key, bookmark=name in stream.cursor)


@lru_cache(maxsize=1000)
def _shown_column(column: Column, *, keyed: bool, bookmark: bool) -> dg.TableColumn:
    """Return a column as the UI shows it: one object for the tables of all streams that have it."""
    description = column.description or ""
    if column.name != column.physical and repr(column.name) not in description:
        description = f"{description} Field {column.name!r} of the source.".strip()
    return dg.TableColumn(
        name=column.physical,
        type=column.type,
        description=as_markdown(description) or None,
        constraints=dg.TableColumnConstraints(
            nullable=column.nullable, other=["primary key"] if keyed else []
        ),
        tags={"bookmark": ""} if bookmark else {},
    )


def _declared_type(schema: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the name of a JSON Schema's type, and whether it allows NULL."""
    given = schema.get("type")
    types = [given] if isinstance(given, str) else list(given or ())
    nullable = not types or "null" in types
    kinds = [kind for kind in types if kind != "null"]
    if kinds == ["string"]:
        return _FORMATS.get(str(schema.get("format")), "string"), nullable
    if kinds == ["number"] and "multipleOf" in schema:
        return "decimal", nullable
    return (kinds[0] if len(kinds) == 1 else "json"), nullable


@contextmanager
def decoration(log: dg.DagsterLogManager, what: str) -> Iterator[None]:
    """Turn an error in the block into a warning.

    What only decorates an event must never fail the sync that the event is about.

    Args:
        log: Of the run.
        what: What is being computed.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is
        told = f"{what} failed, which changes nothing of what was loaded: {redact(repr(error))}"
        log.warning(told)


def log_given(log: dg.DagsterLogManager, stream: str, asked: GivenBookmark) -> None:
    """Log what a bookmark by run config leaves out, or reads again."""
    if asked.stored is None or asked.side == "same":
        return
    given, stored = to_json(asked.gap["before"]), to_json(asked.gap["after"])
    stays = "the stored bookmark stays, and the next run reads from it"
    if asked.side == "behind":
        told = (
            f"is behind the stored one {stored}: "
            "rows are read again, and the stored bookmark does not go back."
        )
        log.info(redact(f"{stream}: the given bookmark {given} {told}"))
        return
    if asked.side == "unknown":
        what = "where this run ends is stored" if asked.keep else stays
        told = f"cannot be compared with the stored one {stored}: {what}."
    else:
        what = "they are skipped for good (keep_bookmark)" if asked.keep else stays
        told = (
            f"is ahead of the stored one {stored}: "
            f"rows between them are not read by this run; {what}."
        )
    log.warning(redact(f"{stream}: the given bookmark {given} {told}"))


def log_changes(log: dg.DagsterLogManager, stream: str, result: SyncResult) -> None:
    """Log what was done to the table's schema, and why records were rejected."""
    for change in result.schema_changes:
        log.info(redact(f"{stream}: {change}"))
    for one in result.rejections:
        log.warning(redact(f"{stream}: rejected: {_sentence(one)}"))

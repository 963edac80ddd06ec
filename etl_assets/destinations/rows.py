"""What a destination's row hooks are given: the words of each stream, and records as Mage hands them on.

The same hooks serve a pipe, whose SCHEMA messages say what a stream is, and an asset, whose stream
says it itself.
"""

import inspect
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl_assets.destinations.constants import INTERNAL_COLUMN_SCHEMA, UNIQUE_CONFLICT_METHOD_UPDATE
from etl_assets.engine.start import Start, StreamPlan, plan_load
from etl_assets.exceptions import ConfigError, DestinationError, ProtocolError
from etl_assets.model.batch import Batch
from etl_assets.model.catalog_entries import copied
from etl_assets.model.load import Load, StreamToRead
from etl_assets.model.schema.json_schema import from_arrow, type_to_property
from etl_assets.model.stream import Stream
from etl_assets.model.values.columns import to_array
from etl_assets.protocol.singer.messages import RecordMessage, SchemaMessage, encode
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    from etl_assets.destinations.base import Destination

PER_STREAM = (
    "bookmark_properties", "disable_column_type_check", "key_properties", "partition_keys", "replication_methods",
    "schemas", "unique_conflict_methods", "unique_constraints", "versions",
)  # fmt: skip
"""The attributes that hold a word of each stream."""


def of_streams(destination: "Destination", attribute: str) -> dict[str, Any]:
    """Return what a destination itself keeps of each stream under an attribute."""
    kept: dict[str, Any] = vars(destination).setdefault(attribute, {})
    return kept


def begin_streams(destination: "Destination") -> None:
    """Forget what earlier messages said of streams."""
    for name in (*PER_STREAM, "added_columns", "unchecked_streams"):
        setattr(destination, name, {})


def process_schema(
    destination: "Destination", stream: str, schema: Mapping[str, Any], row: Mapping[str, Any]
) -> None:
    """Remember what a SCHEMA message says; a schema of the catalog wins over it.

    Raises:
        ProtocolError: It names no stream.
    """
    if not stream:
        raise ProtocolError("A SCHEMA message names no stream.")
    entries = (destination.target.catalog or {}).get("streams") or ()
    listed = next(
        (
            e
            for e in entries
            if stream in (e.get("tap_stream_id"), e.get("stream")) and e.get("schema")
        ),
        None,
    )
    of_catalog = {key: value for key, value in (listed or {}).items() if value or value is False}
    said: Mapping[str, Any] = {**row, **of_catalog}
    partitions = [
        *(said.get("partition_keys") or ()),
        *destination.streams_override_settings.get("partition_keys", ()),
    ]
    own: dict[str, Any] = listed["schema"] if listed else dict(schema)
    static = {
        # as its value is, so that the check of types takes it
        column: type_to_property(to_array([value], None, stream=stream, field=column).type)
        for column, value in static_columns(destination).items()
    }
    declared = own.get("properties") or {}
    added = {**copied(INTERNAL_COLUMN_SCHEMA), **static}
    of_streams(destination, "unchecked_streams")[stream] = (
        said.get("disable_column_type_check") is True
    )
    of_streams(destination, "added_columns")[stream] = (
        INTERNAL_COLUMN_SCHEMA.keys() - declared.keys()
    )
    words: dict[str, Any] = {
        "schemas": {
            **own,
            "properties": {**declared, **{k: v for k, v in added.items() if k not in declared}},
        },
        "key_properties": list(said.get("key_properties") or ()),
        "bookmark_properties": list(
            row.get("bookmark_properties") or said.get("bookmark_properties") or ()
        ),
        "unique_constraints": list(said.get("unique_constraints") or ()),
        "unique_conflict_methods": said.get("unique_conflict_method"),
        "replication_methods": said.get("replication_method"),
        "partition_keys": partitions,
        "disable_column_type_check": said.get("disable_column_type_check") is not False,
    }
    for name, value in words.items():
        of_streams(destination, name)[stream] = value


def stream_of(destination: "Destination", name: str) -> Stream:
    """Return the stream that its SCHEMA message has described."""
    bookmarks = destination.bookmark_properties.get(name) or ()
    method = destination.replication_methods.get(name)
    if not bookmarks and method == "INCREMENTAL":
        method = None  # the tap keeps a bookmark of its own
    checked = False if destination.disable_column_type_check.get(name) is False else None
    said = destination.schemas.get(name)
    added = of_streams(destination, "added_columns").get(name, ())
    columns = {
        column: prop
        for column, prop in ((said or {}).get("properties") or {}).items()
        if column not in added
    }
    return Stream(
        name,
        schema={**said, "properties": columns} if said else None,
        primary_key=destination.key_properties.get(name) or (),
        replication_key=bookmarks or None,
        replication_method=method,
        unique_constraints=destination.unique_constraints.get(name) or (),
        unique_conflict_method=destination.unique_conflict_methods.get(name),
        partition_keys=destination.partition_keys.get(name) or (),
        disable_column_type_check=True
        if of_streams(destination, "unchecked_streams").get(name)
        else checked,
    )


def prepared(
    destination: "Destination", name: str, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the records of messages as a destination gets them: the same keys, in the schema's order.

    Raises:
        DataError: The stream asks for the check of types (`disable_column_type_check: false`), and
            a value is not of its type.
    """
    stream = stream_of(destination, name)
    batch = Batch(with_added_columns(destination, name, [row["record"] for row in rows]))
    if stream.disable_column_type_check is False:
        Batch(batch.rows).to_arrow(stream)
    rows = batch.to_rows(stream, native_types=destination.native_types)
    return rows if destination.native_types else [_plain(row) for row in rows]


def _plain(value: Any) -> Any:
    """Return a JSON value with the numbers that `json.loads` would have read, which `json.dumps` writes."""
    kind = type(value)
    if kind is Decimal:
        return float(value)
    if kind is dict:
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if kind is list else value


def with_added_columns(
    destination: "Destination", name: str, records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return records with the columns that the config adds: Mage's static ones, and those for the time of the export.

    Raises:
        ConfigError: A record has such a column itself.
    """
    added = static_columns(destination)
    now = datetime.now(UTC)
    for option in ("created_at_column", "updated_at_column"):
        column = destination.config.get(option)
        if column is not None:
            added[column] = now if destination.native_types else now.isoformat()
    return joined(name, records, added) if added else list(records)


def static_columns(destination: "Destination") -> dict[str, Any]:
    """Return the columns that the config adds to all records: `_streams.columns`."""
    return dict(destination.streams_override_settings.get("columns") or {})


def joined(
    name: str, records: Sequence[Mapping[str, Any]], added: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return records with more columns.

    Raises:
        ConfigError: A record has such a column itself; its value would be lost.
    """
    taken = sorted({column for record in records for column in added.keys() & record.keys()})
    if taken:
        raise ConfigError(
            f"stream {name!r}: the config adds the column {taken[0]!r}, which the stream has itself.",
            hint="Call it something else: the values of the stream would be lost.",
            stream=name,
        )
    return [{**record, **added} for record in records]


def export_records(
    destination: "Destination",
    name: str,
    rows: Sequence[Mapping[str, Any]],
    tags: Mapping[str, Any] | None,
) -> None:
    """Export records of one stream by whichever of the hooks the destination overrides."""
    records = prepared(destination, name, rows)
    if not records:
        return
    if overrides(destination, "export"):
        said = StreamToRead("", stream_of(destination, name))
        load_id = str((tags or {}).get("load_id", ""))
        load = plan_load(
            said, destination, Start(), StreamPlan(), load_id=load_id, settled=WriteStrategy.APPEND
        )
        destination.export(Batch(records), load)
        return
    told = {**(tags or {}), "records": len(records), "stream": name}
    common = {"schema": destination.schemas.get(name) or {}, "stream": name, "tags": told}
    items = [
        {"row": {"type": "RECORD", "stream": name, "record": record}, "record": record, **common}
        for record in records
    ]
    kept = destination.remove_duplicate_rows(items, name)
    if kept:
        data = [{"record": item["record"], "stream": name} for item in kept]
        destination.export_batch_data(data, name, **tags_taken(destination, told))


def export_rows(destination: "Destination", batch: Batch, load: Load) -> None:
    """Export a batch of an asset by the hooks that a pipe calls, with the stream's words where they find them."""
    name = load.stream.name
    rows = with_added_columns(
        destination, name, batch.to_rows(load.stream, native_types=destination.native_types)
    )
    _describe(destination, batch, load.stream, rows[0].keys() if rows else ())
    load_id, number = destination.batches_of_streams.get(name, ("", 0))
    number = number + 1 if load_id == load.load_id else 0
    destination.batches_of_streams = {
        **destination.batches_of_streams,
        name: (load.load_id, number),
    }
    tags = {"batch": number, "load_id": load.load_id, "records": len(rows), "stream": name}
    if overrides(destination, "_process") and not overrides(destination, "export_batch_data"):
        _through_process(destination, stream_of(destination, name), rows)
        return
    if destination.json_numbers and not destination.native_types:
        rows = [_plain(row) for row in rows]
    data = [{"record": row, "stream": name} for row in rows]
    try:
        destination.export_batch_data(data, name, **tags_taken(destination, tags))
    except TypeError as error:
        if "Decimal is not JSON serializable" in str(error):
            raise _decimals_error(destination, name, rows) from error
        raise


def _decimals_error(
    destination: "Destination", name: str, rows: Sequence[Mapping[str, Any]]
) -> DestinationError:
    """Return the error about decimals in what a destination writes as JSON.

    Names the first field that has one.
    """
    held = (
        (field, value) for row in rows for field, value in row.items() if _plain(value) is not value
    )
    field, value = next(
        ((field, value) for field, value in held if "Decimal(" in repr(value)), ("", None)
    )
    return DestinationError(
        f"stream {name!r}: {type(destination).__name__} writes JSON, which has no decimals; {field!r} is {value!r}.",
        hint=f"Set `json_numbers = True` on {type(destination).__name__} or on the object that you give to the assets: "
        "decimals are then numbers, as Mage gives them. Or write them exactly, as simplejson does.",
        stream=name,
    )


def _through_process(
    destination: "Destination", stream: Stream, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Export records by a destination that reads messages itself, from the file that it finds as `input_file_path`."""
    schema = _types_listed(stream.schema or {})
    head = SchemaMessage(stream=stream.name, schema=schema, key_properties=stream.key_properties)
    before = destination.target
    with tempfile.TemporaryDirectory(prefix="etl_assets_") as folder:
        path = Path(folder) / "messages.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.write(encode(head) + "\n")
            file.writelines(
                encode(RecordMessage(stream=stream.name, record=row)) + "\n" for row in rows
            )
        destination.target = replace(before, input_file_path=str(path))
        try:
            with path.open("rb") as file_:
                destination._process(file_)  # noqa: SLF001 - Mage's hook
        finally:
            destination.target = before


def _types_listed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema whose types are lists, as Mage's catalogs have them and its destinations look into them."""
    listed = dict(schema)
    if isinstance(listed.get("type"), str):
        listed["type"] = [listed["type"]]
    if isinstance(listed.get("properties"), Mapping):
        listed["properties"] = {
            name: _types_listed(prop) if isinstance(prop, Mapping) else prop
            for name, prop in listed["properties"].items()
        }
    if isinstance(listed.get("items"), Mapping):
        listed["items"] = _types_listed(listed["items"])
    return listed


def _describe(
    destination: "Destination", batch: Batch, stream: Stream, columns: Iterable[str]
) -> None:
    """Have the destination take a stream's words as it takes a SCHEMA message.

    Columns nobody declared are added.

    A key stands for unique constraints where there are none: a batch that comes again doubles no
    rows then.
    """
    if "schemas" not in vars(destination):
        begin_streams(destination)
    declared = dict((stream.schema or {}).get("properties") or {})
    static = static_columns(destination)
    if any(column not in declared and column not in static for column in columns):
        found = from_arrow(batch.to_arrow(stream).schema)["properties"]
        declared = {**found, **declared}
    row = {
        "bookmark_properties": list(stream.cursor),
        "disable_column_type_check": stream.disable_column_type_check,
        "key_properties": stream.key_properties,
        "partition_keys": list(stream.partition_keys),
        "replication_method": stream.method,
        "unique_conflict_method": stream.unique_conflict_method or UNIQUE_CONFLICT_METHOD_UPDATE,
        "unique_constraints": list(stream.unique_constraints or stream.primary_key),
    }
    schema = {**copied(stream.schema or {}), "type": "object", "properties": declared}
    destination.process_schema(stream=stream.name, schema=schema, row=row)


def overrides(destination: "Destination", hook: str) -> bool:
    """Return whether a destination has a hook of its own."""
    from etl_assets.destinations.base import Destination

    return getattr(type(destination), hook) is not getattr(Destination, hook)


def tags_taken(destination: "Destination", tags: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the argument `tags` where the destination's hook takes one: Mage's oldest do not."""
    taken = inspect.signature(destination.export_batch_data).parameters
    takes = "tags" in taken or any(p.kind is p.VAR_KEYWORD for p in taken.values())
    return {"tags": dict(tags or {})} if takes else {}

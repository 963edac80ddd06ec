"""The records that a destination's row hooks get, as Mage hands them on.

The same hooks serve a pipe and an asset.
"""

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from etl_assets.destinations.target.hooks import DestinationHooks, Tags
from etl_assets.destinations.target.words import describe, static_columns, stream_of
from etl_assets.engine.start import Start, StreamPlan, plan_load
from etl_assets.exceptions import ConfigError, DestinationError
from etl_assets.model.batch import Batch
from etl_assets.model.load import Load, StreamToRead
from etl_assets.model.stream import Stream
from etl_assets.protocol.singer.messages import RecordMessage, SchemaMessage, encode
from etl_assets.registry import reach
from etl_assets.strategies import WriteStrategy


def prepared(
    destination: DestinationHooks, name: str, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the records of messages as a destination gets them.

    They all have the same keys, in the schema's order.

    Raises:
        DataError: The stream asks for the check of types (`disable_column_type_check: false`), and
            a value is not of its type.
    """
    stream = stream_of(destination, name)
    batch = Batch(with_added_columns(destination, name, [row["record"] for row in rows]))
    if stream.disable_column_type_check is False:
        Batch(batch.rows).to_arrow(stream)
    records = batch.to_rows(stream, native_types=destination.native_types)
    if destination.native_types:
        return records
    return [_plain(record) for record in records]


def _plain(value: Any) -> Any:
    """Return a JSON value with the numbers that `json.loads` would have read."""
    kind = type(value)
    if kind is Decimal:
        return float(value)
    if kind is dict:
        return {key: _plain(item) for key, item in value.items()}
    if kind is list:
        return [_plain(item) for item in value]
    return value


def with_added_columns(
    destination: DestinationHooks, name: str, records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return records with the columns that the config adds: static ones, the time of the export.

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


def joined(
    name: str, records: Sequence[Mapping[str, Any]], added: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return records with more columns.

    Raises:
        ConfigError: A record has such a column itself; its value would be lost.
    """
    found: set[str] = set().union(*records)
    taken = sorted(added.keys() & found)
    if taken:
        raise ConfigError(
            f"stream {name!r}: the config adds the column {taken[0]!r}, which the stream has "
            "itself.",
            hint="Call it something else: the values of the stream would be lost.",
            stream=name,
        )
    return [{**record, **added} for record in records]


# From a pipe


def export_records(
    destination: DestinationHooks, name: str, rows: Sequence[Mapping[str, Any]], tags: Tags
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


# From an asset


def export_rows(destination: DestinationHooks, batch: Batch, load: Load) -> None:
    """Export a batch of an asset by the hooks that a pipe calls.

    The words of the stream are where these hooks look them up.
    """
    name = load.stream.name
    rows = with_added_columns(
        destination, name, batch.to_rows(load.stream, native_types=destination.native_types)
    )
    describe(destination, batch, load.stream, rows[0].keys() if rows else ())
    number = _number_of_batch(destination, load)
    if overrides(destination, "_process") and not overrides(destination, "export_batch_data"):
        _through_process(destination, stream_of(destination, name), rows)
        return
    if destination.json_numbers and not destination.native_types:
        rows = [_plain(row) for row in rows]
    data = [{"record": row, "stream": name} for row in rows]
    tags = {"batch": number, "load_id": load.load_id, "records": len(rows), "stream": name}
    try:
        destination.export_batch_data(data, name, **tags_taken(destination, tags))
    except TypeError as error:
        if "Decimal is not JSON serializable" in str(error):
            raise _decimals_error(destination, name, rows) from error
        raise


def _number_of_batch(destination: DestinationHooks, load: Load) -> int:
    """Count a batch of a load; return its number, which begins with 0."""
    name = load.stream.name
    load_id, last = destination.batches_of_streams.get(name, ("", 0))
    number = last + 1 if load_id == load.load_id else 0
    destination.batches_of_streams = {
        **destination.batches_of_streams,
        name: (load.load_id, number),
    }
    return number


def _decimals_error(
    destination: DestinationHooks, name: str, rows: Sequence[Mapping[str, Any]]
) -> DestinationError:
    """Return the error about decimals in what a destination writes as JSON.

    It names the first field that has one.
    """
    field, value = _first_with_decimals(rows)
    owner = type(destination).__name__
    return DestinationError(
        f"stream {name!r}: {owner} writes JSON, which has no decimals; {field!r} is {value!r}.",
        hint=f"Set `json_numbers = True` on {owner} or on the object that you give to the assets: "
        "decimals are then numbers, as Mage gives them. Or write them exactly, as simplejson does.",
        stream=name,
    )


def _first_with_decimals(rows: Sequence[Mapping[str, Any]]) -> tuple[str, Any]:
    for row in rows:
        for field, value in row.items():
            is_changed = _plain(value) is not value
            if is_changed and "Decimal(" in repr(value):
                return field, value
    return "", None


def _through_process(
    destination: DestinationHooks, stream: Stream, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Export records by a destination that reads messages itself.

    It finds them in a file, its `input_file_path`.
    """
    schema = _types_listed(stream.schema or {})
    head = SchemaMessage(stream=stream.name, schema=schema, key_properties=stream.key_properties)
    before = destination.target
    with tempfile.TemporaryDirectory(prefix="etl_assets_") as folder:
        path = Path(folder) / "messages.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.write(encode(head) + "\n")
            for row in rows:
                file.write(encode(RecordMessage(stream=stream.name, record=row)) + "\n")
        destination.target = replace(before, input_file_path=str(path))
        try:
            with path.open("rb") as messages:
                destination._process(messages)  # noqa: SLF001 - Mage's hook
        finally:
            destination.target = before


def _types_listed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema whose types are lists.

    Mage's catalogs have them so, and its destinations look into them.
    """
    listed = dict(schema)
    if isinstance(listed.get("type"), str):
        listed["type"] = [listed["type"]]
    if isinstance(listed.get("properties"), Mapping):
        properties = dict(listed["properties"])
        for name, prop in properties.items():
            if isinstance(prop, Mapping):
                properties[name] = _types_listed(prop)
        listed["properties"] = properties
    if isinstance(listed.get("items"), Mapping):
        listed["items"] = _types_listed(listed["items"])
    return listed


# Which hooks there are


def overrides(destination: DestinationHooks, hook: str) -> bool:
    """Return whether a destination has a hook of its own."""
    base = reach("Destination")
    return getattr(type(destination), hook) is not getattr(base, hook)


def tags_taken(destination: DestinationHooks, tags: Tags) -> dict[str, Any]:
    """Return the argument `tags` where the destination's hook takes one: Mage's oldest do not."""
    taken = inspect.signature(destination.export_batch_data).parameters
    takes = "tags" in taken or any(p.kind is p.VAR_KEYWORD for p in taken.values())
    return {"tags": dict(tags or {})} if takes else {}

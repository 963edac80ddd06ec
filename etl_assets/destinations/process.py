"""A destination as a program: a Singer target that reads messages and passes states on, under Mage's names.

Standard output holds states and nothing else. These are verbs; the engine (`sync`, the assets) never calls them.
"""

import inspect
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejson

from etl_assets.destinations.arguments import TargetArguments, run_destination
from etl_assets.exceptions import ConfigError, ProtocolError
from etl_assets.protocol.batch import Batch
from etl_assets.protocol.columns import to_array
from etl_assets.protocol.load import Load
from etl_assets.protocol.schema import type_to_property
from etl_assets.protocol.stream import Stream
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    from etl_assets.destinations.base import Destination

_PER_STREAM = (
    "bookmark_properties", "disable_column_type_check", "key_properties", "partition_keys", "replication_methods",
    "schemas", "unique_conflict_methods", "unique_constraints", "versions",
)  # fmt: skip


class DestinationModes:
    """The verbs a destination has as a program, and the hooks Mage calls on the way.

    Attributes:
        schemas: The JSON Schema of each stream, as its SCHEMA message or the catalog says.
        key_properties: The primary key of each stream, and so on for the words of the SCHEMA message.
        versions: The newest ACTIVATE_VERSION of each stream.
    """

    target: TargetArguments = TargetArguments()
    """What was said beside the config."""

    schemas: Mapping[str, dict[str, Any]] = {}
    key_properties: Mapping[str, list[str]] = {}
    bookmark_properties: Mapping[str, list[str]] = {}
    unique_constraints: Mapping[str, list[str]] = {}
    unique_conflict_methods: Mapping[str, str | None] = {}
    replication_methods: Mapping[str, str | None] = {}
    partition_keys: Mapping[str, list[str]] = {}
    disable_column_type_check: Mapping[str, bool] = {}
    versions: Mapping[str, int] = {}

    @property
    def batch_processing(self) -> bool:
        """Whether many records are exported at once."""
        return self.target.batch_processing

    @property
    def state_file_path(self) -> str | None:
        """Where states are written, if not to standard output."""
        return self.target.state_file_path

    @property
    def debug(self) -> bool:
        """Whether more is logged."""
        return self.target.debug

    @property
    def streams_override_settings(self: Any) -> dict[str, Any]:
        """Mage's `_streams` of the config."""
        found: dict[str, Any] = self.config.get("_streams") or {}
        return found

    def process(self: Any, input_buffer: Iterable[bytes | str]) -> None:
        """Do what the arguments say: test the connection, show the templates, or load the messages of a buffer.

        Raises:
            ProtocolError: A line is no message, or is cut off; no state after it is passed on.
            DestinationError: Streams failed; names them, and its cause is the first one's error.
        """
        for name in _PER_STREAM:
            setattr(self, name, {})
        try:
            self.before_process()
            _run(self, input_buffer)
        finally:
            self.after_process()

    @classmethod
    def main(cls: Any, argv: Sequence[str] | None = None) -> None:
        """Run the destination as a program, by default with the command line of the process."""
        run_destination(cls, argv)

    def before_process(self) -> None:
        """Do what must come first; a hook."""

    def after_process(self) -> None:
        """Do what must come last, also after an error; a hook."""

    def process_schema(
        self: Any, stream: str, schema: dict[str, Any], row: Mapping[str, Any], tags: Mapping[str, Any] | None = None
    ) -> None:
        """Take a SCHEMA message (`row`); fills `schemas`, `key_properties` and the others."""
        del tags
        process_schema(self, stream, schema, row)

    def process_record(
        self: Any, stream: str, schema: dict[str, Any], row: Mapping[str, Any], tags: Mapping[str, Any] | None = None
    ) -> None:
        """Take one RECORD message (`row`) and export it alone: without `batch_processing`."""
        (record,) = prepared(self, stream, [row])
        self.export_data(stream=stream, schema=schema, record=record, tags=dict(tags or {}))

    def process_record_data(
        self: Any, record_data: Sequence[Mapping[str, Any]], stream: str, tags: Mapping[str, Any] | None = None
    ) -> None:
        """Check and export many records of one stream.

        Args:
            record_data: Dicts with `record`, or with the whole message as `row`.
            stream: The stream.
            tags: For logs.
        """
        export_records(self, stream, [item.get("row") or item for item in record_data], tags)

    def export_data(
        self: Any, stream: str, schema: dict[str, Any], record: dict[str, Any], tags: Any = None, **kwargs: Any
    ) -> None:
        """Export one record; by default as a batch of one."""
        del kwargs
        item = {"record": record, "schema": schema, "stream": stream, "tags": tags or {}}
        self.export_batch_data([item], stream, **tags_taken(self, tags))

    def process_state(self: Any, row: Mapping[str, Any], tags: Mapping[str, Any] | None = None) -> None:
        """Pass on a STATE message (`row`): everything before it is exported."""
        del tags
        emit_state(self, row["value"])

    def activate_version(self, stream: str, version: int) -> None:
        """Remove the rows of a stream that are older than a version; a hook.

        Raises:
            ConfigError: The destination cannot.
        """
        raise ConfigError(
            f"stream {stream!r}: its tap says that rows older than version {version} are gone, and "
            f"{type(self).__name__} cannot remove them.",
            hint="Override activate_version(stream, version), or keep them with `ignore_activate_version` in the "
            "config.",
            stream=stream,
        )

    def remove_duplicate_rows(self, row_data: list[dict[str, Any]], stream: str) -> list[dict[str, Any]]:
        """Give those of a batch's records to export: each a dict with `record`, the message as `row`, and `stream`.

        A hook: by default all, also where two have one key.
        """
        del stream
        return row_data

    @classmethod
    def templates(cls) -> dict[str, Any]:
        """Give the files of the folder `templates` beside the class, by name.

        Raises:
            ConfigError: There is no such folder.
        """
        folder = Path(inspect.getfile(cls)).parent / "templates"
        if not folder.is_dir():
            raise ConfigError(f"{cls.__name__} has no folder `templates` ({folder}).")
        return {path.stem: simplejson.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def process_schema(destination: "Destination", stream: str, schema: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Remember what a SCHEMA message says; a schema of the catalog wins over it.

    Raises:
        ProtocolError: It names no stream.
    """
    if not stream:
        raise ProtocolError("A SCHEMA message names no stream.")
    entries = (destination.target.catalog or {}).get("streams") or ()
    listed = next((e for e in entries if stream in (e.get("tap_stream_id"), e.get("stream")) and e.get("schema")), None)
    said: Mapping[str, Any] = {**row, **{key: value for key, value in (listed or {}).items() if value}}
    partitions = [*(said.get("partition_keys") or ()), *destination.streams_override_settings.get("partition_keys", ())]
    own: dict[str, Any] = listed["schema"] if listed else dict(schema)
    static = {
        # as its value is, so that the check of types takes it
        column: type_to_property(to_array([value], None, stream=stream, field=column).type)
        for column, value in static_columns(destination).items()
    }
    words: dict[str, Any] = {
        "schemas": {**own, "properties": {**(own.get("properties") or {}), **static}} if static else dict(own),
        "key_properties": list(said.get("key_properties") or ()),
        "bookmark_properties": list(row.get("bookmark_properties") or said.get("bookmark_properties") or ()),
        "unique_constraints": list(said.get("unique_constraints") or ()),
        "unique_conflict_methods": said.get("unique_conflict_method"),
        "replication_methods": said.get("replication_method"),
        "partition_keys": partitions,
        "disable_column_type_check": said.get("disable_column_type_check") is not False,
    }
    for name, value in words.items():
        getattr(destination, name)[stream] = value


def stream_of(destination: "Destination", name: str) -> Stream:
    """Give the stream that its SCHEMA message has described."""
    bookmarks = destination.bookmark_properties.get(name) or ()
    method = destination.replication_methods.get(name)
    if not bookmarks and method == "INCREMENTAL":
        method = None  # the tap keeps a bookmark of its own
    return Stream(
        name,
        schema=destination.schemas.get(name) or None,
        primary_key=destination.key_properties.get(name) or (),
        replication_key=bookmarks or None,
        replication_method=method,
        unique_constraints=destination.unique_constraints.get(name) or (),
        unique_conflict_method=destination.unique_conflict_methods.get(name),
        partition_keys=destination.partition_keys.get(name) or (),
        disable_column_type_check=destination.disable_column_type_check.get(name),
    )


def prepared(destination: "Destination", name: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the records of messages as a destination gets them: the same keys, in the schema's order.

    Raises:
        DataError: The stream asks for the check of types (`disable_column_type_check: false`), and a value is not of
            its type.
    """
    stream = stream_of(destination, name)
    batch = Batch(with_added_columns(destination, name, [row["record"] for row in rows]))
    if stream.disable_column_type_check is False:
        Batch(batch.rows).to_arrow(stream)
    return batch.to_rows(stream, native_types=destination.native_types)


def with_added_columns(
    destination: "Destination", name: str, records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Give records with the columns that the config adds: Mage's static ones, and those for the time of the export.

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
    """Give the columns that the config adds to all records: `_streams.columns`."""
    return dict(destination.streams_override_settings.get("columns") or {})


def joined(name: str, records: Sequence[Mapping[str, Any]], added: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give records with more columns.

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
    destination: "Destination", name: str, rows: Sequence[Mapping[str, Any]], tags: Mapping[str, Any] | None
) -> None:
    """Export records of one stream by whichever of the hooks the destination overrides."""
    records = prepared(destination, name, rows)
    if not records:
        return
    if overrides(destination, "export"):
        load = Load("", stream_of(destination, name), WriteStrategy.APPEND, str((tags or {}).get("load_id", "")))
        destination.export(Batch(records), load)
        return
    common = {"schema": destination.schemas.get(name) or {}, "stream": name, "tags": dict(tags or {})}
    items = [
        {"row": {"type": "RECORD", "stream": name, "record": record}, "record": record, **common} for record in records
    ]
    kept = destination.remove_duplicate_rows(items, name)
    if kept:
        data = [{"record": item["record"], "stream": name} for item in kept]
        destination.export_batch_data(data, name, **tags_taken(destination, tags))


def overrides(destination: "Destination", hook: str) -> bool:
    """Tell whether a destination has a hook of its own."""
    from etl_assets.destinations.base import Destination

    return getattr(type(destination), hook) is not getattr(Destination, hook)


def emit_state(destination: "Destination", value: Any) -> None:
    """Write a state as one line, to the state file (all of it or nothing) or to standard output."""
    line = simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=(",", ":")) + "\n"
    if destination.state_file_path is None:
        sys.stdout.write(line)
        sys.stdout.flush()
        return
    path = Path(destination.state_file_path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"The state file {str(path)!r} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _run(destination: "Destination", input_buffer: Iterable[bytes | str]) -> None:
    from etl_assets.destinations.target import load_messages

    arguments = destination.target
    if arguments.test_connection:
        destination.test_connection()
    elif arguments.show_templates:
        sys.stdout.write(simplejson.dumps(destination.templates()) + "\n")
    elif arguments.input_file_path:
        try:
            file = Path(arguments.input_file_path).open("rb")  # noqa: SIM115 - closed below; only the opening may fail here
        except OSError as error:
            raise ConfigError(f"The file {arguments.input_file_path!r} cannot be read: {error.strerror}.") from error
        with file:
            load_messages(destination, file)
    else:
        load_messages(destination, input_buffer)


def tags_taken(destination: "Destination", tags: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the argument `tags` where the destination's hook takes one: Mage's oldest do not."""
    taken = inspect.signature(destination.export_batch_data).parameters
    takes = "tags" in taken or any(p.kind is p.VAR_KEYWORD for p in taken.values())
    return {"tags": dict(tags or {})} if takes else {}

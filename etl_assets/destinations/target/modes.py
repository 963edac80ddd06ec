"""A destination as a program: a Singer target that reads messages and passes states on.

The names are Mage's. Standard output holds states and nothing else. These are verbs; the engine
(`sync`, the assets) never calls them.
"""

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejson

from etl_assets.destinations.target.arguments import TargetArguments
from etl_assets.destinations.target.program import run_destination
from etl_assets.exceptions import ConfigError, ProtocolError
from etl_assets.redaction.errors import masked_errors

if TYPE_CHECKING:
    from etl_assets.destinations.target.hooks import DestinationHooks, Tags


class DestinationModes:
    """The verbs a destination has as a program, and the hooks Mage calls on the way.

    Attributes:
        schemas: The JSON Schema of each stream, as its SCHEMA message or the catalog says.
        key_properties: The primary key of each stream, and so on for the words of the SCHEMA
            message.
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
    batches_of_streams: Mapping[str, tuple[str, int]] = {}
    """Of each stream of an asset the load that came last, and the number of its last batch."""

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
    def catalog(self) -> Mapping[str, Any] | None:
        """The catalog whose schemas win over those of SCHEMA messages."""
        return self.target.catalog

    @property
    def streams_from_catalog(self) -> dict[str, Any]:
        """Its entries, by the stream's name."""
        entries = (self.target.catalog or {}).get("streams") or ()
        return {entry.get("tap_stream_id") or entry.get("stream"): entry for entry in entries}

    @property
    def input_file_path(self) -> str | None:
        """Where messages are read from, if not from the buffer."""
        return self.target.input_file_path

    @property
    def config_file_path(self) -> str | None:
        """Where the config was read from."""
        return self.target.config_file_path

    @property
    def should_test_connection(self) -> bool:
        """Whether `process` only tests the connection."""
        return self.target.test_connection

    @should_test_connection.setter
    def should_test_connection(self, value: bool) -> None:
        self.target = replace(self.target, test_connection=value)

    @property
    def show_templates(self) -> bool:
        """Whether `process` only prints the templates."""
        return self.target.show_templates

    @property
    def streams_override_settings(self: "DestinationHooks") -> dict[str, Any]:
        """Mage's `_streams` of the config."""
        found: dict[str, Any] = self.config.get("_streams") or {}
        return found

    def process(self: Any, input_buffer: Iterable[bytes | str]) -> None:
        """Do what the arguments say: test the connection, show the templates, or load messages.

        Raises:
            ProtocolError: A line is no message, or is cut off; no state after it is passed on.
            DestinationError: Streams failed; names them, and its cause is the first one's error.
        """
        from etl_assets.destinations.target.words import begin_streams

        with masked_errors():
            begin_streams(self)
            try:
                self.before_process()
                if self.should_test_connection:
                    self.test_connection()
                elif self.show_templates:
                    sys.stdout.write(simplejson.dumps(self.templates()) + "\n")
                else:
                    self._process(input_buffer)
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
        self: "DestinationHooks",
        stream: str,
        schema: dict[str, Any],
        row: Mapping[str, Any],
        tags: "Tags" = None,
    ) -> None:
        """Take a SCHEMA message (`row`); fills `schemas`, `key_properties` and the others."""
        from etl_assets.destinations.target.words import process_schema

        del tags
        process_schema(self, stream, schema, row)

    def process_record(
        self: "DestinationHooks",
        stream: str,
        schema: dict[str, Any],
        row: Mapping[str, Any],
        tags: "Tags" = None,
    ) -> None:
        """Take one RECORD message (`row`) and export it alone: without `batch_processing`."""
        from etl_assets.destinations.target.rows import prepared

        (record,) = prepared(self, stream, [row])
        self.export_data(stream=stream, schema=schema, record=record, tags=dict(tags or {}))

    def process_record_data(
        self: "DestinationHooks",
        record_data: Sequence[Mapping[str, Any]],
        stream: str,
        tags: "Tags" = None,
    ) -> None:
        """Check and export many records of one stream.

        Args:
            record_data: Dicts with `record`, or with the whole message as `row`.
            stream: The stream.
            tags: For logs.
        """
        from etl_assets.destinations.target.rows import export_records

        export_records(self, stream, [item.get("row") or item for item in record_data], tags)

    def export_data(
        self: "DestinationHooks",
        stream: str,
        schema: dict[str, Any],
        record: dict[str, Any],
        tags: Any = None,
        **kwargs: Any,
    ) -> None:
        """Export one record; by default as a batch of one."""
        from etl_assets.destinations.target.rows import tags_taken

        del kwargs
        item = {"record": record, "schema": schema, "stream": stream, "tags": tags or {}}
        self.export_batch_data([item], stream, **tags_taken(self, tags))

    def process_state(
        self: "DestinationHooks", row: Mapping[str, Any], tags: "Tags" = None
    ) -> None:
        """Pass on a STATE message (`row`): everything before it is exported."""
        del tags
        if row.get("value") is None:
            raise ProtocolError("A STATE message has no value.")
        self._emit_state(row["value"])

    def _emit_state(self: "DestinationHooks", state: Any) -> None:
        """Write a state to the state file, or to standard output; a hook."""
        from etl_assets.destinations.target.states import emit_state

        emit_state(self, state)

    def _process(self: "DestinationHooks", input_buffer: Iterable[bytes | str]) -> None:
        """Load the messages of a buffer, or of the file that the arguments name; a hook."""
        from etl_assets.destinations.target.load import load_lines

        load_lines(self, input_buffer)

    def activate_version(self, stream: str, version: int) -> None:
        """Remove the rows of a stream that are older than a version; a hook.

        Raises:
            ConfigError: The destination cannot.
        """
        raise ConfigError(
            f"stream {stream!r}: its tap says that rows older than version {version} are gone, and "
            f"{type(self).__name__} cannot remove them.",
            hint="Override activate_version(stream, version), or keep them with "
            "`ignore_activate_version` in the config.",
            stream=stream,
        )

    def remove_duplicate_rows(
        self, row_data: list[dict[str, Any]], stream: str
    ) -> list[dict[str, Any]]:
        """Return those of a batch's records that are to be exported; a hook.

        By default these are all of them, also where two have the same key.

        Args:
            row_data: Dicts with `record`, the message as `row`, and `stream`.
            stream: The stream.
        """
        del stream
        return row_data

    @classmethod
    def templates(cls) -> dict[str, Any]:
        """Return the files of the folder `templates` beside the class, by name.

        Raises:
            ConfigError: There is no such folder.
        """
        folder = Path(inspect.getfile(cls)).parent / "templates"
        if not folder.is_dir():
            raise ConfigError(f"{cls.__name__} has no folder `templates` ({folder}).")
        return {
            path.stem: simplejson.loads(path.read_text("utf-8"))
            for path in sorted(folder.glob("*.json"))
        }

"""A destination as the modes of its program see it.

The base class of destinations has these modes, so they know it by its structure and do not import
it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from etl_assets.destinations.target.arguments import TargetArguments
from etl_assets.logs import Logger
from etl_assets.model.batch import Batch
from etl_assets.model.load import Capabilities, Load, Session
from etl_assets.model.stored import Stored, TableName
from etl_assets.model.stream import Stream

Tags = Mapping[str, Any] | None
"""Words for the log."""


class StreamWords(Protocol):
    """What a destination has been told of its streams, by their names, in Mage's attributes."""

    schemas: Mapping[str, dict[str, Any]]
    key_properties: Mapping[str, list[str]]
    bookmark_properties: Mapping[str, list[str]]
    unique_constraints: Mapping[str, list[str]]
    unique_conflict_methods: Mapping[str, str | None]
    replication_methods: Mapping[str, str | None]
    partition_keys: Mapping[str, list[str]]
    disable_column_type_check: Mapping[str, bool]
    versions: Mapping[str, int]
    batches_of_streams: Mapping[str, tuple[str, int]]


class DestinationHooks(StreamWords, Protocol):
    """The hooks of a destination, and what it says about itself."""

    capabilities: Capabilities
    target: TargetArguments
    logger: Logger
    json_numbers: bool

    @property
    def native_types(self) -> bool:
        """Whether the hooks get Python's own values instead of JSON's."""
        ...

    @property
    def config(self) -> dict[str, Any]:
        """The config with its references resolved."""
        ...

    @config.setter
    def config(self, value: Mapping[str, Any]) -> None: ...

    @property
    def batch_processing(self) -> bool:
        """Whether many records are exported at once."""
        ...

    @property
    def input_file_path(self) -> str | None:
        """Where messages are read from, if not from the buffer."""
        ...

    @property
    def state_file_path(self) -> str | None:
        """Where states are written, if not to standard output."""
        ...

    @property
    def streams_override_settings(self) -> dict[str, Any]:
        """Mage's `_streams` of the config."""
        ...

    # As a destination

    def test_connection(self) -> None:
        """Raise an error that says what is wrong if the destination cannot be reached."""

    def session(self, loads: Sequence[Load]) -> AbstractContextManager[Session]:
        """Open a session."""
        ...

    def stored(
        self, source: str, stream: Stream, *, table: TableName | None = None, partition: str = ""
    ) -> Stored:
        """Return what is known of a stream."""
        ...

    def export(self, batch: Batch, load: Load) -> None:
        """Take a batch in columns."""

    def export_batch_data(
        self, record_data: list[dict[str, Any]], stream: str, tags: Tags = None
    ) -> None:
        """Take a batch of records."""

    # As a program

    def process(self, input_buffer: Iterable[bytes | str]) -> None:
        """Do what the arguments say."""

    def _process(self, input_buffer: Iterable[bytes | str]) -> None:
        """Load the messages of a buffer, or of the file that the arguments name."""

    def process_schema(
        self, stream: str, schema: dict[str, Any], row: Mapping[str, Any], tags: Tags = None
    ) -> None:
        """Take a SCHEMA message."""

    def process_record(
        self, stream: str, schema: dict[str, Any], row: Mapping[str, Any], tags: Tags = None
    ) -> None:
        """Take one RECORD message."""

    def process_record_data(
        self, record_data: Sequence[Mapping[str, Any]], stream: str, tags: Tags = None
    ) -> None:
        """Take many records of one stream."""

    def export_data(
        self,
        stream: str,
        schema: dict[str, Any],
        record: dict[str, Any],
        tags: Any = None,
        **kwargs: Any,
    ) -> None:
        """Export one record."""

    def process_state(self, row: Mapping[str, Any], tags: Tags = None) -> None:
        """Pass on a STATE message."""

    def _emit_state(self, state: Any) -> None:
        """Write a state."""

    def activate_version(self, stream: str, version: int) -> None:
        """Remove the rows of a stream that are older than a version."""

    def remove_duplicate_rows(
        self, row_data: list[dict[str, Any]], stream: str
    ) -> list[dict[str, Any]]:
        """Return those of a batch's records that are to be exported."""
        ...

"""A source that is somebody else's program: what Airbyte sources and Singer taps have in common."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from typing_extensions import override

from etl_assets.callbacks import ConfigChangeCallback
from etl_assets.connectors.executors import Executor
from etl_assets.connectors.hosts import ConnectorHost
from etl_assets.connectors.process import ConnectorProcess, Limits
from etl_assets.exceptions import ConfigError, ConnectorError
from etl_assets.model.batch import Batch
from etl_assets.model.catalog import Catalog
from etl_assets.model.events import Checkpoint, Records, SourceState, StreamEnd, Truncate
from etl_assets.model.schema.type_overrides import types_of
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.naming import normalise
from etl_assets.redaction.logs import masked_logger
from etl_assets.sources import selecting
from etl_assets.sources.base import Source


class ConnectorSource(ConnectorHost, Source):
    """A connector that runs as a process.

    Args:
        executor: Starts it.
        name: The connector's, such as `source-faker` or `tap-jsonl`.
        config: Its config; values may be references, also nested.
        config_change_callback: Called with the whole new config when the connector changes it.
        streams: Names of the streams that are selected; `"*"` or None for all. Looked up when the
            first is read.
        validate: Check the config against the connector's specification now: starts it.
        source_name: Unique in a project, the name under which state is stored; without one, assets
            have the connector's name as a word.
        limits: Of time and size.
        cursor_key_overrides: By stream, the field to read it by, as `set_cursor_keys` sets it.
        primary_key_overrides: By stream, the fields of its key, as `set_primary_keys` sets them.
        types: By stream, the types of fields that the connector is wrong about; see `Stream`.
        options: The rest of what a source takes: `catalog`, ...

    Raises:
        ConnectorConfigInvalidError: The config is to be checked, and is not what the specification
            asks for.
    """

    granularity: Literal["stream", "source"] = "source"
    is_sorted = False  # nothing is ever derived from the values of its rows
    runs_ahead = True
    protocol: ClassVar[str]

    def __init__(  # noqa: PLR0913 - PyAirbyte's arguments, and ours
        self,
        executor: Executor,
        name: str,
        config: Mapping[str, Any] | None = None,
        *,
        config_change_callback: ConfigChangeCallback | None = None,
        streams: str | Sequence[str] | None = None,
        validate: bool = False,
        source_name: str | None = None,
        limits: Limits | None = None,
        cursor_key_overrides: Mapping[str, str] | None = None,
        primary_key_overrides: Mapping[str, str | Sequence[str]] | None = None,
        types: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        self.types = {name: types_of(fields, name) for name, fields in (types or {}).items()}
        names = [streams] if isinstance(streams, str) else streams
        chosen = None if names is None or list(names) == ["*"] else names
        super().__init__(
            config=config, name=source_name or normalise(name), selected_streams=chosen, **options
        )
        self.name = source_name or name
        self.executor = executor
        self.connector_name = name
        self.is_named = source_name is not None
        self.config_change_callback = config_change_callback
        self.limits = limits or Limits()
        self.logger = masked_logger(options.get("logger") or f"etl_assets.connectors.{self.name}")
        self._discovered: Catalog | None = None
        self.keys_to_set = {
            "replication_key": cursor_key_overrides or {},
            "primary_key": primary_key_overrides or {},
        }
        if streams is not None:
            selecting.select_later(self, streams)
        if validate and config is not None:
            self.validate_config()

    @property
    @override
    def state_name(self) -> str | None:
        """Its name, or the connector's as a word: `source_faker`."""
        return normalise(self.connector_name) if self.name == self.connector_name else self.name

    @override
    def _forget(self) -> None:
        self._discovered = None

    @override
    def discover(self, streams: Sequence[str] | None = None) -> Catalog:
        """Ask the connector for its streams, once. Starts it.

        Raises:
            ConnectorError: It fails; the end of its log is told.
        """
        if self._discovered is None:
            self._discovered = Catalog(
                [self._typed(stream) for stream in self._discover().values()]
            )
        found = self._discovered
        return Catalog(found.select(streams)) if streams else found

    def _typed(self, stream: Stream) -> Stream:
        """Return a stream with the types that were set for it."""
        types = self.types.get(stream.full_name) or self.types.get(stream.name)
        return stream.replace(types={**types, **stream.types}) if types else stream

    def _discover(self) -> Catalog:
        raise NotImplementedError(f"{type(self).__name__} must override _discover.")

    @override
    def load_data(
        self,
        stream: Stream,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Read one stream by a process of its own; for samples and checks."""
        del query, kwargs
        state = SourceState(streams={stream.key: bookmarks} if bookmarks else {})
        ended = False
        for event in self.load_streams([stream], state):
            match event:
                case Records(batch=batch):
                    yield batch
                case Checkpoint(state=bookmark) if bookmark is not None:
                    yield Batch([], bookmark=bookmark)
                case StreamEnd(complete=complete, error=error):
                    ended = complete
                    if error is not None:
                        raise error
                case Truncate():
                    raise ConfigError(
                        f"stream {stream.name!r}: its source replaces rows, which a read of one "
                        "stream cannot say.",
                        hint='Read it with granularity="source".',
                        stream=stream.name,
                    )
        if not ended:
            raise ConnectorError(
                f"stream {stream.name!r}: the connector did not complete it.", stream=stream.name
            )

    def completed(self, streams: Sequence[Stream]) -> list[Stream]:
        """Return the streams with what the connector says of those that were only named.

        It is asked only if there are such streams.

        Raises:
            ConfigError: It has no such stream.
        """
        if all(stream.schema for stream in streams):
            return [self._typed(stream) for stream in streams]
        found = self.discover()
        return [
            self._typed(stream if stream.schema else _completed(stream, found.get(*_names(stream))))
            for stream in streams
        ]

    # Processes

    def _start(
        self, *arguments: str, files: Mapping[str, Any], limits: Limits | None = None
    ) -> ConnectorProcess:
        return self.executor.start(
            *arguments, files=files, limits=limits or self.limits, logger=self.logger
        )


def _names(stream: Stream) -> tuple[str, str | None]:
    return stream.name, stream.namespace


def _completed(named: Stream, found: Stream) -> Stream:
    """Return the discovered stream, read and keyed as it was declared."""
    return found.replace(
        primary_key=named.primary_key or found.primary_key,
        replication_method=named.method,
        replication_key=named.replication_key or found.replication_key,
        columns=named.columns,
        types=named.types,
        unique_constraints=named.unique_constraints or found.unique_constraints,
        unique_conflict_method=named.unique_conflict_method or found.unique_conflict_method,
        stream_alias=named.stream_alias or found.stream_alias,
    )

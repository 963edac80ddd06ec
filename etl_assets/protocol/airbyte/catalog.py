"""Catalogs in Airbyte's shape, as scripts written for PyAirbyte look at them."""

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from etl_assets.model.catalog import Catalog
from etl_assets.model.key_paths import name_of
from etl_assets.model.stream import Stream
from etl_assets.protocol.airbyte.messages import key_paths_of

_MODES = {True: ["full_refresh", "incremental"], False: ["full_refresh"]}


class AirbyteStream(BaseModel):
    """A stream as a connector has it."""

    model_config = ConfigDict(extra="allow")

    name: str
    json_schema: dict[str, Any] = Field(default_factory=dict)
    supported_sync_modes: list[str] = Field(default_factory=lambda: ["full_refresh"])
    source_defined_cursor: bool | None = None
    default_cursor_field: list[str] | None = None
    source_defined_primary_key: list[list[str]] | None = None
    namespace: str | None = None

    @classmethod
    def of(cls, stream: Stream) -> Self:
        """Make it of one of our streams."""
        incremental = stream.method != "FULL_TABLE"
        paths = {name_of(path): path for path in key_paths_of(stream)}
        primary_key = [paths.get(key, [key]) for key in stream.primary_key]
        return cls(
            name=stream.name,
            json_schema=stream.schema or {},
            supported_sync_modes=_MODES[incremental],
            source_defined_cursor=incremental or None,
            default_cursor_field=list(stream.cursor) or None,
            source_defined_primary_key=primary_key or None,
            namespace=stream.namespace,
        )


class ConfiguredAirbyteStream(BaseModel):
    """A stream that is read, and how."""

    stream: AirbyteStream
    sync_mode: str
    destination_sync_mode: str = "overwrite"
    cursor_field: list[str] | None = None
    primary_key: list[list[str]] | None = None

    @classmethod
    def of(cls, stream: Stream, *, full_refresh: bool = False) -> Self:
        """Make it of one of our streams."""
        found = AirbyteStream.of(stream)
        incremental = not full_refresh and "incremental" in found.supported_sync_modes
        return cls(
            stream=found,
            sync_mode="incremental" if incremental else "full_refresh",
            cursor_field=found.default_cursor_field,
            primary_key=found.source_defined_primary_key,
        )


class AirbyteCatalog(BaseModel):
    """The streams of a connector."""

    streams: list[AirbyteStream]

    @classmethod
    def of(cls, catalog: Catalog) -> Self:
        """Make it of one of our catalogs."""
        return cls(streams=[AirbyteStream.of(stream) for stream in catalog.values()])


class ConfiguredAirbyteCatalog(BaseModel):
    """The streams that are read."""

    streams: list[ConfiguredAirbyteStream]

    @classmethod
    def of(cls, streams: Iterable[Stream], *, full_refresh: bool = False) -> Self:
        """Make it of some of our streams."""
        made = [ConfiguredAirbyteStream.of(one, full_refresh=full_refresh) for one in streams]
        return cls(streams=made)


class StreamDescriptor(BaseModel):
    """Which stream."""

    name: str
    namespace: str | None = None


class AirbyteStreamState(BaseModel):
    """The state of one stream."""

    stream_descriptor: StreamDescriptor
    stream_state: Any = None

    @classmethod
    def of(cls, name: str, state: Any) -> Self:
        """Make it of a bookmark."""
        return cls(stream_descriptor=StreamDescriptor(name=name), stream_state=dict(state))


class AirbyteStateMessage(BaseModel):
    """A STATE message of one stream."""

    type: str = "STREAM"
    stream: AirbyteStreamState

"""What knows how streams are read, by PyAirbyte's names."""

from typing import Any, Self

from etl_assets.exceptions import InputError
from etl_assets.protocol.airbyte.catalog import (
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
)
from etl_assets.strategies import WriteMethod, WriteStrategy

_MODES = {
    WriteStrategy.APPEND: "append",
    WriteStrategy.MERGE: "append_dedup",
    WriteStrategy.REPLACE: "overwrite",
}


class CatalogProvider:
    """A configured catalog, by stream.

    Args:
        configured_catalog: The catalog.
    """

    def __init__(self, configured_catalog: ConfiguredAirbyteCatalog) -> None:
        self._catalog = configured_catalog

    @classmethod
    def from_read_result(cls, read_result: Any) -> Self:
        """Make it of what was read into a cache."""
        streams = [dataset.stream_metadata for dataset in read_result.streams.values()]
        return cls(
            ConfiguredAirbyteCatalog(
                streams=[
                    ConfiguredAirbyteStream(
                        stream=AirbyteStream.of(stream), sync_mode="full_refresh"
                    )
                    for stream in streams
                ]
            )
        )

    @property
    def configured_catalog(self) -> ConfiguredAirbyteCatalog:
        """The catalog."""
        return self._catalog

    @property
    def stream_names(self) -> list[str]:
        """The names of its streams."""
        return [each.stream.name for each in self._catalog.streams]

    def get_configured_stream_info(self, stream_name: str) -> ConfiguredAirbyteStream:
        """Return one stream.

        Raises:
            InputError: There is no such stream.
        """
        for each in self._catalog.streams:
            if each.stream.name == stream_name:
                return each
        raise InputError(
            f"The catalog has no stream {stream_name!r}.",
            input_value=stream_name,
            stream=stream_name,
        )

    def get_stream_json_schema(self, stream_name: str) -> dict[str, Any]:
        """Return the JSON Schema of a stream."""
        return self.get_configured_stream_info(stream_name).stream.json_schema

    def get_primary_keys(self, stream_name: str) -> list[str]:
        """Return the primary key of a stream."""
        return [path[-1] for path in self.get_configured_stream_info(stream_name).primary_key or ()]

    def get_cursor_key(self, stream_name: str) -> str | None:
        """Return the field by which a stream is read incrementally, or None."""
        path = self.get_configured_stream_info(stream_name).cursor_field
        return path[-1] if path else None

    def get_stream_properties(self, stream_name: str) -> dict[str, Any]:
        """Return the properties of a stream's JSON Schema."""
        found: dict[str, Any] = self.get_stream_json_schema(stream_name).get("properties") or {}
        return found

    def resolve_write_method(self, stream_name: str, write_strategy: WriteStrategy) -> WriteMethod:
        """Return what a strategy stands for.

        `auto` merges by a primary key, appends by a cursor, and replaces otherwise.
        """
        if write_strategy is not WriteStrategy.AUTO:
            return WriteMethod(write_strategy.value)
        if self.get_primary_keys(stream_name):
            return WriteMethod.MERGE
        return WriteMethod.APPEND if self.get_cursor_key(stream_name) else WriteMethod.REPLACE

    def with_write_strategy(self, write_strategy: WriteStrategy) -> "CatalogProvider":
        """Return a copy with the destination's mode for a strategy.

        `auto` goes by the keys of each stream.
        """

        def mode(each: ConfiguredAirbyteStream) -> str:
            if write_strategy is not WriteStrategy.AUTO:
                return _MODES[write_strategy]
            if each.primary_key:
                return _MODES[WriteStrategy.MERGE]
            return _MODES[
                WriteStrategy.APPEND if each.sync_mode == "incremental" else WriteStrategy.REPLACE
            ]

        streams = [
            each.model_copy(update={"destination_sync_mode": mode(each)})
            for each in self._catalog.streams
        ]
        return CatalogProvider(ConfiguredAirbyteCatalog(streams=streams))

"""PyAirbyte's verbs of a source: what a script calls. The engine (`sync`, the assets) never calls them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from etl_assets.datasets import InMemoryDataset, LazyDataset
from etl_assets.protocol.catalog import Catalog
from etl_assets.sources import configuring, reading, selecting
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    from etl_assets.documents import Document
    from etl_assets.results import ReadResult


class ConfigVerbs:
    """About the config: what it is, what it can be, whether it works."""

    connector_type: str = "source"

    @property
    def config_spec(self) -> dict[str, Any]:
        """The JSON Schema of the config; `{}` for a source that says nothing about it."""
        return configuring.spec_of(self)

    @property
    def config_hash(self) -> str | None:
        """A one-way hash of the config with its secrets; None where there is none, or it cannot be hashed."""
        return configuring.hash_of(self)

    @property
    def docs_url(self: Any) -> str:
        """Where the connector is documented."""
        word = (getattr(self, "connector_name", None) or self.name or "").lower()
        return f"https://docs.airbyte.com/integrations/sources/{word.removeprefix('source-')}"

    @property
    def connector_version(self) -> str | None:
        """The connector's version, where it has one of its own."""
        return None

    def set_config(self, config: Mapping[str, Any], *, validate: bool = True) -> None:
        """Take a config; streams that were selected before there was one are selected now.

        Raises:
            ConnectorConfigInvalidError: It is not what `config_spec` asks for.
        """
        configuring.set_config(self, config, validate=validate)

    def get_config(self) -> dict[str, Any]:
        """Give the config, with references as they were given.

        Raises:
            ConnectorConfigMissingError: There is none yet.
        """
        return configuring.get_config(self)

    def validate_config(self, config: Mapping[str, Any] | None = None) -> None:
        """Check a config, by default the source's own, against `config_spec`.

        Raises:
            ConnectorConfigInvalidError: Names the place and the rule; never shows the value.
        """
        configuring.validate(self, config)

    def print_config_spec(
        self,
        format: Literal["yaml", "json"] = "yaml",  # noqa: A002 - PyAirbyte's name
        *,
        output_file: Path | str | None = None,
        stderr: bool = False,
    ) -> None:
        """Print `config_spec`, or write it to a file."""
        configuring.print_spec(self, format, output_file=output_file, stderr=stderr)

    def check(self) -> None:
        """Connect, and say that it worked.

        Raises:
            ConnectorCheckFailedError: It did not; its cause says why.
        """
        configuring.check(self)

    def install(self) -> None:
        """Install the connector, where it is one that can be."""

    def uninstall(self) -> None:
        """Remove the connector, where it was installed."""


class StreamVerbs:
    """About the streams: which there are, which are selected, by which keys."""

    def get_available_streams(self) -> list[str]:
        """Give the names of all streams. May connect."""
        return selecting.available(self)

    @property
    def discovered_catalog(self) -> Any:
        """All streams, asked for once."""
        return selecting.discovered(self)

    @property
    def configured_catalog(self) -> Any:
        """The streams that are read, and how."""
        return selecting.configured(self, None)

    def get_configured_catalog(
        self, streams: Sequence[str] | Literal["*"] | None = None, *, force_full_refresh: bool = False
    ) -> Any:
        """Give streams and how they are read; by default the selected ones.

        Raises:
            InputError: One of them is not there.
        """
        return selecting.configured(self, streams, full_refresh=force_full_refresh)

    def get_stream_json_schema(self, stream_name: str) -> dict[str, Any]:
        """Give the JSON Schema of a stream.

        Raises:
            InputError: There is no such stream, or there are two in different namespaces.
        """
        return selecting.schema_of(self, stream_name)

    def select_streams(self, streams: str | Sequence[str]) -> None:
        """Select the streams to read, in place of those selected before; `"*"` for all.

        Raises:
            StreamNotFoundError: There is no such stream.
        """
        selecting.select(self, streams)

    def select_all_streams(self) -> None:
        """Select all streams."""
        selecting.select(self, "*")

    def set_streams(self, streams: Sequence[str]) -> None:
        """Select streams, by the old name of `select_streams`."""
        selecting.select_by_old_name(self, streams)

    def get_selected_streams(self) -> list[str]:
        """Give the names of the selected streams; [] where none was selected, and so all are read."""
        return selecting.selected_names(self)

    def set_cursor_key(self, stream_name: str, cursor_key: str) -> None:
        """Read a stream incrementally by this field."""
        self.set_cursor_keys(**{stream_name: cursor_key})

    def set_cursor_keys(self, **kwargs: str) -> None:
        """Read streams incrementally by these fields, by the streams' names."""
        selecting.set_keys(self, "replication_key", kwargs)

    def set_primary_key(self, stream_name: str, primary_key: str | list[str]) -> None:
        """Tell the rows of a stream apart by these fields."""
        self.set_primary_keys(**{stream_name: primary_key})

    def set_primary_keys(self, **kwargs: str | list[str]) -> None:
        """Tell the rows of streams apart by these fields, by the streams' names."""
        selecting.set_keys(self, "primary_key", kwargs)


class ReadVerbs:
    """Reading: one by one, as documents, as samples, into a cache, as assets."""

    def read(
        self,
        cache: Any = None,
        *,
        streams: str | Sequence[str] | None = None,
        write_strategy: str | WriteStrategy = WriteStrategy.AUTO,
        force_full_refresh: bool = False,
        skip_validation: bool = False,
    ) -> "ReadResult":
        """Read streams into a cache, each from where it ended.

        Args:
            cache: Where to; `get_default_cache()` by default.
            streams: Which; by default the selected ones, and all where none is selected.
            write_strategy: How rows meet the table. `auto`: merge by a primary key, append by a replication key, else
                replace.
            force_full_refresh: Read everything and replace the tables.
            skip_validation: Do not check the config first.

        Raises:
            EtlAssetsError: Streams failed; the others are in the cache.
        """
        return reading.read(
            self,
            cache,
            streams=streams,
            write_strategy=write_strategy,
            full_refresh=force_full_refresh,
            skip_validation=skip_validation,
        )

    def get_records(
        self,
        stream: str,
        *,
        limit: int | None = None,
        normalize_field_names: bool = False,
        prune_undeclared_fields: bool = True,
    ) -> LazyDataset:
        """Give the records of a stream, read from its beginning as they are asked for; no state is used or moved.

        Args:
            stream: The stream.
            limit: At most so many.
            normalize_field_names: Use the names that columns have in a table.
            prune_undeclared_fields: Leave fields out that the stream does not declare.

        Raises:
            InputError: There is no such stream.
        """
        return reading.records(
            self, stream, limit=limit, normalize=normalize_field_names, prune=prune_undeclared_fields
        )

    def get_documents(
        self,
        stream: str,
        title_property: str | None = None,
        content_properties: Sequence[str] | None = None,
        metadata_properties: Sequence[str] | None = None,
        *,
        render_metadata: bool = False,
    ) -> "Iterable[Document]":
        """Give the records of a stream as documents; see `DatasetBase.to_documents`."""
        return self.get_records(stream).to_documents(
            title_property, content_properties, metadata_properties, render_metadata=render_metadata
        )

    def get_samples(
        self,
        streams: Sequence[str] | Literal["*"] | None = None,
        *,
        limit: int = 5,
        on_error: Literal["raise", "ignore", "log"] = "raise",
    ) -> dict[str, InMemoryDataset | None]:
        """Give the first records of streams, by name.

        Args:
            streams: Which; by default the selected ones.
            limit: How many of each.
            on_error: What becomes of a stream that fails: raise, or give None in its place, with or without a log line.
        """
        return reading.samples(self, streams, limit=limit, on_error=on_error)

    def print_samples(
        self,
        streams: Sequence[str] | Literal["*"] | None = None,
        *,
        limit: int = 5,
        on_error: Literal["raise", "ignore", "log"] = "log",
    ) -> None:
        """Print the first records of streams as tables."""
        reading.print_samples(self.get_samples(streams, limit=limit, on_error=on_error))

    def to_assets(self, **options: Any) -> Any:
        """Give the streams as Dagster assets; see `stream_assets`."""
        from importlib import import_module

        # By its path: what is above this layer is only known when it is asked for.
        return import_module("etl_assets.assets.factory").stream_assets(self, **options)


class Verbs(ConfigVerbs, StreamVerbs, ReadVerbs):
    """All of PyAirbyte's verbs of a source.

    Attributes:
        needs_config: It can do nothing without a config.
        config_is_missing: None was given.
        found_catalog: What `discover` gave.
        picked: The names of the selected streams.
        to_select: What is to be selected as soon as there is a config.
        set_words: Keys that were set by hand, by the stream's full name.
    """

    needs_config: bool = False
    config_is_missing: bool = False
    found_catalog: Catalog | None = None
    picked: Sequence[str] = ()
    to_select: str | Sequence[str] | None = None
    set_words: Mapping[str, Mapping[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept open between two verbs."""

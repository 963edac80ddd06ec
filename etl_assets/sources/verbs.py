"""PyAirbyte's verbs of a source: what a script calls.

The engine (`sync`, the assets) never calls them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from typing_extensions import override

from etl_assets._connector_base import ConnectorBase
from etl_assets.arguments import COUNT, FLAG, KEY, NAMES, STREAM, TEXT, checked
from etl_assets.registry import reach
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    from etl_assets.datasets import InMemoryDataset, LazyDataset
    from etl_assets.documents import Document
    from etl_assets.model.catalog import Catalog
    from etl_assets.results import ReadResult


class StreamVerbs:
    """About the streams: which there are, which are selected, by which keys."""

    def get_available_streams(self) -> list[str]:
        """Return the names of all streams. May connect."""
        from etl_assets.sources import selecting

        return selecting.available(self)

    @property
    def discovered_catalog(self) -> Any:
        """All streams, asked for once."""
        from etl_assets.sources import selecting

        return selecting.discovered(self)

    @property
    def configured_catalog(self) -> Any:
        """The streams that are read, and how."""
        from etl_assets.sources import selecting

        return selecting.configured(self, None)

    @checked()
    def get_configured_catalog(
        self,
        streams: Sequence[str] | Literal["*"] | None = None,
        *,
        force_full_refresh: bool = False,
    ) -> Any:
        """Return streams and how they are read; by default the selected ones.

        Raises:
            InputError: One of them is not there.
        """
        from etl_assets.sources import selecting

        return selecting.configured(self, streams, full_refresh=force_full_refresh)

    def get_stream_json_schema(self, stream_name: str) -> dict[str, Any]:
        """Return the JSON Schema of a stream.

        Raises:
            InputError: There is no such stream, or there are two in different namespaces.
        """
        from etl_assets.sources import selecting

        return selecting.schema_of(self, stream_name)

    @checked()
    def select_streams(self, streams: str | Sequence[str]) -> None:
        """Select the streams to read, in place of those selected before; `"*"` for all.

        Raises:
            StreamNotFoundError: There is no such stream.
        """
        from etl_assets.sources import selecting

        selecting.select(self, streams)

    def select_all_streams(self) -> None:
        """Select all streams."""
        from etl_assets.sources import selecting

        selecting.select(self, "*")

    def set_streams(self, streams: Sequence[str]) -> None:
        """Select streams, by the old name of `select_streams`."""
        from etl_assets.sources import selecting

        selecting.select_by_old_name(self, streams)

    def get_selected_streams(self) -> list[str]:
        """Return the names of the selected streams.

        [] where none was: the declared ones are read then, else all.
        """
        from etl_assets.sources import selecting

        return selecting.selected_names(self)

    @checked(stream_name=STREAM, cursor_key=KEY)
    def set_cursor_key(self, stream_name: str, cursor_key: str) -> None:
        """Read a stream incrementally by this field."""
        self.set_cursor_keys(**{stream_name: cursor_key})

    @checked()
    def set_cursor_keys(self, **kwargs: str) -> None:
        """Read streams incrementally by these fields, by the streams' names."""
        from etl_assets.sources import selecting

        selecting.set_keys(self, "replication_key", kwargs)

    @checked(stream_name=STREAM, primary_key=KEY)
    def set_primary_key(self, stream_name: str, primary_key: str | list[str]) -> None:
        """Tell the rows of a stream apart by these fields."""
        self.set_primary_keys(**{stream_name: primary_key})

    @checked()
    def set_primary_keys(self, **kwargs: str | list[str]) -> None:
        """Tell the rows of streams apart by these fields, by the streams' names."""
        from etl_assets.sources import selecting

        selecting.set_keys(self, "primary_key", kwargs)


class ReadVerbs:
    """Reading: one by one, as documents, as samples, into a cache, as assets."""

    @checked()
    def read(
        self,
        cache: Any = None,
        *,
        streams: str | Sequence[str] | None = None,
        write_strategy: str | WriteStrategy = WriteStrategy.AUTO,
        force_full_refresh: bool = False,
        skip_validation: bool = False,
        adopt: bool = False,
        prune_undeclared_fields: bool = True,
    ) -> "ReadResult":
        """Read streams into a cache, each from where it ended.

        Args:
            cache: Where to; `get_default_cache()` by default.
            streams: Which, `"*"` for all; by default the selected ones, else those that the source
                was declared with (`streams=`, `catalog=`), and all where none is.
            write_strategy: How rows meet the table. `auto`: merge by a primary key, append by a
                replication key, else replace.
            force_full_refresh: Read everything. `auto` replaces the tables; any other strategy
                rules all the same.
            skip_validation: Do not check the config first.
            prune_undeclared_fields: Leave out fields that a stream does not declare, if it declares
                any; the log says which.
            adopt: Take over tables that are there and that neither this library nor PyAirbyte has
                made.

        Raises:
            EtlAssetsError: Streams failed; the others are in the cache.
        """
        result: ReadResult = reach("read")(
            self,
            cache,
            streams=streams,
            write_strategy=write_strategy,
            full_refresh=force_full_refresh,
            skip_validation=skip_validation,
            adopt=adopt,
            prune_undeclared_fields=prune_undeclared_fields,
        )
        return result

    @checked(limit=COUNT)
    def get_records(
        self,
        stream: str,
        *,
        limit: int | None = None,
        normalize_field_names: bool = False,
        prune_undeclared_fields: bool = True,
    ) -> "LazyDataset":
        """Return the records of a stream, read from its beginning as they are asked for.

        No state is used or moved.

        Args:
            stream: The stream.
            limit: At most so many.
            normalize_field_names: Use the names that columns have in a table.
            prune_undeclared_fields: Leave fields out that the stream does not declare.

        Raises:
            InputError: There is no such stream.
        """
        found: LazyDataset = reach("records")(
            self,
            stream,
            limit=limit,
            normalize=normalize_field_names,
            prune=prune_undeclared_fields,
        )
        return found

    @checked(
        stream=STREAM,
        title_property=(str, "the name of a field"),
        content_properties=NAMES,
        metadata_properties=NAMES,
        render_metadata=FLAG,
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
        """Return the records of a stream as documents; see `DatasetBase.to_documents`."""
        return self.get_records(stream).to_documents(
            title_property, content_properties, metadata_properties, render_metadata=render_metadata
        )

    @checked(limit=COUNT, on_error=TEXT)
    def get_samples(
        self,
        streams: Sequence[str] | Literal["*"] | None = None,
        *,
        limit: int = 5,
        on_error: Literal["raise", "ignore", "log"] = "raise",
    ) -> dict[str, "InMemoryDataset | None"]:
        """Return the first records of streams, by name.

        Args:
            streams: Which; by default the selected ones.
            limit: How many of each.
            on_error: What becomes of a stream that fails: raise, or give None in its place, with or
                without a log line.
        """
        samples: dict[str, InMemoryDataset | None] = reach("samples")(
            self, streams, limit=limit, on_error=on_error
        )
        return samples

    @checked(limit=COUNT, on_error=TEXT)
    def print_samples(
        self,
        streams: Sequence[str] | Literal["*"] | None = None,
        *,
        limit: int = 5,
        on_error: Literal["raise", "ignore", "log"] = "log",
    ) -> None:
        """Print the first records of streams as tables."""
        reach("print_samples")(self.get_samples(streams, limit=limit, on_error=on_error))

    def to_assets(self, **options: Any) -> Any:
        """Return the streams as Dagster assets; see `stream_assets`."""
        return reach("stream_assets")(self, **options)


class Verbs(ConnectorBase, StreamVerbs, ReadVerbs):
    """All of PyAirbyte's verbs of a source.

    Attributes:
        found_catalog: What `discover` gave.
        picked: The names of the selected streams.
        to_select: What is to be selected as soon as there is a config.
        set_words: Keys that were set by hand, by the stream's full name.
        keys_to_set: Those it was made with, by `replication_key` and `primary_key`, until its
            streams are known.
    """

    connector_type = "source"
    found_catalog: "Catalog | None" = None
    picked: Sequence[str] = ()
    to_select: str | Sequence[str] | None = None
    set_words: Mapping[str, Mapping[str, Any]] = {}
    keys_to_set: Mapping[str, Mapping[str, Any]] = {}

    @override
    def config_has_changed(self) -> None:
        from etl_assets.sources import selecting

        selecting.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept open between two verbs."""

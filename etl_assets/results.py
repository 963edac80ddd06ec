"""What reading into a cache, and writing to a destination, has done."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.datasets import CachedDataset
from etl_assets.exceptions import InputError, StreamKeyError
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    from sqlalchemy import Engine


def checked_cache(given: Any) -> Any:
    """Return what was given as a cache, if it can be one; None and False stand for none.

    Raises:
        InputError: It is something else, such as the path of a file.
    """
    is_cache = hasattr(given, "destination") and hasattr(given, "place_of")
    if is_cache or given is None or given is False:
        return given
    what = f"of the type {type(given).__name__}"
    if isinstance(given, str):
        what = f"the text {given!r}"
    raise InputError(
        f"A cache was expected, not {what}.",
        hint='Give one, such as DuckDBCache(db_path="cache.duckdb").',
    )


class ReadResult(Mapping[str, CachedDataset]):
    """The streams that were read, as datasets of the cache they are in.

    Args:
        source_name: The source.
        processed_streams: The names of the streams, in the order in which they were read.
        cache: Where they are.
        results: What the sync of each did.
        streams_read: The streams as they were read: their keys make the ids of documents.
        progress_tracker: What has counted them; its count is taken where there are no results.
        stored_as: The name under which the state of the source is stored; its own by default.
        state_name: The source's name as a word; its own by default.
    """

    def __init__(
        self,
        *,
        source_name: str,
        processed_streams: Sequence[str],
        cache: Any,
        results: Mapping[str, SyncResult] | None = None,
        streams_read: Mapping[str, Stream] | None = None,
        progress_tracker: Any = None,
        stored_as: str | None = None,
        state_name: str | None = None,
    ) -> None:
        self.state_name = state_name or source_name
        self.source_name = source_name
        self.stored_as = stored_as or source_name
        self.results: Mapping[str, SyncResult] = dict(results or {})
        self._processed_streams = list(processed_streams)
        self._cache = cache
        self._streams_read = dict(streams_read or {})
        self._progress_tracker = progress_tracker

    @override
    def __repr__(self) -> str:
        counted = f"{self.processed_records} records of {self._processed_streams}"
        return f"ReadResult({self.source_name!r}, {counted})"

    @override
    def __getitem__(self, stream: str) -> CachedDataset:
        if stream not in self._processed_streams:
            raise StreamKeyError(
                f"Nothing was read of a stream {stream!r}.",
                available_streams=self._processed_streams,
                stream=stream,
            )
        return CachedDataset(self._cache, stream, self._stored_stream(stream))

    @override
    def __contains__(self, stream: object) -> bool:
        return stream in self._processed_streams

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._processed_streams)

    @override
    def __len__(self) -> int:
        return len(self._processed_streams)

    @property
    def streams(self) -> Mapping[str, CachedDataset]:
        """The datasets by stream."""
        return {name: self[name] for name in self._processed_streams}

    @property
    def cache(self) -> Any:
        """The cache."""
        return self._cache

    @property
    def processed_records(self) -> int:
        """How many records the source gave."""
        if not self.results and self._progress_tracker is not None:
            return int(self._progress_tracker.total_records_read)
        return sum(result.records_read for result in self.results.values())

    def get_sql_engine(self) -> "Engine":
        """Return the cache's SQLAlchemy engine."""
        engine: Engine = self._cache.get_sql_engine()
        return engine

    def _stored_stream(self, name: str) -> Stream | None:
        """Return a stream whose keys have the names of the table's columns."""
        stream, result = self._streams_read.get(name), self.results.get(name)
        if stream is None or result is None:
            return None
        physical = {column.name: column.physical for column in result.columns}
        cursor = [physical.get(key, key) for key in stream.cursor]
        return Stream(
            name,
            primary_key=[physical.get(key, key) for key in stream.primary_key],
            replication_key=cursor or None,
            replication_method=stream.method if cursor else None,
        )


class WriteResult:
    """What writing to a destination has done.

    Args:
        destination: The destination.
        source_data: What was written: a source or a `ReadResult`.
        results: What the sync of each stream did.
        catalog_provider: PyAirbyte's.
        state_writer: PyAirbyte's.
        progress_tracker: Its count is taken where there are no results.
    """

    def __init__(
        self,
        *,
        destination: Any,
        source_data: Any,
        results: Mapping[str, SyncResult] | None = None,
        catalog_provider: Any = None,
        state_writer: Any = None,
        progress_tracker: Any = None,
    ) -> None:
        self.destination = destination
        self.source_data = source_data
        self.results: Mapping[str, SyncResult] = dict(results or {})
        self._catalog_provider = catalog_provider
        self._state_writer = state_writer
        self._progress_tracker = progress_tracker

    @override
    def __repr__(self) -> str:
        counted = f"{self.processed_records} records of {list(self.results)}"
        return f"WriteResult({self.destination!r}, {counted})"

    @property
    def processed_records(self) -> int:
        """How many records the destination has confirmed: those of committed batches."""
        if not self.results and self._progress_tracker is not None:
            return int(self._progress_tracker.total_destination_records_delivered)
        return sum(result.records_loaded for result in self.results.values())

    def get_state_provider(self) -> Any:
        """Return the states after the writing.

        Returns:
            What gives the bookmark of each stream by name: see `etl_assets.shared.state_providers`.
        """
        if self._state_writer is not None:
            return self._state_writer
        from etl_assets.shared.state_providers import StaticInputState

        return StaticInputState.of({name: result.bookmark for name, result in self.results.items()})

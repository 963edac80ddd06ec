"""Records to look at, filter and convert: of a live read, of a list, of a stored table."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.constants import DEFAULT_ARROW_MAX_CHUNK_SIZE
from etl_assets.documents import Document, DocumentRenderer, check_properties
from etl_assets.exceptions import InputError
from etl_assets.frames import to_dataset, to_pandas, to_polars
from etl_assets.protocol.batch import Batch
from etl_assets.protocol.stream import Stream
from etl_assets.staging import conform, merge_schemas

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds


class DatasetBase(ABC):
    """Records of one stream.

    Args:
        stream_metadata: The stream: its schema gives the types, its keys the ids of documents.
    """

    def __init__(self, stream_metadata: Stream) -> None:
        self._stream = stream_metadata

    @property
    def stream_metadata(self) -> Stream:
        """The stream."""
        return self._stream

    @abstractmethod
    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Give the records, one by one."""

    @property
    def records(self) -> "DatasetBase":
        """The records: the dataset itself, which can be iterated."""
        return self

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return list((self._stream.schema or {}).get("properties") or {})

    def tables(self, chunk_rows: int = DEFAULT_ARROW_MAX_CHUNK_SIZE) -> "Iterator[pa.Table]":
        """Give the records as Arrow tables of at most so many rows; their types may differ."""
        records = iter(self)
        while rows := list(islice(records, chunk_rows)):
            # Whatever was to be selected is: the stream's schema is asked for types alone.
            yield Batch([dict(row) for row in rows]).to_arrow(Stream(self._stream.name, schema=self._stream.schema))

    def to_arrow(self, *, max_chunk_size: int = DEFAULT_ARROW_MAX_CHUNK_SIZE) -> "ds.Dataset":
        """Give the records as a dataset that can be read again and again, without holding them in memory.

        Args:
            max_chunk_size: Rows of a batch.
        """
        return to_dataset(self.tables(max_chunk_size), chunk_rows=max_chunk_size, directory=self._directory())

    def to_arrow_table(self) -> "pa.Table":
        """Give the records as one Arrow table, in memory."""
        import pyarrow as pa

        tables = list(self.tables())
        if not tables:
            return pa.table({})
        schema = tables[0].schema
        for table in tables[1:]:
            schema = merge_schemas(schema, table.schema, lambda _name, _side: False)
        return pa.concat_tables([conform(table, schema) for table in tables])

    def to_pandas(self) -> "pd.DataFrame":
        """Give the records as a DataFrame that holds every value exactly."""
        return to_pandas(self.to_arrow_table())

    def to_polars(self) -> Any:
        """Give the records as a polars DataFrame.

        Raises:
            ConfigError: polars is not installed.
        """
        return to_polars(self.to_arrow_table())

    def to_documents(
        self,
        title_property: str | None = None,
        content_properties: Sequence[str] | None = None,
        metadata_properties: Sequence[str] | None = None,
        *,
        render_metadata: bool = False,
    ) -> Iterable[Document]:
        """Give the records as documents, one by one.

        Args:
            title_property: The field that is the heading.
            content_properties: The fields that are the text.
            metadata_properties: The fields that are metadata; by default every other one.
            render_metadata: Have the metadata in the text, too.

        Raises:
            InputError: The stream declares its fields, and one of these is none of them.
        """
        check_properties(self.column_names, title_property, content_properties, metadata_properties)
        renderer = DocumentRenderer(
            title_property=title_property,
            content_properties=content_properties,
            metadata_properties=metadata_properties,
            render_metadata=render_metadata,
            primary_key=self._stream.primary_key,
            replication_key=self._stream.cursor[0] if self._stream.cursor else None,
        )
        return renderer.render_documents(self)

    def _directory(self) -> Path | None:
        return None


class LazyDataset(DatasetBase):
    """Records that are read when they are asked for.

    Args:
        iterator: The records. What can be iterated only once (a generator) makes a dataset that can be read only once;
            what begins anew each time (`Source.get_records` gives that) makes one that reads the source again.
        stream_metadata: The stream.
    """

    def __init__(self, iterator: Iterable[Mapping[str, Any]], *, stream_metadata: Stream) -> None:
        super().__init__(stream_metadata)
        self._iterable = iterator
        self._once = iter(iterator) is iterator if isinstance(iterator, Iterator) else False
        self._begun = False

    @override
    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        if self._once and self._begun:
            raise InputError(
                f"The records of stream {self._stream.name!r} have been read, and can be read only once.",
                hint="Keep them with fetch_all() before reading.",
                stream=self._stream.name,
            )
        self._begun = True
        return iter(self._iterable)

    def __next__(self) -> Mapping[str, Any]:
        """Give the next record of the one reading that `next()` goes on with."""
        if not isinstance(self._iterable, Iterator):
            self._iterable, self._once = iter(self._iterable), True
        self._begun = True
        return next(self._iterable)

    def fetch_all(self) -> "InMemoryDataset":
        """Read all records into memory."""
        return InMemoryDataset(list(self), self._stream)

    def close(self) -> None:
        """End the read: its process or connection."""
        with suppress(AttributeError):
            self._iterable.close()  # type: ignore[attr-defined]


class InMemoryDataset(DatasetBase):
    """Records that are in memory.

    Args:
        records: The records.
        stream_metadata: The stream.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]], stream_metadata: Stream) -> None:
        super().__init__(stream_metadata)
        self._records = list(records)

    @override
    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, position: int) -> Mapping[str, Any]:
        return self._records[position]

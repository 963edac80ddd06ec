"""Records to look at, filter and convert: of a live read, of a list, of a stored table."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol

from typing_extensions import override

from etl_assets.arguments import FLAG, KEY, checked
from etl_assets.constants import DEFAULT_ARROW_MAX_CHUNK_SIZE
from etl_assets.engine.casting import conform, merge_schemas
from etl_assets.exceptions import InputError
from etl_assets.frames import to_dataset, to_pandas, to_polars, to_rows
from etl_assets.model.batch import Batch
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds
    from sqlalchemy import Table

    from etl_assets.documents import Document


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
        """Return the records, one by one."""

    @property
    def records(self) -> "DatasetBase":
        """The records: the dataset itself, which can be iterated."""
        return self

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return list((self._stream.schema or {}).get("properties") or {})

    @property
    def own_columns(self) -> Sequence[str]:
        """The names of columns that are this library's, beside those of the records."""
        return ()

    def tables(self, chunk_rows: int = DEFAULT_ARROW_MAX_CHUNK_SIZE) -> "Iterator[pa.Table]":
        """Yield the records as Arrow tables of at most so many rows; their types may differ."""
        records = iter(self)
        while rows := list(islice(records, chunk_rows)):
            # Whatever was to be selected is: the stream's schema is asked for types alone.
            yield Batch([dict(row) for row in rows]).to_arrow(
                Stream(self._stream.name, schema=self._stream.schema)
            )

    @checked(max_chunk_size=(int, "a whole number"))
    def to_arrow(self, *, max_chunk_size: int = DEFAULT_ARROW_MAX_CHUNK_SIZE) -> "ds.Dataset":
        """Return the records as a dataset that can be read many times and is not held in memory.

        Args:
            max_chunk_size: The number of rows of a batch.
        """
        return to_dataset(self.tables(max_chunk_size), chunk_rows=max_chunk_size)

    def to_arrow_table(self) -> "pa.Table":
        """Return the records as one Arrow table, in memory."""
        import pyarrow as pa

        tables = list(self.tables())
        if not tables:
            return pa.table({})
        schema = tables[0].schema
        for table in tables[1:]:
            schema = merge_schemas(schema, table.schema, lambda _name, _side, _type: False)
        return pa.concat_tables([conform(table, schema) for table in tables])

    def to_pandas(self) -> "pd.DataFrame":
        """Return the records as a DataFrame with exact values; objects and lists are Python's."""
        return to_pandas(self.to_arrow_table(), with_objects=True)

    def to_polars(self) -> Any:
        """Return the records as a polars DataFrame.

        Raises:
            ConfigError: polars is not installed.
        """
        return to_polars(self.to_arrow_table())

    @checked(
        title_property=(str, "the name of a field"),
        content_properties=KEY,
        metadata_properties=KEY,
        render_metadata=FLAG,
    )
    def to_documents(
        self,
        title_property: str | None = None,
        content_properties: Sequence[str] | None = None,
        metadata_properties: Sequence[str] | None = None,
        *,
        render_metadata: bool = False,
    ) -> "Iterable[Document]":
        """The records as documents, one by one.

        Args:
            title_property: The field that is the heading.
            content_properties: The fields that are the text.
            metadata_properties: The fields that are metadata; by default every other one.
            render_metadata: Have the metadata in the text, too.

        Raises:
            InputError: The stream declares its fields, and one of these is none of them.
        """
        from etl_assets.documents import DocumentRenderer, check_properties

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


class LazyDataset(DatasetBase):
    """Records that are read when they are asked for.

    Args:
        iterator: The records. What can be iterated only once (a generator) makes a dataset that can
            be read only once; what begins anew each time (`Source.get_records` gives that) makes
            one that reads the source again.
        stream_metadata: The stream.
    """

    def __init__(self, iterator: Iterable[Mapping[str, Any]], *, stream_metadata: Stream) -> None:
        super().__init__(stream_metadata)
        self._iterable = iterator
        self._once = isinstance(iterator, Iterator) and iter(iterator) is iterator
        self._begun = False

    @override
    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        if self._once and self._begun:
            raise InputError(
                f"The records of stream {self._stream.name!r} have been read, and can be read only "
                "once.",
                hint="Keep them with fetch_all() before reading.",
                stream=self._stream.name,
            )
        self._begun = True
        return iter(self._iterable)

    def __next__(self) -> Mapping[str, Any]:
        """Return the next record of the one reading that `next()` goes on with."""
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


class TableReader(Protocol):
    """What a dataset needs of whatever holds its table: a cache."""

    @property
    def destination(self) -> Any:
        """What writes the table."""
        ...

    def table_of(self, stream_name: str) -> TableName:
        """Return the table of a stream."""
        ...

    def stream_of(self, stream_name: str) -> Stream:
        """Return a stream with the schema of its table."""
        ...

    @property
    def hidden_columns(self) -> Sequence[str]:
        """Columns of its tables that datasets leave out."""
        ...

    def snapshot(
        self, table: TableName, where: Sequence[str], chunk_rows: int, without: Collection[str] = ()
    ) -> "ds.Dataset":
        """Return the rows of a table that meet every condition, without some of the columns."""
        ...

    def count(self, table: TableName, where: Sequence[str]) -> int:
        """Count them."""
        ...

    def condition(self, expression: Any) -> str:
        """Return a condition as SQL: a text as it is, an expression in the database's dialect."""
        ...

    def sql_table(self, stream_name: str) -> "Table":
        """Return the table as SQLAlchemy's, with the columns we stored."""
        ...


class SQLDataset(DatasetBase):
    """The rows of a stored table that meet conditions, which are read anew each time.

    Args:
        cache: The cache with the table.
        stream_name: The stream.
        conditions: Conditions in SQL, all of which a row has to meet.
        stream_configuration: The stream, if the caller knows more about it than the table (its
            keys).
    """

    def __init__(
        self,
        cache: TableReader,
        stream_name: str,
        conditions: Sequence[str] = (),
        stream_configuration: Stream | Literal[False] | None = None,
    ) -> None:
        found = cache.stream_of(stream_name)
        if stream_configuration:
            found = stream_configuration.replace(schema=found.schema)
        super().__init__(found)
        self._cache = cache
        self._stream_name = stream_name
        self._table = cache.table_of(stream_name)
        self._conditions = tuple(conditions)

    @property
    def stream_name(self) -> str:
        """The stream's name."""
        return self._stream_name

    @override
    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for table in self.tables():
            yield from to_rows(table, with_objects=True)

    def __len__(self) -> int:
        return self._cache.count(self._table, self._conditions)

    def __bool__(self) -> bool:
        return True  # a dataset, also one without rows

    @property
    @override
    def own_columns(self) -> Sequence[str]:
        own: Sequence[str] = self._cache.destination.own_columns
        return own

    @override
    def tables(self, chunk_rows: int = DEFAULT_ARROW_MAX_CHUNK_SIZE) -> "Iterator[pa.Table]":
        import pyarrow as pa

        dataset = self.to_arrow(max_chunk_size=chunk_rows)
        for batch in dataset.to_batches(batch_size=chunk_rows):
            yield pa.Table.from_batches([batch], schema=dataset.schema)

    @override
    @checked(max_chunk_size=(int, "a whole number"))
    def to_arrow(self, *, max_chunk_size: int = DEFAULT_ARROW_MAX_CHUNK_SIZE) -> "ds.Dataset":
        hidden = self._cache.hidden_columns
        return self._cache.snapshot(self._table, self._conditions, max_chunk_size, hidden)

    @override
    def to_arrow_table(self) -> "pa.Table":
        return self.to_arrow().to_table()

    def with_filter(self, *filter_expressions: Any) -> "SQLDataset":
        """Return the rows that also meet these conditions: SQL texts or SQLAlchemy expressions.

        They apply however the result is read. A text is used as SQL without a change: never make
        one of what users typed.
        """
        more = [self._cache.condition(expression) for expression in filter_expressions]
        return SQLDataset(self._cache, self._stream_name, [*self._conditions, *more], self._stream)


class CachedDataset(SQLDataset):
    """All rows of a stored table.

    Args:
        cache: Holds the table.
        stream_name: The stream.
        stream_configuration: The stream, where the caller knows it; None or False for what the
            table tells.
    """

    def __init__(
        self,
        cache: TableReader,
        stream_name: str,
        stream_configuration: Stream | Literal[False] | None = None,
    ) -> None:
        super().__init__(cache, stream_name, (), stream_configuration)

    def to_sql_table(self) -> "Table":
        """Return the table as SQLAlchemy's `Table`, to build queries with."""
        return self._cache.sql_table(self._stream_name)

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CachedDataset):
            return NotImplemented
        return self._cache is other._cache and self._stream_name == other._stream_name

    @override
    def __hash__(self) -> int:
        return hash(self._stream_name)


class DatasetMap(Mapping[str, DatasetBase]):
    """Datasets by stream, such as the result of a read and the `streams` of a cache."""

"""Tables and views of a SQL database, read in one snapshot, exactly."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from etl_assets.arguments import refuse_unknown_options
from etl_assets.exceptions import ConfigError, SourceError, naming_stream
from etl_assets.model.batch import Batch
from etl_assets.model.catalog import Catalog
from etl_assets.model.key_ranges import KeyRanges
from etl_assets.model.request import NO_REQUEST, ReadRequest
from etl_assets.secrets.option import wrap_secrets
from etl_assets.secrets.url import SecretUrl, secret_url
from etl_assets.sources.base import Source
from etl_assets.sources.sql.address import looks_like_url
from etl_assets.sources.sql.capped import capped, refuse_beyond
from etl_assets.sources.sql.connection import Server, Snapshot, connected
from etl_assets.sources.sql.cursor import Cursor, Span, as_bookmark
from etl_assets.sources.sql.errors import database_errors, is_timeout, translated
from etl_assets.sources.sql.estimates import row_estimate
from etl_assets.sources.sql.options import Rules, check_types, check_url, check_values, names_in
from etl_assets.sources.sql.postgres.columns import plain_table
from etl_assets.sources.sql.postgres.fingerprint import fingerprint, reached
from etl_assets.sources.sql.postgres.late import bound_of, remark_of
from etl_assets.sources.sql.query import Query
from etl_assets.sources.sql.reflection import SqlTable, selected_columns, table_of, usable_schemas
from etl_assets.sources.sql.routes import Route
from etl_assets.sources.sql.words import NOT_A_FILTER
from etl_assets.sources.tap.verbs import MODES

if TYPE_CHECKING:
    from etl_assets.model.partitions import Partitions
    from etl_assets.model.stored import Bookmark
    from etl_assets.model.stream import Stream

BATCH_ROWS = 122_880
"""As many as a row group of DuckDB has, which stores it with a third less work than fewer."""


_OTHERS = (*MODES, "properties", "state_message_every", "verbose")
"""What every source takes beside what its constructor names."""


class SqlSource(Source):
    """A SQL database: PostgreSQL, MySQL, MariaDB, SQLite, or any other of an SQLAlchemy dialect.

    One read is one server-side cursor in one read-only snapshot. Values come exactly as the
    database holds them, or the read fails with an error that names stream, field and value.

    ```python
    shop = SqlSource("shop", dagster.EnvVar("SHOP_URL"), lag=timedelta(minutes=5))
    ```

    A stream with a replication key is read from its bookmark on (`>=`, several columns by weight)
    in the key's order. It is an error if rows have a NULL in the key, or if the source ends before
    the bookmark.

    The snapshot is a REPEATABLE READ transaction of PostgreSQL, MySQL and MariaDB, and a read
    transaction of SQLite; other databases read with the isolation their connections have.

    Args:
        name: Unique in a project; part of the key under which state is stored.
        url: Text, a SQLAlchemy URL, or anything with `get_value()`; used when a connection is
            opened, never before.
        schema: The SQL schema, or schemas, to discover in, where it is not the connection's
            default; `*` for all. A stream's own namespace goes first.
        include: Globs for `table` or `schema.table` to discover; all by default.
        exclude: The same, for what not to discover.
        queries: Streams that are no tables: a SELECT statement by the stream's name. A stream of
            this name that is declared says its keys.
        batch_rows: Rows of a batch at most; large rows make smaller batches.
        lookback: Begin so far before the bookmark (timedelta or number), for late rows. Needs a
            primary key.
        lag: Leave rows so near to the largest replication key to a later run; None waits for
            PostgreSQL's transactions.
        on_null_cursor: What to do with rows whose replication key is NULL: `error`; `include` reads
            them every time (needs a primary key); `exclude` never reads them.
        start: Of a stream with a replication key read only rows at or after this value of its first
            column...
        end: ...and only rows before this one.
        max_bookmark: Keep the bookmark at or before this value of its first column (a timedelta: so
            long after now), so that a row in the far future hides no others. It is merged at each
            run; where rows are appended, it waits.
        connect_args: Passed to the driver.
        connect_timeout: Seconds to wait for the server to answer; 30 by default.
        statement_timeout: Seconds a statement, or the wait for the next rows, may take.
        options: What every source takes (`streams`, `catalog`, `config`, ...).
    """

    def __init__(  # noqa: PLR0913 - each is an option of its own, by keyword
        self,
        name: str | None = None,
        url: Any = None,
        *,
        schema: str | Sequence[str] | None = None,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        queries: Mapping[str, str] | None = None,
        batch_rows: int = BATCH_ROWS,
        lookback: Span | None = None,
        lag: Span | None = None,
        on_null_cursor: str = "error",
        start: Any = None,
        end: Any = None,
        max_bookmark: Any = None,
        connect_args: Mapping[str, Any] | None = None,
        connect_timeout: float | None = None,
        statement_timeout: float | None = None,
        **options: Any,
    ) -> None:
        if url is None and looks_like_url(name):
            url, name = name, None
        own, given = type(self).__name__, locals()
        refuse_unknown_options(own, type(self), options, _OTHERS)
        check_types(own, given)
        super().__init__(name=name, **options)
        address = self._config.get("url") if url is None else url
        if address is None:
            raise ConfigError(
                f"{own} needs a url.", hint='For example SqlSource(url="sqlite:///my.db").'
            )
        check_url(own, address)
        self._url = secret_url(address)
        check_values(own, on_null_cursor, batch_rows, {"lookback": lookback, "lag": lag})
        self.schema = schema
        self.include, self.exclude = names_in(include), names_in(exclude)
        self.batch_rows = batch_rows
        self.queries = dict(queries or {})
        self.rules = Rules(lookback, lag, on_null_cursor, start, end, max_bookmark)
        self.connect_args = wrap_secrets(dict(connect_args or {}))
        self.connect_timeout = connect_timeout
        self.statement_timeout = statement_timeout
        self.storage_kind = _kind(self._url)

    filters_partitions = True

    # Hooks

    def test_connection(self) -> None:
        """Connect, and see that the declared streams are there and may be read.

        Raises:
            ConnectError: The database cannot be reached, does not exist, or does not let us in.
            ConfigError: There is no such table; the error names the nearest.
        """
        import sqlalchemy as sa

        with connected(self._server()) as snapshot:
            snapshot.connection.exec_driver_sql(_nothing(snapshot))
            declared = self.declared_catalog()
            for stream in declared.streams if declared else ():
                with self._told(snapshot, stream):
                    one: sa.Select[Any] = sa.select(sa.literal_column("1"))
                    one = one.select_from(self._table(snapshot, stream).clause).where(sa.false())
                    snapshot.connection.execute(one)

    def discover(self, streams: Sequence[str] | None = None) -> Catalog:
        """Return a stream for each table and view, with exact types, keys and comments.

        A replication key is never guessed; `valid-replication-keys` in the stream's metadata says
        which there could be.
        """
        from etl_assets.sources.sql.discovery import discovered, stream_of_query
        from etl_assets.sources.sql.queries import table_of_query

        with connected(self._server()) as snapshot:
            found = discovered(
                snapshot, _schemas(self.schema, snapshot), self.include, self.exclude, streams or ()
            )
            found += [
                stream_of_query(table_of_query(snapshot, name, sql))
                for name, sql in self.queries.items()
            ]
            catalog = Catalog(found)
        return catalog if streams is None else Catalog(catalog.select(streams))

    def load_data(
        self,
        stream: "Stream",
        bookmarks: "Bookmark | None" = None,
        query: Mapping[str, Any] | None = None,
        *,
        request: ReadRequest = NO_REQUEST,
        **kwargs: Any,
    ) -> Iterator[Batch]:
        """Yield the stream's rows as Arrow, in the order of its replication key if it has one.

        Raises:
            ConfigError: The stream, the query or an option does not fit the table.
            BookmarkError: The source ends before the bookmark, or the bookmark does not fit its
                columns.
            SourceError: Rows have a NULL in the replication key.
            DataError: A value cannot be read exactly.
        """
        del kwargs
        with self._asking(stream) as snapshot:
            known = request.known_fingerprint
            if known and self._fingerprint(snapshot, stream, bookmarks, query) == known:
                yield Batch([], fingerprint=known)
                return
            asked = self._query(snapshot, stream, bookmarks, query, request.partitions)
            bound = bound_of(asked)
            refuse_beyond(asked)
            asked.check()
            upto = capped(asked, bound.upto)
            columns, missing = selected_columns(stream, asked.table)
            for name in missing:
                told = "stream %r: the table has no column %r (any more)."
                self.logger.warning(told, stream.name, name)
            # One look into the server's own statistics, which know nothing of a part of a table; no
            # row is counted.
            expected = row_estimate(snapshot, asked.table) if asked.is_whole else None
            route = Route(self._server(), snapshot, asked, columns, self.batch_rows)
            at = bookmarks
            for number, table in enumerate(route.tables(request)):
                batch = Batch(table, settled=upto, refused=asked.refusals.taken())
                # The database vouches for its texts, or they were looked at.
                batch.texts_are_known = True
                if number == 0:
                    batch.remark = remark_of(asked, bound)
                elif number == 1:
                    # A line in the log costs more than a read of one batch: it waits for a second.
                    batch.expected = expected
                if known is not None and len(batch):
                    at = reached(batch, stream)
                yield batch
            if known is not None:
                yield Batch([], fingerprint=self._last_fingerprint(snapshot, stream, at, query))

    def count_records(
        self,
        stream: "Stream | str",
        bookmarks: "Bookmark | None" = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> int:
        """Count the rows of a stream that `load_data` would yield; a name stands for its stream."""
        from etl_assets.sources import selecting

        del kwargs
        stream = selecting.one(self, stream) if isinstance(stream, str) else stream
        with self._asking(stream) as snapshot:
            return self._query(snapshot, stream, bookmarks, query).count()

    def pending(
        self,
        bookmarks: Mapping["Stream", "Bookmark | None"],
        *,
        timeout: float,
        rows: Mapping["Stream", int] | None = None,
    ) -> dict["Stream", bool | None]:
        """Return which streams have something new to read, by one connection.

        That is rows beyond their bookmark, or another number of rows. A stream is None if the
        question about it took longer than the time-out.
        """
        loaded = rows or {}
        answers: dict[Stream, bool | None] = dict.fromkeys(bookmarks)
        left = [stream for stream in bookmarks if stream.cursor or stream in loaded]
        while left:
            with connected(self._server(), timeout=timeout, plainly=True) as snapshot:
                while left:
                    stream = left.pop(0)
                    try:
                        with self._told(snapshot, stream):
                            if stream.cursor:
                                asked = self._query(snapshot, stream, bookmarks[stream], None)
                                answers[stream] = _has_more(asked)
                            else:
                                count = self._query(snapshot, stream, None, None).count()
                                answers[stream] = count != loaded[stream]
                    except SourceError as error:
                        if not is_timeout(error):
                            raise
                        break  # the transaction is gone with it: the others need a new one
        return answers

    def latest(self, stream: "Stream") -> dict[str, Any] | None:
        """Return the largest replication key as a bookmark.

        It is None if the stream has no key, or no row.

        Raises:
            SourceError: That key is not finite.
        """
        if not stream.cursor:
            return None
        with self._asking(stream) as snapshot:
            largest = Cursor(snapshot, self._table(snapshot, stream), stream, None).maximum()
        return None if largest is None else as_bookmark(stream, largest)

    def key_ranges(self, stream: "Stream", parts: int) -> KeyRanges:
        """Split the stream by the first column of its primary key.

        The largest replication key is asked for in the same snapshot.

        Raises:
            ConfigError: There is no such key, or it has no order.
        """
        from etl_assets.sources.sql.ranges import split

        with self._asking(stream) as snapshot:
            asked = self._query(snapshot, stream, None, None)
            bound = bound_of(asked)
            asked.check()
            where = asked.where()
            bookmark = None
            if asked.cursor is not None:
                upto = asked.settled(capped(asked, bound.upto))
                largest = asked.cursor.maximum([*where, *upto])
                bookmark = as_bookmark(stream, largest) if largest else None
            return KeyRanges(bookmark, split(snapshot, asked.table, stream, where, parts))

    def orders(self, stream: "Stream", query: Mapping[str, Any] | None = None) -> bool:
        """Return whether the database orders such a read by the replication key.

        It always does, unless rows are filtered.
        """
        return bool(stream.cursor) and not set(query or {}) - NOT_A_FILTER

    # Inside

    def _server(self) -> Server:
        name = self.name or type(self).__name__
        return Server(
            self._url, name, self.connect_args, self.statement_timeout, self.connect_timeout
        )

    @contextmanager
    def _asking(self, stream: "Stream") -> Iterator[Snapshot]:
        with (
            naming_stream(stream.name),
            connected(self._server(), plainly=True) as snapshot,
            self._told(snapshot, stream),
        ):
            yield snapshot

    def _told(self, snapshot: Snapshot, stream: "Stream") -> AbstractContextManager[None]:
        return translated(
            f"source {self.name!r}",
            phase="reading",
            failures=snapshot.failures,
            fields=snapshot.fields,
            stream=stream.name,
        )

    def _query(
        self,
        snapshot: Snapshot,
        stream: "Stream",
        bookmark: "Bookmark | None",
        query: Mapping[str, Any] | None,
        partitions: "Partitions | None" = None,
    ) -> Query:
        table = self._table(snapshot, stream)
        return Query(snapshot, table, stream, bookmark, query, self.rules, partitions=partitions)

    def _fingerprint(
        self,
        snapshot: Snapshot,
        stream: "Stream",
        bookmark: "Bookmark | None",
        query: Mapping[str, Any] | None,
    ) -> str | None:
        """Return what tells whether a read from the bookmark would find anything new.

        It is None if the read is not a plain one.
        """
        if query or not self.rules.plain or stream.stream in self.queries:
            return None
        return fingerprint(
            snapshot, stream, _default_schema(self.schema), bookmark, [self.rules.on_null_cursor]
        )

    def _last_fingerprint(
        self,
        snapshot: Snapshot,
        stream: "Stream",
        bookmark: "Bookmark | None",
        query: Mapping[str, Any] | None,
    ) -> str | None:
        """Return the fingerprint of what was read; None also where the connection is lost now.

        That fails no read, since all rows are here already.
        """
        try:
            return self._fingerprint(snapshot, stream, bookmark, query)
        except database_errors():
            return None

    def _table(self, snapshot: Snapshot, stream: "Stream") -> SqlTable:
        sql = None if stream.namespace else self.queries.get(stream.stream)
        return _table_in(snapshot, stream, _default_schema(self.schema), sql)


def _table_in(
    snapshot: Snapshot, stream: "Stream", schema: str | None, sql: str | None
) -> SqlTable:
    """Return what a stream is read from.

    Args:
        snapshot: The open connection.
        stream: The stream.
        schema: Where its table is, if the stream does not say.
        sql: The stream's query, if it is one.
    """
    if snapshot.is_direct:
        name, place = stream.table or stream.stream, stream.namespace or schema
        table = plain_table(snapshot, name, place) if sql is None else None
        if table is not None:
            return table
        snapshot.take_sqlalchemy()
    if sql is None:
        return table_of(snapshot, stream, schema)
    from etl_assets.sources.sql.queries import table_of_query

    return table_of_query(snapshot, stream.stream, sql)


def _schemas(schema: str | Sequence[str] | None, snapshot: Snapshot) -> Sequence[str | None]:
    """Return where to discover; None is the default schema."""
    return usable_schemas(snapshot) if schema == "*" else list(names_in(schema)) or [None]


def _default_schema(schema: str | Sequence[str] | None) -> str | None:
    """Return where the tables are whose streams name no namespace."""
    return schema if isinstance(schema, str) and schema != "*" else None


def _has_more(asked: Query) -> bool:
    """Return whether a stream with a cursor has rows behind the bookmark."""
    cursor = asked.cursor
    assert cursor is not None  # noqa: S101 - only streams with a cursor are asked about
    conditions = [cursor.known(), *asked.lagging(cursor), *asked.settled(capped(asked))]
    if cursor.bookmark is not None:
        conditions.append(cursor.reaches(cursor.bookmark, strictly=True))
    return cursor.any_row(*conditions)


def _kind(url: Any) -> str:
    """Return the kind of a database by its URL's beginning; a reference is not resolved for it."""
    if isinstance(url, SecretUrl):
        return url.partition(":")[0].partition("+")[0]
    return "sql"


def _nothing(snapshot: Snapshot) -> str:
    if snapshot.dialect == "sqlite":
        # without a table, the file would not be looked into
        return "SELECT 1 FROM sqlite_master LIMIT 1"
    return "SELECT 1 FROM DUAL" if snapshot.dialect == "oracle" else "SELECT 1"

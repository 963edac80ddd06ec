"""The base of SQL sources written for Mage: they say how to connect and what to ask for.

A read is one query and one cursor, so it sees one state of the table. Mage reads pages
(`LIMIT n OFFSET m`, each a query of its own), which skip and repeat rows while others write. Only
a connector that brings its own kind of connection is still read in pages.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from etl_assets.exceptions import ConfigError
from etl_assets.mage import sql_statements
from etl_assets.mage.columns import extract_selected_columns, filter_columns
from etl_assets.mage.connections import SqlConnection
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import Catalog, CatalogEntry, Schema
from etl_assets.sources.constants import (
    BATCH_FETCH_LIMIT,
    BATCH_FETCH_LIMIT_KEY,
    COLUMN_FORMAT_DATETIME,
    COLUMN_FORMAT_UUID,
    COLUMN_TYPE_ARRAY,
    COLUMN_TYPE_BOOLEAN,
    COLUMN_TYPE_INTEGER,
    COLUMN_TYPE_NULL,
    COLUMN_TYPE_NUMBER,
    COLUMN_TYPE_OBJECT,
    COLUMN_TYPE_STRING,
    REPLICATION_METHOD_FULL_TABLE,
    REPLICATION_METHOD_LOG_BASED,
    SUBBATCH_FETCH_LIMIT_KEY,
    UNIQUE_CONFLICT_METHOD_UPDATE,
)
from etl_assets.sources.sql.source import SqlSource
from etl_assets.sources.utils import get_standard_metadata

Rows = list[dict[str, Any]]

_KINDS: Sequence[tuple[Sequence[str], str, str | None]] = (
    (("bool",), COLUMN_TYPE_BOOLEAN, None),
    (("int",), COLUMN_TYPE_INTEGER, None),
    (("double", "float", "numeric", "decimal", "real", "number"), COLUMN_TYPE_NUMBER, None),
    (("date", "timestamp"), COLUMN_TYPE_STRING, COLUMN_FORMAT_DATETIME),
    (("json", "variant"), COLUMN_TYPE_OBJECT, None),
    (("uuid",), COLUMN_TYPE_STRING, COLUMN_FORMAT_UUID),
)
"""Parts of the names of SQL types, with their JSON type and format. The first match counts."""
_BYTES = ("bytea", "blob", "binary")
_NO_NUMBERS = ("interval", "point")
"""Types that are no numbers, although their names contain the name of one (`int`)."""


class MageSqlSource(Source):
    """A SQL source in Mage's style.

    A subclass MUST override `build_connection`; the other hooks have defaults.
    """

    def __new__(cls, *given: Any, **options: Any) -> Any:
        """Make an object; with a URL, it is a `SqlSource`, which had this name before."""
        if cls is MageSqlSource and (
            options.get("url") is not None or (given and isinstance(given[0], str))
        ):
            return SqlSource(*given, **options)
        return super().__new__(cls)

    # Hooks that say how to connect

    def build_connection(self) -> Any:
        """Return an object of `etl_assets.connections`, or anything else with `load(query)`."""
        raise NotImplementedError(f"{type(self).__name__} must override build_connection.")

    @override
    def test_connection(self) -> None:
        way = self.build_connection()
        way.close_connection(way.build_connection())

    # Hooks that say what to ask

    @property
    def fetch_limit(self) -> int:
        """How many rows are fetched at once."""
        config = self.config
        return int(
            config.get(SUBBATCH_FETCH_LIMIT_KEY)
            or config.get(BATCH_FETCH_LIMIT_KEY)
            or BATCH_FETCH_LIMIT
        )

    @property
    def table_prefix(self) -> str:
        """What precedes a table's name in a query."""
        return ""

    def build_table_name(self, stream: Any) -> str:
        """Return the name of a stream's table in a query."""
        return f"{self.table_prefix}{stream.tap_stream_id}"

    def build_discover_query(
        self, schema: str | None = None, streams: Sequence[str] | None = None
    ) -> str:
        """Return the query whose rows describe the columns.

        Each has the table, the default, the key, the column, the type, and `YES` if it is nullable.
        """
        query = (
            "SELECT TABLE_NAME, COLUMN_DEFAULT, COLUMN_KEY, COLUMN_NAME, DATA_TYPE, IS_NULLABLE\n"
            "FROM information_schema.columns\n"
            f"WHERE table_schema = {sql_statements.quoted(schema or '', backslashes=False)}"
        )
        if streams:
            names = ", ".join(sql_statements.quoted(name, backslashes=False) for name in streams)
            query += f"\nAND TABLE_NAME IN ({names})"
        return query

    def update_column_names(self, columns: list[str]) -> list[str]:
        """Return columns as the database writes them."""
        return columns

    def wrap_column_in_quotes(self, column: str) -> str:
        """Return a column as a condition writes it."""
        return sql_statements.wrap_column_in_quotes(column)

    def column_type_mapping(self, column_type: str, column_format: str | None = None) -> str | None:
        """Return the SQL type in which values of a JSON type are compared."""
        return sql_statements.column_type_mapping(column_type, column_format)

    def convert_datetime(self, val: Any) -> Any:
        """Return a bookmark's time as the database reads it."""
        return val

    def _limit_query_string(
        self, limit: int, offset: int, order_by_columns: Sequence[str] | None = None
    ) -> str:
        del order_by_columns
        return f"LIMIT {limit} OFFSET {offset}"

    def _order_by_query_string(self, order_by_columns: Sequence[str]) -> str:
        return f"ORDER BY {', '.join(order_by_columns)}"

    def _build_comparison_statement(
        self, col: str, val: Any, properties: Mapping[str, Any], operator: str = "="
    ) -> str:
        return sql_statements.build_comparison_statement(
            col,
            val,
            properties,
            self.column_type_mapping,
            operator=operator,
            column_cleaned=self.wrap_column_in_quotes(col),
            convert_datetime_func=self.convert_datetime,
        )

    def _convert_to_rows(self, columns: Sequence[str], rows_temp: Sequence[Sequence[Any]]) -> Rows:
        return [dict(zip(columns, row, strict=False)) for row in rows_temp]

    def _replication_method(self, stream: Any, bookmarks: Mapping[str, Any] | None = None) -> str:
        del bookmarks
        method: str = stream.replication_method
        return method

    def _after_load_data(self, stream: Any) -> None:
        """Do what follows the rows of a whole read."""

    def load_data_from_logs(
        self,
        stream: Any,
        bookmarks: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Rows]:
        """Yield the changes of a stream (`LOG_BASED`), after a first read of the whole."""
        del bookmarks, query, kwargs
        raise ConfigError(
            f"stream {stream.tap_stream_id!r}: {type(self).__name__} cannot read a log.",
            hint="Choose another replication method.",
            stream=stream.tap_stream_id,
        )

    # What it does

    @override
    def orders(self, stream: Stream, query: Mapping[str, Any] | None = None) -> bool:
        """Return whether all databases order the bookmark alike: they do not order texts alike."""
        properties = (stream.schema or {}).get("properties") or {}
        props = [properties.get(name) or {} for name in stream.cursor]
        return bool(props) and not query and all(_orders_alike(prop) for prop in props)

    @override
    def discover(self, streams: Sequence[str] | None = None) -> Catalog:
        tables: dict[str, list[Sequence[Any]]] = {}
        for row in self.build_connection().load(self.build_discover_query(streams=streams)):
            tables.setdefault(row[0], []).append([_text(cell) for cell in row])
        return Catalog([_entry(name, rows) for name, rows in tables.items()])

    @override
    def count_records(
        self,
        stream: Any,
        bookmarks: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> int | None:
        del kwargs
        if self._replication_method(stream, bookmarks=bookmarks) == REPLICATION_METHOD_LOG_BASED:
            return 1  # so that Mage reads: nobody knows before the log is read
        text = self._query(stream, "COUNT(*) AS number_of_records", bookmarks, query or {})
        count: int = self.build_connection().load(text)[0][0]
        return count

    @override
    def load_data(
        self,
        stream: Any,
        bookmarks: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        query = query or {}
        if self._replication_method(stream, bookmarks=bookmarks) == REPLICATION_METHOD_LOG_BASED:
            kwargs = {name: value for name, value in kwargs.items() if value is not None}
            yield from self.load_data_from_logs(stream, bookmarks=bookmarks, query=query, **kwargs)
            return
        columns = extract_selected_columns(stream.metadata)
        text = self._query(stream, "\n, ".join(self.update_column_names(columns)), bookmarks, query)
        order = self.update_column_names(self._order(stream, columns))
        if order:
            text = f"{text}\n{self._order_by_query_string(order)}"
        properties = stream.schema.to_dict()["properties"]
        places = [
            place
            for place, name in enumerate(columns)
            if "contentEncoding" in (properties.get(name) or {})
        ]
        for found in self._read(text, order, query):
            rows = _with_bytes(found, places) if places else found
            yield self._convert_to_rows(columns, rows)
        if not query.get("_limit"):
            self._after_load_data(stream)

    def _read(
        self, text: str, order: Sequence[str], query: Mapping[str, Any]
    ) -> Iterator[Sequence[Any]]:
        way = self.build_connection()
        limit, offset = query.get("_limit"), query.get("_offset", 0)
        if isinstance(way, SqlConnection) and type(way).load is SqlConnection.load:
            if limit is not None or offset:
                page = self._limit_query_string(limit or _NO_LIMIT, offset, order_by_columns=order)
                text = f"{text}\n{page}"
            yield from way.rows(text, self.fetch_limit)
            return
        left = _NO_LIMIT if limit is None else limit
        while left > 0:
            size = min(left, self.fetch_limit)
            page = self._limit_query_string(size, offset, order_by_columns=order)
            rows = way.load(f"{text}\n{page}")
            yield rows
            if len(rows) < size:
                return
            left, offset = left - size, offset + size

    def _order(self, stream: Any, columns: list[str]) -> list[str]:
        """Return the columns to order by: the bookmark's, then the keys.

        Without any of these, it is all columns that can be compared.
        """
        followed = self._get_bookmark_properties_for_stream(stream)
        order = dict.fromkeys(
            (*followed, *(stream.key_properties or ()), *(stream.unique_constraints or ()))
        )
        if order:
            return list(order)
        types = [COLUMN_TYPE_BOOLEAN, COLUMN_TYPE_INTEGER, COLUMN_TYPE_NUMBER, COLUMN_TYPE_STRING]
        return filter_columns(columns, stream.schema.to_dict()["properties"], types)

    def _query(
        self,
        stream: Any,
        columns: str,
        bookmarks: Mapping[str, Any] | None,
        query: Mapping[str, Any],
    ) -> str:
        properties = stream.schema.to_dict()["properties"]
        conditions = [self._since(stream, bookmarks or {}, properties)]
        selected = extract_selected_columns(stream.metadata)
        conditions += [
            self._build_comparison_statement(name, value, properties)
            for name, value in query.items()
            if name in selected
        ]
        where = " AND ".join(filter(None, conditions))
        text = f"SELECT\n{columns}\nFROM {self.build_table_name(stream)}"
        return f"{text}\nWHERE {where}" if where else text

    def _since(
        self, stream: Any, bookmarks: Mapping[str, Any], properties: Mapping[str, Any]
    ) -> str:
        """Return the condition for rows at or after the bookmark.

        If the bookmark has several fields, rows are compared by the first one, then the next.
        """
        followed = self._get_bookmark_properties_for_stream(stream)
        given = [(name, bookmarks[name]) for name in followed if bookmarks.get(name) is not None]
        own = stream.bookmark_property_operators or {}
        if not given:
            return ""
        if own or len(given) == 1:
            unique = stream.unique_constraints or ()
            operators = {name: ">" if name in unique else ">=" for name, _ in given}
            for name, word in own.items():
                operators[name] = sql_statements.predicate_operator_uuid_to_comparison_operator(
                    word
                )
            return " AND ".join(
                self._build_comparison_statement(name, value, properties, operator=operators[name])
                for name, value in given
            )
        choices = []
        for place, (name, value) in enumerate(given):
            is_last = place == len(given) - 1
            operator = ">=" if is_last else ">"
            equal = [self._build_comparison_statement(n, v, properties) for n, v in given[:place]]
            beyond = self._build_comparison_statement(name, value, properties, operator=operator)
            choices.append(f"({' AND '.join([*equal, beyond])})")
        return f"({' OR '.join(choices)})"


_NO_LIMIT = 2**62
"""More rows than any table has."""


def _with_bytes(rows: Sequence[Sequence[Any]], places: Sequence[int]) -> list[Sequence[Any]]:
    """Return rows in which some cells are bytes, where psycopg2 returns views of its memory."""
    made: list[Sequence[Any]] = []
    for row in rows:
        cells = list(row)
        for place in places:
            if cells[place] is not None:
                cells[place] = bytes(cells[place])
        made.append(cells)
    return made


def _orders_alike(prop: Mapping[str, Any]) -> bool:
    said = prop.get("type") or ()
    types = {said} if isinstance(said, str) else set(said)
    return prop.get("format") == COLUMN_FORMAT_DATETIME or types <= {"null", "integer", "number"}


def _text(cell: Any) -> Any:
    return cell.decode() if isinstance(cell, bytes | bytearray) else cell


def _entry(name: str, rows: Sequence[Sequence[Any]]) -> CatalogEntry:
    """Return the catalog entry that the rows about a table's columns make."""
    properties: dict[str, dict[str, Any]] = {}
    primary: dict[str, None] = {}
    unique: dict[str, None] = {}
    for _, _, key, column, data_type, nullable, *_ in rows:
        if key and "PRI" in key:
            primary[column] = None
        elif key == "UNIQUE":
            unique[column] = None
        kind, format_ = _kind(data_type.lower())
        types = [COLUMN_TYPE_NULL, kind] if nullable == "YES" else [kind]
        prop: dict[str, Any] = {"type": types}
        if kind == COLUMN_TYPE_OBJECT:
            prop["properties"] = {}
        if format_:
            prop["format"] = format_
        if any(part in data_type.lower() for part in _BYTES):
            prop |= {"contentEncoding": "base64", "x-arrow": "binary"}
        properties.setdefault(column, prop)
    # Both together would be another key: a row whose unique field changes would be there twice.
    keys = list(primary or unique)
    schema = Schema({"type": "object", "properties": properties})
    metadata = get_standard_metadata(
        key_properties=keys,
        replication_method=REPLICATION_METHOD_FULL_TABLE,
        schema=schema.to_dict(),
        stream_id=name,
        valid_replication_keys=[],
    )
    return CatalogEntry(
        tap_stream_id=name,
        stream=name,
        schema=schema,
        metadata=metadata,
        key_properties=keys,
        replication_method=REPLICATION_METHOD_FULL_TABLE,
        unique_conflict_method=UNIQUE_CONFLICT_METHOD_UPDATE,
        unique_constraints=keys,
    )


def _kind(data_type: str) -> tuple[str, str | None]:
    if data_type.endswith("[]"):
        return COLUMN_TYPE_ARRAY, None
    if not data_type.startswith(_NO_NUMBERS):
        for parts, kind, format_ in _KINDS:
            if any(part in data_type for part in parts):
                return kind, format_
    return COLUMN_TYPE_STRING, None

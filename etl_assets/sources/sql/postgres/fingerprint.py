"""What PostgreSQL holds at and after a bookmark, as a few bytes.

If they equal those of the last read, there is nothing to read.

Most runs of a schedule find nothing new. Without a fingerprint they read the rows at the bookmark
again (a tie must not be lost) and find out that they have them, for which the table is reflected,
and numpy and pyarrow are imported.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from etl_assets.model.batch import Batch, json_value
from etl_assets.model.bookmarks.keys import source_value
from etl_assets.model.bookmarks.tracker import is_finite, plain
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.values.scalars import to_json
from etl_assets.sources.sql.errors import driver_errors

if TYPE_CHECKING:
    from etl_assets.sources.sql.connection import Snapshot

MAX_ROWS = 100
"""Of more rows there is no fingerprint."""

SCANNED_BYTES = 128 * 2**20
"""A larger table has one only if indexes answer the question.

One has to begin with the replication key's first column, and one with each of its columns that may
be NULL.
"""

DIGEST_BYTES = 16

_ORDERED = (20, 21, 23, 700, 701, 1082, 1114, 1184, 1700, 2950)
"""OIDs of types that compare as bookmarks do, whatever the collation.

These are numbers, dates, timestamps and uuid.
"""

_COLUMNS = """
SELECT a.attname, CAST(a.atttypid AS bigint), a.atttypmod, a.attnotnull
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
WHERE c.oid = pg_catalog.to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
AND (c.relkind IN ('r', 'm') AND pg_catalog.pg_relation_size(c.oid) <= %(bytes)s OR NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute k
    WHERE k.attrelid = c.oid AND k.attname = ANY (CAST(%(keys)s AS text[]))
    AND (k.attname = %(first)s OR NOT k.attnotnull) AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        JOIN pg_catalog.pg_am m ON m.oid = x.relam
        WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
        AND m.amname = 'btree' AND i.indkey[0] = k.attnum)))
ORDER BY a.attnum"""


class _Keys(NamedTuple):
    """The columns of a replication key, and those of them that may be NULL."""

    names: Sequence[str]
    nullable: Sequence[str]


def fingerprint(
    snapshot: "Snapshot",
    stream: Stream,
    schema: str | None,
    bookmark: Bookmark | None,
    rules: Sequence[str] = (),
) -> str | None:
    """Return a hash of the columns, and of the rows that a read from a bookmark would find.

    These are the rows at and after the bookmark, and those with a NULL in the replication key.

    It is None where there is no hash that is cheap and sure: of a table that is large and has no
    indexes for it, of a view, of a replication key that is a text, of more than 100 rows, of a
    table whose columns may not all be read. It is also None where no row is at the bookmark any
    more: the read then tells whether the table is empty, or ends before the bookmark, which is an
    error.

    Args:
        snapshot: The open connection; its transaction stays usable.
        stream: Of a table, not of a query.
        schema: Where the stream names none.
        bookmark: By the names of the replication key.
        rules: What else says how the stream is read; under other rules the same rows may be an
            error.
    """
    if snapshot.dialect != "postgresql" or not stream.cursor:
        return None
    values = plain(bookmark) or {}
    if not values.keys() >= set(stream.cursor):
        return None
    named = (stream.namespace or schema, stream.table or stream.stream)
    table = ".".join(_quoted(part) for part in named if part)
    try:
        with snapshot.connection.begin_nested():
            columns = _columns(snapshot, table, stream.cursor)
            nullable = [name for name, _, _, never in columns if not never]
            keys = _Keys(stream.cursor, [name for name in stream.cursor if name in nullable])
            rows = _rows(snapshot, table, keys, values) if columns else []
    except driver_errors():
        if snapshot.connection.invalidated:
            raise  # nothing more can be asked over it
        return None  # the read itself will say what is wrong
    if len(rows) > MAX_ROWS or not any(reaches for _, reaches in rows):
        return None
    told = [values, stream.to_dict(), columns, sorted(text for text, _ in rows), list(rules)]
    return blake2b(
        to_json(told).encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES
    ).hexdigest()


def reached(batch: Batch, stream: Stream) -> dict[str, Any] | None:
    """Return the bookmark that the last row of an ordered read's batch makes.

    None if it makes none: NULL, NaN.
    """
    values = source_value(batch, stream, len(batch) - 1)
    if None in values or not all(map(is_finite, values)):
        return None
    return {name: json_value(value) for name, value in zip(stream.cursor, values, strict=True)}


def _columns(snapshot: "Snapshot", table: str, keys: Sequence[str]) -> list[list[Any]]:
    """Return what the rows' texts do not tell of the columns.

    Nothing where there is to be no fingerprint.
    """
    given = {"table": table, "bytes": SCANNED_BYTES, "keys": list(keys), "first": keys[0]}
    found = [list(row) for row in snapshot.connection.exec_driver_sql(_COLUMNS, given)]
    ordered = {name for name, type_, *_ in found if type_ in _ORDERED}
    return found if ordered.issuperset(keys) else []


def _rows(
    snapshot: "Snapshot", table: str, keys: _Keys, values: Mapping[str, Any]
) -> list[tuple[str, bool]]:
    """Return a hash of each row's text, and whether it reaches the bookmark.

    One row more than there may be at most.

    Rows at and after the bookmark are asked for by themselves, and so are those with a NULL in each
    column of the key: an index answers each of these questions, but not an OR of them. They are
    asked in the index's order. Without that, and where many rows are new, PostgreSQL expects to
    meet as many as the LIMIT soon if it reads the table, all of which it reads if they lie at its
    end.
    """
    # To psycopg, which sets the values in, a percent sign in a name would be a place for one.
    table, *own = (
        part.replace("%", "%%") for part in (table, *(f"r.{_quoted(key)}" for key in keys.names))
    )
    place = dict(zip(keys.names, own, strict=True))
    reaches = f"({', '.join(own)}) >= ({', '.join(['%s'] * len(own))})"
    every = f"SELECT * FROM {table} AS r WHERE"
    limit = f"LIMIT {MAX_ROWS + 1}"
    parts = [f"({every} {reaches} ORDER BY {own[0]} {limit})"]
    told: list[str] = []
    for key in keys.nullable:
        # No row comes twice: neither one that reaches the bookmark by the columns before a NULL,
        # nor one with several NULLs.
        others = "".join(f" AND {place[one]} IS NOT NULL" for one in told)
        beyond = f"{reaches} IS NOT TRUE"
        by_index = f"ORDER BY {place[key]} {limit}"
        parts.append(f"({every} {place[key]} IS NULL{others} AND ({beyond}) {by_index})")
        told.append(key)
    # A cast of ROW(r.*), since `r` alone would be a column of that name.
    text = "pg_catalog.convert_to(CAST(ROW(r.*) AS text), pg_catalog.getdatabaseencoding())"
    sql = (
        f"SELECT pg_catalog.encode(pg_catalog.sha256({text}), 'hex'), {reaches} "
        f"FROM ({' UNION ALL '.join(parts)}) AS r {limit}"
    )
    bound = tuple(str(values[key]) for key in keys.names) * (1 + len(parts))
    return [
        (str(one), bool(there)) for one, there in snapshot.connection.exec_driver_sql(sql, bound)
    ]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""Which of several images of one key is the newest: the one with the greatest replication key.

A merge keeps the image that comes last. If an API gives its newest rows first, or its pages
overlap, an older image would so be left in the table, behind a bookmark that says it is done. So
the older images of a read are left out before the merge, even if the newer one was committed at a
checkpoint of the same read. Images of earlier reads do not count: what the source says now replaces
them.

Most reads have each key once, or give the replication keys in order, and then nothing is left out.
The order is looked at batch by batch. Only out of order the keys are hashed, and only rows whose
hash comes twice are compared.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from etl_assets.engine.casting import conform, merge_schemas
from etl_assets.engine.staging import Staging, tables_of
from etl_assets.model.bookmarks.keys import ArrowKeys, Key, orders_like_python
from etl_assets.model.encoded import Encoded
from etl_assets.model.load import Load
from etl_assets.model.schema.types import is_json, is_nested, is_uuid
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

ROWS_AT_ONCE = 2_000_000
"""How many rows with repeated keys are compared at once."""


class Images:
    """The images of the keys of one load, in the order they come.

    Args:
        load: The load. Its `image` says which image of a key is wanted.
        staging: The rows of the load since the last commit.
        seen: Takes the keys of the rows that are committed.
    """

    def __init__(self, load: Load, staging: Staging, seen: Staging) -> None:
        stream = load.stream
        self._keys = tuple(stream.unique_constraints or stream.primary_key)
        self._by = stream.cursor if load.image == "newest" else ()
        # After a replace there is no merge, which would keep one image of each key.
        self._always = load.strategy is WriteStrategy.REPLACE
        self._fields = tuple(dict.fromkeys((*self._keys, *self._by)))
        self._staging = staging
        self._seen = seen
        self._committed = 0
        """The rows that were committed."""
        self._comparable = True
        """Whether the replication keys have an order at all."""
        self._highest: Key | None = None
        self._highest_committed: Key | None = None
        self._in_order = True
        """Whether no staged row has a smaller replication key than one staged before it."""
        self._is_above = True
        """Whether none has a smaller one than any row that was committed."""
        self._stale: npt.NDArray[np.bool_] | None = None
        self._is_known = False

    def follow(self, batch: "pa.Table | Encoded") -> None:
        """Look at the order of rows that are staged."""
        self._is_known = False
        if not self._comparable or not batch.num_rows or not self._by:
            return
        try:
            self._follow(batch)
        except (TypeError, ValueError, ArithmeticError):
            # Texts after numbers, or a NaN: they have no order.
            self._comparable = self._in_order = self._is_above = False

    def _follow(self, batch: "pa.Table | Encoded") -> None:
        if not set(self._by) <= set(batch.schema.names):
            return  # Without a replication key the last image of a key is the newest.
        columns = [_chunked(batch.column(name)) for name in self._by]
        if not all(orders_like_python(column.type) for column in columns):
            self._comparable = self._in_order = self._is_above = False
            return
        keys = ArrowKeys(columns)
        largest, smallest = keys.largest(), keys.smallest()
        if largest is None or smallest is None:
            return
        if self._highest_committed is not None and smallest[0] < self._highest_committed:
            self._is_above = False
        # While all is in order, the last key is the highest one.
        begins_lower = self._highest is not None and smallest[0] < self._highest
        if begins_lower or not _ascends(columns):
            self._in_order = False
        if self._highest is None or largest[0] > self._highest:
            self._highest = largest[0]

    def told(self) -> "tuple[npt.NDArray[np.bool_] | None, bool]":
        """Return which staged rows are older images, and whether they were compared at all.

        If they were, no key comes twice in the other rows; if not, the last image of a key is the
        newest.

        Returns:
            Whether each staged row is an older image, in their order, or None if no row is; and
            whether they were compared.
        """
        looks = bool(self._staging.rows) and (self._always or not self._in_order)
        if not self._is_known:
            self._stale = self._found() if looks else None
            self._is_known = True
        return self._stale, looks

    def commit(self, *, complete: bool) -> None:
        """Keep the keys of what was committed, before that is dropped.

        Args:
            complete: Whether nothing more comes.
        """
        if not complete:
            for table in self._tables(self._staging):
                self._seen.add(table)
            self._committed = self._seen.rows
            self._highest_committed = self._highest
        else:
            self.clear()
        self._is_known, self._in_order, self._is_above = False, self._comparable, self._comparable

    def clear(self) -> None:
        """Drop what is known of rows that were committed."""
        self._seen.clear()

    # Out of order

    def _found(self) -> "npt.NDArray[np.bool_] | None":
        import duckdb
        import numpy as np

        schema = self._schema()
        with closing(duckdb.connect()) as connection:
            connection.execute("SET enable_progress_bar = false")
            hashes = self._hashes(connection, self._staging, schema)
            repeated = _repeated(hashes)
            if not self._is_above:
                seen = np.intersect1d(hashes, self._hashes(connection, self._seen, schema))
                repeated = np.union1d(repeated, seen)
            if not len(repeated):
                return None
            stale = np.zeros(len(hashes), np.bool_)
            count = int(np.isin(hashes, repeated).sum())
            for some in np.array_split(repeated, 1 + count // ROWS_AT_ONCE):
                places = self._older(connection, *self._rows_of(connection, some, schema))
                stale[places[places >= self._committed] - self._committed] = True
        return stale if stale.any() else None

    def _schema(self) -> "pa.Schema":
        """Return the types that hold the keys, and what they are compared by, of the whole read."""
        staged = _selected(self._staging.schema, self._fields)
        seen = self._seen.schema
        if seen is None:
            return staged
        return merge_schemas(_selected(seen, self._fields), staged, self._fits)

    def _fits(self, field: str, side: Literal["old", "new"], type_: "pa.DataType") -> bool:
        return (self._seen if side == "old" else self._staging).fits(field, type_)

    def _tables(self, staging: Staging) -> "Iterator[pa.Table]":
        """Yield the keys of what is staged, and what they are compared by."""
        for batch in staging.batches():
            for table in tables_of(batch):
                yield table.select([name for name in table.column_names if name in self._fields])

    def _hashes(
        self, connection: "duckdb.DuckDBPyConnection", staging: Staging, schema: "pa.Schema"
    ) -> "npt.NDArray[np.uint64]":
        """Return a hash of each row's key; that of a single integer is the number itself."""
        import numpy as np

        found: list[Any] = []
        for table in self._tables(staging):
            keys = conform(
                table.select([n for n in table.column_names if n in self._keys]),
                _selected(schema, self._keys),
            )
            if len(self._keys) == 1 and _is_whole_integer(keys.column(0)):
                found.append(keys.column(0).to_numpy().astype(np.int64, copy=False).view(np.uint64))
            else:
                found.append(_hashed(connection, keys))
        return np.concatenate(found) if found else np.empty(0, np.uint64)

    def _rows_of(
        self,
        connection: "duckdb.DuckDBPyConnection",
        hashes: "npt.NDArray[np.uint64]",
        schema: "pa.Schema",
    ) -> "tuple[pa.Table, npt.NDArray[np.int64]]":
        """Return the rows of the read whose keys have these hashes, and their places in it."""
        import numpy as np
        import pyarrow as pa

        found, places, begin = [schema.empty_table()], [np.empty(0, np.int64)], 0
        for staging in (self._seen, self._staging):
            of_all = self._hashes(connection, staging, schema)
            for table in self._tables(staging):
                here = np.flatnonzero(np.isin(of_all[: table.num_rows], hashes))
                found.append(conform(table.take(pa.array(here)), schema))
                places.append(begin + here)
                of_all = of_all[table.num_rows :]
                begin += table.num_rows
        return pa.concat_tables(found), np.concatenate(places)

    def _older(
        self,
        connection: "duckdb.DuckDBPyConnection",
        rows: "pa.Table",
        places: "npt.NDArray[np.int64]",
    ) -> "npt.NDArray[np.int64]":
        """Return the places of all images but the newest of each key.

        An image is not the newest if another one has a greater replication key, whatever comes
        between the two. The others have the greatest one, or one with a NULL in it: of them, the
        last to come is the newest. A row with a NULL in its key is nobody's image.
        """
        import pyarrow as pa

        keys = [f"k{i}" for i in range(len(self._keys))]
        by = [f"c{i}" for i in range(len(self._by))]
        columns = [_plain(rows.column(name)) for name in self._keys]
        columns += [_ordered(rows.column(name)) for name in self._by]
        connection.register(
            "images", pa.table([*columns, pa.array(places)], names=[*keys, *by, "place"])
        )
        whole = " AND ".join(f"{name} IS NOT NULL" for name in by) or "true"
        order = ", ".join(f"{name} DESC" for name in by) or "NULL"
        of_key = f"PARTITION BY {', '.join(keys)}"
        has_key = " AND ".join(f"{name} IS NOT NULL" for name in keys)
        found: Any = connection.execute(
            f"WITH known AS (SELECT *, {whole} AS is_whole FROM images WHERE {has_key}), "
            f"ranked AS (SELECT *, NOT is_whole OR rank() OVER ({of_key}, is_whole "
            f"ORDER BY {order}) = 1 AS is_greatest FROM known) "
            f"SELECT place FROM ranked QUALIFY row_number() OVER ({of_key} "
            "ORDER BY is_greatest DESC, place DESC) > 1"
        ).fetchnumpy()["place"]
        connection.unregister("images")
        older: npt.NDArray[np.int64] = found
        return older


def tells_images_apart(load: Load) -> bool:
    """Return whether a load needs more than a merge that keeps the last image of each key."""
    if load.image == "newest":
        return True
    return load.image == "last" and load.strategy is WriteStrategy.REPLACE


def _repeated(hashes: "npt.NDArray[np.uint64]") -> "npt.NDArray[np.uint64]":
    """Return the hashes that come twice, sorted."""
    import numpy as np

    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _selected(schema: "pa.Schema | None", names: Sequence[str]) -> "pa.Schema":
    """Return the fields of a schema that have these names; one that it lacks is NULL throughout."""
    import pyarrow as pa

    known = {} if schema is None else {field.name: field for field in schema}
    return pa.schema([known.get(name) or pa.field(name, pa.null()) for name in names])


def _chunked(column: "pa.Array | pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa

    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _ascends(columns: "Sequence[pa.ChunkedArray]") -> bool:
    """Return whether no key is smaller than the one before it, leaving out those with a NULL."""
    import pyarrow.compute as pc

    if any(column.null_count for column in columns):
        whole = pc.is_valid(columns[0])
        for column in columns[1:]:
            whole = pc.and_(whole, pc.is_valid(column))
        columns = [column.filter(whole) for column in columns]
    if len(columns[0]) < 2:  # noqa: PLR2004 - one has none before it
        return True
    last = columns[-1]
    in_order = pc.less_equal(last[:-1], last[1:])
    for column in reversed(columns[:-1]):
        here = pc.less(column[:-1], column[1:])
        in_order = pc.or_(here, pc.and_(pc.equal(column[:-1], column[1:]), in_order))
    return bool(pc.all(in_order).as_py())


def _is_whole_integer(column: "pa.ChunkedArray") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(column.type) and not column.null_count)


def _hashed(connection: "duckdb.DuckDBPyConnection", keys: "pa.Table") -> "npt.NDArray[np.uint64]":
    import pyarrow as pa

    names = [f"k{i}" for i in range(keys.num_columns)]
    connection.register("keys", pa.table([_plain(column) for column in keys.columns], names=names))
    found: Any = connection.execute(f"SELECT hash({', '.join(names)}) AS h FROM keys").fetchnumpy()[
        "h"
    ]
    connection.unregister("keys")
    hashes: npt.NDArray[np.uint64] = found
    return hashes


def _plain(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Return a column that DuckDB takes exactly; its values are equal where the given ones are."""
    import pyarrow as pa

    type_ = column.type
    if is_json(type_) or is_uuid(type_):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], type_.storage_type)
    if pa.types.is_date32(type_) or pa.types.is_time32(type_):
        return column.cast(pa.int32())
    if pa.types.is_temporal(type_):
        return column.cast(pa.int64())  # DuckDB has no nanoseconds with a zone.
    if pa.types.is_decimal256(type_):
        return column.cast(pa.string())
    return column


def _ordered(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Return a column that is ordered as the given one; NULL if its values have no order."""
    import pyarrow as pa

    if is_nested(column.type):
        return pa.chunked_array([pa.nulls(len(column), pa.int64())])
    if pa.types.is_decimal256(column.type):
        values = column.to_pylist()
        ranks = {
            value: rank for rank, value in enumerate(sorted({v for v in values if v is not None}))
        }
        return pa.chunked_array([pa.array([ranks.get(value) for value in values], pa.int64())])
    return _plain(column)

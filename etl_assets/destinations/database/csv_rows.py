"""Arrow to CSV and back without a loss, as PostgreSQL's COPY reads and writes it.

NULL is nothing at all, the empty text is `""`, and every number has all its digits. COPY's binary
form would be no faster: what the server saves, the client spends on building it.
"""

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from etl_assets.destinations.database.values import uuid_texts, uuids
from etl_assets.engine.casting import RefusedValueError
from etl_assets.model.schema.types import is_json, is_uuid
from etl_assets.model.values.times import LAST_WRITTEN_YEAR, number_beyond, shown, years

if TYPE_CHECKING:
    import pyarrow as pa

SLICE_ROWS = 16_384
SLICE_BYTES = 4 * 1024 * 1024
LEAST_BLOCK = 1024 * 1024
"""Bytes of CSV that Arrow parses at once; a row has to fit into them."""


def encoded(batches: "Iterable[pa.RecordBatch]") -> Iterator[tuple[bytes, int]]:
    """Yield rows as CSV, some at a time, each time with the number of rows.

    Raises:
        RefusedValueError: PostgreSQL has no such value: U+0000 in a text, a year before 1.
    """
    import pyarrow.csv as pc

    options = pc.WriteOptions(include_header=False, batch_size=SLICE_ROWS)
    for batch in batches:
        if not batch.num_rows:
            continue
        per_row = max(1, batch.nbytes // batch.num_rows)
        step = max(1, min(SLICE_ROWS, SLICE_BYTES // per_row))
        for start in range(0, batch.num_rows, step):
            some = _printable(batch.slice(start, step))
            out = io.BytesIO()
            pc.write_csv(some, out, options)
            text = out.getvalue()
            if b"\0" in text:
                _refuse_nul(some)
            yield text, some.num_rows


def parsed(chunks: Iterable[bytes], schema: "pa.Schema") -> "pa.Table":
    """Return a table of CSV without a header, as COPY writes it for the columns of `selected`."""
    import pyarrow as pa
    import pyarrow.csv as pc

    given = list(chunks)
    if not given:
        return schema.empty_table()
    longest = max(map(len, given))
    options = pc.ReadOptions(column_names=schema.names, block_size=max(LEAST_BLOCK, 2 * longest))
    # Of a table with one column, a row that is NULL is an empty line.
    parsing = pc.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    converting = pc.ConvertOptions(
        column_types={f.name: _read_type(f.type) for f in schema},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["t"],
        false_values=["f"],
    )
    table = pc.read_csv(pa.BufferReader(b"".join(given)), options, parsing, converting)
    columns = [_read(table.column(index), f.type) for index, f in enumerate(schema)]
    return pa.Table.from_arrays(columns, schema=schema)


def selected(column: str, type_: "pa.DataType") -> str:
    """Return the expression that has COPY write a column as `parsed` reads it."""
    import pyarrow as pa

    if pa.types.is_timestamp(type_) and type_.tz:
        return f"{column} AT TIME ZONE 'UTC'"
    if pa.types.is_duration(type_):
        return f"(extract(epoch FROM {column}) * 1000000)::bigint"
    return column


def _printable(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    import pyarrow as pa

    columns = [_texts(batch.column(index), name) for index, name in enumerate(batch.schema.names)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _texts(column: "pa.Array", name: str) -> "pa.Array":
    """Return a column that Arrow can write as CSV in PostgreSQL's spelling."""
    import pyarrow as pa
    import pyarrow.compute as pc

    type_ = column.type
    if is_json(type_):
        return column.storage
    if pa.types.is_binary(type_):
        texts = [None if one is None else "\\x" + one.hex() for one in column.to_pylist()]
        return pa.array(texts, pa.large_string())
    if pa.types.is_duration(type_):
        counts = column.cast(pa.int64()).cast(pa.string())
        return pc.binary_join_element_wise(counts, "microseconds", " ")
    if is_uuid(type_):
        return uuid_texts(column)
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        _refuse_years(column, name)
    return column


def _refuse_years(column: "pa.Array", name: str) -> None:
    beyond = number_beyond(column, *years(column.type, 1, LAST_WRITTEN_YEAR))
    if beyond is not None:
        raise RefusedValueError(
            name, f"a year before 1, or after {LAST_WRITTEN_YEAR}, cannot be stored.", shown(beyond)
        )


def _refuse_nul(batch: "pa.RecordBatch") -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            found = column.filter(pc.match_substring(column, "\0"))
            if len(found):
                raise RefusedValueError(
                    name, "PostgreSQL cannot hold U+0000 in a text.", found[0].as_py()
                )


def _read_type(type_: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_timestamp(type_):
        return pa.timestamp("us")
    if pa.types.is_duration(type_):
        return pa.int64()
    plain = is_json(type_) or pa.types.is_binary(type_) or is_uuid(type_)
    return pa.string() if plain else type_


def _read(column: Any, type_: "pa.DataType") -> Any:
    import pyarrow as pa

    if column.type == type_:
        return column
    if is_json(type_):
        return column.cast(type_)
    if pa.types.is_binary(type_):
        raw = [None if one is None else bytes.fromhex(one[2:]) for one in column.to_pylist()]
        return pa.array(raw, type_)
    if is_uuid(type_):
        return uuids(column.to_pylist(), type_)
    return column.cast(type_)

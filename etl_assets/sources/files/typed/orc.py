"""ORC files, a few rows of a stripe at a time."""

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.protocol.parquet.files import RATIO_COUNTS_FROM
from etl_assets.sources.files.content import unpacked
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.rows import Tables
from etl_assets.sources.files.typed.arrow_columns import validate

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 1024
"""How many rows are unpacked at once: a few bytes may stand for a long text in each of them."""
BEYOND_NANOSECONDS = 253_402_300_799 * 10**6
"""The last second of the year 9999, in microseconds."""


def orc_tables(reading: Reading) -> Tables:
    """Return a file as tables, with the numbers of their rows.

    Raises:
        DataError: It is damaged, or stands for more than the limits allow; names file and row.
    """
    import pyarrow as pa
    from pyarrow import dataset

    before = given = 0
    with reading.open() as file:
        schema = _opened(file, reading).schema
        names = [name for name in schema.names if reading.reads(name)]
        _check_moments(schema, reading)
        file.seek(0)
        try:
            fragment = dataset.OrcFileFormat().make_fragment(pa.PythonFile(file, mode="r"))
            scanner = fragment.scanner(
                columns=names,
                batch_size=AT_ONCE,
                use_threads=False,
                batch_readahead=0,
                fragment_readahead=0,
            )
            for table in _joined(scanner.to_batches(), reading):
                validate(table)
                given += table.nbytes
                _check_size(table, given, before, reading)
                yield table, range(before + 1, before + 1 + len(table))
                before += len(table)
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            beyond = _beyond_nanoseconds(file, schema, names, error)
            raise reading.error(
                f"its rows after {before} cannot be read: {error}.",
                field=beyond,
                hint=None if beyond is None else _leave_out(beyond),
            ) from error


def orc_properties(reading: Reading) -> dict[str, Any]:
    """Return the columns of a file, as properties of a JSON Schema."""
    with reading.open() as file:
        properties: dict[str, Any] = from_arrow(_opened(file, reading).schema)["properties"]
        return properties


def orc_count(reading: Reading) -> int:
    """Return the number of rows that a file says to have."""
    with reading.open() as file:
        return int(_opened(file, reading).nrows)


def _opened(file: Any, reading: Reading) -> Any:
    import pyarrow as pa
    from pyarrow import orc

    unpacked(reading, "ORC files")
    try:
        return orc.ORCFile(file)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise reading.error(f"is no whole ORC file: {error}.") from error


def _joined(batches: Iterator["pa.RecordBatch"], reading: Reading) -> Iterator["pa.Table"]:
    import pyarrow as pa

    kept: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        kept.append(batch)
        rows += len(batch)
        size += batch.nbytes
        if rows >= reading.options.batch_rows or size >= reading.options.batch_bytes:
            yield pa.Table.from_batches(kept)
            kept, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(kept)


def _check_size(table: "pa.Table", given: int, before: int, reading: Reading) -> None:
    options, size = reading.options, reading.size
    limit = options.max_file_bytes
    if size is not None:
        limit = min(limit, max(RATIO_COUNTS_FROM, size * options.max_ratio))
    if given > limit:
        raise reading.error(
            f"stands for more than {limit} bytes: it may be a bomb.",
            before + 1,
            hint="Raise max_ratio or max_file_bytes if the file is what it should be.",
        )
    if table.nbytes > options.max_row_bytes:
        for place in range(len(table)):
            if table.slice(place, 1).nbytes > options.max_row_bytes:
                raise reading.error(
                    f"a row of more than {options.max_row_bytes} bytes.",
                    before + place + 1,
                    hint="Raise max_row_bytes.",
                )


def _moments(schema: "pa.Schema") -> list[str]:
    return [field.name for field in schema if "timestamp" in str(field.type)]


def _check_moments(schema: "pa.Schema", reading: Reading) -> None:
    """Refuse moments where this version of Arrow would silently turn some into others."""
    if _moments(schema) and not refuses_moments():
        raise ConfigError(
            f"stream {reading.stream.name!r}: {reading.file!r} has moments "
            f"({', '.join(_moments(schema))}), and this version of pyarrow turns those beyond the "
            "year 2262 into others.",
            hint="Install a newer pyarrow.",
            stream=reading.stream.name,
        )


def _leave_out(column: str) -> str:
    return (
        f"Moments of ORC are read from 1677 to 2262. Leave out the column {column!r}, or write it "
        "as a text or a date."
    )


def _beyond_nanoseconds(
    file: Any, schema: "pa.Schema", names: list[str], error: Exception
) -> str | None:
    """Return the first column with a moment that nanoseconds do not hold; Arrow names none."""
    import pyarrow as pa
    from pyarrow import orc

    for name in _moments(schema) if "nanosecond" in str(error) else ():
        if name in names:
            file.seek(0)
            found = orc.ORCFile(file)
            try:
                for stripe in range(found.nstripes):
                    found.read_stripe(stripe, columns=[name])
            except (pa.ArrowException, OSError, ValueError, MemoryError) as refused:
                if "nanosecond" in str(refused):
                    return name
    return None


@lru_cache
def refuses_moments() -> bool:
    """Try whether Arrow refuses a moment beyond those that nanoseconds hold."""
    import pyarrow as pa
    from pyarrow import orc

    file = io.BytesIO()
    orc.write_table(pa.table({"moment": pa.array([BEYOND_NANOSECONDS], pa.timestamp("us"))}), file)
    file.seek(0)
    try:
        orc.ORCFile(file).read()
    except pa.ArrowInvalid:
        return True
    return False

"""JSON lines: one object per line, each number exactly, each key once.

A file is read in batches. Those for which it is proven that nothing is altered are decoded into
columns (`line_columns`), and all others line by line, in the exact way: both give the same values,
and only the second can tell what is wrong.
"""

import codecs
import io
from typing import Any

import simplejson

from etl_assets.exceptions import ProtocolError, shorten
from etl_assets.model.batch import declared_schema
from etl_assets.model.json.depth import nested_too_deep
from etl_assets.model.json.repeated_keys import HINT, REASON, repeats
from etl_assets.model.values.numbers import unreadable_number
from etl_assets.sources.files.content import content
from etl_assets.sources.files.json.line_batches import LineBatches
from etl_assets.sources.files.json.line_columns import LineColumns
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.rows import Rows, Tables, row_tables
from etl_assets.sources.files.text.csv_blocks import BlockFile
from etl_assets.sources.files.text.lines import Lines, Start


def json_line_tables(reading: Reading) -> Tables:
    """Return a file of JSON lines as tables.

    Raises:
        DataError: A line is no JSON object; names file and line.
    """
    with content(reading) as binary:
        lines = Lines(binary, reading)
        if codecs.lookup(lines.encoding).name in {"utf-8", "utf-8-sig"}:
            yield from _batch_tables(LineBatches(binary, reading.options), binary, reading)
        else:
            yield from row_tables(_objects(lines, reading), reading)


def _batch_tables(batches: LineBatches, binary: io.BufferedReader, reading: Reading) -> Tables:
    columns = LineColumns(declared_schema(reading.stream), reading.stream.name)
    while (batch := batches.next()) is not None:
        if batch.numbers is not None:
            table = columns.table(batch.data, len(batch.numbers)) if batch.numbers else None
            if table is not None:
                yield table, batch.numbers
                continue
        yield from _row_tables(io.BytesIO(batch.data), batch.before, reading)
    if batches.rest:
        file = BlockFile(batches.rest, lambda: binary.read1(io.DEFAULT_BUFFER_SIZE))
        yield from _row_tables(file, batches.line, reading)


def _row_tables(file: Any, before: int, reading: Reading) -> Tables:
    """Read lines one by one, behind so many others."""
    lines = Lines(io.BufferedReader(file), reading, Start(before, "utf-8"))
    yield from row_tables(_objects(lines, reading), reading)


def _objects(lines: Lines, reading: Reading) -> Rows:
    for text in lines:
        size, lines.used = len(text), 0
        if not text.strip(" \t\r\n"):
            continue
        hint = None
        if not text.endswith(("\n", "\r")):
            hint = "It is the last line, without its end: was the file cut?"
        value = decoded(text, lines.number, reading, hint=hint)
        if not isinstance(value, dict):
            raise reading.error(
                f"a {type(value).__name__}, where each line is to be an object.", lines.number
            )
        yield lines.number, value, size


def decoded(text: str, line: int, reading: Reading, *, hint: str | None = None) -> Any:
    """Return the value that a JSON text holds, with its numbers exactly.

    Raises:
        DataError: It is no JSON, nested too deep, a number is too long, or a key comes twice.
    """
    if nested_too_deep(text):
        raise reading.error("JSON nested too deep.", line)
    try:
        return simplejson.loads(text, use_decimal=True, allow_nan=True, object_pairs_hook=_object)
    except simplejson.JSONDecodeError as error:
        raise reading.error(f"not JSON: {error.msg}: {shorten(text)}.", line, hint=hint) from error
    except _TwiceError as error:
        try:
            repeat = next(repeats(text))
        except ProtocolError:  # there is more wrong behind the key
            raise reading.error(f"not JSON: {shorten(text)}.", line, hint=hint) from error
        if repeat is None:  # pragma: no cover - the same text
            raise
        raise reading.error(REASON, line, field=repeat.field, value=repeat, hint=HINT) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        told = unreadable_number(text) or str(error)
        raise reading.error(f"a number that is too long: {told}.", line) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _TwiceError
    return made


class _TwiceError(Exception):
    """A key comes twice in one object."""

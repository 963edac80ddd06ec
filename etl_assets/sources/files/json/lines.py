"""JSON lines: one object per line, each number exactly, each key once."""

from typing import Any

import simplejson

from etl_assets.exceptions import shorten
from etl_assets.model.json.depth import nested_too_deep
from etl_assets.model.json.repeated_keys import HINT, REASON, repeats
from etl_assets.model.values.numbers import unreadable_number
from etl_assets.sources.files.content import content
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.rows import Rows, Tables, row_tables
from etl_assets.sources.files.text.lines import Lines


def json_line_tables(reading: Reading) -> Tables:
    """Return a file of JSON lines as tables.

    Raises:
        DataError: A line is no JSON object; names file and line.
    """
    with content(reading) as binary:
        yield from row_tables(_objects(Lines(binary, reading), reading), reading)


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
        repeat = next(repeats(text))
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

"""JSON documents: the objects of an array, or where `record_path` leads, in bounded memory."""

import io
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from etl_assets.exceptions import did_you_mean
from etl_assets.model.json.text import JsonText
from etl_assets.sources.files.content import content
from etl_assets.sources.files.json.lines import decoded
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.rows import Rows, Tables, row_tables
from etl_assets.sources.files.text.encoding import SIGNATURE_BYTES, encoding_of, undecodable

EACH = "*"
"""A step that leads to each element of an array, or each value of an object."""
_KEYS_TOLD = 100


def json_document_tables(reading: Reading) -> Tables:
    """Return the records of a JSON document, or of several one after the other, as tables.

    Raises:
        DataError: It is no JSON, or has nothing where the path leads; names file and line.
    """
    with content(reading) as binary:
        encoding = encoding_of(binary.peek(SIGNATURE_BYTES)[:SIGNATURE_BYTES], reading)
        text = JsonText(io.TextIOWrapper(binary, encoding, "strict", newline=""), *_limits(reading))
        try:
            yield from row_tables(_records(text, reading), reading)
        except UnicodeError as error:
            raise undecodable(reading, encoding, error, text.line) from error


def steps_of(path: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the steps of a path: `data.items`, a JSON pointer (`/data/items`), or a list."""
    if path is None:
        return ()
    if not isinstance(path, str):
        return tuple(str(step) for step in path)
    if path.startswith("/"):
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))
    plain = path.removeprefix("$").removeprefix(".").replace("[*]", f".{EACH}")
    return tuple(step for step in plain.split(".") if step)


def _limits(reading: Reading) -> tuple[int, Any]:
    def fail(reason: str, line: int) -> NoReturn:
        hint = "Was the file cut?" if "ends within" in reason else None
        if "more than" in reason:
            hint = "Raise max_row_bytes, or lead to the records with record_path."
        raise reading.error(f"no JSON document: {reason}.", line, hint=hint)

    return reading.options.max_row_bytes, fail


def _records(text: JsonText, reading: Reading) -> Rows:
    steps = steps_of(reading.options.record_path)
    if not text.peek():
        raise reading.error(
            "holds no JSON at all.",
            hint='An empty file is right where each line is an object: format="jsonl".',
        )
    while text.peek():
        for _ in _places(text, steps, (), reading):
            yield from _at_place(text, reading)


def _at_place(text: JsonText, reading: Reading) -> Rows:
    if text.peek() == "[":
        for _ in text.elements():
            yield _record(text, reading)
    elif text.peek() == "n" and reading.options.record_path is not None:
        text.skip()  # null, as some write an empty array
    else:
        yield _record(text, reading)


def _record(text: JsonText, reading: Reading) -> tuple[int, dict[str, Any], int]:
    text.peek()
    line, raw = text.line, text.take()
    value = decoded(raw, line, reading)
    if not isinstance(value, dict):
        raise reading.error(
            f"a {type(value).__name__}, where each record is to be an object.",
            line,
            hint="Lead to the array of the records with record_path.",
        )
    return line, value, len(raw)


def _places(
    text: JsonText, steps: Sequence[str], before: tuple[str, ...], reading: Reading
) -> Iterator[None]:
    """Come to each place where the steps lead; whoever iterates takes what is there."""
    if not steps:
        yield
        return
    step, rest, here = steps[0], steps[1:], (*before, steps[0])
    first = text.peek()
    if first == "{":
        yield from _members(text, steps, before, reading)
    elif first == "[" and (step == EACH or step.isdecimal()):
        found = False
        for number, _ in enumerate(text.elements()):
            if step in {EACH, str(number)}:
                found = True
                yield from _places(text, rest, here, reading)
            else:
                text.skip()
        if not found and step != EACH:
            raise reading.error(f"its array at {_shown(before)} has no element {step}.", text.line)
    else:
        kind = {"[": "an array", "": "nothing", '"': "a text", "n": "null"}.get(first, "a value")
        raise reading.error(
            f"has {kind} at {_shown(before)}, where record_path goes on with {step!r}.",
            text.line,
            hint=f"{EACH!r} is a step to each element of an array." if first == "[" else None,
        )


def _members(
    text: JsonText, steps: Sequence[str], before: tuple[str, ...], reading: Reading
) -> Iterator[None]:
    step, rest, here = steps[0], steps[1:], (*before, steps[0])
    keys: set[str] = set()
    size = 0
    for raw in text.keys():  # noqa: SIM118 - no mapping: what it comes to is taken or skipped
        key = str(decoded(raw, text.line, reading))
        size += len(raw)
        if key in keys:
            raise reading.error(f"the key {key!r} comes twice at {_shown(before)}.", text.line)
        keys.add(key)
        if size > reading.options.max_row_bytes:
            raise reading.error(
                f"keys of more than {reading.options.max_row_bytes} characters.", text.line
            )
        if step in {key, EACH}:
            yield from _places(text, rest, here, reading)
        else:
            text.skip()
    if step != EACH and step not in keys:
        known = sorted(keys)[:_KEYS_TOLD]
        hint = did_you_mean(step, known) if known else None
        raise reading.error(f"has no key {step!r} at {_shown(before)}.", text.line, hint=hint)


def _shown(steps: Sequence[str]) -> str:
    return repr(".".join(steps)) if steps else "the top"

"""Singer messages go through a line of JSON and back without losing a digit, or are refused by name."""

import json
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.exceptions import DataError, ProtocolError
from etl_assets.model.json.depth import MAX_DEPTH, nested_too_deep
from etl_assets.protocol.singer.messages import (
    ActivateVersionMessage,
    BatchMessage,
    Message,
    RecordMessage,
    SchemaMessage,
    StateMessage,
    Unknown,
    decode,
    encode,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda number: number.as_tuple().exponent != 0
)
LEAVES = st.none() | st.booleans() | st.integers() | st.integers(2**63, 10**60) | DECIMALS | TEXT
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=6)
NAMES = st.lists(TEXT, max_size=3).map(tuple)
VERSIONS = st.integers(0, 2**63)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        SchemaMessage,
        TEXT,
        OBJECTS,
        key_properties=NAMES,
        bookmark_properties=NAMES,
        disable_column_type_check=st.none() | st.booleans(),
        partition_keys=NAMES,
        replication_method=st.none() | st.sampled_from(["FULL_TABLE", "INCREMENTAL", "LOG_BASED"]),
        unique_conflict_method=st.none() | st.sampled_from(["UPDATE", "IGNORE"]),
        unique_constraints=NAMES,
    ),
    st.builds(RecordMessage, TEXT, OBJECTS, st.none() | VERSIONS, st.none() | TEXT),
    st.builds(StateMessage, VALUES),
    st.builds(ActivateVersionMessage, TEXT, VERSIONS),
    st.builds(BatchMessage, TEXT, OBJECTS, NAMES, st.none() | VERSIONS),
)


def record(value: Any) -> RecordMessage:
    return RecordMessage("users", {"f": value})


def read(value: str) -> Any:
    message = decode('{"type":"RECORD","stream":"users","record":{"f":' + value + "}}")
    assert isinstance(message, RecordMessage)
    return message.record["f"]


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@given(MESSAGES)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    line = encode(message)
    assert "\n" not in line
    again = decode(line)
    assert again == message
    assert again == decode(line.encode())
    # 1 == Decimal(1) == True: equality alone would not see a type that changed.
    assert repr(again) == repr(message)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_as_the_decimal_that_python_shows(number: float) -> None:
    again = read(encode(record(number)).partition('"f":')[2].removesuffix("}}"))
    assert again == Decimal(repr(number))
    assert float(again) == number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Decimal("0.1")),
        ("1.10", Decimal("1.10")),
        ("1e400", Decimal("1e400")),
        ("5e-324", Decimal("5e-324")),
        (
            "12345678901234567890123456789.123456789",
            Decimal("12345678901234567890123456789.123456789"),
        ),
        ("18446744073709551615", 2**64 - 1),
        ("9" * 4300, int("9" * 4300)),
        ("-9007199254740993", -(2**53) - 1),
        ("true", True),
        ("null", None),
        ('""', ""),
        ('"\\u0000"', "\0"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_numbers_are_read_exactly(text: str, value: Any) -> None:
    assert read(text) == value
    assert type(read(text)) is type(value)
    assert str(read(text)) == str(value)


def test_not_a_number_is_read_as_a_float() -> None:
    assert repr(read("[NaN, Infinity, -Infinity]")) == "[nan, inf, -inf]"


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), '"2026-01-02T03:04:05.000006+00:00"'),
        (
            datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            '"2026-01-02T00:00:00+05:45"',
        ),
        (datetime(2026, 1, 2), '"2026-01-02T00:00:00"'),  # noqa: DTZ001 - naive stays naive
        (date(1, 1, 1), '"0001-01-01"'),
        (time(23, 59, 59, 999999), '"23:59:59.999999"'),
        (bytes(range(4)), '"AAECAw=="'),
        (b"text", '"dGV4dA=="'),
        (bytearray(b"text"), '"dGV4dA=="'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+400"), "1E+400"),
        (0.1, "0.1"),
        (2**64, "18446744073709551616"),
        ((1, (2,)), "[1,[2]]"),
        (Point(1, 2), "[1,2]"),
        ("é😀\u2028\0", '"é😀\u2028\\u0000"'),
        (pd.Timestamp("2020-01-01T00:00:00.123456789"), '"2020-01-01T00:00:00.123456789"'),
    ],
)
def test_what_json_has_no_type_for_is_written_in_its_usual_form(value: Any, text: str) -> None:
    line = encode(record(value))
    assert line == '{"type":"RECORD","stream":"users","record":{"f":' + text + "}}"
    json.loads(line)


class Color(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (float("nan"), "f"),
        (float("-inf"), "f"),
        (Decimal("NaN"), "f"),
        (Decimal("Infinity"), "f"),
        ({"a": [1, {"b": float("inf")}]}, "f.a.1.b"),
        ("\ud800", "f"),
        (["ok", "a\udfff"], "f.1"),
        ({"\ud800": 1}, "f.\ud800"),
        ({1: "a"}, "f.1"),
        ({None: "a"}, "f.None"),
        ({b"a": "a"}, "f.b'a'"),
        (object(), "f"),
        ({1, 2}, "f"),
        (1j, "f"),
        (timedelta(1), "f"),
        (Color.RED, "f"),
        (iter([1]), "f"),
        (pd.NaT, "f"),
        (pd.NA, "f"),
        ([10**5000], "f.0"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name(value: Any, field: str) -> None:
    with pytest.raises(DataError) as caught:
        encode(RecordMessage("users", {"id": 1, "f": value}))
    assert caught.value.stream == "users"
    assert caught.value.field == field
    assert "'users'" in str(caught.value)
    str(caught.value).encode()


def test_a_state_is_checked_like_a_record() -> None:
    with pytest.raises(DataError, match=r"value\.bookmarks"):
        encode(StateMessage({"bookmarks": float("nan")}))


@pytest.mark.parametrize(
    "value", [nested(20_000), {"a": nested(20_000)}, nested(MAX_DEPTH - 1)], ids=["1", "2", "3"]
)
def test_what_is_nested_too_deep_is_refused_in_writing(value: Any) -> None:
    with pytest.raises(DataError, match="nested deeper than 500") as caught:
        encode(record(value))
    assert len(str(caught.value)) < 200


def test_a_circle_is_nested_too_deep() -> None:
    circle: list[Any] = []
    circle += [circle, circle]
    with pytest.raises(DataError, match="nested deeper"):
        encode(record(circle))


def test_the_deepest_that_is_written_is_read() -> None:
    deepest = record(nested(MAX_DEPTH - 2))
    assert decode(encode(deepest)) == deepest


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("plain text", "not JSON"),
        ('{"type":"RECORD","stream":"users","record":{"id":', "not JSON"),
        ('{"type":"STATE","value":{}} {}', "not JSON"),
        ('"RECORD"', "no message"),
        ("[1]", "no message"),
        ("{}", "no message"),
        ('{"type":null}', "no message"),
        ('{"type":1}', "no message"),
        ('{"type":"RECORD","stream":"users"}', "'record'"),
        ('{"type":"RECORD","record":{}}', "'stream'"),
        ('{"type":"RECORD","stream":1,"record":{}}', "'stream'"),
        ('{"type":"RECORD","stream":"users","record":[]}', "'record'"),
        ('{"type":"RECORD","stream":"users","record":{},"version":true}', "'version'"),
        ('{"type":"SCHEMA","stream":"users","schema":[]}', "'schema'"),
        (
            '{"type":"SCHEMA","stream":"users","schema":{},"key_properties":"id"}',
            "'key_properties'",
        ),
        ('{"type":"STATE"}', "'value'"),
        ('{"type":"ACTIVATE_VERSION","stream":"users","version":"1"}', "'version'"),
        ('{"type":"BATCH","stream":"users","encoding":{},"manifest":[1]}', "'manifest'"),
        ('{"type":"STATE","value":' + "9" * 4301 + "}", "4,300 digits"),
        ('{"type":"STATE","value":1e' + "9" * 30 + "}", "exponent"),
        ('{"type":"STATE","value":' + "[" * 20_000 + "]" * 20_000 + "}", "nested deeper than 500"),
        ('{"a":' * 20_000, "nested deeper than 500"),
        (b"\xff\xfe", "UTF-8"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_line_that_is_no_message_is_an_error_that_shows_its_beginning(
    line: str | bytes, says: str
) -> None:
    with pytest.raises(ProtocolError, match=says) as caught:
        decode(line)
    assert caught.value.line is not None
    assert len(caught.value.line) <= 80
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("line", ["", "\n", "  \t\r\n", b"\n"])
def test_a_blank_line_says_nothing(line: str | bytes) -> None:
    assert decode(line) is None


def test_the_end_of_a_line_does_not_matter() -> None:
    assert decode(b'{"type":"STATE","value":{}}\r\n') == StateMessage({})


@pytest.mark.parametrize(
    "line", ['{"type": "LOG", "message": "hi"}', '{"type": "NEWER", "x": 0.10}']
)
def test_a_message_of_another_type_is_unknown_and_kept(line: str) -> None:
    message = decode(line)
    assert isinstance(message, Unknown)
    assert message.raw["type"] == message.type
    assert decode(encode(message)) == message


def test_null_is_as_if_it_were_missing() -> None:
    line = (
        '{"type":"SCHEMA","stream":"s","schema":{},"key_properties":null,"unique_constraints":null}'
    )
    assert decode(line) == SchemaMessage("s", {})


def test_mages_keys_are_left_out_when_empty() -> None:
    assert json.loads(encode(SchemaMessage("s", {"properties": {}}, key_properties=["id"]))) == {
        "type": "SCHEMA",
        "stream": "s",
        "schema": {"properties": {}},
        "key_properties": ["id"],
    }
    full = SchemaMessage("s", {}, ["id"], ["u"], False, ["p"], "INCREMENTAL", "UPDATE", ["k"])  # noqa: FBT003
    assert json.loads(encode(full)) == {
        "type": "SCHEMA",
        "stream": "s",
        "schema": {},
        "key_properties": ["id"],
        "bookmark_properties": ["u"],
        "disable_column_type_check": False,
        "partition_keys": ["p"],
        "replication_method": "INCREMENTAL",
        "unique_conflict_method": "UPDATE",
        "unique_constraints": ["k"],
    }


@pytest.mark.parametrize("value", [{}, None, [], 0, ""])
def test_an_empty_state_is_a_state(value: Any) -> None:
    assert json.loads(encode(StateMessage(value))) == {"type": "STATE", "value": value}
    assert decode(encode(StateMessage(value))) == StateMessage(value)


def test_the_limit_counts_bytes() -> None:
    line = encode(StateMessage("é" * 100))
    size = len(line.encode())
    for same in (line, line.encode()):
        assert decode(same, max_bytes=size) == StateMessage("é" * 100)
        with pytest.raises(ProtocolError, match=f"longer than {size - 1} bytes"):
            decode(same, max_bytes=size - 1)


def test_one_large_value_is_read() -> None:
    line = encode(record('x\\"[{' * 2_000_000))
    assert decode(line) == record('x\\"[{' * 2_000_000)


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        ("[[[]]]", False),
        ("[[[[]]]]", True),
        ('[[{"a": "[[[["}]]', False),
        (r'[[["\"[[[["]]]', False),
        ('{"a":{"b":{"c":{}}}}', True),
        ("[],[],[],[],[]", False),
        ('"[[[[', False),
        ('"\\', False),
        ("]]]][[[[[[[[", True),
    ],
)
def test_depth_is_counted_outside_of_strings(text: str, deep: bool) -> None:
    assert nested_too_deep(text, 3) is deep


@given(VALUES)
def test_depth_is_that_of_the_value(value: Any) -> None:
    def depth(each: Any) -> int:
        if isinstance(each, dict):
            return 1 + max(map(depth, each.values()), default=0)
        return 1 + max(map(depth, each), default=0) if isinstance(each, list) else 0

    text = json.dumps(value, default=float)
    assert not nested_too_deep(text, depth(value))
    assert nested_too_deep(text, depth(value) - 1) or not depth(value)


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="calls of C are no longer counted among those of Python"
)
def test_reading_deep_in_the_stack_is_no_bare_recursion_error() -> None:
    line = encode(record(nested(MAX_DEPTH - 2)))

    def dive(levels: int) -> Message | None:
        return dive(levels - 1) if levels else decode(line)

    frames = sum(1 for _ in iter_frames())
    with pytest.raises(ProtocolError, match="nested too deep"):
        dive(sys.getrecursionlimit() - frames - 200)


def iter_frames() -> Any:
    frame = sys._getframe()
    while frame.f_back:
        yield frame
        frame = frame.f_back

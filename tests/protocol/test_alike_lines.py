"""Lines that are cut where their keys are give what lines give that are decoded, value by value; others are left alone."""

import json
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.model.batch import Batch
from etl_assets.model.json.columns import ColumnParser
from etl_assets.model.stream import Stream
from etl_assets.protocol.airbyte.messages import decoder
from etl_assets.protocol.record_forms import AirbyteForm, SingerForm
from etl_assets.protocol.record_runs import Form, Parsing

PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "x": {"type": ["null", "number"]},
    "price": {"type": ["null", "number"], "multipleOf": 0.01},
    "ok": {"type": ["null", "boolean"]},
    "name": {"type": ["null", "string"]},
    "created_at": {"type": ["null", "string"], "format": "date-time"},
    "updated_at": {"type": ["null", "string"], "format": "date-time"},
    "day": {"type": ["null", "string"], "format": "date"},
    "tree": {"type": ["null", "object"]},
    "tags": {"type": ["null", "array"], "items": {"type": "string"}},
    "any": {},
    "small": {"type": ["null", "integer"], "minimum": -128, "maximum": 127},
}
STREAM = Stream("s", schema={"type": "object", "properties": PROPERTIES})
AIRBYTE, SINGER = AirbyteForm(), SingerForm()


def parser_of(form: Form) -> ColumnParser:
    line = partial(form.line, name=STREAM.name, key=STREAM.key, version=None)
    return ColumnParser(STREAM, line, form.path, form.emitted, own=form.own)


class _NoneAlike:
    """Takes no lines: all are decoded one by one."""

    moments = None

    def parse(self, lines: bytes) -> None:
        return None


PARSER, BY_LINE = parser_of(AIRBYTE), parser_of(AIRBYTE)
BY_LINE.__dict__["_alike"] = _NoneAlike()


def airbyte(record: str, moment: int = 1_700_000_000_000, *, space: str = "") -> bytes:
    said = f'"stream":{space}"s",{space}"data":{space}{record},{space}"emitted_at":{space}{moment}'
    return f'{{"type":{space}"RECORD",{space}"record":{space}{{{said}}}}}\n'.encode()


def cut(lines: bytes, parser: ColumnParser = PARSER) -> "pa.Table | None":
    """Return lines as columns if they are cut."""
    return parser._alike.parse(lines)


def said(table: pa.Table) -> tuple[list[pa.DataType], list[list[str]]]:
    """Return types and values, in which 0 is not -0."""
    columns = [[repr(value) for value in column.to_pylist()] for column in table.columns]
    return table.schema.types, columns


def rows(lines: bytes) -> list[dict[str, Any]]:
    def refuse(noise: bytes) -> None:
        raise AssertionError(noise)

    found = [message.record for message in decoder(refuse).decode(lines)]
    return [record.data for record in found if record is not None]


def agrees(lines: bytes) -> bool:
    """Return whether lines are cut; they must then give what they give by line and as rows."""
    table = cut(lines)
    if table is None:
        return False
    moments = PARSER._alike.moments
    by_line = BY_LINE.parse(lines)
    if by_line is None:  # where that is stricter, as with a key twice beside the record
        by_line = Batch(rows(lines)).to_arrow(STREAM)
        table = Batch(table).to_arrow(STREAM)
    else:
        assert moments is None or moments.to_pylist() == BY_LINE.emitted
    assert said(table) == said(by_line)
    return True


# Names of fields, values that look like JSON, and what JSON escapes.
WORDS = ["id", "name", "tree", '"', "\\", ":", ",", "{", "}", "[", "]", '","id":7', '"name":', "é", "\n", "\0", " ", "null",
         "x" * 9, "/"]  # fmt: skip
NUMBERS = ["0", "-1", "1.25", "0.1", "-0", "-0.0", "1e5", "1E-7", "0.30000000000000004", "9007199254740993", "1.50", "12345678",
           "0.1234567890123456789", "123456789012345678901234567890", "1e400", "5e-324", "17976931348623157e292"]  # fmt: skip
CHANGES = [b"", b'"', b"\\", b":", b",", b"{", b"}", b"[", b"]", b"0", b"-", b"\n", b" ", b"e", b"\xff", b"\x01", b"null", b'"id":',
           b',"id":1', b'"name":"a",', b"\\u0041", b"\r", b"true"]  # fmt: skip


class Records:
    """Makes records whose fields come in one order, of which some lack some.

    Args:
        seed: Of all chances.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names = self.chance.sample(sorted(PROPERTIES), len(PROPERTIES))
        self.sometimes = set(self.chance.sample(self.names, self.chance.choice([0, 0, 1, 3])))
        self.space = self.chance.choice(["", "", " "])
        self.ascii_only = self.chance.random() < 0.5
        self.odd = self.chance.choice([0, 0.02, 0.2])
        """How often a value is odd."""

    def lines(self) -> bytes:
        return b"".join(
            airbyte(self._record(), 1_700_000_000_000 + number)
            for number in range(self.chance.randrange(1, 7))
        )

    def _record(self) -> str:
        there = [name for name in self.names if name not in self.sometimes or self._may(0.5)]
        pairs = [f'"{name}":{self.space}{self._value(name)}' for name in there]
        return "{" + f",{self.space}".join(pairs) + "}"

    def _may(self, often: float) -> bool:
        return self.chance.random() < often

    def _value(self, name: str) -> str:
        chance = self.chance
        if self._may(0.2) and name != "any":
            return "null"
        if name in {"id", "small"}:
            most = 2**63 - 1 if name == "id" and self._may(0.5) else 127
            return str(chance.randint(-most - 1, most))
        if name in {"x", "price"}:
            return self._number(name)
        if name == "ok":
            return chance.choice(["true", "false"])
        if name == "any" and self._may(0.2):
            return chance.choice(NUMBERS)
        return self._text(self._said(name))

    def _number(self, name: str) -> str:
        if self._may(self.odd):
            return self.chance.choice(NUMBERS)
        is_long = name == "x" and self._may(0.3)
        return repr(self.chance.random() if is_long else round(self.chance.uniform(-1000, 1000), 2))

    def _said(self, name: str) -> Any:
        chance = self.chance
        moment = (
            "2026-01-01" if self._may(self.odd) else f"2026-01-01T00:00:0{chance.randrange(9)}Z"
        )
        said: dict[str, Callable[[], Any]] = {
            "name": lambda: self._words() if self._may(0.5) else "plain",
            "day": lambda: f"2026-02-0{chance.randint(1, 9)}",
            "created_at": lambda: moment,
            "updated_at": lambda: moment,
            "tags": lambda: [self._words() for _ in range(chance.randrange(3))],
            "tree": lambda: {self._words(): self._tree(2) for _ in range(chance.randrange(3))},
            "any": lambda: self._tree(3),
        }
        return said[name]()

    def _text(self, value: Any) -> str:
        text = json.dumps(value, ensure_ascii=self.ascii_only)
        return text.replace("/", "\\/") if self._may(self.odd) else text

    def _words(self) -> str:
        some = WORDS if self._may(0.5) else ["a", " ", "é"]
        return "".join(self.chance.choices(some, k=self.chance.randrange(4)))

    def _tree(self, depth: int) -> Any:
        kind = self.chance.randrange(6 if depth else 4)
        if kind == 4:
            return [self._tree(depth - 1) for _ in range(self.chance.randrange(3))]
        if kind == 5:
            names = self.chance.sample([*PROPERTIES, *WORDS], 2)
            return {name: self._tree(depth - 1) for name in names}
        return [None, True, self.chance.randrange(100), self._words()][kind]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**64))
def test_what_is_cut_is_what_is_decoded(seed: int) -> None:
    agrees(Records(seed).lines())


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64))
def test_no_byte_can_be_changed_without_being_seen(seed: int) -> None:
    made = Records(seed)
    lines = bytearray(made.lines())
    for _ in range(made.chance.randrange(1, 4)):
        at = made.chance.randrange(len(lines))
        lines[at : at + made.chance.randrange(2)] = made.chance.choice(CHANGES)
    agrees(bytes(lines))


PLAIN = (
    '{"id":1,"x":0.5,"price":1.25,"ok":true,"name":"a","created_at":"2026-01-01T00:00:00Z","day":"2026-02-28",'
    '"tree":{"id":2,"name":"b","tags":["c"]},"tags":["x","y"],"any":[1.5]}'
)


@pytest.mark.parametrize(
    "records",
    [
        [PLAIN, PLAIN.replace("1", "2")],
        [PLAIN, PLAIN.replace(",", ", ").replace(":", ": ").replace("00: 00: ", "00:00:")][:1],
        ['{"id":1,"name":"a","ok":true}', '{"id":2,"ok":false}', '{"name":"b"}', '{"id":3}'],
        ['{"id":1}', '{"id":2,"tree":{"a":1}}', '{"id":3,"tree":{"a":1,"b":{"c":[{"d":1}]}}}'],
        ['{"id":1,"tree":{"x":1,"id":2}}', '{"id":2,"tree":{"b":{"id":3}}}'],
        ['{"name":"a\\nb"}', '{"name":"\\"},\\"id\\":1"}', '{"name":"é:\\u00e9"}', '{"name":null}'],
        ['{"id":null,"x":null,"tree":null}', '{"id":null,"x":null,"tree":null}'],
        ['{"x":0.30000000000000004}', '{"x":-0.0}', '{"x":5}', '{"x":1e5}'],
        ['{"tree":{"a": "\\u00e9"}}', '{"tree":{"b" : 1}}'],
    ],
)
def test_lines_that_are_alike_are_cut(records: list[str]) -> None:
    assert agrees(b"".join(map(airbyte, records)))


@pytest.mark.parametrize(
    "records",
    [
        ['{"id":1,"name":"a"}', '{"name":"a","id":1}'],
        ['{"id":1}', '{"id":1,"id":2}'],
        ['{"id":1}', '{"id":1,"other":2}'],
        ['{"id":1}', '{"\\u0069d":2}'],
        ['{"id":1}', '{"id":2 }'],
        ['{"id":1}', "{}", ""],
        ['{"id":01}', '{"id":1}'],
        ['{"x":.5}', '{"x":1.}'],
        ['{"x":nan}', '{"x":inf}'],
        ['{"id":0x1F}', '{"id":1}'],
        ['{"id":-0}', '{"id":-}'],
        ['{"ok":True}', '{"ok":true}'],
        ['{"name":nul}', '{"name":nulL}'],
        ['{"name":"a\tb"}', '{"name":"c"}'],
        ['{"tree":{"a":1},"b":2}', '{"tree":{}}'],
        ['{"tree":[1}', '{"tree":2],3}'],
        ['{"name":"a}', '{"name":b"}'],
    ],
)
def test_lines_that_are_not_are_left_alone(records: list[str]) -> None:
    assert cut(b"".join(airbyte(record) for record in records)) is None


def test_a_line_that_is_cut_off_is_left_alone() -> None:
    assert cut(airbyte(PLAIN) + airbyte(PLAIN)[:-1]) is None
    assert cut(airbyte(PLAIN) + airbyte(PLAIN)[:-5] + b"\n") is None
    assert cut(airbyte(PLAIN) + b"\n" + airbyte(PLAIN)) is None


def test_the_ends_of_lines_may_have_a_carriage_return() -> None:
    assert agrees(airbyte(PLAIN).replace(b"\n", b"\r\n") * 2)


def test_what_each_line_says_of_its_moment_is_kept() -> None:
    batches = list(
        Parsing(STREAM, PARSER, lambda *_: [])(airbyte('{"id":1}', 5) + airbyte('{"id":2}', 70))
    )
    (emitted,) = (batch.emitted for batch in batches)
    assert isinstance(emitted, pa.ChunkedArray)
    assert emitted.to_pylist() == [5, 70]
    (batch,) = batches
    assert batch.keep([False, True]).emitted.to_pylist() == [70]  # type: ignore[union-attr]
    assert batch.slice(0, 1).emitted.to_pylist() == [5]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "more", ["", ',"version":7', ',"time_extracted":"2026-01-01T00:00:00.%dZ"']
)
def test_lines_of_a_tap_are_cut(more: str) -> None:
    version = 7 if "version" in more else None
    line = partial(SINGER.line, name=STREAM.name, key=STREAM.key, version=version)
    parser = ColumnParser(STREAM, line, SINGER.path, SINGER.emitted, own=SINGER.own)
    texts = [
        f'{{"type": "RECORD", "stream": "s", "record": {PLAIN}{more.replace("%d", "1" * number)}}}\n'
        for number in range(1, 4)
    ]
    table = cut("".join(texts).encode(), parser)
    assert table is not None
    assert table["id"].to_pylist() == [1, 1, 1]
    other = texts[0].replace('"version":7', '"version":8').replace('"s"', '"t"')
    assert cut((texts[0] + other).encode(), parser) is None

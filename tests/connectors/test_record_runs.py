"""Records parsed in columns are what the exact way gives, value by value and type by type."""

import json
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.model.batch import Batch
from etl_assets.model.events import Checkpoint, Records, StreamKey
from etl_assets.model.json.columns import ColumnParser
from etl_assets.model.schema.types import is_json
from etl_assets.model.stream import Stream
from etl_assets.protocol.airbyte.messages import decoder
from etl_assets.protocol.event_buffer import EventBuffer
from etl_assets.protocol.record_forms import AirbyteForm, SingerForm
from etl_assets.protocol.record_runs import Form, Parsing, RecordRuns

PROPERTIES = {
    "id": {"type": "integer"},
    "x": {"type": ["null", "number"]},
    "price": {"type": ["null", "number"], "multipleOf": 0.01},
    "ok": {"type": "boolean"},
    "name": {"type": ["null", "string"]},
    "at": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "tree": {"type": ["null", "object"]},
    "any": {},
}
STREAM = Stream("s", schema={"type": "object", "properties": PROPERTIES})
AIRBYTE, SINGER = AirbyteForm(), SingerForm()


def parser_of(stream: Stream, form: Form = AIRBYTE) -> ColumnParser:
    return ColumnParser(
        stream, partial(form.line, name=stream.name, key=stream.key, version=None), form.path
    )


PARSER = parser_of(STREAM)


def line(data: str, more: str = "") -> bytes:
    return f'{{"type":"RECORD","record":{{"stream":"s","data":{data},"emitted_at":1{more}}}}}\n'.encode()


def rows(lines: bytes, key: StreamKey = STREAM.key) -> list[Any]:
    del key
    return [
        message.record.data
        for message in decoder(print).decode(lines)
        if message.record is not None
    ]


def exactly(lines: bytes) -> Batch:
    return Batch(rows(lines))


def said(table: pa.Table) -> tuple[list[pa.DataType], list[Any]]:
    """Return a table's types and columns; of JSON what it says, however it is spelled."""
    columns = [
        [text and json.loads(text, parse_float=Decimal) for text in column.to_pylist()]
        if is_json(column.type)
        else column.combine_chunks()
        for column in table.columns
    ]
    return table.schema.types, columns


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**80), 2**80),
        st.floats(allow_nan=False),
        st.text(max_size=5),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(-(2**63), 2**63 - 1),
        "x": st.one_of(
            st.none(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(-(2**60), 2**60),
        ),
        "price": st.one_of(
            st.none(), st.decimals(-(10**9), 10**9, places=2).map(float), st.integers(0, 10**6)
        ),
        "ok": st.one_of(st.none(), st.booleans()),
        "name": st.one_of(st.none(), st.text()),
        "at": st.datetimes().map(lambda moment: moment.isoformat() + "+02:00"),
        "day": st.dates().map(lambda day: day.isoformat()),
        "tree": st.one_of(st.none(), st.dictionaries(st.text(max_size=3), JSON, max_size=3)),
        "any": JSON,
    },
)


@settings(max_examples=60)
@given(st.lists(VALUES, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_columns_are_what_the_rows_give(
    records: list[dict[str, Any]], ascii_only: bool, compact: bool
) -> None:
    separators = (",", ":") if compact else (", ", ": ")
    text = [json.dumps(row, ensure_ascii=ascii_only, separators=separators) for row in records]
    lines = b"".join(line(one.replace("\ud800", "?")) for one in text)
    table = PARSER.parse(lines)
    if table is not None:
        assert said(Batch(table).to_arrow(STREAM)) == said(exactly(lines).to_arrow(STREAM))


NUMBERS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?\Z")


@settings(max_examples=60)
@given(
    st.lists(NUMBERS | st.just("null"), min_size=1, max_size=4),
    st.sampled_from(["id", "x", "price", "any"]),
)
def test_every_number_is_what_the_rows_give(numbers: list[str], field: str) -> None:
    lines = b"".join(line(f'{{"{field}":{number}}}') for number in numbers)
    table = PARSER.parse(lines)
    if table is not None:
        assert said(Batch(table).to_arrow(STREAM)) == said(exactly(lines).to_arrow(STREAM))


@settings(max_examples=60)
@given(
    st.lists(st.one_of(JSON.map(json.dumps), st.text(max_size=9), NUMBERS), min_size=1, max_size=6)
)
def test_hostile_records_are_refused_or_what_the_rows_give(texts: list[str]) -> None:
    fields = ",".join(f'"{name}":{text}' for name, text in zip(PROPERTIES, texts, strict=False))
    lines = line("{" + fields.replace("\n", "").replace("\ud800", "") + "}")
    table = PARSER.parse(lines)
    if table is not None:
        assert said(Batch(table).to_arrow(STREAM)) == said(exactly(lines).to_arrow(STREAM))


def test_plain_rows_are_parsed_so() -> None:
    row = (
        '{"id":1,"x":0.30000000000000004,"price":1.50,"ok":true,"name":"a\\u0000ö","at":"2026-01-01T00:00:00Z",'
        '"day":"2026-02-28","tree":{"a": [1, 2.5], "b": "\\u00e9 \\u2028"},"any":12345678901234567890.12}'
    )
    table = PARSER.parse(line(row) * 3)
    assert table is not None
    assert said(Batch(table).to_arrow(STREAM)) == said(exactly(line(row) * 3).to_arrow(STREAM))
    assert table["tree"].to_pylist()[0] == '{"a":[1,2.5],"b":"é \u2028"}'


@pytest.mark.parametrize(
    "data",
    [
        '{"id":1.5}',
        '{"id":1.0}',
        '{"id":"7"}',
        '{"id":true}',
        '{"id":9223372036854775808}',
        '{"id":{"a":1}}',
        '{"x":"1"}',
        '{"x":12345678901234567.8}',
        '{"x":9007199254740993}',
        '{"x":0.1234567890123456789}',
        '{"x":1e400}',
        '{"x":1.5E+400}',
        '{"ok":1}',
        '{"ok":"true"}',
        '{"name":1.50}',
        '{"name":{"a":1}}',
        '{"other":1}',
        '{"ID":1}',
        '{"name":"\\ud800"}',
        '{"at":1700000000}',
        '{"at":"soon"}',
        '{"day":"2026-02-29"}',
        '{"day":"2026-2-3"}',
        '{"id":01}',
        '{"tree":{"a":01}}',
        '{"tree":"\\ud800"}',
        '{"tree":' + "[" * 2000 + "]" * 2000 + "}",
        '{"any":NaN}',
        '{"price":1.005}',
        '{"price":"1.5"}',
        '{"price":1e40}',
        '{"id":' + "1" * 5000 + "}",
    ],
)
def test_what_could_be_altered_goes_the_exact_way(data: str) -> None:
    assert PARSER.parse(line('{"id":1,"x":0.5,"at":"2026-01-01T00:00:00Z"}') + line(data)) is None


@pytest.mark.parametrize(
    "data",
    [
        '{"at":"2026-01-01"}',
        '{"at":"2026-01-01T00:00:00"}',
        '{"at":"2026-01-01 00:00:00.1234567+02:00"}',
        '{"day":"2026-02-03T00:00:00"}',
        '{"x":-0.0}',
        '{"x":1e5}',
        '{"x":5}',
        '{"x":1.50}',
        '{"price":-0}',
        '{"any":"text"}',
        '{"any":1e400}',
        '{"any":null}',
        '{"name":""}',
        '{"tree":{}}',
    ],
)
def test_odd_values_are_what_the_rows_give(data: str) -> None:
    found = next(iter(Parsing(STREAM, PARSER, rows)(line(data))))
    assert said(found.to_arrow(STREAM)) == said(exactly(line(data)).to_arrow(STREAM))


@pytest.mark.parametrize(
    "more", [',"meta":{"changes":[{"field":"x"}]}', ',"namespace":"n"', ',"file_reference":{}']
)
def test_what_a_line_says_beside_its_record_is_not_passed_over(more: str) -> None:
    assert PARSER.parse(line('{"id":1}', more)) is None
    assert (
        PARSER.parse(line('{"id":1}', ',"meta":{"changes":[]},"namespace":null,"other":1'))
        is not None
    )


@pytest.mark.parametrize(
    "lines",
    [
        line('{"id":1}').replace(b'"s"', b'"t"'),
        line('{"id":1}').replace(b"RECORD", b"STATE"),
        line('{"id":1}').strip() + line('{"id":2}'),
        line('{"id":1}').replace(b'"data"', b'"stream":"t","data"'),
        line('{"name":"?"}').replace(b"?", b"\xff"),
        line('{"tree":["?"]}').replace(b"?", b"\xff"),
        b"\xef\xbb\xbf" + line('{"id":1}'),
        line('{"id":1}')[:-5],
    ],
)
def test_lines_that_are_not_as_they_began_are_refused(lines: bytes) -> None:
    assert PARSER.parse(lines) is None


@pytest.mark.parametrize("properties", [{}, {'a"b': {"type": "integer"}}])
def test_without_columns_that_it_can_tell_a_stream_is_read_as_rows(
    properties: dict[str, Any],
) -> None:
    assert not parser_of(Stream("s", schema={"type": "object", "properties": properties})).usable


def test_only_the_block_that_needs_it_is_read_as_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl_assets.model.json.columns.BLOCK_BYTES", 200)
    lines = [line(f'{{"id":{"1.5" if number == 7 else number}}}') for number in range(20)]
    batches = list(Parsing(STREAM, PARSER, rows)(b"".join(lines)))
    assert [batch.encoding for batch in batches] == ["arrow", "rows", "arrow"]
    ids = [row["id"] for batch in batches for row in batch.to_rows(STREAM)]
    assert ids == [1.5 if number == 7 else number for number in range(20)]


def test_blocks_of_nothing_but_null_join_those_with_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl_assets.model.json.columns.BLOCK_BYTES", 100)
    records = [
        '{"id":null}',
        '{"id":1,"x":0.5}',
        '{"tree":{"a":1},"price":1.25}',
        '{"at":"2026-01-01T00:00:00Z"}',
    ]
    (batch,) = Parsing(STREAM, PARSER, rows)(b"".join(map(line, records)))
    assert said(batch.to_arrow(STREAM)) == said(
        exactly(b"".join(map(line, records))).to_arrow(STREAM)
    )


def record_runs(form: Form, **streams: Stream) -> RecordRuns:
    keys: dict[str, StreamKey] = {name: stream.key for name, stream in streams.items()}
    return RecordRuns(
        form, lambda _, name: keys.get(name), {s.key: s for s in streams.values()}, rows
    )


def test_a_chunk_is_cut_into_runs_and_no_line_is_lost_or_moved() -> None:
    def singer(stream: str, record: str, more: str = "") -> bytes:
        return f'{{"type":"RECORD","stream":"{stream}","record":{record}{more}}}\n'.encode()

    t = Stream("t", schema=STREAM.schema)
    lines = [
        singer("s", '{"id":1}'),
        singer("s", '{"id":2}'),
        b"noise\n",
        singer("t", '{"id":3}'),
        b'{"type":"STATE"}\n',
        singer("s", '{"id":4}', ',"version":1'),
        singer("s", '{"id":4}', ',"version":2'),
        singer("u", '{"id":5}'),
        singer("s", '{"id":4}', ',"version":3') * 2,
        singer("u", '{"id":5}'),
        singer("s", '{"id":6}'),
        b"half",
    ]
    runs = list(record_runs(SINGER, s=STREAM, t=t).cut(b"".join(lines)))
    assert b"".join(run.lines for run in runs) == b"".join(lines)
    assert [(run.key[1], run.count, run.version) for run in runs if run.parse] == [
        ("s", 2, None),
        ("t", 1, None),
        ("s", 2, 3),
        ("s", 1, None),
    ]


def test_a_state_stands_behind_what_it_covers_and_before_what_it_does_not() -> None:
    buffer = EventBuffer({STREAM.key: STREAM})
    for number in range(3):
        buffer.add(STREAM.key, {"id": number})
    buffer.state(None, {"n": 1})
    buffer.add_lines(STREAM.key, b"3\n4\n", 2, _rows)
    buffer.state(None, {"n": 2})
    buffer.add_lines(STREAM.key, b"5\n6\n", 2, _rows)
    buffer.add(STREAM.key, {"id": 7})
    seen: list[Any] = []
    for event in buffer.flush():
        if isinstance(event, Records):
            seen += [row["id"] for row in event.batch.to_rows(STREAM)]
        elif isinstance(event, Checkpoint):
            seen.append(event.state)
    assert seen == [0, 1, 2, 3, 4, {"n": 2}, 5, 6, 7]


def _rows(lines: bytes) -> Iterator[Batch]:
    yield Batch(pa.table({"id": [int(one) for one in lines.split()]}))

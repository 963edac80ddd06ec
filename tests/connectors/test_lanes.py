"""Records parsed in columns are what the exact way gives, value by value and type by type."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.protocol.airbyte import decoder
from etl_assets.protocol.batch import Batch
from etl_assets.protocol.events import Checkpoint, Records, StreamKey
from etl_assets.protocol.json_columns import ColumnParser
from etl_assets.protocol.stream import Stream
from etl_assets.sources.event_buffer import EventBuffer
from etl_assets.sources.record_lanes import AIRBYTE, SINGER, RecordLanes

PROPERTIES = {
    "id": {"type": "integer"},
    "x": {"type": ["null", "number"]},
    "ok": {"type": "boolean"},
    "name": {"type": ["null", "string"]},
    "at": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
}
STREAM = Stream("s", schema={"type": "object", "properties": PROPERTIES})
PARSER = ColumnParser(STREAM, AIRBYTE.path, dict(AIRBYTE.around))


def line(data: str) -> bytes:
    return f'{{"type":"RECORD","record":{{"stream":"s","data":{data},"emitted_at":1}}}}\n'.encode()


def exactly(lines: bytes) -> Batch:
    return Batch([message.record.data for message in decoder(print).decode(lines) if message.record is not None])


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(-(2**63), 2**63 - 1),
        "x": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**60), 2**60)),
        "ok": st.one_of(st.none(), st.booleans()),
        "name": st.one_of(st.none(), st.text()),
        "at": st.datetimes().map(lambda moment: moment.isoformat() + "+02:00"),
        "day": st.dates().map(lambda day: day.isoformat()),
    },
)


@given(st.lists(VALUES, min_size=1, max_size=5), st.booleans())
def test_columns_are_what_the_exact_way_gives(rows: list[dict[str, Any]], ascii_only: bool) -> None:
    text = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    lines = b"".join(line(one.replace("\ud800", "?")) for one in text)
    table = PARSER.parse(lines, len(rows))
    if table is not None:
        expected = exactly(lines).to_arrow(STREAM)
        found = Batch(table).to_arrow(STREAM)
        assert found.schema.types == expected.schema.types
        assert found.equals(expected)


def test_plain_rows_are_parsed_so() -> None:
    row = '{"id":1,"x":0.30000000000000004,"ok":true,"name":"a\\u0000ö","at":"2026-01-01T00:00:00Z","day":"2026-02-28"}'
    table = PARSER.parse(line(row) * 3, 3)
    assert table is not None
    assert Batch(table).to_arrow(STREAM).equals(exactly(line(row) * 3).to_arrow(STREAM))


@pytest.mark.parametrize(
    "data",
    [
        '{"id":1.5}',
        '{"id":1.0}',
        '{"id":"7"}',
        '{"id":true}',
        '{"id":9223372036854775808}',
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
        '{"id":1,"id":2}',
        '{"name":"\\ud800"}',
        '{"at":"2026-01-01"}',
        '{"at":1700000000}',
        '{"at":"soon"}',
        '{"day":"2026-02-29"}',
        '{"day":"2026-2-3"}',
        '{"day":"2026-02-03T00:00:00"}',
        '{"id":01}',
    ],
)
def test_what_could_be_altered_goes_the_exact_way(data: str) -> None:
    assert PARSER.parse(line('{"id":1,"x":0.5,"at":"2026-01-01T00:00:00Z"}') + line(data), 2) is None


@pytest.mark.parametrize(
    "prop", [{"type": "object"}, {}, {"type": "number", "multipleOf": 0.01}, {"type": ["string", "integer"]}]
)
def test_a_schema_that_is_not_plain_goes_the_exact_way(prop: dict[str, Any]) -> None:
    stream = Stream("s", schema={"type": "object", "properties": {"a": prop}})
    assert not ColumnParser(stream, AIRBYTE.path, dict(AIRBYTE.around)).usable


def lanes(form: Any, **streams: Stream) -> RecordLanes:
    keys: dict[str, StreamKey] = {name: stream.key for name, stream in streams.items()}
    return RecordLanes(form, keys.get, {s.key: s for s in streams.values()}, lambda lines: [])


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
        singer("u", '{"id":5}'),
        singer("s", '{"id":6}'),
        b"half",
    ]
    runs = list(lanes(SINGER, s=STREAM, t=t).cut(b"".join(lines)))
    assert b"".join(run.lines for run in runs) == b"".join(lines)
    assert [(run.key[1], run.count) for run in runs if run.parse] == [("s", 2), ("t", 1), ("s", 1)]


@pytest.mark.parametrize("more", ['"namespace":"n"', '"meta":{"changes":[]}'])
def test_lines_that_say_more_are_told_one_by_one(more: str) -> None:
    chunk = f'{{"type":"RECORD","record":{{"stream":"s","data":{{"id":1}},"emitted_at":1,{more}}}}}\n'.encode()
    assert [run.parse for run in lanes(AIRBYTE, s=STREAM).cut(chunk)] == [None]


def test_a_state_stands_behind_what_it_covers_and_before_what_it_does_not() -> None:
    buffer = EventBuffer({STREAM.key: STREAM})
    parse = _Rows()
    for number in range(3):
        buffer.add(STREAM.key, {"id": number})
    buffer.state(None, {"n": 1})
    buffer.add_lines(STREAM.key, b"3\n4\n", 2, parse)
    buffer.state(None, {"n": 2})
    buffer.add_lines(STREAM.key, b"5\n6\n", 2, parse)
    buffer.add(STREAM.key, {"id": 7})
    seen: list[Any] = []
    for event in buffer.flush():
        if isinstance(event, Records):
            seen += [row["id"] for row in event.batch.to_rows(STREAM)]
        elif isinstance(event, Checkpoint):
            seen.append(event.state)
    assert seen == [0, 1, 2, 3, 4, {"n": 2}, 5, 6, 7]


class _Rows:
    def __call__(self, lines: bytes, count: int) -> Batch:
        ids = [int(one) for one in lines.split()]
        assert len(ids) == count
        return Batch(pa.table({"id": ids}))

"""A key that comes twice in a record is refused wherever records are decoded, however it is spelled; no other is."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.destinations.base import Destination
from etl_assets.exceptions import DataError, DestinationError, ProtocolError
from etl_assets.model.batch import Batch
from etl_assets.model.json import repeated_keys
from etl_assets.model.json.columns import ColumnParser
from etl_assets.model.json.repeated_keys import (
    at_most_keys,
    count_keys,
    key_ends,
    proves_each_once,
    repeats,
)
from etl_assets.model.stream import Stream
from etl_assets.protocol.airbyte import messages as airbyte
from etl_assets.protocol.record_forms import AirbyteForm, SingerForm
from etl_assets.protocol.record_runs import Form
from etl_assets.protocol.singer import lines as singer_lines
from etl_assets.protocol.singer.batch_files import batches_in
from etl_assets.protocol.singer.messages import BatchMessage, SchemaMessage, decode, encode

COLUMNS = ("id", "ok", "a", "b\\", "c:", "tree", "any", "list")
TYPES = {"id": "integer", "ok": "boolean", "tree": "object"}
PROPERTIES: dict[str, Any] = {
    **{
        name: {"type": ["null", TYPES.get(name, "string")]}
        for name in COLUMNS
        if name not in {"any", "b\\"}
    },
    "any": {},
    "list": {"type": ["null", "array"], "items": {"type": "string"}},
}
STREAM = Stream("s", schema={"type": "object", "properties": PROPERTIES})

# What could be taken for the end of a key, or hide one.
NASTY = st.lists(
    st.sampled_from(
        [
            '"',
            "\\",
            ":",
            " ",
            "!",
            "\n",
            "\t",
            "a",
            "é",
            '":',
            '" :',
            " :",
            '\\":',
            '{"a":1}',
            "\U0001f600",
        ]
    ),
    max_size=5,
).map("".join)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(0, 99), NASTY)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.none() | st.integers(0, 99),
        "ok": st.none() | st.booleans(),
        "a": st.none() | NASTY,
        "c:": st.none() | NASTY,
        "tree": st.none() | st.dictionaries(NASTY, TREES, max_size=3),
        "any": TREES,
        "list": st.none() | st.lists(NASTY, max_size=3),
    },
)
SPACE = st.sampled_from(["", "", " ", "  ", "\t", "\r", " " * 20])


@st.composite
def spelled(draw: st.DrawFn, value: Any, twice: tuple[Any, str, Any] | None = None) -> str:
    """Return a JSON text of a value, spelled in one of many ways.

    Args:
        draw: Hypothesis's.
        value: The value.
        twice: An object in it, a key of the object, and another value for that key.
    """
    if isinstance(value, str):
        numbered = draw(st.sampled_from(["", "", '": !', "a:"]))
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))[1:-1]
        return (
            '"'
            + "".join(f"\\u{ord(c):04x}" if c in numbered and "\\" not in text else c for c in text)
            + '"'
        )
    if isinstance(value, list):
        return "[" + ",".join(draw(spelled(one, twice)) for one in value) + "]"
    if isinstance(value, dict):
        pairs = list(value.items())
        if twice is not None and value is twice[0]:
            pairs.insert(draw(st.integers(0, len(pairs))), twice[1:])
        parts = [
            draw(spelled(k)) + draw(SPACE) + ":" + draw(SPACE) + draw(spelled(v, twice))
            for k, v in pairs
        ]
        return "{" + (draw(SPACE) + "," + draw(SPACE)).join(parts) + draw(SPACE) + "}"
    return json.dumps(value)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    for one in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from objects(one)
    if isinstance(value, dict) and value:
        yield value


@st.composite
def with_a_key_twice(draw: st.DrawFn) -> tuple[str, bool]:
    """Return the text of a record that has a key twice, and whether that is at its top."""
    record = draw(RECORDS.filter(bool))
    inside = draw(st.sampled_from(list(objects(record))))
    key = draw(st.sampled_from(sorted(inside)))
    other = draw(RECORDS.filter(lambda one: key in one)) if inside is record else {key: draw(TREES)}
    return draw(spelled(record, (inside, key, other[key]))), inside is record


def singer_line(record: str, more: str = "") -> bytes:
    return f'{{"type":"RECORD","stream":"s","record":{record}{more}}}\n'.encode()


def airbyte_line(record: str, more: str = "") -> bytes:
    return f'{{"type":"RECORD","record":{{"stream":"s","data":{record},"emitted_at":1{more}}}}}\n'.encode()


def columns(form: Form, line: Callable[[str], bytes], records: list[str]) -> Any:
    make = partial(form.line, name="s", key=STREAM.key, version=None)
    return ColumnParser(STREAM, make, form.path).parse(b"".join(map(line, records)))


def rows_of(module: Any, line: Callable[[str], bytes], records: list[str]) -> None:
    found = list(module.decoder(pytest.fail).decode(b"".join(map(line, records))))
    assert len(found) == len(records)


def batch_file(records: list[str], folder: Path) -> str:
    path = folder / "batch.gz"
    path.write_bytes(gzip.compress("\n".join(records).encode()))
    return path.as_uri()


def batch_in(url: str) -> None:
    with Path(url.removeprefix("file://")).open("rb", buffering=0) as file:
        list(batches_in(file, ENCODING, url=url, stream="s"))


class Taken(Destination):
    def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
        """Keep nothing."""


def batch_out(url: str, folder: Path) -> None:
    """Have a target read a file, and raise what its stream failed by."""
    said = SchemaMessage("s", {}), BatchMessage("s", ENCODING, [url])
    lines = io.BytesIO("".join(encode(one) + "\n" for one in said).encode())
    try:
        Taken(config={"batch_folder": str(folder)}).process(lines)
    except DestinationError as error:
        raise (error.__cause__ or error) from None


ENCODING = {"format": "jsonl", "compression": "gzip"}
ROWS: dict[str, Callable[[list[str], Path], Any]] = {
    "singer": lambda records, _: rows_of(singer_lines, singer_line, records),
    "airbyte": lambda records, _: rows_of(airbyte, airbyte_line, records),
    "target": lambda records, _: [decode(singer_line(record)) for record in records],
    "batch in": lambda records, folder: batch_in(batch_file(records, folder)),
    "batch out": lambda records, folder: batch_out(batch_file(records, folder), folder),
}
COLUMN_WAYS: dict[str, Callable[[list[str]], Any]] = {
    "singer": partial(columns, SingerForm(), singer_line),
    "airbyte": partial(columns, AirbyteForm(), airbyte_line),
}
EACH = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("way", ROWS)
@given(st.lists(RECORDS.flatmap(spelled), min_size=1, max_size=3))
@EACH
def test_rows_with_each_key_once_are_taken(way: str, tmp_path: Path, records: list[str]) -> None:
    ROWS[way](records, tmp_path)


@pytest.mark.parametrize("way", ROWS)
@given(st.lists(RECORDS.flatmap(spelled), max_size=2), with_a_key_twice(), st.integers(0, 2))
@EACH
def test_a_row_with_a_key_twice_is_refused(
    way: str, tmp_path: Path, records: list[str], twice: tuple[str, bool], place: int
) -> None:
    with pytest.raises(
        DataError, match=r"stream 's', field '.*': the key comes twice in one object"
    ):
        ROWS[way]([*records[:place], twice[0], *records[place:]], tmp_path)


@pytest.mark.parametrize("way", COLUMN_WAYS)
@given(st.lists(RECORDS.flatmap(spelled), min_size=1, max_size=3))
@EACH
def test_columns_with_each_key_once_are_taken(way: str, records: list[str]) -> None:
    COLUMN_WAYS[way](records)


@pytest.mark.parametrize("way", COLUMN_WAYS)
@given(st.lists(RECORDS.flatmap(spelled), max_size=2), with_a_key_twice(), st.integers(0, 2))
@EACH
def test_columns_with_a_key_twice_are_refused_or_keep_both(
    way: str, records: list[str], twice: tuple[str, bool], place: int
) -> None:
    text, at_top = twice
    table = None
    with suppress(DataError):
        table = COLUMN_WAYS[way]([*records[:place], text, *records[place:]])
    if table is None:
        return  # it is refused, or read as rows
    assert not at_top
    texts = [
        one
        for name in ("tree", "any")
        for one in table.column(name).cast("string").to_pylist()
        if one
    ]
    assert any(any(repeats(one)) for one in texts)
    with pytest.raises(DataError, match="the key comes twice"):
        Batch(table).to_rows(STREAM)


@given(
    TREES.filter(lambda value: isinstance(value, dict | list)).flatmap(
        lambda v: st.tuples(st.just(v), spelled(v))
    )
)
@settings(max_examples=50, deadline=None)
def test_counts_are_never_too_low(given: tuple[Any, str]) -> None:
    value, text = given
    assert at_most_keys(text.encode()) >= key_ends(text.encode()) >= count_keys(value)


def test_the_count_proves_what_is_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        repeated_keys, "repeats", lambda _: pytest.fail("it was looked at pair by pair")
    )
    usual: list[dict[str, Any]] = [
        {"id": 1, "ok": None, "a": "12:30:00 http://x", "c:": ""},
        {"a": "un mot : un autre", "c:": '{"a": 1, "b" : [":"]}'},
        {"a": 'er sagte: "so":'},
        {"id": 1, "tree": {"a": {"b": [{"c": 1}, {"c": "é : x"}]}}, "any": [1]},
        {"a": "é!: \n:"},
    ]
    for record in usual:
        for text in (
            json.dumps(record),
            json.dumps(record, separators=(",", ":"), ensure_ascii=False),
        ):
            assert proves_each_once(text, count_keys(record))
            for more in ("", ',"version":1,"time_extracted":"2026-01-01T00:00:00Z"'):
                rows_of(singer_lines, partial(singer_line, more=more), [text])
            for more in ("", ',"meta":{"changes":[]}', ',"namespace":null'):
                assert columns(AirbyteForm(), partial(airbyte_line, more=more), [text]) is not None
            rows_of(airbyte, partial(airbyte_line, more=',"meta":{"changes":[]}'), [text])


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ('{"a":"x","a":"y"}', "field 'a': .* Value: 'x', then 'y'."),
        ('{"a":"x","\\u0061":null}', "field 'a': .* Value: 'x', then None."),
        ('{"a":null,"a":"y"}', "field 'a': .* Value: None, then 'y'."),
        ('{"id":1,"id" \t: 20}', "field 'id': .* Value: 1, then 20."),
        ('{"id":1,"id":1}', "field 'id': .* Value: 1, then 1."),
        (
            '{"tree":{"x":1},"tree":{"x":1,"y":2}}',
            r"field 'tree': .* Value: \{'x': 1\}, then \{'x': 1, 'y': 2\}.",
        ),
        ('{"a":"' + "x" * 500 + '","a":":"}', "field 'a': .* Value: 'x{30,40}…, then ':'."),
    ],
)
def test_the_error_names_field_and_both_values(record: str, said: str) -> None:
    for way in COLUMN_WAYS.values():
        with pytest.raises(
            DataError, match=f"stream 's', {said} Have the source send each key once"
        ):
            way(['{"id":0}', record])
    for one in ("singer", "airbyte", "target"):
        with pytest.raises(DataError, match=f"stream 's', {said}"):
            ROWS[one]([record], Path())


def test_a_nested_field_is_named_with_its_place() -> None:
    with pytest.raises(DataError, match=r"field 'tree\.list\.1\.x': .* Value: 1, then 2\."):
        decode(singer_line('{"tree":{"list":[{"x":1},{"x":1,"x":2}]}}'))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (singer_line('{"id":1}', ',"record":{"id":2}'), "record"),
        (singer_line('{"id":1}', ',"version":1,"version":1'), "version"),
        (
            singer_line('{"id":1}', ',"time_extracted":"2026","time_extracted":"2027"'),
            "time_extracted",
        ),
    ],
)
def test_what_is_around_a_record_comes_once(line: bytes, key: str) -> None:
    make = partial(
        SingerForm().line, name="s", key=STREAM.key, version=1 if key == "version" else None
    )

    def by_columns() -> None:
        if ColumnParser(STREAM, make, "record").parse(line) is None:  # it is read as rows
            list(singer_lines.decoder(print).decode(line))

    for take in (
        by_columns,
        lambda: list(singer_lines.decoder(print).decode(line)),
        lambda: decode(line),
    ):
        with pytest.raises(
            ProtocolError, match=f"stream 's': a RECORD message has the key '{key}' twice"
        ):
            take()


def test_records_before_it_are_given_first() -> None:
    lines = (
        singer_line('{"id":1}')
        + b'{"type":"STATE","value":{"a":1}}\n'
        + singer_line('{"id":2,"id":3}')
    )
    found = iter(singer_lines.decoder(print).decode(lines))
    assert next(found).record == {"id": 1}
    assert next(found).type == "STATE"
    with pytest.raises(DataError, match="field 'id'"):
        next(found)


def test_beside_other_messages_and_noise_it_is_found() -> None:
    schema = b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}\n'
    for other in (schema, b"text\n\n", b'{"level":"INFO","message":"m","type":"LOG"}\n'):
        list(
            singer_lines.decoder(lambda _: None).decode(schema + singer_line('{"id":NaN}') + other)
        )
        for wrong in ('{"id":1,"id":2}', '{"id":1,"id":NaN}', '{"tree":{"x":1,"x":2}}'):
            with pytest.raises(DataError, match="the key comes twice"):
                list(
                    singer_lines.decoder(lambda _: None).decode(
                        other + singer_line('{"id":0}') + singer_line(wrong)
                    )
                )


@pytest.mark.parametrize(
    "beside",
    [
        r'{"a" : "x"}',
        '{"a"\t:"x"}',
        '{"a"' + " " * 40 + ':"x"}',
        r'{"a":"\u003ax"}',
        r'{"a":"\u0020:x"}',
        r'{"a":"x\u0022:"}',
        r'{"a":"x\u0021:"}',
        r'{"a":"x\n:"}',
        r'{"a":"x\t:","c:":":"}',
        r'{"tree":{"b\\":1}}',
        r'{"tree":{"b\\" :1,"c":"\":"}}',
        r'{"any":":x"}',
        r'{"any":"\u003a"}',
        r'{"list":[":","\u003a"]}',
        r'{"a":"\\\":","c:":"\\\\\":"}',
        r'{"a":null}',
        r"{}",
    ],
)
def test_nothing_beside_it_hides_it(beside: str) -> None:
    for twice in (
        '{"a":"x","a":"y"}',
        '{"a":null,"a":"y"}',
        '{"a":"y","a":null}',
        '{"id":1,"c:":"z","a":"x","id":2}',
    ):
        for records in ([beside, twice], [twice, beside], [beside, beside, twice]):
            for way in COLUMN_WAYS.values():
                assert way([beside]) is not None
                with pytest.raises(DataError):
                    way(records)
            for one in ("singer", "airbyte"):
                with pytest.raises(DataError):
                    ROWS[one](records, Path())
        # in one record with it
        both = beside[:-1] + ("," if len(beside) > 2 else "") + twice[1:]
        with pytest.raises(DataError):
            ROWS["target"]([both], Path())


def test_a_line_that_lacks_something_around_its_record_hides_nothing() -> None:
    full, bare = singer_line('{"id":1}', ',"time_extracted":"2026"'), singer_line('{"id":1,"id":2}')
    make = partial(SingerForm().line, name="s", key=STREAM.key, version=None)
    with pytest.raises(DataError):
        ColumnParser(STREAM, make, "record").parse(full + bare)
    with pytest.raises(DataError):
        list(singer_lines.decoder(print).decode(full + bare))


def test_a_json_column_keeps_both_however_its_text_is_spelled() -> None:
    text = r'{"x":"\u00e9","x":"\/"}'
    table = columns(SingerForm(), singer_line, [f'{{"tree":{text}}}'])
    assert table.column("tree").cast("string").to_pylist() == [text]


@pytest.mark.parametrize(
    "beside", [r'{"b\\":"x"}', r'{"b\\" :"x"}', r'{"a\\\"" : "x"}', r'{"b":{"a\\":"\\\\"}}']
)
def test_a_key_that_ends_in_a_backslash_hides_nothing(beside: str) -> None:
    for one in ("singer", "airbyte"):
        with pytest.raises(DataError):
            ROWS[one]([beside, '{"a":"\\":","c":1,"c":2}'], Path())
    ROWS["target"]([beside], Path())
    with pytest.raises(DataError):
        ROWS["target"]([beside[:-1] + ',"c":1,"c":2}'], Path())

"""JSON lines decoded into columns give what reading line by line gives: values, types, lines, errors."""

import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl_assets.exceptions import DataError
from etl_assets.model.stream import Stream
from etl_assets.sources.files.json import line_batches, line_columns, lines
from etl_assets.sources.files.options import FileOptions, Reading
from tests.sources.test_files_values import typed

SCHEMA = typed(
    n={"type": ["null", "integer"]},
    x={"type": ["null", "number"]},
    p={"type": ["null", "number"], "multipleOf": 0.01},
    b={"type": ["null", "boolean"]},
    s={"type": ["null", "string"]},
    d={"type": ["null", "string"], "format": "date"},
    t={"type": ["null", "string"], "format": "date-time"},
    c={"type": ["null", "string"], "format": "time"},
    o={"type": ["null", "object"]},
    a={"type": ["null", "array"], "items": {"type": ["null", "number"]}},
)
"""A column of each type that is decoded in a way of its own."""


def reading_of(data: bytes, schema: dict[str, Any] | None = None, **options: Any) -> Reading:
    stream = Stream("shop", schema=schema)
    return Reading("a.jsonl", len(data), stream, FileOptions(**options), lambda: io.BytesIO(data))


def outcome(reading: Reading) -> tuple[list[Any], str | None]:
    """Return the batches, as their lines, columns and what was refused; and the error at the end."""
    batches: list[Any] = []
    try:
        for table, numbers in lines.json_line_tables(reading):
            assert isinstance(table, pa.Table)
            columns = {
                field.name: (field.type, field.metadata, repr(column.to_pylist()))
                for field, column in zip(table.schema, table.columns, strict=True)
            }
            refused = sorted(str(error) for error in reading.refusals.taken().values())
            batches.append((list(numbers), columns, refused))
    except DataError as error:
        return batches, str(error)
    return batches, None


def line_by_line(reading: Reading) -> tuple[list[Any], str | None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_batches, "_has_plain_bytes", lambda _: False)
        return outcome(reading)


def check(data: bytes, schema: dict[str, Any] | None = None, **options: Any) -> None:
    """Compare both ways: each batch has the same lines, and the same columns but for empty ones."""
    wanted, told = line_by_line(reading_of(data, schema, **options))
    found, error = outcome(reading_of(data, schema, **options))
    assert error == told
    assert len(found) == len(wanted)
    known: set[str] = set()
    for (numbers, columns, refused), (their_numbers, theirs, their_refused) in zip(
        found, wanted, strict=True
    ):
        assert (numbers, refused) == (their_numbers, their_refused)
        # A field of an earlier batch that none of these lines has may be there as NULLs.
        more = {name for name, (type_, *_) in columns.items() if pa.types.is_null(type_)}
        assert set(columns) - set(theirs) <= more & known
        assert {name: columns[name] for name in theirs} == theirs
        known |= set(columns)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each batch, whether it was decoded into columns."""
    found: list[bool] = []
    table_of = line_columns.LineColumns.table

    def told(*args: Any) -> Any:
        table = table_of(*args)
        found.append(table is not None)
        return table

    monkeypatch.setattr(line_columns.LineColumns, "table", told)
    return found


SPELLED = [
    *("0", "-0", "7", "-12", "9223372036854775807", "9223372036854775808", "99999999999999999999"),
    *("1" * 38, "1" * 39, "1" * 400, "0.5", "1.10", "-0.0", "1.0", "0.30000000000000004"),
    *("0.1000000000000000055511151231257827", "0.0000001", "12345678901234567890.5", "1e5", "1E-7"),
    *("1e400", "NaN", "Infinity", "01", "1.", "-", "+1", "tru", "true", "false", "null", '""'),
    *('"x"', '"é"', '"\\u00e9"', '"\\/"', '"\\n\\""', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u2028"'),
    *('"\u2028"', '"\x7f"', '"\x01"', '":"', '"a :"', '"\\":"', '"\\u003a"', '"5e3"', '"1e5"'),
    *('"2026-01-31"', '"2026-01-31T10:11:12Z"', '"2026-01-31T10:11:12"', '"2026-02-30"', '" 1"'),
    *('"0000-01-01"', '"2026-01-31T10:11:12.1234567Z"', '"10:11"', '"007"', "{}", "[]", "[1,2.50]"),
    *('{"k":1}', '{"k":1,"k":2}', '{"k": {"l": [1.0, {"m": null}]}}', '[{"k":1},{"k":1}]', "[1,]"),
    *(
        '{"k :":1}',
        '{"k":":"}',
        '{"a":"5e3","b":1.5}',
        '{"a":1e5}',
        '{"a":0.0000001}',
        '["\\u00e9"]',
    ),
    *("[" * 60 + "]" * 60, "[" * 501 + "]" * 501, '{"a":99999999999999999999}', "[-0]", '[" "]'),
]
"""Values as they may be written, most of them as few programs do."""
NAMES = [*"nxpbsdtcoa", "u", "v", "é", "u :", "k"]
VALUES = st.sampled_from(SPELLED)
RECORD = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4)


def written(record: list[tuple[str, str]], separators: tuple[str, str] = (",", ":")) -> str:
    comma, colon = separators
    return "{" + comma.join(f'"{name}"{colon}{value}' for name, value in record) + "}"


ROWS = st.sampled_from([1, 2, 3, 50_000])
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", "\n \n", "\r", "\r\r\n", " \n", "\n "])


@given(
    records=st.lists(RECORD, max_size=8),
    ends=st.lists(ENDS, min_size=8, max_size=8),
    separators=SEPARATORS,
    is_ended=st.booleans(),
    is_declared=st.booleans(),
    rows=ROWS,
)
@settings(max_examples=250, deadline=None)
def test_any_records_are_read_as_line_by_line(
    records: list[list[tuple[str, str]]],
    ends: list[str],
    separators: tuple[str, str],
    is_ended: bool,
    is_declared: bool,
    rows: int,
) -> None:
    parts = [
        part
        for pair in zip((written(r, separators) for r in records), ends, strict=False)
        for part in pair
    ]
    data = "".join(parts if is_ended else parts[:-1]).encode("utf-8", "surrogatepass")
    check(data, SCHEMA if is_declared else None, batch_rows=rows)


PIECES = [
    *(
        '{"a":',
        '{"b":',
        "1",
        '"x"',
        "}",
        "{",
        "}\n",
        "}\n{",
        ",",
        "\n",
        "\r\n",
        "\r",
        "\0",
        "[",
        "]",
    ),
    *(" ", "\ufeff", '{"a":1}\n', '{"a":1}{"a":2}\n', '{"a":1} {"a":\n', "é", '"', "null\n", "\\"),
]


@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=14),
    rows=ROWS,
    size=st.sampled_from([1, 10, 8 * 2**20]),
)
@settings(max_examples=250, deadline=None)
@example(pieces=['{"a":1} {"a":\n', '{"a":1}', "}\n"], rows=50_000, size=100)
@example(pieces=['{"a":1} {"a":\n', "1", "}\n"], rows=50_000, size=100)
@example(pieces=["\ufeff", '{"a":1}\n', "\ufeff", '{"a":1}\n'], rows=1, size=100)
def test_any_bytes_are_read_as_line_by_line(pieces: list[str], rows: int, size: int) -> None:
    check("".join(pieces).encode(), batch_rows=rows, batch_bytes=size)


@given(data=st.binary(max_size=30), rows=ROWS)
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_no_text_are_refused_as_line_by_line(data: bytes, rows: int) -> None:
    check(b'{"a":"' + data + b'"}\n{"a":"x"}\n', batch_rows=rows)


@pytest.mark.parametrize("name", SCHEMA["properties"])
@given(values=st.lists(VALUES, min_size=1, max_size=6), rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_a_column_is_decoded_as_value_by_value(name: str, values: list[str], rows: int) -> None:
    data = "".join(written([(name, value)]) + "\n" for value in values).encode()
    check(data, SCHEMA, batch_rows=rows)
    check(data, batch_rows=rows)


KEYS = st.sampled_from(["a", "b", "longer than a word", "é", ":", ","])
LEAVES = st.sampled_from(
    ["1", '":"', '":a"', '", b"', '"{"', '"a\\""', "[]", '["b",":b"]', "null", "0.50", "2e3"]
)


@given(
    keys=st.lists(KEYS, min_size=1, max_size=4),
    rows=st.lists(st.lists(LEAVES, min_size=4, max_size=4), min_size=1, max_size=6),
    odd=st.lists(KEYS, max_size=4),
    at=st.integers(0, 5),
    depth=st.integers(0, 2),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
)
@settings(max_examples=400, deadline=None)
@example(
    keys=["a", "b"], rows=[["1"] * 4] * 3, odd=["a", "a"], at=1, depth=0, separators=(",", ":")
)
def test_objects_that_are_alike_are_read_as_one_by_one(
    keys: list[str],
    rows: list[list[str]],
    odd: list[str],
    at: int,
    depth: int,
    separators: tuple[str, str],
) -> None:
    nested = [
        written(list(zip(odd if number == at else keys, leaves, strict=False)), separators)
        for number, leaves in enumerate(rows)
    ]
    for _ in range(depth):
        nested = [f'{{"in":{one},"n":[{one}]}}' for one in nested]
    data = "".join(f'{{"o":{one}}}\n' for one in nested).encode()
    check(data)
    check(data, SCHEMA, batch_rows=4)


GOOD = {
    "n": 7,
    "x": 0.25,
    "p": 12.5,
    "b": True,
    "s": 'a "text": é',
    "d": "2026-01-31",
    "t": "2026-01-31T10:11:12.5Z",
    "c": "10:11:12",
    "o": {"k": {"l": [1, 2.5, "x: y", "5e3"]}, "m": None},
    "a": [1.5, 2],
}


@pytest.mark.parametrize("schema", [None, SCHEMA], ids=["no schema", "a schema"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
def test_what_programs_write_is_decoded_into_columns(
    schema: Any, separators: tuple[str, str], ways: list[bool]
) -> None:
    records: list[dict[str, Any]] = [
        GOOD,
        dict.fromkeys(GOOD),
        {},
        dict(reversed(GOOD.items())),
        {**GOOD, "new": 1},
    ]
    data = "".join(
        json.dumps(record, separators=separators, ensure_ascii=False) + "\n" for record in records
    ).encode()
    check(data, schema)
    check(data, schema, batch_rows=2)
    assert len(ways) == 4
    assert all(ways)


def test_only_the_batch_of_an_odd_line_is_read_line_by_line(ways: list[bool]) -> None:
    records = [json.dumps({"id": number, "at": None}) for number in range(100)]
    records[50] = '{"id": 50, "at": NaN}'
    check("\n".join(records).encode(), batch_rows=10)
    assert ways == [True] * 5 + [False] + [True] * 4


def test_files_whose_fields_have_no_end_are_read_line_by_line(ways: list[bool]) -> None:
    data = "".join(f'{{"{number}": 1}}\n' for number in range(3000)).encode()
    check(data, batch_rows=500)
    assert ways.count(False) >= 1

"""CSV read in blocks of columns gives what the way row by row gives: texts, values, lines, errors."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl_assets import FileSource
from etl_assets.exceptions import DataError
from etl_assets.model.stream import Stream
from etl_assets.sources.files.options import FileOptions, Reading
from etl_assets.sources.files.text import cells, csv, csv_blocks, csv_columns
from etl_assets.sources.files.text.typed_columns import typed_at_once
from tests.sources.test_files_values import typed, written

SMALL = [1, 2, 3, 5, 8, 13, 34, 100]
TYPED = typed(
    n={"type": ["null", "integer"]},
    x={"type": ["null", "number"]},
    p={"type": ["null", "number"], "multipleOf": 0.01},
    b={"type": ["null", "boolean"]},
    d={"type": ["null", "string"], "format": "date"},
    t={"type": ["null", "string"], "format": "date-time"},
)


def reading_of(data: bytes, schema: dict[str, Any] | None = None, **options: Any) -> Reading:
    stream = Stream("shop", schema=schema)
    return Reading("a.csv", len(data), stream, FileOptions(**options), lambda: io.BytesIO(data))


def outcome(reading: Reading) -> tuple[list[Any], str | None]:
    """Return the rows with their lines and what was refused, and the error that ended them."""
    rows: list[Any] = []
    try:
        for table, lines in csv.csv_tables(reading):
            found = table if isinstance(table, list) else table.to_pylist()
            refused = {str(error) for error in reading.refusals.taken().values()}
            rows += zip(lines, found, strict=True)
            rows += sorted(refused)
    except DataError as error:
        return rows, str(error)
    return rows, None


@pytest.fixture
def plain_blocks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each block that was read, whether it went the fast way."""
    found: list[bool] = []

    def counted(*args: Any) -> Any:
        table = csv_columns.columns_of(*args)
        found.append(table is not None)
        return table

    monkeypatch.setattr(csv, "columns_of", counted)
    return found


@pytest.fixture(scope="module")
def in_blocks() -> Callable[..., Any]:
    """Read in blocks of some bytes; of 0, the file as one. Row by row, if not `fast`."""

    def read(reading: Reading, size: int, *, fast: bool = True) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_blocks, "BLOCK_BYTES", max(size, 1))
            patch.setattr(csv, "BLOCK_BYTES", max(size, 1))
            if size == 0:
                patch.setattr(csv, "_dialect_of_bytes", lambda *_: None)
            if not fast:
                patch.setattr(csv, "proven", lambda *_: None)
            return outcome(reading)

    return read


PIECES = ["a", "é", "1", ",", ";", '"', '""', "\n", "\r\n", "\r", "\n\n", "\ufeff", "\\", " ", "#"]
"""What a file is put together of: most of it is nothing that a program would write."""
CELLS = [
    "",
    "x",
    "é",
    "a b",
    '"q"',
    '"a,b"',
    '"a""b"',
    '"a\nb"',
    '"a\r\nb\r\n\r\nc"',
    '""',
    "N",
    "\ufeff",
]
"""What programs write."""


def from_rows(rows: list[list[str]], end: str) -> bytes:
    return end.join([*(",".join(row) for row in [["a", "b"], *rows]), ""]).encode()


@given(
    text=st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    size=st.sampled_from(SMALL),
    options=st.sampled_from(
        [
            {},
            {"delimiter": ";"},
            {"header": ["a", "b"]},
            {"header": False},
            {"quote": None},
            {"skip_rows": 1},
            {"short_rows": "null"},
            {"skip_blank_lines": True},
            {"null_values": ["", "1"]},
            {"escape": "\\"},
            {"comment": "#"},
            {"skip_footer": 1},
            {"batch_rows": 2},
        ]
    ),
)
@settings(max_examples=400, deadline=None)
@example(text="a\n\ufeff\n", size=2, options={})
@example(text="a\n1\n\n", size=2, options={})
@example(text="a\n1\n\n1\n", size=2, options={})
@example(text='a,b\n1,"\n', size=3, options={})
@example(text="a\r1\r1\r", size=2, options={})
def test_any_bytes_are_read_as_row_by_row(
    text: str, size: int, options: dict[str, Any], in_blocks: Any
) -> None:
    data = text.encode()
    wanted, told = in_blocks(reading_of(data, **options), 0)
    found, error = in_blocks(reading_of(data, **options), size)
    assert error == told
    # How many rows were given before an error is not the same, which rows they are is.
    given = len(found) if error is None else min(len(found), len(wanted))
    assert found[:given] == wanted[:given]


@given(
    pieces=st.lists(
        st.sampled_from([*PIECES[:10], "\x81", "ÿ", "€", "x,y\n", "1\n", '"a\nö"\n']), max_size=30
    ),
    size=st.sampled_from(SMALL),
    encoding=st.sampled_from(["latin-1", "cp1252", "iso8859-15", "cp1251", "koi8-r", "utf-16-le"]),
)
@settings(max_examples=200, deadline=None)
def test_other_encodings_are_read_as_row_by_row(
    pieces: list[str], size: int, encoding: str, in_blocks: Any
) -> None:
    # What the encoding lacks stands there as bytes of another one.
    data = b"".join(
        piece.encode(encoding, "ignore") or piece.encode("latin-1", "ignore") for piece in pieces
    )
    wanted, told = in_blocks(reading_of(data, encoding=encoding), 0)
    found, error = in_blocks(reading_of(data, encoding=encoding), size)
    assert error == told
    given = len(found) if error is None else min(len(found), len(wanted))
    assert found[:given] == wanted[:given]


def test_blocks_of_another_encoding_go_the_fast_way(
    plain_blocks: list[bool], in_blocks: Any
) -> None:
    data = ("n,t\n" + "1,für 5 €\n" * 100).encode("cp1252")
    found, error = in_blocks(reading_of(data, encoding="cp1252"), 200)
    assert error is None
    assert [row["t"] for _, row in found] == ["für 5 €"] * 100
    assert len(plain_blocks) > 3
    assert all(plain_blocks)


@given(
    pieces=st.lists(
        st.sampled_from(['"', "\r", "\n", "\r\n", "x", ",", "y,z\n", "1,2\r"]), max_size=25
    ),
    size=st.sampled_from([1, 3, 7, 12]),
)
@settings(max_examples=500, deadline=None)
@example(pieces=["1,2\r", "\r\n", "\r", "1,2\r"], size=7)
def test_no_row_is_lost_behind_one_that_goes_on_and_ends_in_a_return(
    pieces: list[str], size: int, in_blocks: Any
) -> None:
    data = ("a,b\n" + "".join(pieces)).encode()
    wanted, told = in_blocks(reading_of(data, short_rows="null"), 0)
    found, error = in_blocks(reading_of(data, short_rows="null"), size)
    assert error == told
    given = len(found) if error is None else min(len(found), len(wanted))
    assert found[:given] == wanted[:given]


@given(
    rows=st.lists(
        st.lists(st.sampled_from(CELLS), min_size=2, max_size=2), min_size=1, max_size=12
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    size=st.sampled_from(SMALL),
)
@settings(max_examples=150, deadline=None)
def test_what_programs_write_is_read_as_row_by_row(
    rows: list[list[str]], end: str, size: int, in_blocks: Any
) -> None:
    data = from_rows(rows, end)
    found, error = in_blocks(reading_of(data), size)
    assert (found, error) == in_blocks(reading_of(data), 0)
    assert error is None
    assert len(found) == len(rows)


def test_plain_blocks_go_the_fast_way_and_only_the_others_do_not(
    plain_blocks: list[bool], in_blocks: Any
) -> None:
    rows = [f'{number},"a, ""b""\n{number}"\n' for number in range(200)]
    data = "".join(["n,t\n", *rows[:100], '100,a"b\n', *rows[101:]]).encode()
    found, error = in_blocks(reading_of(data), 200)
    assert error is None
    assert [row for _, row in found] == [
        {"n": str(number), "t": 'a"b' if number == 100 else f'a, "b"\n{number}'}
        for number in range(200)
    ]
    assert [line for line, _ in found] == [2 + 2 * n - (n > 100) for n in range(200)]
    # Of a block that is not proven, no columns are read.
    assert len(plain_blocks) > 10
    assert all(plain_blocks)


def test_a_row_of_another_width_is_named_though_its_block_was_read_as_columns(
    plain_blocks: list[bool], tmp_path: Path
) -> None:
    lines = [f"{number},x" for number in range(1000)]
    lines[700] += ",y"
    path = written(tmp_path / "a.csv", "\n".join(["n,t", *lines, ""]))
    source = FileSource("shop", str(path))
    with pytest.raises(DataError, match=r"line 702: 3 cells, where the header has 2"):
        list(
            source.load_data(
                source.discover()["a"] if "a" in source.discover() else source.discover().streams[0]
            )
        )
    assert plain_blocks == [False]


def test_a_batch_holds_no_more_bytes_than_it_may() -> None:
    data = ("n,t\n" + "1,xxxxx\n" * 1000).encode()
    sizes = [len(lines) for _, lines in csv.csv_tables(reading_of(data, batch_bytes=800))]
    assert max(sizes) == 100
    assert sum(sizes) == 1000


NUMBERS = st.from_regex(r"[+-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
TEXTS = {
    "n": NUMBERS
    | st.sampled_from(
        ["", "007", "0x1F", " 1", "-0", "3.0", "9223372036854775808", "1_0", "\u0661"]
    ),
    "x": NUMBERS
    | st.sampled_from(
        ["", "nan", "inf", "-0.0", "0.1", "1e400", "0.1000000000000000055511151231257827"]
    ),
    "p": NUMBERS
    | st.sampled_from(
        ["", "1.005", "1.10", ".5", "5.", "99999999999999999999999999999999999999.99"]
    ),
    "b": st.sampled_from(["", "true", "FALSE", "1", "0", "True", "yes", "t", "\u017f", "2"]),
    "d": st.dates().map(str)
    | st.sampled_from(
        [
            "",
            "0000-01-01",
            "2026-02-30",
            "2026-1-1",
            "20260101",
            " 2026-01-01",
            "2026-01-01T00:00:00",
        ]
    ),
    "t": st.datetimes().map(str)
    | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    | st.sampled_from(
        [
            "",
            "2026-01-01",
            "2026-01-01T00:00",
            "2026-01-01 00:00:00+02:00",
            "2026-01-01T24:00:00",
            "2026-01-01T00:00:00.123456789",
            "0000-01-01T00:00:00",
            "2026-01-01T00:00:60",
        ]
    ),
}


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_column_is_typed_at_once_as_one_by_one(name: str, data: st.DataObject) -> None:
    texts = data.draw(st.lists(TEXTS[name] | st.none(), max_size=6))
    reading = reading_of(b"", TYPED)
    type_ = cells.declared_types(reading)[name]
    refused: list[Any] = []
    found = typed_at_once(pa.array(texts, pa.string()), type_)
    if found is None:
        return
    wanted = cells.typed_column(texts, type_, reading, name, lambda *told: refused.append(told))
    assert not refused
    assert found.type == wanted.type
    assert repr(found.to_pylist()) == repr(wanted.to_pylist())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n", "-12"),
        ("x", "-1.25"),
        ("p", "1234.50"),
        ("b", "True"),
        ("d", "2026-01-31"),
        ("t", "2026-01-31 10:11:12.5"),
        ("t", "2026-01-31T10:11:12+02:00"),
    ],
)
def test_ordinary_texts_are_typed_at_once(name: str, text: str) -> None:
    type_ = cells.declared_types(reading_of(b"", TYPED))[name]
    found = typed_at_once(pa.array(["", text, None]).slice(1), type_)
    assert found is not None
    assert found.null_count == 1


@given(
    rows=st.lists(st.tuples(*TEXTS.values()), min_size=1, max_size=8),
    size=st.sampled_from([20, 80, 400]),
)
@settings(max_examples=100, deadline=None)
def test_declared_columns_are_read_and_refused_as_row_by_row(
    rows: list[tuple[str, ...]], size: int, in_blocks: Any
) -> None:
    data = "\n".join([",".join(TEXTS), *(",".join(row) for row in rows), ""]).encode()
    # In the same blocks, since the type of a batch is that of its rows.
    wanted = in_blocks(reading_of(data, TYPED), size, fast=False)
    assert repr(in_blocks(reading_of(data, TYPED), size)) == repr(wanted)  # NaN is not itself

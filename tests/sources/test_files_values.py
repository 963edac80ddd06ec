"""What is in files arrives exactly: text as text, declared types, numbers of JSON, Parquet, sheets, packed files."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tracemalloc
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.exceptions import ConfigError, DataError
from etl_assets.model.catalog import Catalog
from etl_assets.model.stream import Stream
from etl_assets.sources.files.text.inference import as_texts, look
from etl_assets.sync import sync

MADE = datetime(2026, 1, 1, tzinfo=UTC)


def stream_of(source: FileSource, name: str | None = None) -> Stream:
    catalog = source.declared_catalog() or source.discover()
    return catalog[name] if name else catalog.streams[0]


def read(source: FileSource, stream: Stream | None = None) -> pa.Table:
    stream = stream or stream_of(source)
    batches = [
        batch.to_arrow(stream) for batch in StreamRead(source, stream).open(None) if len(batch)
    ]
    return pa.concat_tables(batches, promote_options="permissive")


def rows_of(source: FileSource, stream: Stream | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read(source, stream).to_pylist()
    return rows


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def typed(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


# CSV

CELL = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
) | st.sampled_from(
    [
        "",
        "007",
        "NULL",
        '"',
        '""',
        ",",
        "\r",
        "\n",
        "\r\n",
        " ",
        "\ufeff",
        "=1+1",
        "1e5",
        "\u2028",
        "\x85",
        "'",
    ]
)


@given(data=st.data())
@settings(max_examples=60)
def test_any_table_of_texts_comes_back_equal_through_a_sync(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 4))
    names = [f"c{number}" for number in range(width)]
    cells = data.draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=8))
    delimiter = data.draw(st.sampled_from(",;\t|"))
    with TemporaryDirectory() as folder:
        with Path(folder, "t.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=delimiter).writerows([names, *cells])
        source = FileSource(
            "shop", f"{folder}/t.csv", delimiter=delimiter, with_origin=True, batch_rows=3
        )
        warehouse = DuckDBDestination(f"{folder}/w.duckdb")
        stream = stream_of(source)
        sync(StreamRead(source, stream), warehouse)
        table = warehouse.read_table(warehouse.table_for("shop", stream))
        if cells:
            found = sorted(table.to_pylist(), key=lambda row: row["_line"])
            assert [[row[name] for name in names] for row in found] == cells


def test_a_signature_is_no_text_and_later_ones_are(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "\ufeffid,x\r\n1,\ufeffa\r\n".encode())
    assert rows_of(FileSource("shop", str(path))) == [{"id": "1", "x": "\ufeffa"}]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "cp1252", "utf-8"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,x\n1,é\n".encode(encoding))
    assert rows_of(FileSource("shop", str(path), encoding=encoding)) == [{"id": "1", "x": "é"}]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_newlines_and_lines_at_the_end(newline: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", newline.join(["a,b", "1,2", "", ""]))
    assert rows_of(FileSource("shop", str(path))) == [{"a": "1", "b": "2"}]


def test_an_empty_line_of_one_column_is_an_empty_cell(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "a\n1\n\n2\n")
    assert rows_of(FileSource("shop", str(path))) == [{"a": "1"}, {"a": ""}, {"a": "2"}]


def test_headers_delimiters_and_null_texts(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "1|NA\n|2\n")
    options: dict[str, Any] = {"format": "csv", "delimiter": "|", "null_values": ["NA"]}
    assert rows_of(FileSource("s", str(path), header=["a", "b"], **options)) == [
        {"a": "1", "b": None},
        {"a": "", "b": "2"},
    ]
    assert rows_of(FileSource("s", str(path), header=False, **options))[0] == {
        "column_1": "1",
        "column_2": None,
    }
    tabs = written(tmp_path / "a.tsv", 'a\tb\n1\t"x\n')
    assert rows_of(FileSource("s", str(tabs), quote=None)) == [{"a": "1", "b": '"x'}]


def test_declared_types_are_read_exactly(tmp_path: Path) -> None:
    schema = typed(
        i={"type": "integer"},
        n={"type": ["null", "number"], "multipleOf": 0.01},
        f={"type": "number"},
        b={"type": "boolean"},
        d={"type": "string", "format": "date"},
        t={"type": "string", "format": "date-time"},
        j={"type": "object"},
        x={"type": "string", "x-arrow": "binary", "contentEncoding": "base64"},
        s={"type": "string"},
    )
    lines = [
        "i,n,f,b,d,t,j,x,s,more",
        '12345678901234567890,1.10,0.1,TRUE,2024-02-29,2026-01-01T01:00:00+01:00,"{""a"":1.10}",AAE=,007,7',
        ",,,,,,,,,",
    ]
    path = written(tmp_path / "a.csv", "\n".join(lines))
    first, second = rows_of(FileSource("s", str(path), schema=schema))
    assert first == {
        "i": Decimal(12345678901234567890),
        "n": Decimal("1.10"),
        "f": 0.1,
        "b": True,
        "d": date(2024, 2, 29),
        "t": MADE,
        "j": '{"a":1.10}',
        "x": b"\0\1",
        "s": "007",
        "more": "7",
    }
    assert {name: value for name, value in second.items() if value is not None} == {
        "s": "",
        "more": "",
    }


def test_a_whole_number_is_an_integer_however_it_is_written(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "i\n3.0\n4.\n1e3\n-0.0\n12.50e1\n" + "9" * 15 + ".000\n")
    table = read(FileSource("s", str(path), schema=typed(i={"type": "integer"})))
    assert table.schema.field("i").type == pa.int64()
    assert table.column("i").to_pylist() == [3, 4, 1000, 0, 125, 10**15 - 1]


def test_numbers_that_no_decimal_holds_together_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"n\n{'9' * 30}\n0.{'1' * 30}\n")
    with pytest.raises(
        DataError, match=r"field 'n': a\.csv: numbers that no decimal of 38 digits holds together"
    ):
        read(FileSource("s", str(path), schema=typed(n={"type": "number"})))


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({"type": "integer"}, "1.5"),
        ({"type": "integer"}, "1_000"),
        ({"type": "integer"}, " 1"),
        ({"type": "integer"}, "9" * 5000),
        ({"type": "integer"}, "1e-1"),
        ({"type": "integer"}, "9" * 40),
        ({"type": "number"}, "1,5"),
        ({"type": "number"}, "1e400"),
        ({"type": "number", "multipleOf": 0.01}, "9.999"),
        ({"type": "boolean"}, "yes"),
        ({"type": "string", "format": "date"}, "2023-02-29"),
        ({"type": "string", "format": "date-time"}, "soon"),
        ({"type": "object"}, "{"),
        ({"type": "object"}, "[" * 5000),
    ],
)
def test_what_does_not_fit_its_declared_type_names_file_and_line(
    declared: Mapping[str, Any], text: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([["a", "b"], ["x\ny", ""], ["x", text]])
    source = FileSource("s", str(path), schema=typed(b=declared), delimiter=";")
    with pytest.raises(DataError, match=r"field 'b': a\.csv, line 4: "):
        read(source)


@pytest.mark.parametrize(
    ("texts", "type_"),
    [
        (["1", "", "-5"], pa.int64()),
        (["1", "2.5"], pa.float64()),
        (["1", "007"], pa.string()),
        (["true", "false"], pa.bool_()),
        (["2026-01-01"], pa.date32()),
        (["2026-02-30"], pa.string()),
        (["2026-01-01T00:00:00Z"], pa.timestamp("us", "UTC")),
        (["2026-01-01 00:00:00", "2026-01-01T00:00:00Z"], pa.string()),
        (["", ""], pa.null()),
    ],
)
def test_types_are_inferred_from_all_rows_and_only_when_asked_for(
    texts: Sequence[str], type_: pa.DataType, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.csv", "\n".join(["k,x", *(f"k,{text}" for text in texts)]))
    inferred = read(FileSource("s", str(path), types="infer", batch_rows=1))
    assert inferred.schema.field("x").type == type_
    assert read(FileSource("s", str(path))).column("x").to_pylist() == list(texts)


def test_a_discovered_catalog_leaves_inferred_types_open(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "x\n1\n")
    source = FileSource("s", str(path), types="infer")
    assert rows_of(source, source.discover().streams[0]) == [{"x": 1}]


@pytest.mark.parametrize("text", ["00", "-00", "00.5", " 1", "True", "nan", "1_0", "0x1"])
def test_what_would_lose_something_is_not_inferred(text: str) -> None:
    assert look(as_texts([text])).kind == "text"


# JSON lines


def test_numbers_of_json_keep_every_digit(tmp_path: Path) -> None:
    big, long = 2**80, "0.12345678901234567890123"
    path = written(
        tmp_path / "a.jsonl", f'{{"i":{big},"d":{long},"o":{{"x":{long}}}}}\n\n{{"i":1,"new":"é"}}'
    )
    first, second = rows_of(FileSource("s", str(path)))
    assert (first["i"], first["d"], first["o"]) == (big, Decimal(long), f'{{"x":{long}}}')
    assert (second["i"], second["new"], second["d"]) == (1, "é", None)


def test_declared_types_of_json_name_file_and_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ndjson", '{"a":1}\n\n{"a":"one"}\n')
    with pytest.raises(DataError, match=r"a\.ndjson, line 3: .*str in a column declared int64"):
        read(FileSource("s", str(path), schema=typed(a={"type": "integer"})))


# Parquet


def test_parquet_stays_as_it_is(tmp_path: Path) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None, 3], pa.int32()),
            "d": pa.array([Decimal("1.10"), None, Decimal("2.25")]),
            "t": pa.array([MADE] * 3, pa.timestamp("us", "UTC")),
            "l": [[1], None, []],
            "b": [b"\0", b"", None],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    source = FileSource("s", str(tmp_path / "*.parquet"), batch_rows=1)
    assert read(source).cast(table.schema).equals(table)
    assert source.count_records(stream_of(source)) == source.count_records("s") == 3
    assert source.discover()["s"].schema is not None
    chosen = stream_of(source).replace(columns=["i"])
    assert read(source, chosen).column_names == ["i"]


def test_parquet_comes_in_parts_of_bounded_size(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"x": ["a" * 1000] * 2000}), tmp_path / "a.parquet")
    source = FileSource("s", str(tmp_path / "a.parquet"), batch_bytes=50_000, with_origin=True)
    batches = [
        batch.to_arrow(stream_of(source))
        for batch in StreamRead(source, stream_of(source)).open(None)
    ]
    assert max(len(batch) for batch in batches) <= 100
    assert [row for batch in batches for row in batch.column("_line").to_pylist()] == list(
        range(1, 2001)
    )


# Excel


def book(path: Path, rows: Sequence[Sequence[Any]], sheet: str = "Sheet") -> Path:
    made = openpyxl.Workbook()
    made.create_sheet("Other").append(["x"])
    made.worksheets[0].title = sheet
    for row in rows:
        made.worksheets[0].append(list(row))
    made.save(path)
    return path


def test_sheets_give_values_as_they_hold_them(tmp_path: Path) -> None:
    values = [
        1,
        2.5,
        "007",
        date(2026, 1, 2),
        datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001
        True,
        time(1, 2),
        None,
    ]
    names = list("abcdefgh")
    path = book(tmp_path / "a.xlsx", [names, values, [], [2, None]], sheet="Data")
    for sheet in (0, "Data"):
        first, second = rows_of(FileSource("s", str(path), sheet=sheet, with_origin=True))
        assert [first[name] for name in names] == values
        assert (second["a"], second["b"], second["_line"]) == (2, None, 4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", "a"], [1, 2]], "row|line 1: two columns are called 'a'"),
        ([["a"], [1, 2]], "line 2: cell 2 has a value"),
        ([["a"], ["=1+1"]], "line 2: cell A2 is a formula"),
        ([["a"], ["#N/A"]], "line 2: cell A2 holds the error #N/A"),
    ],
)
def test_bad_sheets_are_errors(rows: Sequence[Sequence[Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(FileSource("s", str(book(tmp_path / "a.xlsx", rows))))


def test_other_sheets_and_other_files(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["a"], [1]])
    with pytest.raises(DataError, match=r"no sheet 'Shet'.*'Sheet'"):
        read(FileSource("s", str(path), sheet="Shet"))
    with pytest.raises(DataError, match="has 2 sheets"):
        read(FileSource("s", str(path), sheet=7))
    with pytest.raises(DataError, match="is no Excel file"):
        read(FileSource("s", str(written(tmp_path / "b.xlsx", b"no"))))


# Packed


def zipped(data: bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("a.csv",):
            archive.writestr(name, data)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


PACKERS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
    ".zip": zipped,
}
LONG = b"id,x\n" + b"".join(b"%d,%d\n" % (row, row * 7919 % 10007) for row in range(30_000))


@pytest.mark.parametrize("ending", PACKERS)
def test_packed_files_are_read_whole_or_not_at_all(ending: str, tmp_path: Path) -> None:
    packed = PACKERS[ending](LONG)  # type: ignore[operator]
    path = written(tmp_path / f"a.csv{ending}", packed)
    assert len(read(FileSource("s", str(path)))) == 30_000
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"a\.csv.*is no whole"):
        read(FileSource("s", str(path)))
    path.write_bytes(b"id,x\n1,2\n")
    with pytest.raises(DataError, match=r"a\.csv.*is no whole"):
        read(FileSource("s", str(path)))


@pytest.mark.parametrize("ending", PACKERS)
def test_a_bomb_is_an_error_before_it_goes_off(ending: str, tmp_path: Path) -> None:
    data = b"x\n" + (b"0" * 9_999 + b"\n") * 3_000
    path = written(tmp_path / f"a.csv{ending}", PACKERS[ending](data))  # type: ignore[operator]
    with pytest.raises(DataError, match="may be a bomb"):
        read(FileSource("s", str(path)))
    with pytest.raises(DataError, match="holds more than 1000 bytes"):
        read(FileSource("s", str(path), max_file_bytes=1000))


def test_an_excel_bomb_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", zipped(b"0" * 20_000_000, "xl/worksheets/sheet1.xml"))
    with pytest.raises(DataError, match="may be a bomb"):
        read(FileSource("s", str(path)))


def test_a_format_that_is_packed_by_itself_is_not_packed_again(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet.gz", gzip.compress(b""))
    with pytest.raises(ConfigError, match="packed with gzip"):
        read(FileSource("s", str(path)))


# Memory


def test_a_row_without_an_end_is_an_error_before_it_fills_the_memory(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", 'x\n"' + "line\n" * 50_000),
        ("b.csv", "x\n" + "y" * 300_000),
        ("c.jsonl", "1" * 300_000),
    ):
        source = FileSource("s", str(written(tmp_path / name, text)), max_row_bytes=100_000)
        with pytest.raises(DataError, match=rf"{name}, line \d+: a row of more than 100000"):
            read(source)


def test_one_large_cell_is_kept(tmp_path: Path) -> None:
    text = "é" * 10_000_000
    path = written(tmp_path / "a.jsonl", json.dumps({"x": text}))
    assert rows_of(FileSource("s", str(path))) == [{"x": text}]


@pytest.mark.full
def test_a_large_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    row = ",".join(["some text", "12345678", "2026-01-01", "x" * 20, "é"] * 2) + "\n"
    wanted = 200 * 2**20 // len(row.encode())
    with (tmp_path / "a.csv").open("w", encoding="utf-8") as file:
        file.write(",".join(f"c{number}" for number in range(10)) + "\n")
        for _ in range(wanted // 1000):
            file.write(row * 1000)
    source = FileSource("s", str(tmp_path / "a.csv"))
    stream = stream_of(source)
    tracemalloc.start()
    try:
        before, arrow, peak = tracemalloc.get_traced_memory()[0], 0, 0
        rows = 0
        for batch in StreamRead(source, stream).open(None):
            rows += len(batch)
            arrow = max(arrow, pa.total_allocated_bytes())
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert rows == wanted // 1000 * 1000
    assert peak + arrow < 150 * 2**20


def test_a_catalog_of_ones_own_names_its_streams(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "id,x\n1,2\n")
    catalog = Catalog([Stream("a", primary_key="id", schema=typed(x={"type": "integer"}))])
    source = FileSource("s", str(tmp_path), streams={"a": "*.csv"}, catalog=catalog)
    assert rows_of(source) == [{"id": "1", "x": 2}]

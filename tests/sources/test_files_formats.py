"""JSON documents, archives, fixed width, Arrow, Avro and ORC: what is in them comes back; what is damaged does not."""

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import pyarrow as pa
import pytest
from pyarrow import feather, orc, parquet

from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.exceptions import ConfigError, DataError, EtlAssetsError
from etl_assets.model.stream import Stream
from etl_assets.sources.files.typed.orc import refuses_moments
from etl_assets.sync import sync
from tests.sources.test_files_values import read, rows_of, stream_of, typed, written

Row = dict[str, Any]


def loaded(path: Path, content: str | bytes, **options: Any) -> list[Row]:
    """Load a file into DuckDB, and read the table with DuckDB itself."""
    source = FileSource("shop", str(written(path, content)), **options)
    return in_table(source, path.parent)


def in_table(source: FileSource, folder: Path) -> list[Row]:
    database = folder / "w.duckdb"
    database.unlink(missing_ok=True)
    sync(StreamRead(source, stream_of(source)), DuckDBDestination(str(database)))
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = "* EXCLUDE (_etl_assets_load_id, _etl_assets_loaded_at)"
        found = connection.execute(f"SELECT {columns} FROM shop.shop")
        names = [one[0] for one in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


# JSON documents

NASTY = [
    {
        "a": 2**64,
        "s": 'q"\\ \u2028 ü \ud83d\ude00'.encode("utf-16", "surrogatepass").decode("utf-16"),
        "n": None,
    },
    {"a": 1, "s": "[}{]", "n": {"x": ["]", "}", '\\"', {"y": 1.10}]}},
    {"a": 0, "s": "", "n": [[], {}, ""]},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("path", "wrap"),
    [
        (None, lambda rows: rows),
        (
            "data.items",
            lambda rows: {
                "x": {"items": [{"no": 1}]},
                "data": {"p": [1, [2]], "items": rows, "q": "}"},
            },
        ),
        ("/data/items", lambda rows: {"data": {"items": rows}}),
        ("$.data.items[*]", lambda rows: {"data": {"items": rows}}),
        (["a.b", "c/d"], lambda rows: {"a.b": {"c/d": rows}}),
        ("pages.*.rows", lambda rows: {"pages": [{"rows": [row]} for row in rows]}),
        ("pages.1", lambda rows: {"pages": [1, rows, "x"]}),
        ("by_id.*", lambda rows: {"by_id": {str(number): row for number, row in enumerate(rows)}}),
    ],
)
def test_records_of_a_document_come_back(
    path: Any, wrap: Callable[[Any], Any], indent: int | None, tmp_path: Path
) -> None:
    text = json.dumps(wrap(NASTY), indent=indent, ensure_ascii=False)
    found = loaded(tmp_path / "a.json", text, record_path=path, batch_rows=2)
    assert [row["a"] for row in found] == [2**64, 1, 0]
    assert [row["s"] for row in found] == [row["s"] for row in NASTY]
    assert [row["n"] and json.loads(row["n"]) for row in found] == [row["n"] for row in NASTY]


def test_numbers_of_a_document_keep_every_digit(tmp_path: Path) -> None:
    found = loaded(tmp_path / "a.json", '[{"x": 1.10, "y": 12345678901234567890.5}]')
    assert (
        found == [{"x": Decimal("1.10"), "y": Decimal("12345678901234567890.5")}]
        or found[0]["x"] == 1.1
    )
    assert str(found[0]["y"]) == "12345678901234567890.5"


def test_several_documents_and_json_lines_are_read_too(tmp_path: Path) -> None:
    assert loaded(tmp_path / "a.json", '{"a": 1}\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]
    assert loaded(tmp_path / "a.json", '[{"a": 1}][]\n{"a": 2} [{"a":3}]') == [
        {"a": 1},
        {"a": 2},
        {"a": 3},
    ]
    assert loaded(tmp_path / "a.json", '{"d": null}{"d": [{"a": 2}]}', record_path="d") == [
        {"a": 2}
    ]


def test_a_document_in_utf_16_and_the_line_of_a_record(tmp_path: Path) -> None:
    text = '[\n{"a": "ü"},\n\n{"a":\n2}]'
    found = loaded(tmp_path / "a.json", text.encode("utf-16"), with_origin=True)
    assert [(row["a"], row["_line"]) for row in found] == [("ü", 2), ("2", 4)] or [
        (json.loads(row["a"]), row["_line"]) for row in found
    ] == [("ü", 2), (2, 4)]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("", None, "holds no JSON at all"),
        ('[{"a": 1}', None, "ends within"),
        ('[{"a": 1}, {"a": "x', None, "ends within"),
        ('[{"a": 1},]', None, "a value expected"),
        ('[{"a": 1} {"a": 2}]', None, "expected"),
        ('[{"a": 1}]]', None, "expected"),
        ('[{"a": 1]]', None, "closes nothing"),
        ('[{"a": 1, "a": 2}]', None, "line 1: the key comes twice"),
        ('[\n{"a": 1},\n{"a": tru}]', None, "line 3: not JSON"),
        ("[1]", None, "a int, where each record"),
        ("[[1]]", None, "a list, where each record"),
        ('{"d": [{"a": 1}], "d": []}', "d", "'d' comes twice"),
        ('{"data": [1]}', "date", "has no key 'date' at the top"),
        ('{"data": {"x": [1]}}', "data.items", "has no key 'items' at 'data'"),
        ('{"data": [{"items": []}]}', "data.items", "has an array at 'data'"),
        ('{"data": "x"}', "data.items", "has a text at 'data'"),
        ('[{"a": ' + "[" * 600 + "]" * 600 + "}]", None, "nested too deep"),
        ('{"x": ' + "[" * 600 + "]" * 600 + ', "d": []}', "d", "nested too deep"),
        ('[{"a": "\\ud800"}]', None, "surrogate"),
    ],
)
def test_a_document_that_is_none_is_refused(
    text: str, path: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        loaded(tmp_path / "a.json", text, record_path=path)


def test_every_cut_of_a_document_is_refused(tmp_path: Path) -> None:
    whole = json.dumps({"n": 1, "data": NASTY, "more": {"x": "y"}}).encode()
    for length in range(1, len(whole)):
        with pytest.raises(DataError):
            rows_of(
                FileSource(
                    "shop", str(written(tmp_path / "a.json", whole[:length])), record_path="data"
                )
            )


def test_a_value_over_the_borders_of_chunks_is_whole(tmp_path: Path) -> None:
    chance = random.Random(7)
    texts = ['\\"' * chance.randrange(40_000) + "x" * chance.randrange(70_000) for _ in range(12)]
    rows = [{"t": text, "n": place} for place, text in enumerate(texts)]
    written(tmp_path / "a.json", json.dumps({"skip": rows, "data": rows}))
    assert rows_of(FileSource("shop", str(tmp_path / "a.json"), record_path="data")) == rows
    with pytest.raises(DataError, match="more than 1000 characters"):
        rows_of(
            FileSource("shop", str(tmp_path / "a.json"), record_path="data", max_row_bytes=1000)
        )


# Archives


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def as_parquet(**columns: list[Any]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def test_each_file_of_an_archive_is_one_of_the_stream(tmp_path: Path) -> None:
    files = {
        "b.csv": b"a\n2\n",
        "sub/a.csv": b"a\n3\n",
        "__MACOSX/._b.csv": b"\0",
        ".DS_Store": b"\0",
        "a.csv": b"a\n1\n",
    }
    found = loaded(tmp_path / "a.zip", zipped(files), with_origin=True)
    assert found == [
        {"a": "1", "_file": "a.zip/a.csv", "_line": 2},
        {"a": "2", "_file": "a.zip/b.csv", "_line": 2},
        {"a": "3", "_file": "a.zip/sub/a.csv", "_line": 2},
    ]
    files["read.me"] = b"x"
    with pytest.raises(ConfigError, match=r"(?s)'a\.zip/read\.me' tells no format.*members="):
        loaded(tmp_path / "a.zip", zipped(files))
    assert [row["a"] for row in loaded(tmp_path / "a.zip", zipped(files), members="*.csv")] == [
        "1",
        "2",
    ]
    assert [
        row["a"] for row in loaded(tmp_path / "a.zip", zipped(files), members=["**/*.csv"])
    ] == ["1", "2", "3"]
    with pytest.raises(DataError, match=r"no file that matches '\*\.tsv'"):
        loaded(tmp_path / "a.zip", zipped(files), members="*.tsv")


def test_formats_in_an_archive_are_told_by_the_endings_there(tmp_path: Path) -> None:
    files = {
        "a.jsonl": b'{"a": 1}\n',
        "b.parquet": as_parquet(a=[2]),
        "c.json": b'[{"a": 3}]',
        "d.jsonl.gz": gzip.compress(b'{"a": 4}'),
        "k=5/e.parquet": as_parquet(a=[5]),
    }
    found = loaded(tmp_path / "a.zip", zipped(files))
    assert [(row["a"], row["k"]) for row in found] == [
        (1, None),
        (2, None),
        (3, None),
        (4, None),
        (5, "5"),
    ]


def test_an_archive_counts_as_one_file_of_an_incremental_stream(tmp_path: Path) -> None:
    written(tmp_path / "a.zip", zipped({"1.csv": b"a\n1\n", "2.csv": b"a\n2\n"}))
    source = FileSource("shop", f"{tmp_path}/*.zip", incremental="modified")
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    for _ in range(2):
        sync(StreamRead(source, stream_of(source)), warehouse)
    table = warehouse.read_table(warehouse.table_for("shop", stream_of(source)))
    assert table.column("a").to_pylist() == ["1", "2"]


def test_an_archive_that_is_damaged_locked_or_a_bomb_is_refused(tmp_path: Path) -> None:
    whole = zipped(
        {"1.csv": b"a\n" + b"1\n" * 500, "2.csv": b"a\n" + b"2\n" * 500}, zipfile.ZIP_STORED
    )
    damaged = bytearray(whole)
    damaged[600] ^= 1
    for content in (whole[:-30], whole[: len(whole) // 2], bytes(damaged), b""):
        with pytest.raises(DataError, match="no whole zip file"):
            loaded(tmp_path / "a.zip", content)
    with pytest.raises(DataError, match="an archive itself"):
        loaded(tmp_path / "a.zip", zipped({"x.csv": b"a\n1\n", "b.zip": whole}))
    twice = zipped({"x.csv": b"a\n1\n", "y.csv": b"a\n2\n"}).replace(b"y.csv", b"x.csv")
    with pytest.raises(DataError, match=r"two files called 'x\.csv'"):
        loaded(tmp_path / "a.zip", twice)
    bomb = zipped({"1.csv": b"a\n", "2.csv": b"0" * 40_000_000})
    with pytest.raises(DataError, match="may be a bomb"):
        loaded(tmp_path / "a.zip", bomb)
    with pytest.raises(DataError, match="may be a bomb"):
        loaded(
            tmp_path / "a.zip",
            zipped({"1.csv": b"a\n", "x.parquet": b"0" * 40_000_000}),
            members="*.parquet",
        )


# Fixed width


def test_columns_at_fixed_places_come_back(tmp_path: Path) -> None:
    rows = [("00007", "Ümläut é", "-1.50"), ("42", "", "7"), ("x", "a b", "")]
    text = (
        "ID   NAME      AMOUNT\n"
        + "".join(f"{a:<5}{b:<10}{c:>8}\r\n" for a, b, c in rows)
        + "TOTAL\n"
    )
    schema = typed(amount={"type": ["null", "number"], "multipleOf": 0.01})
    options: dict[str, Any] = {
        "skip_rows": 1,
        "skip_footer": 1,
        "schema": schema,
        "with_origin": True,
    }
    wanted = [
        {"id": a, "name": b, "amount": Decimal(c) if c else None, "_file": "a.fwf", "_line": line}
        for line, (a, b, c) in enumerate(rows, 2)
    ]
    for columns in (
        {"id": [0, 5], "name": [5, 15], "amount": [15, 23]},
        {"id": 5, "name": 10, "amount": [15, None]},
    ):
        assert [
            {name: row[name] for name in wanted[0]}
            for row in loaded(tmp_path / "a.fwf", text, columns=columns, **options)
        ] == wanted


def test_lines_of_another_width_are_refused(tmp_path: Path) -> None:
    columns = {"a": 2, "b": 2}
    with pytest.raises(
        DataError, match=r"line 2: 5 characters, where the columns end at 4.*"
    ) as caught:
        loaded(tmp_path / "a.fwf", "1 22\n1 22x\n", columns=columns)
    assert "[4, None]" in str(caught.value.hint)
    assert loaded(tmp_path / "a.fwf", "1 22\n1 22x\n", columns={**columns, "c": [4, None]}) == [
        {"a": "1", "b": "22", "c": ""},
        {"a": "1", "b": "22", "c": "x"},
    ]
    with pytest.raises(DataError, match="line 2: 2 characters, and 'b' begins at 2"):
        loaded(tmp_path / "a.fwf", "1 22\n1 \n", columns=columns)
    assert loaded(tmp_path / "a.fwf", "1 22\n1 \n", columns=columns, short_rows="null")[1] == {
        "a": "1",
        "b": None,
    }
    with pytest.raises(DataError, match=r"ends within 'b'.*was the file cut"):
        loaded(tmp_path / "a.fwf", "1 22\n1 2", columns=columns)
    assert loaded(tmp_path / "a.fwf", "1 22\n1 2\n", columns=columns)[1] == {"a": "1", "b": "2"}
    with pytest.raises(ConfigError, match="nothing tells where the columns"):
        loaded(tmp_path / "a.fwf", "1 22\n")
    for wrong in (
        {},
        {"a": [3, 3]},
        {"a": "x"},
        {"a": [0, 3], "b": [2, 4]},
        {"a": [0, None], "b": 3},
        {"a": -1},
    ):
        with pytest.raises(ConfigError):
            loaded(tmp_path / "a.fwf", "1 22\n", columns=wrong)


# Arrow

TYPES = pa.table(
    {
        "i": pa.array([2**63 - 1, -(2**63), None], pa.int64()),
        "u": pa.array([2**64 - 1, 0, None], pa.uint64()),
        "f": pa.array([5e-324, float("inf"), None]),
        "d": pa.array(
            [Decimal("1." + "2" * 37), Decimal("-0." + "0" * 36 + "1"), None], pa.decimal128(38, 37)
        ),
        "s": pa.array(["a\0b", "", None]),
        "b": pa.array([b"\x00\xff", b"", None]),
        "t": pa.array(
            [datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(1, 1, 1), None],  # noqa: DTZ001
            pa.timestamp("us"),
        ),
        "z": pa.array(
            [datetime(2026, 1, 1, tzinfo=UTC), None, None], pa.timestamp("ms", "Europe/Berlin")
        ),
        "y": pa.array([date(9999, 12, 31), date(1, 1, 1), None]),
        "h": pa.array([time(23, 59, 59, 999999), time(0), None]),
        "k": pa.array(["x", "y", None]).dictionary_encode(),
        "v": pa.array(["a longer text than twelve bytes", "", None], pa.string_view()),
        "l": pa.array([[1, None], [], None]),
    }
)
COME_BACK: list[Row] = [
    {**row, "l": None if row["l"] is None else row["l"], "z": row["z"] and row["z"].astimezone(UTC)}
    for row in TYPES.to_pylist()
]


def as_arrow(table: pa.Table, *, stream: bool, compression: str | None = None) -> bytes:
    file = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=2)
    return file.getvalue()


def plain(rows: list[Row]) -> list[Row]:
    """Return rows with JSON as what it says, and instants in UTC."""
    made = []
    for row in rows:
        row["l"] = json.loads(row["l"]) if isinstance(row["l"], str) else row["l"]
        row["z"] = row["z"] and row["z"].astimezone(UTC)
        made.append(row)
    return made


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize(
    ("name", "stream"), [("a.arrow", False), ("a.arrows", True), ("a.feather", False)]
)
def test_arrow_comes_back(name: str, stream: bool, compression: str | None, tmp_path: Path) -> None:
    content = as_arrow(TYPES, stream=stream, compression=compression)
    assert plain(loaded(tmp_path / name, content)) == COME_BACK
    source = FileSource("shop", str(tmp_path / name), batch_rows=1, with_origin=True)
    assert [row["_line"] for row in rows_of(source)] == [1, 2, 3]
    assert set((source.discover().streams[0].schema or {})["properties"]) >= set(TYPES.column_names)


def test_feather_as_pyarrow_writes_it_and_packed_as_a_whole(tmp_path: Path) -> None:
    feather.write_feather(TYPES.select(["i", "s"]), str(tmp_path / "a.feather"))
    assert [row["i"] for row in rows_of(FileSource("shop", str(tmp_path / "a.feather")))] == [
        2**63 - 1,
        -(2**63),
        None,
    ]
    content = gzip.compress((tmp_path / "a.feather").read_bytes())
    assert len(loaded(tmp_path / "b.feather.gz", content)) == 3
    written(tmp_path / "c.feather", b"FEA1" + b"\0" * 100 + b"FEA1")
    with pytest.raises(DataError, match="version 1"):
        rows_of(FileSource("shop", str(tmp_path / "c.feather")))


def cuts(whole: bytes) -> Iterator[bytes]:
    for length in {
        *range(0, len(whole), max(1, len(whole) // 150)),
        len(whole) - 1,
        len(whole) - 5,
    }:
        yield whole[:length]


@pytest.mark.parametrize("stream", [False, True])
def test_every_cut_of_an_arrow_file_is_refused(stream: bool, tmp_path: Path) -> None:
    for cut in cuts(as_arrow(TYPES.select(["i", "s", "k"]), stream=stream, compression="lz4")):
        with pytest.raises(DataError):
            read(FileSource("shop", str(written(tmp_path / "a.arrow", cut))))


def test_an_arrow_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    table = pa.table({"s": ["0" * 300_000_000]})
    content = as_arrow(table, stream=True, compression="zstd")
    assert len(content) < 100_000
    del table
    before = pa.total_allocated_bytes()
    with pytest.raises(DataError, match="may be a bomb"):
        loaded(tmp_path / "a.arrow", content)
    assert pa.total_allocated_bytes() <= before + 1_000_000
    # A buffer that says to be larger than any memory.
    small = bytearray(as_arrow(pa.table({"s": ["0" * 1000]}), stream=True, compression="zstd"))
    at = small.rindex(struct.pack("<q", 1000))
    small[at : at + 8] = struct.pack("<q", 2**60)
    with pytest.raises(DataError, match="may be a bomb"):
        loaded(tmp_path / "a.arrow", bytes(small))


def test_rows_that_refer_to_one_long_text_come_in_small_batches(tmp_path: Path) -> None:
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000, pa.int32()), ["x" * 100_000])
    path = written(tmp_path / "a.arrow", as_arrow(pa.table({"k": long}), stream=False))
    source = FileSource("shop", str(path))
    sizes = [len(batch) for batch in StreamRead(source, stream_of(source)).open(None)]
    assert sum(sizes) == 2_000
    assert max(sizes) <= 84
    with pytest.raises(DataError, match="line 1: a row of more than 50000 bytes"):
        read(FileSource("shop", str(path), max_row_bytes=50_000))


def test_arrow_that_is_not_valid_is_refused(tmp_path: Path) -> None:
    content = as_arrow(pa.table({"s": ["aaaa", "bbbb"]}), stream=True).replace(
        b"aaaabbbb", b"aaaa\xff\xfebb"
    )
    with pytest.raises(DataError, match=r"field 's': a.arrow, line 2: is not UTF-8 text"):
        loaded(tmp_path / "a.arrow", content)


# Avro

SHORT_DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
AVRO: dict[str, Any] = {
    "type": "record",
    "name": "r",
    "namespace": "n",
    "fields": [
        {"name": "l", "type": "long"},
        {"name": "i", "type": ["null", "int"]},
        {"name": "f", "type": "float"},
        {"name": "d", "type": "double"},
        {"name": "b", "type": "boolean"},
        {"name": "by", "type": "bytes"},
        {"name": "s", "type": ["string", "null"]},
        {"name": "dec", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10}},
        {"name": "fix", "type": {"type": "fixed", "name": "fx", "size": 16, "logicalType": "decimal", "precision": 38}},
        {"name": "u", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "tm", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "tu", "type": {"type": "long", "logicalType": "time-micros"}},
        {"name": "ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "us", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "mixed", "type": ["null", "string", "long", {"type": "int", "logicalType": "date"}]},
        {"name": "e", "type": {"type": "enum", "name": "en", "symbols": ["A", "B"]}},
        {"name": "m", "type": {"type": "map", "values": ["null", "long"]}},
        {"name": "a", "type": {"type": "array", "items": SHORT_DECIMAL}},
        {"name": "r", "type": {"type": "record", "name": "in", "fields": [{"name": "x", "type": "en"}]}},
    ],
}  # fmt: skip
RECORD: Row = {
    "l": -(2**63),
    "i": None,
    "f": 1.5,
    "d": 5e-324,
    "b": True,
    "by": b"\x00\xff",
    "s": "a\0ü",
    "dec": Decimal("1234567890123456789012345678.0123456789"),
    "fix": Decimal("-" + "9" * 38),
    "u": uuid.UUID(int=7),
    "day": date(9999, 12, 31),
    "tm": time(1, 2, 3, 4000),
    "tu": time(23, 59, 59, 999999),
    "ms": datetime(1, 1, 1, tzinfo=UTC),
    "us": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "local": datetime(2026, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001
    "mixed": date(2026, 1, 1),
    "e": "B",
    "m": {"x": None, "y": 2**62},
    "a": [Decimal("1.10")],
    "r": {"x": "A"},
}


def as_avro(schema: Any, rows: list[Row], codec: str = "deflate", **options: Any) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, schema, rows, codec=codec, **options)
    return file.getvalue()


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_avro_comes_back(codec: str, tmp_path: Path) -> None:
    second = {**RECORD, "mixed": 7, "s": None, "i": -1, "day": None}
    (found, other) = loaded(
        tmp_path / "a.avro", as_avro(AVRO, [RECORD, second], codec, sync_interval=10)
    )
    for name in ("l", "i", "f", "d", "b", "by", "s", "dec", "fix", "day", "tm", "tu", "local", "e"):
        assert found[name] == RECORD[name], name
    assert (found["ms"], found["us"]) == (RECORD["ms"], RECORD["us"])
    assert found["u"] == str(RECORD["u"])
    assert [json.loads(row["mixed"]) for row in (found, other)] == ["2026-01-01", 7]
    assert json.loads(found["m"], parse_float=Decimal) == RECORD["m"]
    assert (found["a"], json.loads(found["r"])) == ("[1.10]", {"x": "A"})
    assert (other["s"], other["i"], other["day"]) == (None, -1, None)
    source = FileSource("shop", str(tmp_path / "a.avro"))
    properties = (source.discover().streams[0].schema or {})["properties"]
    assert properties["day"]["format"] == "date"
    assert list(properties) == [field["name"] for field in AVRO["fields"]]


def one(type_: Any) -> dict[str, Any]:
    return {"type": "record", "name": "r", "fields": [{"name": "x", "type": type_}]}


def test_a_duration_of_avro_is_json_with_its_months_days_and_milliseconds(tmp_path: Path) -> None:
    duration = {"type": "fixed", "name": "span", "size": 12, "logicalType": "duration"}
    packed = struct.pack("<III", 14, 3, 5_000)
    for type_ in (duration, ["null", duration]):
        content = as_avro(one(type_), [{"x": packed}])
        (found,) = loaded(tmp_path / "a.avro", content)
        assert json.loads(found["x"]) == {"months": 14, "days": 3, "milliseconds": 5000}
    rows = loaded(tmp_path / "a.avro", as_avro(one(["null", duration]), [{"x": None}] * 2))
    assert [row["x"] for row in rows] == [None, None]
    # Avro has a logical type that does not fit its type be no logical type.
    short = {**duration, "size": 4}
    (found,) = loaded(tmp_path / "a.avro", as_avro(one(short), [{"x": packed[:4]}]))
    assert found["x"] == packed[:4]


def raw_avro(schema: Any, data: bytes, count: int = 1, codec: str = "null") -> bytes:
    """Make a file of one block, of bytes that are packed already or that no writer would write."""

    def long(value: int) -> bytes:
        value, made = (value << 1) ^ (value >> 63), b""
        while value > 0x7F:
            made += bytes([value & 0x7F | 0x80])
            value >>= 7
        return made + bytes([value])

    def text(value: bytes) -> bytes:
        return long(len(value)) + value

    head = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": codec.encode()}
    metadata = b"".join(text(name) + text(value) for name, value in head.items())
    return (
        b"Obj\x01"
        + long(len(head))
        + metadata
        + long(0)
        + b"s" * 16
        + long(count)
        + text(data)
        + b"s" * 16
    )


def test_blocks_that_are_packed_by_snappy_or_zstandard(tmp_path: Path) -> None:
    data = b"".join(b"\xd0\x0f" + b"x" * 1000 for _ in range(50))
    snappy = pa.Codec("snappy").compress(data, asbytes=True) + zlib.crc32(data).to_bytes(4, "big")
    zstd = pa.Codec("zstd").compress(data, asbytes=True)
    for codec, packed in (("snappy", snappy), ("zstandard", zstd)):
        found = loaded(tmp_path / "a.avro", raw_avro(one("string"), packed, 50, codec))
        assert found == [{"x": "x" * 1000}] * 50
        damaged = packed[:-1] + bytes([packed[-1] ^ 1])
        for wrong in (packed[:-3], damaged) if codec == "snappy" else (packed[:-3],):
            with pytest.raises(DataError, match="cannot be read on"):
                loaded(tmp_path / "a.avro", raw_avro(one("string"), wrong, 50, codec))
    with pytest.raises(DataError, match="its codec 'lzo' is none of"):
        loaded(tmp_path / "a.avro", raw_avro(one("string"), b"", 0, "lzo"))


def test_days_and_moments_beyond_pythons_come_back(tmp_path: Path) -> None:
    def long(value: int) -> bytes:
        file = io.BytesIO()
        fastavro.schemaless_writer(file, {"type": "long"}, value)
        return file.getvalue()

    micros = {"type": "long", "logicalType": "timestamp-micros"}
    table = read(
        FileSource("s", str(written(tmp_path / "a.avro", raw_avro(one(micros), long(2**62)))))
    )
    assert table.column("x").cast(pa.int64()).to_pylist() == [2**62]
    nanos = {"type": "long", "logicalType": "timestamp-nanos"}
    table = read(FileSource("s", str(written(tmp_path / "a.avro", raw_avro(one(nanos), long(1))))))
    assert table.column("x").cast(pa.int64()).to_pylist() == [1]
    assert table.schema.field("x").type == pa.timestamp("ns", "UTC")
    day = {"type": "int", "logicalType": "time-millis"}
    with pytest.raises(
        DataError, match=r"field 'x'.*line 1: a time beyond the day. Value: 86400000"
    ):
        loaded(tmp_path / "a.avro", raw_avro(one(day), long(86_400_000)))


def test_a_decimal_with_more_digits_than_its_precision_is_not_rounded(tmp_path: Path) -> None:
    data = b"\x0a" + (123456789).to_bytes(5, "big")
    (found,) = loaded(tmp_path / "a.avro", raw_avro(one(SHORT_DECIMAL), data))
    assert Decimal(found["x"]) == Decimal("1234567.89")


RECURSIVE = one(["null", "r"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no whole Avro file"),
        (b"Obj\x02", "no whole Avro file"),
        (raw_avro(RECURSIVE, b"\x02" * 1_000_000 + b"\x00"), "has itself inside"),
        (
            raw_avro(one({"type": "array", "items": "null"}), b"\xfe\xff\xff\xff\xff\x0f\x00"),
            "take no bytes",
        ),
        (raw_avro(one("null"), b"", 2**40), "says to have"),
        (raw_avro(one("string"), b"\x04a"), "line 1: cannot be read on"),
        (raw_avro(one("string"), b"\x02aa"), "more bytes than its records"),
        (raw_avro(one("string"), b"\x02\xff"), "line 1: cannot be read on"),
        (raw_avro(one(["null", "int"]), b"\x08"), "line 1: cannot be read on"),
        (raw_avro({"type": "string"}, b"\x02a"), "no records"),
        (raw_avro({"type": "record", "name": "r"}, b""), "no records|no whole"),
    ],
)
def test_avro_that_is_not_right_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        loaded(tmp_path / "a.avro", content)


def test_records_in_records_without_end_are_refused(tmp_path: Path) -> None:
    type_: Any = "null"
    fields = []
    for depth in range(40):
        inner = {
            "type": "record",
            "name": f"r{depth}",
            "fields": [{"name": "a", "type": type_}, {"name": "b", "type": type_}],
        }
        fields.append({"name": f"f{depth}", "type": inner})
        type_ = f"r{depth}"
    with pytest.raises(DataError, match="more than 100000 values"):
        loaded(
            tmp_path / "a.avro", raw_avro({"type": "record", "name": "top", "fields": fields}, b"")
        )


def test_every_cut_of_an_avro_file_and_a_bomb_are_refused(tmp_path: Path) -> None:
    whole = as_avro(one("string"), [{"x": "y" * 100}] * 20, sync_interval=200)
    kept = []
    for cut in cuts(whole):
        try:
            rows = read(FileSource("shop", str(written(tmp_path / "a.avro", cut))))
        except (EtlAssetsError, pa.ArrowInvalid):
            continue
        kept.append(len(rows))
    # A cut between two blocks is a whole file by Avro's rules, and nothing in it tells.
    assert len(kept) <= whole.count(whole[-16:]) - 1
    bomb = as_avro(one("bytes"), [{"x": b"\0" * 50_000_000}])
    with pytest.raises(DataError, match="may be a bomb"):
        loaded(tmp_path / "a.avro", bomb)


# ORC


def test_orc_comes_back(tmp_path: Path) -> None:
    table = pa.table(
        {
            "i": pa.array([2**63 - 1, None]),
            "f": pa.array([5e-324, float("inf")]),
            "d": pa.array([Decimal("1." + "2" * 37), None], pa.decimal128(38, 37)),
            "s": pa.array(["a\0ü", ""]),
            "b": pa.array([b"\x00\xff", None]),
            "y": pa.array([date(9999, 12, 31), date(1, 1, 1)]),
            "t": pa.array(
                [datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(1700, 1, 1, 0, 0, 0, 1)]  # noqa: DTZ001
            ),
            "z": pa.array([datetime(2026, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "o": pa.array([True, None]),
        }
    )
    orc.write_table(table, str(tmp_path / "a.orc"), compression="zlib")
    source = FileSource("shop", str(tmp_path / "a.orc"), with_origin=True)
    if not refuses_moments():
        with pytest.raises(ConfigError, match="turns those beyond the year 2262 into others"):
            in_table(source, tmp_path)
        return
    found = in_table(source, tmp_path)
    assert [{name: row[name] for name in table.column_names} for row in found] == table.to_pylist()
    assert [row["_line"] for row in found] == [1, 2]
    assert source.count_records(stream_of(source)) == 2
    assert set((source.discover().streams[0].schema or {})["properties"]) >= set(table.column_names)


def test_a_moment_that_arrow_cannot_hold_is_refused(tmp_path: Path) -> None:
    late = pa.table({"at": pa.array([datetime(9999, 12, 31)], pa.timestamp("us")), "n": [1]})  # noqa: DTZ001
    orc.write_table(late, str(tmp_path / "a.orc"))
    with pytest.raises(
        EtlAssetsError, match=r"a\.orc.*(after 0 cannot be read|into others)"
    ) as caught:
        rows_of(FileSource("shop", str(tmp_path / "a.orc")))
    assert ("column 'at'" if refuses_moments() else "(at)") in f"{caught.value} {caught.value.hint}"


@pytest.mark.skipif(
    not refuses_moments(), reason="this version of pyarrow turns such moments into others"
)
def test_orc_names_the_moment_that_is_beyond_its_years(tmp_path: Path) -> None:
    good, bad = (pa.array([micros], pa.timestamp("us")) for micros in (0, 253_402_300_799 * 10**6))
    orc.write_table(pa.table({"first": good, "far": bad, "last": good}), str(tmp_path / "a.orc"))
    with pytest.raises(EtlAssetsError) as caught:
        rows_of(FileSource("shop", str(tmp_path / "a.orc")))
    assert caught.value.field == "far"  # type: ignore[attr-defined]
    assert "Leave out the column 'far'" in str(caught.value)
    assert "'first'" not in str(caught.value)
    [batch] = FileSource("shop", str(tmp_path / "a.orc")).load_data(
        Stream("shop", columns=["first", "last"])
    )
    assert batch.to_arrow(Stream("shop")).column_names == ["first", "last"]


def test_orc_that_is_cut_damaged_or_a_bomb_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    orc.write_table(
        pa.table({"s": [f"{number}" for number in range(5000)]}), file, compression="zlib"
    )
    whole = file.getvalue()
    for cut in cuts(whole):
        with pytest.raises(DataError):
            read(FileSource("shop", str(written(tmp_path / "a.orc", cut))))
    file = io.BytesIO()
    orc.write_table(
        pa.table({"s": ["x" * 1000] * 600_000}),
        file,
        compression="zlib",
        dictionary_key_size_threshold=1.0,
    )
    assert len(file.getvalue()) < 100_000
    before = pa.default_memory_pool().max_memory()
    del before
    with pytest.raises(DataError, match="may be a bomb"):
        read(FileSource("shop", str(written(tmp_path / "a.orc", file.getvalue()))))


# All of them

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("ending", ["json", "fwf", "arrow", "avro"])
def test_formats_that_are_read_in_order_may_be_packed(
    ending: str, packing: str, tmp_path: Path
) -> None:
    contents = {
        "json": b'[{"x": "a"}, {"x": "b"}]',
        "fwf": b"a\nb\n",
        "arrow": as_arrow(pa.table({"x": ["a", "b"]}), stream=False),
        "avro": as_avro(one("string"), [{"x": "a"}, {"x": "b"}]),
    }
    whole = contents[ending]
    packed = zipped({f"a.{ending}": whole}) if packing == "zip" else PACKERS[packing](whole)
    name = f"a.{ending}.{packing}"
    assert loaded(tmp_path / name, packed, columns={"x": 1}) == [{"x": "a"}, {"x": "b"}]
    with pytest.raises(DataError, match=r"no whole|cannot be read"):
        loaded(tmp_path / name, packed[:-9], columns={"x": 1})
    with pytest.raises(DataError):
        loaded(tmp_path / name, zlib.compress(whole), columns={"x": 1})

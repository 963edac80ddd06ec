"""What a small message may cost: one test for each limit, and a fuzzer that holds a process to a budget."""

import gzip
import json
import resource
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from etl_assets.exceptions import ConfigError, DataError, EtlAssetsError, ProtocolError
from etl_assets.model import limits
from etl_assets.model.catalog import Catalog
from etl_assets.model.json.depth import MAX_DEPTH
from etl_assets.model.json.lines import exact_json
from etl_assets.model.schema.json_schema import to_arrow
from etl_assets.model.schema.revisions import Revisions
from etl_assets.model.stream import Stream
from etl_assets.model.values.columns import rows_to_arrow, to_array
from etl_assets.protocol.singer.messages import MAX_BYTES, decode
from etl_assets.sources.files.source import FileSource
from etl_assets.sources.sql.cursor import typed
from tests.protocol.bounded import CORPUS, PROGRAM
from tests.sources.test_files_values import rows_of, written

FAR = [
    "1E+300000000",
    "-1E+300000000",
    "1E-300000000",
    "1E+999999999999999999",
    "0E-300000000",
    "1E+2147483648",
]
MEMORY_BYTES = 3 * 1024**3
SECONDS = 60


# Numbers


@pytest.mark.parametrize("text", FAR)
@pytest.mark.parametrize("declared", [None, pa.string(), pa.int64(), pa.decimal128(38, 2)], ids=str)
def test_an_exponent_is_not_written_out(text: str, declared: pa.DataType | None) -> None:
    began = time.monotonic()
    with pytest.raises(DataError) as refused:
        to_array([Decimal(text), 1], declared, stream="orders", field="price")
    assert time.monotonic() - began < 2
    told = str(refused.value)
    for part in ("stream 'orders'", "field 'price'", text, "1,000", "JSON"):
        assert part in told
    kept = to_array([{"a": Decimal(text)}], None, stream="orders", field="price")
    assert kept.to_pylist() == [f'{{"a":{text}}}']


@pytest.mark.parametrize(
    "line", ['{"n": 1e300000000}', '{"n": -5e-300000000}', f'{{"n": {"9" * 5000}}}']
)
def test_of_a_file_of_json_lines_the_line_is_named(line: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", f'{{"n": 1}}\n{line}\n')
    with pytest.raises(DataError, match=r"line 2.*n"):
        rows_of(FileSource("shop", str(path)))


def test_a_cell_of_csv_is_named(tmp_path: Path) -> None:
    for type_, text in (("integer", "9" * 5000), ("number", "1e9999")):
        path = written(tmp_path / "a.csv", f"n\n{text}\n")
        schema = {"properties": {"n": {"type": type_}}}
        with pytest.raises(DataError, match=r"field 'n'.*line 2.*(4,300|does not fit double)"):
            rows_of(FileSource("shop", str(path)), Stream("shop", schema=schema))


def test_digits_of_an_integer_and_characters_of_a_number() -> None:
    line = f'{{"type":"RECORD","stream":"a","record":{{"deep":[{{"n":{"9" * 4301}}}]}}}}'
    for read in (decode, exact_json):
        with pytest.raises(
            ProtocolError,
            match=r"field 'record\.deep\.0\.n': an integer of 4,301 digits, at most 4,300",
        ):
            read(line)
    assert exact_json("9" * 4300) == int("9" * 4300)
    with pytest.raises(ProtocolError, match=r"number of more than 1,000,000 characters"):
        exact_json(f"[1.{'5' * limits.MAX_NUMBER_CHARACTERS}]")
    with pytest.raises(DataError, match=r"'n'.*4,300 digits.*Send it as a text"):
        rows_to_arrow([{"n": 10**5000}, {"n": Decimal("1.5")}], None, stream="a")


def test_a_bookmark_that_would_be_a_huge_integer() -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        typed("1e300000000", "integer")
    assert typed("1e3", "integer") == 1000


# Schemas


def _fan(word: str, levels: int = 40, **more: Any) -> dict[str, Any]:
    definitions: dict[str, Any] = {
        f"d{at}": {
            word: [{"$ref": f"#/definitions/d{at + 1}"}, {"$ref": f"#/definitions/d{at + 1}"}],
            **more,
        }
        for at in range(levels)
    }
    definitions[f"d{levels}"] = {"type": ["string", "null"]}
    return {"definitions": definitions, "properties": {"a": {"$ref": "#/definitions/d0"}}}


@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf"])
def test_references_that_fan_out_are_looked_at_once(word: str) -> None:
    began = time.monotonic()
    assert to_arrow(_fan(word)).field("a").type == pa.string()
    assert time.monotonic() - began < 2


def test_schemas_that_never_end_or_say_too_much() -> None:
    structs = {
        f"d{at}": {
            "x-arrow": "struct",
            "properties": {key: {"$ref": f"#/definitions/d{at + 1}"} for key in "ab"},
        }
        for at in range(40)
    }
    wide = {"definitions": {"w": dict.fromkeys(map(str, range(2000)), 1)}}
    endless: dict[str, dict[str, Any]] = {
        "circle": {"definitions": {"a": {"$ref": "#/definitions/a"}}},
        "refers to itself": {"definitions": {"a": {"anyOf": [{"$ref": "#/definitions/a"}]}}},
        "nested more than": {
            "definitions": {"a": {"x-arrow": "list", "items": {"$ref": "#/definitions/a"}}}
        },
        "64": {"definitions": {**structs, "a": structs["d0"], "d40": {"type": "integer"}}},
        "500,000": wide
        | {
            "definitions": {
                **wide["definitions"],
                "a": {"allOf": [{"$ref": "#/definitions/w"}] * 300},
            }
        },
    }
    for told, schema in endless.items():
        with pytest.raises(
            ConfigError, match=f"property 'field'.*{told}" if told != "64" else "property 'field'"
        ):
            to_arrow({**schema, "properties": {"field": {"$ref": "#/definitions/a"}}})
    for odd in (
        Decimal("1E+300000000"),
        Decimal("NaN"),
        float("nan"),
        float("inf"),
        10**5000,
        Decimal("1E-300000000"),
    ):
        prop = {"type": "number", "multipleOf": odd, "maximum": odd}
        assert (
            len(to_arrow({"properties": {"a": prop, "b": {"type": "integer", "minimum": odd}}}))
            == 2
        )


def test_columns_streams_and_revisions() -> None:
    properties = {f"c{at}": {"type": "integer"} for at in range(limits.MAX_COLUMNS + 1)}
    with pytest.raises(ConfigError, match=r"20,001 properties, at most 20,000"):
        to_arrow({"properties": properties})
    with pytest.raises(DataError, match=r"stream 'a': the rows have 20,001 fields, at most 20,000"):
        rows_to_arrow([dict.fromkeys(properties, 1)], None, stream="a")
    properties.popitem()
    assert (
        rows_to_arrow(
            [dict.fromkeys(properties, 1)], to_arrow({"properties": properties}), stream="a"
        ).num_rows
        == 1
    )
    entries = [{"tap_stream_id": "a"}] * (limits.MAX_STREAMS + 1)
    with pytest.raises(ConfigError, match=r"100,001 streams, at most 100,000"):
        Catalog.from_dict({"streams": entries})
    revisions = Revisions("tap-x")
    for _ in range(limits.MAX_SCHEMAS):
        revisions.note("a")
    with pytest.raises(
        ProtocolError, match=r"stream 'a': tap-x sent more than 2,000 different schemas"
    ):
        revisions.note("a")


# Lines and files


def test_length_and_depth_of_a_line() -> None:
    with pytest.raises(ProtocolError, match=r"longer than 67,108,864 bytes.*Raise the limit"):
        decode(b"x" * (MAX_BYTES + 1))
    for mark in ("[", '{"a":'):
        with pytest.raises(ProtocolError, match=f"nested deeper than {MAX_DEPTH}"):
            decode(f'{{"type":"STATE","value":{mark * 100_000}')
    sane = f'{{"type":"STATE","value":{"[" * 400}{"]" * 400}}}'
    assert decode(sane) is not None


def test_what_a_packed_file_unpacks_to(tmp_path: Path) -> None:
    bomb = tmp_path / "a.csv.gz"
    bomb.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 8_000_000))
    with pytest.raises(DataError, match=r"may be a bomb.*max_ratio"):
        rows_of(FileSource("shop", str(bomb)))
    row = written(tmp_path / "b.csv", "a\n" + "x" * 2000 + "\n")
    with pytest.raises(DataError, match=r"more than 1000 characters.*max_row_bytes"):
        rows_of(FileSource("shop", str(row), max_row_bytes=1000))


# The fuzzer


def _within_budget(seed: int, count: int) -> str:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seed), str(count)],
        capture_output=True, text=True, timeout=SECONDS * 10, check=False, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 0, (
        f"seed {seed}: exit status {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
    )
    return done.stdout


def test_each_of_the_known_cases_is_a_value_or_a_named_error_within_the_budget() -> None:
    told = json.loads(_within_budget(0, 0))
    assert told["cases"] == len(CORPUS)
    assert told["slowest"] < SECONDS


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 5))
def test_what_nobody_thought_of_is_one_too(seed: int) -> None:
    told = json.loads(_within_budget(seed, 400))
    assert told["cases"] == 400
    assert told["slowest"] < SECONDS


def test_the_budget_is_one() -> None:
    """A process that takes more than it may is seen: the fuzzer can fail."""
    program = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES},) * 2); b'x' * {2 * MEMORY_BYTES}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "MemoryError" in done.stderr
    assert issubclass(DataError, EtlAssetsError)

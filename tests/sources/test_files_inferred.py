"""`types="infer"`: a text becomes a value only where the value says what the text does, whatever comes later."""

import csv
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Decimal
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl_assets import DuckDBDestination, FileSource, stream_assets
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.exceptions import DataError, SchemaConflictError, SourceError
from etl_assets.faults import VARIABLE
from etl_assets.model.load import SyncResult
from etl_assets.sources.files import source as files
from etl_assets.sources.files.text.inference import Seen, as_texts, first_to_differ, look
from etl_assets.sources.files.text.typing import converted, fits, type_for
from etl_assets.sources.read import StreamRead
from etl_assets.sync import resolve_start, sync
from etl_assets.testing.fakes import MemoryDestination
from tests.pairs.places import DESTINATIONS, destination
from tests.sources.drops import SECOND, START, stream_of

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes the next file of the drop: its column `v`."""
    folder = tmp_path / "drop"
    folder.mkdir()

    def write(*texts: str, name: str | None = None) -> Path:
        path = folder / (name or f"{len(list(folder.iterdir()))}.csv")
        path.write_text("".join(f"{text}\n" for text in ("v", *texts)))
        import os

        at = START + len(list(folder.iterdir())) * SECOND
        os.utime(path, ns=(at, at))
        return path

    return write


@pytest.fixture
def drop(tmp_path: Path) -> FileSource:
    return FileSource(
        "drop", str(tmp_path / "drop" / "*.csv"), types="infer", incremental="modified"
    )


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(tmp_path / "w.duckdb"))


def load(source: FileSource, warehouse: Any, **options: Any) -> SyncResult:
    return sync(StreamRead(source, stream_of(source)), warehouse, checkpoint_seconds=0, **options)


def table(source: FileSource, warehouse: DatabaseDestination) -> pa.Table:
    return warehouse.read_table(warehouse.table_for("drop", stream_of(source)))


def column(source: FileSource, warehouse: DatabaseDestination) -> tuple[str, list[Any]]:
    found = table(source, warehouse).column("v")
    return str(found.type), found.to_pylist()


def in_duckdb(path: Path) -> tuple[str, list[Any]]:
    """Ask DuckDB itself."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("SELECT v FROM drop.drop")
        return str(found.description[0][1]), [row[0] for row in found.fetchall()]


def inferred(texts: Sequence[str]) -> pa.DataType:
    return type_for(look(as_texts(texts)), "v", None, None)


# What is a number


@pytest.mark.parametrize(
    ("texts", "type_"),
    [
        (["7", "-5", "+3", "0", ""], pa.int64()),
        (["9223372036854775807", "-9223372036854775808"], pa.int64()),
        (["9223372036854775808"], pa.decimal128(19, 0)),
        (["9" * 38], pa.decimal128(38, 0)),
        (["9" * 39], pa.string()),
        ([".5", "-.5", "+.5", "5.", "1e3", "1E-05", "2"], pa.float64()),
        (["1.0", "2.5", "10.25"], pa.float64()),
        (["1.10", "2.50"], pa.float64()),
        (["0.1", "-0.0", "5e-324", "1.7976931348623157e308"], pa.float64()),
        (["-0", "5"], pa.float64()),
        (["0.1234567890123456", "12345.678901234567", "1.2345678901234568e-05"], pa.float64()),
        (["9007199254740992", "0.5"], pa.float64()),
        (["9007199254740993", "0.5"], pa.decimal128(17, 1)),
        (["0.08379031744168380369"], pa.decimal128(21, 20)),
        (["0." + 38 * "1"], pa.decimal128(38, 38)),
        (["0." + 39 * "1"], pa.string()),
        (["1.50000000000000000e+00", "2.25000000000000000e-01"], pa.float64()),
        (["3.901907346362489676e-40", "8.379031744168380369e-02"], pa.string()),
        (["1e400"], pa.string()),
        (["1e-400"], pa.string()),
        (["1.0000000000000000000001e3"], pa.decimal128(23, 19)),
    ],
)
def test_numbers(texts: list[str], type_: pa.DataType) -> None:
    assert inferred(texts) == type_
    if not pa.types.is_string(type_):
        values = converted(as_texts(texts), type_).to_pylist()
        assert [
            None if v is None else Decimal(repr(v) if isinstance(v, float) else v) for v in values
        ] == [Decimal(text) if text else None for text in texts]


def test_a_negative_zero_keeps_its_sign() -> None:
    assert (
        str(converted(as_texts(["-0", "-.0"]), inferred(["-0", "-.0"])).to_pylist())
        == "[-0.0, -0.0]"
    )


@pytest.mark.parametrize(
    "texts",
    [
        ["007"], ["00"], ["-00"], ["00.5"], ["1", "007"], ["+007"], ["0123.4"],
        ["1.1", "1.10"], ["1.10", "1.2"], ["1.10", "2"], ["1.0", "1.00"], ["1.50e3", "1.5e3"],
        ["nan"], ["inf"], ["-Infinity"], ["1", "NaN"], ["1_000"], ["0x1F"], ["0b1"], ["\uff19"], ["\u0661"],
        [" 1"], ["1 "], ["1\t"], ["1\n"], ["\u00a01"], ["1,5"], ["1e"], ["e3"], ["."], ["-"], ["+"], ["--1"],
        ["1e5000"], ["1e99999"], ["1.5.2"], ["1d"], ["1f"], ["1L"], ["½"], ["\u22121"], ["1", "x"], ["x", "1"],
        ["true", "1"],
    ],
)  # fmt: skip
def test_what_stays_text(texts: list[str]) -> None:
    assert pa.types.is_string(inferred(texts))


@pytest.mark.parametrize(
    ("texts", "type_", "first"),
    [
        (["true", "false"], pa.bool_(), True),
        (["2026-01-31"], pa.date32(), date(2026, 1, 31)),
        (["0001-01-01", "9999-12-31"], pa.date32(), date(1, 1, 1)),
        (
            ["2026-01-31T10:00:00", "2026-01-31 10:00:00.5"],
            pa.timestamp("us"),
            datetime(2026, 1, 31, 10),  # noqa: DTZ001
        ),
        (
            ["2026-01-31 10:00:00Z", "2026-01-31T10:00:00.000001+00:00"],
            pa.timestamp("us", "UTC"),
            None,
        ),
    ],
)
def test_booleans_dates_and_times(texts: list[str], type_: pa.DataType, first: Any) -> None:
    assert inferred(texts) == type_
    if first is not None:
        assert converted(as_texts(texts), type_)[0].as_py() == first


@pytest.mark.parametrize(
    "text",
    [
        "True", "FALSE", "yes", "t", "2026-02-30", "0000-01-01", "2026-1-1", "2026-W05-1", "2026-01-01 24:00:00",
        "2026-01-01 23:59:60", "2026-01-01T10:00", "2026-01-01 10:00:00.1234567", "2026-01-01 10:00:00+02:00",
        "2026-01-01 10:00:00 UTC", "0000-01-01 00:00:00", "12:30:00", "2026-01-01 ", "2026-01-01\n",
    ],
)  # fmt: skip
def test_other_forms_stay_text(text: str) -> None:
    assert pa.types.is_string(inferred([text]))


NUMBERS = st.one_of(
    st.integers().map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map("{:.18e}".format),
    st.decimals(
        allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9
    ).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.from_regex(
        r"[+-]?(0|[1-9][0-9]{0,20})?(\.[0-9]{0,22})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
    ),
)
TEXTS = st.one_of(
    NUMBERS,
    st.just(""),
    st.text("0123456789+-.eE_x nNaAfi", max_size=6),
    st.sampled_from(["007", "NaN"]),
)


@settings(max_examples=500)
@given(st.one_of(st.lists(NUMBERS, max_size=5), st.lists(TEXTS, max_size=5)))
@example(["1e16", "1"])
@example(["123456789012345678e-20"])
@example(["0e400"])
@example(["9007199254740993", "-0"])
def test_a_value_is_that_of_its_text_or_the_text(texts: list[str]) -> None:
    seen = look(as_texts(texts))
    type_ = type_for(seen, "v", None, None)
    values = converted(as_texts(texts), type_).to_pylist()
    for text, value in zip(texts, values, strict=True):
        if pa.types.is_string(type_):
            assert value == text
        elif not text:
            assert value is None
        else:
            assert Decimal(repr(value) if isinstance(value, float) else value) == Decimal(text)
    assert fits(seen, type_)


@given(st.lists(TEXTS, max_size=6), st.integers(0, 6), st.integers(0, 6))
def test_what_is_seen_in_parts_is_what_is_seen_at_once(texts: list[str], i: int, j: int) -> None:
    i, j = sorted((i, j))
    parts = [look(as_texts(part)) for part in (texts[:i], texts[i:j], texts[j:])]
    whole = look(as_texts(texts))
    assert (
        parts[0].joined(parts[1]).joined(parts[2])
        == parts[0].joined(parts[1].joined(parts[2]))
        == whole
    )
    assert Seen.of_json(whole.to_json()) == whole
    if whole.kind == "text":
        place = first_to_differ(Seen(), as_texts(texts))
        assert look(as_texts(texts[: place + 1])).kind == "text"
        assert look(as_texts(texts[:place])).kind != "text"


@pytest.mark.parametrize(
    "known", [None, 7, "integer", {}, {"kind": "elephant"}, {"kind": ["integer"]}]
)
def test_what_nobody_remembered_is_not_known(known: Any) -> None:
    assert Seen.of_json(known) == Seen()


# One load


def test_the_text_of_a_file_that_becomes_text_later_is_kept(
    write: Write, warehouse: DuckDBDestination, tmp_path: Path
) -> None:
    path = str(tmp_path / "drop" / "*.csv")
    # Batches of a row, so that each file is committed by itself.
    drop = FileSource("drop", path, types="infer", incremental="modified", batch_rows=1)
    write("1.10", "2.50")
    write("007")
    write("+5")
    result = load(drop, warehouse)
    assert in_duckdb(tmp_path / "w.duckdb") == ("VARCHAR", ["1.10", "2.50", "007", "+5"])
    assert result.commits >= 3
    (remark,) = result.remarks
    assert "the column 'v' is text: '007' (" in remark
    assert "1.csv, line 2) is not written as the numbers before it" in remark


def test_the_text_of_a_batch_that_becomes_text_later_is_kept(
    write: Write, tmp_path: Path, warehouse: DuckDBDestination
) -> None:
    write("1.10", "2.50", "1.1")
    source = FileSource("drop", str(tmp_path / "drop" / "*.csv"), types="infer", batch_rows=1)
    result = load(source, warehouse)
    assert column(source, warehouse) == ("string", ["1.10", "2.50", "1.1"])
    assert "line 4" in result.remarks[0]


def test_a_bad_file_does_not_hold_up_those_before_it(
    write: Write, drop: FileSource, warehouse: DuckDBDestination
) -> None:
    write("1")
    write("2")
    write("3,4")
    with pytest.raises(DataError, match=r"2\.csv, line 2: 2 cells"):
        load(drop, warehouse)
    assert column(drop, warehouse) == ("int64", [1, 2])
    write("007", name="2.csv")
    load(drop, warehouse)
    assert column(drop, warehouse) == ("string", ["1", "2", "007"])


def test_a_file_that_changes_after_it_was_looked_at_is_an_error(
    write: Write, drop: FileSource, warehouse: DuckDBDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("1")
    looked = files._inferred

    def changed(*given: Any) -> Any:
        found = looked(*given)
        path.write_text("v\nabc\n")
        return found

    monkeypatch.setattr(files, "_inferred", changed)
    with pytest.raises(SourceError, match="has changed before or while it was read"):
        load(drop, warehouse)


# Later loads


@pytest.mark.sampled("kind")
@pytest.mark.parametrize("kind", DESTINATIONS)
@pytest.mark.parametrize(
    ("first", "then", "values"),
    [
        (["1", "2"], ["3"], [1, 2, 3]),
        (["1", "2"], ["007"], ["1", "2", "007"]),
        (["1", "2"], ["", "+3"], [1, 2, None, 3]),
        (["1", "2"], [""], [1, 2, None]),
        (["1", "2"], [".5"], [1.0, 2.0, 0.5]),
        (["1", "2"], ["3.0", "", "1e3", ".0", "-0"], [1, 2, 3, None, 1000, 0, 0]),
        (["1", "2"], ["9007199254740993.0"], [1, 2, 9007199254740993]),
        (
            ["1", "2"],
            ["9007199254740993.5"],
            [Decimal(1), Decimal(2), Decimal("9007199254740993.5")],
        ),
        (["1.5"], ["2"], [1.5, 2.0]),
        (["1.10", "2.50"], ["1.1"], ["1.1", "2.5", "1.1"]),
        (["1.1", "2.5"], ["1.10"], ["1.1", "2.5", "1.10"]),
        (["007"], ["8"], ["007", "8"]),
        (["abc"], ["1.10"], ["abc", "1.10"]),
        (["9007199254740993"], ["0.5"], [Decimal(9007199254740993), Decimal("0.5")]),
        (["0.08379031744168380369"], [".5"], [Decimal("0.08379031744168380369"), Decimal("0.5")]),
        (["0.5"], ["0.08379031744168380369"], ["0.5", "0.08379031744168380369"]),
        (["2026-01-31"], ["2026-01-31 10:00:00"], ["2026-01-31", "2026-01-31 10:00:00"]),
        (["true"], ["1"], ["true", "1"]),
        (["", ""], ["7"], [None, None, 7]),
        ([""], ["1.5", ""], [None, 1.5, None]),
        ([""], ["9007199254740993", "0.5"], [None, Decimal(9007199254740993), Decimal("0.5")]),
        ([""], ["abc", ""], [None, "abc", ""]),
        (["abc"], [""], ["abc", ""]),
        ([""], [""], [None, None]),
    ],
)
def test_a_later_load(
    kind: str,
    first: list[str],
    then: list[str],
    values: list[Any],
    write: Write,
    drop: FileSource,
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        write(*first)
        load(drop, warehouse)
        write(*then)
        result = load(drop, warehouse)
        _, found = column(drop, warehouse)
        assert sorted(map(str, found)) == sorted(map(str, values)) or found == values
        assert {type(value) for value in found} == {type(value) for value in values}
        turned = isinstance(values[0], str) and not pa.types.is_string(inferred(first))
        assert bool(result.remarks) == turned
        if turned:
            assert (
                "the rows that were loaded before have the text of their values"
                in result.remarks[0]
            )
        # A column that is text now stays so.
        write("8")
        load(drop, warehouse)
        assert (table(drop, warehouse).column("v").type == pa.string()) == any(
            isinstance(value, str) for value in values
        )


LOADS = st.lists(
    st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=2),
    min_size=1,
    max_size=3,
)


@settings(max_examples=25, deadline=None)
@given(LOADS)
def test_any_texts_in_any_files_of_any_loads(loads: list[list[list[str]]]) -> None:
    """Each row has its text, or a value of the same number; the text of that number, if the column is text by now."""
    with TemporaryDirectory() as folder:
        source = FileSource(
            "drop", f"{folder}/*.csv", types="infer", incremental="name", batch_rows=2
        )
        warehouse = DuckDBDestination(":memory:")
        expected: list[tuple[int, str]] = []
        number = 0
        for place, texts_of_files in enumerate(loads):
            for texts in texts_of_files:
                with Path(folder, f"{number}.csv").open("w", newline="") as file:
                    csv.writer(file).writerows(
                        [["load", "v"], *([f"l{place}", text] for text in texts)]
                    )
                expected += [(place, text) for text in texts]
                number += 1
            load(source, warehouse)
        found = table(source, warehouse).select(["load", "v"]).to_pylist()
        assert [row["load"] for row in found] == [f"l{place}" for place, _ in expected]
        last = len(loads) - 1
        for row, (place, text) in zip(found, expected, strict=True):
            earlier = isinstance(row["v"], str) and place < last and row["v"] != text
            assert Decimal(row["v"]) == Decimal(text) if earlier else is_told(text, row["v"])


def test_a_column_that_only_empty_cells_came_for_waits_for_its_first_texts(
    write: Write, drop: FileSource, warehouse: DuckDBDestination
) -> None:
    for texts in (["", ""], [""], ["2026-01-31", ""]):
        write(*texts)
        load(drop, warehouse)
    assert in_duckdb(Path(warehouse.path)) == ("DATE", [None, None, None, date(2026, 1, 31), None])


def test_an_index_holds_a_column_of_empty_cells_as_text(
    write: Write, drop: FileSource, warehouse: DuckDBDestination
) -> None:
    write("")
    load(drop, warehouse)
    with duckdb.connect(warehouse.path) as connection:
        connection.execute("CREATE INDEX i ON drop.drop (v)")
    write("1.10")
    load(drop, warehouse)
    assert in_duckdb(Path(warehouse.path)) == ("VARCHAR", [None, "1.10"])


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_zero_loses_its_sign_only_where_the_destination_has_none(
    kind: str, write: Write, drop: FileSource, tmp_path: Path
) -> None:
    """MySQL has no -0.0: the number is a 0 there, as it is in a column of integers, and no reason to refuse a file."""
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        write("-0.0", "0.5", "0")
        load(drop, warehouse)
        type_, values = column(drop, warehouse)
    assert (type_, values) == ("double", [0.0, 0.5, 0.0])
    assert [math.copysign(1, value) for value in values] == [1 if kind == "mysql" else -1, 1, 1]


@pytest.mark.parametrize(
    ("ddl", "texts", "type_", "values"),
    [
        ("VARCHAR", ["1.10"], "string", ["old", "1.10"]),
        ("DOUBLE", ["7"], "double", [1.0, 7.0]),
        (
            "DECIMAL(10,2)",
            ["7", "1.5"],
            "decimal128(10, 2)",
            [Decimal(1), Decimal(7), Decimal("1.5")],
        ),
        ("DECIMAL(4,1)", ["7.25"], "decimal128(5, 2)", [Decimal(1), Decimal("7.25")]),
        ("INTEGER", ["7"], "int32", [1, 7]),
        ("INTEGER", ["3000000000"], "int64", [1, 3000000000]),
        ("BIGINT", ["2.5"], "double", [1.0, 2.5]),
    ],
)
def test_a_column_that_is_there_keeps_its_type_if_the_values_fit(
    ddl: str,
    texts: list[str],
    type_: str,
    values: list[Any],
    write: Write,
    drop: FileSource,
    warehouse: Any,
) -> None:
    value = "'old'" if ddl == "VARCHAR" else "1"
    with duckdb.connect(warehouse.path) as connection:
        connection.execute(
            f"CREATE SCHEMA drop; CREATE TABLE drop.drop AS SELECT {value}::{ddl} AS v"
        )
    write(*texts)
    read = StreamRead(drop, stream_of(drop))
    start = resolve_start(read, warehouse, adopt=True)
    sync(read, warehouse, start=start, adopt=True)
    assert column(drop, warehouse) == (type_, values)


def test_a_full_table_keeps_its_types_until_a_full_refresh(
    write: Write, tmp_path: Path, warehouse: DuckDBDestination
) -> None:
    source = FileSource("drop", str(tmp_path / "drop" / "*.csv"), types="infer")
    write("2.5", name="a.csv")
    load(source, warehouse)
    write("7", name="a.csv")
    load(source, warehouse)
    assert column(source, warehouse) == ("double", [7.0])
    read = StreamRead(source, stream_of(source), full_refresh=True)
    sync(read, warehouse, start=resolve_start(read, warehouse, full_refresh=True))
    assert column(source, warehouse) == ("int64", [7])


def test_a_table_that_is_replaced_is_no_reason_for_text(
    write: Write, tmp_path: Path, warehouse: DuckDBDestination
) -> None:
    source = FileSource("drop", str(tmp_path / "drop" / "*.csv"), types="infer")
    write("2.5", name="a.csv")
    load(source, warehouse)
    write("0.08379031744168380369", name="a.csv")
    result = load(source, warehouse)
    assert column(source, warehouse) == ("decimal128(21, 20)", [Decimal("0.08379031744168380369")])
    assert result.remarks == []


def test_what_only_an_append_only_destination_has_is_remembered(
    write: Write, drop: FileSource
) -> None:
    memory = MemoryDestination()
    write("1.1")
    result = load(drop, memory)
    write("1.10")
    read = StreamRead(drop, stream_of(drop))
    sync(read, memory, start=resolve_start(read, memory, fallback=lambda: result.bookmark))
    assert [row["v"] for row in memory.rows] == [1.1, "1.10"]


@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_the_log_and_the_event_say_so(
    granularity: Any, write: Write, drop: FileSource, warehouse: Any
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assets = stream_assets(drop, destination=warehouse, granularity=granularity)
        for text in ("1", "007"):
            write(text)
            result = dg.materialize(assets, instance=instance)
            assert result.success
        (event,) = result.get_asset_materialization_events()
        remarks: Any = event.materialization.metadata["etl_assets/remarks"].value
        (remark,) = remarks
        assert "'007'" in remark
        assert "the rows that were loaded before" in remark
    assert column(drop, warehouse) == ("string", ["1", "007"])


# Contracts


def test_a_frozen_table_names_the_value_that_does_not_fit(
    write: Write, drop: FileSource, warehouse: Any
) -> None:
    write("1")
    load(drop, warehouse)
    write("2", "007")
    with pytest.raises(SchemaConflictError, match=r"stream 'drop', field 'v'.*Value: '007'"):
        load(drop, warehouse, schema_contract="freeze")
    assert column(drop, warehouse) == ("int64", [1])


@pytest.mark.parametrize("mode", ["discard_row", "discard_value"])
@pytest.mark.parametrize(
    ("first", "then", "kept", "lost"),
    [
        ("1", ["2", "007", "3", "2.5", "+4", "99999999999999999999"], [1, 2, 3, 4], 3),
        ("1.5", ["2", "1e3", "x", "0.08379031744168380369", "nan"], [1.5, 2.0, 1000.0], 3),
        ("2026-01-31", ["2026-02-01", "2026-02-30"], [date(2026, 1, 31), date(2026, 2, 1)], 1),
        ("true", ["false", "0"], [True, False], 1),
    ],
)
def test_a_contract_leaves_out_only_what_does_not_fit(
    mode: str,
    first: str,
    then: list[str],
    kept: list[Any],
    lost: int,
    write: Write,
    drop: FileSource,
    warehouse: Any,
) -> None:
    write(first)
    load(drop, warehouse)
    write(*then)
    result = load(drop, warehouse, schema_contract=mode)
    assert result.rejected == lost
    _, found = column(drop, warehouse)
    assert [value for value in found if value is not None] == kept
    assert found.count(None) == (lost if mode == "discard_value" else 0)


# A process that is killed


RUN = """
    import sys
    from etl_assets import DuckDBDestination, FileSource
    from etl_assets.sources.read import StreamRead
    from etl_assets.sync import sync
    source = FileSource("drop", "drop/*.csv", types="infer", incremental="modified")
    sync(StreamRead(source, source.declared_catalog().streams[0]), DuckDBDestination("w.duckdb"), checkpoint_seconds=0)
"""


@pytest.mark.parametrize("point", ["after_commit:1", "after_commit:2", "before_commit:2", "rows:2"])
def test_a_kill_between_files_changes_nothing(
    point: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("1.10")
    write("2.50")
    write("007")
    command = [sys.executable, "-c", textwrap.dedent(RUN)]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv(VARIABLE, f"{point}:kill")
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == -9
    monkeypatch.delenv(VARIABLE)
    subprocess.run(command, cwd=tmp_path, check=True)
    assert in_duckdb(tmp_path / "w.duckdb") == ("VARCHAR", ["1.10", "2.50", "007"])


# Real files


def shipped() -> Iterator[Path]:
    """Yield the CSV files that installed packages bring."""
    for one in distributions():
        for file in one.files or ():
            if file.suffix == ".csv":
                path = Path(str(one.locate_file(file)))
                if path.is_file() and path.stat().st_size < 20_000_000:
                    yield path


@pytest.mark.full
def test_the_cells_of_real_files() -> None:
    """Each cell is its text, or a value of the same number; held against Python's own reader."""
    seen = 0
    for path in shipped():
        with path.open(newline="", encoding="utf-8", errors="strict") as file:
            try:
                header, *rows = csv.reader(file, strict=True)
            except (ValueError, csv.Error):
                continue  # no header, or of another encoding
        if (
            len(set(header)) < len(header)
            or any(len(row) != len(header) for row in rows)
            or not rows
        ):
            continue
        with TemporaryDirectory() as folder:
            source = FileSource("real", str(path), types="infer")
            warehouse = DuckDBDestination(f"{folder}/w.duckdb", naming="preserve")
            stream = stream_of(source)
            sync(StreamRead(source, stream), warehouse)
            found = warehouse.read_table(warehouse.table_for("real", stream))
            names = [name for name in found.column_names if not name.startswith("_etl")]
            assert len(names) == len(header), path
            for name, texts in zip(names, zip(*rows, strict=True), strict=True):
                for text, value in zip(texts, found.column(name).to_pylist(), strict=True):
                    assert is_told(text, value), (path, name, text, value)
                    seen += 1
    if not seen:
        pytest.skip("no installed package brings a CSV file")


def is_told(text: str, value: Any) -> bool:
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, int | float | Decimal):
        return Decimal(repr(value) if isinstance(value, float) else value) == Decimal(text)
    return (
        text == value
        if isinstance(value, str)
        else text == ""
        if value is None
        else text[:10] == str(value)[:10]
    )

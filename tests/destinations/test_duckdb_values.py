"""Values, names and schema changes on DuckDB, written by a sync and read back by DuckDB itself."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import simplejson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import DataError, SchemaConflictError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from tests.toys import read

Query = Callable[[str], list[tuple[Any, ...]]]
TABLE = TableName("things", "shop")


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def load(
    warehouse: DuckDBDestination,
    rows: Any,
    properties: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    declared = schema(**properties) if properties is not None else None
    batch = rows if isinstance(rows, list) else [rows]
    stream = Stream("things", schema=declared)
    return sync(
        read(batch, stream, batch=options.pop("batch", 100)),
        warehouse,
        strategy="append",
        **options,
    )


def back(warehouse: DuckDBDestination, column: str = "x") -> list[Any]:
    values: list[Any] = warehouse.read_table(TABLE, columns=[column]).column(0).to_pylist()
    return values


INTEGER, NUMBER, TEXT = (
    {"type": ["null", "integer"]},
    {"type": ["null", "number"]},
    {"type": ["null", "string"]},
)
INSTANT = {"type": ["null", "string"], "format": "date-time"}

EXACT = [
    ("int64 bounds", INTEGER, [-(2**63), 2**63 - 1], "BIGINT"),
    ("uint64 max", INTEGER, [2**64 - 1], "DECIMAL(20,0)"),
    ("38 digits", INTEGER, [-(10**38) + 1], "DECIMAL(38,0)"),
    ("39 digits", INTEGER, [10**38], "VARCHAR"),
    ("2^53+1 in a number column", NUMBER, [2**53 + 1], "DECIMAL(16,0)"),
    (
        "a declared scale",
        {"type": "number", "multipleOf": 1e-9},
        [Decimal("12345678901234567890123456789.123456789")],
        "DECIMAL(38,9)",
    ),
    ("doubles", NUMBER, [5e-324, 1.7976931348623157e308, -1.5], "DOUBLE"),
    ("infinity", NUMBER, [math.inf, -math.inf], "DOUBLE"),
    ("booleans", {"type": ["null", "boolean"]}, [True, False, None], "BOOLEAN"),
    (
        "dates",
        {"type": "string", "format": "date"},
        [date(1, 1, 1), date(9999, 12, 31), date(1582, 10, 10)],
        "DATE",
    ),
    (
        "instants beyond nanoseconds",
        INSTANT,
        [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)],
        "TIMESTAMP WITH TIME ZONE",
    ),
    ("a wall clock in a DST gap", INSTANT, [datetime(2024, 3, 31, 2, 30)], "TIMESTAMP"),  # noqa: DTZ001
    ("a time", {"type": "string", "format": "time"}, [time(23, 59, 59, 999999)], "TIME"),
    (
        "text",
        TEXT,
        ["", " ", "007", "é", "e\u0301", "\ufeff", "a\0b", "\uffff", "\u202eabc", "NULL"],
        "VARCHAR",
    ),
    ("bytes", None, [bytes(range(256)), b""], "BLOB"),
]


@pytest.mark.parametrize(
    ("declared", "values", "type_"), [e[1:] for e in EXACT], ids=[e[0] for e in EXACT]
)
def test_a_value_comes_back_as_it_went(
    declared: Any, values: list[Any], type_: str, warehouse: DuckDBDestination, query: Query
) -> None:
    load(warehouse, [{"x": value} for value in values], {"x": declared} if declared else None)
    found = back(warehouse)
    assert found == (
        [str(v) for v in values]
        if type_ == "VARCHAR" and not isinstance(values[0], str)
        else values
    )
    types = query(
        "SELECT data_type FROM duckdb_columns() WHERE table_name = 'things' AND column_name = 'x'"
    )
    assert types == [(type_,)]


def test_a_duration_comes_back_as_it_went(warehouse: DuckDBDestination, query: Query) -> None:
    value = timedelta(days=400, microseconds=1)
    for _ in range(2):
        load(warehouse, [{"x": value}])
    assert query("SELECT x FROM shop.things") == [(value,)] * 2


def test_nan_stays_nan_and_null_stays_null(warehouse: DuckDBDestination) -> None:
    load(warehouse, [{"x": math.nan}, {"x": None}, {}], {"x": NUMBER})
    nan, *nulls = back(warehouse)
    assert math.isnan(nan)
    assert nulls == [None, None]


def test_one_value_of_ten_megabytes(warehouse: DuckDBDestination, query: Query) -> None:
    load(warehouse, [{"x": "é" * 5_000_000}])
    assert query("SELECT length(x), md5(x) = md5(repeat('é', 5000000)) FROM shop.things") == [
        (5_000_000, True)
    ]


NESTED = {
    "big": 2**70,
    "dec": Decimal("1.10"),
    "": [],
    "a.b": {"c": None},
    "t": "é\0",
    "n": [1, "1", True, None],
}


def test_nested_values_are_json_with_exact_numbers(
    warehouse: DuckDBDestination, query: Query
) -> None:
    load(
        warehouse,
        [{"x": NESTED}, {"x": [1]}, {"x": None}],
        {"x": {"type": ["null", "object", "array"]}},
    )
    found = [None if t is None else simplejson.loads(t, use_decimal=True) for t in back(warehouse)]
    assert found == [NESTED, [1], None]
    assert query("SELECT data_type FROM duckdb_columns() WHERE column_name = 'x'") == [("JSON",)]


@pytest.mark.parametrize(
    "declared", [{}, {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "object"}]}]
)
def test_a_column_of_any_kind_keeps_each_kind(declared: Any, warehouse: DuckDBDestination) -> None:
    values = [7, "7", {"a": 1}, None]
    load(warehouse, [{"x": value} for value in values], {"x": declared})
    assert [None if t is None else simplejson.loads(t) for t in back(warehouse)] == values


def test_an_error_names_stream_field_and_value_and_nothing_is_there(
    warehouse: DuckDBDestination, query: Query
) -> None:
    with pytest.raises(DataError, match=r"stream 'things', field 'x'.*Value: 'abc'"):
        load(warehouse, [{"x": 1}, {"x": "abc"}], {"x": INTEGER})
    with pytest.raises(DataError):
        load(warehouse, [{"x": 1}, {"x": "abc"}], {"x": INTEGER}, batch=1)
    assert warehouse.states() == []


# Schema changes

CHANGES = [
    ("integers, then text", [1], ["abc"], "VARCHAR", ["1", "abc"]),
    ("text, then integers: never narrow", ["abc"], [7], "VARCHAR", ["abc", "7"]),
    ("integers, then doubles", [1, 2], [2.5], "DOUBLE", [1.0, 2.0, 2.5]),
    (
        "integers beyond 2^53, then doubles",
        [2**53 + 1],
        [2.5],
        "VARCHAR",
        ["9007199254740993", "2.5"],
    ),
    ("doubles, then integers", [2.5], [3], "DOUBLE", [2.5, 3.0]),
    (
        "doubles, then integers beyond 2^53",
        [2.5],
        [2**53 + 1],
        "VARCHAR",
        ["2.5", "9007199254740993"],
    ),
    ("integers, then 20 digits", [1], [2**64], "DECIMAL(20,0)", [1, 2**64]),
    (
        "decimals grow",
        [Decimal("1.5")],
        [Decimal("10.25")],
        "DECIMAL(4,2)",
        [Decimal("1.50"), Decimal("10.25")],
    ),
    ("booleans, then integers", [True], [1], "VARCHAR", ["true", "1"]),
    ("text, then nested", ["a"], [[1]], "JSON", ['"a"', "[1]"]),
    ("integers, then nested", [1], [{"a": 1}], "JSON", ["1", '{"a":1}']),
    ("NULL, then integers: NULL throughout has no type yet", [None], [1], "BIGINT", [None, 1]),
    ("integers, then NULL", [1], [None], "BIGINT", [1, None]),
    ("dates, then text", [date(2024, 2, 29)], ["x"], "VARCHAR", ["2024-02-29", "x"]),
]


@pytest.mark.parametrize("together", [True, False], ids=["in one sync", "in two syncs"])
@pytest.mark.parametrize(
    ("first", "then", "type_", "all_"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_a_column_is_widened_and_keeps_every_value(
    first: Any,
    then: Any,
    type_: str,
    all_: Any,
    together: bool,
    warehouse: DuckDBDestination,
    query: Query,
) -> None:
    if together and first == [None]:
        pytest.skip("within one sync the first value decides")
    before, after = [{"x": v} for v in first], [{"x": v} for v in then]
    if together:
        load(warehouse, [*before, *after], batch=len(before) if len(before) == len(after) else 1)
    else:
        load(warehouse, before)
        result = load(warehouse, after)
        assert bool(result.schema_changes) == (query_type(query) != query_type_of(first))
    assert query_type(query) == type_
    assert back(warehouse) == all_


def query_type(query: Query) -> str:
    return str(
        query(
            "SELECT data_type FROM duckdb_columns() WHERE table_name='things' AND column_name='x'"
        )[0][0]
    )


def query_type_of(values: list[Any]) -> str:
    kinds = {
        int: "BIGINT",
        float: "DOUBLE",
        str: "VARCHAR",
        bool: "BOOLEAN",
        date: "DATE",
        type(None): "VARCHAR",
    }
    return kinds.get(type(values[0]), "DECIMAL(2,1)")


def test_a_new_column_is_null_in_the_earlier_rows_and_a_gone_one_is_kept(
    warehouse: DuckDBDestination, query: Query
) -> None:
    load(warehouse, [{"a": 1, "b": 1}])
    result = load(warehouse, [{"a": 2, "c": "new"}])
    assert query("SELECT a, b, c FROM shop.things ORDER BY a") == [(1, 1, None), (2, None, "new")]
    assert result.schema_changes == ['added column "c" VARCHAR']


def test_bytes_never_share_a_column_with_text(warehouse: DuckDBDestination) -> None:
    load(warehouse, [{"x": b"a"}])
    with pytest.raises(SchemaConflictError, match="'x'"):
        load(warehouse, [{"x": "a"}])
    assert back(warehouse) == [b"a"]


def test_a_stream_with_a_schema_and_no_rows_gets_its_table(
    warehouse: DuckDBDestination, query: Query
) -> None:
    result = load(warehouse, [], {"a": INTEGER, "b": INSTANT})
    assert (result.records_loaded, result.rows_in_table) == (0, 0)
    assert query("SELECT a, b FROM shop.things") == []


def test_rows_without_any_field_are_still_rows(warehouse: DuckDBDestination, query: Query) -> None:
    load(warehouse, [{}, {}])
    assert query("SELECT COUNT(*) FROM shop.things") == [(2,)]


def test_a_field_that_the_schema_does_not_know_becomes_a_column(
    warehouse: DuckDBDestination, query: Query
) -> None:
    load(warehouse, [{"a": 1, "more": "x"}], {"a": INTEGER})
    assert query("SELECT a, more FROM shop.things") == [(1, "x")]


# Names

NAMES = [
    *(
        "Name",
        "NAME",
        "name",
        "select",
        "order",
        "1st",
        "a b",
        "a-b",
        "a.b",
        "",
        "!!!",
        "é",
        "e\u0301",
        "名前",
    ),
    *(
        "x" * 300,
        'a"b',
        "a'b; DROP TABLE victim; --",
        "_etl_assets_load_id",
        "_etl_assets_loaded_at",
        "a\0b",
    ),
]


def test_each_name_keeps_its_own_column(warehouse: DuckDBDestination) -> None:
    row = {name: f"value of {name}" for name in NAMES}
    load(warehouse, [row])
    load(warehouse, [{name: row[name] for name in reversed(NAMES)}])
    columns = {column.name: column.physical for column in warehouse.states()[0].columns}
    assert list(columns) == list(reversed(NAMES))
    assert len({physical.casefold() for physical in columns.values()}) == len(NAMES)
    table = warehouse.read_table(TABLE)
    for name in NAMES:
        assert table.column(columns[name]).to_pylist() == [row[name]] * 2, name


def test_a_stream_named_like_sql_is_a_table(warehouse: DuckDBDestination, query: Query) -> None:
    query("CREATE TABLE victim AS SELECT 1 AS x; SELECT 1")
    for name in (
        'users"; DROP TABLE victim; --',
        "../evil",
        "select",
        "naïve näme",
        "1.2-3",
        "Ünï",
    ):
        sync(read([{"n": name}], Stream(name)), warehouse)
    assert query("SELECT x FROM victim") == [(1,)]
    assert len(query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'shop'")) == 6


def test_two_thousand_columns(warehouse: DuckDBDestination, query: Query) -> None:
    load(warehouse, [{f"c{n}": n for n in range(2_000)}])
    assert query("SELECT c0, c1999 FROM shop.things") == [(0, 1999)]


def test_snake_case_and_preserved_names(path: Any) -> None:
    for naming, expected in [("snake_case", "user_id"), ("preserve", "userId")]:
        warehouse = DuckDBDestination(f"{path}.{naming}", naming=naming)
        load(warehouse, [{"userId": 1}])
        assert warehouse.states()[0].columns[0].physical == expected


# Frames and Arrow

FRAMES = [
    (
        "pandas",
        lambda: pd.DataFrame(
            {"a": [1, 2], "s": ["x", None], "t": [pd.Timestamp("2024-01-01"), pd.NaT]}
        ),
    ),
    (
        "polars",
        lambda: pl.DataFrame({"a": [1, 2], "s": ["x", None], "t": [datetime(2024, 1, 1), None]}),  # noqa: DTZ001
    ),
    (
        "arrow",
        lambda: pa.table(
            {"a": [1, 2], "s": ["x", None], "t": pa.array([datetime(2024, 1, 1), None])}  # noqa: DTZ001
        ),
    ),
]


@pytest.mark.parametrize("frame", [f[1] for f in FRAMES], ids=[f[0] for f in FRAMES])
def test_frames_are_loaded_as_they_are(
    frame: Any, warehouse: DuckDBDestination, query: Query
) -> None:
    class Frames:
        source_name, partial, ordered, checked_order = "shop", False, False, False
        stream = Stream("things")

        def open(self, bookmark: Any) -> Any:
            from etl_assets.model.batch import Batch

            yield Batch(frame())

    sync(Frames(), warehouse)
    assert query("SELECT a, s, t FROM shop.things ORDER BY a") == [
        (1, "x", datetime(2024, 1, 1)),  # noqa: DTZ001
        (2, None, None),
    ]


ARROW = pa.table(
    {
        "u": pa.array([2**64 - 1], pa.uint64()),
        "i8": pa.array([-128], pa.int8()),
        "f": pa.array([1.5], pa.float32()),
        "ns": pa.array([1704067200123456789], pa.timestamp("ns")),
        "ms": pa.array([1704067200123], pa.timestamp("ms", "Europe/Paris")),
        "d": pa.array([Decimal("1.23")], pa.decimal128(10, 2)),
        "dict": pa.array(["a"]).dictionary_encode(),
        "list": pa.array([[1, None]], pa.list_(pa.int32())),
        "struct": pa.array([{"a": 1, "b": "x"}]),
        "large": pa.array(["x"], pa.large_string()),
        "blob": pa.array([b"\x00\xff"], pa.large_binary()),
        "t": pa.array([1], pa.time64("ns")),
    }
)


def test_arrow_types_arrive_exactly(warehouse: DuckDBDestination, query: Query) -> None:
    for _ in range(2):
        sync(ReadOf(ARROW), warehouse, strategy="append")
    columns = "u, i8, f, epoch_ns(ns), epoch_ms(ms), d, dict, list, struct, large, blob"
    assert query(f"SELECT {columns} FROM shop.things") == [
        (2**64 - 1, -128, 1.5, 1704067200123456789, 1704067200123, Decimal("1.23"), "a", [1, None],
         {"a": 1, "b": "x"}, "x", b"\x00\xff")
    ] * 2  # fmt: skip
    assert query("SELECT COUNT(*) FROM shop.things WHERE t = TIME_NS '00:00:00.000000001'") == [
        (2,)
    ]


class ReadOf:
    """A read of Arrow tables."""

    source_name, partial, ordered, checked_order = "shop", False, False, False
    stream = Stream("things")

    def __init__(self, *tables: pa.Table) -> None:
        self.tables = tables

    def open(self, bookmark: Any) -> Any:
        from etl_assets.model.batch import Batch

        del bookmark
        for table in self.tables:
            yield Batch(table)


values = (
    st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.dates() | st.binary(max_size=3)
    | st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9)
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(values, min_size=1, max_size=4), min_size=1, max_size=4))
def test_whatever_comes_batch_after_batch_can_be_recovered_or_is_refused(
    batches: list[list[Any]],
) -> None:
    warehouse = DuckDBDestination(":memory:")
    sent: list[Any] = []
    for batch in batches:
        try:
            load(warehouse, [{"x": value} for value in batch])
        except (DataError, SchemaConflictError):
            continue
        sent.extend(batch)
    if not sent:
        return
    is_json = warehouse.states()[0].columns[0].type == "JSON"
    for one, got in zip(sent, back(warehouse), strict=True):
        assert recovered(got, is_json=is_json, like=one), (one, got, sent)


def recovered(got: Any, *, is_json: bool, like: Any) -> bool:
    if like is None or got is None:
        return got is like
    if is_json:
        got = simplejson.loads(got, use_decimal=True)
    if isinstance(like, date) and isinstance(got, str):
        return got == like.isoformat()
    if isinstance(like, bool) and isinstance(got, str):
        return got == str(like).lower()
    if isinstance(like, int | float | Decimal) and not isinstance(like, bool):
        same = Decimal(repr(like)) if isinstance(like, float) else Decimal(like)
        there = Decimal(repr(got)) if isinstance(got, float) else Decimal(got)
        return same == there
    return bool(got == like)

"""A value that a reader cannot give is for the schema contract, whatever it is read from."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import duckdb
import openpyxl
import pytest

from etl_assets import (
    Catalog,
    DuckDBDestination,
    FileSource,
    PostgresDestination,
    SQLiteSource,
    Stream,
    stream_assets,
)
from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.refused import Refusal
from tests.assets.shop import failure_text
from tests.sources.sql_databases import database

SCHEMA = {
    "properties": {
        "id": {"type": ["null", "integer"]},
        "a": {"type": ["null", "integer"]},
        "day": {"type": ["null", "string"], "format": "date"},
    }
}
ROWS = [
    (1, 5, "2026-01-01"),
    (2, "n/a", "2026-01-02"),
    (3, 7, "soon"),
    (4, "-", "never"),
    (5, 9, "2026-01-05"),
]
BAD = {2: {"a"}, 3: {"day"}, 4: {"a", "day"}}


def csv(folder: Path) -> FileSource:
    (folder / "t.csv").write_text("id,a,day\n" + "".join(f"{a},{b},{c}\n" for a, b, c in ROWS))
    return FileSource("t", str(folder), streams={"t": "t.csv"}, schema=SCHEMA)


def fixed_width(folder: Path) -> FileSource:
    (folder / "t.txt").write_text("".join(f"{a:<5}{b:<5}{c:<12}\n" for a, b, c in ROWS))
    spans = {"id": 5, "a": 5, "day": 12}
    return FileSource(
        "t", str(folder), streams={"t": "t.txt"}, schema=SCHEMA, format="fixed_width", columns=spans
    )


def json_lines(folder: Path) -> FileSource:
    lines = [json.dumps({"id": a, "a": b, "day": c}) for a, b, c in ROWS]
    (folder / "t.jsonl").write_text("\n".join(lines) + "\n")
    return FileSource("t", str(folder), streams={"t": "t.jsonl"}, schema=SCHEMA)


def document(folder: Path) -> FileSource:
    (folder / "t.json").write_text(
        "[\n" + ",\n".join(json.dumps({"id": a, "a": b, "day": c}) for a, b, c in ROWS) + "]"
    )
    return FileSource("t", str(folder), streams={"t": "t.json"}, schema=SCHEMA)


def excel(folder: Path) -> FileSource:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (("id", "a", "day"), *ROWS):
        book.active.append(row)
    book.save(folder / "t.xlsx")
    return FileSource("t", str(folder), streams={"t": "t.xlsx"}, schema=SCHEMA)


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "CSV": (csv, "t.csv, line 3: not an integer"),
    "fixed width": (fixed_width, "t.txt, line 2: not an integer"),
    "JSON lines": (json_lines, "t.jsonl, line 2: str in a column declared int64"),
    "JSON": (document, "t.json, line 3: str in a column declared int64"),
    "Excel": (excel, "t.xlsx, line 3: cell B3 is not an integer"),
}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    def run(source: Any, **options: Any) -> Any:
        warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
        assets = stream_assets(source, ["t"], destination=warehouse, options={"t": options})
        return dg.materialize(assets, raise_on_error=False)

    return run


def rows(
    folder: Path, what: str = "id, a, CAST(day AS VARCHAR)", table: str = "t.t"
) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        return connection.execute(f"SELECT {what} FROM {table} ORDER BY ALL").fetchall()


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("mode", ["evolve", "freeze"])
def test_where_nothing_may_be_left_out_it_is_an_error(
    kind: str, mode: str, tmp_path: Path, run: Any
) -> None:
    make, told = FILES[kind]
    result = run(make(tmp_path), schema_contract=mode)
    assert not result.success
    text = failure_text(result)
    assert "stream 't', field 'a'" in text
    assert told in text
    assert "Value: 'n/a'" in text


@pytest.mark.parametrize("kind", FILES)
def test_values_are_left_out_and_counted(kind: str, tmp_path: Path, run: Any) -> None:
    result = run(FILES[kind][0](tmp_path), schema_contract="discard_value", keep_rejected=True)
    assert result.success
    assert rows(tmp_path) == [
        (a, None if "a" in BAD.get(a, ()) else b, None if "day" in BAD.get(a, ()) else c)
        for a, b, c in ROWS
    ]
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["etl_assets/rejected"].value == 3
    reasons = event.materialization.metadata["etl_assets/rejected_reasons"].value
    assert reasons == [
        "field 'a' does not fit int64: 2 values left out",
        "field 'day' does not fit date32[day]: 2 values left out",
    ]
    kept = rows(tmp_path, "field, left_out, reason, record", "t.t__rejected")
    assert [row[:2] for row in kept] == [("a", "value")] * 2 + [("day", "value")] * 2
    told = FILES[kind][1]
    assert any(told in row[2] and '"n/a"' in row[3] for row in kept)


@pytest.mark.parametrize("kind", FILES)
def test_rows_are_left_out_and_counted(kind: str, tmp_path: Path, run: Any) -> None:
    result = run(FILES[kind][0](tmp_path), schema_contract={"data_type": "discard_row"})
    assert result.success
    assert rows(tmp_path) == [row for row in ROWS if row[0] not in BAD]


@pytest.mark.parametrize("mode", ["discard_value", "discard_row"])
def test_a_key_that_cannot_be_read_takes_its_row_along(mode: str, tmp_path: Path, run: Any) -> None:
    (tmp_path / "t.csv").write_text("id,a,day\nx,1,2026-01-01\n2,2,2026-01-02\n")
    source = FileSource("t", str(tmp_path), streams={"t": "t.csv"}, schema=SCHEMA, primary_key="id")
    assert run(source, schema_contract=mode).success
    assert rows(tmp_path) == [(2, 2, "2026-01-02")]


def test_a_second_load_is_held_against_the_table(tmp_path: Path, run: Any) -> None:
    source = csv(tmp_path)
    for _ in range(2):
        result = run(source, schema_contract="discard_value")
        assert result.success
    reasons = (
        result.get_asset_materialization_events()[0]
        .materialization.metadata["etl_assets/rejected_reasons"]
        .value
    )
    assert reasons == [
        "field 'a' does not fit BIGINT: 2 values left out",
        "field 'day' does not fit DATE: 2 values left out",
    ]


def test_a_column_that_is_not_selected_refuses_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,a,day\n1,n/a,2026-01-01\n")
    source = FileSource("t", str(tmp_path), streams={"t": "t.csv"}, schema=SCHEMA)
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    catalog = Catalog([Stream("t", schema=SCHEMA, columns=["id", "day"])])
    for mode in ("freeze", "discard_row"):
        assets = stream_assets(
            source, ["t"], catalog=catalog, destination=warehouse, schema_contract=mode
        )
        assert dg.materialize(assets).success
        assert rows(tmp_path, "id, CAST(day AS VARCHAR)") == [(1, "2026-01-01")]


def test_an_excel_error_is_left_out(tmp_path: Path, run: Any) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (("id", "a"), (1, 1), (2, "#DIV/0!")):
        book.active.append(row)
    book.active["B3"].data_type = "e"
    book.save(tmp_path / "t.xlsx")
    source = FileSource("t", str(tmp_path), streams={"t": "t.xlsx"})
    assert "B3" in failure_text(run(source))
    assert run(source, schema_contract="discard_value").success
    assert rows(tmp_path, "id, a") == [(1, 1), (2, None)]


def test_a_folder_that_says_no_value(tmp_path: Path, run: Any) -> None:
    for day in ("2026-01-01", "never"):
        (tmp_path / f"day={day}").mkdir()
        (tmp_path / f"day={day}" / "t.csv").write_text("id,a\n1,1\n")
    source = FileSource(
        "t", str(tmp_path), streams={"t": "*/t.csv"}, schema=SCHEMA, hive_partitions=True
    )
    assert "its folder: " in failure_text(run(source))
    assert run(source, schema_contract="discard_value").success
    assert rows(tmp_path) == [(1, 1, "2026-01-01"), (1, 1, None)]


@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_both_ways_to_load_a_source(
    granularity: Literal["stream", "source"], tmp_path: Path
) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    for mode, succeeds in (("freeze", False), ("discard_value", True)):
        assets = stream_assets(
            csv(tmp_path),
            ["t"],
            destination=warehouse,
            schema_contract=mode,
            granularity=granularity,
        )
        assert dg.materialize(assets, raise_on_error=False).success is succeeds
    assert len(rows(tmp_path)) == len(ROWS)


# The batch


REFUSED = {1: [Refusal("t", "n", "a.csv, line 3: not an integer.", "x")]}
STREAM = Stream("t")
WAYS: dict[str, Callable[[Batch], Any]] = {
    "rows": lambda batch: batch.rows,
    "to_rows": lambda batch: batch.to_rows(STREAM),
    "to_arrow": lambda batch: batch.to_arrow(STREAM),
    "columns": lambda batch: batch.columns(STREAM),
    "record": lambda batch: batch.record(0, STREAM),
    "some": lambda batch: batch.some(STREAM),
    "encoded": lambda batch: batch.encoded(STREAM),
    "slice": lambda batch: batch.slice(1, 3).to_arrow(STREAM),
    "head": lambda batch: batch.head(2).to_arrow(STREAM),
    "keep": lambda batch: batch.keep([False, True, True]).to_rows(STREAM),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("arrow", [False, True])
def test_no_way_to_the_records_passes_a_refused_value_over(way: str, *, arrow: bool) -> None:
    records: Any = [{"n": 1}, {"n": None}, {"n": 3}]
    batch = Batch(Batch(records).to_arrow(STREAM) if arrow else records, refused=REFUSED)
    with pytest.raises(
        DataError, match=r"stream 't', field 'n': a.csv, line 3: not an integer. Value: 'x'."
    ):
        WAYS[way](batch)
    assert len(batch.accepted().to_arrow(STREAM)) == 3
    assert batch.slice(0, 1).to_rows(STREAM) == [{"n": 1}]
    assert batch.keep([True, False, True]).to_rows(STREAM) == [{"n": 1}, {"n": 3}]


def test_what_is_settled_stays_so() -> None:
    batch = Batch([{"n": 1}, {"n": 2}], settled=1)
    assert (
        batch.screened(batch.to_arrow(STREAM), {}).settled == batch.keep([True, True]).settled == 1
    )


# SQL

ODD: dict[str, tuple[list[str], str]] = {
    "sqlite": (
        [
            "CREATE TABLE t (id integer, d date)",
            "INSERT INTO t VALUES (1, '2026-01-01'), (2, 'soon')",
        ],
        "soon",
    ),
    "postgresql": (
        [
            "CREATE TABLE t (id integer, d date)",
            "INSERT INTO t VALUES (1, '2026-01-01'), (2, 'infinity')",
        ],
        "infinity",
    ),
    "postgresql, numeric": (
        [
            "CREATE TABLE t (id integer, d numeric(12, 2))",
            "INSERT INTO t VALUES (1, 20260101), (2, 'NaN')",
        ],
        "NaN",
    ),
    "postgresql, infinite numeric": (
        [
            "CREATE TABLE t (id integer, d numeric)",
            "INSERT INTO t VALUES (1, 20260101), (2, '-Infinity')",
        ],
        "-Infinity",
    ),
    "mysql": (
        [
            "SET sql_mode=''",
            "CREATE TABLE t (id integer, d date)",
            "INSERT INTO t VALUES (1, '2026-01-01'), (2, '0000-00-00')",
        ],
        "0000-00-00",
    ),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("mode", ["freeze", "discard_value", "discard_row"])
def test_values_of_a_database_that_no_type_holds(kind: str, mode: str, tmp_path: Path) -> None:
    statements, text = ODD[kind]
    with database(kind.partition(",")[0], tmp_path) as shop:
        shop.run(*statements)
        options: Any = {"t": {"schema_contract": mode, "keep_rejected": mode != "freeze"}}
        source = shop.source(streams=[Stream("t")])
        warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
        result = dg.materialize(
            stream_assets(source, destination=warehouse, options=options), raise_on_error=False
        )
    if mode == "freeze":
        assert re.search(rf"field 'd'.*Value: '{text}'", failure_text(result))
        return
    assert result.success
    whole: list[tuple[Any, ...]] = [
        (1, "20260101.00" if "(12, 2)" in statements[0] else "20260101")
    ]
    if "date" in statements[-2]:
        whole = [(1, "2026-01-01")]
    assert rows(tmp_path, "id, CAST(d AS VARCHAR)", "shop.t") == (
        whole if mode == "discard_row" else [*whole, (2, None)]
    )
    assert rows(tmp_path, "field, record->>'d', record->>'id'", "shop.t__rejected") == [
        ("d", text, "2")
    ]


@pytest.mark.parametrize(
    "type_", ["numeric(12, 2)", "numeric(30, 2)", "numeric", "date", "timestamptz"]
)
def test_between_two_databases_of_one_kind(type_: str, tmp_path: Path) -> None:
    """Rows of PostgreSQL go to PostgreSQL as they come, unless one of their values has to be left out."""
    good, bad = (
        ("'2026-01-01'", "'infinity'") if type_.startswith(("date", "time")) else ("1.5", "'NaN'")
    )
    with database("postgresql", tmp_path) as shop, database("postgresql", tmp_path) as other:
        shop.run(f"CREATE TABLE t (id integer, d {type_})")
        shop.run(f"INSERT INTO t SELECT n, {good} FROM generate_series(1, 50) AS n")
        shop.run(f"INSERT INTO t VALUES (51, {bad}), (52, NULL), (53, {good}), (54, {bad})")
        source = shop.source(streams=[Stream("t")])
        warehouse = PostgresDestination(other.url.replace("+psycopg", ""))
        for mode in ("freeze", "discard_value"):
            options: Any = {"t": {"schema_contract": mode, "table": f"{other.schema}.loaded"}}
            result = dg.materialize(
                stream_assets(source, destination=warehouse, options=options), raise_on_error=False
            )
            assert result.success is (mode != "freeze")
        with other.engine.connect() as connection:
            statement = f"SELECT id FROM {other.schema}.loaded WHERE d IS NULL ORDER BY id"
            empty = connection.exec_driver_sql(statement).scalars().all()
            count = connection.exec_driver_sql(
                f"SELECT count(*) FROM {other.schema}.loaded"
            ).scalar_one()
    assert (empty, count) == ([51, 52, 54], 54)


def test_sqlite_values_of_other_types(tmp_path: Path, run: Any) -> None:
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY, a integer, day date)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
    source = SQLiteSource(str(tmp_path / "s.db"), name="t", streams=[Stream("t")])
    assert "field 'a'" in failure_text(run(source))
    result = run(source, schema_contract="discard_value", keep_rejected=True)
    assert result.success
    assert rows(tmp_path) == [
        (a, None if "a" in BAD.get(a, ()) else b, None if "day" in BAD.get(a, ()) else c)
        for a, b, c in ROWS
    ]

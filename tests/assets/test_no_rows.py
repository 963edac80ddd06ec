"""A schema with no row is still a schema: the table has its columns, whatever the schema came in."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_assets import (
    DuckDBCache,
    DuckDBDestination,
    FileSource,
    Source,
    SqlSource,
    Stream,
    stream_assets,
)
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.destinations.database.destination import DatabaseDestination
from tests.pairs.places import DESTINATIONS, destination
from tests.pairs.readers import held

OURS = {"_etl_assets_load_id", "_etl_assets_loaded_at"}
EMPTY = pa.schema([("a", pa.int64()), ("b", pa.string())]).empty_table()
INTEGER = {"duckdb": "BIGINT", "postgresql": "bigint", "mysql": "bigint(20)", "sqlite": "INTEGER"}


class Given(Source):
    """Gives what it was made with."""

    streams = [Stream("t")]

    def __init__(self, *items: Any) -> None:
        super().__init__(name="shop")
        self.items = items

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield from self.items


def frame(folder: Path) -> Source:
    return Given(pd.DataFrame({"a": pd.Series([], dtype="int64"), "b": pd.Series([], dtype="str")}))


def arrow(folder: Path) -> Source:
    return Given(EMPTY)


def parquet(folder: Path) -> Source:
    pq.write_table(EMPTY, folder / "t.parquet")
    return FileSource("shop", str(folder), streams={"t": "t.parquet"})


def parquet_without_row_groups(folder: Path) -> Source:
    with pq.ParquetWriter(folder / "t.parquet", EMPTY.schema):
        pass
    return FileSource("shop", str(folder), streams={"t": "t.parquet"})


def header(folder: Path) -> Source:
    (folder / "t.csv").write_text("a,b\n", encoding="utf-8")
    return FileSource("shop", str(folder), streams={"t": "t.csv"})


def table(folder: Path) -> Source:
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("CREATE TABLE t (a BIGINT, b TEXT)")
    connection.close()
    return SqlSource("shop", f"sqlite:///{folder / 'shop.db'}")


def declared(folder: Path) -> Source:
    source = Given()
    source.streams = [
        Stream("t", schema={"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}})
    ]
    return source


MADE: list[Callable[[Path], Source]] = [
    frame,
    arrow,
    parquet,
    parquet_without_row_groups,
    header,
    table,
    declared,
]


@pytest.mark.sampled("kind")
@pytest.mark.parametrize("kind", DESTINATIONS)
@pytest.mark.parametrize("made", MADE, ids=lambda one: one.__name__)
def test_the_table_has_its_columns(
    made: Callable[[Path], Source], kind: str, tmp_path: Path
) -> None:
    source = made(tmp_path)
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        assert dg.materialize(stream_assets(source, streams=["t"], destination=warehouse)).success
        found = held(warehouse, "t")
    assert set(found.types) - OURS == {"a", "b"}
    assert found.rows == []
    if made is not header:
        assert found.types["a"] == INTEGER[kind]


@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_both_ways_of_running_a_source_make_the_table(granularity: Any, tmp_path: Path) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    assets = stream_assets(Given(EMPTY), destination=warehouse, granularity=granularity)
    assert dg.materialize(assets).success
    assert set(held(warehouse, "t").types) - OURS == {"a", "b"}


@pytest.mark.parametrize(
    "made", [frame, arrow, parquet, header, table], ids=lambda one: one.__name__
)
def test_a_script_gets_the_columns(made: Callable[[Path], Source], tmp_path: Path) -> None:
    source = made(tmp_path)
    source.select_streams(["t"])
    result = source.read(DuckDBCache(db_path=str(tmp_path / "cache.duckdb")))
    assert {"a", "b"} <= set(result["t"].to_pandas().columns)


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_an_asset_that_returns_an_empty_frame(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        load_frame(warehouse, pd.DataFrame({"a": [1], "old": [1]}))
        load_frame(
            warehouse,
            pd.DataFrame({"a": pd.Series([], dtype="int64"), "b": pd.Series([], dtype=object)}),
        )
        found = held(warehouse, "t")
    assert set(found.types) - OURS == {"a", "b"}  # a replace: what is gone is gone
    assert found.rows == []


def load_frame(warehouse: DatabaseDestination, value: Any) -> None:
    @dg.asset(key=["shop", "t"], io_manager_key="io")
    def made() -> Any:
        return value

    assert dg.materialize([made], resources={"io": DestinationIOManager(warehouse)}).success


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_the_type_of_no_value_does_not_count(kind: str, tmp_path: Path) -> None:
    """The columns of an empty frame are objects by default, or doubles: no row is widened for them."""
    odd = pa.schema([("a", pa.string()), ("c", pa.float64())]).empty_table()
    rows = pa.table({"a": [2**53 + 1], "b": ["x"]})
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        for items in ((odd, rows, odd), (odd,)):
            assets = stream_assets(Given(*items), destination=warehouse, write_strategy="append")
            assert dg.materialize(assets).success
        found = held(warehouse, "t")
    assert found.types["a"] == INTEGER[kind]
    assert set(found.types) - OURS == {"a", "b", "c"}


def test_an_append_of_nothing_leaves_the_table_as_it_is(tmp_path: Path) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    for items in ((pa.table({"a": [1]}),), (pa.schema([("a", pa.string())]).empty_table(),)):
        assets = stream_assets(Given(*items), destination=warehouse, write_strategy="append")
        assert dg.materialize(assets).success
    found = held(warehouse, "t")
    assert found.types["a"] == "BIGINT"
    assert [row["a"] for row in found.rows] == [1]

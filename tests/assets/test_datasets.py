"""Scripts' words in assets: a cache as an IO manager, datasets as inputs and as values, sources of every kind."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from typing_extensions import override

from etl_assets import CachedDataset, FileSource, Source, SqlSource, Stream, stream_assets
from etl_assets.caches import DuckDBCache, SqliteCache
from etl_assets.datasets import DatasetBase, InMemoryDataset, LazyDataset
from etl_assets.destinations.duckdb.destination import DuckDBDestination


class Shop(Source):
    """Five orders."""

    streams = (
        Stream("orders", primary_key="id", schema={"properties": {"id": {"type": "integer"}}}),
    )

    @override
    def load_data(self, stream: Stream, *_: Any, **__: Any) -> Iterator[Any]:
        yield [{"id": n, "name": f"n{n}"} for n in range(1, 6)]


@pytest.fixture
def cache(tmp_path: Path) -> DuckDBCache:
    return DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path, table_prefix="p_")


def materialize(assets: list[Any], cache: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize(assets, resources={"io_manager": cache.as_io_manager()})


def consumer(annotation: Any, seen: list[Any]) -> Any:
    def report(orders):  # type: ignore[no-untyped-def] # noqa: ANN202, ANN001 - annotated below
        seen.append(orders)
        return [{"seen": 1}]

    report.__annotations__["orders"] = annotation
    return dg.asset(key=["marts", "report"], ins={"orders": dg.AssetIn(["shop", "orders"])})(report)


@pytest.mark.parametrize(
    "annotation",
    [CachedDataset, DatasetBase, ds.Dataset, pd.DataFrame, pa.Table, pl.DataFrame],
    ids=lambda one: one.__name__,
)
def test_a_cache_is_an_io_manager_and_an_input_is_what_its_annotation_says(
    annotation: Any, cache: DuckDBCache
) -> None:
    seen: list[Any] = []
    assets = stream_assets(Shop(name="shop"), destination=cache)
    assert materialize([*assets, consumer(annotation, seen)], cache).success
    (orders,) = seen
    assert isinstance(orders, annotation)
    if isinstance(orders, CachedDataset):
        assert len(orders.with_filter("id > 3")) == 2
        assert list(orders.with_filter(orders.to_sql_table().c.id > 4).to_pandas()["id"]) == [5]
        assert orders.stream_metadata.name == "orders"
    elif isinstance(orders, ds.Dataset):
        assert orders.schema.names == ["id", "name"]
        assert orders.count_rows() == orders.to_table().num_rows == 5
    else:
        assert len(orders) == 5
        assert (orders.column_names if isinstance(orders, pa.Table) else list(orders.columns)) == [
            "id",
            "name",
        ]
    assert list(cache["orders"].to_pandas()["id"]) == [1, 2, 3, 4, 5], (
        "a script reads what an asset has stored"
    )
    assert cache.table_of("orders").name == "p_orders"


def test_columns_are_chosen_before_a_dataset_is_read(cache: DuckDBCache) -> None:
    seen: list[ds.Dataset] = []

    @dg.asset(ins={"orders": dg.AssetIn(["shop", "orders"], metadata={"columns": ["name"]})})
    def report(orders: ds.Dataset) -> None:
        seen.append(orders)

    assert materialize(
        [*stream_assets(Shop(name="shop"), destination=cache), report], cache
    ).success
    assert seen[0].schema.names == ["name"]


def _values(other: DuckDBCache) -> dict[str, Any]:
    shop = Shop(name="shop")
    result = shop.read(other, prune_undeclared_fields=False)
    return {
        "read result's stream": result["orders"],
        "filtered": result["orders"].with_filter("id > 3"),
        "arrow": result["orders"].to_arrow().filter(ds.field("id") > 3),
        "lazy": LazyDataset(({"id": n} for n in range(3)), stream_metadata=Stream("orders")),
        "in memory": InMemoryDataset([{"id": 1}, {"id": 2, "name": "x"}], Stream("orders")),
        "records": shop.get_records("orders"),
    }


def test_a_dataset_is_a_value_of_an_asset(tmp_path: Path) -> None:
    values = _values(DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path))
    stored = SqliteCache(db_path=tmp_path / "stored.sqlite", cache_dir=tmp_path)

    def asset(name: str, value: Any) -> Any:
        def made():  # type: ignore[no-untyped-def] # noqa: ANN202 - no annotation: Dagster would read it
            return value

        return dg.asset(key=["marts", name.replace(" ", "_").replace("'", "")])(made)

    assert materialize([asset(name, value) for name, value in values.items()], stored).success
    table = stored.destination.read_table
    counts = {
        state.stream: table(state.table, columns=["id"]).num_rows
        for state in stored.destination.states()
    }
    assert counts == {
        "read_results_stream": 5, "filtered": 2, "arrow": 2, "lazy": 3, "in_memory": 2, "records": 5,
    }  # fmt: skip
    columns = stored["filtered"].column_names
    assert columns == ["id", "name", "_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta"], (
        "those about each record are there once"
    )


def test_a_merge_takes_the_key_of_the_dataset(tmp_path: Path, cache: DuckDBCache) -> None:
    result = Shop(name="shop").read(
        DuckDBCache(db_path=tmp_path / "other.duckdb", cache_dir=tmp_path)
    )

    @dg.asset(key=["marts", "orders"], metadata={"etl_assets/write_strategy": "merge"})
    def orders():  # type: ignore[no-untyped-def] # noqa: ANN202 - no annotation: Dagster would read it
        return result["orders"]

    assert materialize([orders], cache).success
    assert materialize([orders], cache).success
    assert len(cache["orders"]) == 5


def test_a_whole_read_result_is_refused_with_a_word_on_what_to_return(
    tmp_path: Path, cache: DuckDBCache
) -> None:
    result = Shop(name="shop").read(
        DuckDBCache(db_path=tmp_path / "other.duckdb", cache_dir=tmp_path)
    )

    @dg.asset
    def orders():  # type: ignore[no-untyped-def] # noqa: ANN202 - no annotation: Dagster would read it
        return result

    failed = dg.materialize(
        [orders], resources={"io_manager": cache.as_io_manager()}, raise_on_error=False
    )
    error = failed.failure_data_for_node("orders")
    assert error is not None
    assert "result['name']" in str(error)


def test_to_assets_of_sources_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "users.csv").write_text("id\n1\n2\n")
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1), (2), (3)"
        )
    sources = [
        (Shop(name="native"), ["orders"]),
        (SqlSource(name="sql", url=f"sqlite:///{tmp_path / 'shop.sqlite'}"), ["orders"]),
        (FileSource(name="files", path=str(tmp_path / "files" / "*.csv")), ["files"]),
    ]
    warehouse = DuckDBDestination(str(tmp_path / "all.duckdb"))
    for source, streams in sources:
        assets = source.to_assets(streams=streams, destination=warehouse)
        assert [one.key.path for one in assets] == [[source.name, name] for name in streams]
        assert dg.materialize(assets).success
    rows = {state.source: state.rows_in_table for state in warehouse.states()}
    assert rows == {"native": 5, "sql": 3, "files": 2}

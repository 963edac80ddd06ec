"""Dagster's graph begins at the source: external assets of its tables, and which column becomes which."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import build_source_asset_specs, stream_assets
from etl_assets.assets.lineage import COLUMN_LINEAGE
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from tests.assets.shop import event, run

SCHEMA = {"properties": {"id": {"type": "integer"}, "Full Name": {"type": "string"}}}
ORDERS = dg.AssetKey(["shop", "orders"])
TABLE = dg.AssetKey(["source", "shop", "orders"])


@pytest.fixture
def shop(tmp_path: Path) -> SqlSource:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute('CREATE TABLE orders (id INTEGER PRIMARY KEY, "Full Name" TEXT)')
        connection.execute("INSERT INTO orders VALUES (1, 'Ada')")
        connection.execute("CREATE TABLE visits (id INTEGER)")
        connection.execute("INSERT INTO visits VALUES (1)")
    orders = Stream("orders", primary_key="id", schema=SCHEMA, description="All `orders`.")
    return SqlSource("shop", f"sqlite:///{tmp_path}/shop.db", streams=[orders, Stream("visits")])


def test_a_source_has_an_external_asset_for_each_table(shop: SqlSource) -> None:
    orders, visits = build_source_asset_specs(shop)
    assert (orders.key, visits.key) == (TABLE, dg.AssetKey(["source", "shop", "visits"]))
    assert orders.kinds == {"sqlite"}
    assert orders.description == "All 'orders'."
    columns = orders.metadata["dagster/column_schema"].columns
    assert [column.name for column in columns] == ["id", "Full Name"]  # as the source calls them
    (other,) = build_source_asset_specs(shop, "visits", key_prefix=["erp", "raw"])
    assert other.key == dg.AssetKey(["erp", "raw", "shop", "visits"])


@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_streams_come_after_the_tables_column_by_column(
    granularity: Any, shop: SqlSource, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    tables = build_source_asset_specs(shop)
    assets = stream_assets(shop, destination=warehouse, upstream=tables, granularity=granularity)
    defs = dg.Definitions(assets=[*tables, *assets])
    graph = defs.resolve_asset_graph()
    assert graph.get(ORDERS).parent_keys == {TABLE}
    assert graph.get(TABLE).is_external
    declared = graph.get(ORDERS).metadata[COLUMN_LINEAGE]
    assert run(defs, instance).success
    for lineage in (declared, event(instance, "shop/orders")[COLUMN_LINEAGE]):
        assert {
            column: [(dep.asset_key, dep.column_name) for dep in deps]
            for column, deps in lineage.deps_by_column.items()
        } == {"id": [(TABLE, "id")], "full_name": [(TABLE, "Full Name")]}
    # Of a stream that declares no columns they are known after the first run.
    visits = dg.AssetKey(["shop", "visits"])
    assert COLUMN_LINEAGE not in graph.get(visits).metadata
    assert set(event(instance, "shop/visits")[COLUMN_LINEAGE].deps_by_column) == {"id"}


def test_any_asset_may_stand_for_a_table(shop: SqlSource, warehouse: DuckDBDestination) -> None:
    upstream = {"orders": "erp/orders"}
    orders, visits = stream_assets(shop, destination=warehouse, upstream=upstream)
    assert [dep.asset_key.path for dep in orders.get_asset_spec().deps] == [["erp", "orders"]]
    assert list(visits.get_asset_spec().deps) == []


def test_deps_of_the_options_stay(shop: SqlSource, warehouse: DuckDBDestination) -> None:
    tables = build_source_asset_specs(shop)
    options = {"orders": {"deps": ["before"]}}
    assets = stream_assets(shop, "orders", destination=warehouse, upstream=tables, options=options)
    deps = {dep.asset_key for dep in assets[0].get_asset_spec().deps}
    assert deps == {TABLE, dg.AssetKey("before")}


def test_upstream_that_stands_for_nothing_is_an_error(
    shop: SqlSource, warehouse: DuckDBDestination
) -> None:
    other = build_source_asset_specs(shop, name="other")
    with pytest.raises(ConfigError, match="stands for a stream of 'shop'") as caught:
        stream_assets(shop, destination=warehouse, upstream=other)
    assert "the same name" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="upstream= holds 'erp/orders'") as caught:
        stream_assets(shop, destination=warehouse, upstream=["erp/orders"])  # type: ignore[list-item]
    assert "by the stream's name" in str(caught.value.hint)
    assert stream_assets(shop, destination=warehouse, upstream={"orders": "shop_db/orders"})
    same = build_source_asset_specs(shop)
    assert stream_assets(shop, destination=warehouse, upstream=same)
    with pytest.raises(ConfigError, match="names the stream 'order'"):
        stream_assets(shop, destination=warehouse, upstream={"order": "erp/orders"})

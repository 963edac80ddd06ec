"""Where a table is, in the event of its load: with the database, and whatever a hook does."""

from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from typing_extensions import override

from etl_assets.assets.factory import stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.assets.iomanagers import DuckDBIOManager
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.model.stored import TableName
from tests.assets.shop import Shop, event, logged, run
from tests.servers import POSTGRES, postgres_schema


class Lost(DuckDBDestination):
    """Does not know where anything is."""

    @override
    def uri(self, table: TableName) -> str | None:
        raise RuntimeError("no map")

    @override
    def database_name(self) -> str | None:
        raise RuntimeError("no name")


def test_a_failing_hook_costs_nothing_but_what_it_would_have_said(
    shop: Shop, path: Path, instance: dg.DagsterInstance
) -> None:
    result = run(stream_assets(shop, "orders", destination=Lost(str(path))), instance)
    assert result.success
    shown = event(instance, "shop/orders")
    assert shown["dagster/row_count"] == 5
    assert [one.name for one in shown["dagster/column_schema"].columns][:2] == ["id", "name"]
    assert shown["dagster/storage_kind"] == "duckdb"
    assert shown["dagster/table_name"] == "shop.orders"
    assert "dagster/uri" not in shown
    told = logged(result, instance)
    assert "Asking where the table is failed" in told
    assert "Asking which database the table is in failed" in told


def test_of_a_resource_the_event_tells_all(
    shop: Shop, path: Path, instance: dg.DagsterInstance
) -> None:
    assets = stream_assets(shop, "orders", io_manager_key="warehouse", destination_kind="duckdb")
    (spec,) = assets[0].specs
    assert "duckdb" in spec.kinds
    assert spec.metadata["dagster/storage_kind"] == "duckdb"
    resources = {"warehouse": DuckDBIOManager(path=str(path))}
    assert run(assets, instance, resources=resources).success
    shown = event(instance, "shop/orders")
    assert shown["dagster/storage_kind"] == "duckdb"
    assert shown["dagster/table_name"] == "warehouse.shop.orders"


@pytest.mark.parametrize("name", ["my-file.duckdb", "main.duckdb", "a.b.duckdb", "Large.db"])
def test_a_query_takes_the_name_as_it_is(
    name: str, tmp_path: Path, shop: Shop, instance: dg.DagsterInstance
) -> None:
    path = tmp_path / name
    manager = DestinationIOManager(DuckDBDestination(str(path)))
    assert run(stream_assets(shop, "orders", destination=manager), instance).success
    table = event(instance, "shop/orders")["dagster/table_name"]
    assert table.endswith(".shop.orders")
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchall() == [(5,)]


def test_postgres_names_its_database(shop: Shop, instance: dg.DagsterInstance) -> None:
    with postgres_schema() as schema:
        warehouse = PostgresDestination(POSTGRES, state_schema=schema)
        options: dict[str, Any] = {"orders": {"table": f"{schema}.orders"}}
        assets = stream_assets(shop, "orders", destination=warehouse, options=options)
        assert run(assets, instance).success
        database = POSTGRES.rpartition("/")[2].partition("?")[0]
        shown = event(instance, "shop/orders")
        assert shown["dagster/table_name"] == f"{database}.{schema}.orders"

"""A project with partitioned assets, which `test_partitions_launched.py` launches as people do."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from etl_assets import (
    DestinationIOManager,
    DuckDBDestination,
    PostgresDestination,
    SqlSource,
    stream_assets,
)
from tests.partitions.orders import BY_DAY, DAYS, ORDERS
from tests.servers import POSTGRES

FOLDER = Path(os.environ["LAUNCHED_IN"])
SCHEMA = os.environ.get("LAUNCHED_SCHEMA", "launched")
LAKE = DuckDBDestination(str(FOLDER / "warehouse.duckdb"))


def orders(name: str, destination: Any, **options: Any) -> list[dg.AssetsDefinition]:
    """Return the shop's orders as a partitioned asset."""
    source = SqlSource(name, f"sqlite:///{FOLDER}/shop.db", streams=[ORDERS])
    granularity = options.pop("granularity", None)
    return stream_assets(
        source,
        destination=destination,
        options={"orders": {**BY_DAY, **options}},
        granularity=granularity,
    )


assets = [
    *orders("lake", LAKE),
    *orders(
        "server",
        PostgresDestination(POSTGRES, schema_name=SCHEMA, state_schema=f"{SCHEMA}_state"),
    ),
    *orders("single", LAKE, backfill_policy=dg.BackfillPolicy.single_run(), granularity="source"),
]


@dg.asset(
    key=["reports", "tenants"],
    partitions_def=DAYS,
    metadata={"etl_assets/partition_by": "at"},
    ins={"orders": dg.AssetIn(["lake", "orders"])},
    io_manager_key="lake",
)
def tenants(orders: pa.Table) -> pa.Table:
    """Report the tenants of a day."""
    return orders.select(["id", "at", "tenant"])


@dg.asset
def beside() -> None:
    """Be what no selection takes, so that none is of everything."""


defs = dg.Definitions(
    assets=[*assets, tenants, beside], resources={"lake": DestinationIOManager(LAKE)}
)

"""A project that `test_launching.py` launches in every way there is; it has no IO manager by Dagster's default key."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from etl_assets import (
    DuckDBDestination,
    DuckDBIOManager,
    Stream,
    StreamOptions,
    build_source_sensor,
    build_sync_schedule,
    stream_assets,
)
from etl_assets.exceptions import StreamReadError
from etl_assets.sources.sql import SqlSource

FOLDER = Path(os.environ["LAUNCHED_IN"])
CUT = FOLDER / "cut"
"""While it is there, every read but that of a split's first range fails: of the stream it names, or of all."""

ORDERS = Stream("orders", primary_key="id", replication_key="updated_at")
CUSTOMERS = Stream("customers", primary_key="id", replication_key="updated_at")


class Cut(SqlSource):
    """A SQL source whose connection can be cut from outside."""

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        first = "_range" in (query or {}) and "from" not in query["_range"]
        if CUT.exists() and CUT.read_text() in {stream.name, ""} and not first:
            raise StreamReadError(f"The line of {stream.name} was cut.", stream=stream.name)
        yield from super().load_data(stream, bookmarks, query, **kwargs)


def _source(name: str) -> SqlSource:
    return Cut(name, f"sqlite:///{FOLDER}/shop.db", streams=[ORDERS, CUSTOMERS])


split = {"orders": {"split": 2}}
shop, keyed, crm = _source("shop"), _source("keyed"), _source("crm")
shop_assets = stream_assets(
    shop, destination=DuckDBDestination(str(FOLDER / "lake.duckdb")), options=split
)
shown = StreamOptions(
    owners=["team:shop"],
    tags={"layer": "raw"},
    pool="shop",
    deps=["beside"],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=24)),
    automation_condition=dg.AutomationCondition.any_deps_updated(),
)
keyed_assets = stream_assets(
    keyed,
    io_manager_key="warehouse",
    destination_kind="duckdb",
    options={**split, "customers": shown},
)
crm_assets = stream_assets(crm, io_manager_key="warehouse", granularity="source")


@dg.asset_check(asset=["crm", "customers"])
def some(customers: pd.DataFrame) -> dg.AssetCheckResult:
    """Read what a step of many streams has loaded."""
    return dg.AssetCheckResult(passed=len(customers) > 0)


@dg.asset_check(asset=["crm", "orders"])
def never() -> dg.AssetCheckResult:
    """Be run only where the orders were loaded."""
    return dg.AssetCheckResult(passed=True)


@dg.asset(
    key=["reports", "spent"],
    io_manager_key="warehouse",
    ins={"orders": dg.AssetIn(["shop", "orders"])},
)
def spent(orders: pd.DataFrame) -> pd.DataFrame:
    """Read what a split has published."""
    return orders[["id"]]


@dg.asset
def beside() -> None:
    """Be what no selection takes, so that none is of everything."""


defs = dg.Definitions(
    assets=[*shop_assets, *keyed_assets, *crm_assets, spent, beside],
    asset_checks=[some, never],
    resources={"warehouse": DuckDBIOManager(path=str(FOLDER / "warehouse.duckdb"))},
    jobs=[
        dg.define_asset_job("everything", selection="*"),
        dg.define_asset_job("some", selection=["shop/customers", "keyed/orders", "crm/customers"]),
    ],
    sensors=[
        build_source_sensor(shop, assets=shop_assets, minimum_interval_seconds=1),
        build_source_sensor(crm, assets=crm_assets, minimum_interval_seconds=1),
    ],
    schedules=[build_sync_schedule([*keyed_assets, *crm_assets], "* * * * *", name="each_minute")],
)

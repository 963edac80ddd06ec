"""A project with checks, which `test_checks_launched.py` launches."""

import os
from pathlib import Path
from typing import Any

import dagster as dg

from etl_assets import DuckDBDestination, DuckDBIOManager, Stream, checks, stream_assets
from etl_assets.sources.sql import SqlSource

FOLDER = Path(os.environ["LAUNCHED_IN"])
STREAMS = [
    Stream("orders", primary_key="id", replication_key="updated_at"),
    Stream("customers", primary_key="id", replication_key="updated_at"),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "orders": {
        "checks": [
            checks.unique_key(),
            checks.sql("SELECT id FROM {table} WHERE id < 0", name="positive", gate=True),
        ],
        "retry_policy": dg.RetryPolicy(max_retries=3, delay=60),
    },
    "customers": {"checks": {"row_count": {"max": 10, "blocking": True}, "matches_source": {}}},
}


def _source(name: str) -> SqlSource:
    return SqlSource(name, f"sqlite:///{FOLDER}/shop.db", streams=STREAMS)


shop = stream_assets(
    _source("shop"), destination=DuckDBDestination(str(FOLDER / "lake.duckdb")), options=OPTIONS
)
crm = stream_assets(
    _source("crm"),
    io_manager_key="warehouse",
    granularity="source",
    defaults={
        "checks": [checks.sql("SELECT id FROM {table} WHERE id < 0", name="positive", gate=True)]
    },
)
parts = stream_assets(
    _source("parts"),
    ["orders"],
    io_manager_key="warehouse",
    options={"orders": {**OPTIONS["orders"], "split": 2}},
)


@dg.asset(deps=[["shop", "customers"]])
def report() -> None:
    """Be made of what was checked."""
    (FOLDER / "report").write_text("made")


defs = dg.Definitions(
    assets=[*shop, *crm, *parts, report],
    resources={"warehouse": DuckDBIOManager(path=str(FOLDER / "warehouse.duckdb"))},
)

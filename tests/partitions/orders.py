"""A shop whose orders are loaded by partition, and short ways to run assets and to look at what came of it."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from etl_assets import SqlSource, Stream

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-11")
TENANTS = dg.StaticPartitionsDefinition(["a", "b", "c"])
BOTH = dg.MultiPartitionsDefinition({"day": DAYS, "tenant": TENANTS})
ORDERS = Stream("orders", primary_key="id", replication_key="at")
BY_DAY: Mapping[str, Any] = {"partitions_def": DAYS, "partition_by": "at"}
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

Order = tuple[int, str, str]
"""Its id, when it was changed, and its tenant."""


class Shop:
    """A SQLite file with orders: two for each of ten days, of the tenants a and b.

    Args:
        folder: Of the file.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.db"
        self.run("CREATE TABLE orders (id integer PRIMARY KEY, at timestamp, tenant varchar(9))")
        for day in range(1, 11):
            self.put((2 * day, f"2026-01-{day:02} 00:00:00+00:00", "a"))
            self.put((2 * day + 1, f"2026-01-{day:02} 23:59:59+00:00", "b"))

    def run(self, statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def put(self, *orders: Order) -> None:
        """Write orders, in place of those with their ids."""
        for order in orders:
            self.run("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", *order)

    def source(self) -> SqlSource:
        return SqlSource("shop", f"sqlite:///{self.path}", streams=[ORDERS])


def run(
    assets: Sequence[Any],
    instance: dg.DagsterInstance,
    *partitions: str,
    select: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
    resources: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize assets in one run.

    Args:
        assets: Of the project.
        instance: Where events go.
        partitions: One partition, or the first and the last of a range; none for no partition.
        select: User strings of the keys; all by default.
        config: Of the op of the orders.
        resources: Of the project.
        tags: Of the run.
    """
    if len(partitions) > 1:
        tags = {**(tags or {}), RANGE_START: partitions[0], RANGE_END: partitions[1]}
    return dg.materialize(
        assets,
        instance=instance,
        partition_key=partitions[0] if len(partitions) == 1 else None,
        selection=None if select is None else [dg.AssetKey.from_user_string(one) for one in select],
        run_config={"ops": {"shop__orders": {"config": dict(config)}}} if config else None,
        resources=resources,
        tags=dict(tags or {}),
        raise_on_error=False,
    )


def events(result: dg.ExecuteInProcessResult, name: str = "shop/orders") -> dict[str, Any]:
    """Return the metadata of a run's events of an asset, by partition."""
    key = dg.AssetKey.from_user_string(name)
    found = [one.materialization for one in result.get_asset_materialization_events()]
    mine = [one for one in found if one.asset_key == key]
    return {
        str(one.partition): {name: value.value for name, value in one.metadata.items()}
        for one in mine
    }


def ids(path: Any, table: str = "shop.orders") -> list[int]:
    """Return the ids in a table of a DuckDB file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()
    return [one for (one,) in found]


def of_days(days: Iterable[int]) -> list[int]:
    """Return the ids of the orders of some days."""
    return [number for day in days for number in (2 * day, 2 * day + 1)]

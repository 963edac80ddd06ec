"""Assets of one's own that are partitioned, and what an input of one or many partitions is made of."""

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from etl_assets import (
    CachedDataset,
    DestinationIOManager,
    DuckDBDestination,
    PostgresDestination,
    SQLiteDestination,
    stream_assets,
)
from etl_assets.datasets import SQLDataset
from tests.assets.shop import failure_text
from tests.partitions.orders import (
    BOTH,
    BY_DAY,
    DAYS,
    TENANTS,
    Shop,
    events,
    ids,
    of_days,
    run,
)
from tests.servers import POSTGRES, postgres_schema

HOURS = dg.HourlyPartitionsDefinition("2026-01-01-00:00", end_date="2026-01-04-00:00")
AS = {
    "pandas": pd.DataFrame,
    "table": pa.Table,
    "polars": pl.DataFrame,
    "relation": duckdb.DuckDBPyRelation,
    "list": list,
    "arrow dataset": ds.Dataset,
    "dataset": SQLDataset,
}


def frame(*rows: tuple[int, str]) -> pa.Table:
    """Return rows with an id and a day."""
    days = [dt.date.fromisoformat(day) for _, day in rows]
    return pa.table({"id": [one for one, _ in rows], "day": pa.array(days, pa.date32())})


class TestAssetsOfOnesOwn:
    @pytest.mark.parametrize("form", ["arrow", "pandas", "polars", "records"])
    @pytest.mark.parametrize("said", ["etl_assets/partition_by", "partition_by", "partition_expr"])
    def test_a_run_replaces_its_partition(
        self,
        form: str,
        said: str,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        forms: dict[str, Any] = {
            "arrow": lambda table: table,
            "pandas": lambda table: table.to_pandas(),
            "polars": pl.from_arrow,
            "records": lambda table: table.to_pylist(),
        }
        offset = 0

        @dg.asset(key=["marts", "daily"], partitions_def=DAYS, metadata={said: "day"})
        def daily(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def] # noqa: ANN202
            rows = [(int(key[-2:]) * 10 + offset, key) for key in context.partition_keys]
            return forms[form](frame(*rows))

        io = {"io_manager": DestinationIOManager(warehouse)}
        assert run([daily], instance, "2026-01-02", "2026-01-04", resources=io).success
        offset = 1
        result = run([daily], instance, "2026-01-03", resources=io)
        assert ids(path, "marts.daily") == [20, 31, 40]
        shown = events(result, "marts/daily")["2026-01-03"]
        assert (shown["dagster/partition_row_count"], shown["dagster/row_count"]) == (1, 3)

    def test_rows_of_another_partition_are_an_error(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        @dg.asset(partitions_def=DAYS, metadata={"etl_assets/partition_by": "day"})
        def daily() -> pa.Table:
            return frame((1, "2026-01-02"), (2, "2026-01-03"))

        io = {"io_manager": DestinationIOManager(warehouse)}
        told = failure_text(run([daily], instance, "2026-01-02", resources=io))
        assert "the row is in no partition that was asked for (2026-01-02)" in told

    def test_without_a_field_it_says_what_to_add(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        @dg.asset(partitions_def=DAYS)
        def daily() -> pa.Table:
            return frame((1, "2026-01-02"))

        io = {"io_manager": DestinationIOManager(warehouse)}
        told = failure_text(run([daily], instance, "2026-01-02", resources=io))
        assert "daily is partitioned, and nothing says which" in told
        assert 'metadata={"etl_assets/partition_by": "day"}' in told

    def test_two_dimensions_are_two_fields(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        by = {"day": "day", "tenant": "tenant"}

        @dg.asset(key=["marts", "both"], partitions_def=BOTH, metadata={"partition_expr": by})
        def both(context: dg.AssetExecutionContext) -> list:  # type: ignore[type-arg]
            key = context.partition_key.keys_by_dimension
            day = dt.date.fromisoformat(key["day"])
            return [{"id": f"{day.day}{key['tenant']}", "day": day, "tenant": key["tenant"]}]

        io = {"io_manager": DestinationIOManager(warehouse)}
        for day in ("2026-01-01", "2026-01-02", "2026-01-01"):
            for tenant in "ab":
                key = dg.MultiPartitionKey({"day": day, "tenant": tenant})
                assert run([both], instance, key, resources=io).success
        assert [str(one) for one in ids(path, "marts.both")] == ["1a", "1b", "2a", "2b"]

    def test_what_appends_is_refused(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        said = {"etl_assets/partition_by": "day", "etl_assets/write_strategy": "append"}

        @dg.asset(partitions_def=DAYS, metadata=said)
        def daily() -> pa.Table:
            return frame((1, "2026-01-02"))

        io = {"io_manager": DestinationIOManager(warehouse)}
        told = failure_text(run([daily], instance, "2026-01-02", resources=io))
        assert "cannot be appended" in told


def reading(seen: list[Any], annotation: Any, **options: Any) -> dg.AssetsDefinition:
    """Return an asset that notes the ids of its input."""

    def reader(orders):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        seen.append(sorted(row["id"] for row in _rows(orders)))

    reader.__annotations__ = {"orders": annotation, "return": None}
    ins = {"orders": dg.AssetIn(["shop", "orders"], **options.pop("of_input", {}))}
    made: dg.AssetsDefinition = dg.asset(name="reader", ins=ins, **options)(reader)
    return made


def _rows(found: Any) -> Any:
    if isinstance(found, pd.DataFrame):
        return found.to_dict("records")
    if isinstance(found, pl.DataFrame):
        return found.to_dicts()
    if isinstance(found, duckdb.DuckDBPyRelation):
        return found.to_arrow_table().to_pylist()
    if isinstance(found, ds.Dataset):
        return found.to_table().to_pylist()
    if isinstance(found, pa.Table):
        return found.to_pylist()
    return found


class TestInputs:
    @pytest.mark.parametrize("annotation", AS.values(), ids=AS.keys())
    def test_an_input_is_of_the_partitions_of_the_run(
        self,
        annotation: Any,
        shop: Shop,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
    ) -> None:
        seen: list[Any] = []
        orders = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        reader = reading(seen, annotation, partitions_def=DAYS)
        assert run([*orders, reader], instance, "2026-01-01", "2026-01-09").success
        assert run([*orders, reader], instance, "2026-01-05", select=["reader"]).success
        assert run(
            [*orders, reader], instance, "2026-01-07", "2026-01-10", select=["reader"]
        ).success
        assert seen == [of_days(range(1, 10)), of_days([5]), of_days(range(7, 10))]

    def test_a_dataset_of_all_rows_is_none_of_some_partitions(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []
        orders = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        daily = reading(seen, CachedDataset, partitions_def=DAYS)
        told = failure_text(run([*orders, daily], instance, "2026-01-05"))
        assert "Annotate the input as etl_assets.datasets.SQLDataset" in told
        whole = reading(seen, CachedDataset)
        assert run([*orders, whole], instance, select=["reader"]).success
        assert seen == [of_days([5])]

    def test_an_asset_without_partitions_gets_all_rows(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []
        source = shop.source()
        shop.put((500, "2025-06-01 00:00:00+00:00", "a"))  # before the first partition
        whole = stream_assets(source, destination=warehouse)
        assert run(whole, instance).success
        orders = stream_assets(source, destination=warehouse, options={"orders": BY_DAY})
        reader = reading(seen, pa.Table)
        assert run([*orders, reader], instance, select=["reader"]).success
        assert seen == [[*of_days(range(1, 11)), 500]]

    def test_the_last_partition_alone(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []
        orders = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        assert run(orders, instance, "2026-01-01", "2026-01-10").success
        last = {"partition_mapping": dg.LastPartitionMapping()}
        reader = reading(seen, pa.Table, of_input=last)
        assert run([*orders, reader], instance, select=["reader"]).success
        assert seen == [of_days([10])]

    def test_a_day_is_made_of_its_hours(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []
        by_hour = {"partitions_def": HOURS, "partition_by": "at"}
        orders = stream_assets(shop.source(), destination=warehouse, options={"orders": by_hour})
        assert run(orders, instance, "2026-01-01-00:00", "2026-01-03-23:00").success
        reader = reading(seen, pa.Table, partitions_def=DAYS)
        assert run([*orders, reader], instance, "2026-01-02", select=["reader"]).success
        assert seen == [of_days([2])]

    def test_the_day_before(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []
        orders = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        assert run(orders, instance, "2026-01-01", "2026-01-10").success
        before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
        reader = reading(
            seen, pa.Table, partitions_def=DAYS, of_input={"partition_mapping": before}
        )
        assert run([*orders, reader], instance, "2026-01-05", select=["reader"]).success
        assert seen == [of_days([4])]

    def test_some_columns_of_a_partition(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []
        orders = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        only = {"metadata": {"columns": ["id"]}}
        reader = reading(seen, list, partitions_def=DAYS, of_input=only)
        assert run([*orders, reader], instance, "2026-01-05").success
        assert seen == [of_days([5])]

    @pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
    def test_other_databases(
        self, kind: str, shop: Shop, instance: dg.DagsterInstance, tmp_path: Path
    ) -> None:
        with postgres_schema() as schema:
            destination: Any = PostgresDestination(
                POSTGRES, schema_name=schema, state_schema=f"{schema}_state"
            )
            if kind == "sqlite":
                destination = SQLiteDestination(str(tmp_path / "warehouse.db"))
            seen: list[Any] = []
            both = {"partitions_def": BOTH, "partition_by": {"day": "at", "tenant": "tenant"}}
            orders = stream_assets(shop.source(), destination=destination, options={"orders": both})
            for tenant in "ab":
                assert run(orders, instance, f"2026-01-01|{tenant}", f"2026-01-05|{tenant}").success
            daily = reading(seen, pa.Table, partitions_def=DAYS)
            assert run([*orders, daily], instance, "2026-01-04", select=["reader"]).success
            mine = reading(seen, pa.Table, partitions_def=TENANTS)
            assert run([*orders, mine], instance, "b", select=["reader"]).success
            assert seen == [of_days([4]), [3, 5, 7, 9, 11]]

    def test_an_upstream_asset_without_a_field_is_an_error(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        io = DestinationIOManager(warehouse)

        @dg.asset(key=["shop", "orders"], partitions_def=DAYS)
        def orders() -> None:
            """Write its own table."""

        reader = reading([], pa.Table, partitions_def=DAYS)
        result = run(
            [orders, reader],
            instance,
            "2026-01-02",
            select=["reader"],
            resources={"io_manager": io},
        )
        assert "Name the field in the metadata of that asset" in failure_text(result)

    def test_a_script_loads_a_partition_or_all(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        orders = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        assert run(orders, instance, "2026-01-01", "2026-01-10").success
        defs = dg.Definitions(assets=orders)
        key = dg.AssetKey(["shop", "orders"])
        loaded: Any = defs.load_asset_value(
            key, python_type=pa.Table, instance=instance, partition_key="2026-01-03"
        )
        assert sorted(loaded["id"].to_pylist()) == of_days([3])
        every: Any = defs.load_asset_value(key, python_type=pa.Table, instance=instance)
        assert sorted(every["id"].to_pylist()) == of_days(range(1, 11))

    @pytest.mark.parametrize("annotation", [pa.Table, pd.DataFrame, pl.DataFrame, list], ids=str)
    def test_an_asset_that_reads_its_own_partition_before(
        self,
        annotation: Any,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        seen: list[Any] = []
        before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

        def running(context, running):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            seen.append([row["id"] for row in _rows(running)])
            return frame((len(seen), context.partition_key))

        running.__annotations__ = {"running": annotation, "return": pa.Table}
        made = dg.asset(
            key=["marts", "running"],
            ins={"running": dg.AssetIn(["marts", "running"], partition_mapping=before)},
            partitions_def=DAYS,
            metadata={"etl_assets/partition_by": "day"},
        )(running)
        io = {"io_manager": DestinationIOManager(warehouse)}
        for day in ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-01"):
            assert run([made], instance, day, resources=io).success
        assert seen == [[], [1], [2], []]
        assert ids(path, "marts.running") == [2, 3, 4]

"""Partitions that could not be loaded are refused when definitions are loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import (
    Destination,
    DuckDBDestination,
    Source,
    Stream,
    StreamOptions,
    StreamTranslator,
    build_stream_asset_specs,
    stream_assets,
)
from etl_assets.exceptions import ConfigError
from tests.assets.shop import failure_text
from tests.partitions.orders import BY_DAY, DAYS, TENANTS, Shop, events, ids, of_days, run

SINGLE_RUN = dg.BackfillPolicy.single_run()


class Deaf(Source):
    """A source that cannot be asked for a partition: it always gives everything."""

    streams = (Stream("orders", primary_key="id"), Stream("customers", primary_key="id"))

    def load_data(self, stream: Stream) -> Iterator[Any]:  # type: ignore[override]
        yield [{"id": day, "tenant": "ab"[day % 2]} for day in range(1, 11)]


class Rows(Destination):
    """A destination that takes rows as they come."""

    def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
        raise AssertionError(stream)


class Daily(StreamTranslator):
    """Gives streams partitions of its own accord."""

    def get_partitions_def(self, props: Any) -> Any:
        return DAYS


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "told", "hint"),
        [
            ({"partitions_def": DAYS}, "nothing says which of its rows", "Name the field"),
            ({"partition_by": "at"}, "the option partition_by, and no partitions", "Give it a"),
            ({"backfill_policy": SINGLE_RUN}, "the option backfill_policy, and no", "or leave"),
            ({"outside_partition": "drop"}, "the option outside_partition, and no", "or leave"),
            ({**BY_DAY, "split": 2}, "it is split, and loaded by partition", "Leave out split"),
            ({**BY_DAY, "write_strategy": "append"}, "cannot be appended", '"auto"'),
            ({**BY_DAY, "replication_method": "LOG_BASED"}, "changes of a log", "FULL_TABLE"),
            ({**BY_DAY, "outside_partition": "keep"}, "cannot be 'keep'", "drop, error"),
            ({**BY_DAY, "partition_by": {"day": "at"}}, "have one dimension", "Name the field"),
            ({**BY_DAY, "partition_by": 7}, "partition_by must be a field", ""),
            ({**BY_DAY, "partition_by": "att"}, "the field 'att', which it does not", "'at'"),
            ({**BY_DAY, "partitions_def": "daily"}, "must be a dagster.PartitionsDef", ""),
        ],
    )
    def test_what_cannot_be_loaded_by_partition_is_refused(
        self, shop: Shop, options: Any, told: str, hint: str
    ) -> None:
        source = shop.source()
        catalog = source.discover()
        orders = {"replication_key": "at", **options}
        with pytest.raises(ConfigError) as caught:
            stream_assets(
                source,
                destination=DuckDBDestination("nowhere.duckdb"),
                catalog=catalog,
                options={"orders": orders},
            )
        assert told in str(caught.value)
        assert hint in (caught.value.hint or "")
        if "outside_partition" not in str(caught.value):  # any asset can say it
            assert "orders" in str(caught.value)

    def test_a_destination_without_partitions_is_refused(self, shop: Shop) -> None:
        with pytest.raises(ConfigError, match=r"'orders': Rows\(\) cannot replace the rows of"):
            stream_assets(shop.source(), destination=Rows(), options={"orders": BY_DAY})

    def test_specs_alone_are_checked_too(self, shop: Shop) -> None:
        with pytest.raises(ConfigError, match="'orders': it has a partitions_def"):
            build_stream_asset_specs(shop.source(), options={"orders": {"partitions_def": DAYS}})
        (spec,) = build_stream_asset_specs(shop.source(), options={"orders": BY_DAY})
        assert spec.partitions_def == DAYS
        assert spec.metadata["etl_assets/partition_by"] == "at"

    def test_partitions_of_a_translator_need_a_field_too(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        with pytest.raises(ConfigError, match="'orders': it has a partitions_def, and nothing"):
            stream_assets(shop.source(), destination=warehouse, translator=Daily())
        assets = stream_assets(
            shop.source(),
            destination=warehouse,
            translator=Daily(),
            options={"orders": {"partition_by": "at"}},
        )
        assert run(assets, instance, "2026-01-04").success
        assert ids(path) == of_days([4])


class TestTogether:
    def test_streams_of_one_step_have_the_same_partitions(
        self, warehouse: DuckDBDestination
    ) -> None:
        options: dict[str, Any] = {
            "orders": {"partitions_def": TENANTS, "partition_by": "tenant"},
            "customers": {"partitions_def": DAYS, "partition_by": "id"},
        }
        defaults = StreamOptions(outside_partition="drop")
        with pytest.raises(ConfigError, match=r"'customers': its partitions are .* 'orders'"):
            stream_assets(
                Deaf(name="shop"),
                destination=warehouse,
                options=options,
                defaults=defaults,
                granularity="source",
            )
        by_stream = stream_assets(
            Deaf(name="shop"), destination=warehouse, options=options, defaults=defaults
        )
        assert [one.partitions_def for one in by_stream] == [TENANTS, DAYS]

    def test_and_the_same_backfill_policy(self, warehouse: DuckDBDestination) -> None:
        options: dict[str, Any] = {
            "orders": {"partition_by": "tenant", "backfill_policy": SINGLE_RUN},
            "customers": {"partition_by": "tenant"},
        }
        defaults = StreamOptions(partitions_def=TENANTS, outside_partition="drop")
        with pytest.raises(ConfigError, match=r"'orders': .* another backfill_policy"):
            stream_assets(
                Deaf(name="shop"),
                destination=warehouse,
                options=options,
                defaults=defaults,
                granularity="source",
            )
        options["customers"]["backfill_policy"] = SINGLE_RUN
        (step,) = stream_assets(
            Deaf(name="shop"),
            destination=warehouse,
            options=options,
            defaults=defaults,
            granularity="source",
        )
        assert step.backfill_policy == SINGLE_RUN

    def test_one_with_partitions_and_one_without_share_a_step(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        by_tenant = {"partition_by": "tenant", "partitions_def": TENANTS}
        assets = stream_assets(
            Deaf(name="shop"),
            destination=warehouse,
            options={"orders": {**by_tenant, "outside_partition": "drop"}},
            granularity="source",
        )
        result = run(assets, instance, "a")
        assert result.success
        assert ids(path) == [2, 4, 6, 8, 10]
        assert ids(path, "shop.customers") == list(range(1, 11))
        assert list(events(result, "shop/customers")) == ["None"]
        assert run(assets, instance, select=["shop/customers"]).success


class TestSourcesThatCannotBeAsked:
    def test_they_are_refused_by_default(self, warehouse: DuckDBDestination) -> None:
        with pytest.raises(ConfigError, match="Deaf cannot be asked for the rows of") as caught:
            stream_assets(
                Deaf(name="shop"),
                destination=warehouse,
                options={"orders": {"partitions_def": TENANTS, "partition_by": "tenant"}},
            )
        assert 'outside_partition="drop"' in (caught.value.hint or "")

    def test_their_other_rows_are_left_out_and_counted(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        assets = stream_assets(
            Deaf(name="shop"),
            ["orders"],
            destination=warehouse,
            options={
                "orders": {
                    "partitions_def": TENANTS,
                    "partition_by": "tenant",
                    "outside_partition": "drop",
                    "backfill_policy": SINGLE_RUN,
                }
            },
        )
        assert assets[0].backfill_policy == SINGLE_RUN
        result = run(assets, instance, "b")
        shown = events(result)["b"]
        assert (shown["dagster/partition_row_count"], shown["etl_assets/outside"]) == (5, 5)
        assert ids(path) == [1, 3, 5, 7, 9]

    def test_a_source_that_takes_no_notice_is_an_error(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        class Careless(Deaf):
            def load_data(self, stream: Stream, query: Any = None) -> Iterator[Any]:  # type: ignore[override]
                yield from super().load_data(stream)

        assets = stream_assets(
            Careless(name="shop"),
            ["orders"],
            destination=warehouse,
            options={"orders": {"partitions_def": TENANTS, "partition_by": "tenant"}},
        )
        told = failure_text(run(assets, instance, "b"))
        assert "field 'tenant': the row is in no partition that was asked for (b)" in told

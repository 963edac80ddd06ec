"""Runs with a real DuckDB and a real instance: bookmarks, failures, refreshes, and who rules when stories differ."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets.assets.config import FULL_REFRESH_TAG
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import RateLimitedError, UnavailableError
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.stream import Stream
from etl_assets.secrets.redaction import remember
from etl_assets.sources.base import Source
from tests.assets.shop import (
    Shop,
    broken,
    event,
    failure,
    failure_text,
    logged,
    people,
    person,
    query,
    run,
)

ORDERS = "SELECT count(*), count(DISTINCT id) FROM shop.orders"


@pytest.fixture
def assets(shop: Shop, warehouse: DuckDBDestination) -> list[dg.AssetsDefinition]:
    return stream_assets(shop, ["customers", "orders"], destination=warehouse)


def only_orders(
    shop: Shop, warehouse: DuckDBDestination, **options: Any
) -> list[dg.AssetsDefinition]:
    return stream_assets(shop, ["orders"], destination=warehouse, **options)


class TestIncremental:
    def test_the_second_run_goes_on_from_the_first(
        self,
        shop: Shop,
        assets: list[dg.AssetsDefinition],
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        assert run(assets, instance).success
        first = event(instance, "shop/orders")
        shop.rows["orders"] += [person(6), person(7)]
        assert run(assets, instance).success
        second = event(instance, "shop/orders")
        assert first["etl_assets/bookmark"] == {"updated_at": "2026-01-05T00:00:00Z"}
        assert "etl_assets/bookmark_previous" not in first
        assert second["etl_assets/bookmark_previous"] == first["etl_assets/bookmark"]
        assert second["etl_assets/bookmark"] == {"updated_at": "2026-01-07T00:00:00Z"}
        assert shop.reads[-1] == ("orders", {"updated_at": "2026-01-05T00:00:00Z"})
        assert query(path, ORDERS) == [(7, 7)]
        assert second["dagster/row_count"] == 7

    def test_every_promised_key_is_there_the_bookmark_first(
        self, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
    ) -> None:
        run(assets, instance)
        shown = event(instance, "shop/customers")
        assert next(iter(shown)) == "etl_assets/bookmark"
        assert {
            "etl_assets/records_loaded",
            "etl_assets/load_id",
            "etl_assets/write_strategy",
            "etl_assets/bytes",
            "etl_assets/duration_seconds",
            "etl_assets/rejected",
            "dagster/row_count",
            "dagster/column_schema",
            "dagster/table_name",
            "dagster/storage_kind",
            "dagster/uri",
        } < set(shown)
        assert shown["etl_assets/records_loaded"] == 3
        assert shown["dagster/table_name"] == "warehouse.shop.customers"
        assert shown["etl_assets/write_strategy"] == "merge"
        assert [one.name for one in shown["dagster/column_schema"].columns] == [
            "id",
            "name",
            "updated_at",
        ]

    def test_nothing_new_is_a_materialization_with_the_data_version_of_the_last_change(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination
    ) -> None:
        shop.rows["visits"] = [{"at": "2026-01-01T00:00:00Z", "page": "/"}]
        visits = stream_assets(shop, ["visits"], destination=warehouse)
        versions = []
        for _ in range(2):
            result = run(visits, instance)
            (made,) = result.get_asset_materialization_events()
            assert made.materialization.tags
            versions.append(made.materialization.tags["dagster/data_version"])
        assert event(instance, "shop/visits")["etl_assets/records_loaded"] == 0
        assert versions[0] == versions[1]

    def test_a_full_table_shows_that_it_has_no_bookmark(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination, path: Path
    ) -> None:
        shop.rows["countries"] = [{"code": "NZ"}, {"code": "DE"}]
        countries = stream_assets(shop, ["countries"], destination=warehouse)
        run(countries, instance)
        shop.rows["countries"] = [{"code": "DE"}]
        run(countries, instance)
        assert event(instance, "shop/countries")["etl_assets/bookmark"] is None
        assert query(path, "SELECT code FROM shop.countries") == [("DE",)]


class TestFailures:
    def test_a_failed_run_leaves_rows_and_bookmark(
        self,
        shop: Shop,
        assets: list[dg.AssetsDefinition],
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        run(assets, instance)
        before = event(instance, "shop/orders")
        shop.rows["orders"] += [person(6)]
        shop.failures["orders"] = [broken()]
        result = run(assets, instance)
        assert not result.success
        assert failure_text(result) == "the shop is on fire\nCall the fire brigade."
        assert event(instance, "shop/orders") == before
        assert query(path, ORDERS) == [(5, 5)]
        assert (
            event(instance, "shop/customers")["etl_assets/records_loaded"] >= 0
        )  # the others went on
        assert run(assets, instance).success
        assert query(path, ORDERS) == [(6, 6)]

    def test_the_failure_names_stream_and_place_in_its_metadata(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination
    ) -> None:
        shop.failures["orders"] = [KeyError("price")]
        result = run(only_orders(shop, warehouse), instance)
        data = failure(result).step_failure_data.user_failure_data
        assert data is not None
        metadata = {key: value.value for key, value in data.metadata.items()}
        assert metadata["etl_assets/error"] == "StreamReadError"
        assert metadata["etl_assets/stream"] == "orders"
        assert "builtins.KeyError" in str(metadata["etl_assets/traceback"])
        assert "load_data" in str(metadata["etl_assets/traceback"])

    def test_no_secret_leaves_with_an_error_or_its_causes(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination
    ) -> None:
        remember("canary-pass-word")
        inner = ValueError("could not log in with canary-pass-word")
        outer = broken("login failed: canary-pass-word")
        outer.__cause__ = inner
        shop.failures["orders"] = [outer]
        result = run(only_orders(shop, warehouse), instance)
        assert not result.success
        events = [
            dg.serialize_value(record.event_log_entry)
            for record in instance.get_records_for_run(result.run_id).records
        ]
        assert any("login failed: ****" in text for text in events)
        assert not any("canary" in text for text in events)

    def test_an_error_of_a_connector_of_ones_own_is_retried_for_it_may_pass(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        orders = only_orders(shop, warehouse, retry_policy=dg.RetryPolicy(max_retries=1))
        shop.failures["orders"] = [ConnectionResetError("peer went away")]
        assert run(orders, instance).success
        assert query(path, ORDERS) == [(5, 5)]

    def test_what_may_pass_is_retried_and_what_may_not_is_not(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination, path: Path
    ) -> None:
        orders = only_orders(shop, warehouse, retry_policy=dg.RetryPolicy(max_retries=2))
        shop.failures["orders"] = [UnavailableError("down"), UnavailableError("down")]
        assert run(orders, instance).success
        assert len(shop.reads) == 3
        assert query(path, ORDERS) == [(5, 5)]
        shop.failures["orders"] = [broken()]
        assert not run(orders, instance).success
        assert len(shop.reads) == 4

    def test_a_rate_limit_waits_as_long_as_the_source_says(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination
    ) -> None:
        orders = only_orders(shop, warehouse, retry_policy=dg.RetryPolicy(max_retries=1, delay=600))
        shop.failures["orders"] = [RateLimitedError("slow down", retry_after=0.01)]
        assert run(orders, instance).success
        shop.failures["orders"] = [
            RateLimitedError("slow down", retry_after=0.01) for _ in range(3)
        ]
        result = run(orders, instance)
        assert not result.success
        assert "slow down" in failure_text(result)

    def test_a_rate_limit_without_a_policy_is_a_failure(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination
    ) -> None:
        shop.failures["orders"] = [RateLimitedError("slow down", retry_after=0.01)]
        result = run(only_orders(shop, warehouse), instance)
        assert not result.success
        assert len(shop.reads) == 1

    def test_an_error_of_a_custom_destination_is_redacted_too(
        self, shop: Shop, instance: dg.DagsterInstance
    ) -> None:
        class Angry(Destination):
            @override
            def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
                raise RuntimeError("postgresql://me:hunter2hunter2@db/x said no")

        result = run(stream_assets(shop, ["orders"], destination=Angry()), instance)
        assert failure_text(result) == "RuntimeError: postgresql://me:****@db/x said no"

    def test_a_cancel_passes_untouched_and_rolls_back(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination, path: Path
    ) -> None:
        run(only_orders(shop, warehouse), instance)
        shop.rows["orders"] += [person(6)]
        shop.failures["orders"] = [dg.DagsterExecutionInterruptedError()]
        result = run(only_orders(shop, warehouse), instance)
        error = failure(result).step_failure_data.error
        assert error is not None
        assert error.cls_name == "DagsterExecutionInterruptedError"
        assert query(path, ORDERS) == [(5, 5)]


class TestWhoRules:
    def test_a_new_file_under_an_old_instance_loads_everything(
        self, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance, path: Path
    ) -> None:
        run(assets, instance)
        path.unlink()
        assert run(assets, instance).success
        assert query(path, ORDERS) == [(5, 5)]
        assert event(instance, "shop/orders")["etl_assets/records_loaded"] == 5

    def test_a_new_instance_over_an_old_file_loads_only_what_is_new(
        self,
        shop: Shop,
        assets: list[dg.AssetsDefinition],
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        run(assets, instance)
        shop.rows["orders"] += [person(6)]
        with dg.DagsterInstance.ephemeral() as new:
            result = run(assets, new)
            assert shop.reads[-1] == ("orders", {"updated_at": "2026-01-05T00:00:00Z"})
            assert event(new, "shop/orders")["dagster/row_count"] == 6
            assert "this Dagster instance does not know" in logged(result, new)
        assert query(path, ORDERS) == [(6, 6)]

    def test_the_log_says_in_words_why_a_full_table_begins_anew(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination
    ) -> None:
        countries = stream_assets(shop, ["countries"], destination=warehouse)
        run(countries, instance)
        assert "countries: begins (the last sync left no bookmark)" in logged(
            run(countries, instance), instance
        )
        warehouse.set_bookmark(warehouse.states()[0], None)
        result = run(countries, instance)
        assert (
            "shop/countries was last changed by no run of Dagster (a script, or `etl-assets state`)."
            in logged(result, instance)
        )

    def test_an_event_without_a_run_changes_nothing(
        self, shop: Shop, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
    ) -> None:
        run(assets, instance)
        forged = dg.AssetMaterialization(
            dg.AssetKey(["shop", "orders"]),
            metadata={"etl_assets/bookmark": {"updated_at": "2020-01-01T00:00:00Z"}},
        )
        instance.report_runless_asset_event(forged)
        run(assets, instance)
        assert shop.reads[-1] == ("orders", {"updated_at": "2026-01-05T00:00:00Z"})

    def test_a_wiped_asset_does_not_reload_and_a_warning_says_how_to(
        self, shop: Shop, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
    ) -> None:
        run(assets, instance)
        instance.wipe_assets([dg.AssetKey(["shop", "orders"])])
        result = run(assets, instance)
        assert shop.reads[-1] == ("orders", {"updated_at": "2026-01-05T00:00:00Z"})
        assert "were wiped" in logged(result, instance)
        assert "`full_refresh`" in logged(result, instance)

    def test_a_lost_event_is_told_of(
        self,
        shop: Shop,
        instance: dg.DagsterInstance,
        warehouse: DuckDBDestination,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        orders = only_orders(shop, warehouse)
        monkeypatch.setenv("ETL_ASSETS_FAULT", "after_commit:1:raise")
        assert not run(orders, instance).success
        monkeypatch.delenv("ETL_ASSETS_FAULT")
        result = run(orders, instance)
        assert result.success
        assert "its event is missing" in logged(result, instance)
        assert event(instance, "shop/orders")["dagster/row_count"] == 5

    def test_a_table_emptied_by_somebody_is_an_error_or_a_full_refresh(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination, path: Path
    ) -> None:
        import duckdb

        run(only_orders(shop, warehouse), instance)
        with duckdb.connect(str(path)) as connection:
            connection.execute("DELETE FROM shop.orders")
        result = run(only_orders(shop, warehouse), instance)
        assert not result.success
        assert "full_refresh" in failure_text(result)
        again = only_orders(
            shop, warehouse, options={"orders": {"on_table_changed": "full_refresh"}}
        )
        assert run(again, instance).success
        assert query(path, ORDERS) == [(5, 5)]

    def test_a_table_that_is_not_ours_is_taken_over_only_when_asked(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination, path: Path
    ) -> None:
        import duckdb

        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE SCHEMA shop")
            connection.execute(
                "CREATE TABLE shop.orders AS SELECT 99::BIGINT AS id, 'old' AS name, '2020' AS updated_at, "
                "NULL::VARCHAR AS _etl_assets_load_id, NULL::TIMESTAMPTZ AS _etl_assets_loaded_at"
            )
        assert "adopt" in failure_text(run(only_orders(shop, warehouse), instance))
        assert query(path, ORDERS) == [(1, 1)]
        assert run(
            only_orders(shop, warehouse, options={"orders": {"adopt": True}}), instance
        ).success
        assert query(path, ORDERS) == [(6, 6)]


class TestWithoutState:
    """A destination of `export_batch_data` alone: the newest event of a run rules."""

    def test_the_newest_event_of_a_run_is_where_it_goes_on(
        self, shop: Shop, instance: dg.DagsterInstance
    ) -> None:
        class Sink(Destination):
            @override
            def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
                """Drop it."""

        assets = stream_assets(shop, ["orders"], destination=Sink())
        key = dg.AssetKey(["shop", "orders"])
        run(assets, instance)
        for _ in range(3):
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        forged = {"etl_assets/bookmark": {"updated_at": "2030-01-01T00:00:00Z"}}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=forged))
        run(assets, instance)
        assert shop.reads[-1] == ("orders", {"updated_at": "2026-01-05T00:00:00Z"})
        previous = event(instance, "shop/orders")["etl_assets/bookmark_previous"]
        assert plain(previous) == {"updated_at": "2026-01-05T00:00:00Z"}

    def test_a_checkpoint_of_a_failed_run_is_newer_than_its_event(
        self, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ETL_ASSETS_CHECKPOINT_SECONDS", "0")

        class Counter(Source):
            streams = (Stream("numbers", replication_key="n"),)
            fails = True
            began_at: Any = None

            @override
            def load_data(  # type: ignore[override]
                self, stream: Stream, bookmarks: Any = None, **kwargs: Any
            ) -> Iterator[Batch]:  # a source may leave parameters out
                Counter.began_at = bookmarks
                yield Batch([{"n": 1}], bookmark={"n": 1})
                if Counter.fails:
                    raise broken()

        class Sink(Destination):
            @override
            def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
                """Drop it."""

        assets = stream_assets(Counter(name="counter"), destination=Sink())
        assert not run(assets, instance).success
        Counter.fails = False
        assert run(assets, instance).success
        assert Counter.began_at == {"n": 1}


class TestRunConfig:
    def test_full_refresh_by_config(
        self,
        shop: Shop,
        assets: list[dg.AssetsDefinition],
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        run(assets, instance)
        shop.rows["orders"] = people(2)
        assert run(assets, instance, config={"shop__orders": {"full_refresh": True}}).success
        assert query(path, ORDERS) == [(2, 2)]
        assert query(path, "SELECT count(*) FROM shop.customers") == [(3,)]

    @pytest.mark.parametrize(
        ("strategy", "expected"), [("append", (7, 5)), ("merge", (5, 5)), ("replace", (2, 2))]
    )
    @pytest.mark.parametrize("together", [False, True])
    def test_a_strategy_that_was_named_rules_a_full_refresh(
        self,
        strategy: str,
        expected: tuple[int, int],
        together: bool,
        shop: Shop,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        granularity = "source" if together else "stream"
        assets = only_orders(shop, warehouse, write_strategy=strategy, granularity=granularity)
        run(assets, instance)
        shop.rows["orders"] = people(2)
        result = run(assets, instance, tags={FULL_REFRESH_TAG: "*"})
        assert result.success
        assert query(path, ORDERS) == [expected]
        told = "orders: the full refresh appends all rows once more" in logged(result, instance)
        assert told == (strategy == "append")

    @pytest.mark.parametrize("selection", ["*", "orders", "shop/orders", "nothing, shop/o*"])
    def test_full_refresh_by_run_tag(
        self,
        selection: str,
        shop: Shop,
        assets: list[dg.AssetsDefinition],
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        run(assets, instance)
        shop.rows["orders"] = people(2)
        assert run(assets, instance, tags={FULL_REFRESH_TAG: selection}).success
        assert query(path, ORDERS) == [(2, 2)]

    def test_a_run_tag_for_others_changes_nothing(
        self,
        shop: Shop,
        assets: list[dg.AssetsDefinition],
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        run(assets, instance)
        shop.rows["orders"] = people(2)
        run(assets, instance, tags={FULL_REFRESH_TAG: "customers"})
        assert query(path, ORDERS) == [(5, 5)]

    def test_limit_and_query_reach_the_source(
        self,
        shop: Shop,
        assets: list[dg.AssetsDefinition],
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        config = {"limit": 3, "query": {"name": "Ada"}}
        assert run(assets, instance, "shop/orders", config={"shop__orders": config}).success
        assert shop.queries[-1] == {"name": "Ada", "_limit": 3}
        assert query(path, ORDERS) == [(3, 3)]
        # The cut moved no bookmark: nothing is lost behind it.
        run(assets, instance, "shop/orders")
        assert query(path, ORDERS) == [(5, 5)]

    def test_a_bookmark_by_config(
        self, shop: Shop, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
    ) -> None:
        run(assets, instance)
        given = {"updated_at": "2026-01-02T00:00:00Z"}
        assert run(
            assets, instance, "shop/orders", config={"shop__orders": {"bookmark": given}}
        ).success
        assert shop.reads[-1] == ("orders", given)


class TestPartDefinitions:
    """Part 0 of the first issue, as a user writes it."""

    def test_a_printer_is_ten_lines(
        self, shop: Shop, instance: dg.DagsterInstance, capsys: Any
    ) -> None:
        class Printer(Destination):
            def test_connection(self): ...  # type: ignore[no-untyped-def] # noqa: ANN202 - as in the issue

            def export_batch_data(self, record_data, stream, tags=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as above
                for item in record_data:
                    print(stream, item["record"])

        assert run(stream_assets(shop, ["customers"], destination=Printer()), instance).success
        assert "customers {'id': 1, 'name': 'Ada 1'" in capsys.readouterr().out

    def test_an_io_manager_of_export_batch_data_alone(
        self, shop: Shop, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []

        class Printer(DestinationIOManager):
            @override
            def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
                seen.extend(item["record"] for item in record_data)

        assets = stream_assets(shop, ["customers"], io_manager_key="printer")
        assert run(assets, instance, resources={"printer": Printer()}).success
        assert seen == people(3)

    def test_a_destination_and_a_source_by_reference(
        self, instance: dg.DagsterInstance, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WAREHOUSE_PATH", str(path))
        shop = Shop({"customers": people(1)}, config={"password": dg.EnvVar("SHOP_PASSWORD")})
        assets = stream_assets(
            shop, ["customers"], destination=DuckDBDestination(dg.EnvVar("WAREHOUSE_PATH"))
        )
        assert run(assets, instance).success
        assert query(path, "SELECT id FROM shop.customers") == [(1,)]
        assert not (Path.cwd() / "WAREHOUSE_PATH").exists()
        assert os.environ["WAREHOUSE_PATH"] == str(path)

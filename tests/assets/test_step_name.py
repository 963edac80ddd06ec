"""The one step of many streams keeps its name, and run config for it is looked at, or refused."""

from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.sources.base import Source
from tests.assets.shop import Shop, event, failure_text, logged, people, run

OLD = "shop__0123abcd"
"""As the step was called, with a hash of the streams that it had then."""


def together(
    shop: Source, warehouse: DuckDBDestination, *streams: str, **more: Any
) -> dg.AssetsDefinition:
    """Return the one definition of some streams."""
    (made,) = stream_assets(
        shop, streams or None, destination=warehouse, granularity="source", **more
    )
    return made


class TestNames:
    def test_it_is_named_after_its_source_whatever_streams_it_has(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        assert together(shop, warehouse, "orders").op.name == "shop"
        assert together(shop, warehouse, "orders", "customers").op.name == "shop"
        assert together(Shop(name="größe"), warehouse, "orders").op.name.startswith("gr__e__")

    def test_a_second_step_of_one_source_needs_a_name_of_its_own(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        one = together(shop, warehouse, "orders")
        with pytest.raises(ConfigError, match="Two steps of this project are named 'shop'") as told:
            dg.Definitions.validate_loadable(
                dg.Definitions(assets=[one, together(shop, warehouse, "customers")])
            )
        assert 'stream_assets(..., op_name="...")' in str(told.value.hint)
        other = together(shop, warehouse, "customers", op_name="people")
        result = run([one, other], instance)
        assert result.success
        steps = {event.step_key for event in result.all_events if event.is_step_success}
        assert steps == {"shop", "people"}

    @pytest.mark.parametrize("first", [True, False])
    def test_an_asset_of_its_name_is_an_error_at_load(
        self, first: bool, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        @dg.asset(name="shop")
        def handwritten() -> None:
            """Have the name of the source."""

        assets: list[Any] = [together(shop, warehouse, "orders"), handwritten]
        defs = dg.Definitions(assets=assets if first else assets[::-1])
        with pytest.raises(ConfigError, match="named 'shop'"):
            dg.Definitions.validate_loadable(defs)
        renamed = together(shop, warehouse, "orders", op_name="shop_streams")
        dg.Definitions.validate_loadable(dg.Definitions(assets=[renamed, handwritten]))

    def test_a_name_that_nothing_has_is_refused(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(ConfigError, match="each stream has a step of its own") as told:
            stream_assets(shop, ["orders"], destination=warehouse, op_name="all")
        assert 'granularity="source"' in str(told.value.hint)
        assert together(shop, warehouse, "orders", op_name="all").op.name == "all"

    @pytest.mark.parametrize("name", ["", "mon shop", "crm/all", "größe", "class", "context"])
    def test_a_name_that_dagster_does_not_take_is_refused(
        self, name: str, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(ConfigError, match="which Dagster does not take") as told:
            together(shop, warehouse, "orders", op_name=name)
        assert "Use ASCII letters" in str(told.value.hint)
        assert together(shop, warehouse, "orders", op_name="_all_2").op.name == "_all_2"


class TestRunConfig:
    @pytest.fixture
    def assets(self, warehouse: DuckDBDestination) -> list[dg.AssetsDefinition]:
        shop = Shop({"customers": people(3), "orders": people(5), "visits": []})
        return [together(shop, warehouse, "customers", "orders")]

    def refreshed(
        self, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance, config: Any
    ) -> dict[str, bool]:
        """Run twice, the second time with run config; tell which streams were read anew."""
        assert run(assets, instance).success
        assert run(assets, instance, config=config).success
        return {
            name: event(instance, f"shop/{name}")["etl_assets/write_strategy"] == "replace"
            for name in ("customers", "orders")
        }

    def test_it_asks_by_the_sources_name(self, assets: Any, instance: dg.DagsterInstance) -> None:
        config = {"shop": {"full_refresh": ["orders"]}}
        assert self.refreshed(assets, instance, config) == {"customers": False, "orders": True}

    def test_that_under_the_old_name_is_taken_with_a_warning(
        self, assets: Any, instance: dg.DagsterInstance
    ) -> None:
        config = {OLD: {"full_refresh": ["orders"]}, "shop": {"full_refresh": ["shop/cust*"]}}
        assert self.refreshed(assets, instance, config) == {"customers": True, "orders": True}
        told = logged(run(assets, instance, config={OLD: {"full_refresh": []}}), instance)
        assert f"Run config for '{OLD}' is taken as that of 'shop'" in told

    def test_that_of_other_ops_is_none_of_its_own(
        self, assets: Any, instance: dg.DagsterInstance
    ) -> None:
        config = {"shop__nothexad": {"full_refresh": ["orders"]}}
        assert self.refreshed(assets, instance, config) == {"customers": False, "orders": False}

    def test_what_cannot_be_under_the_old_name_is_an_error(
        self, assets: Any, instance: dg.DagsterInstance
    ) -> None:
        for wrong in ({"full_refresh": "orders"}, {"limit": 5}, {"full_refresh": [5]}):
            failed = run(assets, instance, config={OLD: wrong})
            assert f"The run config of '{OLD}' is" in failure_text(failed)
        assert 'It is a list of streams: {"config": {"full_refresh": ["orders"]}}' in failure_text(
            failed
        )
        assert run(assets, instance, config={OLD: {"full_refresh": ["orders"]}}).success

    @pytest.mark.parametrize("op", ["shop", OLD])
    @pytest.mark.parametrize("unknown", ["ordrs", "crm/orders", "visits", "x*"])
    def test_an_unknown_stream_is_an_error_before_anything_is_read(
        self, unknown: str, op: str, assets: Any, instance: dg.DagsterInstance
    ) -> None:
        config = {op: {"full_refresh": ["orders", unknown]}}
        failed = run(assets, instance, config=config)
        assert f"names {unknown!r}, which is no stream of the step" in failure_text(failed)
        assert not [one for one in failed.all_events if one.is_step_materialization]
        if unknown == "ordrs":
            assert "Did you mean 'orders'" in failure_text(failed)

    def test_a_stream_that_the_run_does_not_select_is_known(
        self, assets: Any, instance: dg.DagsterInstance
    ) -> None:
        config = {"shop": {"full_refresh": ["orders"]}}
        assert run(assets, instance, "shop/customers", config=config).success

    def test_the_launchpad_opens_with_what_may_be_asked(self, assets: Any) -> None:
        job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
        root: Any = job.run_config_schema.run_config_schema_type
        assert root.fields["ops"].default_value == {"shop": {"config": {"full_refresh": []}}}

"""Schema contracts as options of assets: checked when definitions load, and told by the event."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import build_stream_asset_specs, stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.model.catalog import Catalog
from tests.assets.shop import ORDERS, Shop, event, failure_text, logged, person, query, run


def assets(shop: Shop, warehouse: Any, *streams: str, **options: Any) -> list[dg.AssetsDefinition]:
    return stream_assets(shop, streams or ["orders"], destination=warehouse, **options)


@pytest.fixture
def loaded(shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance) -> Shop:
    """Return the shop whose five orders are in the warehouse."""
    assert run(assets(shop, warehouse), instance).success
    return shop


class TestRuns:
    def test_frozen(
        self, loaded: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        loaded.rows["orders"].append({**person(6), "colour": "red"})
        failed = run(assets(loaded, warehouse, schema_contract="freeze"), instance)
        text = failure_text(failed)
        assert all(
            one in text for one in ("'orders'", "'colour'", "'red'", 'schema_contract="evolve"')
        )
        assert query(path, "SELECT count(*) FROM shop.orders") == [(5,)]
        assert run(assets(loaded, warehouse), instance).success
        assert query(path, "SELECT count(colour) FROM shop.orders") == [(1,)]

    def test_discarded_rows_are_counted_and_kept(
        self, loaded: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        loaded.rows["orders"] += [
            {**person(6), "name": {"secret": "s"}},
            person(7),
            {**person(8), "id": None},
        ]
        options = {"orders": {"schema_contract": "discard_row", "keep_rejected": True}}
        ran = run(assets(loaded, warehouse, options=options), instance)
        shown = event(instance, "shop/orders")
        assert ran.success
        assert (shown["etl_assets/rejected"], shown["etl_assets/records_loaded"]) == (2, 1)
        assert shown["etl_assets/rejected_reasons"] == [
            "field 'name' does not fit VARCHAR: 1 record left out",
            "field 'id' a key is NULL or missing: 1 record left out",
        ]
        assert shown["etl_assets/bookmark"] == {"updated_at": "2026-01-08T00:00:00Z"}
        assert shown["dagster/row_count"] == 6
        assert "secret" not in f"{shown}{logged(ran, instance)}"
        assert "does not fit VARCHAR" in logged(ran, instance)
        kept = query(path, "SELECT field, record FROM shop.orders__rejected ORDER BY field DESC")
        assert [field for field, _ in kept] == ["name", "id"]
        assert '"name":{"secret":"s"}' in kept[0][1]

    def test_discarded_values_are_counted(
        self, loaded: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        loaded.rows["orders"] += [{**person(6), "name": [1]}, {**person(7), "extra": 1}]
        assert run(assets(loaded, warehouse, schema_contract="discard_value"), instance).success
        assert event(instance, "shop/orders")["etl_assets/rejected"] == 2
        assert query(path, "SELECT id, name FROM shop.orders WHERE id > 5 ORDER BY id") == [
            (6, None),
            (7, "Ada 7"),
        ]

    def test_nothing_rejected_says_so(
        self, loaded: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        assert run(assets(loaded, warehouse, schema_contract="discard_row"), instance).success
        shown = event(instance, "shop/orders")
        assert shown["etl_assets/rejected"] == 0
        assert "etl_assets/rejected_reasons" not in shown

    def test_the_streams_own_contract_comes_before_the_calls(
        self, loaded: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        loaded.rows["orders"].append({**person(6), "colour": "red"})
        options = {"orders": {"schema_contract": {"columns": "evolve", "data_type": "freeze"}}}
        assert run(
            assets(loaded, warehouse, schema_contract="freeze", options=options), instance
        ).success

    def test_mages_switch_in_a_catalog(
        self, loaded: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        catalog = Catalog([ORDERS.replace(disable_column_type_check=False)])
        loaded.rows["orders"].append({**person(6), "name": [1]})
        failed = run(assets(loaded, warehouse, catalog=catalog, schema_contract="evolve"), instance)
        assert "'name'" in failure_text(failed)

    def test_a_hand_written_asset(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        rows: list[dict[str, Any]] = [{"id": 1}]

        @dg.asset(key_prefix="lab", metadata={"etl_assets/schema_contract": "discard_row"})
        def samples() -> list[dict[str, Any]]:
            return rows

        resources = {"io_manager": DestinationIOManager(warehouse)}
        assert run([samples], instance, resources=resources).success
        rows[:] = [{"id": "x"}, {"id": 2}]
        assert run([samples], instance, resources=resources).success
        assert query(path, "SELECT id FROM lab.samples") == [(2,)]
        assert event(instance, "lab/samples")["etl_assets/rejected"] == 1


class TestDefinitions:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("freez", r"stream 'orders'.*'freez'.*Did you mean 'freeze'"),
            ({"colums": "freeze"}, r"stream 'orders'.*'colums'.*Did you mean 'columns'"),
            ({"tables": "freeze"}, r"stream 'orders'.*'tables'.*Known: 'columns', 'data_type'"),
            ({"data_type": "drop"}, r"stream 'orders'.*data_type.*'drop'"),
        ],
    )
    def test_a_wrong_word_is_found_when_they_load(
        self, given: Any, message: str, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            assets(shop, warehouse, options={"orders": {"schema_contract": given}})
        with pytest.raises(ConfigError, match=message):
            assets(shop, warehouse, schema_contract=given)
        with pytest.raises(ConfigError, match="Did you mean 'keep_rejected'"):
            assets(shop, warehouse, options={"orders": {"keep_reject": True}})

    def test_what_cannot_be_kept(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        with pytest.raises(ConfigError, match=r"'orders'.*nothing to keep"):
            assets(shop, warehouse, options={"orders": {"keep_rejected": True}})
        options = {"orders": {"keep_rejected": True, "schema_contract": "discard_row"}}
        with pytest.raises(ConfigError, match=r"'orders'.*transactions"):
            assets(shop, Destination(), options=options)

    def test_the_table_of_rejected_records_is_no_other_streams(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        options: dict[str, Any] = {
            "orders": {"keep_rejected": True, "schema_contract": "discard_row"},
            "customers": {"table": "shop.orders__rejected"},
        }
        with pytest.raises(
            ConfigError, match=r"'orders' and 'customers' share the table 'shop.orders__rejected'"
        ):
            assets(shop, warehouse, "customers", "orders", options=options)

    def test_people_see_it_in_the_spec(self, shop: Shop) -> None:
        (spec,) = build_stream_asset_specs(
            shop, ["orders"], schema_contract={"data_type": "freeze"}
        )
        assert spec.metadata["etl_assets/schema_contract"] == {
            "columns": "evolve",
            "data_type": "freeze",
        }
        (spec,) = build_stream_asset_specs(shop, ["orders"])
        assert "etl_assets/schema_contract" not in spec.metadata

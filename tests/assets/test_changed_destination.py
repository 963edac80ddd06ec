"""An asset whose destination becomes another one: what the old one has, the new one has not."""

from typing import Any

import dagster as dg
from typing_extensions import override

from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from tests.assets.shop import Shop, event, person, run


class Printer(Destination):
    """Keeps no state."""

    def __init__(self) -> None:
        super().__init__()
        self.printed: list[Any] = []

    @override
    def export_batch_data(
        self, record_data: list[dict[str, Any]], stream: str, tags: Any = None
    ) -> None:
        self.printed.extend(item["record"]["id"] for item in record_data)


class Plotter(Printer):
    """Another one."""


def test_a_destination_without_state_begins_anew_and_then_goes_on_from_its_own_events(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    assert run(stream_assets(shop, ["orders"], destination=warehouse), instance).success
    printer, plotter = Printer(), Plotter()
    for destination in (printer, plotter):
        assert run(stream_assets(shop, ["orders"], destination=destination), instance).success
        assert destination.printed == [1, 2, 3, 4, 5]
    assert event(instance, "shop/orders")["etl_assets/destination"] == "Plotter"

    shop.rows["orders"] += [person(6)]
    assert run(stream_assets(shop, ["orders"], destination=printer), instance).success
    assert printer.printed[5:] in ([5, 6], [6]), "from its own event, though Plotter's is newer"
    assert run(stream_assets(shop, ["orders"], destination=warehouse), instance).success
    assert event(instance, "shop/orders")["dagster/row_count"] == 6


def test_an_asset_that_returns_its_input_does_not_get_our_columns_twice(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    @dg.asset(
        key=["shop", "copy"],
        ins={"orders": dg.AssetIn(["shop", "orders"])},
        io_manager_key="copies",
    )
    def copy(orders: Any) -> Any:
        return orders

    from etl_assets.assets.io_manager import DestinationIOManager

    io_manager = DestinationIOManager(warehouse)
    orders = stream_assets(shop, ["orders"], io_manager_key="copies")
    defs = dg.Definitions(assets=[*orders, copy], resources={"copies": io_manager})
    for _ in range(2):
        assert run(defs, instance).success
    names = [
        column.name
        for state in warehouse.states()
        for column in state.columns
        if state.stream == "copy"
    ]
    assert names == ["id", "name", "updated_at"] or not any(
        name.startswith("_etl") for name in names
    )

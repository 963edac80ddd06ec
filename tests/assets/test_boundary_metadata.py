"""The bookmark in an event is without the hashes of its rows, and nothing is doubled for it."""

from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets.assets.bookmark_metadata import BOOKMARK, BOOKMARK_BOUNDARY
from etl_assets.assets.bookmarks import DESTINATION
from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.bookmarks.appending import BOUNDARY
from tests.assets.shop import Shop, event, query, run

VISITS = dg.AssetKey(["shop", "visits"])


class Stateless(Destination):
    """A destination that keeps the rows it is given, and no state."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []

    @override
    def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
        self.rows += [item["record"] for item in record_data]


@pytest.fixture
def shop() -> Shop:
    return Shop({"visits": [{"at": 1, "who": "Ada"}, {"at": 2, "who": "Bob"}]})


def test_a_state_row_keeps_them(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Any
) -> None:
    assets = stream_assets(shop, ["visits"], destination=warehouse)
    assert run(assets, instance).success
    shop.rows["visits"].append({"at": 2, "who": "Cleo"})
    assert run(assets, instance).success
    shown = event(instance, "shop/visits")
    assert (shown[BOOKMARK], shown["etl_assets/bookmark_previous"]) == ({"at": 2}, {"at": 2})
    assert BOOKMARK_BOUNDARY not in shown
    ((state,),) = query(path, "SELECT bookmark FROM _etl_assets_state")
    assert BOUNDARY in state
    assert query(path, "SELECT who FROM shop.visits ORDER BY who") == [
        ("Ada",),
        ("Bob",),
        ("Cleo",),
    ]


@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_an_event_keeps_them_where_nothing_else_does(
    granularity: Any, shop: Shop, instance: dg.DagsterInstance
) -> None:
    place = Stateless()
    assets = stream_assets(shop, ["visits"], destination=place, granularity=granularity)
    assert run(assets, instance).success
    shown = event(instance, "shop/visits")
    assert shown[BOOKMARK] == {"at": 2}
    assert len(shown[BOOKMARK_BOUNDARY]) == 1
    shop.rows["visits"].append({"at": 2, "who": "Cleo"})
    assert run(assets, instance).success
    assert [row["who"] for row in place.rows] == ["Ada", "Bob", "Cleo"]  # Bob came once more


def test_an_event_of_an_earlier_version_is_gone_on_from(
    shop: Shop, instance: dg.DagsterInstance
) -> None:
    place = Stateless()
    assets = stream_assets(shop, ["visits"], destination=place)
    assert run(assets, instance).success
    shown = event(instance, "shop/visits")
    both: Any = {**shown[BOOKMARK], BOUNDARY: shown[BOOKMARK_BOUNDARY]}
    instance.wipe_assets([VISITS])

    @dg.op
    def write(context: dg.OpExecutionContext) -> None:
        metadata = {BOOKMARK: both, DESTINATION: place.identity}
        context.log_event(dg.AssetMaterialization(VISITS, metadata=metadata))

    @dg.job
    def earlier() -> None:
        write()

    assert earlier.execute_in_process(instance=instance).success
    shop.rows["visits"].append({"at": 3, "who": "Dora"})
    assert run(assets, instance).success
    assert [row["who"] for row in place.rows] == ["Ada", "Bob", "Dora"]

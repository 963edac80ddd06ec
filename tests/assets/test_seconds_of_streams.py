"""How long each stream of one step has taken: it alone, and not all that was read before it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import SourceError
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from tests.assets.shop import CUSTOMERS, ORDERS, VISITS, Rows, Shop, logged, people, run


class Clock:
    """A clock that only tests move."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return its time, in seconds."""
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in ("outcomes", "publishing"):
        monkeypatch.setattr(f"etl_assets.engine.{module}.time", made)
    return made


class Slow(Shop):
    """A shop whose customers take 10 seconds to read, whose orders take 200, and the others 3,000."""

    streams = (CUSTOMERS, ORDERS, VISITS)
    clock: Clock

    @override
    def load_data(
        self,
        stream: Stream,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Rows]:
        self.clock.now += {"customers": 4, "orders": 100, "visits": 1000}[stream.name]
        for rows in super().load_data(stream, bookmarks, query, **kwargs):
            yield rows
            self.clock.now += {"customers": 2, "orders": 50, "visits": 1000}[stream.name]


@pytest.fixture
def slow(clock: Clock) -> Slow:
    made = Slow({"customers": people(5), "orders": people(4)})
    made.clock = clock
    return made


def seconds(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return the seconds of each materialization."""
    return {
        one.asset_key.path[-1]: one.step_materialization_data.materialization.metadata[
            "etl_assets/duration_seconds"
        ].value
        for one in result.get_asset_materialization_events()
        if one.asset_key
    }


@pytest.mark.parametrize("granularity", ["source", "stream"])
def test_each_stream_has_its_own(
    granularity: Any, slow: Slow, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    assets = stream_assets(slow, destination=warehouse, granularity=granularity)
    result = run(assets, instance)
    assert result.success
    assert seconds(result) == {"customers": 10.0, "orders": 200.0, "visits": 1000.0}
    told = logged(result, instance)
    assert "customers: merged 5 rows in 10.0 s" in told
    assert "orders: merged 4 rows in 3 min 20 s" in told


def test_one_that_fails_takes_no_time_of_the_next(
    slow: Slow, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    slow.failures["customers"] = [SourceError("the line was cut")]
    assets = stream_assets(slow, destination=warehouse, granularity="source")
    assert seconds(run(assets, instance)) == {"orders": 200.0, "visits": 1000.0}

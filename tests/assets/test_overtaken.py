"""A run that another run of the same stream has overtaken: it is tried again where that helps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.engine.sync import sync
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import SqlSource
from tests.assets.shop import Shop, event, failure_text, people, query, run
from tests.sources.sql_databases import database

POLICY = dg.RetryPolicy(max_retries=2)


class Overtaken(Shop):
    """A shop whose orders somebody else syncs while they are first read here."""

    def __init__(self, warehouse: DuckDBDestination) -> None:
        super().__init__({"orders": people(3)})
        self.warehouse = warehouse

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield from super().load_data(stream, bookmarks, query, **kwargs)
        if len(self.reads) == 1:
            faster = Shop({"orders": people(3)})
            sync(StreamRead(faster, stream, source_name="shop"), self.warehouse, run_id="faster")


def retried(result: dg.ExecuteInProcessResult) -> int:
    """Return how often a step was tried again."""
    return sum(one.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY for one in result.all_events)


@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_it_is_tried_again_and_goes_on_from_the_other_run(
    granularity: Any, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    shop = Overtaken(warehouse)
    assets = stream_assets(
        shop, "orders", destination=warehouse, granularity=granularity, retry_policy=POLICY
    )
    result = run(assets, instance)
    assert result.success
    assert retried(result) == 1
    newest = {"updated_at": "2026-01-03T00:00:00Z"}
    assert shop.reads == [("orders", None), ("orders", newest)]
    assert query(path, "SELECT id FROM shop.orders ORDER BY id") == [(1,), (2,), (3,)]
    assert event(instance, "shop/orders")["etl_assets/bookmark_previous"] == newest


def test_without_a_retry_policy_the_run_fails_and_says_what_to_do(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    result = run(stream_assets(Overtaken(warehouse), "orders", destination=warehouse), instance)
    assert "stream 'orders' was synced by run faster meanwhile" in failure_text(result)
    assert "the next run goes on from there" in failure_text(result)


def test_the_last_step_of_a_split_is_not_tried_again_in_vain(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    orders = Stream("orders", primary_key="id", replication_key="n")

    class Slow(SqlSource):
        faster = True

        @override
        def load_data(
            self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield from super().load_data(stream, bookmarks, query, **kwargs)
            if self.faster and query:
                Slow.faster = False
                whole = SqlSource("shop", shop.url, streams=[orders])
                sync(StreamRead(whole, orders), warehouse, run_id="faster")

    with database("sqlite", tmp_path) as shop:
        shop.run("CREATE TABLE orders (id INTEGER PRIMARY KEY, n INTEGER)")
        shop.insert("orders", [(n, n) for n in range(10)])
        source = Slow("shop", shop.url, streams=[orders])
        assets = stream_assets(
            source,
            destination=warehouse,
            options={"orders": {"split": 2}},
            retry_policy=POLICY,
        )
        result = run(assets, instance)
        assert "synced by run faster meanwhile" in failure_text(result)
        assert "Materialize the stream once more" in failure_text(result)
        assert retried(result) == 0
        assert run(assets, instance).success
        assert event(instance, "shop/orders")["etl_assets/bookmark"] == {"n": 9}

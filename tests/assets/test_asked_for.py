"""What users of other Dagster integrations ask for (docs/comparison.md), where no other test shows it."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from typing_extensions import override

from etl_assets.assets.factory import stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import UnavailableError
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from tests.assets.shop import ORDERS, Shop, event, failure_text, people, person, query, run

COLUMNS = "dagster/column_schema"
SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "total": {"type": ["null", "number"], "multipleOf": 0.01, "description": "In euros."},
        "items": {"type": ["null", "array"]},
        "updated_at": {"type": "string", "format": "date-time"},
    },
    "required": ["id"],
}
TYPED = Stream("orders", primary_key="id", replication_key="updated_at", schema=SCHEMA)
BASKET = {"id": 1, "total": 2.5, "items": [{"sku": "a", "n": 2}, {"sku": "b", "n": 1}]}


def typed(*rows: dict[str, Any]) -> Shop:
    """Return a shop whose orders have a declared schema."""
    dated = [{**row, "updated_at": "2026-01-01T00:00:00Z"} for row in rows]
    return Shop({"orders": dated}, streams=[TYPED])


class TestEvents:
    def test_a_stream_is_told_of_while_the_others_are_read(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        told: list[bool] = []

        class Slow(Shop):
            @override
            def load_data(
                self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
            ) -> Iterator[Any]:
                if stream.name == "orders":
                    customers = dg.AssetKey(["shop", "customers"])
                    told.append(instance.get_latest_materialization_event(customers) is not None)
                yield from super().load_data(stream, bookmarks, query, **kwargs)

        shop = Slow({"customers": people(3), "orders": people(5)})
        assets = stream_assets(
            shop, ["customers", "orders"], destination=warehouse, granularity="source"
        )
        assert run(assets, instance).success
        assert told == [True]

    def test_columns_have_the_types_that_the_database_has(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        assert run(stream_assets(typed(BASKET), destination=warehouse), instance).success
        columns = {one.name: one for one in event(instance, "shop/orders")[COLUMNS].columns}
        there = query(
            path,
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'shop' AND table_name = 'orders' AND column_name[1] <> '_'",
        )
        assert {name: one.type for name, one in columns.items()} == dict(there)
        assert columns["id"].constraints.other == ["primary key"]
        assert columns["total"].description == "In euros."

    def test_telling_of_a_stream_changes_nothing_of_it(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        shop = typed(BASKET)
        assets = stream_assets(shop, destination=warehouse)
        before, spec = deepcopy(TYPED.schema), assets[0].get_asset_spec()
        shown = []
        for _ in range(2):
            assert run(assets, instance).success
            shown.append(event(instance, "shop/orders")[COLUMNS])
        assert shop.streams[0].schema == before
        assert assets[0].get_asset_spec() == spec
        assert shown[0] == shown[1]


class TestOwnBody:
    """An asset of one's own that returns a read goes on from its bookmark, as those of `stream_assets` do."""

    def test_it_returns_what_is_to_be_read(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        shop, before = Shop({"orders": people(3)}), []

        @dg.asset(key=["shop", "orders"], io_manager_key="warehouse", deps=["unlocked"])
        def orders(context: dg.AssetExecutionContext) -> StreamRead:
            before.append(context.run.run_id)
            return StreamRead(shop, ORDERS, source_name="shop")

        resources = {"warehouse": DestinationIOManager(warehouse)}
        assert run([orders], instance, resources=resources).success
        shop.rows["orders"].append(person(4))
        assert run([orders], instance, resources=resources).success
        assert len(before) == 2
        assert shop.reads[-1] == ("orders", {"updated_at": "2026-01-03T00:00:00Z"})
        assert event(instance, "shop/orders")["dagster/row_count"] == 4
        assert query(path, "SELECT count(*), max(id) FROM shop.orders") == [(4, 4)]


class TestAutomation:
    def test_dagster_asks_for_a_stream_by_its_condition(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        @dg.asset
        def dump() -> None:
            """Be what the stream comes after."""

        options = {
            "orders": {
                "deps": ["dump"],
                "automation_condition": dg.AutomationCondition.any_deps_updated(),
            }
        }
        assets = stream_assets(
            shop, ["customers", "orders"], destination=warehouse, options=options
        )
        defs = dg.Definitions(assets=[dump, *assets])
        asked = dg.evaluate_automation_conditions(defs, instance)
        assert asked.total_requested == 0
        assert run(defs, instance, "dump").success
        asked = dg.evaluate_automation_conditions(defs, instance, cursor=asked.cursor)
        assert asked.total_requested == 1
        assert asked.get_num_requested(dg.AssetKey(["shop", "orders"])) == 1


class TestLateConnections:
    """Nothing connects before the step's body, where a retry policy holds."""

    @pytest.mark.parametrize("granularity", ["stream", "source"])
    def test_a_resource_that_is_away_is_tried_again(
        self, granularity: Any, shop: Shop, path: Path, instance: dg.DagsterInstance
    ) -> None:
        attempts: list[str] = []

        class Away(DuckDBDestination):
            @override
            def session(self, *args: Any, **options: Any) -> Any:
                attempts.append("asked")
                if len(attempts) == 1:
                    raise UnavailableError("The warehouse is away.")
                return super().session(*args, **options)

        assets = stream_assets(
            shop,
            "orders",
            io_manager_key="warehouse",
            granularity=granularity,
            retry_policy=dg.RetryPolicy(max_retries=1),
        )
        resources = {"warehouse": DestinationIOManager(Away(str(path)))}
        result = run(assets, instance, resources=resources)
        assert result.success
        assert sum(one.is_step_up_for_retry for one in result.all_events) == 1
        assert query(path, "SELECT count(*) FROM shop.orders") == [(5,)]

    def test_a_source_holds_a_resource_of_dagster(
        self,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Its variables are read in the run: when the project is loaded, they are not there yet."""
        monkeypatch.delenv("API_TOKEN", raising=False)
        seen = []

        class Api(dg.ConfigurableResource):  # type: ignore[type-arg]
            token: str

        class Crm(Source):
            streams = (Stream("users", primary_key="id"),)

            def __init__(self, api: Api) -> None:
                super().__init__(name="crm")
                self.api = api

            @override
            def load_data(self, stream: Stream, *args: Any, **kwargs: Any) -> Iterator[Any]:
                with self.api.process_config_and_initialize_cm() as api:
                    seen.append(api.token)
                    yield [{"id": 1}]

        defs = dg.Definitions(
            assets=stream_assets(Crm(Api(token=dg.EnvVar("API_TOKEN"))), destination=warehouse)
        )
        defs.resolve_implicit_global_asset_job_def()
        monkeypatch.setenv("API_TOKEN", "only-in-the-run")
        assert run(defs, instance).success
        assert seen == ["only-in-the-run"]


class TestHandWritten:
    """The same IO manager, for assets that return their rows; a generator as an `Output`."""

    def asset(self, value: Any) -> dg.AssetsDefinition:
        @dg.asset(key=["marts", "daily"])
        def daily() -> dg.Output[Any]:
            return dg.Output(value() if callable(value) else value)

        return daily

    def test_a_run_that_fails_half_way_leaves_the_table(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        io = {"io_manager": DestinationIOManager(warehouse)}

        def cut() -> Iterator[list[dict[str, int]]]:
            yield [{"a": 4}]
            raise RuntimeError("the line was cut")

        assert run([self.asset([{"a": 1}, {"a": 2}, {"a": 3}])], instance, resources=io).success
        result = run([self.asset(cut)], instance, resources=io)
        assert "the line was cut" in failure_text(result)
        assert query(path, "SELECT a FROM marts.daily ORDER BY a") == [(1,), (2,), (3,)]

    def test_another_schema_needs_no_drop_by_hand(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        io = {"io_manager": DestinationIOManager(warehouse)}
        grown = pa.table({"a": [2.5], "b": ["new"]})
        assert run([self.asset(pa.table({"a": [1]}))], instance, resources=io).success
        assert run([self.asset(grown)], instance, resources=io).success
        assert query(path, "SELECT a, b FROM marts.daily") == [(2.5, "new")]

    def test_a_generator_is_stored_as_it_goes(
        self, path: Path, instance: dg.DagsterInstance
    ) -> None:
        """What it has yielded is in files before it goes on, not in memory."""
        warehouse = DuckDBDestination(str(path), staging_memory_bytes=1_000)
        staged: list[int] = []

        def many() -> Iterator[pa.Table]:
            for number in range(40):
                yield pa.table({"n": [number] * 1_000, "text": [str(number) * 20] * 1_000})
                files = [one for one in path.parent.rglob("*") if one.is_file() and one != path]
                staged.append(sum(one.stat().st_size for one in files))

        io = {"io_manager": DestinationIOManager(warehouse)}
        assert run([self.asset(many)], instance, resources=io).success
        assert staged == sorted(staged)
        assert staged[-1] > 20 * staged[0] > 0
        assert query(path, "SELECT count(*), count(DISTINCT n) FROM marts.daily") == [(40_000, 40)]


def test_what_is_nested_is_in_the_streams_own_table_and_sql_takes_it_apart(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    """There are no tables beside those of the assets, so none that comes after is without an asset."""

    @dg.asset(key=["marts", "items"], ins={"orders": dg.AssetIn(["shop", "orders"])})
    def items(orders: duckdb.DuckDBPyRelation) -> pa.Table:
        shape = '[{"sku": "VARCHAR", "n": "INT"}]'
        each = f"SELECT id, unnest(from_json(items, '{shape}')) AS item FROM orders"
        found = orders.query("orders", f"SELECT id, item.sku, item.n FROM ({each})")
        assert found is not None
        return found.to_arrow_table()

    defs = dg.Definitions(
        assets=[*stream_assets(typed(BASKET), io_manager_key="io_manager"), items],
        resources={"io_manager": DestinationIOManager(warehouse)},
    )
    assert run(defs, instance).success
    own = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'"
    assert query(path, own) == [("orders",)]
    assert query(path, "SELECT id, sku, n FROM marts.items ORDER BY sku") == [
        (1, "a", 2),
        (1, "b", 1),
    ]

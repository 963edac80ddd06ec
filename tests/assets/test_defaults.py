"""Options of all streams of a call, and those of the step: in the definitions, and in a run."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import build_stream_asset_specs, stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream
from etl_assets.sources.sql.source import SqlSource
from tests.assets.shop import Shop, run

QUEUE = {"dagster-celery/queue": "slow"}
FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=24))


@pytest.fixture
def called() -> list[str]:
    return []


@pytest.fixture
def hook(called: list[str]) -> dg.HookDefinition:
    @dg.success_hook
    def note(context: dg.HookContext) -> None:
        called.append(context.op.name)

    return note


def spec_of(assets: list[dg.AssetsDefinition], name: str) -> dg.AssetSpec:
    key = dg.AssetKey(["shop", name])
    (found,) = [one.specs_by_key[key] for one in assets if key in one.keys]
    return found


class TestDefaults:
    def test_they_are_seen_in_the_definitions(
        self, shop: Shop, warehouse: DuckDBDestination, hook: dg.HookDefinition
    ) -> None:
        condition = dg.AutomationCondition.eager()
        assets = stream_assets(
            shop,
            ["customers", "orders"],
            destination=warehouse,
            defaults=StreamOptions(
                owners=["team:shop"],
                tags={"tier": "raw", "pii": "no"},
                metadata={"runbook": "wiki/shop", "level": 1},
                group="sales",
                automation_condition=condition,
                freshness_policy=FRESH,
                code_version="3",
                op_tags=QUEUE,
                hooks={hook},
                pool="p",
            ),
            options={
                "orders": {
                    "tags": {"pii": "yes"},
                    "metadata": {"level": 2},
                    "owners": ["ada@example.com"],
                    "code_version": "4",
                    "op_tags": {"own": "1"},
                }
            },
        )
        customers, orders = spec_of(assets, "customers"), spec_of(assets, "orders")
        assert (customers.owners, orders.owners) == (["team:shop"], ["ada@example.com"])
        assert customers.tags["pii"] == "no"
        assert {name: orders.tags[name] for name in ("tier", "pii")} == {
            "tier": "raw",
            "pii": "yes",
        }
        assert (orders.metadata["runbook"], orders.metadata["level"]) == ("wiki/shop", 2)
        assert "dagster/table_name" in orders.metadata
        assert (customers.code_version, orders.code_version) == ("3", "4")
        for one in (customers, orders):
            assert one.group_name == "sales"
            assert one.automation_condition == condition
            assert one.freshness_policy == FRESH
        for asset in assets:
            assert asset.hook_defs == {hook}
            assert asset.op.pool == "p"
        assert [dict(one.op.tags) for one in assets] == [QUEUE, {**QUEUE, "own": "1"}]

    def test_tags_and_hooks_of_a_step_are_there_in_a_run(
        self,
        shop: Shop,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        hook: dg.HookDefinition,
        called: list[str],
    ) -> None:
        for granularity in ("stream", "source"):
            called.clear()
            assets = stream_assets(
                shop,
                ["customers", "orders"],
                destination=warehouse,
                granularity=granularity,
                defaults={"op_tags": QUEUE, "hooks": {hook}},
            )
            result = run(assets, instance)
            assert result.success
            assert sorted(called) == sorted(one.op.name for one in assets)
            job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
            assert all(QUEUE.items() <= dict(node.tags).items() for node in job.nodes)

    def test_each_step_of_a_split_has_them(
        self,
        tmp_path: Path,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        hook: dg.HookDefinition,
        called: list[str],
    ) -> None:
        assets = stream_assets(
            split_source(tmp_path),
            destination=warehouse,
            defaults={"op_tags": QUEUE, "hooks": {hook}, "split": 2, "code_version": "1"},
        )
        assert run(assets, instance).success
        assert {name.rpartition("__")[2] for name in called} == {"plan", "range", "publish"}
        graph = assets[0].node_def
        assert isinstance(graph, dg.GraphDefinition)
        assert all(QUEUE.items() <= dict(op.tags).items() for op in graph.node_defs)
        assert spec_of(assets, "orders").code_version == "1"

    def test_a_replication_method_holds_for_all(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        assets = stream_assets(
            shop,
            ["customers", "orders"],
            destination=warehouse,
            defaults={"replication_method": "FULL_TABLE"},
            options={"orders": {"replication_method": "INCREMENTAL"}},
        )
        for _ in range(2):
            assert run(assets, instance).success
        again = dict(shop.reads[2:])
        assert again["customers"] is None
        assert again["orders"] is not None

    def test_a_stream_says_no_to_what_the_defaults_say_yes_to(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        assets = stream_assets(
            shop,
            ["customers", "orders"],
            destination=warehouse,
            defaults={"adopt": True},
            options={"orders": {"adopt": False}},
        )
        assert spec_of(assets, "customers").metadata["etl_assets/adopt"]
        assert "etl_assets/adopt" not in spec_of(assets, "orders").metadata

    def test_specs_alone_have_them(self, shop: Shop) -> None:
        (spec,) = build_stream_asset_specs(
            shop, "orders", defaults={"group_name": "g"}, destination_kind="postgresql"
        )
        assert spec.group_name == "g"
        assert "postgresql" in spec.kinds
        assert spec.metadata["dagster/storage_kind"] == "postgresql"


class TestOneStep:
    """Streams that share a step."""

    @pytest.mark.parametrize(
        "option",
        [
            {"op_tags": QUEUE},
            {"code_version": "2"},
            {"pool": "p"},
            {"retry_policy": dg.RetryPolicy()},
        ],
    )
    def test_they_cannot_have_different_options_of_it(
        self, shop: Shop, warehouse: DuckDBDestination, option: dict[str, Any]
    ) -> None:
        streams = ["customers", "orders"]
        (word,) = option
        with pytest.raises(
            ConfigError, match=rf"'orders'.* cannot have another {word} than 'customers'"
        ):
            stream_assets(
                shop,
                streams,
                destination=warehouse,
                granularity="source",
                options={"orders": option},
            )
        (alike,) = stream_assets(
            shop,
            streams,
            destination=warehouse,
            granularity="source",
            options=dict.fromkeys(streams, option),
        )
        assert len(alike.keys) == 2

    def test_hooks_are_the_steps(
        self, shop: Shop, warehouse: DuckDBDestination, hook: dg.HookDefinition
    ) -> None:
        with pytest.raises(ConfigError, match="cannot have another hooks than 'orders'"):
            stream_assets(
                shop,
                ["customers", "orders"],
                destination=warehouse,
                granularity="source",
                options={"customers": {"hooks": {hook}}},
            )


class TestWords:
    def test_an_unknown_option_names_the_nearest(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(
            ConfigError, match=r"there is no option 'ownres'.*Did you mean 'owners'"
        ):
            StreamOptions(ownres=["team:shop"])  # type: ignore[call-arg]
        with pytest.raises(ConfigError, match="stream 'orders': there is no option 'tag'"):
            stream_assets(shop, destination=warehouse, options={"orders": {"tag": {}}})
        with pytest.raises(ConfigError, match="there is no option 'polo'"):
            stream_assets(shop, destination=warehouse, defaults={"polo": "p"})

    @pytest.mark.parametrize(
        ("option", "told"),
        [
            ({"tags": "pii"}, "tags must be an object"),
            ({"op_tags": ["a"]}, "op_tags must be an object"),
            ({"owners": "team:shop"}, "owners must be a list of names"),
            ({"code_version": 1}, "code_version must be a text"),
            ({"hooks": ["a"]}, "hooks must be a set of Dagster hooks"),
            ({"freshness_policy": "daily"}, "freshness_policy must be a dagster.FreshnessPolicy"),
            ({"owners": ["team:shop", 1]}, "owners has names that are texts, and 1 is none"),
            ({"tags": {1: "a"}}, "tags has names that are texts"),
            ({"deps": 5}, "deps must be a list of assets or of their keys"),
            ({"group": "g", "group_name": "h"}, "group and group_name are the same option"),
        ],
    )
    def test_a_wrong_value_names_the_option(self, option: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigError, match=told):
            StreamOptions(**option)

    @pytest.mark.parametrize("name", ["on_conflict", "late_rows", "outside_partition"])
    def test_a_list_is_no_word(self, shop: Shop, warehouse: DuckDBDestination, name: str) -> None:
        with pytest.raises(ConfigError, match=f"{name} cannot be"):
            stream_assets(shop, destination=warehouse, options={"orders": {name: ["error"]}})

    def test_group_name_is_group(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        (asset,) = stream_assets(
            shop, "orders", destination=warehouse, options={"orders": {"group_name": "g"}}
        )
        assert spec_of([asset], "orders").group_name == "g"

    def test_a_table_is_no_default(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        with pytest.raises(
            ConfigError, match=r"all streams would share.*Name it for the one stream"
        ):
            stream_assets(shop, destination=warehouse, defaults={"table": "a.b"})
        one = {"orders": {"table": "a.b"}}
        assert stream_assets(shop, destination=warehouse, options=one)

    def test_defaults_are_options(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        with pytest.raises(ConfigError, match="They are options"):
            stream_assets(shop, destination=warehouse, defaults=["p"])  # type: ignore[arg-type]
        assert stream_assets(shop, destination=warehouse, defaults={"pool": "p"})


def split_source(folder: Path) -> SqlSource:
    with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, updated_at INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(n, n) for n in range(10)])
    return SqlSource(
        "shop",
        f"sqlite:///{folder}/shop.db",
        streams=[Stream("orders", primary_key="id", replication_key="updated_at")],
    )

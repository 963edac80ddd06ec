"""What people read in the web interface: failures, keys of resources, descriptions, and each thing once."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.dagster_private import add_event_metadata
from etl_assets.assets.errors import TRACEBACK, as_failure
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.markdown import fenced
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import StreamReadError
from etl_assets.model.stream import Stream
from etl_assets.sources.connectors import get_source
from etl_assets.sources.sql import SqlSource
from tests.assets.shop import ORDERS, Shop, broken, event, failure, people, run


@pytest.fixture
def database(tmp_path: Path) -> SqlSource:
    """Return a source that can be read in ranges."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, updated_at INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(n, n) for n in range(3)])
    return SqlSource("shop", f"sqlite:///{tmp_path}/shop.db", streams=[ORDERS])


def test_a_traceback_is_a_block_of_markdown(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    shop.failures["orders"] = [KeyError("cut")]
    failed = run(stream_assets(shop, ["orders"], destination=warehouse), instance)
    data = failure(failed).step_failure_data.user_failure_data
    assert data is not None
    shown = data.metadata[TRACEBACK]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    lines = str(shown.value).splitlines()
    assert (lines[0], lines[-1]) == ("```text", "```")
    assert any(line.strip().startswith("File ") and "load_data" in line for line in lines)


def test_each_stream_of_a_step_has_its_own(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    shop.failures |= {"orders": [broken()], "customers": [KeyError("cut")]}
    names = ["customers", "orders"]
    assets = stream_assets(shop, names, destination=warehouse, granularity="source")
    failed = run(assets, instance)
    data = failure(failed).step_failure_data.user_failure_data
    assert data is not None
    shown = str(data.metadata[TRACEBACK].value)
    assert shown.index("shop/customers\n\n```text") < shown.index("shop/orders\n\n```text")
    assert shown.count("```") == 4
    assert "builtins.KeyError" in shown
    assert "exceptions.SourceError" in shown


def test_nothing_in_a_traceback_ends_its_block() -> None:
    assert fenced("a\n```\nb\n") == "````text\na\n```\nb\n````"
    assert str(as_failure(StreamReadError("x")).metadata[TRACEBACK].value).startswith("```text\n")


@pytest.mark.parametrize("split", [False, True])
def test_metadata_is_in_one_event_of_a_run(
    split: Any, warehouse: DuckDBDestination, instance: dg.DagsterInstance, database: SqlSource
) -> None:
    options = {"orders": {"split": 2}} if split else None
    assets = stream_assets(database, ["orders"], destination=warehouse, options=options)
    result = run(assets, instance)
    assert result.success
    assert event(instance, "shop/orders")["etl_assets/records_loaded"] == 3
    handled = [one for one in result.all_events if one.event_type_value == "HANDLED_OUTPUT"]
    assert handled
    for one in handled:
        assert not one.event_specific_data.metadata  # type: ignore[union-attr] # of this event


def test_dagster_adds_metadata_to_the_materialization_alone(
    instance: dg.DagsterInstance,
) -> None:
    class Adding(dg.IOManager):
        def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
            del obj
            add_event_metadata(context, {"mine": 7})

        def load_input(self, context: dg.InputContext) -> None:
            """Never asked."""

    @dg.asset
    def thing() -> int:
        return 1

    result = dg.materialize([thing], instance=instance, resources={"io_manager": Adding()})
    (made,) = result.asset_materializations_for_node("thing")
    assert made.metadata["mine"].value == 7


class TestResourceKeys:
    def test_they_are_readable_and_of_their_own(self, shop: Shop, tmp_path: Any) -> None:
        one, other = (DuckDBDestination(str(tmp_path / name)) for name in ("a.db", "b.db"))
        shop.rows = {"customers": people(1), "orders": people(1), "visits": []}
        assets = [
            *stream_assets(shop, ["orders", "customers"], destination=one),
            *stream_assets(shop, ["visits"], destination=other),
        ]
        job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
        keys = {key for key in job.resource_defs if key.startswith("shop")}
        assert keys == {"shop__customers__destination", "shop__visits__destination"}

    def test_they_are_the_same_in_every_process(self, tmp_path: Any) -> None:
        (tmp_path / "project.py").write_text(
            "import dagster as dg\n"
            "from etl_assets import DuckDBDestination, stream_assets\n"
            "from tests.assets.shop import Shop\n"
            "assets = stream_assets(Shop(), ['orders'], destination=DuckDBDestination('x.duckdb'))\n"
            "job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()\n"
            "print(sorted(key for key in job.resource_defs if 'shop' in key))\n"
        )
        for seed in ("1", "2"):
            done = subprocess.run(
                [sys.executable, str(tmp_path / "project.py")],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())},
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout == "['shop__orders__destination']\n"


def test_a_description_reads_well_as_plain_text_and_as_markdown() -> None:
    described = Stream("orders", description="Rows of `orders`, see <b>there</b>.")
    shop = Shop()
    shop.streams = [described]
    (made,) = stream_assets(shop, destination=DuckDBDestination("x.duckdb"))
    (spec,) = made.specs
    assert spec.description == r"Rows of 'orders', see \<b\>there\</b\>."


def test_a_connector_is_shown_with_its_protocol(warehouse: DuckDBDestination) -> None:
    for name, protocol in {"source-faker": "airbyte", "tap-jsonl": "singer"}.items():
        source = get_source(name, {"path": "orders.jsonl"})
        (asset,) = stream_assets(source, ["orders"], destination=warehouse)
        assert asset.get_asset_spec().kinds == {protocol, "duckdb"}

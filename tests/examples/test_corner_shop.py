"""The example project: its README is followed in an empty folder, and a part of it in this process."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml

from etl_assets import StreamsComponent
from examples.corner_shop.corner_shop import sample
from tests.examples.conftest import PROJECT, Environment, run
from tests.test_docs import blocks

WEEK = [f"2026-01-{day:02}" for day in range(1, 8)]
READ = """
import duckdb, json, sys

with duckdb.connect("data/warehouse.duckdb", read_only=True) as warehouse:
    print(json.dumps({q: warehouse.sql(q).fetchall() for q in sys.argv[1:]}, default=str))
"""


# In this process: the streams of the database


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAREHOUSE", str(tmp_path / "data" / "warehouse.duckdb"))
    monkeypatch.delenv("SHOP_DB", raising=False)
    sample.make_shop()
    text = (PROJECT / "corner_shop/defs/shop/defs.yaml").read_text(encoding="utf-8")
    attributes = yaml.safe_dump(yaml.safe_load(text)["attributes"])
    component: StreamsComponent = StreamsComponent.resolve_from_yaml(attributes)
    context: Any = _Context()
    return component.build_defs_from_state(context, None)


class _Context:
    """What the component asks of the context of its load."""

    project_root = PROJECT


def rows(query: str) -> list[Any]:
    with duckdb.connect("data/warehouse.duckdb", read_only=True) as warehouse:
        return warehouse.sql(query).fetchall()


def loaded(shop: dg.Definitions, instance: dg.DagsterInstance, *names: str, **run: Any) -> bool:
    keys = [dg.AssetKey(["shop", name]) for name in names]
    job = shop.resolve_job_def("__ASSET_JOB")
    result = job.execute_in_process(
        instance=instance, asset_selection=keys, raise_on_error=False, **run
    )
    return result.success


def test_the_shop_is_loaded_twice_and_nothing_comes_twice(shop: dg.Definitions) -> None:
    orders = "SELECT * FROM shop.orders ORDER BY id"
    with dg.DagsterInstance.ephemeral() as instance:
        assert loaded(shop, instance, "customers", "products", "orders")
        first = rows(orders)
        assert len(first) == 18
        assert loaded(shop, instance, "customers", "products", "orders")
        assert rows(orders) == first  # with the load's id: not a row was written again
        sample.next_day()
        assert loaded(shop, instance, "orders")
        assert rows("SELECT count(*), count(DISTINCT id) FROM shop.orders") == [(20, 20)]
        assert rows("SELECT status FROM shop.orders WHERE id = 0") == [("paid",)]


def test_the_gate_keeps_a_mistake_out(shop: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert loaded(shop, instance, "orders")
        sample.make_mistake()
        assert not loaded(shop, instance, "orders")
        assert rows("SELECT count(*) FROM shop.orders WHERE quantity < 1") == [(0,)]
        assert rows("SELECT count(*) FROM shop.orders") == [(18,)]
        sample.correct_mistake()
        assert loaded(shop, instance, "orders")
        assert rows("SELECT count(*) FROM shop.orders") == [(19,)]


def test_a_backfill_loads_each_day_once(shop: dg.Definitions) -> None:
    tags = {
        "dagster/asset_partition_range_start": WEEK[0],
        "dagster/asset_partition_range_end": WEEK[-1],
    }
    days = "SELECT CAST(visited_at AS DATE)::TEXT AS day, count(*) FROM shop.visits GROUP BY day ORDER BY day"
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            assert loaded(shop, instance, "visits", tags=tags)
            assert rows(days) == [(day, sample.VISITS_A_DAY) for day in WEEK]


# As its README says, with the library installed from this checkout


def section(title: str) -> str:
    """Return the commands of a section of the README."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"## {title}\n")
    assert found
    own = rest.partition("\n## ")[0]
    return "\n".join(
        block.code for block in blocks(own) if block.language == "sh" and not block.fragment
    )


def tables(project: Path, *queries: str) -> list[Any]:
    """Ask the warehouse, from a process of its own."""
    told = json.loads(run(project, [sys.executable, "-c", READ, *queries], dict(os.environ)))
    return [told[query] for query in queries]


COUNTS = [
    f"SELECT count(*), count(DISTINCT {key}) FROM {table}"
    for table, key in {
        "shop.customers": "id",
        "shop.orders": "id",
        "shop.visits": "id",
        "people.users": "id",
        "people.purchases": "id",
        "support.tickets": "id",
        "reports.revenue": "customer_id",
    }.items()
]
ORDERS = "SELECT * FROM shop.orders ORDER BY id"
UNHAPPY = "SELECT CAST(sum(tickets) AS INTEGER) FROM reports.unhappy"


@pytest.mark.full
@pytest.mark.connectors
@pytest.mark.timeout(3000)
def test_its_readme_is_followed(corner_shop: Path, environment: Environment) -> None:
    def follow(title: str) -> str:
        return environment.shell(corner_shop, section(title))

    follow("Install")
    told = follow("Check")
    for name in ("shop/visits", "people/users", "support/tickets", "reports/revenue"):
        assert name in told
    for name in ("shop_sync", "something_was_sold", "etl_assets/overview"):
        assert name in told
    follow("Connect")
    told = follow("Load")
    assert "2026-01-07T13:00:00" in told  # the bookmark of the orders
    customers, orders, visits, users, purchases, tickets, revenue = tables(corner_shop, *COUNTS)
    assert [customers, orders, visits] == [[[5, 5]], [[18, 18]], [[35, 35]]]
    assert users == [[100, 100]]
    assert purchases[0][0] == purchases[0][1] > 50
    assert [tickets, revenue] == [[[7, 7]], [[5, 5]]]
    assert tables(corner_shop, UNHAPPY) == [[[7]]]
    before = tables(corner_shop, ORDERS, *COUNTS)
    follow("Load")
    assert tables(corner_shop, ORDERS, *COUNTS) == before
    told = follow("A day later")
    assert "orders: merged 3 rows" in told
    _, orders, visits, *_, tickets, _ = tables(corner_shop, *COUNTS)
    assert [orders, visits, tickets] == [[[20, 20]], [[40, 40]], [[8, 8]]]
    assert "the load was rolled back" in follow("A mistake")
    assert tables(corner_shop, COUNTS[1]) == [[[21, 21]]]

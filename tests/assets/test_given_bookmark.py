"""A `bookmark` by run config: what it leaves out is said, and the next run gives it; the stored one never goes back."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.bookmarks.given import side_of
from etl_assets.model.stream import Stream
from tests.assets.shop import Shop, event, failure_text, logged, people, query, run

ORDERS = "SELECT count(*), count(DISTINCT id) FROM shop.orders"
STORED = {"updated_at": "2026-01-05T00:00:00Z"}


@pytest.fixture
def assets(shop: Shop, warehouse: DuckDBDestination) -> list[dg.AssetsDefinition]:
    return stream_assets(shop, ["orders", "visits"], destination=warehouse)


def asked(bookmark: Any, **more: Any) -> dict[str, Any]:
    return {"shop__orders": {"bookmark": bookmark, **more}}


def test_ahead_of_the_stored_one_it_is_undone_by_the_next_run(
    shop: Shop, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance, path: Path
) -> None:
    run(assets, instance, "shop/orders")
    shop.rows["orders"] += people(9)[5:]
    ahead = {"updated_at": "2026-01-08T00:00:00Z"}
    result = run(assets, instance, "shop/orders", config=asked(ahead))
    assert result.success
    shown = event(instance, "shop/orders")
    assert (shown["etl_assets/records_loaded"], shown["etl_assets/bookmark"]) == (2, STORED)
    assert shown["etl_assets/bookmark_skipped"] == {"after": STORED, "before": ahead}
    assert "is ahead of the stored one" in logged(result, instance)
    told = "rows between them are not read by this run; the stored bookmark stays, and the next run reads from it."
    assert told in logged(result, instance)
    run(assets, instance, "shop/orders")
    assert shop.reads[-1] == ("orders", STORED)
    assert query(path, ORDERS) == [(9, 9)]
    assert "etl_assets/bookmark_skipped" not in event(instance, "shop/orders")


def test_what_it_skips_stays_skipped_where_that_is_asked_for(
    shop: Shop, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance, path: Path
) -> None:
    run(assets, instance, "shop/orders")
    shop.rows["orders"] += people(9)[5:]
    ahead = {"updated_at": "2026-01-08T00:00:00Z"}
    result = run(assets, instance, "shop/orders", config=asked(ahead, keep_bookmark=True))
    assert event(instance, "shop/orders")["etl_assets/bookmark_skipped"] == {
        "after": STORED,
        "before": ahead,
    }
    assert "they are skipped for good" in logged(result, instance)
    run(assets, instance, "shop/orders")
    assert query(path, ORDERS) == [(7, 7)]


def test_rows_that_are_appended_need_the_word(
    shop: Shop, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance, path: Path
) -> None:
    shop.rows["visits"] = [{"at": "2026-01-01T00:00:00Z"}]
    run(assets, instance, "shop/visits")
    config: dict[str, Any] = {"shop__visits": {"bookmark": {"at": "2027-01-01T00:00:00Z"}}}
    result = run(assets, instance, "shop/visits", config=config)
    assert not result.success
    assert (
        "'visits': the given bookmark is ahead of the stored one, and rows are appended"
        in failure_text(result)
    )
    assert "Set keep_bookmark: true in the run config" in failure_text(result)
    config["shop__visits"]["keep_bookmark"] = True  # as the hint says
    assert run(assets, instance, "shop/visits", config=config).success


def test_behind_the_stored_one_it_never_takes_that_back(
    shop: Shop, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance, path: Path
) -> None:
    run(assets, instance, "shop/orders")
    shop.rows["orders"] = [
        row for row in shop.rows["orders"] if row["id"] != 5
    ]  # the row at the bookmark is gone
    behind = {"updated_at": "2026-01-02T00:00:00Z"}
    result = run(assets, instance, "shop/orders", config=asked(behind))
    assert shop.reads[-1] == ("orders", behind)
    assert event(instance, "shop/orders")["etl_assets/bookmark"] == STORED
    assert "does not go back" in logged(result, instance)
    assert run(assets, instance, "shop/orders", config=asked(behind, limit=1)).success
    assert event(instance, "shop/orders")["etl_assets/bookmark"] == STORED


def test_the_first_run_may_begin_anywhere(
    shop: Shop, assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
) -> None:
    run(assets, instance, "shop/orders", config=asked({"updated_at": "2026-01-04T00:00:00Z"}))
    assert event(instance, "shop/orders")["etl_assets/bookmark"] == STORED


def test_keeping_says_nothing_without_a_bookmark(
    assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
) -> None:
    result = run(assets, instance, "shop/orders", config={"shop__orders": {"keep_bookmark": True}})
    assert "keep_bookmark says nothing without a bookmark" in failure_text(result)


@pytest.mark.parametrize(
    ("one", "two", "side"),
    [
        ({"at": "2026-01-02"}, {"at": "2026-01-01T23:59:59"}, "ahead"),
        ({"at": "2026-01-01T02:00:00+02:00"}, {"at": "2026-01-01T00:00:00Z"}, "same"),
        ({"at": 9}, {"at": 10.5}, "behind"),
        ({"at": "b"}, {"at": "a"}, "ahead"),
        ({"at": "2026-01-01T00:00:00"}, {"at": "2026-01-01T00:00:00Z"}, "unknown"),
        ({"at": 1}, {"at": "1"}, "unknown"),
        ({"page": 3}, {"page": 2}, "unknown"),
    ],
)
def test_where_a_bookmark_stands(one: Any, two: Any, side: str) -> None:
    assert side_of(one, two, Stream("visits", replication_key="at")) == side

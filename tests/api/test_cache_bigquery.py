"""`BigQueryCache` with a client that runs its jobs on DuckDB: rows, transactions, SQL that parses as BigQuery's."""

from pathlib import Path
from typing import Any

import pytest

from etl_assets import StreamRead
from etl_assets.caches import BigQueryCache
from etl_assets.destinations.warehouses.bigquery import BigQueryDestination
from etl_assets.destinations.warehouses.transaction import WarehouseTransaction
from etl_assets.exceptions import AuthenticationError, BusyError
from etl_assets.sync import sync
from tests.api.test_cache_snowflake import KINDS, ROWS, Shop
from tests.bigqueries import FakeBigQuery

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeBigQuery:
    fake = FakeBigQuery()
    monkeypatch.setattr(BigQueryDestination, "connect", lambda _: fake)
    return fake


@pytest.fixture
def cache(client: FakeBigQuery, tmp_path: Path) -> BigQueryCache:
    return BigQueryCache(project_name="p", dataset_name="raw", cache_dir=tmp_path)


def test_read_merge_filter_replace(cache: BigQueryCache, client: FakeBigQuery) -> None:
    shop = Shop(name="shop")
    orders = shop.read(cache, streams=["orders"])["orders"]
    assert sorted((row["id"], row["full_name"], row["price"]) for row in orders) == [
        tuple(r.values()) for r in ROWS
    ]
    assert [row["id"] for row in orders.with_filter("id > 3", "id <> 5")] == [4]
    assert cache.run_sql_query("SELECT id FROM raw.orders ORDER BY id", max_records=1) == [
        {"id": 1}
    ]
    shop.rows = [
        ROWS[4],
        {**ROWS[0], "price": ROWS[1]["price"]},
        {"id": 6, "more": "x"},
        {"id": 6, "more": "last"},
    ]
    result = shop.read(cache, streams=["orders"]).results["orders"]
    assert (result.records_loaded, result.rows_in_table) == (2, 6)
    assert [row["more"] for row in cache["orders"].with_filter("id = 6")] == ["last"]
    shop.rows = ROWS[:2]
    result = shop.read(
        cache, streams=["orders"], force_full_refresh=True, write_strategy="replace"
    ).results["orders"]
    assert (result.records_loaded, result.rows_in_table) == (2, 2)
    assert client.tables() == {
        "orders",
        "_etl_assets_state",
        "_etl_assets_loads",
        "_etl_assets_lock",
    }


def test_values_come_back_exactly(cache: BigQueryCache) -> None:
    Shop(name="shop").read(cache, streams=["kinds"])
    row = next(iter(cache["kinds"]))
    assert {name: row[name] for name in KINDS if name != "nested"} == {
        name: value for name, value in KINDS.items() if name != "nested"
    }


def test_rows_state_and_ledger_are_in_one_transaction(
    cache: BigQueryCache, client: FakeBigQuery
) -> None:
    sync(StreamRead(Shop(name="shop"), Shop.streams[2]), cache.destination)
    last = client.jobs[client.jobs.index("BEGIN TRANSACTION") :]
    last = last[: last.index("COMMIT TRANSACTION")]
    for table in ("_etl_assets_state", "_etl_assets_loads"):
        assert any(job.startswith(f"INSERT INTO `raw`.`{table}`") for job in last)
    assert any(job.startswith("INSERT INTO `raw`.`log`") for job in last)
    assert not [job for job in last if job.startswith(("CREATE", "ALTER", "load"))]


def test_a_failure_after_the_rows_leaves_nothing(
    cache: BigQueryCache, client: FakeBigQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(name="shop")
    log = StreamRead(shop, shop.streams[2])
    sync(log, cache.destination)

    def broken(self: WarehouseTransaction, *_: Any) -> int:
        assert original(self, *_) == 1
        raise KeyboardInterrupt

    original = WarehouseTransaction.insert
    shop.rows = [{"id": 10}]
    with monkeypatch.context() as patch:
        patch.setattr(WarehouseTransaction, "insert", broken)
        with pytest.raises(KeyboardInterrupt):
            sync(log, cache.destination)
    assert not [name for name in client.tables() if "staged" in name]
    assert (len(cache["log"]), sync(log, cache.destination).rows_in_table) == (5, 6)


def test_two_publications_at_once_do_not_both_go_in(
    cache: BigQueryCache, client: FakeBigQuery
) -> None:
    Shop(name="shop").read(cache, streams=["log"])
    with cache.destination.transaction() as first:
        first.lock("one")
        with pytest.raises(BusyError), cache.destination.transaction() as second:
            second.lock("another")
    assert not client.sessions


def test_credentials_are_asked_for_late_and_not_shown(tmp_path: Path) -> None:
    wrong = tmp_path / "key.json"
    wrong.write_text('{"private_key": "the-secret-key"}')
    cache = BigQueryCache(project_name="p", credentials_path=str(wrong), cache_dir=tmp_path)
    with pytest.raises(AuthenticationError) as raised:
        len(cache)
    assert "the-secret-key" not in str(raised.value)
    assert (cache.database_name, cache.schema_name) == ("p", "airbyte_raw")

"""`SnowflakeCache` against a stand-in that has Snowflake's protocol, and commits at each change of tables, as it does.

It has no temporary tables in schemas, so that the staging tables are ordinary ones here.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typing_extensions import override

from etl_assets import Source, Stream, StreamRead
from etl_assets.caches import SnowflakeCache
from etl_assets.destinations.warehouses.snowflake import SnowflakeTransaction
from etl_assets.destinations.warehouses.transaction import WarehouseTransaction
from etl_assets.exceptions import ConcurrentSyncError, EtlAssetsError
from etl_assets.sync import sync
from tests.snowflakes import fake_snowflake

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Arrow output on a DB-API result", "ignore::DeprecationWarning"
    ),
    pytest.mark.xdist_group("snowflake"),  # they share the stand-in of a server
]
ROWS: list[dict[str, Any]] = [
    {"id": n, "Full Name": f"n'{n}", "price": Decimal("1.10") * n} for n in range(1, 6)
]
KINDS = {
    "big": 2**63 - 1, "wide": 2**64 - 1, "money": Decimal("12345678901234567890.123456789"), "half": 0.1,
    "small": 5e-324, "yes": True, "raw": b"\x00\xff", "day": date(1, 1, 1), "none": None, "empty": "",
    "at": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), "wall": datetime.fromisoformat("2024-02-29 01:02:03.000004"),
    "clock": time(23, 59, 59, 999999), "text": "é \U0001f600 'q' \"d\"", "nested": {"a": [1, 2.50]},
}  # fmt: skip


class Shop(Source):
    """Orders, by key."""

    streams = (
        Stream("orders", primary_key="id"),
        Stream("kinds"),
        Stream("log", replication_key="id"),
    )
    rows = ROWS

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [KINDS] if stream.name == "kinds" else self.rows


@pytest.fixture(scope="module")
def account() -> Iterator[Any]:
    with fake_snowflake() as given, pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnowflakeTransaction, "temporary", "")
        yield given


@pytest.fixture
def cache(account: Any, tmp_path: Path, request: pytest.FixtureRequest) -> SnowflakeCache:
    schema = request.node.name[:40]
    return SnowflakeCache(**account, schema_name=schema, cache_dir=tmp_path)


def test_read_merge_filter_replace(cache: SnowflakeCache) -> None:
    shop = Shop(name="shop")
    orders = shop.read(cache, streams=["orders"])["orders"]
    assert sorted((row["id"], row["full_name"], row["price"]) for row in orders) == [
        tuple(r.values()) for r in ROWS
    ]
    assert [row["id"] for row in orders.with_filter("id > 3", "full_name <> 'n''5'")] == [4]
    assert cache.run_sql_query("SELECT id, full_name FROM orders ORDER BY id", max_records=1) == [
        {"id": 1, "full_name": "n'1"}
    ]
    shop.rows = [
        ROWS[4],
        {**ROWS[0], "price": Decimal(0)},
        {"id": 6, "more": "x"},
        {"id": 6, "more": "last"},
    ]
    result = shop.read(cache, streams=["orders"]).results["orders"]
    assert (result.records_loaded, result.rows_in_table) == (2, 6)
    assert result.schema_changes == ['added column "more" VARCHAR']
    assert [row["more"] for row in cache["orders"].with_filter("id = 6")] == ["last"]
    shop.rows = ROWS[:2]
    result = shop.read(
        cache, streams=["orders"], force_full_refresh=True, write_strategy="replace"
    ).results["orders"]
    assert (result.records_loaded, result.rows_in_table) == (2, 2)


def test_values_come_back_exactly(cache: SnowflakeCache) -> None:
    Shop(name="shop").read(cache, streams=["kinds"])
    row = next(iter(cache["kinds"]))
    expected = KINDS | {"nested": '{"a": [1, 2.50]}'}
    assert {name: row[name] for name in expected if name != "nested"} == {
        name: value for name, value in expected.items() if name != "nested"
    }
    assert str(row["nested"]).replace(" ", "") == '{"a":[1,2.5]}'
    assert cache["kinds"].to_arrow().schema.field("big").type == pa.int64()


def test_a_failure_after_the_rows_leaves_nothing(
    cache: SnowflakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(name="shop")
    log = StreamRead(shop, shop.streams[2])
    sync(log, cache.destination)

    def broken(self: WarehouseTransaction, *_: Any) -> int:
        assert original(self, *_) == 5, "the rows are there within the transaction"
        raise KeyboardInterrupt

    original = WarehouseTransaction.insert
    shop.rows = [{"id": n, "added": "x"} for n in range(10, 15)]
    with monkeypatch.context() as patch:
        patch.setattr(WarehouseTransaction, "insert", broken)
        with pytest.raises(KeyboardInterrupt):
            sync(log, cache.destination)
    assert len(cache["log"]) == 5
    assert (cache.state_of("log").bookmark or {})["id"] == 5
    sync(log, cache.destination)
    assert len(cache["log"]) == 10


def test_an_empty_table_that_a_killed_load_has_left_is_taken_over(
    cache: SnowflakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = StreamRead(Shop(name="shop"), Shop.streams[2])

    def killed(_: WarehouseTransaction) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WarehouseTransaction, "begin", killed)
        with pytest.raises(KeyboardInterrupt):
            sync(log, cache.destination)
    assert cache.run_sql_query("SELECT count(*) AS n FROM log") == [{"n": 0}]
    assert sync(log, cache.destination).rows_in_table == 5


@pytest.mark.full
def test_whoever_is_slower_is_refused(cache: SnowflakeCache) -> None:
    log = StreamRead(Shop(name="shop"), Shop.streams[2])
    sync(log, cache.destination)

    class Slow(Shop):
        rows = [{"id": 7}]

        @override
        def load_data(self, stream: Stream, *args: Any, **kwargs: Any) -> Iterator[Any]:
            sync(StreamRead(Faster(name="shop"), Shop.streams[2]), cache.destination)
            yield from super().load_data(stream)

    class Faster(Shop):
        rows = [{"id": 6}]

    with pytest.raises(ConcurrentSyncError, match="meanwhile"):
        sync(StreamRead(Slow(name="shop"), Shop.streams[2]), cache.destination)
    assert sorted(row["id"] for row in cache["log"]) == [1, 2, 3, 4, 5, 6]


@pytest.mark.full
def test_two_publications_at_once_do_not_both_go_in(cache: SnowflakeCache) -> None:
    Shop(name="shop").read(cache, streams=["log"])
    with cache.destination.transaction() as first:
        first.lock("one")
        with pytest.raises(EtlAssetsError), cache.destination.transaction() as second:
            second.lock("another")


@pytest.mark.full
def test_a_type_is_widened_where_every_value_is_kept(cache: SnowflakeCache) -> None:
    shop = Shop(name="shop")
    shop.read(cache, streams=["orders"])
    shop.rows = [{"id": 9, "Full Name": "n", "price": "free"}]
    result = shop.read(cache, streams=["orders"]).results["orders"]
    assert [one.endswith("to VARCHAR") for one in result.schema_changes] == [True]
    assert {row["id"]: row["price"] for row in cache["orders"]}[9] == "free"
    assert {row["id"]: row["price"] for row in cache["orders"]}[2] == "2.20"


def test_a_change_of_tables_after_rows_is_refused(cache: SnowflakeCache) -> None:
    Shop(name="shop").read(cache, streams=["log"])
    with pytest.raises(EtlAssetsError, match="would commit"):
        cache.execute_sql(["DELETE FROM log", "DROP TABLE log"])
    assert len(cache["log"]) == 5


def test_no_secret_is_shown(cache: SnowflakeCache) -> None:
    shown = [repr(cache), str(cache.model_dump()), cache.model_dump_json(), repr(cache.destination)]
    shown.append(repr(cache.get_sql_alchemy_url()))
    assert not [one for one in shown if "the-password" in one]

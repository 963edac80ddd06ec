"""Writing from a script: straight from a source, or what was read into a cache; only what is new, and confirmed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from etl_assets import Destination, DuckDBDestination, Source, Stream
from etl_assets.caches import DuckDBCache
from etl_assets.exceptions import (
    AirbyteConnectorCheckFailedError,
    AirbyteConnectorWriteError,
    InputError,
    UnavailableError,
)
from etl_assets.model.stored import TableName


class Shop(Source):
    """Users that grow by their replication key, and orders that are read whole."""

    streams = (Stream("users", primary_key="id", replication_key="at"), Stream("orders"))
    rows: Sequence[dict[str, Any]] = [{"id": 1, "at": 1}, {"id": 2, "at": 2}]

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [row for row in self.rows if not bookmarks or row["at"] >= bookmarks["at"]]


class Api(Destination):
    """Keeps what it was sent, and no state; refuses orders where the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, list[Any]] = {}
        self.refuses = ""

    @override
    def export_batch_data(
        self, record_data: list[dict[str, Any]], stream: str, tags: Mapping[str, Any] | None = None
    ) -> None:
        if stream == self.refuses:
            raise UnavailableError(f"no {stream} today")
        self.sent.setdefault(stream, []).extend(item["record"] for item in record_data)


@pytest.fixture
def shop() -> Shop:
    return Shop(name="shop")


@pytest.fixture
def cache(tmp_path: Path) -> DuckDBCache:
    return DuckDBCache(db_path=tmp_path / "cache.duckdb", cache_dir=tmp_path / "cache")


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(tmp_path / "warehouse.duckdb"))


def rows(destination: DuckDBDestination, stream: str) -> list[tuple[int, int]]:
    found = destination.read_table(TableName(stream, "shop")).to_pylist()
    return sorted((row["id"], row["at"]) for row in found)


def test_straight_from_a_source_each_time_from_where_it_ended(
    shop: Shop, warehouse: DuckDBDestination
) -> None:
    result = warehouse.write(shop)
    assert result.processed_records == 4
    assert result.get_state_provider().get_stream_state("users") == {"at": 2}
    assert result.get_state_provider().known_stream_names == {"users"}
    shop.rows = [{"id": 2, "at": 3}, {"id": 3, "at": 3}]
    again = warehouse.write(shop, streams=["users"])
    assert {name: done.records_loaded for name, done in again.results.items()} == {"users": 2}
    assert rows(warehouse, "users") == [(1, 1), (2, 3), (3, 3)]
    warehouse.write(shop, streams="users", force_full_refresh=True)
    assert rows(warehouse, "users") == [(2, 3), (3, 3)]


def test_from_a_cache_only_what_is_new_and_nothing_of_ours(
    shop: Shop, cache: DuckDBCache, warehouse: DuckDBDestination
) -> None:
    first = warehouse.write(shop.read(cache))
    assert {name: done.records_read for name, done in first.results.items()} == {
        "users": 2,
        "orders": 2,
    }
    columns = warehouse.read_table(TableName("users", "shop")).column_names
    assert columns.count("_etl_assets_load_id") == 1
    shop.rows = [{"id": 2, "at": 9}, {"id": 3, "at": 9}]
    second = warehouse.write(shop.read(cache, streams=["users"]))
    assert {name: done.records_read for name, done in second.results.items()} == {"users": 2}
    assert rows(warehouse, "users") == [(1, 1), (2, 9), (3, 9)]
    third = warehouse.write(shop.read(cache, streams=["users"]))
    assert third.processed_records == 0
    shop.rows = [{"id": 7, "at": 10}]
    warehouse.write(shop.read(cache, streams=["users"], force_full_refresh=True))
    assert rows(warehouse, "users") == [(7, 10)], "what left the cache leaves the destination"


def test_a_cache_that_was_replaced_and_merged_since_is_written_whole(
    shop: Shop, cache: DuckDBCache, warehouse: DuckDBDestination
) -> None:
    warehouse.write(shop.read(cache, streams=["users"]))
    shop.rows = [{"id": 5, "at": 5}]
    shop.read(cache, streams=["users"], force_full_refresh=True)
    shop.rows = [{"id": 6, "at": 6}]
    warehouse.write(shop.read(cache, streams=["users"]))
    assert rows(warehouse, "users") == [(5, 5), (6, 6)]


def test_through_a_cache_on_the_way(
    shop: Shop, cache: DuckDBCache, warehouse: DuckDBDestination
) -> None:
    warehouse.write(shop, cache=cache, streams=["users"])
    assert len(cache["users"]) == 2
    assert rows(warehouse, "users") == [(1, 1), (2, 2)]


def test_a_destination_without_state_has_it_kept_in_a_cache(shop: Shop, cache: DuckDBCache) -> None:
    api = Api()
    api.write(shop, streams=["users"], state_cache=cache)
    shop.rows = [{"id": 3, "at": 3}]
    again = api.write(shop, streams=["users"], state_cache=cache)
    assert again.results["users"].delivery == "at_least_once"
    assert [row["id"] for row in api.sent["users"]] == [1, 2, 3]
    assert list(cache) == [], "the cache holds states only"


def test_without_a_state_cache_it_begins_anew_and_says_so(shop: Shop) -> None:
    api = Api()
    with pytest.warns(UserWarning, match="state_cache"):
        api.write(shop, streams=["users"])
    api.write(shop, streams=["users"], state_cache=False)
    assert [row["id"] for row in api.sent["users"]] == [1, 2, 1, 2]


def test_a_stream_that_is_refused_leaves_the_others(shop: Shop) -> None:
    api = Api()
    api.refuses = "users"
    with pytest.raises(
        AirbyteConnectorWriteError,
        match=r"1 of 2 streams were not written: 'users'.*no users today",
    ):
        api.write(shop, state_cache=False)
    assert list(api.sent) == ["orders"]


def test_nothing_else_can_be_written(
    shop: Shop, cache: DuckDBCache, warehouse: DuckDBDestination
) -> None:
    with pytest.raises(InputError, match="list cannot be written"):
        warehouse.write([1])
    with pytest.raises(InputError, match="'none' was not read"):
        warehouse.write(shop.read(cache, streams=["users"]), streams=["none"])


def test_a_check_says_that_it_worked_or_why_not(
    warehouse: DuckDBDestination, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.check()
    assert "succeeded" in capsys.readouterr().out
    with pytest.raises(AirbyteConnectorCheckFailedError):
        DuckDBDestination(str(tmp_path)).check()

"""Caches: what was read into them, as datasets, as SQL, with filters that hold everywhere."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from typing_extensions import override

from etl_assets import Source, Stream, StreamRead
from etl_assets.caches import DuckDBCache, get_colab_cache, get_default_cache, new_local_cache
from etl_assets.datasets import CachedDataset
from etl_assets.exceptions import InputError, StreamNotFoundError
from etl_assets.sync import sync

WHEN = datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)
ROWS = [
    {
        "id": number,
        "name": f"n'{number}",
        "price": Decimal("1.10") * number,
        "at": WHEN,
        "tags": {"a": [number]},
    }
    for number in range(1, 6)
]


class Shop(Source):
    """Five orders, and no refund."""

    streams = (
        Stream("orders", primary_key="id"),
        Stream("refunds", schema={"properties": {"id": {"type": "integer"}}}),
    )

    @override
    def load_data(self, stream: Stream, *_: Any, **__: Any) -> Iterator[Any]:
        yield ROWS if stream.name == "orders" else []


@pytest.fixture
def cache(tmp_path: Path) -> DuckDBCache:
    made = DuckDBCache(db_path=tmp_path / "deep" / "x.duckdb", cache_dir=tmp_path / "cache")
    source = Shop(name="shop")
    for stream in source.streams:
        sync(StreamRead(source, stream), made.destination)
    return made


def test_nothing_connects_before_something_is_read(tmp_path: Path) -> None:
    made = DuckDBCache(db_path=tmp_path / "deep" / "x.duckdb")
    assert repr(made) == "DuckDBCache('x')"
    assert not list(tmp_path.iterdir())
    assert len(made) == 0
    assert bool(made)


def test_it_is_a_mapping_of_streams(cache: DuckDBCache) -> None:
    assert list(cache) == ["orders", "refunds"]
    assert len(cache) == 2
    assert "orders" in cache
    assert "none" not in cache
    assert cache["orders"] == cache.get_records("orders") == CachedDataset(cache, "orders")
    assert cache["orders"] != cache["refunds"]
    with pytest.raises(KeyError):
        cache["none"]
    with pytest.raises(StreamNotFoundError, match=r"'order'.*'orders'"):
        cache.get_records("order")
    assert cache.fetch_table_statistics() == {
        "orders": {"row_count": 5},
        "refunds": {"row_count": 0},
    }


def test_records_come_back_exactly(cache: DuckDBCache) -> None:
    dataset = cache["orders"]
    assert len(dataset) == 5
    assert dataset.column_names[:5] == ["id", "name", "price", "at", "tags"]
    first = next(iter(dataset))
    assert (first["id"], first["name"], first["price"], first["at"]) == (
        1,
        "n'1",
        Decimal("1.10"),
        WHEN,
    )
    assert dataset.to_pandas()["price"].to_list()[4] == Decimal("5.50")
    assert dataset.to_polars().height == 5
    assert next(iter(dataset.to_documents(content_properties=["name"]))).content == "n'1"
    assert dataset.to_arrow().schema.field("at").type == pa.timestamp("us", "UTC")
    empty = cache["refunds"]
    assert (len(empty), list(empty), empty.to_pandas().empty) == (0, [], True)
    assert empty.to_arrow().schema.field("id").type == pa.int64()


def test_a_filter_holds_in_every_way_to_read(cache: DuckDBCache) -> None:
    for condition in ("id > 3", sa.column("id") > 3, sa.column("name").in_(["n'4", "n'5"])):
        found = cache["orders"].with_filter(condition)
        assert len(found) == 2
        assert [row["id"] for row in found] == [4, 5]
        assert found.to_pandas()["id"].to_list() == [4, 5]
        assert found.to_arrow().to_table()["id"].to_pylist() == [4, 5]
        assert found.to_polars()["id"].to_list() == [4, 5]
        assert len(list(found.to_documents())) == 2
        assert [row["id"] for row in found.with_filter("id < 5 OR 1 = 0")] == [4]
    assert len(cache["orders"]) == 5


def test_an_arrow_dataset_is_a_snapshot_that_goes_with_its_file(cache: DuckDBCache) -> None:
    dataset = cache.get_arrow_dataset("orders", max_chunk_size=2)
    cache.execute_sql("DELETE FROM main.orders WHERE id > 1")
    assert dataset.count_rows() == dataset.to_table().num_rows == 5
    assert max(len(batch) for batch in dataset.to_batches()) == 2
    assert cache.get_arrow_dataset("orders").count_rows() == 1
    assert not (cache.cache_dir / "staging").exists()


def test_a_cache_can_be_loaded_while_a_dataset_of_it_is_iterated(cache: DuckDBCache) -> None:
    seen = 0
    for _ in cache["orders"]:
        seen += 1
        if seen == 2:
            sync(StreamRead(Shop(name="shop"), Shop.streams[0]), cache.destination)
    assert seen == 5
    assert len(cache["orders"]) == 5


def test_sql_by_engine_table_and_text(cache: DuckDBCache) -> None:
    table = cache["orders"].to_sql_table()
    assert isinstance(table.c.price.type, sa.Numeric)
    assert isinstance(table.c.at.type, sa.DateTime)
    assert table.c.at.type.timezone
    with cache.get_sql_engine().connect() as connection:
        found = (
            connection.execute(sa.select(table.c.id).where(table.c.name == "n'3")).scalars().all()
        )
        # A load of the same process comes in beside an engine's open connection.
        sync(StreamRead(Shop(name="shop"), Shop.streams[0]), cache.destination)
    assert found == [3]
    rows = cache.run_sql_query("SELECT id, price FROM main.orders ORDER BY id", max_records=2)
    assert rows == [{"id": 1, "price": Decimal("1.10")}, {"id": 2, "price": Decimal("2.20")}]
    with pytest.raises(Exception, match="no_such"):
        cache.execute_sql(["DELETE FROM main.orders", "DELETE FROM main.no_such"])
    assert len(cache["orders"]) == 5, "the first statement was rolled back"
    assert cache.processor.get_sql_table_name("orders") == "orders"
    assert cache.get_vendor_client().sql("SELECT 1").fetchall() == [(1,)]


def test_one_stream_name_of_two_sources_is_told_and_not_mixed(tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    sync(StreamRead(Shop(name="shop"), Shop.streams[0]), cache.destination)
    with pytest.raises(Exception, match="belongs to stream 'orders' of source 'shop'"):
        sync(StreamRead(Shop(name="other"), Shop.streams[0]), cache.destination)


def test_the_default_cache_and_one_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert get_default_cache().db_path == Path(".cache/default_cache/default_cache.duckdb")
    assert new_local_cache("mine_1").db_path == Path(".cache/mine_1/db_mine_1.duckdb")
    assert (
        new_local_cache("mine", tmp_path / "there").db_path == tmp_path / "there" / "db_mine.duckdb"
    )
    assert new_local_cache().db_path != new_local_cache().db_path
    for wrong in ("two words", "a-b", ""):
        with pytest.raises(InputError, match="name of a cache"):
            new_local_cache(wrong)
    assert not list(tmp_path.iterdir())


def test_a_cache_is_a_pydantic_model(tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb")
    assert cache.model_copy(update={"table_prefix": "p_"}).table_prefix == "p_"
    assert DuckDBCache.model_validate(cache.model_dump()).config_hash == cache.config_hash
    assert cache.config_hash != DuckDBCache(db_path=tmp_path / "y.duckdb").config_hash
    assert DuckDBCache.paired_destination_name == "destination-duckdb"


def test_colab_outside_and_inside_of_a_notebook(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ImportError, match="Colab"):
        get_colab_cache()
    colab: Any = ModuleType("google.colab")
    mounted: list[str] = []
    colab.drive = SimpleNamespace(mount=mounted.append)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    mine = get_colab_cache(mount_path=str(tmp_path))
    assert mine.db_path == tmp_path / "MyDrive/Airbyte/cache/default_cache.duckdb"
    theirs = get_colab_cache("x", "sub", drive_name="Team", mount_path=str(tmp_path))
    assert theirs.db_path == tmp_path / "Shareddrives/Team/sub/x.duckdb"
    assert mounted == [str(tmp_path)] * 2

"""Several images of a key in a SQL table that is a history: the newest by the replication key is loaded, however read."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from tests.assets.shop import run

NAMES = ("orders", "users")
IMAGES = [(n, f"image {day} of {n}", day) for day in (3, 1, 2) for n in range(1, 21)]
"""The newest image of each key is the first in the table."""
NEWEST = [(n, f"image 3 of {n}", 3) for n in range(1, 21)]


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as shop, shop:
        for name in NAMES:
            shop.execute(f"CREATE TABLE {name} (id INTEGER, name TEXT, day INTEGER)")
            shop.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", IMAGES)
    return f"sqlite:///{path}"


def change(url: str, name: str, rows: list[tuple[int | None, str, int]]) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as shop, shop:
        shop.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", rows)


def streams(**words: Any) -> list[Stream]:
    return [
        Stream(name, **{"primary_key": ["id"], "replication_key": "day", **words}) for name in NAMES
    ]


def rows_of(warehouse: DuckDBDestination, stream: Stream) -> list[tuple[Any, ...]]:
    with warehouse.transaction() as tx:
        found = tx.read(warehouse.table_for("shop", stream), ["id", "name", "day"]).to_pylist()
    return sorted(tuple(row.values()) for row in found)


WAYS: dict[str, dict[str, Any]] = {
    "a step for each": {},
    "all in one step": {"granularity": "source"},
    "in ranges": {"options": {name: StreamOptions(split=3) for name in NAMES}},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_newest_image_of_a_key_is_loaded(
    way: str, url: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    warehouse = DuckDBDestination(tmp_path / "w.duckdb")
    source = SqlSource("shop", url, streams=streams(), batch_rows=7)
    assets = stream_assets(source, destination=warehouse, **WAYS[way])
    assert run(assets, instance).success
    assert [rows_of(warehouse, stream) for stream in source.streams] == [NEWEST, NEWEST]

    # The next run reads what is at and after the bookmark; the newer of two images comes first.
    for name in NAMES:
        change(url, name, [(1, "image 5 of 1", 5), (1, "image 4 of 1", 4), (2, "late", 2)])
    assert run(assets, instance).success
    after = [(1, "image 5 of 1", 5), *NEWEST[1:]]
    assert [rows_of(warehouse, stream) for stream in source.streams] == [after, after]


@pytest.mark.parametrize("way", WAYS)
def test_so_it_is_by_a_full_refresh(
    way: str, url: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    warehouse = DuckDBDestination(tmp_path / "w.duckdb")
    source = SqlSource("shop", url, streams=streams())
    assets = stream_assets(source, destination=warehouse, **WAYS[way])
    for _ in range(2):
        assert run(assets, instance, tags={"etl_assets/full_refresh": "*"}).success
        assert [rows_of(warehouse, stream) for stream in source.streams] == [NEWEST, NEWEST]


def test_rows_without_a_key_are_no_images_of_each_other(
    url: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    change(url, "orders", [(None, "one", 1), (None, "other", 2)])
    warehouse = DuckDBDestination(tmp_path / "w.duckdb")
    source = SqlSource("shop", url, streams=streams()[:1])
    assets = stream_assets(source, destination=warehouse)
    assert run(assets, instance, tags={"etl_assets/full_refresh": "*"}).success
    loaded = warehouse.read_table(warehouse.table_for("shop", source.streams[0])).to_pylist()
    assert len(loaded) == len(NEWEST) + 2
    assert sorted(row["name"] for row in loaded if row["id"] is None) == ["one", "other"]

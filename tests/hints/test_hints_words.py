"""Hints that show how an argument is written: what they show is taken."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import (
    Catalog,
    DuckDBCache,
    DuckDBDestination,
    FileSource,
    Source,
    Stream,
    StreamRead,
    build_source_sensor,
    build_sync_schedule,
    get_destination,
    get_source,
    stream_assets,
)
from etl_assets.model.schema.type_overrides import types_of
from etl_assets.start import resolve_start
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import sync
from tests.assets.shop import Shop, people
from tests.hints.following import hint_of
from tests.sources.drops import batches, put, stream_of


def test_types_of_fields_are_given_as_the_hints_say() -> None:
    hint_of(lambda: types_of("string", "orders"), '{"id": "string"}')
    assert types_of({"id": "string"}, "orders") == {"id": "string"}
    shown = {"type": "number", "multipleOf": 0.01}
    hint_of(lambda: types_of({"id": "money"}, "orders"), '{"type": "number", "multipleOf": 0.01}')
    assert types_of({"id": shown}, "orders") == {"id": shown}


def test_a_connector_without_a_known_beginning_has_a_protocol() -> None:
    hint_of(
        lambda: get_source("shop", local_executable=Path("shop")),
        'protocol="airbyte"',
        'protocol="singer"',
    )
    for protocol in ("airbyte", "singer"):
        assert get_source("shop", local_executable=Path("shop"), protocol=protocol).name == "shop"
    for name in ("source-shop", "tap-shop"):
        assert get_source(name, local_executable=Path("shop")).name == name


@pytest.mark.parametrize(
    ("call", "words", "then"),
    [
        (
            get_source,
            'get_source("source-faker", config={...})',
            lambda: get_source("source-faker", config={}),
        ),
        (
            lambda: get_source("source-faker", {}, None, ["users"]),  # type: ignore[call-arg]
            "streams=[...]",
            lambda: get_source("source-faker", {}, streams=["users"]),
        ),
    ],
)
def test_a_connector_is_named_first(
    call: Callable[[], Any], words: str, then: Callable[[], Any]
) -> None:
    hint_of(call, words)
    assert then().connector_name == "source-faker"


def test_a_catalog_is_one_of_three(tmp_path: Path) -> None:
    shop, place = Shop(), DuckDBDestination(str(tmp_path / "w.duckdb"))
    catalog = Catalog(shop.streams)
    hint_of(
        lambda: stream_assets(shop, catalog=5, destination=place),  # type: ignore[arg-type]
        "a Catalog, its JSON as a dict, or a file",
    )
    (tmp_path / "c.json").write_text(json.dumps(catalog.to_dict()))
    for one in (catalog, catalog.to_dict(), str(tmp_path / "c.json"), tmp_path / "c.json"):
        assert len(stream_assets(shop, catalog=one, destination=place)) == len(shop.streams)


def test_a_header_and_rows_of_it_are_said_in_one_way(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\nc,d\n1,2\n")
    both: dict[str, Any] = {"header": ["x", "y"], "header_rows": 2}
    hint_of(
        lambda: FileSource("f", f"{tmp_path}/a.csv", **both),
        "Leave header out",
        "leave header_rows out",
        "skip_rows",
    )
    for options, names in (
        ({"header_rows": 2}, ["a_c", "b_d"]),
        ({"header": ["x", "y"], "skip_rows": 2}, ["x", "y"]),
    ):
        source = FileSource("f", f"{tmp_path}/a.csv", **options)
        (batch,) = batches(source)
        assert batch.to_arrow(stream_of(source)).column_names == names


def test_another_incremental_needs_a_full_refresh(tmp_path: Path) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))

    def load(by: str, **options: Any) -> Any:
        source = FileSource("drop", f"{tmp_path}/*.csv", incremental=by)
        read = StreamRead(source, stream_of(source))
        return sync(read, warehouse, start=resolve_start(read, warehouse, **options))

    put(tmp_path / "a.csv", [1])
    load("name")
    hint_of(lambda: load("modified"), "full_refresh", "incremental")
    assert load("modified", full_refresh=True).strategy is WriteStrategy.REPLACE
    assert load("modified").records_read == 0


def test_a_sensor_and_a_schedule_have_assets(tmp_path: Path) -> None:
    shop = Shop({"customers": people(1)})
    assets = stream_assets(
        shop, ["customers"], destination=DuckDBDestination(str(tmp_path / "w.duckdb"))
    )
    hint_of(lambda: build_source_sensor(shop, assets=[]), "assets=", "streams=[...]")
    assert build_source_sensor(shop, assets=assets).name
    assert build_source_sensor(shop, streams=["customers"]).name
    hint_of(lambda: build_sync_schedule([], "@daily"), "the list that stream_assets gave, or keys")
    assert build_sync_schedule(assets, "@daily").cron_schedule == "@daily"
    assert (
        build_sync_schedule([dg.AssetKey(["shop", "customers"])], "@daily").cron_schedule
        == "@daily"
    )


@pytest.mark.parametrize(
    ("get", "word"), [(get_source, "source_name"), (get_destination, "destination_name")]
)
def test_a_connector_has_a_name_beside_that_of_its_kind(get: Any, word: str) -> None:
    kind = "source-faker" if get is get_source else "destination-motherduck"
    hint_of(lambda: get(kind, name="mine"), f"{word}= is the name that tells it from others")
    assert get(kind, **{word: "mine"}).name == "mine"


class Alike(Source):
    """Two fields of one name, but for their case."""

    streams = [
        Stream(
            "people",
            schema={"properties": {name: {"type": ["null", "integer"]} for name in ("id", "ID")}},
        )
    ]

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Any:
        yield [{"id": 1, "ID": 2}]


@pytest.mark.parametrize("declared", [True, False])
def test_fields_of_one_name_but_for_its_case_are_read_into_a_table(
    declared: bool, tmp_path: Path
) -> None:
    source = Alike(name="shop")
    if not declared:
        source.streams = [Stream("people")]
    hint_of(
        lambda: list(source.get_records("people")), "Read it with rows or Arrow: `source.read()`."
    )
    result = source.read(DuckDBCache(db_path=str(tmp_path / "c.duckdb")))
    [row] = result["people"].to_pandas().to_dict("records")
    assert sorted(value for name, value in row.items() if str(name).lower().startswith("id")) == [
        1,
        2,
    ]
    assert result["people"].to_arrow().count_rows() == 1

"""PyAirbyte's verbs on a source of ours: select, look, read."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from typing_extensions import override

from etl_assets import Batch, Source, Stream
from etl_assets.caches import DuckDBCache
from etl_assets.exceptions import (
    AirbyteConnectorCheckFailedError,
    AirbyteConnectorConfigurationMissingError,
    AirbyteConnectorValidationFailedError,
    AirbyteStreamNotFoundError,
    InputError,
    PyAirbyteNoStreamsSelectedError,
    UnavailableError,
)
from etl_assets.model.events import Checkpoint, Event, Records, SourceState, StreamEnd
from etl_assets.scripts.reading import StreamsFailedError

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "Name": {"type": "string"},
        "at": {"type": "integer"},
    },
}


class Options(BaseModel):
    """What the shop takes."""

    token: str
    pages: int = 1


class Shop(Source):
    """Users that grow, orders that are read whole, and refunds that fail where the test says so."""

    Options = Options
    needs_config = True
    broken = False
    reads = 0
    rows: Sequence[dict[str, Any]] = [
        {"id": 1, "Name": "a", "at": 1},
        {"id": 2, "Name": "b", "at": 2},
    ]

    streams = (
        Stream("users", schema=SCHEMA, primary_key="id", replication_key="at"),
        Stream("orders", schema=SCHEMA),
        Stream("refunds"),
    )

    @override
    def test_connection(self) -> None:
        if self.config["token"] == "wrong-token":  # noqa: S105 - a test's
            raise UnavailableError("no way in")

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        Shop.reads += 1
        if stream.name == "refunds":
            if self.broken:
                raise OSError("the refunds are on fire")
            yield [{"id": 1, "undeclared": True}]
            return
        yield [row for row in self.rows if not bookmarks or row["at"] >= bookmarks["at"]]


@pytest.fixture
def shop() -> Shop:
    return Shop(name="shop", config={"token": "the-token"})


@pytest.fixture
def cache(tmp_path: Path) -> DuckDBCache:
    return DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path / "cache")


def test_the_config_and_what_it_can_be(
    shop: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert shop.get_config() == {"token": "the-token"}
    assert shop.config_hash != Shop(name="shop", config={"token": "other-token"}).config_hash
    assert (
        Shop(name="s", config={"token": "x", "pages": 1}).config_hash
        == Shop(name="s", config={"pages": 1, "token": "x"}).config_hash
    )
    assert list(shop.config_spec["properties"]) == ["token", "pages"]
    shop.print_config_spec()
    assert yaml.safe_load(capsys.readouterr().out)["properties"]["pages"]["default"] == 1
    shop.print_config_spec("json", output_file=tmp_path / "spec.json")
    assert json.loads((tmp_path / "spec.json").read_text()) == shop.config_spec
    with pytest.raises(InputError, match="toml"):
        shop.print_config_spec("toml")  # type: ignore[arg-type]
    shop.validate_config()
    with pytest.raises(AirbyteConnectorValidationFailedError, match="'token' must be there"):
        shop.set_config({"pages": 1})
    with pytest.raises(
        AirbyteConnectorValidationFailedError, match="pages does not meet the rule type"
    ) as caught:
        shop.validate_config({"token": "t", "pages": "the-secret-value"})
    assert "the-secret-value" not in str(caught.value)
    assert shop.get_config() == {"token": "the-token"}
    assert shop.docs_url.endswith("/sources/shop")


def test_a_check_says_that_it_worked_or_why_it_did_not(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.check()
    assert "succeeded" in capsys.readouterr().out
    shop.set_config({"token": "wrong-token"})
    with pytest.raises(AirbyteConnectorCheckFailedError, match="no way in"):
        shop.check()


def test_streams_selected_before_there_is_a_config_are_selected_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = Shop(name="shop")
    assert shop.config_hash is None
    for verb in (shop.get_config, shop.check, shop.get_available_streams):
        with pytest.raises(AirbyteConnectorConfigurationMissingError, match="set_config"):
            verb()
    shop.select_streams(["users", "orders"])
    assert "no config yet" in capsys.readouterr().out
    assert shop.get_selected_streams() == []
    shop.set_config({"token": "the-token"})
    assert shop.get_selected_streams() == ["users", "orders"]


def test_selecting(shop: Shop) -> None:
    assert shop.get_available_streams() == ["users", "orders", "refunds"]
    assert shop.get_selected_streams() == []
    shop.select_streams("users")
    shop.select_streams(["orders"])
    assert shop.get_selected_streams() == ["orders"]
    shop.select_all_streams()
    assert shop.get_selected_streams() == ["users", "orders", "refunds"]
    with pytest.warns(DeprecationWarning, match="select_streams"):
        shop.set_streams(["users"])
    with pytest.raises(AirbyteStreamNotFoundError, match=r"'user'.*'users'") as caught:
        shop.select_streams(["user"])
    assert caught.value.available_streams == ["users", "orders", "refunds"]
    assert shop.get_selected_streams() == ["users"]


def test_catalogs_in_airbytes_shape(shop: Shop) -> None:
    users, orders, _ = shop.discovered_catalog.streams
    assert users.name == "users"
    assert users.json_schema == SCHEMA
    assert users.supported_sync_modes == ["full_refresh", "incremental"]
    assert users.source_defined_primary_key == [["id"]]
    assert orders.supported_sync_modes == ["full_refresh"]
    shop.select_streams("orders")
    (configured,) = shop.configured_catalog.streams
    assert (configured.stream.name, configured.sync_mode) == ("orders", "full_refresh")
    assert shop.get_configured_catalog("*").streams[0].sync_mode == "incremental"
    assert (
        shop.get_configured_catalog(["users"], force_full_refresh=True).streams[0].sync_mode
        == "full_refresh"
    )
    document = json.loads(shop.get_configured_catalog(["users"]).model_dump_json(exclude_none=True))
    assert document["streams"][0]["primary_key"] == [["id"]]
    with pytest.raises(InputError, match="bad"):
        shop.get_configured_catalog("bad")
    with pytest.raises(InputError, match="bad"):
        shop.get_stream_json_schema("bad")
    assert shop.get_stream_json_schema("users") == SCHEMA


def test_keys_set_by_hand(shop: Shop, cache: DuckDBCache) -> None:
    shop.set_primary_key("ORDERS", "id")
    shop.set_cursor_keys(orders="at")
    (orders,) = shop.get_configured_catalog(["orders"]).streams
    assert (orders.primary_key, orders.cursor_field, orders.sync_mode) == (
        [["id"]],
        ["at"],
        "incremental",
    )
    with pytest.raises(InputError, match="no field 'ID'"):
        shop.set_primary_key("users", "ID")
    with pytest.raises(AirbyteStreamNotFoundError):
        shop.set_cursor_key("none", "id")
    result = shop.read(cache, streams=["orders"])
    assert result.results["orders"].bookmark == {"at": 2}


def test_records_one_by_one(shop: Shop) -> None:
    dataset = shop.get_records("users")
    before = Shop.reads
    assert Shop.reads == before, "nothing is read before it is asked for"
    first = next(iter(dataset))
    assert (first["ID"], first["name"]) == (1, "a")
    assert {"_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta"} <= set(first)
    assert len(list(dataset)) == 2
    assert Shop.reads == before + 2
    assert [row["id"] for row in shop.get_records("users", limit=1)] == [1]
    assert list(next(iter(shop.get_records("users", normalize_field_names=True))))[:3] == [
        "id",
        "name",
        "at",
    ]
    assert next(iter(shop.get_records("refunds")))["undeclared"] is True, (
        "nothing is declared, so nothing is pruned"
    )
    with pytest.raises(InputError, match="'non'"):
        shop.get_records("non")
    (document, _) = shop.get_documents("users", title_property="Name", content_properties=["at"])
    assert (document.content, document.id) == ("# a\n\n1", "1")


def test_samples(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.broken = True
    with pytest.raises(Exception, match="on fire"):
        shop.get_samples()
    found = shop.get_samples(["users", "refunds"], limit=1, on_error="ignore")
    assert found["refunds"] is None
    assert found["users"] is not None
    assert len(found["users"]) == 1
    shop.print_samples()
    shown = capsys.readouterr().out
    assert "users: 2 records" in shown
    assert "refunds: no sample" in shown
    with pytest.raises(InputError, match="on_error"):
        shop.get_samples(on_error="x")  # type: ignore[arg-type]


def test_reading_all_streams_where_none_is_selected(
    shop: Shop, cache: DuckDBCache, capsys: pytest.CaptureFixture[str]
) -> None:
    result = shop.read(cache)
    assert list(result) == list(result.streams) == ["users", "orders", "refunds"]
    assert (len(result), result.processed_records, result.source_name) == (3, 5, "shop")
    assert "users" in result
    assert 1 not in result  # type: ignore[comparison-overlap]
    assert [row["id"] for row in result["users"].records] == [1, 2]
    assert result["orders"].to_pandas()["name"].to_list() == ["a", "b"]
    assert "users" in capsys.readouterr().out
    assert result.cache is cache
    with result.get_sql_engine().connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM main.users").scalar() == 2
    with pytest.raises(KeyError):
        result["none"]
    assert next(iter(result["users"].to_documents(content_properties=["name"]))).id == "1"


def test_the_second_read_goes_on_and_a_full_refresh_begins_anew(
    shop: Shop, cache: DuckDBCache
) -> None:
    shop.select_streams("users")
    shop.read(cache)
    shop.rows = [{"id": 2, "Name": "B", "at": 3}, {"id": 3, "Name": "c", "at": 3}]
    result = shop.read(cache)
    assert result.results["users"].records_loaded == 2
    assert sorted(row["name"] for row in result["users"]) == ["B", "a", "c"]
    again = shop.read(cache, force_full_refresh=True)
    assert sorted(row["name"] for row in again["users"]) == ["B", "c"]
    appended = shop.read(cache, streams="orders", write_strategy="append")
    assert shop.get_selected_streams() == ["orders"]
    assert len(appended["orders"]) == 2


@pytest.mark.parametrize(
    ("strategy", "expected"), [("append", 4), ("merge", 2), ("replace", 2), ("auto", 2)]
)
def test_a_strategy_that_was_named_rules_a_full_refresh(
    strategy: str, expected: int, shop: Shop, cache: DuckDBCache
) -> None:
    for _ in range(2):
        result = shop.read(cache, streams="users", write_strategy=strategy, force_full_refresh=True)
    assert len(result["users"]) == expected


def test_strategies_by_name(shop: Shop, cache: DuckDBCache) -> None:
    for name in ("upsert", "merge", "auto"):
        result = shop.read(cache, streams=["users"], write_strategy=name)
        assert str(result.results["users"].strategy) == "merge"
    with pytest.raises(InputError, match="'sideways'"):
        shop.read(cache, write_strategy="sideways")
    with pytest.raises(Exception, match="primary key"):
        shop.read(cache, streams=["orders"], write_strategy="merge")


def test_a_failing_stream_leaves_the_others(shop: Shop, cache: DuckDBCache) -> None:
    shop.broken = True
    with pytest.raises(
        StreamsFailedError, match=r"1 of 3 streams of 'shop' failed: 'refunds'.*on fire"
    ) as caught:
        shop.read(cache)
    assert list(caught.value.read_result) == ["users", "orders"]
    assert len(cache["users"]) == len(cache["orders"]) == 2


def test_a_source_without_streams_says_so(cache: DuckDBCache) -> None:
    with pytest.raises(PyAirbyteNoStreamsSelectedError):
        Source(name="empty").read(cache)


def test_reading_into_the_default_cache(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = shop.read(streams=["orders"])
    assert (tmp_path / ".cache/default_cache/default_cache.duckdb").exists()
    assert len(result["orders"]) == 2


class Pair(Source):
    """Two streams that share a process and a state."""

    granularity = "source"
    streams = (Stream("a", primary_key="id"), Stream("b", primary_key="id"))

    @override
    def load_streams(
        self, streams: Sequence[Stream], state: SourceState, **kwargs: Any
    ) -> Iterator[Event]:
        begins = (state.shared or {}).get("at", 0)
        for stream in streams:
            yield Records(stream, Batch([{"id": begins + 1, "of": stream.name}]))
        yield Checkpoint({"at": begins + 1})
        for stream in streams:
            yield StreamEnd(stream)


def test_a_source_whose_streams_are_read_together(cache: DuckDBCache) -> None:
    pair = Pair(name="pair")
    result = pair.read(cache)
    assert {name: len(result[name]) for name in result} == {"a": 1, "b": 1}
    again = pair.read(cache, write_strategy="append")
    assert {name: sorted(row["id"] for row in again[name]) for name in again} == {
        "a": [1, 2],
        "b": [1, 2],
    }
    assert [row["of"] for row in pair.get_records("b")] == ["b"]


def test_its_streams_are_assets_too(shop: Shop, cache: DuckDBCache) -> None:
    assets = shop.to_assets(destination=cache.destination, streams=["users"])
    assert [key.path for asset in assets for key in asset.keys] == [["shop", "users"]]

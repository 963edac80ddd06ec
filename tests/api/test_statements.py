"""Sentences of PyAirbyte's documents that no other test shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from etl_assets import Destination, Source, Stream, get_available_connectors
from etl_assets.caches import DuckDBCache
from etl_assets.datasets import CachedDataset
from etl_assets.exceptions import AirbyteConnectorValidationFailedError
from etl_assets.records import StreamRecordHandler

SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}},
}


class Strict(BaseModel):
    """What the source takes."""

    token: str


class Shop(Source):
    """One stream, of a source that is checked before it is read."""

    Options = Strict
    streams = (Stream("users", schema=SCHEMA, primary_key="id"),)

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [{"id": 1, "name": "a"}]


def test_connectors_say_what_they_are() -> None:
    assert (Source.connector_type, Destination.connector_type) == ("source", "destination")


def test_available_connectors_are_in_order_with_their_prefix() -> None:
    names = get_available_connectors()
    assert names == sorted(names)
    assert "source-faker" in names


def test_a_config_is_checked_before_a_read_unless_that_is_skipped(tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "c.duckdb")
    source = Shop(name="shop", config={"tokens": "t"})
    with pytest.raises(AirbyteConnectorValidationFailedError):
        source.read(cache)
    assert source.read(cache, skip_validation=True).processed_records == 1


def test_a_dataset_is_made_with_or_without_the_configuration_of_its_stream(tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "c.duckdb")
    Shop(name="shop", config={"token": "t"}).read(cache)
    for configuration in (None, False, Shop.streams[0]):
        found = CachedDataset(cache, "users", configuration)
        assert [(record["id"], record["name"]) for record in found] == [(1, "a")]


def test_the_keys_that_a_stream_declares_are_those_a_record_expects() -> None:
    handler = StreamRecordHandler(json_schema=SCHEMA, prune_extra_fields=True, normalize_keys=True)
    assert list(handler.index_keys) == ["id", "name"]

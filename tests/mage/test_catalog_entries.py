"""Catalog entries as sources written for Mage change them; no change reaches the engine's stream or another read."""

import json
from collections.abc import Iterator
from copy import copy, deepcopy
from typing import Any

import dagster as dg
import pytest

from etl_assets import DuckDBDestination, Stream, StreamRead, stream_assets
from etl_assets.exceptions import ConfigError
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import Catalog, CatalogEntry, Schema, frozen
from etl_assets.utils.schema_helpers import extract_selected_columns

SCHEMA = {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
USERS = Stream("users", primary_key="id", schema=SCHEMA)


def entry() -> Any:
    return CatalogEntry.of(USERS)


def test_every_word_of_an_entry_can_be_set() -> None:
    changed = entry()
    changed.replication_method = "INCREMENTAL"  # before its key: what is half done is no error
    changed.replication_key = "id"
    changed.bookmark_properties = ["id"]
    changed.key_properties = ["name"]
    changed.unique_constraints = ["name"]
    changed.unique_conflict_method = "IGNORE"
    changed.auto_add_new_fields = True
    changed.disable_column_type_check = True
    changed.partition_keys = ["name"]
    changed.run_in_parallel = True
    changed.stream_alias = "people"
    changed.schema = Schema.from_dict(
        {"properties": {"id": {"type": "string"}, "name": {"type": "string"}}}
    )
    changed.database, changed.table, changed.is_view, changed.row_count = "shop", "t_users", True, 7
    assert (changed.database, changed.table, changed.is_view, changed.row_count) == (
        "shop",
        "t_users",
        True,
        7,
    )
    written = changed.to_dict()
    assert written["key_properties"] == written["partition_keys"] == ["name"]
    assert (written["replication_method"], written["replication_key"]) == ("INCREMENTAL", "id")
    assert written["schema"]["properties"]["id"] == {"type": "string"}
    assert (written["row_count"], written["table_name"], written["stream_alias"]) == (
        7,
        "t_users",
        "people",
    )
    stream = frozen(changed)
    assert type(stream) is Stream
    assert (stream.cursor, stream.primary_key, stream.unique_conflict_method) == (
        ("id",),
        ("name",),
        "IGNORE",
    )
    assert CatalogEntry.from_dict(written).to_dict() == written
    assert Stream("users", primary_key="id", schema=SCHEMA) == USERS


def test_lists_and_schemas_can_be_changed_in_place() -> None:
    changed = entry()
    changed.metadata.append({"breadcrumb": ["properties", "at"], "metadata": {"selected": True}})
    changed.schema.properties["at"] = Schema(type=["null", "string"])
    changed.schema.properties["at"].format = "date-time"
    changed.schema.properties["name"]["type"] = ["null", "string"]
    changed.bookmark_properties.append("at")
    assert changed.bookmark_properties + changed.key_properties == ["at", "id"]
    stream = frozen(changed)
    assert stream.schema is not None
    assert stream.schema["properties"]["at"] == {"type": ["null", "string"], "format": "date-time"}
    assert stream.metadata_of("properties", "at") == {"selected": True}
    assert "at" in extract_selected_columns(changed.metadata)
    assert list(SCHEMA["properties"]) == ["id", "name"]
    assert CatalogEntry.of(USERS).metadata == entry().metadata


def test_what_is_wrong_is_said_where_the_engine_takes_it() -> None:
    changed = entry()
    changed.replication_method = "SOMETIMES"
    with pytest.raises(ConfigError, match=r"'users'.*SOMETIMES"):
        frozen(changed)


def test_a_frozen_stream_stays_as_it_is() -> None:
    changed = entry()
    stream = frozen(changed)
    changed.schema.properties.clear()
    changed.metadata.clear()
    assert stream.schema == SCHEMA
    assert frozen(stream) is stream


class Changing(Source):
    """Does to its stream and its catalog what Mage's connectors do."""

    streams = [USERS, USERS.replace(name="orders")]

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        assert stream.schema.properties["name"].type == "string"
        stream.schema.properties["name"].type = "integer"
        stream.schema = Schema({"properties": {}})
        stream.metadata.clear()
        stream.key_properties = ["nothing"]
        catalog: Any = self.catalog
        for other in catalog.streams:
            assert other.metadata
            other.metadata.clear()
        yield [{"id": 1, "name": "Ada"}]


def test_no_change_leaks_into_another_read(tmp_path: Any) -> None:
    catalog = Catalog(Changing.streams)
    source = Changing(name="changing", catalog=catalog)
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    assets = stream_assets(source, streams=["users", "orders"], destination=warehouse)
    for _ in range(2):
        assert dg.materialize(assets).success
    found = warehouse.read_table(warehouse.table_for("changing", USERS))
    assert found.select(["id", "name"]).to_pylist() == [{"id": 1, "name": "Ada"}]
    assert all(stream.metadata for stream in catalog.streams)


def test_a_discovered_catalog_that_changes_later_changes_no_asset(tmp_path: Any) -> None:
    catalog = Catalog([CatalogEntry.of(USERS)])
    source = Changing(name="changing", catalog=catalog)
    assets = stream_assets(
        source, streams=["users"], destination=DuckDBDestination(str(tmp_path / "w.duckdb"))
    )
    held: Any = catalog.get_stream("users")
    held.schema.properties["name"].type = "integer"
    held.key_properties = ["nothing"]
    assert dg.materialize(assets).success
    assert isinstance(StreamRead(source, held).stream, Stream)
    assert not isinstance(StreamRead(source, held).stream, CatalogEntry)


class Preparing(Source):
    """Changes the stream on its way to `sync_stream`, as a tap."""

    streams = [USERS]

    def process_stream(self, stream: Any, properties: Any = None) -> None:
        stream.schema.properties["extra"] = Schema(type=["null", "boolean"])
        stream.replication_method = "FULL_TABLE"
        super().process_stream(stream, properties)

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        assert "extra" in stream.schema.properties
        yield [{"id": 1, "name": "Ada", "extra": True}]


def test_a_tap_may_change_its_stream_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    Preparing().process()
    schema, row = map(json.loads, capsys.readouterr().out.splitlines())
    assert schema["schema"]["properties"]["extra"] == {"type": ["null", "boolean"]}
    assert row["record"]["extra"] is True


def test_what_changes_the_list_of_streams_changes_the_catalog() -> None:
    catalog = Catalog([])
    made: Any = CatalogEntry()
    made.tap_stream_id = made.stream = "users"
    catalog.streams.append(made)
    assert catalog.get_stream("users") is made is catalog["users"] is catalog.streams[0]
    catalog.streams += [{"tap_stream_id": "orders"}]
    catalog.streams.insert(0, CatalogEntry("first"))
    assert [entry["tap_stream_id"] for entry in catalog.to_dict()["streams"]] == [
        "first",
        "users",
        "orders",
    ]
    catalog.streams.pop(0)
    catalog.streams = [stream for stream in catalog.streams if stream.name != "orders"]
    assert catalog.streams == [made]
    assert "orders" not in catalog


def test_a_list_of_streams_is_that_of_one_catalog() -> None:
    catalog = Catalog([{"tap_stream_id": "users"}])
    copied = deepcopy(catalog)
    copied.streams.append(CatalogEntry("orders"))
    shallow = copy(catalog)
    shallow.streams.clear()
    assert (len(catalog), len(copied), len(shallow)) == (1, 2, 0)
    with pytest.raises(ConfigError, match="two streams 'users'"):
        catalog.streams.append(CatalogEntry("users"))
    assert [stream.name for stream in catalog.streams] == ["users"]


def test_entries_of_singer_are_taken() -> None:
    class SingerEntry:
        def to_dict(self) -> dict[str, Any]:
            return {
                "tap_stream_id": "users",
                "stream": "users",
                "key_properties": ["id"],
                "schema": SCHEMA,
            }

    catalog = Catalog([])
    catalog.streams.append(SingerEntry())  # type: ignore[arg-type] # as connectors do
    assert list(catalog["users"].primary_key) == ["id"]

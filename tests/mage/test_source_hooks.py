"""Sources written for Mage: one per hook and habit."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from etl_assets import DuckDBDestination, Stream, StreamRead, stream_assets
from etl_assets.destinations.sql.base import main as destination_main
from etl_assets.exceptions import ConfigError, SourceError, StreamReadError
from etl_assets.sources.base import Source, main
from etl_assets.sources.catalog import Catalog, CatalogEntry, Schema
from etl_assets.sources.constants import (
    COLUMN_FORMAT_DATETIME,
    COLUMN_TYPE_STRING,
    REPLICATION_METHOD_INCREMENTAL,
)
from etl_assets.sources.messages import write_records, write_schema, write_state
from etl_assets.sources.utils import get_standard_metadata
from etl_assets.utils.dictionary import dig, extract, group_by, ignore_keys, index_by, merge_dict
from etl_assets.utils.schema_helpers import extract_selected_columns, filter_columns

ROOT = Path(__file__).parents[2]
USERS = Stream(
    "users",
    primary_key="id",
    replication_key="id",
    schema={"properties": {"id": {"type": "integer"}}},
)


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def states(messages: list[dict[str, Any]]) -> list[Any]:
    return [
        message["value"]["bookmarks"]["users"] for message in messages if message["type"] == "STATE"
    ]


class Numbers(Source):
    """Five users in two batches."""

    streams = [USERS]
    seen: list[dict[str, Any]] = []

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        self.seen.append({"bookmarks": bookmarks, "query": query, **kwargs})
        yield [{"id": 1}, {"id": 2}, {"id": 3}]
        yield [{"id": 4}, {"id": 5}]


def test_one_state_for_each_batch_or_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    Numbers().process()
    assert [s["id"] for s in states(said(capsys))] == [3, 5]
    Numbers(state_message_every=1).process()
    messages = said(capsys)
    assert [s["id"] for s in states(messages)] == [1, 2, 3, 4, 5]
    kinds = [message["type"] for message in messages]
    assert kinds == ["SCHEMA", *["RECORD", "STATE"] * 5]
    Numbers(state_message_every=2).process()
    assert [s["id"] for s in states(said(capsys))] == [2, 3, 5]


def test_state_holds_the_bookmarks_of_all_streams(capsys: pytest.CaptureFixture[str]) -> None:
    Numbers(state={"bookmarks": {"others": {"x": 1}, "users": {"id": 1}}}).process()
    last = [message for message in said(capsys) if message["type"] == "STATE"][-1]
    assert last["value"] == {"bookmarks": {"others": {"x": 1}, "users": {"id": 5}}}


def test_composite_bookmarks_keep_their_columns_and_null_moves_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Pairs(Source):
        is_sorted = False
        streams = [Stream("users", primary_key="id", replication_key=["a", "b"])]

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [
                {"id": 1, "a": 1, "b": 9},
                {"id": 2, "a": 2, "b": 1},
                {"id": 3, "a": None, "b": None},
            ]

    Pairs().process()
    assert states(said(capsys)) == [{"a": 2, "b": 1}]
    assert Pairs()._get_bookmark_properties_for_stream(Pairs.streams[0]) == ["a", "b"]


def test_a_failing_stream_is_named_and_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Halting(Source):
        streams = [Stream("a"), Stream("b")]

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            if stream.tap_stream_id == "a":
                raise KeyError("gone")
            yield [{"id": 1}]

    with pytest.raises(SourceError, match="1 of 2 streams failed: 'a'") as caught:
        Halting().process()
    assert isinstance(caught.value.__cause__, StreamReadError)
    assert isinstance(caught.value.__cause__.__cause__, KeyError)
    assert [message["stream"] for message in said(capsys)] == ["b", "b"]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("2026-01-02", datetime(2026, 1, 2)),  # noqa: DTZ001 - as Mage parses it
        ("2026-01-02 03:00", datetime(2026, 1, 2, 3)),  # noqa: DTZ001 - as above
        ("2026-01-02T03:00:00+01:00", datetime(2026, 1, 2, 2, tzinfo=UTC)),
        (None, None),
    ],
)
def test_start_date_is_passed_as_mage_parses_it_where_mage_passes_it(
    given: Any, passed: Any
) -> None:
    source = Numbers(config={"start_date": given, "token": dg.EnvVar("NOT_THERE")}, name="n")
    list(StreamRead(source, USERS.replace(replication_method="FULL_TABLE")).open(None))
    assert Numbers.seen[-1]["start_date"] == passed
    assert passed is None or (Numbers.seen[-1]["start_date"].tzinfo is None) == (
        passed.tzinfo is None
    )
    for bookmark in (None, {"id": 3}):
        list(StreamRead(source, USERS).open(bookmark))
        assert Numbers.seen[-1]["start_date"] is None


def test_a_start_date_that_is_none_is_an_error() -> None:
    full = USERS.replace(replication_method="FULL_TABLE")
    with pytest.raises(ConfigError, match="start_date"):
        list(StreamRead(Numbers(config={"start_date": "soon"}, name="n"), full).open(None))


def test_each_read_has_a_copy_as_mage_sets_it() -> None:
    class Looking(Source):
        kept: list[Any] = []

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            self.kept.append(
                (
                    self.state,
                    self.selected_streams,
                    self.query,
                    self.config,
                    self.catalog,
                    self.logger,
                )
            )
            self.state = {"spoiled": True}
            yield [{"id": 1}]

    source = Looking(name="looking", config={"a": 1})
    list(StreamRead(source, USERS, query={"_limit": 3}).open({"id": 7}))
    state, selected, query, config, catalog, logger = Looking.kept[0]
    assert state == {"bookmarks": {"users": {"id": 7}}}
    assert (selected, query, config) == (["users"], {"_limit": 3}, {"a": 1})
    assert [stream.tap_stream_id for stream in catalog.get_selected_streams(state)] == ["users"]
    assert logger is source.logger
    assert (source.state, source.catalog) == ({}, None)


def test_a_stream_has_mages_words() -> None:
    class Words(Source):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            assert stream.schema.to_dict()["properties"]["id"] == {"type": "integer"}
            assert stream.schema.properties["id"].type == "integer"
            assert extract_selected_columns(stream.metadata) == ["id", "name"]
            assert stream.to_dict()["key_properties"] == stream.key_properties == ["id"]
            assert (stream.replication_method, stream.replication_key) == ("INCREMENTAL", "id")
            yield [{"id": 1, "name": "a", "undeclared": 2}]

    schema = {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
    stream = Stream("users", primary_key="id", replication_key="id", schema=schema)
    (batch,) = StreamRead(Words(name="w"), stream).open(None)
    assert batch.to_arrow(stream).column_names == ["id", "name", "undeclared"]


def test_an_entry_is_a_stream() -> None:
    entry = CatalogEntry(
        tap_stream_id="users",
        stream="users",
        schema=Schema.from_dict({"properties": {"id": {"type": "integer"}}}),
        metadata=get_standard_metadata(
            ["id"], "INCREMENTAL", {"properties": {"id": {}}}, "users", ["id"]
        ),
        key_properties=["id"],
        replication_method=REPLICATION_METHOD_INCREMENTAL,
        replication_key="id",
        bookmark_properties=["id"],
        unique_constraints=["id"],
        unique_conflict_method="UPDATE",
        database=None,
        is_view=False,
        table="t_users",
    )
    assert isinstance(entry, Stream)
    assert (entry.tap_stream_id, entry.stream, entry.table) == ("users", "users", "t_users")
    assert entry.is_view is False
    assert entry.to_dict()["unique_constraints"] == ["id"]
    assert json.loads(json.dumps(entry.to_dict()["schema"])) == {
        "properties": {"id": {"type": "integer"}}
    }
    catalog = Catalog([entry, {"tap_stream_id": "b", "schema": {}}])
    found = catalog.get_stream("users")
    assert found == entry
    assert catalog.get_stream("c") is None
    assert found is not None
    assert CatalogEntry.of(found.replace(selected=True)).is_selected()


def test_discovery_by_hooks_and_entries(capsys: pytest.CaptureFixture[str]) -> None:
    class Discovering(Source):
        def discover(self, streams: Any = None) -> Any:
            schema = {
                "properties": {"id": {"type": ["integer"]}, "at": {"type": [COLUMN_TYPE_STRING]}}
            }
            return Catalog(
                [self.build_catalog_entry("users", Schema.from_dict(schema), stream_alias="people")]
            )

        def get_forced_replication_method(self, stream_id: str) -> str:
            return REPLICATION_METHOD_INCREMENTAL

        def get_table_key_properties(self, stream_id: str) -> list[str]:
            return ["id"]

        def get_valid_replication_keys(self, stream_id: str) -> list[str]:
            return ["at"]

    Discovering(discover_mode=True).process()
    (stream,) = said(capsys)[0]["streams"]
    assert (stream["key_properties"], stream["replication_method"]) == ([], "INCREMENTAL")
    assert CatalogEntry.from_dict(stream).key_properties == ["id"]  # the metadata says it
    own = {
        "table-key-properties": ["id"],
        "forced-replication-method": "INCREMENTAL",
        "valid-replication-keys": ["at"],
    }
    assert stream["metadata"][0]["metadata"] == {
        **own,
        "inclusion": "available",
        "schema-name": "users",
        "selected": False,
    }
    assert [entry["metadata"]["inclusion"] for entry in stream["metadata"][1:]] == [
        "automatic",
        "automatic",
    ]
    Discovering(discover_mode=True, discover_streams_mode=True).process()
    assert json.loads(capsys.readouterr().out) == [{"stream": "users", "tap_stream_id": "users"}]
    Discovering(catalog=None).process()
    assert capsys.readouterr().out == ""  # nothing is selected yet


def test_a_catalog_of_plain_dicts_is_discovered_too(capsys: pytest.CaptureFixture[str]) -> None:
    class Plain(Source):
        def discover(self, streams: Any = None) -> Any:
            return {
                "streams": [
                    {"tap_stream_id": "users", "stream": "users", "schema": {}, "metadata": []}
                ]
            }

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1}]

    Plain(discover_mode=True).process()
    assert said(capsys)[0]["streams"][0]["stream"] == "users"
    Plain().process()
    assert [message["type"] for message in said(capsys)] == ["SCHEMA", "RECORD"]


SCHEMAS_SOURCE = """
from etl_assets.sources.base import Source, main

class Filed(Source):
    def get_table_key_properties(self, stream_id):
        return ["id"]

    def load_data(self, stream, bookmarks=None, query=None, start_date=None, **kwargs):
        yield [{"id": 1, "name": "a"}]

if __name__ == "__main__":
    main(Filed)
"""


def test_schemas_beside_the_class_are_its_catalog(tmp_path: Path) -> None:
    (tmp_path / "filed.py").write_text(SCHEMAS_SOURCE)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "users.json").write_text(
        '{"properties": {"id": {"type": "integer"}, "name": {}}}'
    )
    module = ModuleType("filed")
    module.__file__ = str(tmp_path / "filed.py")

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "filed.py", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    (catalog,) = run("-d")
    assert catalog["streams"][0]["metadata"][0]["metadata"]["table-key-properties"] == ["id"]
    assert [m["type"] for m in run("--selected_streams_json", '["users"]')] == ["SCHEMA", "RECORD"]
    (sample,) = run("--load_sample_data", "--selected_streams_json", '["users"]')
    assert sample == {
        "stream_id": "users",
        "sample_data": '{"id":{"0":1},"name":{"0":"a"}}',
        "type": "SAMPLE_DATA",
    }


def test_a_sample_asks_for_some_rows(capsys: pytest.CaptureFixture[str]) -> None:
    Numbers(load_sample_data=True).process()
    assert Numbers.seen[-1]["sample_data"] is True
    assert said(capsys)[0]["sample_data"] == '{"id":{"0":1,"1":2,"2":3}}'

    class Empty(Source):
        streams = [USERS]

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield from ()

    Empty(load_sample_data=True).process()
    assert said(capsys)[0]["sample_data"] == "{}"


def test_columns_of_the_source_itself_are_declared_and_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Deleting(Source):
        streams = [USERS.replace(columns=["id"])]

        def internal_column_schema(self, stream: Any, bookmarks: Any = None) -> Any:
            return {
                "_mage_deleted_at": {"type": ["null", "string"], "format": COLUMN_FORMAT_DATETIME}
            }

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1, "_mage_deleted_at": "2026-01-01T00:00:00Z"}]

    Deleting().process()
    schema, row, _ = said(capsys)
    assert list(schema["schema"]["properties"]) == ["id", "_mage_deleted_at"]
    assert row["record"] == {"id": 1, "_mage_deleted_at": "2026-01-01T00:00:00Z"}
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    assert dg.materialize(stream_assets(Deleting(name="d"), destination=warehouse)).success
    assert "_mage_deleted_at" in warehouse.read_table(warehouse.table_for("d", USERS)).column_names


def test_new_fields_are_added_where_the_catalog_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    class Growing(Numbers):
        streams: Any = ()

        def discover(self, streams: Any = None) -> Any:
            assert streams == ["users"]
            schema = Schema({"properties": {"id": {"type": "integer"}, "new": {"type": "string"}}})
            return Catalog([self.build_catalog_entry("users", schema)])

    entry = {
        **USERS.to_dict(),
        "metadata": [{"breadcrumb": ["properties", "id"], "metadata": {"selected": True}}],
    }
    Growing(catalog={"streams": [{**entry, "auto_add_new_fields": True}]}).process()
    assert list(said(capsys)[0]["schema"]["properties"]) == ["id", "new"]


class Tap(Source):
    """Writes its messages itself, as sixteen of Mage's sources do."""

    streams = [USERS]

    def sync(self, catalog: Any, properties: Any = None) -> None:
        for stream in catalog.get_selected_streams(self.state):
            write_schema(
                stream.tap_stream_id, stream.schema.to_dict(), stream.key_properties, ["id"]
            )
            write_records(stream.tap_stream_id, [{"id": 1}])
            write_state({"bookmarks": {stream.tap_stream_id: {"id": 1}}})


def test_a_source_that_overrides_sync_runs_as_a_tap(capsys: pytest.CaptureFixture[str]) -> None:
    Tap().process()
    assert [message["type"] for message in said(capsys)] == ["SCHEMA", "RECORD", "STATE"]


def test_such_a_source_is_refused_as_assets_of_streams(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Writing(Source):
        streams = [USERS]

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1}]
            write_records("users", [{"id": 2}])

    with pytest.raises(ConfigError, match=r"overrides `sync`.*run it as a tap"):
        StreamRead(Tap(name="tap"), USERS)
    with pytest.raises(ConfigError, match="writes a RecordMessage itself"):
        list(StreamRead(Writing(name="w"), USERS).open(None))
    Writing().process()
    assert [message["record"]["id"] for message in said(capsys) if message["type"] == "RECORD"] == [
        1,
        2,
    ]


def test_mages_paths_lead_somewhere() -> None:
    assert callable(main)
    assert callable(destination_main)
    assert merge_dict({"a": 1, "b": 1}, {"b": 2}) == {"a": 1, "b": 2}
    assert extract({"a": 1, "b": None}, ["a", "b", "c"]) == {"a": 1}
    assert ignore_keys({"a": 1, "b": 2}, ["a"]) == {"b": 2}
    assert index_by(len, ["a", "bb"]) == {1: "a", 2: "bb"}
    assert group_by(len, ["a", "b"]) == {1: ["a", "b"]}
    assert dig({"a": {"b": [1, 2]}}, "a.b[1]") == 2
    assert dig({"a": None}, "a.b.c") is None
    assert filter_columns(
        ["a", "b"], {"a": {"type": ["null", "string"]}, "b": {"type": "integer"}}, ["string"]
    ) == ["a"]


def test_a_source_that_overrides_sync_is_given_the_named_streams_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Whole(Source):
        streams = [USERS, Stream("orders", schema={"properties": {"id": {"type": "integer"}}})]

        def sync(self, catalog: Any, properties: Any = None) -> None:
            for entry in catalog.to_dict()["streams"]:
                write_records(entry["tap_stream_id"], [{"id": 1}])

    Whole(selected_streams=["orders"]).process()
    assert [message["stream"] for message in said(capsys)] == ["orders"]
    given = Catalog(Whole.streams)
    Whole(selected_streams=["orders"], catalog=given).process()
    assert [message["stream"] for message in said(capsys)] == ["orders"]
    assert len(given) == 2
    Whole().process()
    assert [message["stream"] for message in said(capsys)] == ["users", "orders"]


def test_a_tap_is_told_that_its_streams_are_selected_whatever_it_discovers(tmp_path: Path) -> None:
    class Choosy(Source):
        def discover(self, streams: Any = None) -> Catalog:
            schema = Schema.from_dict({"properties": {"id": {"type": ["integer"]}}})
            return Catalog([self.build_catalog_entry("users", schema)])

        def sync(self, catalog: Any, properties: Any = None) -> None:
            for entry in catalog.get_selected_streams(self.state):
                write_schema(entry.tap_stream_id, entry.schema.to_dict(), ["id"])
                write_records(entry.tap_stream_id, [{"id": 1}])

    source, warehouse = Choosy(name="choosy"), DuckDBDestination(tmp_path / "w.duckdb")
    assert not source.discover().streams[0].is_selected()  # type: ignore[attr-defined] # an entry
    assets = stream_assets(
        source, streams=["users"], catalog=source.discover(), destination=warehouse
    )
    assert dg.materialize(assets).success
    (table,) = [state.table for state in warehouse.states() if str(state.table)]
    assert warehouse.read_table(table).num_rows == 1

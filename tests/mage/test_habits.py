"""What sources and destinations written for Mage rely on, one test each, beside the hooks of the other modules."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest

from etl_assets import Destination, Stream, StreamRead, stream_assets
from etl_assets.destinations.constants import (
    INTERNAL_COLUMN_CREATED_AT,
    UNIQUE_CONFLICT_METHOD_IGNORE,
)
from etl_assets.exceptions import ConfigError
from etl_assets.protocol.singer.documents import read_document
from etl_assets.sources.base import Source, main
from etl_assets.sources.tap.arguments import parse_arguments
from tests.mage.test_target import into, lines, record, schema, state

USERS = Stream(
    "users",
    primary_key="id",
    replication_key="id",
    schema={"properties": {"id": {"type": "integer"}}},
)
ORDERS = Stream("orders", schema={"properties": {"id": {"type": "integer"}}})


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class Shop(Source):
    """Says what it is asked."""

    streams = [USERS, ORDERS]
    asked: list[Any] = []

    def test_connection(self) -> None:
        self.asked.append("test_connection")

    def count_records(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> int | None:
        self.asked.append(("count_records", stream.schema.properties["id"].type, bookmarks, query))
        return 7 if stream.tap_stream_id == "users" else None

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        self.asked.append(("load_data", stream.tap_stream_id, kwargs.get("sample_data")))
        yield [{"id": 1}]


# Modes


def test_the_first_mode_that_is_set_rules(capsys: pytest.CaptureFixture[str]) -> None:
    modes = [
        "test_connection",
        "load_sample_data",
        "discover_mode",
        "count_records",
        "show_templates",
    ]
    seen = []
    for position in range(len(modes) - 1):
        Shop.asked.clear()
        flags: dict[str, Any] = dict.fromkeys(modes[position:], True)
        Shop(**flags).process()
        seen.append((list(Shop.asked), said(capsys)))
    assert seen[0] == (["test_connection"], [])
    assert [kind for kind, *_ in seen[1][0]] == ["load_data"] * 2
    assert [line["type"] for line in seen[1][1]] == ["SAMPLE_DATA"] * 2
    assert seen[2][0] == []
    assert [stream["stream"] for stream in seen[2][1][0]["streams"]] == ["users", "orders"]
    assert [kind for kind, *_ in seen[3][0]] == ["count_records"] * 2


def test_counts_are_those_of_the_selected_streams_and_unknown_is_null(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Shop.asked.clear()
    Shop(count_records=True, state={"bookmarks": {"users": {"id": 3}}}, query={"a": 1}).process()
    assert said(capsys) == [
        [
            {"count": 7, "id": "users", "stream": "users"},
            {"count": None, "id": "orders", "stream": "orders"},
        ]
    ]
    assert Shop.asked[0] == ("count_records", "integer", {"id": 3}, {"a": 1})
    Shop(count_records=True, selected_streams=["users"]).process()
    assert [one["id"] for one in said(capsys)[0]] == ["users"]


def test_templates_lie_beside_the_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("shop_of_a_test")
    module.__file__ = str(tmp_path / "shop_of_a_test.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    templated = type("Templated", (Shop,), {"__module__": module.__name__})
    with pytest.raises(ConfigError, match="no folder `templates`"):
        templated(show_templates=True).process()
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "config.json").write_text('{"token": ""}')
    templated(show_templates=True).process()
    assert said(capsys) == [{"config": {"token": ""}}]


def test_the_stream_that_was_interrupted_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    Shop(state={"currently_syncing": "orders"}).process()
    assert list(
        dict.fromkeys(message["stream"] for message in said(capsys) if "stream" in message)
    ) == [
        "orders",
        "users",
    ]


def test_streams_that_nobody_knows_are_synced_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    Shop(selected_streams=["others"]).process()
    assert [(message["type"], message["stream"]) for message in said(capsys)] == [
        ("SCHEMA", "others"),
        ("RECORD", "others"),
    ]


# The command line


def test_documents_are_merged_in_mages_order(tmp_path: Path) -> None:
    def file(name: str, document: Any) -> str:
        (tmp_path / name).write_text(json.dumps(document))
        return str(tmp_path / name)

    catalogs: dict[str, Any] = {
        name: {"streams": [], "from": name} for name in ("settings", "integration", "file", "json")
    }
    settings = file("s.json", {"config": {"a": 1, "b": 1, "c": 1}, "catalog": catalogs["settings"]})
    config = file("c.json", {"b": 2, "c": 2})
    line = ["--settings", settings, "-c", config, "--config_json", '{"c": 3}']
    assert parse_arguments(line)["config"] == {"a": 1, "b": 2, "c": 3}
    assert parse_arguments(line)["catalog"] == catalogs["settings"]
    line += ["--catalog", file("k.json", catalogs["file"])]
    assert parse_arguments(line)["catalog"] == catalogs["file"]
    assert (
        parse_arguments([*line, "--catalog_json", json.dumps(catalogs["json"])])["catalog"]
        == catalogs["json"]
    )
    assert parse_arguments(["-p", file("p.json", catalogs["file"])])["catalog"] == catalogs["file"]
    nested = file("n.json", {"data_integration": {"catalog": catalogs["integration"]}})
    assert parse_arguments(["--settings", nested])["catalog"] == catalogs["integration"]
    more = [
        "-s",
        file("st.json", {"bookmarks": {}}),
        "--query",
        '{"_limit": 1}',
        "--log_to_stdout",
        "True",
    ]
    found = parse_arguments([*more, "--selected_streams_json", '["a"]'])
    assert found == {"state": {"bookmarks": {}}, "query": {"_limit": 1}, "selected_streams": ["a"]}
    assert parse_arguments(["--state_json", '{"a": 1}', "--query_json", '{"b": 2}']) == {
        "state": {"a": 1},
        "query": {"b": 2},
    }
    assert parse_arguments(["--discover_streams"]) == {
        "discover_mode": True,
        "discover_streams_mode": True,
    }


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.json", b"{", "no JSON"),
        ("c.json", b"[1]", "no object"),
        ("c.json", b"\xff", "not UTF-8"),
        ("c.yaml", b"a: [secret", "no YAML"),
    ],
)
def test_a_document_that_is_wrong_is_an_error_without_its_content(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        parse_arguments(["-c", str(tmp_path / name)])
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match=words):
        Destination(config_file_path=str(tmp_path / name))


def test_yaml_is_read_by_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "s.yml").write_text("config: {a: 1}\n")
    assert read_document(str(tmp_path / "s.yml")) == {"config": {"a": 1}}
    assert read_document(None) is None
    assert parse_arguments(["--settings", str(tmp_path / "s.yml")])["config"] == {"a": 1}


@pytest.mark.parametrize(
    "line", [["dagster", "-d"], ["pytest", "-s"], ["pytest", "-c", "nowhere.json"]]
)
def test_a_source_reads_no_command_line_but_its_own(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", line)
    source = Shop(args=["-d"])
    source.process()
    assert said(capsys)[0]["type"] == "SCHEMA"


def test_the_command_line_goes_before_what_the_caller_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["shop.py", "--discover_streams", "--config_json", '{"a": 1}'])
    configs: list[Any] = []

    class Keeping(Shop):
        def discover_streams(self) -> Any:
            configs.append(self.config)
            return super().discover_streams()

    main(Keeping, config={"a": 2}, discover_mode=False, streams=[ORDERS])
    assert said(capsys) == [[{"stream": "orders", "tap_stream_id": "orders"}]]
    assert configs == [{"a": 1}]
    assert Keeping(config={"a": 3}).config == {"a": 3}  # the line was that of the program


def test_the_constructor_takes_all_of_mages_words() -> None:
    source = Shop(
        args=None, catalog=None, config={"a": 1}, count_records=False, discover_mode=False, discover_streams_mode=False,
        is_sorted=False, load_sample_data=False, log_to_stdout=False, logger=None, query={"b": 1},
        schemas_folder="schemas", selected_streams=["users"], settings=None, show_templates=False,
        state={"bookmarks": {}}, test_connection=False, verbose=1,
    )  # fmt: skip
    assert (source.config, source.query, source.is_sorted, source.selected_streams) == (
        {"a": 1},
        {"b": 1},
        False,
        ["users"],
    )


def test_so_does_that_of_a_destination(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"a": 1}')
    destination = Destination(
        argument_parser=None, batch_processing=False, catalog=None, config={"b": 2},
        config_file_path=str(tmp_path / "c.json"), debug=True, input_file_path=None, log_to_stdout=False, logger=None,
        settings=None, settings_file_path=None, show_templates=False, state_file_path="s.json", test_connection=False,
    )  # fmt: skip
    assert destination.config == {"a": 1, "b": 2}
    assert (destination.batch_processing, destination.debug, destination.state_file_path) == (
        False,
        True,
        "s.json",
    )


def test_a_destination_with_a_parser_reads_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["destination.py", "--config_json", '{"a": 1}', "--debug"])
    destination = Destination(argument_parser=ArgumentParser(), batch_processing=True)
    assert (destination.config, destination.debug, destination.batch_processing) == (
        {"a": 1},
        True,
        True,
    )


# Messages


def test_a_schema_says_what_mages_says(capsys: pytest.CaptureFixture[str]) -> None:
    stream = USERS.replace(
        unique_constraints=["id"], unique_conflict_method="UPDATE", partition_keys=["id"],
        disable_column_type_check=True,
    )  # fmt: skip
    Shop(streams=[stream]).process()
    message = said(capsys)[0]
    assert (
        message["bookmark_properties"]
        == message["key_properties"]
        == message["unique_constraints"]
        == ["id"]
    )
    assert message["partition_keys"] == ["id"]
    assert (message["unique_conflict_method"], message["replication_method"]) == (
        "UPDATE",
        "INCREMENTAL",
    )
    assert message["disable_column_type_check"] is True


def test_write_records_fills_and_cuts_and_gives_the_largest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    schema_ = {"properties": {"id": {"type": "integer"}, "a": {}, "b": {}}}
    entry = USERS.replace(schema=schema_, columns=["id", "a"])
    source = Shop(is_sorted=False)
    result = source.write_records(
        entry, [{"id": 3, "b": 1}, {"id": 5}, {"id": 4, "a": datetime(2026, 1, 1, tzinfo=UTC)}]
    )
    assert result == {
        "final_record": {"id": 4, "a": "2026-01-01T00:00:00+00:00"},
        "max_bookmark": [5],
    }
    assert [message["record"] for message in said(capsys)] == [
        {"id": 3, "a": None},
        {"id": 5, "a": None},
        {"id": 4, "a": "2026-01-01T00:00:00+00:00"},
    ]
    assert source.write_records(entry, [{"id": None}])["max_bookmark"] == []
    assert source.write_records(ORDERS, []) == {"final_record": None, "max_bookmark": []}
    capsys.readouterr()
    source.write_records(
        entry, [{"id": 1, "a": 2, "b": 3}], properties={"b": {}}
    )  # which is not selected
    assert [message["record"] for message in said(capsys)] == [{"b": 3}]


def test_write_records_of_a_sorted_stream_writes_its_state_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = Shop(state={"bookmarks": {"others": {"x": 1}}})
    assert source.write_records(USERS, [{"id": 1}, {"id": 2}]) == {
        "final_record": {"id": 2},
        "max_bookmark": [],
    }
    assert [message["type"] for message in said(capsys)] == ["RECORD", "RECORD", "STATE"]
    assert source.state == {"bookmarks": {"others": {"x": 1}, "users": {"id": 2}}}
    source.state_message_every = 1
    source.write_records(USERS, [{"id": 3}, {"id": 4}])
    messages = said(capsys)
    assert [message["type"] for message in messages] == ["RECORD", "STATE"] * 2
    assert messages[-1]["value"]["bookmarks"]["users"] == {"id": 4}
    source.write_records(ORDERS, [{"id": 5}])
    assert [message["type"] for message in said(capsys)] == ["RECORD"]


def test_load_data_may_have_mages_full_signature_or_the_shortest() -> None:
    class Full(Source):
        def load_data(  # type: ignore[override] # as Mage's connectors have it
            self,
            stream: Any,
            bookmarks: Any = None,
            query: Any = None,
            sample_data: bool = False,  # noqa: FBT002 - as above
            start_date: Any = None,
        ) -> Iterator[Any]:
            yield [{"id": 1, "sample": sample_data, "start": start_date}]

    class Short(Source):
        def load_data(self, stream: Any) -> Any:  # type: ignore[override] # as above
            return iter([pd.DataFrame([{"id": 1}])])

    (batch,) = StreamRead(Full(name="full", config={"start_date": "2026-01-01"}), ORDERS).open(
        None, sample=True
    )
    assert batch.rows == [{"id": 1, "sample": True, "start": datetime(2026, 1, 1)}]  # noqa: DTZ001 - as Mage parses it
    (batch,) = StreamRead(Short(name="short"), ORDERS).open(None)
    assert batch.to_rows(ORDERS) == [{"id": 1}]


def test_a_bookmark_is_json_again_in_the_next_read(tmp_path: Path) -> None:
    class Dated(Source):
        streams = [Stream("events", primary_key="id", replication_key="at")]
        seen: list[Any] = []

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            self.seen.append((bookmarks, self.state))
            yield [{"id": 1, "at": datetime(2026, 1, 1, tzinfo=UTC)}]

    class Sink(Destination):
        def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
            assert [item["record"] for item in record_data] == [
                {"id": 1, "at": "2026-01-01T00:00:00+00:00"}
            ]

    assets = stream_assets(Dated(name="dated"), destination=Sink())
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            assert dg.materialize(assets, instance=instance).success
    (bookmarks, kept) = Dated.seen[1]
    assert datetime.fromisoformat(bookmarks["at"]) == datetime(2026, 1, 1, tzinfo=UTC)
    assert kept == {"bookmarks": {"events": bookmarks}}


# Destinations


class Native(Destination):
    """Wants Python's own values."""

    native_types = True
    got: list[Any] = []

    def export_batch_data(self, record_data: Any, stream: str) -> None:  # type: ignore[override] # Mage's oldest form
        self.got.extend(item["record"] for item in record_data)


def test_native_types_and_a_hook_without_tags() -> None:
    class Dated(Source):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [
                {"at": datetime(2026, 1, 1, tzinfo=UTC), "price": Decimal("0.10"), "raw": b"\x00"}
            ]

    Native.got.clear()
    assert dg.materialize(
        stream_assets(Dated(name="dated"), streams=["events"], destination=Native())
    ).success
    assert Native.got == [
        {"at": datetime(2026, 1, 1, tzinfo=UTC), "price": Decimal("0.10"), "raw": b"\x00"}
    ]


def test_one_record_at_a_time_without_batch_processing() -> None:
    class Single(Destination):
        got: list[Any] = []

        def test_connection(self) -> None:
            self.got.append("connected")

        def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
            assert record_data[0]["schema"]["properties"]
            self.got.append([item["record"]["id"] for item in record_data])

    Single(batch_processing=False).process(lines(schema(), record(1), record(2)))
    assert Single.got == ["connected", [1], [2]]


def test_a_conflict_is_ignored_where_the_stream_says_so(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    said_ = schema(unique_constraints=["id"], unique_conflict_method=UNIQUE_CONFLICT_METHOD_IGNORE)
    for name in ("first", "second"):
        row = {"type": "RECORD", "stream": "users", "record": {"id": 1, "name": name}}
        into(path, [said_, row, state({"n": 1})])
    with duckdb.connect(str(path)) as connection:
        assert connection.sql("SELECT name FROM tap.users").fetchall() == [("first",)]
    assert INTERNAL_COLUMN_CREATED_AT == "_mage_created_at"


def test_operators_of_bookmarks_are_written_again() -> None:
    entry = {
        "tap_stream_id": "a",
        "bookmark_properties": ["id"],
        "bookmark_property_operators": {"id": ">"},
    }
    assert Stream.from_dict(entry).to_dict()["bookmark_property_operators"] == {"id": ">"}


def test_decimals_in_json_are_an_error_that_names_field_and_option_which_helps() -> None:
    class Priced(Source):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1, "price": Decimal("0.10"), "doc": {"a": [Decimal("2.5")]}}]

    class Queue(Destination):
        sent: list[str] = []

        def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
            self.sent.extend(json.dumps(item["record"]) for item in record_data)

    queue = Queue()
    assets = stream_assets(Priced(name="priced"), streams=["events"], destination=queue)
    failed = dg.materialize(assets, raise_on_error=False)
    (event,) = [one for one in failed.all_events if one.is_step_failure]
    assert "'price' is Decimal('0.10')" in str(event.step_failure_data)
    assert "json_numbers = True" in str(event.step_failure_data)
    queue.json_numbers = True
    assert dg.materialize(assets).success
    assert [json.loads(text) for text in Queue.sent] == [
        {"id": 1, "price": 0.1, "doc": {"a": [2.5]}}
    ]

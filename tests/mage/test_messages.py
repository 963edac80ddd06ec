"""What a source says as a tap, and must not say as an asset: no column, no message and no row is lost on the way."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import DuckDBDestination, Stream, StreamRead, stream_assets
from etl_assets.exceptions import ConfigError, ProtocolError
from etl_assets.model.stored import TableName
from etl_assets.protocol.singer.messages import Message, RecordMessage
from etl_assets.sources.base import Source
from etl_assets.sources.messages import messages_to, to_stdout, write_records
from etl_assets.sources.tap.verbs import writes_messages_itself

DECLARED = Stream("users", primary_key="id", schema={"properties": {"id": {"type": "integer"}}})


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# Columns that nobody has declared


class More(Source):
    """Gives more than its schema says."""

    streams = [DECLARED]

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [{"id": 1}]
        yield [{"id": 2, "b": 7}]
        yield [{"id": 3, "b": "seven", "c": None}, {"id": 4}]


def loaded(source: Source, folder: Path) -> list[dict[str, Any]]:
    warehouse = DuckDBDestination(
        str(folder / "w.duckdb"), load_id_column=None, loaded_at_column=None
    )
    assert dg.materialize(stream_assets(source, destination=warehouse)).success
    return sorted(
        warehouse.read_table(warehouse.table_for("more", DECLARED)).to_pylist(),
        key=lambda row: row["id"],
    )


def test_a_tap_declares_a_column_before_the_rows_that_bring_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    More().process()
    messages = said(capsys)
    declared: dict[str, Any] = {}
    for message in messages:
        if message["type"] == "SCHEMA":
            declared = message["schema"]["properties"]
        else:
            assert message["record"].keys() <= declared.keys()
    assert [message["type"] for message in messages] == [
        "SCHEMA", "RECORD", "SCHEMA", "RECORD", "SCHEMA", "RECORD", "RECORD"
    ]  # fmt: skip
    assert declared["id"] == {"type": "integer"}
    assert declared["b"]["type"] == [
        "null",
        "string",
    ]  # it was an integer first: the type has grown
    assert [message["record"] for message in messages if message["type"] == "RECORD"][-2] == {
        "id": 3, "b": "seven", "c": None
    }  # fmt: skip


def test_an_asset_has_a_column_that_is_not_declared(tmp_path: Path) -> None:
    rows = loaded(More(name="more"), tmp_path)
    assert [row.get("b") for row in rows] == [None, "7", "seven", None]


@pytest.mark.parametrize(
    "selected",
    [
        DECLARED.replace(columns=["id"]),
        DECLARED.replace(
            metadata=[{"breadcrumb": ["properties", "id"], "metadata": {"selected": True}}]
        ),
    ],
    ids=["columns", "metadata"],
)
def test_one_that_is_left_out_because_others_are_selected_is_named(
    selected: Stream,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.WARNING):
        assert [row.keys() for row in loaded(More(name="more", streams=[selected]), tmp_path)] == [
            {"id"}
        ] * 4
    named = [one.args for one in caplog.records if "is left out" in one.message]
    assert named == [("users", "b"), ("users", "c")]  # once, not for each batch
    caplog.clear()
    capsys.readouterr()
    with caplog.at_level(logging.WARNING):
        More(streams=[selected]).process()
    assert [one.args for one in caplog.records if "is left out" in one.message] == [
        ("users", "b"),
        ("users", "c"),
    ]
    assert all(message.get("record", {}).keys() <= {"id"} for message in said(capsys))


def test_one_that_is_selected_by_a_glob_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = DECLARED.replace(columns=["id", "i*"])

    class Named(More):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1, "iban": "x"}]

    assert loaded(Named(name="more", streams=[stream]), tmp_path) == [{"id": 1, "iban": "x"}]
    assert "left out" not in caplog.text


def test_new_fields_are_there_where_the_stream_takes_them(tmp_path: Path) -> None:
    picked = [{"breadcrumb": ["properties", "id"], "metadata": {"selected": True}}]
    stream = DECLARED.replace(auto_add_new_fields=True, metadata=picked)
    assert loaded(More(name="more", streams=[stream]), tmp_path)[1]["b"] == "7"


# Messages that a source prints


class Printing(Source):
    """Prints messages between its rows, as `printer` says."""

    streams = [DECLARED]
    printer: Any = staticmethod(lambda: None)

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [{"id": 1}]
        type(self).printer()


RECORD = '{"type": "RECORD", "stream": "users", "record": {"id": 2}}'


def in_pieces() -> None:
    for piece in (RECORD[:20], RECORD[20:], "\n"):
        sys.stdout.write(piece)
        sys.stdout.flush()


def caught() -> None:
    with suppress(ConfigError):
        print(RECORD)


def in_a_thread() -> None:
    thread = threading.Thread(target=caught)
    thread.start()
    thread.join()


PRINTERS = {
    "print": lambda: print(RECORD),
    "no end": lambda: sys.stdout.write(RECORD),
    "in pieces": in_pieces,
    "bytes": lambda: sys.stdout.buffer.write(RECORD.encode() + b"\n"),
    "lines": lambda: sys.stdout.writelines(["hello\n", RECORD + "\n"]),
    "caught": caught,
    "in a thread": in_a_thread,
    "another order": lambda: print('{"stream": "users", "record": {"id": 2}, "type": "RECORD"}'),
}


@pytest.mark.parametrize("printer", PRINTERS.values(), ids=PRINTERS)
def test_a_message_that_is_printed_is_not_lost(printer: Any) -> None:
    source = type("Printing", (Printing,), {"printer": staticmethod(printer)})(name="printing")
    before = sys.stdout
    with pytest.raises(
        ConfigError, match=r"`load_data` writes a RecordMessage itself.*run it as a tap"
    ):
        list(StreamRead(source, DECLARED).open(None))
    assert sys.stdout is before


def test_the_asset_fails_and_loads_nothing(tmp_path: Path) -> None:
    source = type("Printing", (Printing,), {"printer": staticmethod(PRINTERS["print"])})(
        name="printing"
    )
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    result = dg.materialize(stream_assets(source, destination=warehouse), raise_on_error=False)
    assert not result.success
    assert warehouse.states() == []


def test_a_printed_line_that_only_begins_as_a_message_is_an_error() -> None:
    half = staticmethod(lambda: print('{"type": "RECORD", "stream": "users", "rec'))
    source = type("Printing", (Printing,), {"printer": half})(name="printing")
    with pytest.raises(ProtocolError):
        list(StreamRead(source, DECLARED).open(None))


def test_other_text_goes_where_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    text = 'hello\n{"type": "LOG"}\n{"a": 1}\nprogress 50%'
    source = type(
        "Printing", (Printing,), {"printer": staticmethod(lambda: sys.stdout.write(text))}
    )(name="printing")
    assert len(list(StreamRead(source, DECLARED).open(None))) == 1
    assert capsys.readouterr().out == text


def test_a_message_printed_in_load_data_that_is_no_generator_is_not_lost() -> None:
    class Plain(Source):
        streams = [DECLARED]

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Any:
            print(RECORD)
            return [[{"id": 1}]]

    with pytest.raises(ConfigError, match="writes a RecordMessage itself"):
        list(StreamRead(Plain(name="plain"), DECLARED).open(None))


def test_a_host_that_listens_gets_written_and_printed_messages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    heard: list[Message] = []
    with messages_to(heard.append):
        print("noise")
        print(RECORD)
        write_records("users", [{"id": 3}])
    assert [message.record["id"] for message in heard if isinstance(message, RecordMessage)] == [
        2,
        3,
    ]
    assert capsys.readouterr().out == "noise\n"
    with messages_to(to_stdout):
        print(RECORD)
    assert said(capsys) == [json.loads(RECORD)]


def test_what_a_listener_prints_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with messages_to(lambda message: print("heard", type(message).__name__, RECORD)):
        print(RECORD)
    assert capsys.readouterr().out == f"heard RecordMessage {RECORD}\n"


# Sources that stand for their messages


@pytest.mark.parametrize(
    "hook", ["process", "sync", "process_stream", "sync_stream", "write_records"]
)
def test_a_source_that_writes_its_messages_has_one_step_or_is_refused(
    hook: str, tmp_path: Path
) -> None:
    overriding = type("Overriding", (More,), {hook: lambda self, *args, **kwargs: None})
    source = overriding(name="more")
    assert writes_messages_itself(source)
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    assert len(stream_assets(source, destination=warehouse)) == 1
    with pytest.raises(ConfigError, match=rf"overrides `{hook}`.*run it as a tap"):
        stream_assets(source, destination=warehouse, granularity="stream")


def test_others_are_not() -> None:
    assert not writes_messages_itself(More(name="more"))


def test_an_error_of_any_kind_stops_one_stream_alone(capsys: pytest.CaptureFixture[str]) -> None:
    class Failing(Source):
        streams = [DECLARED, DECLARED.replace(name="b")]

        def sync_stream(self, stream: Any, properties: Any = None) -> int:
            if stream.tap_stream_id == "users":
                raise KeyError("gone")
            return super().sync_stream(stream, properties)

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1}]

    with pytest.raises(Exception, match="1 of 2 streams failed: 'users'") as failure:
        Failing().process()
    assert isinstance(failure.value.__cause__, KeyError)
    assert [message["stream"] for message in said(capsys)] == ["users", "b", "b"]


# Versions of full tables


class Shrinking(Source):
    """A full table without a key, and an incremental stream beside it."""

    streams = [
        Stream("countries", schema={"properties": {"code": {"type": "string"}}}),
        Stream(
            "users",
            primary_key="id",
            replication_key="id",
            schema={"properties": {"id": {"type": "integer"}}},
        ),
    ]
    codes: Any = ("DE", "FR", "IT")
    emit_activate_version_messages = True

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        if stream.tap_stream_id == "users":
            yield [{"id": 1}]
        for code in self.codes:
            if stream.tap_stream_id == "countries":
                yield [{"code": code}]


def test_versions_are_written_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Shrinking().process()
    messages = said(capsys)
    countries = [message for message in messages if message.get("stream") == "countries"]
    assert [message["type"] for message in countries] == [
        "SCHEMA",
        *["RECORD"] * 3,
        "ACTIVATE_VERSION",
    ]
    (version,) = {message["version"] for message in countries[1:]}
    assert version > 1_700_000_000_000
    assert all("version" not in message for message in messages if message.get("stream") == "users")
    Shrinking(
        query={"_limit": 1}, selected_streams=["countries"]
    ).process()  # a part says nothing of the rest
    assert [message["type"] for message in said(capsys)] == ["SCHEMA", "RECORD"]

    class Silent(Shrinking):
        emit_activate_version_messages = False

    Silent(selected_streams=["countries"]).process()
    assert [message["type"] for message in said(capsys)] == ["SCHEMA", *["RECORD"] * 3]
    Silent(
        selected_streams=["countries"], config={"emit_activate_version_messages": True}
    ).process()
    assert said(capsys)[-1]["type"] == "ACTIVATE_VERSION"


def test_a_stream_that_fails_activates_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Dying(Shrinking):
        codes = ("DE", 1 / 3, object())

    with pytest.raises(Exception, match="'countries'"):
        Dying(selected_streams=["countries"]).process()
    assert "ACTIVATE_VERSION" not in [message["type"] for message in said(capsys)]


def test_the_pipe_ends_as_the_asset_does(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    piped = DuckDBDestination(
        str(tmp_path / "piped.duckdb"), load_id_column=None, loaded_at_column=None
    )
    direct = DuckDBDestination(
        str(tmp_path / "direct.duckdb"), load_id_column=None, loaded_at_column=None
    )
    for codes in (("DE", "FR", "IT"), ("DE", "SE"), ()):
        source = type("Now", (Shrinking,), {"codes": codes})(name="tap")
        source.process()
        piped.process(io.BytesIO(capsysbinary.readouterr().out))
        capsysbinary.readouterr()  # the state
        assert dg.materialize(stream_assets(source, destination=direct)).success
        for stream in Shrinking.streams:
            found, wanted = (
                one.read_table(one.table_for("tap", stream)) for one in (piped, direct)
            )
            assert found.to_pylist() == wanted.to_pylist(), (stream, codes)


def test_what_a_tap_prints_in_one_step_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Printing(Source):
        streams = [Stream("users", primary_key="id")]

        def sync(self, catalog: Any, properties: Any = None) -> None:
            print(json.dumps({"type": "SCHEMA", "stream": "users", "key_properties": ["id"],
                              "schema": {"properties": {"id": {"type": "integer"}}}}))  # fmt: skip
            for number in range(3):
                print(json.dumps({"type": "RECORD", "stream": "users", "record": {"id": number}}))
            print(json.dumps({"type": "STATE", "value": {"at": 2}}))

    path = str(tmp_path / "w.duckdb")
    assets = stream_assets(Printing(name="printing"), destination=DuckDBDestination(path))
    assert dg.materialize(assets, instance=dg.DagsterInstance.ephemeral()).success
    found = DuckDBDestination(path).read_table(TableName("users", "printing")).to_pydict()
    assert found["id"] == [0, 1, 2]
    assert "RECORD" not in capsys.readouterr().out

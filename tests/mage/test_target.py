"""Destinations run as programs: what Mage's hooks see, and what Mage's own loop gets wrong."""

import gzip
import io
import json
import logging
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from etl_assets import Destination, DuckDBDestination, Source, Stream, stream_assets
from etl_assets.exceptions import ConfigError, DataError, DestinationError, ProtocolError

PROPERTIES = {
    "id": {"type": "integer"},
    "name": {"type": ["null", "string"]},
    "price": {"type": ["null", "number"]},
}


def schema(stream: str = "users", **more: Any) -> dict[str, Any]:
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": PROPERTIES},
        "key_properties": ["id"],
        **more,
    }


def record(id_: int, stream: str = "users", **more: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": {"id": id_, "name": f"n{id_}"}, **more}


def state(value: Any) -> dict[str, Any]:
    return {"type": "STATE", "value": value}


def lines(*messages: dict[str, Any] | bytes) -> io.BytesIO:
    return io.BytesIO(
        b"".join(m if isinstance(m, bytes) else json.dumps(m).encode() + b"\n" for m in messages)
    )


class Kept(Destination):
    """A destination in Mage's style that keeps what it got, in the order of the calls."""

    broken: tuple[str, ...] = ()

    def __init__(
        self,
        argument_parser: Any = None,
        batch_processing: bool = True,  # noqa: FBT002
        **options: Any,
    ) -> None:
        super().__init__(argument_parser, batch_processing=batch_processing, **options)
        self.calls: list[Any] = []

    def test_connection(self) -> None:
        self.calls.append("connected")

    def before_process(self) -> None:
        self.calls.append("before")

    def after_process(self) -> None:
        self.calls.append("after")

    def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
        if stream in self.broken:
            raise ValueError(f"no room for {stream}")
        self.calls.append((stream, [item["record"]["id"] for item in record_data]))
        self.records = record_data
        self.tags = tags

    def process_state(self, row: Any, tags: Any = None) -> None:
        self.calls.append(("state", row["value"]))
        super().process_state(row, tags)


class Native(Kept):
    """Wants Python's own values."""

    native_types = True


def run(*messages: dict[str, Any] | bytes, **config: Any) -> Kept:
    kept = Kept(config=config)
    kept.process(lines(*messages))
    return kept


def test_a_batch_reaches_the_hook_as_mage_sends_it(capsys: pytest.CaptureFixture[str]) -> None:
    line = b'{"type":"RECORD","stream":"users","record":{"price":0.1,"id":9007199254740993}}\n'
    kept = run(schema(), line, record(2), state({"bookmarks": {"users": {"id": 2}}}))
    assert kept.calls == [
        "before",
        "connected",
        ("users", [9007199254740993, 2]),
        ("state", {"bookmarks": {"users": {"id": 2}}}),
        "after",
    ]
    first = kept.records[0]
    assert first["stream"] == "users"
    assert list(first["record"].items()) == [
        ("id", 9007199254740993),
        ("name", None),
        ("price", 0.1),
    ]
    assert (kept.tags["batch"], kept.tags["stream"], kept.tags["records"]) == (0, "users", 2)
    assert capsys.readouterr().out == '{"bookmarks":{"users":{"id":2}}}\n'


def test_what_a_schema_says_is_kept_by_stream() -> None:
    said: dict[str, Any] = {
        "bookmark_properties": ["id"], "unique_constraints": ["name"], "unique_conflict_method": "IGNORE",
        "replication_method": "INCREMENTAL", "partition_keys": ["id"], "disable_column_type_check": False,
    }  # fmt: skip
    kept = run(
        schema(**said),
        {"type": "ACTIVATE_VERSION", "stream": "users", "version": 3},
        ignore_activate_version=True,
    )
    time: dict[str, Any] = {"format": "date-time", "type": ["null", "string"]}
    added = {"_mage_created_at": time, "_mage_updated_at": time}
    assert kept.schemas == {"users": {"type": "object", "properties": {**PROPERTIES, **added}}}
    assert kept.key_properties == {"users": ["id"]}
    assert kept.bookmark_properties == {"users": ["id"]}
    assert kept.unique_constraints == {"users": ["name"]}
    assert kept.unique_conflict_methods == {"users": "IGNORE"}
    assert kept.replication_methods == {"users": "INCREMENTAL"}
    assert kept.partition_keys == {"users": ["id"]}
    assert kept.disable_column_type_check == {"users": False}
    assert kept.versions == {"users": 3}


def test_without_batch_processing_each_record_goes_through_export_data() -> None:
    class Single(Destination):
        seen: list[Any] = []

        def export_data(
            self, stream: str, schema: Any, record: Any, tags: Any = None, **kwargs: Any
        ) -> None:
            self.seen.append((stream, record["id"], list(record)))

    Single().process(lines(schema(), record(1), record(2)))
    assert Single.seen == [("users", 1, list(PROPERTIES)), ("users", 2, list(PROPERTIES))]


def test_it_runs_as_mage_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"host": "a"}')
    (tmp_path / "input.jsonl").write_bytes(lines(schema(), record(1), state({"a": 1})).getvalue())
    monkeypatch.chdir(tmp_path)
    line = "x --config config.json --state state.json --input_file_path input.jsonl --log_to_stdout False"
    monkeypatch.setattr("sys.argv", line.split())
    kept = Kept(argument_parser=ArgumentParser(), batch_processing=True)
    kept.process(io.BytesIO())
    assert kept.config == {"host": "a"}
    assert kept.target.log_to_stdout is False
    assert (tmp_path / "state.json").read_text() == '{"a":1}\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "input.jsonl",
        "state.json",
    ]


def test_nothing_reads_the_command_line_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pytest", "-c", "nowhere.json", "--state"])
    assert Kept().config == {}


def test_settings_and_config_are_put_together(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("config: {a: 1, b: 1, c: 1}\ncatalog: {streams: []}\n")
    (tmp_path / "c.json").write_text('{"b": 2, "c": 2}')
    kept = Kept(
        settings_file_path=str(tmp_path / "s.yaml"),
        config_file_path=str(tmp_path / "c.json"),
        config={"c": 3},
    )
    assert kept.config == {"a": 1, "b": 2, "c": 3}
    assert kept.settings["catalog"] == {"streams": []}


def test_modes_that_load_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    kept = Kept(test_connection=True)
    kept.process(lines(b"nonsense\n"))
    assert kept.calls == ["before", "connected", "after"]
    with pytest.raises(ConfigError, match="templates"):
        Kept(show_templates=True).process(lines())
    assert capsys.readouterr().out == ""


def test_a_schema_of_the_catalog_wins() -> None:
    entry = {
        "tap_stream_id": "users",
        "schema": {"properties": {"name": {}, "id": {}}},
        "key_properties": ["name"],
    }
    kept = Kept(catalog={"streams": [entry]})
    kept.process(lines(schema(), record(1)))
    assert kept.key_properties == {"users": ["name"]}
    assert list(kept.records[0]["record"]) == ["name", "id"]


def test_duplicates_are_removed_by_the_hook() -> None:
    class Last(Kept):
        def remove_duplicate_rows(self, row_data: Any, stream: str) -> Any:
            return list({item["row"]["record"]["id"]: item for item in row_data}.values())

    kept = Last()
    kept.process(lines(schema(), record(1), record(2), record(1)))
    assert kept.calls[2] == ("users", [1, 2])


STATIC: dict[str, Any] = {"columns": {"tenant": "acme", "shard": 7}, "partition_keys": ["tenant"]}


def test_static_columns_of_the_config_are_added(tmp_path: Path) -> None:
    kept = run(schema(), record(1), _streams=STATIC)
    assert kept.records[0]["record"] == {
        "id": 1,
        "name": "n1",
        "price": None,
        "tenant": "acme",
        "shard": 7,
    }
    assert kept.partition_keys == {"users": ["tenant"]}
    assert kept.schemas["users"]["properties"].keys() >= {*PROPERTIES, "tenant", "shard"}
    checked = run(schema(disable_column_type_check=False), record(1), _streams=STATIC)
    assert checked.records[0]["record"]["shard"] == 7
    into(tmp_path / "w.duckdb", [schema(), record(1), state({"n": 1})], _streams=STATIC)
    assert rows(tmp_path / "w.duckdb", "SELECT id, tenant, shard FROM tap.users") == [
        (1, "acme", 7)
    ]


def test_they_are_added_to_the_rows_of_an_asset_too() -> None:
    class Users(Source):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Any:
            yield [{"id": 1}]

    kept = Kept(config={"_streams": STATIC, "created_at_column": "_mage_created_at"})
    assert dg.materialize(
        stream_assets(Users(name="shop"), streams=["users"], destination=kept)
    ).success
    assert list(kept.records[0]["record"]) == ["id", "tenant", "shard", "_mage_created_at"]


def test_a_static_column_takes_no_other_columns_place(tmp_path: Path) -> None:
    for options in ({"_streams": {"columns": {"name": "x"}}}, {"updated_at_column": "name"}):
        with pytest.raises(
            DestinationError, match=r"stream 'users'.*adds the column 'name', which the stream has"
        ):
            run(schema(), record(1), **options)
    with pytest.raises(DestinationError, match="adds the column 'name'"):
        into(tmp_path / "w.duckdb", [schema(), record(1)], _streams={"columns": {"name": "x"}})


def test_columns_for_the_time_have_the_names_one_gives_them() -> None:
    began = datetime.now(UTC)
    kept = run(
        schema(),
        record(1),
        created_at_column="_mage_created_at",
        updated_at_column="_mage_updated_at",
    )
    row = kept.records[0]["record"]
    assert list(row) == ["id", "name", "price", "_mage_created_at", "_mage_updated_at"]
    assert began <= datetime.fromisoformat(row["_mage_created_at"]) <= datetime.now(UTC)
    assert list(run(schema(), record(1)).records[0]["record"]) == ["id", "name", "price"]


def test_duckdbs_own_columns_can_have_mages_names(tmp_path: Path) -> None:
    warehouse = DuckDBDestination(
        str(tmp_path / "w.duckdb"), load_id_column=None, loaded_at_column="_mage_updated_at"
    )
    warehouse.process(lines(schema(), record(1)))
    (row,) = warehouse.read_table(warehouse.table_for("tap", Stream("users"))).to_pylist()
    assert row["_mage_updated_at"] is not None


def test_an_arrow_destination_is_a_target_too() -> None:
    class Arrow(Destination):
        rows = 0

        def export(self, batch: Any, load: Any) -> None:
            Arrow.rows += batch.to_arrow(load.stream).num_rows

    Arrow(batch_processing=True).process(lines(schema(), record(1), record(2)))
    assert Arrow.rows == 2


# Where Mage's loop loses something


@pytest.mark.parametrize(
    "bad",
    [
        b'{"type": "RECORD", "stream": "users", "rec\n',
        b"INFO not a message\n",
        b'{"type": "RECORD", "stre',
        b"[1]\n",
    ],
    ids=["corrupt", "noise", "half", "no object"],
)
def test_a_line_that_is_no_message_is_an_error_and_no_state_after_it_is_passed_on(
    bad: bytes, tmp_path: Path
) -> None:
    kept = Kept(state_file_path=str(tmp_path / "state.json"))
    tail = [] if not bad.endswith(b"\n") else [record(3), state({"at": 3})]
    with pytest.raises(ProtocolError):
        kept.process(lines(schema(), record(1), state({"at": 1}), record(2), bad, *tail))
    assert ("state", {"at": 3}) not in kept.calls
    assert kept.calls[-1] == "after"
    assert not (tmp_path / "state.json").exists()


def test_the_last_line_needs_no_end() -> None:
    assert run(schema(), json.dumps(record(1)).encode()).calls[2] == ("users", [1])


def test_logs_are_skipped_and_unknown_messages_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        run(
            schema(),
            {"type": "LOG", "message": "hi"},
            {"level": "info", "message": "hi"},
            {"type": "NEWS"},
            {"type": "NEWS"},
            record(1),
        )
    assert "{'NEWS': 2}" in caplog.text
    assert "LOG" not in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        {"bookmarks": {"z": {"id": 1}}},
        {"anything": [1, 2]},
        {},
        {"bookmarks": {}},
        7,
        {"big": 2**70},
    ],
    ids=[
        "a stream not seen",
        "no bookmarks",
        "empty",
        "no bookmark",
        "no object",
        "a long integer",
    ],
)
def test_any_state_is_passed_on_whole(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kept = run(schema(), record(1), state({"bookmarks": {"users": {"id": 9}}}), state(value))
    assert kept.calls[2] == ("users", [1])
    assert json.loads(capsys.readouterr().out) == value


def test_a_state_without_records_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    run(schema(), state({"empty": "window"}))
    assert capsys.readouterr().out == '{"empty":"window"}\n'


def test_states_are_barriers(capsys: pytest.CaptureFixture[str]) -> None:
    kept = run(
        schema(), schema("b"), record(1), state({"n": 1}), record(1, "b"), state({"n": 2}), record(2), state({"n": 3}),
        maximum_batch_rows=2,
    )  # fmt: skip
    assert kept.calls[2:-1] == [
        ("users", [1]), ("b", [1]), ("state", {"n": 1}), ("users", [2]), ("state", {"n": 3}),
    ]  # fmt: skip
    assert capsys.readouterr().out == '{"n":1}\n{"n":3}\n'


def test_a_state_is_passed_on_in_time() -> None:
    kept = run(
        schema(), record(1), state({"n": 1}), record(2), state({"n": 2}), record(3), state_seconds=0
    )
    assert kept.calls[2:-1] == [
        ("users", [1]), ("state", {"n": 1}), ("users", [2]), ("state", {"n": 2}), ("users", [3]),
    ]  # fmt: skip


def test_a_batch_is_bounded_by_the_bytes_on_the_wire() -> None:
    wide = {"type": "RECORD", "stream": "users", "record": {"id": 1, "name": "x" * 600_000}}
    kept = run(schema(), wide, wide, wide, wide, maximum_batch_size_mb=1)
    assert [call for call in kept.calls if call[0] == "users"] == [
        ("users", [1, 1]),
        ("users", [1, 1]),
    ]


def test_a_line_that_is_too_long_is_refused_before_it_is_held() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readline(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert 0 < size < 2_000_000
            self.given += size
            return b"x" * size

    endless = Endless()
    with pytest.raises(ProtocolError, match="longer than"):
        Kept(config={"maximum_line_mb": 1}).process(endless)
    assert endless.given < 2_000_000


def test_one_failing_stream_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    kept = Kept(config={"maximum_batch_rows": 2})
    kept.broken = ("users", "c")
    with pytest.raises(
        DestinationError, match=r"2 of 3 streams failed: 'users', 'c'.*no room for users"
    ) as caught:
        kept.process(
            lines(
                schema(), schema("b"), schema("c"), state({"n": 0}), record(1), record(1, "b"), state({"n": 1}),
                record(2, "b"), record(2), record(1, "c"), record(3, "b"), state({"n": 2}),
            )
        )  # fmt: skip
    assert [call for call in kept.calls if isinstance(call, tuple) and call[0] == "b"] == [
        ("b", [1]),
        ("b", [2]),
        ("b", [3]),
    ]
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert capsys.readouterr().out == ""
    assert kept.calls[-1] == "after"


def test_the_cause_of_a_failure_is_kept() -> None:
    kept = Kept()
    kept.broken = ("users",)
    with pytest.raises(DestinationError, match="stream 'users': ValueError: no room") as caught:
        kept.process(lines(schema(), record(1)))
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_record_before_its_schema_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="'orders'"):
        run(schema(), record(1, "orders"))


def test_types_are_checked_where_the_stream_asks_for_it() -> None:
    wrong = {"type": "RECORD", "stream": "users", "record": {"id": "seven"}}
    with pytest.raises(DestinationError) as caught:
        run(schema(disable_column_type_check=False), wrong)
    assert isinstance(caught.value.__cause__, DataError)
    assert "'id'" in str(caught.value)
    extra = {"type": "RECORD", "stream": "users", "record": {"id": 1, "undeclared": 2}}
    assert (
        run(schema(disable_column_type_check=False), extra).records[0]["record"]["undeclared"] == 2
    )


def test_a_destination_that_cannot_remove_old_rows_says_so() -> None:
    activate = {"type": "ACTIVATE_VERSION", "stream": "users", "version": 2}
    with pytest.raises(DestinationError, match="older than version 2"):
        run(schema(), record(1, version=2), activate)


def test_a_changed_schema_parts_the_batches() -> None:
    wider = schema()
    wider["schema"] = {"properties": {**PROPERTIES, "age": {"type": "integer"}}}
    kept = run(schema(), record(1), wider, record(2))
    assert [call for call in kept.calls if call[0] == "users"] == [("users", [1]), ("users", [2])]
    assert list(kept.records[0]["record"]) == ["id", "name", "price", "age"]


def batch(
    *files: Path | str, kind: str = "jsonl", compression: str | None = None
) -> dict[str, Any]:
    return {
        "type": "BATCH", "stream": "users", "encoding": {"format": kind, "compression": compression},
        "manifest": [file.as_uri() if isinstance(file, Path) else file for file in files],
    }  # fmt: skip


def zipped(path: Path, count: int) -> Path:
    with gzip.open(path, "wb") as file:
        file.write(
            b"".join(b'{"id": %d, "name": "%s"}\n' % (n, b"x" * 50) for n in range(1, count + 1))
        )
    return path


def test_batches_of_gzipped_json_lines_are_read(tmp_path: Path) -> None:
    one, two = zipped(tmp_path / "a b.jsonl.gz", 2), zipped(tmp_path / "c.jsonl.gz", 1)
    assert run(schema(), batch(one, two, compression="gzip"), batch_folder=str(tmp_path)).calls[
        2
    ] == (
        "users",
        [1, 2, 1],
    )


def test_batches_of_parquet_are_read_exactly(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 2**63 - 1], pa.int64()),
            "name": ["Größe", None],
            "price": pa.array([Decimal("0.10"), None], pa.decimal128(38, 2)),
            "at": pa.array(
                [datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")
            ),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    kept = run(schema(), batch(tmp_path / "a.parquet", kind="parquet"), batch_folder=str(tmp_path))
    assert [item["record"] for item in kept.records] == [
        {"id": 1, "name": "Größe", "price": 0.1, "at": "2026-01-01T00:00:00.000001+00:00"},
        {"id": 2**63 - 1, "name": None, "price": None, "at": None},
    ]
    native = Native(config={"batch_folder": str(tmp_path)})
    native.process(lines(schema(), batch(tmp_path / "a.parquet", kind="parquet")))
    assert native.records[0]["record"]["price"] == Decimal("0.10")
    warehouse = tmp_path / "w.duckdb"
    messages = [schema(), batch(tmp_path / "a.parquet", kind="parquet"), state({"n": 1})]
    into(warehouse, messages, batch_folder=str(tmp_path))
    assert rows(warehouse, "SELECT id, name, price FROM tap.users ORDER BY id") == [
        (1, "Größe", 0.1), (2**63 - 1, None, None)
    ]  # fmt: skip


def test_nanoseconds_in_parquet_are_not_cut(tmp_path: Path) -> None:
    at = pa.array([1_767_225_600_000_000_001], pa.timestamp("ns", "UTC"))
    parquet.write_table(pa.table({"id": [1], "at": at}), tmp_path / "a.parquet")
    warehouse = tmp_path / "w.duckdb"
    messages = [schema(), batch(tmp_path / "a.parquet", kind="parquet"), state({"n": 1})]
    into(warehouse, messages, batch_folder=str(tmp_path))
    ((found,),) = rows(warehouse, 'SELECT CAST("at" AS VARCHAR) FROM tap.users')
    assert found.startswith("2026-01-01 00:00:00.000000001") or "T00:00:00.000000001" in found


def broken_files(folder: Path) -> dict[str, dict[str, Any]]:
    whole = zipped(folder / "whole.gz", 1000).read_bytes()
    (folder / "cut.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "corrupt.gz").write_bytes(whole[:30] + bytes(60) + whole[90:])
    (folder / "plain.gz").write_bytes(b'{"id": 1}\n')
    (folder / "half.jsonl").write_bytes(b'{"id": 1}\n{"id": 2')
    (folder / "list.jsonl").write_bytes(b"[1]\n")
    (folder / "latin.jsonl").write_bytes(b'{"id": "\xe4"}\n')
    (folder / "deep.jsonl").write_bytes(b'{"id": ' + b"[" * 20_000 + b"]" * 20_000 + b"}\n")
    (folder / "far.jsonl").write_bytes(b'{"id": 1e99999999999999999999}\n')
    parquet.write_table(pa.table({"id": [1] * 1000}), folder / "whole.parquet")
    (folder / "cut.parquet").write_bytes((folder / "whole.parquet").read_bytes()[:-20])
    return {
        **{
            name: batch(folder / name, compression="gzip")
            for name in ("cut.gz", "corrupt.gz", "plain.gz")
        },
        **{
            name: batch(folder / name)
            for name in ("half.jsonl", "list.jsonl", "latin.jsonl", "deep.jsonl", "far.jsonl")
        },
        "cut.parquet": batch(folder / "cut.parquet", kind="parquet"),
        "missing": batch(folder / "missing.jsonl"),
        "a folder": batch(folder),
        "elsewhere": batch("s3://bucket/a.jsonl.gz"),
        "csv": batch(folder / "half.jsonl", kind="csv"),
        "zstd": batch(folder / "half.jsonl", compression="zstd"),
    }


BROKEN = ("cut.gz", "corrupt.gz", "plain.gz", "half.jsonl", "list.jsonl", "latin.jsonl", "deep.jsonl", "far.jsonl",
          "cut.parquet", "missing", "a folder", "elsewhere", "csv", "zstd")  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_batch_that_cannot_be_read_whole_is_an_error_and_no_state_follows(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = broken_files(tmp_path)[name]
    with pytest.raises(ProtocolError, match=r"stream 'users': a BATCH message cannot be read"):
        run(schema(), message, state({"n": 1}), batch_folder=str(tmp_path))
    warehouse = tmp_path / "w.duckdb"
    messages = [schema(), record(1), state({"n": 0}), message, state({"n": 1})]
    with pytest.raises(ProtocolError):
        into(warehouse, messages, state_seconds=0, batch_folder=str(tmp_path))
    assert rows(warehouse, "SELECT id FROM tap.users") == [(1,)]
    assert capsys.readouterr().out == '{"n":0}\n'


OUTSIDE = (
    *("{root}/secret.gz", "{allowed}/../secret.gz", "{allowed}/%2e%2e/secret.gz", "{allowed}/link.gz"),
    *("{allowed}/a/s.gz", "{allowed}/other.gz", "{allowed}/fifo", "{allowed}-2/secret.gz", "../secret.gz", "/dev/zero"),
)  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("url", [*OUTSIDE, *(f"file://{one}" for one in OUTSIDE)])
def test_files_elsewhere_than_in_the_folder_are_refused(tmp_path: Path, url: str) -> None:
    allowed = tmp_path / "batches"
    allowed.mkdir()
    inside, outside = zipped(allowed / "a.gz", 1), zipped(tmp_path / "secret.gz", 1)
    zipped(tmp_path / "s.gz", 1)
    (allowed / "link.gz").symlink_to(outside)
    (allowed / "a").symlink_to(tmp_path)
    (allowed / "other.gz").hardlink_to(outside)
    os.mkfifo(allowed / "fifo")
    kept = run(schema(), batch(inside, "a.gz", compression="gzip"), batch_folder=str(allowed))
    assert kept.calls[2] == ("users", [1, 1])
    url = url.format(root=tmp_path, allowed=allowed)
    with pytest.raises(
        ProtocolError, match=r"not below the folder|is not on this machine"
    ) as error:
        run(schema(), batch(url, compression="gzip"), batch_folder=str(allowed))
    assert repr(url) in str(error.value)
    assert inside.exists()


def test_no_file_is_read_without_a_folder_and_the_hint_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = zipped(tmp_path / "a.gz", 1)
    with pytest.raises(ProtocolError, match="Set batch_folder in the config") as error:
        run(schema(), batch(file, compression="gzip"))
    assert str(file) in str(error.value)
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "link", "."):  # a folder is what its user calls so
        assert run(schema(), batch(file, compression="gzip"), batch_folder=str(folder)).calls[
            2
        ] == ("users", [1])
    through = (tmp_path / "link" / "a.gz").as_uri()
    kept = run(schema(), batch(through, compression="gzip"), batch_folder=str(tmp_path / "link"))
    assert kept.calls[2] == ("users", [1])
    with pytest.raises(ConfigError, match="mkdir -p"):
        run(schema(), batch(file, compression="gzip"), batch_folder=str(tmp_path / "none"))


def test_a_line_of_a_batch_may_be_as_long_as_a_message(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "name": "' + "x" * 2_000_000 + '"}\n')
    message = batch(tmp_path / "a.jsonl")
    run(schema(), message, batch_folder=str(tmp_path), maximum_line_mb=3)
    with pytest.raises(ProtocolError, match="a line is longer than 1,048,576 bytes"):
        run(schema(), message, batch_folder=str(tmp_path), maximum_line_mb=1)


# DuckDB as a target


def rows(path: Path, sql: str) -> list[Any]:
    with duckdb.connect(str(path)) as connection:
        return connection.sql(sql).fetchall()


def into(path: Path, messages: Iterable[dict[str, Any] | bytes], **config: Any) -> None:
    warehouse = DuckDBDestination(str(path))
    warehouse.config = config
    warehouse.process(lines(*messages))


def test_duckdb_merges_by_the_key_and_passes_the_state_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.duckdb"
    into(path, [schema(), record(1), record(2), state({"n": 2})])
    again = {"type": "RECORD", "stream": "users", "record": {"id": 2, "name": "new"}}
    into(path, [schema(), again, record(3), state({"n": 3})])
    assert rows(path, "SELECT id, name FROM tap.users ORDER BY id") == [
        (1, "n1"),
        (2, "new"),
        (3, "n3"),
    ]
    assert capsys.readouterr().out == '{"n":2}\n{"n":3}\n'


def test_duckdb_makes_a_table_of_a_stream_without_records(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    into(path, [schema(), state({"n": 0})], source="shop")
    assert rows(path, "SELECT count(*) FROM shop.users") == [(0,)]


def test_duckdb_commits_at_states_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.duckdb"
    messages: list[dict[str, Any] | bytes] = [
        schema(key_properties=[]),
        record(1),
        state({"n": 1}),
        record(2),
        b"broken\n",
    ]
    with pytest.raises(ProtocolError):
        into(path, messages, state_seconds=0, maximum_batch_rows=1)
    assert rows(path, "SELECT id FROM tap.users") == [(1,)]
    assert capsys.readouterr().out == '{"n":1}\n'
    into(
        path, [schema(key_properties=[]), record(2), state({"n": 2})]
    )  # resumed: nothing twice, nothing lost
    assert rows(path, "SELECT id FROM tap.users ORDER BY id") == [(1,), (2,)]


def test_duckdb_keeps_the_other_streams_when_one_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.duckdb"
    wrong = {"type": "RECORD", "stream": "users", "record": {"id": "seven"}}
    with pytest.raises(DestinationError, match="'users'"):
        into(path, [schema(), schema("b"), wrong, record(1, "b"), state({"n": 1})])
    assert rows(path, "SELECT id FROM tap.b") == [(1,)]
    assert capsys.readouterr().out == ""


def test_duckdb_removes_the_rows_of_older_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.duckdb"

    def activate(version: int) -> dict[str, Any]:
        return {"type": "ACTIVATE_VERSION", "stream": "users", "version": version}

    keyless = schema(key_properties=[])
    into(path, [keyless, record(1, version=1), record(2, version=1), activate(1), state({"v": 1})])
    assert rows(path, "SELECT id FROM tap.users ORDER BY id") == [(1,), (2,)]
    into(
        path,
        [keyless, record(2, version=5), state({"v": 4}), activate(5), state({"v": 5})],
        state_seconds=0,
    )
    assert rows(path, "SELECT id FROM tap.users") == [(2,)]
    with pytest.raises(ProtocolError):  # the next one dies: the table stays
        into(path, [keyless, record(9, version=6), state({"v": 6}), b"broken\n"], state_seconds=0)
    assert rows(path, "SELECT id FROM tap.users") == [(2,)]
    into(path, [keyless, activate(7), record(8, version=7), activate(7), state({"v": 7})])
    assert rows(path, "SELECT id FROM tap.users") == [(8,)]
    into(
        path, [keyless, record(9, version=7), state({"v": 8})]
    )  # incremental: announced by an earlier run
    assert rows(path, "SELECT id FROM tap.users ORDER BY id") == [(8,), (9,)]
    assert [json.loads(line)["v"] for line in capsys.readouterr().out.splitlines()] == [1, 5, 7, 8]


def test_duckdb_adds_the_records_that_come_after_their_version_was_activated(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.duckdb"
    keyless = schema(key_properties=[])
    activate = {"type": "ACTIVATE_VERSION", "stream": "users", "version": 5}
    into(path, [keyless, record(1), state({"v": 0})])
    whole = [record(2, version=5), record(3, version=5), activate, state({"v": 5})]
    into(
        path,
        [keyless, *whole, record(4, version=5), record(5, version=5), state({"v": 6})],
        state_seconds=0,
    )
    assert rows(path, "SELECT id FROM tap.users ORDER BY id") == [(2,), (3,), (4,), (5,)]


def test_duckdb_goes_on_with_streams_that_come_after_all_others_failed(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with pytest.raises(DestinationError, match="1 of 2 streams failed: 'users'"):
        into(
            path,
            [
                schema(),
                user('{"id":"seven"}'),
                state({"n": 1}),
                schema("b"),
                record(1, "b"),
                state({"n": 2}),
            ],
        )
    assert rows(path, "SELECT id FROM tap.b") == [(1,)]


def test_duckdb_takes_a_schema_that_changes(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    wider = schema()
    wider["schema"] = {"properties": {**PROPERTIES, "age": {"type": "integer"}}}
    older = {"type": "RECORD", "stream": "users", "record": {"id": 2, "age": 30}}
    into(path, [schema(), record(1), wider, older, wider])
    assert rows(path, "SELECT id, age FROM tap.users ORDER BY id") == [(1, None), (2, 30)]


def test_duckdb_runs_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"path": "w.duckdb", "source": "shop"}))
    program = "from etl_assets import DuckDBDestination; DuckDBDestination.main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--config", "c.json", "--state", "state.json"],
        cwd=tmp_path,
        input=lines(schema(), record(1), state({"n": 1})).getvalue(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert (tmp_path / "state.json").read_text() == '{"n":1}\n'
    assert rows(tmp_path / "w.duckdb", "SELECT id FROM shop.users") == [(1,)]


def test_an_error_of_a_program_is_one_line(tmp_path: Path) -> None:
    program = "from etl_assets.destinations.base import Destination, main\nmain(Destination)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=b"broken\n",
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().startswith("ProtocolError: ")
    assert b"Traceback" not in done.stderr


FAILING = """
from etl_assets.destinations.base import Destination, main
class Failing(Destination):
    def test_connection(self):
        raise ConnectionError(f"401 for {self.config['token']}")
    def export_batch_data(self, record_data, stream, tags=None): ...
main(Failing)
"""


@pytest.mark.parametrize("debug", ["0", "1"])
def test_what_a_hook_raises_is_one_line_without_secrets(debug: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"token": "s3cr3t-token"}')
    done = subprocess.run(
        [sys.executable, "-c", FAILING, "--config", "c.json"],
        input=lines(schema(), record(1)).getvalue(),
        cwd=tmp_path,
        env={**os.environ, "ETL_ASSETS_DEBUG": debug},
        capture_output=True,
        check=False,
    )
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    assert "401 for ****" in told.splitlines()[-1]
    assert "s3cr3t" not in told
    assert ("Traceback" in told) is (debug == "1")


class InPieces(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may."""

    def read1(self, size: int | None = -1) -> bytes:
        del size
        return super().read1(37)


def user(text: str) -> bytes:
    return f'{{"type":"RECORD","stream":"users","record":{text}}}\n'.encode()


@pytest.mark.parametrize("pipe", [io.BytesIO, InPieces])
def test_duckdb_keeps_the_order_of_records_however_they_are_spelled(
    pipe: type[io.BytesIO], tmp_path: Path
) -> None:
    properties = {**PROPERTIES, "tree": {"type": ["null", "object"]}}
    said = schema(schema={"type": "object", "properties": properties})
    other = b'{"record": {"id": 1, "name": "second"}, "stream": "users", "type": "RECORD"}\n'
    third = user('{"name":"third","id":1,"tree":{"a":1.10, "b": 1e400}}')
    messages: list[dict[str, Any] | bytes] = [
        said,
        record(1),
        record(2),
        other,
        third,
        state({"n": 1}),
    ]
    DuckDBDestination(str(tmp_path / "w.duckdb")).process(pipe(lines(*messages).getvalue()))
    found = rows(tmp_path / "w.duckdb", "SELECT id, name, tree::VARCHAR FROM tap.users ORDER BY id")
    assert found == [(1, "third", '{"a":1.10,"b":1e400}'), (2, "n2", None)]


@pytest.mark.parametrize(
    "bad",
    [
        user('{"id":3,}'),
        user('{"id":3}').strip() + b'{"type":"STATE","value":1}\n',
        user('{"id":3},"stream":"others"'),
    ],
)
def test_duckdb_gets_no_state_with_a_bad_record_among_good_ones(
    bad: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ProtocolError):
        into(
            tmp_path / "w.duckdb", [schema(), record(1), record(2), bad, record(3), state({"n": 1})]
        )
    assert not capsys.readouterr().out


def test_duckdb_reads_a_record_by_the_schema_before_it(tmp_path: Path) -> None:
    def said(kind: str) -> dict[str, Any]:
        return schema(
            schema={
                "type": "object",
                "properties": {"id": {"type": "integer"}, "x": {"type": kind}},
            }
        )

    first, second = user('{"id":1,"x":1}'), user('{"id":2,"x":0.5}')
    into(tmp_path / "w.duckdb", [said("integer"), first, said("number"), second, state({"n": 1})])
    assert rows(tmp_path / "w.duckdb", "SELECT id, x FROM tap.users ORDER BY id") == [
        (1, 1.0),
        (2, 0.5),
    ]


def test_duckdb_names_the_value_that_contradicts_its_schema(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match=r"(?s)users.*id.*seven"):
        into(tmp_path / "w.duckdb", [schema(), record(1), user('{"id":"seven"}'), state({"n": 1})])


# What Mage's destinations do with what they get


def test_every_value_of_a_pipe_can_be_written_as_json() -> None:
    """Numbers are what `json.loads` makes of them, in objects and arrays too."""
    line = (
        b'{"type":"RECORD","stream":"users",'
        b'"record":{"id":1,"price":1.10,"name":{"a":[0.1,1e3,12345678901234567890]}}}\n'
    )
    kept = run(schema(), line)
    assert json.dumps(kept.records[0]["record"]) == (
        '{"id": 1, "name": {"a": [0.1, 1000.0, 12345678901234567890]}, "price": 1.1}'
    )


def test_a_failure_leaves_the_last_good_state_as_the_last_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Filling(Kept):
        def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
            if record_data[-1]["record"]["id"] > 2:
                raise ValueError("no room")

    for messages, last in (
        ([record(1), state({"bookmarks": {"users": {"id": 1}}}), record(3), state({"bookmarks": {"users": {"id": 3}}})],
         ['{"bookmarks":{"users":{"id":1}}}']),
        ([record(3), state({"bookmarks": {"users": {"id": 3}}})], []),
    ):  # fmt: skip
        with pytest.raises(DestinationError):
            Filling(config={"maximum_batch_rows": 1}).process(lines(schema(), *messages))
        assert capsys.readouterr().out.splitlines()[-1:] == last


def test_what_a_connector_keeps_in_its_config_stays_there() -> None:
    class Wrapping(Destination):
        def _process(self, input_buffer: Any) -> None:
            self.config["state_path"] = self.state_file_path
            self.config.setdefault("other", 2)
            assert self.config == {"host": "a", "state_path": "s.json", "other": 2}
            assert self.config.pop("other") == 2
            assert json.loads(json.dumps(self.config)) == {"host": "a", "state_path": "s.json"}

    Wrapping(config={"host": "a"}, state_file_path="s.json").process(io.BytesIO())


def test_an_unknown_flag_is_named_and_ignored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["d.py", "--config_json", '{"a": 1}', "--token", "hidden"])
    assert Destination(argument_parser=ArgumentParser()).config == {"a": 1}
    assert "--token" in caplog.text
    assert "hidden" not in caplog.text

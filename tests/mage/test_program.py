"""Sources written for Mage as programs: how they are made, which of their hooks are called, what they read."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from etl_assets import DuckDBDestination, Source, Stream, StreamRead, stream_assets
from etl_assets.sources.base import main
from etl_assets.sources.catalog import Catalog, CatalogEntry, Schema

ROOT = Path(__file__).parents[2]
USERS = Stream(
    "users",
    primary_key="id",
    replication_key="id",
    schema={"properties": {"id": {"type": "integer"}}},
)


def said(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


SCRIPT = """
import sys
from etl_assets.sources.base import Source, main

class Bare(Source):
    def __init__(self):
        super().__init__()
        self.token = self.config["token"]

    def discover(self, streams=None):
        return {"streams": [], "token": self.token}

    def load_data(self, stream, **kwargs):
        yield [{"token": self.token}]

if __name__ == "__main__":
    {last}
"""


@pytest.mark.parametrize("last", ["main(Bare)", "Late().process()"])
def test_a_script_reads_its_command_line(last: str, tmp_path: Path) -> None:
    late = SCRIPT.replace('self.token = self.config["token"]', "").replace(
        "self.token", 'self.config["token"]'
    )
    text = late.replace("Bare", "Late") if "Late" in last else SCRIPT
    (tmp_path / "shop.py").write_text(text.replace("{last}", last))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "shop.py", "--config_json", '{"token": "t"}', *arguments]
        where = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            line, cwd=tmp_path, env=where, capture_output=True, text=True, check=True
        )

    assert json.loads(run("-d").stdout) == {"streams": [], "token": "t"}
    done = run("--selected_streams_json", '["a"]', "--unknown", "hidden", "-x=hidden")
    assert json.loads(done.stdout.splitlines()[-1])["record"] == {"token": "t"}
    assert "--unknown, -x" in done.stderr
    assert "hidden" not in done.stderr


FAILING = """
from etl_assets.sources.base import Source, main
class Failing(Source):
    def test_connection(self):
        raise ConnectionError(f"401 for {self.config['token']}")
main(Failing, schemas_folder="of_api")
"""


@pytest.mark.parametrize("debug", ["0", "1"])
def test_what_a_hook_raises_is_one_line_without_secrets(debug: str, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    line = [
        sys.executable,
        "failing.py",
        "--config_json",
        '{"token": "s3cr3t-token"}',
        "--test_connection",
    ]
    where = {**os.environ, "PYTHONPATH": str(ROOT), "ETL_ASSETS_DEBUG": debug}
    done = subprocess.run(
        line, cwd=tmp_path, env=where, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "ConnectionError: 401 for ****"
    assert "s3cr3t" not in done.stderr
    assert ("Traceback" in done.stderr) is (debug == "1")


def test_a_folder_of_schemas_that_is_not_there_and_a_catalog_without_a_selection_are_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    where = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "failing.py", *arguments]
        return subprocess.run(
            line, cwd=tmp_path, env=where, capture_output=True, text=True, check=False
        )

    for arguments, printed in (["--load_sample_data"], ""), (["--count_records"], "[]"), ([], ""):
        done = run(*arguments)
        assert (done.returncode, done.stdout.strip()) == (0, printed)
        assert "No stream is selected" in done.stderr
    assert f"no folder of schemas '{tmp_path / 'of_api'}'" in done.stderr


def test_process_of_a_source_in_a_host_reads_no_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["host", "-d"])

    class Syncing(Source):
        streams = [USERS]

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1}]

    Syncing().process()
    assert [message["type"] for message in said(capsys)] == ["SCHEMA", "RECORD", "STATE"]


def test_the_modes_are_where_mage_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    source = Source(
        count_records=True, discover_mode=True, discover_streams_mode=True, test_connection=True
    )
    assert (source.count_records_mode, source.discover_mode, source.discover_streams_mode) == (
        True,
        True,
        True,
    )
    assert (source.should_test_connection, source.load_sample_data, source.show_templates) == (
        True,
        False,
        False,
    )
    source.should_test_connection = False
    source.process()
    assert said(capsys) == [[]]


def test_query_may_be_a_text() -> None:
    assert Source(query='{"_limit": 3}').query == {"_limit": 3}


def test_every_hook_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    called: list[str] = []

    class Hooked(Source):
        streams = [USERS]

        def _get_bookmark_properties_for_stream(
            self, stream: Any, bookmarks: Any = None
        ) -> list[str]:
            called.append(f"properties {bookmarks}")
            return super()._get_bookmark_properties_for_stream(stream, bookmarks)

        def internal_column_schema(self, stream: Any, bookmarks: Any = None) -> Any:
            called.append("internal")
            return {}

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1}]

    Hooked(state={"bookmarks": {"users": {"id": 1}}}).process()
    assert {"properties {'id': 1}", "properties None", "internal"} <= set(called)
    assert said(capsys)[0]["bookmark_properties"] == ["id"]


class Logged(Source):
    """Follows a stream by its position in a log, as Mage's PostgreSQL source does."""

    streams = [USERS.replace(replication_method="LOG_BASED", replication_key=None)]
    asked: list[Any] = []

    def _get_bookmark_properties_for_stream(self, stream: Any, bookmarks: Any = None) -> list[str]:
        return ["lsn"] if bookmarks else []

    def internal_column_schema(self, stream: Any, bookmarks: Any = None) -> Any:
        return {"lsn": {"type": ["null", "integer"]}}

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        self.asked.append(bookmarks)
        if not bookmarks:
            yield [{"id": 1}, {"id": 2}]
            from etl_assets.sources.messages import write_state

            write_state({"bookmarks": {"users": {"lsn": 10}}})
            return
        yield [{"id": 3, "lsn": bookmarks["lsn"] + 1}]


def test_a_source_may_name_what_it_is_followed_by_and_write_its_bookmark(tmp_path: Path) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    assets = stream_assets(Logged(name="logged"), destination=warehouse)
    for _ in range(3):
        assert dg.materialize(assets).success
    assert Logged.asked == [None, {"lsn": 10}, {"lsn": 11}]
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        assert connection.sql("SELECT id FROM logged.users ORDER BY id").fetchall() == [
            (1,),
            (2,),
            (3,),
        ]


def test_a_key_that_nobody_chose_promises_no_order(capsys: pytest.CaptureFixture[str]) -> None:
    class Unordered(Source):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 2}, {"id": 1}]

    own = {
        "selected": True,
        "forced-replication-method": "INCREMENTAL",
        "valid-replication-keys": ["id"],
    }
    entry = {
        "tap_stream_id": "users",
        "schema": USERS.schema,
        "metadata": [{"breadcrumb": [], "metadata": own}],
    }
    Unordered(catalog={"streams": [entry]}).process()
    assert [m.get("value") for m in said(capsys) if m["type"] == "STATE"] == [
        {"bookmarks": {"users": {"id": 2}}}
    ]


def test_build_catalog_entry_is_mages_to_the_word() -> None:
    class Keyed(Source):
        def get_table_key_properties(self, stream_id: str) -> list[str]:
            return ["id"]

    schema = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "at": {"type": ["null", "string"]}},
    }
    entry = Keyed().build_catalog_entry("users", Schema.from_dict(schema))
    own = {
        "table-key-properties": ["id"], "forced-replication-method": "FULL_TABLE", "valid-replication-keys": [],
        "inclusion": "available", "schema-name": "users", "selected": False,
    }  # fmt: skip
    assert entry.to_dict() == {
        "auto_add_new_fields": False, "key_properties": [], "replication_key": "", "replication_method": "FULL_TABLE",
        "schema": schema, "stream": "users", "tap_stream_id": "users",
        "metadata": [
            {"breadcrumb": (), "metadata": own},
            {"breadcrumb": ("properties", "id"), "metadata": {"inclusion": "automatic"}},
            {"breadcrumb": ("properties", "at"), "metadata": {"inclusion": "available"}},
        ],
    }  # fmt: skip
    assert entry.key_properties == ["id"]
    followed = Keyed().build_catalog_entry(
        "users", schema, bookmark_properties=["at", "id"], key_properties=["at"]
    )
    words = followed.to_dict()
    assert (words["replication_key"], words["bookmark_properties"]) == ("at", ["at", "id"])
    assert (
        words["key_properties"]
        == words["metadata"][0]["metadata"]["table-key-properties"]
        == ["at"]
    )
    bare = CatalogEntry(
        tap_stream_id="a", stream="a", unique_constraints=[], bookmark_properties=[]
    )
    assert bare.to_dict() == {"tap_stream_id": "a", "stream": "a", "auto_add_new_fields": False}
    assert Catalog([bare]).to_dict() == {"streams": [bare.to_dict()]}


def test_types_that_are_not_checked_widen(tmp_path: Path) -> None:
    class Odd(Source):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1, "n": 1}, {"id": 2, "n": "two"}]
            yield [{"id": 3, "n": 3.5}]

    schema = {"properties": {"id": {"type": "integer"}, "n": {"type": ["null", "integer"]}}}
    stream = Stream("things", primary_key="id", schema=schema)
    path = tmp_path / "w.duckdb"
    for check, ends in ((None, False), (False, False), (True, True)):
        source = Odd(name="odd", streams=[stream.replace(disable_column_type_check=check)])
        done = dg.materialize(
            stream_assets(source, destination=DuckDBDestination(str(path))), raise_on_error=False
        )
        assert done.success is ends
    with duckdb.connect(str(path)) as connection:
        assert connection.sql("SELECT id, n FROM odd.things ORDER BY id").fetchall() == [
            (1, "1"),
            (2, '"two"'),
            (3, "3.5"),
        ]


def test_a_hook_that_asks_a_server_for_schemas_is_not_called_when_definitions_load() -> None:
    class Asking(Source):
        def load_schemas_from_folder(self) -> Any:
            raise ConnectionError("asked")

        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1}]

    assert stream_assets(
        Asking(name="asking"), streams=["a"], destination=DuckDBDestination(":memory:")
    )
    with pytest.raises(ConnectionError):
        Asking().discover()


def test_what_a_read_keeps_in_its_config_is_its_own() -> None:
    class Keeping(Source):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            assert "token" not in self.config
            self.config.update({"token": "t"})
            yield [{"token": self.config["token"]}]

    source = Keeping(name="keeping", config={"a": dg.EnvVar("SOME_A")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_A", "resolved")
        for _ in range(2):
            (batch,) = StreamRead(source, Stream("a")).open(None)
            assert batch.rows == [{"token": "t"}]
        source.config["b"] = 2
        source.config["a"] = "resolved"
    assert source._config == {"a": dg.EnvVar("SOME_A"), "b": 2}


def test_main_takes_no_arguments_of_the_class(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Bare(Source):
        def __init__(self) -> None:
            super().__init__(schemas_folder="nowhere")

    monkeypatch.setattr("sys.argv", ["bare.py", "--discover_streams"])
    main(Bare)
    assert said(capsys) == [[]]

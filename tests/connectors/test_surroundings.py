"""Where a connector runs, and what else it is given: its working directory, variables and arguments."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.connectors.process import Limits
from etl_assets.destinations.connectors import get_destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError, ConnectorError, InputError
from etl_assets.model.stream import Stream
from etl_assets.redaction import redact
from etl_assets.sources.base import Source
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.connectors import get_source

from .conftest import LIMITS, Loaded
from .test_singer import schema

Program = Callable[[str], Path]
Load = Callable[..., Loaded]
READS = """
import json
print(json.dumps({"type": "SCHEMA", "stream": "a", "schema": {"properties": {"id": {"type": "integer"}}},
                  "key_properties": ["id"]}))
for line in open("data/ids.txt"):
    print(json.dumps({"type": "RECORD", "stream": "a", "record": {"id": int(line)}}))
"""


class Own(Source):
    streams = [Stream("orders", primary_key="id")]

    def load_data(self, stream: Stream, *_: Any, **__: Any) -> Any:
        yield [{"id": number} for number in range(5)]


def tap(program: Program, does: str, **options: Any) -> ConnectorSource:
    config = {"lines": [], "streams": ["a"], "does": does}
    return get_source(
        "tap-fake", config, local_executable=program("fake_singer"), limits=LIMITS, **options
    )


def with_data(folder: Path, *ids: int) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "ids.txt").write_text("\n".join(map(str, ids)))
    return folder


def test_relative_paths_are_those_of_the_calling_process(
    program: Program, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(with_data(tmp_path / "here", 1, 2))
    result = load(tap(program, READS))
    assert result.error is None
    assert result.rows("tap_fake.a") == [1, 2]


def test_another_working_directory_is_taken(
    program: Program, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(with_data(tmp_path / "here", 1, 2))
    result = load(tap(program, READS, working_directory=with_data(tmp_path / "there", 3)))
    assert result.rows("tap_fake.a") == [3]
    with_data(tmp_path / "here" / "below", 4)
    monkeypatch.chdir(tmp_path / "here")
    assert load(tap(program, READS, working_directory="below")).rows("tap_fake.a") == [3, 4]


def test_a_working_directory_that_is_not_there_is_named(program: Program, tmp_path: Path) -> None:
    source = tap(program, READS, working_directory=tmp_path / "no where")
    with pytest.raises(ConfigError, match=rf"working_directory .*mkdir -p '{tmp_path}/no where'"):
        source.discover()


def test_its_files_are_private_and_its_config_is_as_it_was_given(
    program: Program, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    note = tmp_path / "note.json"
    source = get_source(
        "tap-fake",
        {"lines": [schema("a")], "streams": ["a"], "note": str(note), "path": "./x/../y"},
        local_executable=program("fake_singer"),
        limits=LIMITS,
    )
    load(source)
    argv = json.loads(note.read_text())["argv"]
    given = [Path(argv[argv.index(flag) + 1]) for flag in ("--config", "--catalog")]
    assert all(path.is_absolute() and not path.is_relative_to(tmp_path) for path in given)
    assert {path.name for path in tmp_path.iterdir()} == {"fake_singer", "note.json", "w.duckdb"}


def test_a_target_writes_where_the_script_is(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    target = get_destination(
        "target-fake", {"out": "out.jsonl"}, local_executable=program("fake_target")
    )
    assert dg.materialize(stream_assets(Own(name="own"), destination=target)).success
    assert (tmp_path / "here" / "out.jsonl").read_text().count("RECORD") == 5


def test_variables_and_arguments_are_given_and_secret_ones_are_masked(
    program: Program, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PROFILE", "prod-canary-1")
    seen = tmp_path / "seen.json"
    does = (
        "import json, os, sys\n"
        f"json.dump([os.environ['PROFILE'], os.environ['N'], sys.argv], open({str(seen)!r}, 'w'))\n{READS}"
    )
    with_data(tmp_path, 1)
    source = tap(
        program,
        does,
        env={"PROFILE": dg.EnvVar("MY_PROFILE"), "N": 3},
        arguments=["--log-level", "debug"],
        working_directory=tmp_path,
    )
    load(source)
    profile, number, argv = json.loads(seen.read_text())
    assert (profile, number, argv[-2:]) == ("prod-canary-1", "3", ["--log-level", "debug"])
    assert "prod-canary-1" not in redact("prod-canary-1")


def test_what_cannot_be_given_is_refused(program: Program) -> None:
    with pytest.raises(InputError, match="is no name"):
        tap(program, READS, env={"A=B": "x"})
    with pytest.raises(InputError, match="list of texts"):
        tap(program, READS, arguments="--debug")


def test_a_container_gets_the_directory_only_if_it_is_given_and_no_value_is_an_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = tmp_path / "argv"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {argv}\necho "value $SECRET" >> {argv}\nexit 1\n')
    docker.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for given in (None, tmp_path):
        source = get_source(
            "source-x", {}, docker_image="x/y", env={"SECRET": "c4n4ry"}, working_directory=given
        )
        with pytest.raises(Exception, match="exit code 1"):
            source.discover()
    first, _, second, value = argv.read_text().splitlines()
    assert "--workdir" not in first
    assert f"--volume {tmp_path}:{tmp_path} --workdir {tmp_path}" in second
    assert "--env SECRET" in second
    assert "c4n4ry" not in first + second
    assert value == "value c4n4ry"


def test_the_example_of_the_docs_reads_and_writes_by_relative_paths(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(with_data(tmp_path / "here", 1, 2))
    monkeypatch.setenv("ETL_ASSETS_PROGRESS", "none")
    source = tap(program, READS)
    assets = stream_assets(
        source, catalog=source.discover(), destination=DuckDBDestination("w.duckdb")
    )
    (event,) = dg.materialize(assets).get_asset_materialization_events()
    assert event.materialization.metadata["etl_assets/records_loaded"].value == 2


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"auth": {"keys": ["c4n4ry", 1j]}}, r"'auth\.keys\[1\]' is a complex"),
        ({"limit": float("nan")}, "'limit' is not finite"),
        ({"db": object()}, "'db' is a object"),
        ({"by": {("a", "b"): 1}}, r"has a tuple for its key"),
    ],
)
def test_a_config_that_has_no_form_in_json_names_the_key_and_never_the_value(
    program: Program, config: dict[str, Any], said: str
) -> None:
    source = get_source("tap-fake", config, local_executable=program("fake_singer"), limits=LIMITS)
    with pytest.raises(
        ConfigError, match=rf"config\.json cannot be written as JSON: .*{said}"
    ) as raised:
        source.discover()
    assert "c4n4ry" not in str(raised.value)


def test_a_silent_connector_is_said_to_have_timed_out(program: Program) -> None:
    source = tap(program, "import time; time.sleep(60)")
    source.limits = Limits(silence_seconds=1, grace_seconds=0.5)
    with pytest.raises(
        ConnectorError, match=r"tap-fake timed out: it said nothing for 1 seconds.*silence_seconds="
    ):
        next(source.load_data(Stream("a", schema={"properties": {"id": {"type": "integer"}}})))

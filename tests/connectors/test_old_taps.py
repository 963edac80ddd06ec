"""Taps that take their catalog by `--properties`; what a failure is called; what a check can know."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl_assets.cli import main
from etl_assets.connectors.causes import cause_in
from etl_assets.destinations.connectors import get_destination
from etl_assets.exceptions import ConnectorConfigInvalidError, ConnectorError
from etl_assets.model.stream import Stream
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.connectors import get_source
from etl_assets.sources.singer.source import SingerSource
from etl_assets.sources.source_read import SourceRead
from etl_assets.sync_source import sync_source

from .conftest import LIMITS, Loaded

Load = Callable[..., Loaded]
Program = Callable[[str], Path]

OLD = """
import argparse, json, sys
open({note!r}, "a").write(" ".join(one for one in sys.argv[1:] if one.startswith("--")) + "\\n")
parser = argparse.ArgumentParser(allow_abbrev=False)
for flag in {flags!r}:
    parser.add_argument(flag)
parser.add_argument("--discover", action="store_true")
given = parser.parse_args()
schema = {{"properties": {{"id": {{"type": "integer"}}}}}}
if given.discover:
    print(json.dumps({{"streams": [{{"tap_stream_id": "a", "stream": "a", "schema": schema, "metadata": []}}]}}))
elif given.properties:
    print(json.dumps({{"type": "SCHEMA", "stream": "a", "schema": schema, "key_properties": ["id"]}}))
    print(json.dumps({{"type": "RECORD", "stream": "a", "record": {{"id": 1}}}}))
"""


def old_tap(tmp_path: Path, *flags: str, name: str = "tap-old", **options: Any) -> ConnectorSource:
    code = OLD.format(
        note=str(tmp_path / "note"), flags=["--config", "--state", "--properties", *flags]
    )
    (tmp_path / "its_code.py").write_text(code)
    path = tmp_path / name
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "its_code.py"}" "$@"\n')
    path.chmod(stat.S_IRWXU)
    return get_source(name, {}, local_executable=path, limits=LIMITS, **options)


@pytest.mark.parametrize("flags", [[], ["--catalog"]])
def test_a_tap_is_recognised_that_refuses_or_overlooks_its_catalog(
    tmp_path: Path, load: Load, flags: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    result = load(old_tap(tmp_path, *flags))
    assert result.error is None
    assert result.rows("tap_old.a") == [1]
    assert "takes its catalog by --properties: give use_properties=True" in caplog.text
    before = (tmp_path / "note").read_text().count("\n")
    assert load(old_tap(tmp_path, *flags, use_properties=True)).rows("tap_old.a") == [1]
    assert (tmp_path / "note").read_text().splitlines()[before:] == [
        "--config --discover",
        "--config --properties",
    ]


def test_what_was_said_of_it_is_not_doubted(tmp_path: Path, load: Load) -> None:
    result = load(old_tap(tmp_path, use_properties=False))
    assert "unrecognized arguments: --catalog" in result.failure("a")


@pytest.mark.parametrize("name", ["tap-mysql", "tap-s3-csv"])
def test_the_index_knows_old_taps(tmp_path: Path, load: Load, name: str) -> None:
    source = old_tap(tmp_path, "--catalog", name=name)
    assert isinstance(source, SingerSource)
    assert source.use_properties
    load(source)
    assert "--catalog" not in (tmp_path / "note").read_text()


# The headline of a failure

TRACEBACK = """INFO starting
Traceback (most recent call last):
  File "tap.py", line 3, in <module>
    raise ValueError("x")
botocore.exceptions.NoCredentialsError: Unable to locate credentials
"""


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        (TRACEBACK, "botocore.exceptions.NoCredentialsError: Unable to locate credentials"),
        (
            "time=2026 level=CRITICAL message=no\nCRITICAL Config is missing required keys: ['host']\n",
            None,
        ),
        (
            "CRITICAL Traceback (most recent call last):\nCRITICAL   File 'x'\nCRITICAL KeyError: 'host'\nINFO b",
            "KeyError: 'host'",
        ),
        (
            "time=2026 name=tap level=CRITICAL message=Config is missing keys\n",
            "Config is missing keys",
        ),
        ("2026-01-01 | ERROR    | tap | it broke.\n  more", "tap | it broke"),
        (
            "usage: tap [-h]\ntap: error: the following arguments are required: -c/--config\n",
            "tap: error: the following",
        ),
        ("INFO only\nDEBUG this\n", ""),
        ("", ""),
        (f"RuntimeError: {'x' * 5000}", "RuntimeError: xxx"),
    ],
)
def test_the_cause_is_found_in_a_log(log: str, cause: str | None) -> None:
    found = cause_in(log)
    if cause == "":
        assert found is None
    else:
        assert found is not None
        assert found.startswith(
            cause if cause is not None else "Config is missing required keys: ['host']"
        )
        assert len(found) <= 300


def test_the_headline_of_a_failure_is_its_cause(
    program: Program, load: Load, tmp_path: Path
) -> None:
    config = {"streams": ["a"], "lines": [], "does": "raise KeyError('host')"}
    source = get_source("tap-fake", config, local_executable=program("fake_singer"), limits=LIMITS)
    assert (
        load(source)
        .failure("a")
        .startswith("tap-fake: KeyError: 'host' (it ended with exit code 1)")
    )
    broken = get_source(
        "tap-fake", {"bad": "no such host"}, local_executable=program("fake_singer"), limits=LIMITS
    )
    with pytest.raises(
        ConnectorError,
        match=r"^tap-fake: no such host \(it ended with exit code 1 \(--discover\)\)",
    ):
        broken.discover()


# Checks

ABOUT = """#!/bin/sh
case "$*" in *--about*) echo '{"settings": {"required": ["host"], "properties": {"host": {"type": "string"}}}}';;
*--discover*) echo '{"streams": []}';; esac
"""


def test_a_check_says_what_it_can_know(
    program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"out": str(tmp_path / "out")}))
    more = ["--config", str(config), "--local-executable"]
    assert main(["connectors", "check", "target-fake", *more, str(program("fake_target"))]) == 0
    said = capsys.readouterr().out
    assert "connected" not in said
    assert "an empty input" in said
    assert "the first load shows" in said
    config.write_text(json.dumps({"streams": ["a", "b"], "lines": []}))
    assert main(["connectors", "check", "tap-fake", *more, str(program("fake_singer"))]) == 0
    assert "it listed 2 streams" in capsys.readouterr().out
    old = ["--use-properties", *more]
    assert main(["connectors", "discover", "tap-fake", *old, str(program("fake_singer"))]) == 0
    assert main(["connectors", "check", "source-fake", *old, str(program("fake_airbyte"))]) == 1
    assert "no Singer tap" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["tap-about", "target-about"])
def test_a_config_is_held_against_the_specification_before_a_check(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(ABOUT)
    path.chmod(stat.S_IRWXU)
    get = get_source if name.startswith("tap") else get_destination
    with pytest.raises(ConnectorConfigInvalidError, match="the rule that 'host' must be there"):
        get(name, {"hst": "x"}, local_executable=path).test_connection()
    get(name, {"host": "x"}, local_executable=path).test_connection()


def test_the_config_of_an_airbyte_source_too(tmp_path: Path) -> None:
    spec = {
        "connectionSpecification": {"type": "object", "properties": {"count": {"type": "integer"}}}
    }
    code = (
        "import json, sys\n"
        f"if sys.argv[1] == 'spec': print(json.dumps({{'type': 'SPEC', 'spec': {spec!r}}}))\n"
        "else: sys.exit('Something went wrong')\n"
    )
    (tmp_path / "its_code.py").write_text(code)
    path = tmp_path / "source-vague"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "its_code.py"}" "$@"\n')
    path.chmod(stat.S_IRWXU)
    with pytest.raises(ConnectorConfigInvalidError, match="count does not meet the rule type"):
        get_source("source-vague", {"count": "many"}, local_executable=path).test_connection()
    with pytest.raises(ConnectorError, match=r"Something went wrong \(it ended with exit code 1"):
        get_source("source-vague", {"count": 1}, local_executable=path).test_connection()


def test_a_part_of_a_specification_that_is_no_schema_takes_nothing_from_the_others(
    tmp_path: Path,
) -> None:
    wrong = {
        "anyOf": [{"const": "__NULL__"}, {"type": "null"}, "null"]
    }  # as some versions of the SDK write it
    properties = {
        "paths": {"type": "array"},
        "stream_maps": {"type": "object", "properties": {"else": wrong}},
    }
    path = tmp_path / "tap-vague"
    about = {
        "name": "tap-vague",
        "settings": {"type": "object", "properties": properties, "required": ["paths"]},
    }
    path.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        f"if '--about' in sys.argv: print(json.dumps({about!r}))\n"
        "elif '--discover' in sys.argv:\n"
        "    config = json.load(open(sys.argv[sys.argv.index('--config') + 1]))\n"
        "    print(json.dumps({'streams': [{'tap_stream_id': name} for name in config['paths']]}))\n"
    )
    path.chmod(stat.S_IRWXU)
    for given, said in (
        ({"path": "x"}, "the rule that 'paths' must be there"),
        ({"paths": "x"}, "paths does not meet"),
    ):
        with pytest.raises(ConnectorConfigInvalidError, match=said):
            get_source("tap-vague", given, local_executable=path).test_connection()
    with pytest.raises(
        ConnectorConfigInvalidError, match="'paths' must be there"
    ):  # and no KeyError of the tap
        get_source("tap-vague", {"path": "x"}, local_executable=path).discover()
    good = get_source(
        "tap-vague", {"paths": ["a"], "stream_maps": {"else": 3}}, local_executable=path
    )
    good.test_connection()
    assert list(good.discover()) == [("", "a")]


def test_a_target_that_its_python_is_too_new_for_is_told_so_and_its_check_claims_no_connection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "target-old"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nif sys.stdin.read():\n"
        "    raise AttributeError(\"module 'collections' has no attribute 'MutableMapping'\")\n"
    )
    path.chmod(stat.S_IRWXU)
    target = get_destination("target-old", {}, local_executable=path)
    target.check()
    said = capsys.readouterr().out
    assert said.startswith(
        "target-old: it took this config and an empty input. A Singer target has no check"
    )
    assert "succeeded" not in said
    tap = tmp_path / "tap-one"
    lines: list[dict[str, Any]] = [
        {
            "type": "SCHEMA",
            "stream": "a",
            "schema": {"properties": {"id": {"type": "integer"}}},
            "key_properties": [],
        },
        {"type": "RECORD", "stream": "a", "record": {"id": 1}},
    ]
    tap.write_text(
        f"#!{sys.executable}\nfor line in {list(map(json.dumps, lines))!r}: print(line)\n"
    )
    tap.chmod(stat.S_IRWXU)
    source = get_source("tap-one", {}, local_executable=tap)
    (outcome,) = sync_source(SourceRead(source, [Stream("a", schema=lines[0]["schema"])]), target)
    assert isinstance(outcome.error, ConnectorError)
    assert "stream 'a': target-old: AttributeError" in str(outcome.error)
    assert 'too new for it: give an older one, such as use_python="3.9"' in str(outcome.error)

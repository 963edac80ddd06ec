"""`etl-assets connectors`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from etl_assets.cli import main

from .conftest import Wheel

DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, get_source, stream_assets

tiny = get_source("tap-tiny", pip_url={wheel!r}, install_root={root!r})
defs = dg.Definitions(stream_assets(tiny, streams=["a"], destination=DuckDBDestination("w.duckdb")))
"""


def test_the_connectors_of_a_project_are_installed_and_locked(
    wheel: Wheel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "definitions.py"
    file.write_text(DEFINITIONS.format(wheel=wheel(), root=str(tmp_path / "root")))
    assert main(["connectors", "install", "-f", str(file)]) == 0
    assert "tap-tiny: 1.2 under Python 3." in capsys.readouterr().out
    (locked,) = json.loads((tmp_path / "connectors.lock").read_text())["connectors"].values()
    assert locked["packages"]["tap-tiny"] == "1.2"
    assert main(["connectors", "install", "-f", str(file)]) == 0
    assert "as connectors.lock says" in capsys.readouterr().out
    assert main(["connectors", "list", "--install-root", str(tmp_path / "root")]) == 0
    assert "installed: 1.2" in capsys.readouterr().out


def test_a_project_without_connectors_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "definitions.py"
    file.write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    assert main(["connectors", "install", "-f", str(file)]) == 1
    assert "uses no connectors" in capsys.readouterr().err


def test_names_are_listed_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "list", "--type", "yaml"]) == 0
    listed = capsys.readouterr().out
    assert "source-pokeapi" in listed
    assert "source-faker" not in listed
    assert main(["connectors", "list", "--type", "nonsense"]) == 1


def test_one_connector_is_asked(
    program: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"streams": ["a"]}')
    more = [
        "source-fake",
        "--local-executable",
        str(program("fake_airbyte")),
        "--config",
        str(config),
    ]
    assert main(["connectors", "check", *more]) == 0
    assert "connected" in capsys.readouterr().out
    assert main(["connectors", "spec", *more]) == 0
    assert json.loads(capsys.readouterr().out) == {"type": "object", "properties": {}}
    assert main(["connectors", "discover", *more]) == 0
    assert [one["tap_stream_id"] for one in json.loads(capsys.readouterr().out)["streams"]] == ["a"]
    config.write_text('{"bad": "no such user"}')
    assert main(["connectors", "check", *more]) == 1
    assert "no such user" in capsys.readouterr().err


def test_a_target_of_a_project_is_installed_too(
    wheel: Wheel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "definitions.py"
    where = f"pip_url={wheel(name='target_tiny')!r}, install_root={str(tmp_path)!r}"
    file.write_text(
        "import dagster as dg\n"
        "from etl_assets import Source, Stream, get_destination, stream_assets\n"
        "class Shop(Source):\n"
        "    streams = [Stream('a')]\n"
        f"tiny = get_destination('target-tiny', {where})\n"
        "defs = dg.Definitions(stream_assets(Shop(name='shop'), destination=tiny))\n"
    )
    assert main(["connectors", "install", "-f", str(file)]) == 0
    assert "target-tiny: 1.2 under Python 3." in capsys.readouterr().out


def test_a_destination_is_asked(
    program: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"bad": "no such user"}')
    more = [
        "destination-fake",
        "--local-executable",
        str(program("fake_destination")),
        "--config",
        str(config),
    ]
    assert main(["connectors", "spec", *more]) == 0
    assert "out" in json.loads(capsys.readouterr().out)["properties"]
    assert main(["connectors", "check", *more]) == 1
    assert "no such user" in capsys.readouterr().err
    assert main(["connectors", "discover", *more]) == 1
    assert "no streams to discover" in capsys.readouterr().err
    assert main(["connectors", "check", *more, "--source-manifest", "x.yaml"]) == 1
    assert "makes a source" in capsys.readouterr().err

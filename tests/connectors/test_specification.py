"""An installed connector says once what config it takes, until other code is installed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from etl_assets.connectors.executors import PythonExecutor
from etl_assets.connectors.install import MARKER, Installed
from etl_assets.connectors.specification import FILE
from etl_assets.exceptions import ConnectorConfigInvalidError
from etl_assets.sources.connectors import get_source

PROGRAM = """#!/usr/bin/env python3
import json, pathlib
with open({starts!r}, "a") as file:
    file.write("+")
print(json.dumps({{"type": "SPEC", "spec": {{"connectionSpecification": {{"required": ["key"]}}}}}}))
"""


class Connector:
    """A connector in an environment as `install` leaves it; counts its starts."""

    def __init__(self, folder: Path, requirement: str = "tap-tiny==1.2") -> None:
        self._starts = folder / "starts"
        self._starts.write_text("")
        self._options = {
            "pip_url": requirement,
            "install_root": folder / "root",
            "protocol": "airbyte",
        }
        executor = self.source().executor
        assert isinstance(executor, PythonExecutor)
        self.environment = executor.environment
        self.packages = self.environment.folder / "lib" / "python3.11" / "site-packages"
        self.packages.mkdir(parents=True)
        self.environment.bin.mkdir()
        self.program = self.environment.bin / "tap-tiny"
        self.program.write_text(PROGRAM.format(starts=str(self._starts)))
        self.program.chmod(0o755)
        made = Installed(
            "tap-tiny",
            requirement,
            "1.2",
            "3.11",
            {},
            str(self.program),
            "2026-01-01T00:00:00+00:00",
        )
        (self.environment.folder / MARKER).write_text(json.dumps(asdict(made)))

    def source(self, **config: Any) -> Any:
        return get_source("tap-tiny", config, **self._options)  # type: ignore[arg-type]

    @property
    def starts(self) -> int:
        """How often it was started since this was asked."""
        count = len(self._starts.read_text())
        self._starts.write_text("")
        return count


def test_it_is_asked_once_and_the_config_is_always_checked(tmp_path: Path) -> None:
    connector = Connector(tmp_path)
    connector.source(key="secret-of-mine").validate_config()
    assert connector.starts == 1
    with pytest.raises(ConnectorConfigInvalidError, match="'key' must be there"):
        connector.source().validate_config()
    assert connector.starts == 0
    assert "secret-of-mine" not in (connector.environment.folder / FILE).read_text()


@pytest.mark.parametrize("change", ["packages", "program", "installed", "broken"])
def test_it_is_asked_again_when_something_has_changed(change: str, tmp_path: Path) -> None:
    connector = Connector(tmp_path)
    assert connector.source().config_spec == {"required": ["key"]}
    assert connector.starts == 1
    if change == "packages":
        (connector.packages / "tap_tiny-1.3.dist-info").mkdir()
    elif change == "program":
        connector.program.write_text(f"{connector.program.read_text()}\n")
    elif change == "installed":
        marker = connector.environment.folder / MARKER
        marker.write_text(marker.read_text().replace("2026-01-01", "2026-01-02"))
    else:
        (connector.environment.folder / FILE).write_text("{")
    for starts in (1, 0):
        assert connector.source().config_spec == {"required": ["key"]}
        assert connector.starts == starts


def test_what_may_change_unseen_is_asked_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place = Connector(tmp_path, f"-e {tmp_path}")
    program = get_source("tap-tiny", {}, local_executable=in_place.program, protocol="airbyte")
    for source in (in_place.source, in_place.source, lambda: program):
        assert source().config_spec
        assert in_place.starts == 1
    connector = Connector(tmp_path)
    assert connector.source().config_spec
    monkeypatch.setenv("ETL_ASSETS_CONNECTOR_ENV", "LANG")
    assert connector.source().config_spec
    assert connector.starts == 2

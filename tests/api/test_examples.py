"""The examples of PyAirbyte's documentation run with their import lines changed, and nothing else."""

import os
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import etl_assets as ab
from etl_assets.connectors.executors import DockerExecutor, PythonExecutor
from etl_assets.exceptions import ConfigError, ConnectorError
from etl_assets.sources.connector import ConnectorSource

EXAMPLES = Path(__file__).with_name("examples")
ROOT = Path(__file__).resolve().parents[2]
WHERE = os.environ.get("ETL_ASSETS_TEST_CONNECTORS", str(ROOT / ".etl_assets" / "test-connectors"))
USERS = 1000
"""What `source-faker` makes where its config says nothing."""


def run(name: str, **given: Any) -> dict[str, Any]:
    """Run an example, with the names that its text leaves to the reader."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), init_globals=given)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def faker() -> ConnectorSource:
    """Return an installed `source-faker`; where it cannot be installed, the test is skipped, unless that is required."""
    source = ab.get_source("source-faker", {}, install_root=WHERE)
    try:
        source.install()
    except ConfigError as error:
        pytest.skip(str(error))
    except ConnectorError as error:
        if os.environ.get("ETL_ASSETS_REQUIRE_SERVICES") or "does not start" in str(error):
            raise
        pytest.skip(f"source-faker cannot be installed here: {str(error)[-300:]}")
    return source


@pytest.mark.connectors
@pytest.mark.timeout(900)
def test_reading_into_the_default_cache_and_writing(
    faker: ConnectorSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one test, with `source-faker` on PATH (an example names no folder): each start of it takes seconds."""
    assert isinstance(faker.executor, PythonExecutor)
    monkeypatch.setenv("PATH", f"{faker.executor.environment.bin}{os.pathsep}{os.environ['PATH']}")
    names = run("read")
    source, result = names["source"], names["read_result"]
    assert set(result) == {"products", "users", "purchases"}
    assert names["record"]["academic_degree"]
    assert len(list(result["users"].to_documents(title_property="name"))) == USERS
    frame = ab.get_default_cache()["users"].to_pandas()
    assert sorted(frame["id"]) == list(range(1, USERS + 1))

    noop, other = ab.get_noop_destination(), ab.get_noop_destination()
    source.select_streams(["users"])
    with pytest.warns(UserWarning, match="state_cache"):
        run(
            "write_source",
            get_source=lambda _: source,
            get_destination=lambda _: noop,
            source_faker=source,
        )
    assert noop.counts == {"users": USERS}

    class Source:
        """Where the example leaves the arguments to the reader."""

        def read(self, _: Any) -> ab.ReadResult:
            found: ab.ReadResult = result
            return found

    run("write_read_result", get_source=lambda _: Source(), my_destination=other)
    assert other.counts == {name: len(dataset) for name, dataset in result.streams.items()}


def test_importing_a_class_from_its_module() -> None:
    assert run("sources")["Source"] is ab.Source


def test_a_destination_in_docker_needs_none_to_be_made() -> None:
    destination = run("destination")["my_destination"]
    assert isinstance(destination.executor, DockerExecutor)
    assert destination.executor.image == "airbyte/destination-foo:latest"
    assert destination.get_config() == {"api_key": "my_api_key"}


def test_colab_outside_of_it() -> None:
    with pytest.raises(ImportError, match="Google Colab notebook"):
        run("colab")


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for Colab's package, whose drive is a folder here."""
    mounted: list[str] = []
    google, colab, package = (
        ModuleType("google"),
        ModuleType("google.colab"),
        ModuleType("google.colab.drive"),
    )
    package.mount = mounted.append  # type: ignore[attr-defined]
    colab.drive = package  # type: ignore[attr-defined]
    google.colab = colab  # type: ignore[attr-defined]
    for module in (google, colab, package):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    made = ab.caches.util.get_colab_cache
    paths = {"mount_path": str(tmp_path / "drive")}
    monkeypatch.setattr(
        "etl_assets.caches.colab.get_colab_cache", lambda **given: made(**paths, **given)
    )
    return mounted


def test_colab_within_it(
    drive: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run("colab")
    mounted = tmp_path / "drive"
    assert drive == [str(mounted)] * 2
    assert found["colab_cache"].db_path == mounted / "MyDrive/Airbyte/cache/default_cache.duckdb"
    shared = mounted / "Shareddrives/My Company Drive/Airbyte/custom_cache"
    assert found["custom_cache"].db_path == shared / "my_custom_cache.duckdb"
    assert shared.is_dir()
    assert str(shared) in capsys.readouterr().out

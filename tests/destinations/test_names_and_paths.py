"""No name becomes a path: a stream that is called like one makes no file but where files belong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets import (
    Destination,
    DuckDBDestination,
    Source,
    SQLiteDestination,
    Stream,
    get_destination,
    stream_assets,
)
from etl_assets.engine.staging_folder import StagingFolder
from etl_assets.exceptions import ConfigError

NASTY = [
    "../1",
    "../../x2",
    "/srv/x3",
    "a/b4",
    "~/5",
    "file:///x6",
    "x7.duckdb",
    "a\\b8",
    "*9",
    "..10",
    "%2e%2e/11",
]


class Names(Source):
    streams = [Stream(name, namespace="../space") for name in NASTY]

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield from ([{"id": n, "text": stream.name * 100}] for n in range(3))


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "a" / "b" / "c" / "d"
    made.mkdir(parents=True)
    monkeypatch.chdir(made)
    return made


@pytest.mark.parametrize("kind", [DuckDBDestination, SQLiteDestination])
def test_of_a_stream(
    kind: type[Destination], deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged: list[Path] = []
    made_in = StagingFolder.made_in

    def note(roots: Any) -> StagingFolder:
        folder = made_in(roots)
        staged.append(folder.path.resolve())
        return folder

    monkeypatch.setattr(StagingFolder, "made_in", note)
    assets = stream_assets(Names(name="names"), destination=kind("w.db", staging_memory_bytes=0))
    assert dg.materialize(assets).success
    assert len(staged) == len(NASTY)
    assert {path.parent for path in staged} == {deep / "w.db.staging"}
    assert files_in(tmp_path) == {"a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/w.db"}


def test_of_a_source_that_is_to_have_a_catalog(deep: Path, tmp_path: Path) -> None:
    (tmp_path / "a" / "x.json").write_text("{}")
    for name in ("../../../x", str(tmp_path / "a" / "x")):
        with pytest.raises(ConfigError, match="leads out of the folder of catalogs"):
            stream_assets(Names(name="names"), name=name, destination=DuckDBDestination("w.db"))
    with pytest.raises(ConfigError, match="is not a word"):
        Names(name="../x")
    assert not (deep / "catalogs").exists()


def test_of_a_connector(deep: Path, tmp_path: Path) -> None:
    """It has to be found before it gets a folder; and the folder of one that is found is in the root of all."""
    with pytest.raises(ConfigError):
        get_destination("../../target-x", {}, pip_url="x", install_root=deep / "root").install()
    assert files_in(tmp_path) <= {"a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/root"}

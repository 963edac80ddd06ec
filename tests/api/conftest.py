"""What the tests of scripts share."""

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBCache, get_source
from etl_assets.connectors.process import Limits
from etl_assets.sources.connector import ConnectorSource

FAKE = Path(__file__).resolve().parents[1] / "connectors" / "fake_airbyte.py"
Make = Callable[..., ConnectorSource]


@pytest.fixture
def cache(tmp_path: Path) -> DuckDBCache:
    return DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path / "cache")


@pytest.fixture
def connector(tmp_path: Path) -> Make:
    """Make an Airbyte source of a program; the one that does what its config's script says, if none is named."""

    def made(
        *script: Any,
        program: Path = FAKE,
        name: str | None = None,
        streams: Any = None,
        **config: Any,
    ) -> ConnectorSource:
        path = tmp_path / program.stem
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
        path.chmod(stat.S_IRWXU)
        return get_source(
            "source-fake",
            {"script": script, **config},
            local_executable=path,
            source_name=name,
            streams=streams,
            limits=Limits(silence_seconds=30, grace_seconds=0.5),
        )

    return made

"""A type checker knows the public names, and refuses those that there are not."""

import subprocess
import sys
from pathlib import Path

import pytest

RIGHT = """
import etl_assets as ab
from etl_assets import DuckDBDestination, Source, SqlSource, Stream, get_source, stream_assets
from etl_assets.caches import DuckDBCache, PostgresCache
from etl_assets.destinations import get_destination
from etl_assets.sources import get_available_connectors

ab.caches.DuckDBCache
ab.exceptions.ConfigError
ab.secrets.SecretString
"""
WRONG = [
    "from etl_assets import stream_asset",
    "from etl_assets.caches import DuckCache",
    "from etl_assets.destinations import get_destinations",
    "from etl_assets.sources import get_sources",
    "from etl_assets.sources.sql import PostgreSource",
    "import etl_assets\netl_assets.DuckDestination",
    "import etl_assets\netl_assets.exceptions.ConfError",
]


@pytest.mark.full
def test_mypy_knows_which_names_there_are(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    for number, code in enumerate(WRONG):
        (tmp_path / f"wrong{number}.py").write_text(code)
    mypy = [
        sys.executable,
        "-m",
        "mypy",
        "--cache-dir",
        str(tmp_path / "cache"),
        "--follow-imports=silent",
        ".",
    ]
    done = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True, check=False)
    failing = {line.partition(":")[0] for line in done.stdout.splitlines() if ": error:" in line}
    assert failing == {f"wrong{number}.py" for number in range(len(WRONG))}, (
        done.stdout + done.stderr
    )

"""What a sync of few rows loads: the imports take longer than the rows."""

import subprocess
import sys
from pathlib import Path

import pytest

from etl_assets import DuckDBDestination, SqlSource, Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync
from tests.sources.sql_databases import database

SCRIPT = """
import sys
from etl_assets import DuckDBDestination, SqlSource, Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

url, file, *keys = sys.argv[1:]
stream = Stream("small", primary_key=keys, replication_key="at")
result = sync(StreamRead(SqlSource(name="shop", url=url), stream), DuckDBDestination(file))
print(result.records_read, result.records_loaded, "pandas" in sys.modules)
"""


@pytest.mark.parametrize(
    ("backend", "type_", "value", "keys"),
    [
        ("postgresql", "timestamp", "2026-01-0{}", ["id"]),
        ("postgresql", "timestamptz", "2026-01-0{}", []),
        ("mysql", "datetime(6)", "2026-01-0{}", []),
        ("mysql", "bigint", "{}", ["id"]),
        ("sqlite", "datetime", "2026-01-0{} 00:00:00", []),
        ("sqlite", "date", "2026-01-0{}", ["id"]),
    ],
)
def test_a_row_that_comes_again_to_duckdb_needs_no_pandas(
    backend: str, type_: str, value: str, keys: list[str], tmp_path: Path
) -> None:
    file = str(tmp_path / "small.duckdb")
    with database(backend, tmp_path) as made:
        made.run(
            f"CREATE TABLE small (id int PRIMARY KEY, at {type_} NOT NULL, name varchar(9), price numeric(9,2))",
            f"INSERT INTO small VALUES (1, '{value.format(1)}', 'a', 1.5), (2, '{value.format(2)}', 'x', NULL)",
        )
        stream = Stream("small", primary_key=keys, replication_key="at")
        sync(StreamRead(SqlSource(name="shop", url=made.url), stream), DuckDBDestination(file))
        if backend == "postgresql":
            made.run(
                "UPDATE small SET name = 'b' WHERE id = 2"
            )  # as it was, it would not even be read
        command = [sys.executable, "-c", SCRIPT, str(made.url), file, *keys]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == f"1 {int(backend == 'postgresql')} False", (
        "the row of the bookmark comes again"
    )

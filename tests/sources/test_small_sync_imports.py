"""What a sync of few rows loads: the imports take longer than the rows."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources.sql_databases import database

SCRIPT = """
import sys
from etl_assets import DuckDBDestination, PostgresSource, Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

url, file = sys.argv[1:]
stream = Stream("small", primary_key="id", replication_key="at")
result = sync(StreamRead(PostgresSource(url, name="shop"), stream), DuckDBDestination(file))
print(result.records_read, result.records_loaded, "pandas" in sys.modules)
"""


@pytest.mark.parametrize("type_", ["timestamp", "timestamptz"])
def test_a_row_of_postgresql_that_comes_again_to_duckdb_needs_no_pandas(type_: str, tmp_path: Path) -> None:
    def run() -> str:
        command = [sys.executable, "-c", SCRIPT, str(made.url), str(tmp_path / "small.duckdb")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    with database("postgresql", tmp_path) as made:
        made.run(
            f"CREATE TABLE small (id int PRIMARY KEY, at {type_} NOT NULL, day date, name text, price numeric(9,2), "
            "good boolean, time time)",
            "INSERT INTO small VALUES (1, '2026-01-01', '2026-01-01', 'a', 1.5, true, '12:00'), "
            "(2, '2026-01-02', NULL, NULL, NULL, NULL, NULL)",
        )
        assert run().startswith("2 2 ")
        assert run() == "1 0 False", "the row of the bookmark comes again as it was"

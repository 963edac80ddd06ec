"""A cache on a server is read in bounded memory: its rows come bit by bit, and wait in a file."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from etl_assets.caches import CacheBase, MySQLCache, PostgresCache
from tests.servers import (
    MYSQL,
    POSTGRES,
    mysql_query,
    mysql_schema,
    postgres_schema,
    postgres_server,
)

READ = """
import resource, sys
import etl_assets.caches as caches
from etl_assets.model.load import TableName

cache = getattr(caches, sys.argv[1]).model_validate_json(sys.argv[2])
table = TableName("big", cache.schema_name or cache.database)
before = None
for where in (["id <= 1000"], []):
    found = cache.snapshot(table, where, 100_000)
    rows = sum(len(batch) for batch in found.to_batches())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    before = peak if before is None else before
print(rows, found.count_rows(), peak - before)
"""


def read_all(cache: CacheBase) -> tuple[int, int]:
    """Read the table `big` in a process of its own; gives its rows, and by how many MB its memory grew."""
    given = [
        sys.executable,
        "-c",
        READ,
        type(cache).__name__,
        cache.model_dump_json(exclude={"password"}),
    ]
    rows, counted, grown = subprocess.run(
        given, check=True, capture_output=True, text=True
    ).stdout.split()
    assert rows == counted
    return int(rows), int(grown)


@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=pytest.mark.full)])
def test_postgresql(rows: int, tmp_path: Path) -> None:
    url = urlsplit(POSTGRES)
    with postgres_schema() as name:
        server = postgres_server()
        server.execute(f"CREATE SCHEMA {name}".encode())
        text = "repeat('x', 200) || g"
        numbers = f"SELECT g AS id, {text} AS t FROM generate_series(1, {rows}) g"
        server.execute(f"CREATE TABLE {name}.big AS {numbers}".encode())
        cache = PostgresCache(
            host=url.hostname or "", port=url.port or 5432, username=url.username or "", database=url.path.strip("/"),
            schema_name=name, cache_dir=tmp_path,
        )  # fmt: skip
        found, grown = read_all(cache)
    assert found == rows
    assert grown < 150, "of about 210 MB"


@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=pytest.mark.full)])
def test_mariadb(rows: int, tmp_path: Path) -> None:
    url = urlsplit(MYSQL)
    with mysql_schema() as name:
        numbers = (
            f"SELECT seq AS id, CONCAT(REPEAT('x', 200), seq) AS t FROM {name}.seq_1_to_{rows}"
        )
        mysql_query(f"CREATE TABLE {name}.big AS {numbers}")
        cache = MySQLCache(
            host=url.hostname or "", port=url.port or 3306, username=url.username or "", database=name,
            cache_dir=tmp_path,
        )  # fmt: skip
        found, grown = read_all(cache)
    assert found == rows
    assert grown < 150, "of about 210 MB"

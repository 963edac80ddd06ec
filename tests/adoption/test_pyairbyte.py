"""The cache of a real PyAirbyte is gone on with by assets: the connector gets its own state back, and sends nothing again."""

import json
from pathlib import Path

import pytest

from tests.adoption.peers import PYAIRBYTE, etl_assets, materialize, peer, run, sql, written

SCRIPT = """
import sys
from pathlib import Path
import airbyte as ab

source = ab.get_source("source-faker", config={config!r}, local_executable=Path({program!r}))
source.select_streams(["users", "products"])
source.read(cache=ab.DuckDBCache(db_path="cache.duckdb", schema_name="main"))
"""
DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, get_source, stream_assets

faker = get_source("source-faker", {config!r}, local_executable={program!r})
cache = DuckDBDestination("cache.duckdb", schema_name="main", airbyte_columns=True)
defs = dg.Definitions(assets=stream_assets(faker, streams=["users", "products"], destination=cache))
"""
CONFIG = {"seed": 1, "always_updated": False, "parallelism": 1}
ROWS = "SELECT id, _airbyte_raw_id FROM main.{} ORDER BY id"


@pytest.mark.full
@pytest.mark.connectors
@pytest.mark.timeout(1200)  # it may have to install the tool
@pytest.mark.parametrize("by", ["tables", "exported"])
def test_a_real_cache_is_gone_on_with(by: str, tmp_path: Path) -> None:
    program = str(peer("source-faker", ["airbyte-source-faker==7.2.1"]) / "source-faker")
    cache = tmp_path / "cache.duckdb"
    script = SCRIPT.format(config={"count": 20, **CONFIG}, program=program)
    (tmp_path / "read.py").write_text(script)
    run(peer("pyairbyte", PYAIRBYTE) / "python", "read.py", folder=tmp_path)
    before = {name: sql(cache, ROWS.format(name)) for name in ("users", "products")}
    assert len(before["users"]) == 20

    given = {"count": 20, **CONFIG}
    (tmp_path / "definitions.py").write_text(DEFINITIONS.format(config=given, program=program))
    etl_assets("discover", folder=tmp_path)
    place: list[object] = ["--from", "pyairbyte"]
    if by == "exported":
        states = sql(cache, "SELECT state_json FROM main._airbyte_state ORDER BY stream_name")
        place = [written(tmp_path / "state.json", [json.loads(text) for (text,) in states])]
    told = etl_assets("state", "import", "source_faker", *place, "--adopt", folder=tmp_path)
    assert "imported  source_faker/users: the table main.users is taken over" in told

    materialize(tmp_path)
    for name, rows in before.items():
        assert sql(cache, ROWS.format(name)) == rows, "the rows stay, with their ids"
        ours = f"SELECT count(*) FROM main.{name} WHERE _etl_assets_load_id IS NOT NULL"
        assert sql(cache, ours) == [(0,)]
    loads = "SELECT stream, strategy, rows_in FROM main._etl_assets_loads ORDER BY committed_at"
    assert sorted(sql(cache, loads)[2:]) == [("products", "merge", 0), ("users", "merge", 0)]
    types = "SELECT data_type FROM information_schema.columns WHERE column_name = 'updated_at'"
    assert set(sql(cache, types)) == {("TIMESTAMP WITH TIME ZONE",)}, "they were in UTC unsaid"

"""The tables of a real pipeline of dlt are gone on with: nothing is lost, doubled or read once more."""

from pathlib import Path

import pytest

from tests.adoption.peers import DLT, change, etl_assets, materialize, peer, run, sql

SHOP = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL, updated_at TIMESTAMP);
CREATE TABLE visits (seq INTEGER, page TEXT);
INSERT INTO orders VALUES (1, 1.5, '2026-01-02 00:00:00.000000'), (2, 2.5, '2026-01-03 00:00:00.000000');
INSERT INTO visits VALUES (1, 'a'), (2, 'b'), (2, 'b'), (2, 'c');
"""
LATER = """
INSERT INTO orders VALUES (3, 3.5, '2026-01-03 00:00:00.000000'), (4, 4.5, '2026-01-04 00:00:00.000000');
INSERT INTO visits VALUES (2, 'd'), (3, 'e');
"""
PIPELINE = """
import dlt
from dlt.sources.sql_database import sql_database

shop = sql_database("sqlite:///shop.db", table_names=["orders", "visits"])
shop.orders.apply_hints(primary_key="id", write_disposition="merge", incremental=dlt.sources.incremental("updated_at"))
shop.visits.apply_hints(write_disposition="append", incremental=dlt.sources.incremental("seq"))
warehouse = dlt.destinations.duckdb("warehouse.duckdb")
dlt.pipeline("shop_pipeline", destination=warehouse, dataset_name="shop_data", pipelines_dir="pipelines").run(shop)
"""
DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, SqlSource, Stream, stream_assets

shop = SqlSource(
    name="shop",
    url="sqlite:///shop.db",
    streams=[
        Stream("orders", primary_key="id", replication_key="updated_at"),
        Stream("visits", replication_key="seq"),
    ],
)
defs = dg.Definitions(
    assets=stream_assets(shop, destination=DuckDBDestination("warehouse.duckdb", schema_name="shop_data"))
)
"""
OURS = "SELECT {}, _dlt_id, _etl_assets_load_id IS NOT NULL FROM shop_data.{} ORDER BY ALL"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which dlt has loaded a shop, and which nobody changes."""
    folder = tmp_path_factory.mktemp("dlt")
    change(folder / "shop.db", SHOP)
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "definitions.py").write_text(DEFINITIONS)
    run(peer("dlt", DLT) / "python", "pipeline.py", folder=folder)
    return folder


@pytest.fixture
def folder(pipeline: Path, tmp_path: Path) -> Path:
    for name in ("shop.db", "definitions.py", "warehouse.duckdb"):
        (tmp_path / name).write_bytes((pipeline / name).read_bytes())
    return tmp_path


@pytest.mark.full
@pytest.mark.connectors
@pytest.mark.timeout(1200)  # it may have to install the tool
@pytest.mark.parametrize("by", ["tables", "state.json", "--from-table"])
def test_a_real_pipeline_is_gone_on_with(by: str, folder: Path, pipeline: Path) -> None:
    places: list[object] = ["shop", by] if by == "--from-table" else ["shop", "--from", "dlt"]
    if by == "state.json":
        places = ["shop", pipeline / "pipelines/shop_pipeline/state.json"]
    warehouse = folder / "warehouse.duckdb"
    theirs = {
        name: dict(sql(warehouse, f"SELECT _dlt_id, {name} FROM shop_data.{name}"))
        for name in ("orders", "visits")
    }
    told = etl_assets("state", "import", *places, "--adopt", folder=folder)
    assert (
        'shop/orders: the table shop_data.orders is taken over, and goes on from {"updated_at": "2026-01-03T00:00:00"}.'
        in told
    )
    assert "  3 rows stand there, and are known when they come again.\n" in told
    assert "  Takes NULL from now on: _dlt_load_id, _dlt_id.\n" in told

    materialize(folder)
    assert sql(warehouse, "SELECT rows_in FROM _etl_assets_loads ORDER BY rows_in") == [(0,)] * 4

    change(folder / "shop.db", LATER)
    materialize(folder)
    orders = sql(warehouse, OURS.format("id", "orders"))
    assert [(id_, ours) for id_, _, ours in orders] == [
        (1, False),
        (2, False),
        (3, True),
        (4, True),
    ]
    visits = sql(warehouse, OURS.format("page", "visits"))
    assert [(page, ours) for page, _, ours in visits] == [
        *(("a", False), ("b", False), ("b", False), ("c", False)),
        *(("d", True), ("e", True)),
    ]
    for name, rows in (("orders", orders), ("visits", visits)):
        assert {id_ for _, id_, ours in rows if not ours} == theirs[name].keys(), (
            "no row is a new one"
        )
    loads = "SELECT stream, rows_in FROM _etl_assets_loads WHERE rows_in > 0 ORDER BY stream"
    assert sql(warehouse, loads) == [("orders", 2), ("visits", 2)]


@pytest.mark.full
@pytest.mark.connectors
@pytest.mark.timeout(1200)  # it may have to install the tool
def test_dlt_itself_can_go_on_afterwards(folder: Path, pipeline: Path) -> None:
    etl_assets("state", "import", "shop", "--from", "dlt", "--adopt", folder=folder)
    change(folder / "shop.db", LATER)
    materialize(folder)
    (folder / "pipeline.py").write_text(PIPELINE)
    run(peer("dlt", DLT) / "python", "pipeline.py", folder=folder)
    warehouse = folder / "warehouse.duckdb"
    found = sql(warehouse, "SELECT id, count(*) FROM shop_data.orders GROUP BY 1 ORDER BY 1")
    assert found == [(id_, 1) for id_ in (1, 2, 3, 4)], "it merges what it reads once more"

"""Two connectors of others as assets: an Airbyte source that makes up people, and a Singer tap that reads a file.

etl-assets connectors install -f examples/connectors.py
dagster dev -f examples/connectors.py
"""

from pathlib import Path

import dagster as dg

from etl_assets import Catalog, DuckDBDestination, Stream, get_source, stream_assets

ORDERS = Path(__file__).with_name("orders.jsonl")


def incremental(*names: str) -> Catalog:
    """Declare streams whose connector keeps states of its own; `etl-assets discover` would find their columns too."""
    own = {"forced-replication-method": "INCREMENTAL", "selected": True}
    metadata = [{"breadcrumb": [], "metadata": own}]
    return Catalog(
        [
            Stream(name, primary_key="id", metadata=metadata, replication_method="INCREMENTAL")
            for name in names
        ]
    )


faker = get_source(
    "source-faker",
    {"count": 1000, "seed": 42, "always_updated": False},
    catalog=incremental("users", "products", "purchases"),
)
orders = get_source(
    "tap-jsonl",
    {"path": str(ORDERS), "stream_name": "orders", "primary_keys": ["id"]},
    catalog=incremental("orders"),
)
warehouse = DuckDBDestination("connectors.duckdb")
defs = dg.Definitions(
    [*stream_assets(faker, destination=warehouse), *stream_assets(orders, destination=warehouse)]
)

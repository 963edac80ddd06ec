"""A corner shop: what it sells, to whom, and what they complain about."""

import os
from pathlib import Path

# The sources and dbt run in folders of their own, so the path of the warehouse is absolute.
os.environ.setdefault("WAREHOUSE", str(Path(__file__).parents[1] / "data" / "warehouse.duckdb"))

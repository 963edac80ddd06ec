"""CSV with a schema -> DuckDB, 1 M rows of 12 columns."""

from benchmarks.csv_files import COLUMNS, SCHEMA, work

WORK = work(
    "CSV with a schema -> DuckDB, 1 M rows of 12 columns",
    f"header = true, columns = {COLUMNS}",
    {"schema": SCHEMA},
    target=1.5,
)

"""CSV -> DuckDB, types inferred."""

from benchmarks.csv_files import work

WORK = work(
    "CSV -> DuckDB, types inferred",
    "header = true",
    {"types": "infer"},
    target=2.4,
)

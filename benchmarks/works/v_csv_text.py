"""CSV -> DuckDB, all text."""

from benchmarks.csv_files import work

WORK = work(
    "CSV -> DuckDB, all text",
    "header = true, all_varchar = true",
    {},
    target=1.3,
)

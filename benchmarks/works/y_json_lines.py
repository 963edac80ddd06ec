"""JSON lines -> DuckDB, types told by the values; by hand they are given."""

from benchmarks.json_files import UNTYPED, work

WORK = work("JSON lines -> DuckDB, 500,000 records", UNTYPED, {})

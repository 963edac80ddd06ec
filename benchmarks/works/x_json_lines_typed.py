"""JSON lines with a schema -> DuckDB, 500,000 records with nested values."""

from benchmarks.json_files import SCHEMA, TYPED, work

WORK = work("JSON lines with a schema -> DuckDB, 500,000 records", TYPED, {"schema": SCHEMA})

"""A DuckDB file as a source: its types, its reflection, its rows as Arrow."""

"""Everything Dagster: assets of streams, the IO manager, sensors. It adds no data logic."""

"""The component: the streams of a source as YAML, for Dagster's command `dg`."""

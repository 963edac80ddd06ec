"""Not taken over from PyAirbyte: importing it says so."""

raise ImportError(
    "Unlike PyAirbyte, etl_assets has no `cloud`: it needs an account at Airbyte Cloud. Run "
    "connectors with get_source(), and schedule them with Dagster."
)

"""Not taken over from PyAirbyte: importing it says so."""

raise ImportError(
    "etl_assets has no `cloud`, as PyAirbyte has: it needs an account at Airbyte Cloud. Run connectors with "
    "get_source(), and schedule them with Dagster."
)

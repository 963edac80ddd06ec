"""Not taken over from PyAirbyte: importing it says so."""

raise ImportError(
    "Unlike PyAirbyte, etl_assets has no `agents`: they need an account at Airbyte Cloud."
)

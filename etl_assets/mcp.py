"""Not taken over from PyAirbyte: importing it says so."""

raise ImportError(
    "Unlike PyAirbyte, etl_assets has no `mcp`, which serves agents. Use get_source() directly."
)

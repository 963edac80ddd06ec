"""Not taken over from PyAirbyte: importing it says so."""

raise ImportError(
    "etl_assets has no `mcp`, as PyAirbyte has: it serves agents, not data. Use the verbs of get_source() directly."
)

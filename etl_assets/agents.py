"""Not taken over from PyAirbyte: importing it says so."""

raise ImportError(
    "etl_assets has no `agents`, as PyAirbyte has: they are agents' tools of Airbyte Cloud, by account."
)

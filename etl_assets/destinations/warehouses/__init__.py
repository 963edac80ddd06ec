"""Cloud warehouses as destinations: BigQuery and Snowflake."""

"""What goes over the wire: messages of Singer and Airbyte, lines of JSON, and Parquet files."""

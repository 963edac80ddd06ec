"""What goes over the wire: Singer and Airbyte messages, lines of JSON, Parquet files, and their decoding to columns."""

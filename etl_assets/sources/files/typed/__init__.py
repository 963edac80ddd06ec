"""Files that carry their types: Parquet, ORC, Arrow, Avro."""

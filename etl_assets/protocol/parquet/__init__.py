"""Parquet files read within limits, with every moment they can hold."""

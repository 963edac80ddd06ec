"""Airbyte's messages and catalogs."""

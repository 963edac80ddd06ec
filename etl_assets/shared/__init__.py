"""PyAirbyte's catalogs and states: thin, for scripts that import them from there."""

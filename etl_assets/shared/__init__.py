"""Where PyAirbyte has its catalogs and states: thin, and only for scripts that import them from there."""

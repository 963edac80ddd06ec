"""Where PyAirbyte has its writers: thin, and only for scripts that name the type."""

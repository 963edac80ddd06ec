"""Where PyAirbyte has its executors: thin, and only for scripts that name the type."""

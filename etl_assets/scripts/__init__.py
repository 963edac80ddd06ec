"""What a script's verbs do, under PyAirbyte's words: read, write, select, configure, and stored names."""

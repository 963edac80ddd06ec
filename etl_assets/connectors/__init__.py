"""Running other people's connectors: their names, installation and processes."""

"""Running other people's connectors: their installation, their processes, and the names they are known by."""

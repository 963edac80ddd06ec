"""What is SQLite's own in reading from it."""

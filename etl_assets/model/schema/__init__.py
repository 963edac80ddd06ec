"""What a stream's columns are: JSON Schema, the types it stands for, and how types meet."""

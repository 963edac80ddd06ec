"""JSON files: lines, and documents."""

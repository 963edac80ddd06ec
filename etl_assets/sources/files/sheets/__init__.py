"""Spreadsheets: the cells of each format, and the sheets of a file as tables."""

"""Files of text: CSV and fixed width, their options, and the types their texts get."""

"""Files of text: CSV, fixed width, and the types of their texts. Options: `files/options.py`."""

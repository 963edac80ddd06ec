"""How large a thing from outside may be: what a few bytes of input may cost is bounded here.

Each limit is far above what is met with, and below what would exhaust a machine. Whoever meets one
gets an error that names the stream, the field, the value (shortened) and the limit.
"""

MAX_ZEROS = 1_000
"""Zeros that a number's exponent may stand for where the number becomes a text.

A double ends at 324. The digits of an integer have Python's own limit of 4,300
(`sys.set_int_max_str_digits`).
"""
MAX_NUMBER_CHARACTERS = 1_000_000
"""Of a number with a fraction, as it is written."""
MAX_COLUMNS = 20_000
"""Of one stream: fields of its schema, or of its rows."""
MAX_STREAMS = 100_000
"""Of one catalog."""
MAX_SCHEMA_STEPS = 500_000
"""For one schema: references followed, alternatives and nested types looked at."""
MAX_SCHEMA_DEPTH = 64
"""References, alternatives or nested types inside of each other."""
MAX_SCHEMAS = 2_000
"""Different schemas that a connector may send of one stream in one read."""
MAX_STATE_BYTES = 16 * 1024 * 1024
"""Of a bookmark, or of the state of a whole source, as JSON."""

"""How deep objects and arrays of a JSON text are nested, counted without recursion."""

import re

MAX_DEPTH = 500
"""Objects and arrays inside of each other, the outermost counted.

The JSON library recurses, so that the limit must be well below Python's.
"""

# A bracket, or a whole string, which may hold brackets. Possessive, and the closing quote may be
# missing: each character is looked at once, whatever the line.
_TOKEN = re.compile(r'[\[{\]}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def nested_too_deep(text: str, limit: int = MAX_DEPTH) -> bool:
    """Return whether a JSON text has more than `limit` objects and arrays inside of each other."""
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        mark = text[token.start()]
        if mark in "[{":
            depth += 1
            if depth > limit:
                return True
        elif mark in "]}":
            depth -= 1
    return False

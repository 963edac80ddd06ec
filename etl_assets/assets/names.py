"""Names that Dagster takes: ops, groups and resources are ASCII words, asset keys may be anything."""

import keyword
import re
from hashlib import sha256

import dagster as dg

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
_LONGEST = 120
"""Step keys become names of log files."""
_HASH_CHARACTERS = 8
_RESERVED = {
    "context",
    "conf",
    "config",
    "meta",
    "arg_dict",
    "dict",
    "input_arg_dict",
    "output_arg_dict",
    "int",
    "str",
}


def op_name(key: dg.AssetKey) -> str:
    """Return a name of its own for the op of an asset: `shop__orders`, with a hash where the key is no plain words."""
    name = "__".join(key.path)
    plain = all(
        _WORD.fullmatch(part) and "__" not in part and not part.endswith("_") for part in key.path
    )
    if plain and len(name) <= _LONGEST and name not in _RESERVED and not keyword.iskeyword(name):
        return name
    return f"{word('__'.join(key.path))[: _LONGEST - _HASH_CHARACTERS - 2]}__{short_hash(key.to_string())}"


def group_name(name: str) -> str:
    """Return a group's name for a source: the same word, with a hash where it has other than ASCII letters."""
    return (
        name
        if _WORD.fullmatch(name) or (name.startswith("_") and word(name) == name)
        else with_hash(name)
    )


def with_hash(name: str) -> str:
    """Return an ASCII word that no other name shares."""
    return f"{word(name)}_{short_hash(name)}"


def word(name: str) -> str:
    """Return a name with everything but ASCII letters, digits and `_` turned into `_`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def short_hash(text: str) -> str:
    """Return eight characters that stand for a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARACTERS]

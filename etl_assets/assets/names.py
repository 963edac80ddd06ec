"""Names that Dagster takes: those of ops, groups and resources are ASCII words, keys anything."""

import keyword
import re
from hashlib import sha256

import dagster as dg

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
_OP_NAME = re.compile(r"[A-Za-z0-9_]+")
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
    """Return a name of its own for the op of an asset, such as `shop__orders`.

    It has a hash where the key is not of plain words.
    """
    name = "__".join(key.path)
    plain = all(
        _WORD.fullmatch(part) and "__" not in part and not part.endswith("_") for part in key.path
    )
    if plain and len(name) <= _LONGEST and is_op_name(name):
        return name
    begins = word(name)[: _LONGEST - _HASH_CHARACTERS - 2]
    return f"{begins}__{short_hash(key.to_string())}"


def is_op_name(name: str) -> bool:
    """Return whether an op may be called so."""
    taken = name in _RESERVED or keyword.iskeyword(name)
    return _OP_NAME.fullmatch(name) is not None and not taken


def input_name(key: dg.AssetKey) -> str:
    """Return the name of the input by which an op waits for an asset upstream.

    It is Dagster's own name for it, but for keys of which Dagster could not make one.
    """
    name = "_".join(key.path).replace("-", "_").replace(".", "_")
    # A path in place of a key is a mistake, which Dagster tells by this name.
    is_path = any("/" in part for part in key.path)
    return name if is_path or is_op_name(name) else op_name(key)


def step_name(source: str) -> str:
    """Return the name of the step that reads many streams of a source: the source's own."""
    return op_name(dg.AssetKey([source]))


def group_name(name: str) -> str:
    """Return a group's name for a source: the same word, with a hash if it is not plain ASCII."""
    private = name.startswith("_") and word(name) == name
    if _WORD.fullmatch(name) or private:
        return name
    return with_hash(name)


def with_hash(name: str) -> str:
    """Return an ASCII word that no other name shares."""
    return f"{word(name)}_{short_hash(name)}"


def word(name: str) -> str:
    """Return a name with everything but ASCII letters, digits and `_` turned into `_`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def short_hash(text: str) -> str:
    """Return eight characters that stand for a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARACTERS]

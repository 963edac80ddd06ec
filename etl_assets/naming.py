"""Identifiers: normalise, tell apart, shorten with a hash, quote. Pure functions.

The rules are those of "Names and columns on disk": lower case; every character but letters (of any
script), digits and `_` becomes `_`; a leading digit gets `_` before it. Names that meet after that
each keep their own identifier: the later ones get a short hash of the original name.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256

from etl_assets.exceptions import ConfigError, shorten

HASH_CHARACTERS = 8
OWN_TABLES = "_etl_assets_"
"""The beginning of the names of this library's own tables: states, the ledger, staged rows."""
SURROGATE = re.compile("[\ud800-\udfff]")

_PLAIN_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def normalise(name: str) -> str:
    """Return PyAirbyte's form of a name: `Order-ID` is `order_id`, `2x` is `_2x`."""
    if _PLAIN_WORD.fullmatch(name):  # as most names are
        return name
    text = "".join(one if one.isalnum() or one == "_" else "_" for one in name.lower())
    if not text:
        return "_"
    return f"_{text}" if text[0].isdigit() else text


def snake_case(name: str) -> str:
    """Return a name with its words parted by `_`: `userId` is `user_id`."""
    return normalise(_WORD_START.sub("_", name))


def preserve(name: str) -> str:
    """Return a name as it is."""
    return name


STYLES: Mapping[str, Callable[[str], str]] = {
    "pyairbyte": normalise,
    "snake_case": snake_case,
    "preserve": preserve,
}


def style(name: str) -> Callable[[str], str]:
    """Return the naming function of an option's value.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in STYLES:
        raise ConfigError(f"There is no naming {name!r}.", hint=f"Use one of {sorted(STYLES)}.")
    return STYLES[name]


def with_hash(name: str, original: str, max_bytes: int) -> str:
    """Return a name of at most `max_bytes` in UTF-8 that ends in a hash of the original."""
    tail = "_" + sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_CHARACTERS]
    return cut(name, max_bytes - len(tail)) + tail


def cut(name: str, max_bytes: int) -> str:
    """Return the longest beginning of a name that has at most `max_bytes` in UTF-8."""
    return name.encode()[:max_bytes].decode(errors="ignore")


def identifiers(
    names: Iterable[str],
    *,
    known: Mapping[str, str] | None = None,
    reserved: Iterable[str] = (),
    naming: Callable[[str], str] = normalise,
    max_bytes: int = 255,
    usable: Callable[[str], str | None] = lambda _: None,
) -> dict[str, str]:
    """Return a unique identifier for each name.

    Engines compare identifiers without regard to case, so no two of the result are equal that way.

    Args:
        names: The original names, in the order in which they were first seen: earlier ones keep the
            plain form.
        known: Identifiers given before (by original name); they stay as they are.
        reserved: Identifiers that are taken.
        naming: The style.
        max_bytes: The engine's limit.
        usable: Gives the beginning of the identifier to be used in place of one that the engine
            keeps for itself, or None for one that it takes.

    Returns:
        Identifiers by original name, in the order of `names`.

    Raises:
        ConfigError: A name is no Unicode text.
    """
    known = known or {}
    taken = {identifier.casefold() for identifier in [*reserved, *known.values()]}
    given: dict[str, str] = {}
    for name in names:
        refuse_surrogates(name)
        if name in known or name in given:
            given[name] = known.get(name) or given[name]
            continue
        styled = naming(name) or "_"
        instead = usable(styled)
        wanted = styled if instead is None else instead
        fits = instead is None and len(wanted.encode("utf-8", "surrogatepass")) <= max_bytes
        identifier = wanted if fits else None
        if identifier is None or identifier.casefold() in taken:
            identifier = with_hash(wanted, name, max_bytes)
        taken.add(identifier.casefold())
        given[name] = identifier
    return given


def is_unicode(text: str) -> bool:
    """Return whether a text has no unpaired surrogate, which only Python could store."""
    return text.isascii() or SURROGATE.search(text) is None


def refuse_surrogates(name: str) -> None:
    """Refuse a name that is no Unicode text: no database, file or JSON can hold it.

    Raises:
        ConfigError: It holds an unpaired surrogate.
    """
    if not is_unicode(name):
        raise ConfigError(
            f"The name {shorten(name)} holds an unpaired surrogate, which is no Unicode text.",
            hint="Rename it at the source; such names come of text that was decoded wrongly.",
        )


def quoted_where_needed(identifier: str) -> str:
    """Return an identifier as people write it in a query: a plain word as it is."""
    return identifier if _PLAIN_WORD.fullmatch(identifier) else quote(identifier)


@lru_cache(maxsize=4096)
def quote(identifier: str, mark: str = '"') -> str:
    """Quote an identifier for SQL, doubling the quote mark.

    Raises:
        ConfigError: It holds U+0000, or an unpaired surrogate, which no engine can have in an
            identifier.
    """
    refuse_surrogates(identifier)
    if "\0" in identifier:
        raise ConfigError(
            f"The name {identifier!r} holds U+0000, which no database can have in a name."
        )
    return f"{mark}{identifier.replace(mark, mark * 2)}{mark}"

"""How many keys many lines of JSON had, told by the keys that were missing in them.

Nothing is done for the keys that are there.
"""

from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import msgspec


@dataclass
class _Pool:
    """Values for the fields with one default that stand for so many keys each."""

    default: Any
    keys: int
    fields: int = 0
    values: list[Any] = field(default_factory=list)


class Missing:
    """Counts the fields that are missing in the structs of one decoder.

    A field's default is taken from a pool, at the speed of C: what the pool lacks afterwards was
    missing.
    """

    def __init__(self) -> None:
        self._always = 0
        self._pools: dict[tuple[type, int], _Pool] = {}

    def always(self, keys: int) -> None:
        """Know of so many keys that no line can be without."""
        self._always += keys

    def field(self, default: Any = None, *, keys: int = 1) -> Any:
        """Return a field that may be missing, and count it.

        Args:
            default: Its value where it is missing; the same for all of its type.
            keys: How many keys it stands for, where it is there.
        """
        pool = self._pools.setdefault((type(default), keys), _Pool(default, keys))
        pool.fields += 1
        return msgspec.field(default_factory=pool.values.pop)

    def begin(self, lines: int) -> None:
        """Begin to count, for so many lines at most: decoding more may be an `IndexError`."""
        for pool in self._pools.values():
            most = lines * pool.fields
            pool.values.extend(repeat(pool.default, most - len(pool.values)))
            del pool.values[most:]

    def end(self, lines: int) -> int:
        """Return how many keys so many lines had, which were all that `begin` was told of."""
        there = sum(pool.keys * len(pool.values) for pool in self._pools.values())
        return lines * self._always + there

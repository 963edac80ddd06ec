"""Functions over lists, under the names connectors written for Mage import."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def batch(iterable: Sequence[T], n: int = 1) -> Iterator[Sequence[T]]:
    """Yield a list in pieces of at most `n` items."""
    for start in range(0, len(iterable), n):
        yield iterable[start : start + n]


def difference(li1: Sequence[T], li2: Sequence[T]) -> list[T]:
    """Return the items that are in only one of two lists."""
    return [*subtract(li1, li2), *subtract(li2, li1)]


def subtract(arr1: Iterable[T], arr2: Iterable[T]) -> list[T]:
    """Return the items of a list that are not in another."""
    others = set(arr2)
    return [item for item in arr1 if item not in others]


def find(
    condition: Callable[[T], Any],
    arr: Iterable[T],
    map: Callable[[T], Any] | None = None,  # noqa: A002
) -> Any:
    """Return the first item that meets a condition, or what `map` makes of it.

    Return None if no item does.
    """
    for item in arr:
        if condition(item):
            return map(item) if map else item
    return None


def find_index(condition: Callable[[Any], Any], arr: Iterable[Any]) -> int:
    """Return the position of the first item that meets a condition, or -1."""
    return next((place for place, item in enumerate(arr) if condition(item)), -1)


def flatten(arr: Iterable[Iterable[T]]) -> list[T]:
    """Return the items of all lists in a list."""
    return [item for items in arr for item in items]


def sample(arr: Sequence[T]) -> T:
    """Return a random item of a list."""
    return random.choice(arr)  # noqa: S311 - nothing is kept secret by it

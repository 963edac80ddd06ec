"""What carries requests: the network, or what a test puts in its place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_in_place: list[Any] = []


def transport() -> Any:
    """Return what a test has put in the place of the network, or None."""
    return _in_place[-1] if _in_place else None


@contextmanager
def in_place_of_the_network(carrier: Any) -> Iterator[None]:
    """Have an `httpx.BaseTransport` carry all requests of this process."""
    _in_place.append(carrier)
    try:
        yield
    finally:
        _in_place.remove(carrier)

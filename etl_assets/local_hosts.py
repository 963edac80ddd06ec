"""Which hosts are this machine: the way to one of these needs no encryption."""

import os
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any


def is_local(host: str) -> bool:
    """Return whether a host's name or address, or a socket's path, means this machine."""
    if not host or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def are_local(given: Iterable[Any]) -> bool:
    """Return whether everything that may name a server means this machine.

    Args:
        given: Hosts. Each may be several, in a list or with commas between them, or None.
    """
    return all(is_local(host.strip()) for host in _each(given))


def libpq_hosts(given: Sequence[Any]) -> Sequence[Any]:
    """Return what names the server for libpq: its environment counts where nothing is given."""
    if any(given):
        return given
    return [os.environ.get("PGHOST"), os.environ.get("PGHOSTADDR")]


def _each(given: Iterable[Any]) -> Iterator[str]:
    for one in given:
        if not one:
            continue
        for hosts in one if isinstance(one, list | tuple) else (one,):
            yield from str(hosts).split(",")

"""What a database's URL says."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any


def without_driver(url: str, name: str) -> str:
    """Return a URL as the database's own library knows it: without SQLAlchemy's `+driver`, by the database's name."""
    scheme, found, rest = url.partition("://")
    return (
        f"{name}://{rest}"
        if found and scheme.partition("+")[0] in {name, "postgres", "mariadb"}
        else url
    )


def is_local(given: Mapping[str, Any]) -> bool:
    """Return whether a server is on this machine: a socket, or a loopback address.

    Args:
        given: libpq's parameters.
    """
    told = [given.get("host"), given.get("hostaddr")]
    if not any(told):
        told = [os.environ.get("PGHOST"), os.environ.get("PGHOSTADDR")]
    return all(is_local_host(host.strip()) for one in told if one for host in str(one).split(","))


def is_local_host(host: str) -> bool:
    """Return whether a host's name means this machine."""
    if not host or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

"""The Firebird of the tests, which runs inside of the process; `make` fetches it into a folder of its own."""

import ctypes
import sys
from functools import cache
from pathlib import Path

from tests.servers import missing

FETCHED = Path(__file__).resolve().parent.parent / ".firebird"
TOMMATH = "libtommath.so.1"
"""Which its wheel needs and does not hold: the system's, or the one that was fetched."""


def firebird() -> None:
    """Load the embedded engine; skips the test where it is missing, or fails it where services are required."""
    problem = _loaded()
    if problem:
        missing(problem)


@cache
def _loaded() -> str:
    """Load the engine once; returns why that could not be done, or ""."""
    packages = str(FETCHED / "packages")
    if packages not in sys.path:
        sys.path.append(packages)  # last: whatever else is there is that of the environment
    try:
        from firebird.driver.fbapi import has_api, load_api
        from firebird.embedded.provider import FirebirdProvider
    except ImportError as error:
        return f"no Firebird: {error}"
    if has_api():
        return ""
    provider = FirebirdProvider()
    found = [*FETCHED.rglob(TOMMATH), Path(TOMMATH)]
    try:
        for library in (found[0], provider.root / "libtomcrypt.so.1"):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        load_api(provider)
    except (OSError, RuntimeError) as error:
        return f"no Firebird: {error} (make .firebird)"
    return ""

"""What a definitions file declares, for the command line: it loads the file while it collects."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from etl_assets.destinations.base import Destination
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source


@dataclass(frozen=True)
class Declared:
    """What one call of `stream_assets` declared.

    Args:
        source: The source.
        source_name: Under which its state is stored.
        destination: The destination; None where `io_manager_key` names one, or for an IO manager
            that has none.
        io_manager_key: The resource; None where there is a destination.
        selection: What `streams=` said; None for what the catalog selects.
        streams: The streams that became assets; empty where the catalog is missing.
        catalog_path: The file a catalog was read from, or is to be written to.
        catalog_missing: There are no assets, because the selection needs a catalog and there is
            none yet, or does not fit the one there is.
        problem: What does not fit.
    """

    source: Source
    source_name: str
    destination: Destination | None
    io_manager_key: str | None
    selection: Sequence[str] | None
    streams: Sequence[Stream]
    catalog_path: Path
    catalog_missing: bool = False
    problem: str | None = None


_collected: ContextVar[list[Declared] | None] = ContextVar("etl_assets_declared", default=None)


@contextmanager
def collecting() -> Iterator[list[Declared]]:
    """Collect what `stream_assets` declares inside.

    There a missing catalog is no error, but gives no assets.

    ```python
    with collecting() as declared:
        runpy.run_path("definitions.py")
    ```
    """
    found: list[Declared] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def is_collecting() -> bool:
    """Return whether somebody collects."""
    return _collected.get() is not None


def collect(declared: Declared) -> None:
    """Hand over what was declared, if somebody collects."""
    found = _collected.get()
    if found is not None:
        found.append(declared)

"""One destination as the fault harness sees it: this is all that a new destination has to say."""

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from etl_assets.destinations.base import Destination
from etl_assets.exceptions import DestinationError
from etl_assets.model.stored import Bookmark, StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.testing.lines import SOURCE

PLACE, FOLDER = "ETL_ASSETS_TEST_PLACE", "ETL_ASSETS_TEST_FOLDER"
"""The environment of a process that is to make a place: `module:Class`, and its folder."""
SMALL_STAGING_BYTES = 100
"""Less than a batch of the harness or the kit, so that all wait in files."""
Commit = tuple[str, int, int, Bookmark | None]
"""A row of the ledger: load id, rows in, rows in the table, the bookmark after it."""


class Place:
    """A scratch place in a destination.

    The process that is killed makes its own from the same folder, so everything about it (a file,
    the name of a schema) must follow from the folder, and the class must be importable by its name.
    A subclass gives `destination`, and whatever else is not as it is here.

    Args:
        folder: Its own; holds the rows of the source and Dagster's storage, too.
    """

    engine_points: ClassVar[Sequence[str]] = ()
    """The points of `points.ENGINE_POINTS` that this destination passes."""

    server: ClassVar[tuple[str, int] | None] = None
    """Host and port of a server.

    `destination` connects to `self.address`, which a test may put a proxy in place of.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = self.server

    # To be overridden

    lock_seconds = 20.0
    """How long a sync is to wait for whoever holds the destination."""

    def destination(self) -> Destination:
        """Return the destination, which is created for each sync, also in other processes.

        It stages in files beyond `SMALL_STAGING_BYTES`, and waits `lock_seconds` for a lock.
        """
        raise NotImplementedError(f"{type(self).__name__} must override destination.")

    def left_over(self) -> Sequence[str]:
        """Name what no sync may leave behind, by default files in the folder."""
        return sorted(path.name for path in self.folder.iterdir() if path.name not in self.files())

    def files(self) -> set[str]:
        """Name the files in the folder that may stay."""
        return {"rows.jsonl", "home"}

    def hold(self) -> AbstractContextManager[Any]:
        """Hold the destination by another process, like a long write, until the context is left."""
        pytest.skip(f"{type(self).__name__} has no `hold`: nothing keeps others out")

    def disconnect(self) -> int:
        """End the connections of syncs to a server, as its operator would; return how many."""
        pytest.skip(f"{type(self).__name__} has no `disconnect`: it is no server")

    def drop(self) -> None:
        """Drop what is not in the folder."""

    def output(self) -> Any:
        """Return what Dagster's assets write to; the destination by default."""
        return self.destination()

    # For checks

    def rows(self, stream: Stream) -> list[dict[str, Any]]:
        """Read the table of a stream; no rows where there is no table."""
        destination = self.destination()
        try:
            rows: list[dict[str, Any]] = destination.read_table(self.table(stream)).to_pylist()
        except DestinationError:
            if self.state(stream) is not None:
                raise
            return []
        return rows

    def table(self, stream: Stream) -> TableName:
        """Return where the rows of a stream are."""
        return self.destination().table_for(SOURCE, stream)

    def state(self, stream: Stream) -> StreamState | None:
        """Return the state row of a stream."""
        return self.destination().stored(SOURCE, stream).state

    def commits(self, stream: Stream) -> list[Commit]:
        """Return the rows of the ledger about a stream, oldest first."""
        if self.state(stream) is None:
            return []
        destination: Any = self.destination()
        with destination.transaction() as tx:
            commits: list[Commit] = destination.ledger(tx).commits(SOURCE, stream)
        return commits

    def environment(self) -> Mapping[str, str]:
        """Return what another process needs to make the same place."""
        return {
            PLACE: f"{type(self).__module__}:{type(self).__qualname__}",
            FOLDER: str(self.folder),
        }


def place_here() -> Place:
    """Make the place that the environment of this process names."""
    module, _, name = os.environ[PLACE].partition(":")
    kind: type[Place] = getattr(importlib.import_module(module), name)
    return kind(Path(os.environ[FOLDER]))


def processes_of(place: Place) -> Iterator[int]:
    """Return the ids of processes that were started for a place and still run.

    Without /proc, the result is None.
    """
    wanted = f"{FOLDER}={place.folder}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found = wanted in path.read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is another's
        if found and int(path.parent.name) != os.getpid():
            yield int(path.parent.name)

"""The destination of a pipe as the sync sees it: a session for each stream, or Mage's hooks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from etl_assets.destinations.target.hooks import DestinationHooks
from etl_assets.destinations.target.rows import overrides
from etl_assets.model.batch import Batch, Encoding
from etl_assets.model.contract import ContractMode, SchemaContract
from etl_assets.model.load import Capabilities, Committed, Load, Session
from etl_assets.model.stored import Bookmark, SharedState, Stored, StoredSource, TableName
from etl_assets.model.stream import Stream

CHECKED = SchemaContract(data_type=ContractMode.FREEZE)
"""What a stream asks for by `disable_column_type_check: false`."""


def has_sessions(destination: DestinationHooks) -> bool:
    """Return whether rows become visible with a commit.

    Otherwise they are exported by Mage's hooks, and are there at once.
    """
    return destination.capabilities.keeps_state or overrides(destination, "session")


class PipeTarget:
    """A destination that `sync_source` loads a pipe into.

    Args:
        destination: The destination.
    """

    def __init__(self, destination: DestinationHooks) -> None:
        self._destination = destination
        self._has_sessions = has_sessions(destination)
        self.capabilities = destination.capabilities if self._has_sessions else Capabilities()

    def session(self, loads: Sequence[Load]) -> AbstractContextManager[Session]:
        """Open a session, for streams that are not known yet."""
        del loads
        return _sessions(self._destination) if self._has_sessions else _hooks(self._destination)

    def stored(
        self, source: str, stream: Stream, *, table: TableName | None = None, partition: str = ""
    ) -> Stored:
        """Return what is known of a stream."""
        if not self._has_sessions:
            return Stored()
        return self._destination.stored(source, stream, table=table, partition=partition)

    def stored_source(self, source: str, *, partition: str = "") -> StoredSource:
        """Return nothing: the streams share no state.

        Each of them has the pipe's state as of its own last commit.
        """
        del source, partition
        return StoredSource()


@contextmanager
def _sessions(destination: DestinationHooks) -> Iterator[Session]:
    with ExitStack() as stack:
        yield StreamSessions(destination, stack)


@contextmanager
def _hooks(destination: DestinationHooks) -> Iterator[Session]:
    yield HookSession(destination)


class StreamSessions(Session):
    """A session of the destination for each stream, so that one can fail without the others.

    It is opened with the stream's first rows.

    Args:
        destination: The destination.
        stack: Closes them.
    """

    encoding: Encoding = "rows"

    def __init__(self, destination: DestinationHooks, stack: ExitStack) -> None:
        self._destination = destination
        self._stack = stack
        self._loads: dict[str, Load] = {}
        self._open: dict[str, tuple[Session, ExitStack]] = {}

    @override
    def revise(self, load: Load) -> None:
        self._loads[load.load_id] = load
        if load.load_id in self._open:
            self._session(load).revise(load)

    @override
    def screen(self, batch: Batch, load: Load) -> Batch:
        return self._session(load).screen(batch, load)

    @override
    def export(self, batch: Batch, load: Load) -> int:
        return self._session(load).export(batch, load)

    @override
    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> list[Committed]:
        del shared
        committed: list[Committed] = []
        for load_id, bookmark in bookmarks.items():
            session = self._session(self._loads[load_id])
            committed += session.commit({load_id: bookmark}, complete=complete)
            if complete:
                self.discard(load_id)
        return committed

    @override
    def discard(self, load_id: str) -> None:
        """End the session of a load: what was not committed is dropped."""
        if load_id in self._open:
            _, stack = self._open.pop(load_id)
            stack.close()

    def _session(self, load: Load) -> Session:
        if load.load_id not in self._open:
            own = self._stack.enter_context(ExitStack())
            opened = own.enter_context(self._destination.session([load]))
            self._open[load.load_id] = (opened, own)
        session, _ = self._open[load.load_id]
        return session


class HookSession(Session):
    """Exports each batch by the hooks that Mage calls; at-least-once.

    Args:
        destination: The destination.
    """

    encoding: Encoding = "rows"

    def __init__(self, destination: DestinationHooks) -> None:
        self._destination = destination
        self._batches: dict[str, int] = {}

    @override
    def screen(self, batch: Batch, load: Load) -> Batch:
        is_checked_by_hooks = load.stream.disable_column_type_check is False  # in `rows.prepared`
        if is_checked_by_hooks and load.contract == CHECKED:
            return batch
        return super().screen(batch, load)

    @override
    def export(self, batch: Batch, load: Load) -> int:
        name, destination = load.stream.name, self._destination
        number = self._batches.get(name, 0)
        self._batches[name] = number + 1
        rows = [{"type": "RECORD", "stream": name, "record": record} for record in batch.rows or ()]
        tags: dict[str, Any] = {
            "batch": number,
            "records": len(rows),
            "stream": name,
            "load_id": load.load_id,
        }
        schema = destination.schemas.get(name) or {}
        if destination.batch_processing:
            data = [{"row": row, "schema": schema, "stream": name, "tags": tags} for row in rows]
            destination.process_record_data(data, name, tags)
        else:
            for row in rows:
                destination.process_record(stream=name, schema=schema, row=row, tags=tags)
        return 0

    @override
    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> list[Committed]:
        """Return a commit for each load: the hooks have written everything already."""
        del complete, shared
        now = datetime.now(UTC)
        return [
            Committed(load_id, 0, None, bookmark, now, "", delivery="at_least_once")
            for load_id, bookmark in bookmarks.items()
        ]

"""Places that break one promise each, for the fault harness to catch."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from typing_extensions import override

from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.duckdb.transaction import DuckDBTransaction
from etl_assets.model.load import Committed, Load, Session
from etl_assets.model.stored import Bookmark, SharedState
from etl_assets.strategies import WriteStrategy
from etl_assets.testing.place import SMALL_STAGING_BYTES
from tests.faults.places import DuckDBPlace
from tests.testing.planted import Broken, LeavesStaging, Spoiled


class Early(Spoiled):
    """Does something of its own before the transaction."""

    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> Sequence[Committed]:
        for load in self.turned.values():
            if self.broken.stored(load.source, load.stream).state is not None:
                self.spoil(load, bookmarks[load.load_id])
        return super().commit(bookmarks, complete=complete, shared=shared)

    def spoil(self, load: Load, bookmark: Bookmark | None) -> None:
        raise NotImplementedError


class StateEarly(Early):
    def spoil(self, load: Load, bookmark: Bookmark | None) -> None:
        if bookmark:
            with self.broken.transaction() as tx:
                sql = "UPDATE _etl_assets_state SET bookmark = ? WHERE stream = ?"
                tx.execute(sql, (f'{{"n": {bookmark["n"]}}}', load.stream.name))


class DeleteEarly(Early):
    def spoil(self, load: Load, bookmark: Bookmark | None) -> None:
        if load.strategy is WriteStrategy.REPLACE:
            with self.broken.transaction() as tx:
                tx.execute("DELETE FROM lines.replace")


class Spoiling(Broken):
    session_type: type[Early]

    @contextmanager
    def _session(self, loads: Sequence[Load]) -> Iterator[Session]:
        with DuckDBDestination._session(self, loads) as session:
            yield self.session_type(session, self, {load.load_id: load for load in loads})


class TwoTransactions(Spoiling):
    session_type = StateEarly


class DeletesFirst(Spoiling):
    session_type = DeleteEarly


class ForgetsToRollBack(DuckDBDestination):
    @contextmanager
    def transaction(self) -> Iterator[DuckDBTransaction]:
        errors = []
        with super().transaction() as tx:
            try:
                yield tx
            except Exception as error:  # noqa: BLE001 - this is what is broken
                errors.append(error)
        if errors:
            raise errors[0]


class LeavesAProcess(DuckDBDestination):
    @contextmanager
    def _session(self, loads: Sequence[Load]) -> Iterator[Session]:
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"], stderr=subprocess.DEVNULL
        )
        with super()._session(loads) as session:
            yield session


class TellsFirst(DestinationIOManager):
    """An event before the COMMIT."""

    @override
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        metadata: dict[str, Any] = {"etl_assets/load_id": "a load to come", "dagster/row_count": 60}
        context.log_event(dg.AssetMaterialization(context.asset_key, metadata=metadata))
        super().handle_output(context, obj)


class Planted(DuckDBPlace):
    kind: type[DuckDBDestination] = DuckDBDestination

    @override
    def destination(self) -> DuckDBDestination:
        path = str(self.folder / "warehouse.duckdb")
        return self.kind(
            path, staging_memory_bytes=SMALL_STAGING_BYTES, lock_timeout=self.lock_seconds
        )


class StateBeforeRows(Planted):
    kind = TwoTransactions


class DeleteBeforeInsert(Planted):
    kind = DeletesFirst


class NoRollback(Planted):
    kind = ForgetsToRollBack


class StagingLeft(Planted):
    kind = LeavesStaging


class ProcessLeft(Planted):
    kind = LeavesAProcess


class EventBeforeCommit(Planted):
    @override
    def output(self) -> dg.IOManager:
        return TellsFirst(self.destination())

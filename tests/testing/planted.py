"""Destinations and sources that break one promise each, for the kit to catch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.batch import Batch
from etl_assets.model.load import Committed, Load, Session
from etl_assets.model.stored import Bookmark, SharedState, StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.strategies import WriteStrategy


class Broken(DuckDBDestination):
    """DuckDB, with a hook that spoils the tables that are written, or the load."""

    def spoil(self, table: pa.Table) -> pa.Table:
        return table

    def turn(self, load: Load) -> Load:
        return load

    @contextmanager
    def _session(self, loads: Sequence[Load]) -> Iterator[Session]:
        turned = {load.load_id: self.turn(load) for load in loads}
        with super()._session(list(turned.values())) as session:
            yield Spoiled(session, self, turned)


class Spoiled(Session):
    def __init__(self, session: Session, broken: Broken, turned: Mapping[str, Load]) -> None:
        self.encoding = session.encoding
        self.session, self.broken, self.turned = session, broken, turned

    def export(self, batch: Batch, load: Load) -> int:
        turned = self.turned[load.load_id]
        return self.session.export(Batch(self.broken.spoil(batch.to_arrow(load.stream))), turned)

    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> Sequence[Committed]:
        return self.session.commit(bookmarks, complete=complete, shared=shared)


class DropsTheLastRow(Broken):
    def spoil(self, table: pa.Table) -> pa.Table:
        return table.slice(0, max(table.num_rows - 1, 1))


def each(table: pa.Table, wanted: Any, change: Any) -> pa.Table:
    """Return a table with the values changed of the columns whose type is wanted."""
    for index, field in enumerate(table.schema):
        if wanted(field.type):
            values = [
                None if one is None else change(one) for one in table.column(index).to_pylist()
            ]
            table = table.set_column(index, field, pa.array(values, field.type))
    return table


class RoundsDecimals(Broken):
    def spoil(self, table: pa.Table) -> pa.Table:
        return each(
            table,
            pa.types.is_decimal,
            lambda one: one.quantize(Decimal("0.1")) if abs(one) < 1000 else one,
        )


class SwapsTwoColumns(Broken):
    def spoil(self, table: pa.Table) -> pa.Table:
        text = [index for index, field in enumerate(table.schema) if pa.types.is_string(field.type)]
        if len(text) < 2:
            return table
        first, second = text[:2]
        one, other = table.column(first), table.column(second)
        return table.set_column(first, table.field(first), other).set_column(
            second, table.field(second), one
        )


class CutsMicroseconds(Broken):
    def spoil(self, table: pa.Table) -> pa.Table:
        return each(
            table,
            pa.types.is_timestamp,
            lambda one: one.replace(microsecond=one.microsecond // 1000 * 1000),
        )


class EmptyTextIsNull(Broken):
    def spoil(self, table: pa.Table) -> pa.Table:
        return each(table, pa.types.is_string, lambda one: one or None)


class LowerCasesText(Broken):
    def spoil(self, table: pa.Table) -> pa.Table:
        return each(table, pa.types.is_string, str.lower)


class LosesLateColumns(Broken):
    def spoil(self, table: pa.Table) -> pa.Table:
        states = self.states()
        known = {column.name for column in states[0].columns} if states else set(table.column_names)
        return table.select([name for name in table.column_names if name in known])


class AppendsOnReplace(Broken):
    def turn(self, load: Load) -> Load:
        again = load.strategy is WriteStrategy.REPLACE
        return replace(load, strategy=WriteStrategy.APPEND) if again else load


class IgnoresKeys(Broken):
    def turn(self, load: Load) -> Load:
        return (
            replace(load, strategy=WriteStrategy.APPEND)
            if load.strategy is WriteStrategy.MERGE
            else load
        )


class SavesStateFirst(Broken):
    """Moves the stored bookmark as soon as a batch has come, before its rows are committed."""

    @contextmanager
    def _session(self, loads: Sequence[Load]) -> Iterator[Session]:
        with super()._session(loads) as session:
            yield Early(session, self, loads[0])


class Early(Spoiled):
    def __init__(self, session: Session, broken: Broken, load: Load) -> None:
        super().__init__(session, broken, {load.load_id: load})

    def export(self, batch: Batch, load: Load) -> int:
        state = self.broken.stored(load.source, load.stream).state
        if state is not None and batch.bookmark:
            with self.broken.transaction() as tx:
                tx.execute(
                    "UPDATE _etl_assets_state SET bookmark = ? WHERE stream = ?",
                    (f'{{"n": {batch.bookmark["n"]}}}', load.stream.name),
                )
        return super().export(batch, load)


class CommitsRowsFirst(Broken):
    """Commits the rows of each batch at once, and the bookmark later: rows come twice."""

    @contextmanager
    def _session(self, loads: Sequence[Load]) -> Iterator[Session]:
        with super()._session(loads) as session:
            yield Eager(session, self, {load.load_id: load for load in loads})


class Eager(Spoiled):
    def export(self, batch: Batch, load: Load) -> int:
        size = super().export(batch, load)
        if load.strategy is not WriteStrategy.REPLACE:
            self.session.commit({load.load_id: load.bookmark}, complete=False)
        return size


class LeavesStaging(Broken):
    @contextmanager
    def _session(self, loads: Sequence[Load]) -> Iterator[Session]:
        Path(f"{self.path}.staging-{loads[0].load_id}").touch()
        with super()._session(loads) as session:
            yield session


class WritesOverOthers(Broken):
    """Takes over any table, and does not look whether somebody was faster."""

    def turn(self, load: Load) -> Load:
        state = self.stored(load.source, load.stream, table=load.table).state
        return replace(load, adopt=True, begins_from=state.load_id if state else None)

    def stored(
        self, source: str, stream: Stream, *, table: TableName | None = None, partition: str = ""
    ) -> Any:
        return replace(
            super().stored(source, stream, table=table, partition=partition), foreign=None
        )


class ForgetsItsBookmark(Broken):
    def stored(
        self, source: str, stream: Stream, *, table: TableName | None = None, partition: str = ""
    ) -> Any:
        stored = super().stored(source, stream, table=table, partition=partition)
        state: StreamState | None = stored.state
        return stored if state is None else replace(stored, state=replace(state, bookmark=None))


# Sources


class Numbers(Source):
    """Gives rows with ties, two a batch; whole as it is."""

    streams = [
        Stream(
            "numbers",
            schema={
                "type": "object",
                "properties": {"id": {"type": "integer"}, "n": {"type": "integer"}},
            },
            primary_key="id",
            replication_key="n",
        )
    ]

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        rows = [row for row in self.rows() if not bookmarks or self.is_new(row, bookmarks)]
        for start in range(0, len(rows), 2):
            yield self.batch(rows[start : start + 2])

    def count_records(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> int:
        return sum(not bookmarks or self.is_new(row, bookmarks) for row in self.rows())

    def rows(self) -> list[dict[str, Any]]:
        return [{"id": n, "n": n // 3} for n in range(9)]

    def is_new(self, row: Mapping[str, Any], bookmark: Mapping[str, Any]) -> bool:
        return bool(row["n"] >= bookmark["n"])

    def batch(self, rows: list[dict[str, Any]]) -> Any:
        return rows


class LosesTies(Numbers):
    """Says that each batch is a checkpoint, and reads on behind it."""

    def is_new(self, row: Mapping[str, Any], bookmark: Mapping[str, Any]) -> bool:
        return bool(row["n"] > bookmark["n"])

    def batch(self, rows: list[dict[str, Any]]) -> Any:
        return Batch(rows, bookmark={"n": rows[-1]["n"]})


class IgnoresTheBookmark(Numbers):
    def is_new(self, row: Mapping[str, Any], bookmark: Mapping[str, Any]) -> bool:
        return True


class GoesBack(Numbers):
    def batch(self, rows: list[dict[str, Any]]) -> Any:
        return Batch(rows, bookmark={"n": 8 - rows[-1]["n"]})


class CountsWrong(Numbers):
    def count_records(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> int:
        return 10


class BreaksItsSchema(Numbers):
    def rows(self) -> list[dict[str, Any]]:
        return [{**row, "id": row["id"] + 0.5} for row in super().rows()]


class GuessesItsStreams(Numbers):
    def discover(self, streams: Sequence[str] | None = None) -> Any:
        catalog = super().discover(streams)
        return catalog.replace(Stream("numbers", description=datetime.now(UTC).isoformat()))


class ShowsItsSecret(Numbers):
    def __repr__(self) -> str:
        return f"Numbers({self.config})"

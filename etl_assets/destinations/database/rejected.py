"""The rejected records of one load: they are counted, and kept in a table if that is wanted."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etl_assets.destinations.database.transaction import Stamp, Transaction
from etl_assets.engine.staging import Staging
from etl_assets.model.contract import Rejected, Rejection, counted, summed
from etl_assets.model.load import Load
from etl_assets.model.stored import TableName
from etl_assets.naming import identifiers, preserve

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = "__rejected"


def rejected_table(table: TableName, max_bytes: int = 255) -> TableName:
    """Return where the rejected records of a table are kept."""
    name = f"{table.name}{SUFFIX}"
    return TableName(identifiers([name], naming=preserve, max_bytes=max_bytes)[name], table.schema)


class Rejects:
    """What was rejected of a load since its last commit.

    Args:
        load: The load.
        staging: Where records wait that are to be kept; None where nothing can keep them.
    """

    def __init__(self, load: Load, staging: Staging | None = None) -> None:
        self._load = load
        self._staging = staging
        self.records = 0
        self.counts: list[Rejected] = []

    def add(self, found: Iterable[Sequence[Rejection]]) -> None:
        """Take what was wrong with records: for each record one rejection or more."""
        rejections = []
        for one in found:
            self.records += 1
            # If the record is left out, none of its values is left out by itself.
            out = any(each.whole for each in one)
            rejections += [replace(each, whole=out) for each in one]
        self.counts = summed(self.counts, counted(rejections))
        if self._load.keep_rejected and rejections and self._staging is not None:
            self._staging.add(self._table(rejections))

    def clear(self) -> None:
        """Drop everything."""
        if self._staging is not None:
            self._staging.clear()
        self.records, self.counts = 0, []

    def prepare(self, tx: Transaction, table: TableName) -> None:
        """Make the table and stage what is kept, where that cannot be part of the transaction."""
        if self._staging is None or not self._staging.rows:
            return
        schema = _schema()
        if tx.schema(table) is None:
            tx.create_table(table, schema, Stamp(self._load.load_id, None, None))
        tx.stage(table, _at(self._staging.reader(schema), datetime.now(UTC)))

    def write(self, tx: Transaction, table: TableName, now: datetime) -> int:
        """Append what is kept to its table, and return how many rows that were."""
        if self._staging is None or not self._staging.rows:
            return 0
        rows = self._staging.rows
        schema = _schema()
        stamp = Stamp(self._load.load_id, None, None)
        if tx.schema(table) is None:
            tx.create_table(table, schema, stamp)
        tx.insert(table, _at(self._staging.reader(schema), now), stamp)
        return rows

    def _table(self, rejections: Sequence[Rejection]) -> "pa.Table":
        import pyarrow as pa

        count = len(rejections)
        return pa.table(
            {
                "load_id": [self._load.load_id] * count,
                "rejected_at": pa.nulls(count, pa.timestamp("us", "UTC")),
                "stream": [self._load.stream.full_name] * count,
                "field": [one.field for one in rejections],
                "reason": [
                    one.reason if one.told is None else f"{one.reason}: {one.told}"
                    for one in rejections
                ],
                "left_out": ["row" if one.whole else "value" for one in rejections],
                "record": [one.record for one in rejections],
            },
            schema=_schema(),
        )


def _schema() -> "pa.Schema":
    import pyarrow as pa

    text = pa.string()
    at = pa.timestamp("us", "UTC")
    fields = [
        ("load_id", text),
        ("rejected_at", at),
        ("stream", text),
        ("field", text),
        ("reason", text),
    ]
    return pa.schema([*fields, ("left_out", text), ("record", text)])


def _at(rows: "pa.RecordBatchReader", now: datetime) -> "pa.RecordBatchReader":
    """Return the rows with the time of their commit."""
    import pyarrow as pa

    at = rows.schema.field("rejected_at").type
    index = rows.schema.get_field_index("rejected_at")
    batches = (
        batch.set_column(index, "rejected_at", pa.array([now] * batch.num_rows, at))
        for batch in rows
    )
    return pa.RecordBatchReader.from_batches(rows.schema, batches)

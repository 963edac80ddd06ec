"""What is to be written for one load: its staged rows with the table's names and types."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.destinations.database.encoded_rows import EncodedBatch, MixedBatches
from etl_assets.destinations.database.record_columns import staged_as
from etl_assets.destinations.database.transaction import Stamp
from etl_assets.engine.casting import RefusedValueError, conform
from etl_assets.engine.staging import Staging, tables_of
from etl_assets.model.encoded import Encoded
from etl_assets.model.load import Load
from etl_assets.model.stored import TableName

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@dataclass
class Plan:
    """What is to be written for one load.

    Args:
        load: The load.
        table: The table that is written to.
        staging: The rows, by the names of the fields.
        physical: The name of each field's column in the table.
        schema: The schema of the staged rows, by the names of the fields. A column that is NULL
            throughout has the type null.
        declared: The schema that the stream declares, if it does.
        stamp: What our own columns get.
        changes: Sentences about what was done to the table's schema.
        tables: Tables in the same database whose rows are loaded in place of staged ones.
        copied: The columns of these tables by those of the table.
        stale: Whether each of the staged rows is left out, in their order; None for none.
        unique: Whether it is known that no key comes twice in the others.
    """

    load: Load
    table: TableName
    staging: Staging
    physical: Mapping[str, str]
    schema: "pa.Schema"
    declared: "pa.Schema | None"
    stamp: Stamp
    changes: list[str] = field(default_factory=list)
    tables: Sequence[TableName] = ()
    copied: Mapping[str, str] = field(default_factory=dict)
    stale: "npt.NDArray[np.bool_] | None" = None
    unique: bool = False
    refused: RefusedValueError | None = None
    """Why the rows could not be read; an engine that reads them itself says no more than that."""

    def field_of(self, column: str) -> str:
        """Return the field that is stored in a column, or the column's name if there is none."""
        for name, physical in self.physical.items():
            if physical == column:
                return name
        return column

    def reader(self, types: "Mapping[str, pa.DataType]") -> "pa.RecordBatchReader":
        """Return the staged rows with the table's names and types."""
        import pyarrow as pa

        source, target = self._schemas(types)
        return pa.RecordBatchReader.from_batches(
            target, self._batches(self._staged(), source, target.names)
        )

    def mixed_batches(self, types: "Mapping[str, pa.DataType]") -> MixedBatches:
        """Return the staged rows for an engine that can take them in the bytes they came in."""
        source, target = self._schemas(types)
        return MixedBatches(target, self._mixed(source, target.names))

    def _schemas(self, types: "Mapping[str, pa.DataType]") -> "tuple[pa.Schema, pa.Schema]":
        import pyarrow as pa

        columns = {**self.physical, **{staged_as(name): name for name in self.stamp.about}}
        fields = [*self.schema.names, *map(staged_as, self.stamp.about)]
        source = pa.schema([(name, types[columns[name]]) for name in fields])
        return source, pa.schema([(columns[name], types[columns[name]]) for name in fields])

    def _mixed(
        self, source: "pa.Schema", names: list[str]
    ) -> "Iterator[pa.RecordBatch | EncodedBatch]":
        wanted = {f.name: f.type for f in source}
        for staged in self._staged():
            batches = partial(self._batches, [staged], source, names)
            if isinstance(staged, Encoded) and {f.name: f.type for f in staged.schema} == wanted:
                yield EncodedBatch([self.physical[name] for name in staged.names], staged, batches)
            else:
                yield from batches()

    def _staged(self) -> "Iterator[pa.Table | Encoded]":
        """Yield what is staged, without the rows that are left out."""
        import pyarrow as pa

        if self.stale is None:
            yield from self.staging.batches()
            return
        kept, begin = ~self.stale, 0
        for table in self.staging.tables():
            yield table.filter(pa.array(kept[begin : begin + table.num_rows]))
            begin += table.num_rows

    def _batches(
        self, staged: "Iterable[pa.Table | Encoded]", source: "pa.Schema", names: list[str]
    ) -> "Iterator[pa.RecordBatch]":
        try:
            for one in staged:
                for table in tables_of(one):
                    for batch in conform(table, source).to_batches():
                        yield batch.rename_columns(names) if names else batch
        except RefusedValueError as error:
            self.refused = error
            raise

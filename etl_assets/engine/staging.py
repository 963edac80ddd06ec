"""Where batches wait for their transaction: in memory up to a limit, and beyond it in files.

A file holds Arrow IPC, or rows in the encoding they came in. `staging_folder` says where the files
are and what is swept of them, `casting` which types their rows have.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from etl_assets.engine.casting import Side, conform, fits, merge_schemas, texts_of
from etl_assets.engine.small_tables import SmallTables
from etl_assets.engine.staging_folder import StagingFolder
from etl_assets.exceptions import DestinationError
from etl_assets.faults import fault
from etl_assets.model.encoded import Encoded

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = 0.75
"""The share of the memory for the batches that come first and stay in it.

The rest is for those that wait to be written to a file together.
"""


class Staging:
    """The batches of one load between two commits, with the schema that holds them all.

    Args:
        roots: Where its folder may be. It is made when it is first needed, in the first of these
            that can be written to, and `clear` removes it.
        memory_bytes: How much is kept in memory. What comes after that is written to files.
    """

    def __init__(self, roots: Path | Sequence[Path], memory_bytes: int) -> None:
        self._roots = (roots,) if isinstance(roots, Path) else tuple(roots)
        self._folder: StagingFolder | None = None
        self._memory_bytes = memory_bytes
        self._memory: list[pa.Table | Encoded] = []
        self._files: list[Path | Encoded] = []
        self._small = SmallTables()
        self._behind: list[pa.Table | Encoded] = []
        self._held = 0
        self.schema: pa.Schema | None = None
        self.rows = 0
        self.bytes = 0

    def add(self, table: "pa.Table | Encoded") -> int:
        """Stage a table, or rows that stay encoded, and return their size in bytes.

        Raises:
            SchemaConflictError: A field has no common type with what is staged; the error names it.
            DestinationError: The file cannot be written; names the path.
        """
        self.schema = self._merged(table)
        if not table.num_rows:
            return 0
        size = int(table.nbytes)
        self.rows += table.num_rows
        self.bytes += size
        self._held += size
        if not self._small.take(table):
            self._keep_small()
            if not self._small.take(table):
                self._keep(table)
        if self._small.is_full:
            self._keep_small()
        if self._held > self._memory_bytes:
            self._keep_small()
            self._spill()
        return size

    def _keep_small(self) -> None:
        for table in self._small.joined():
            self._keep(table)

    def _keep(self, batch: "pa.Table | Encoded") -> None:
        comes_first = not self._files and not self._behind
        if comes_first and self._held <= self._memory_bytes * KEPT:
            self._memory.append(batch)
        else:
            self._behind.append(batch)

    def tables(self, schema: "pa.Schema | None" = None) -> "Iterator[pa.Table]":
        """Yield what is staged in the order it came, as it is or cast to a schema.

        A missing field is NULL.
        """
        for batch in self.batches():
            for table in tables_of(batch):
                yield table if schema is None else conform(table, schema)

    def batches(self) -> "Iterator[pa.Table | Encoded]":
        """Yield what is staged in the order and the form it came, small tables joined."""
        import pyarrow as pa

        self._keep_small()
        yield from self._memory
        for stored in self._files:
            if isinstance(stored, Encoded):
                yield stored
                continue
            with pa.memory_map(str(stored)) as source:
                count = pa.ipc.open_file(source).num_record_batches
            for index in range(count):
                # Each batch has a map of its own: what was read counts as memory of this process
                # until it is unmapped.
                with pa.memory_map(str(stored)) as source, pa.ipc.open_file(source) as reader:
                    yield pa.Table.from_batches([reader.get_batch(index)])
        yield from self._behind

    def has_nulls(self, field: str) -> bool:
        """Return whether a record has no value in a field."""
        return any(_lacks(batch, field) for batch in self.batches())

    def reader(self, schema: "pa.Schema") -> "pa.RecordBatchReader":
        """Return what is staged as a stream of one schema."""
        import pyarrow as pa

        batches = (batch for table in self.tables(schema) for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(schema, batches)

    def clear(self) -> None:
        """Drop everything, files too."""
        self._memory, self._files, self._behind, self._held = [], [], [], 0
        self._small.clear()
        self.schema, self.rows, self.bytes = None, 0, 0
        if self._folder is not None:
            folder, self._folder = self._folder, None
            folder.release()
            fault("cleaning")
            folder.remove()

    def close(self) -> None:
        """Drop everything."""
        self.clear()

    def fits(self, field: str, type_: "pa.DataType") -> bool:
        """Return whether all staged values of a field are exact in another type."""
        return all(
            fits(table.column(field), type_)
            for table in self.tables()
            if field in table.column_names
        )

    def has_values(self, field: str) -> bool:
        """Return whether a record has a value in a field."""
        return any(
            table.column(field).null_count < table.num_rows
            for table in self.tables()
            if field in table.column_names
        )

    def holding(self, text: str, field: str | None = None) -> tuple[str, str] | None:
        """Return the first value that contains a text, with its field before it, or None.

        Args:
            text: What is looked for.
            field: Where it is looked for; None for every field.
        """
        import pyarrow.compute as pc

        for table in self.tables():
            for name in table.column_names:
                texts = texts_of(table.column(name)) if field in {None, name} else None
                if texts is None:
                    continue
                found = texts.filter(pc.match_substring(texts, text))
                if len(found):
                    return name, str(found[0].as_py())
        return None

    def _merged(self, table: "pa.Table | Encoded") -> "pa.Schema":
        if self.schema is None or self.schema.equals(table.schema):
            return table.schema
        if not table.num_rows:
            return _with_columns_of(self.schema, table.schema)
        if not self.rows:
            return _with_columns_of(table.schema, self.schema)

        def fit(name: str, side: Side, type_: "pa.DataType") -> bool:
            return self.fits(name, type_) if side == "old" else fits(_decoded(table, name), type_)

        return merge_schemas(self.schema, table.schema, fit)

    def _spill(self) -> None:
        """Write what waits behind the memory to files."""
        try:
            if self._folder is None:
                self._folder = StagingFolder.made_in(self._roots)
            for batches in _file_by_file(self._behind):
                path = self._folder.path / f"{len(self._files):06d}"
                self._files.append(_written(batches, path))
        except OSError as error:
            raise DestinationError(
                f"The staging directory {self._roots[0]} cannot be written: "
                f"{error.strerror or error}.",
                hint="Make room there, or set the destination's staging_dir to a place with more "
                "of it, which need not be empty: only folders that are made there are removed "
                "again.",
            ) from error
        self._held -= sum(int(batch.nbytes) for batch in self._behind)
        self._behind = []


def tables_of(batch: "pa.Table | Encoded") -> "Iterable[pa.Table]":
    """Return what is staged as tables, decoded where it came encoded."""
    return batch.tables() if isinstance(batch, Encoded) else (batch,)


def _file_by_file(
    batches: "Iterable[pa.Table | Encoded]",
) -> "Iterator[list[pa.Table | Encoded]]":
    """Yield what goes into one file: tables of one schema, or rows that came encoded together."""
    together: list[pa.Table | Encoded] = []
    for batch in batches:
        if together and not _share_a_file(together[0], batch):
            yield together
            together = []
        together.append(batch)
    if together:
        yield together


def _share_a_file(first: "pa.Table | Encoded", second: "pa.Table | Encoded") -> bool:
    if isinstance(first, Encoded) or isinstance(second, Encoded):
        return False
    return bool(first.schema.equals(second.schema))


def _written(batches: "Sequence[pa.Table | Encoded]", path: Path) -> "Path | Encoded":
    """Write what goes into one file, and return where it is now."""
    import pyarrow as pa

    first = batches[0]
    if isinstance(first, Encoded):
        return first.moved_to(path)
    path = path.with_suffix(".arrow")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
        for table in batches:
            writer.write_table(table)
    return path


def _lacks(batch: "pa.Table | Encoded", field: str) -> bool:
    if field not in batch.schema.names:
        return True
    if isinstance(batch, Encoded):
        return batch.has_nulls(field)
    return bool(batch.column(field).null_count)


def _with_columns_of(schema: "pa.Schema", empty: "pa.Schema") -> "pa.Schema":
    """Return a schema with the columns that only the schema of an empty batch has.

    Of a column that both have, the type of the rows counts.
    """
    import pyarrow as pa

    return pa.schema([*schema, *(field for field in empty if field.name not in schema.names)])


def _decoded(table: "pa.Table | Encoded", field: str) -> "pa.ChunkedArray":
    return (table.table([field]) if isinstance(table, Encoded) else table).column(field)

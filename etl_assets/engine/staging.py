"""Where batches wait for their transaction: in memory up to a limit, beyond it in files, of Arrow IPC or as they came.

Where they wait, and what is swept of it, is the matter of `staging_folder`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from etl_assets.engine.staging_folder import StagingFolder
from etl_assets.exceptions import DestinationError, SchemaConflictError
from etl_assets.faults import fault
from etl_assets.model.encoded import Encoded
from etl_assets.model.schema.types import is_json, is_nested, is_uuid, merge_types
from etl_assets.model.values.arrays import cast_exactly
from etl_assets.model.values.arrow_values import json_texts
from etl_assets.model.values.scalars import to_text

if TYPE_CHECKING:
    import pyarrow as pa

EXACT_DOUBLE = 2**53
KEPT = 0.75
"""What comes first stays in memory up to this part of what may be there.

The rest waits to be written in one go.
"""
Side = Literal["old", "new"]


class RefusedValueError(Exception):
    """The engine cannot hold a value; whoever knows the stream says so with its name.

    Args:
        column: The physical name, or None if the engine does not tell.
        message: Why.
        value: The value, where it is known.
        character: Which the engine has not, where it tells no more: whoever has the rows finds the
            value by it.
    """

    def __init__(
        self,
        column: str | None,
        message: str,
        value: object = None,
        *,
        character: str | None = None,
    ) -> None:
        self.column = column
        self.message = message
        self.value = value
        self.character = character
        super().__init__(message)


class _UnwritableError(ValueError):
    """A value has no JSON text: JSON has no NaN, Python no year 10000."""

    def __init__(self, value: object, error: Exception) -> None:
        self.value = value
        super().__init__(str(error))


class Staging:
    """The batches of one load between two commits, with the schema that holds them all.

    Args:
        roots: Where a folder is made when it is first needed, and removed with `clear`: in the
            first of these that takes it.
        memory_bytes: Keep so much in memory; what comes behind it is written to files.
    """

    def __init__(self, roots: Path | Sequence[Path], memory_bytes: int) -> None:
        self._roots = (roots,) if isinstance(roots, Path) else tuple(roots)
        self._folder: StagingFolder | None = None
        self._memory_bytes = memory_bytes
        self._memory: list[pa.Table | Encoded] = []
        self._files: list[Path | Encoded] = []
        self._behind: list[pa.Table | Encoded] = []
        self._held = 0
        self.schema: pa.Schema | None = None
        self.rows = 0
        self.bytes = 0

    def add(self, table: "pa.Table | Encoded") -> int:
        """Stage a table, or rows that stay encoded; gives their size in bytes.

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
        if self._held <= self._memory_bytes * KEPT and not self._files and not self._behind:
            self._memory.append(table)
        else:
            self._behind.append(table)
        if self._held > self._memory_bytes:
            self._spill()
        return size

    def tables(self, schema: "pa.Schema | None" = None) -> "Iterator[pa.Table]":
        """Yield what is staged in the order it came, as it is or cast to a schema.

        A missing field is NULL.
        """
        for part in self.parts():
            for table in part.tables() if isinstance(part, Encoded) else (part,):
                yield table if schema is None else conform(table, schema)

    def parts(self) -> "Iterator[pa.Table | Encoded]":
        """Yield what is staged in the order and the form it came."""
        import pyarrow as pa

        yield from self._memory
        for stored in self._files:
            if isinstance(stored, Encoded):
                yield stored
                continue
            with pa.memory_map(str(stored)) as source:
                batches = pa.ipc.open_file(source).num_record_batches
            for index in range(batches):
                # A map of its own for each batch: what was read of it is memory of ours until it is
                # unmapped.
                with pa.memory_map(str(stored)) as source, pa.ipc.open_file(source) as reader:
                    yield pa.Table.from_batches([reader.get_batch(index)])
        yield from self._behind

    def has_nulls(self, field: str) -> bool:
        """Return whether a record has no value in a field."""
        return any(_lacks(part, field) for part in self.parts())

    def reader(self, schema: "pa.Schema") -> "pa.RecordBatchReader":
        """Return what is staged as a stream of one schema."""
        import pyarrow as pa

        batches = (batch for table in self.tables(schema) for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(schema, batches)

    def clear(self) -> None:
        """Drop everything, files too."""
        self._memory, self._files, self._behind, self._held = [], [], [], 0
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
        """Return whether all staged values of a field are exact in another type: integers, decimals, moments."""
        return all(
            _fits(table.column(field), type_)
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
        """Return a field, and its first value that has a text in it; None where there is none.

        Args:
            text: What is looked for.
            field: Where; None for any.
        """
        import pyarrow.compute as pc

        for table in self.tables():
            for name in (
                table.column_names
                if field is None
                else [field]
                if field in table.column_names
                else []
            ):
                texts = _texts_of(table.column(name))
                found = None if texts is None else texts.filter(pc.match_substring(texts, text))
                if found is not None and len(found):
                    return name, str(found[0].as_py())
        return None

    def _merged(self, table: "pa.Table | Encoded") -> "pa.Schema":
        if self.schema is None or self.schema.equals(table.schema):
            return table.schema
        if not self.rows or not table.num_rows:
            return _with_columns_of(
                *((table.schema, self.schema) if table.num_rows else (self.schema, table.schema))
            )
        return merge_schemas(
            self.schema,
            table.schema,
            lambda name, side, type_: (
                self.fits(name, type_) if side == "old" else _fits(_decoded(table, name), type_)
            ),
        )

    def _spill(self) -> None:
        import pyarrow as pa

        try:
            if self._folder is None:
                self._folder = StagingFolder.made_in(self._roots)
            for first, *others in _runs(self._behind):
                path = self._folder.path / f"{len(self._files):06d}"
                if isinstance(first, Encoded):
                    self._files.append(first.moved_to(path))
                    continue
                path = path.with_suffix(".arrow")
                with (
                    pa.OSFile(str(path), "wb") as sink,
                    pa.ipc.new_file(sink, first.schema) as writer,
                ):
                    for table in (first, *others):
                        writer.write_table(table)
                self._files.append(path)
        except OSError as error:
            raise DestinationError(
                f"The staging directory {self._roots[0]} cannot be written: {error.strerror or error}.",
                hint="Make room there, or set the destination's staging_dir to a place with more of it, which need not "
                "be empty: only folders that are made there are removed again.",
            ) from error
        self._held -= sum(int(part.nbytes) for part in self._behind)
        self._behind = []


def _runs(parts: "list[pa.Table | Encoded]") -> "Iterator[list[pa.Table | Encoded]]":
    """Part what is staged into what goes into one file: tables of one schema, or rows that came encoded together."""
    run: list[pa.Table | Encoded] = []
    for part in parts:
        encoded = isinstance(part, Encoded) or (run and isinstance(run[0], Encoded))
        if run and (encoded or not run[0].schema.equals(part.schema)):
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def _lacks(part: "pa.Table | Encoded", field: str) -> bool:
    if field not in part.schema.names:
        return True
    return (
        part.has_nulls(field) if isinstance(part, Encoded) else bool(part.column(field).null_count)
    )


def _with_columns_of(schema: "pa.Schema", empty: "pa.Schema") -> "pa.Schema":
    """Return a schema with the columns of one that no rows have: where both have a column, values tell its type."""
    import pyarrow as pa

    return pa.schema([*schema, *(field for field in empty if field.name not in schema.names)])


def _decoded(table: "pa.Table | Encoded", field: str) -> "pa.ChunkedArray":
    return (table.table([field]) if isinstance(table, Encoded) else table).column(field)


def _fits(column: "pa.ChunkedArray", type_: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_floating(type_):
        return integers_fit(column)
    try:
        cast_exactly(column, type_)
    except pa.ArrowInvalid:
        return False
    return True


def merge_schemas(
    old: "pa.Schema", new: "pa.Schema", fit: "Callable[[str, Side, pa.DataType], bool]"
) -> "pa.Schema":
    """Merge two schemas of data that can be looked at.

    Args:
        old: The first; its fields come first.
        new: The second.
        fit: `fit(field, "old", type_)` tells whether the values of a field in the old data are
            exact in a type: integers as doubles, moments in another unit.
    """
    import pyarrow as pa

    fields = {field.name: field for field in old}
    for field in new:
        known = fields.get(field.name)
        if known is None:
            fields[field.name] = field
        elif known.type != field.type:
            side: Side = "old" if pa.types.is_integer(known.type) else "new"
            try:
                merged = _common_unit(
                    known.type, field.type, partial(fit, field.name)
                ) or merge_types(
                    known.type,
                    field.type,
                    integers_fit=partial(fit, field.name, side, pa.float64()),
                )
            except SchemaConflictError as error:
                raise error.named(field=field.name) from None
            fields[field.name] = known.with_type(merged)
    return pa.schema(list(fields.values()))


def _common_unit(
    old: "pa.DataType", new: "pa.DataType", fit: "Callable[[Side, pa.DataType], bool]"
) -> "pa.DataType | None":
    """Return the type of moments whose unit the others fit, too: nanoseconds end at the year 2262."""
    import pyarrow as pa

    if not (pa.types.is_timestamp(old) and pa.types.is_timestamp(new)) or old.tz != new.tz:
        return None
    if fit("new", old):
        return old
    return new if fit("old", new) else None


def integers_fit(column: "pa.ChunkedArray | pa.Array") -> bool:
    """Return whether all integers of a column are exact as doubles.

    True for one that holds none.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(column.type):
        return True
    bounds = pc.min_max(column)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    return low is None or max(-low, high) <= EXACT_DOUBLE


def conform(table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    """Return a table with exactly the fields and types of a schema that holds it."""
    import pyarrow as pa

    if table.schema.equals(schema):
        return table
    columns = []
    places = {name: place for place, name in enumerate(table.column_names)}
    missing: dict[pa.DataType, pa.Array] = {}
    for field in schema:
        place, type_ = places.get(field.name), field.type
        if place is not None:
            try:
                columns.append(cast(table.column(place), type_))
            except (
                ValueError,
                TypeError,
                OverflowError,
            ) as error:  # of Arrow too: a number is not exact
                value = error.value if isinstance(error, _UnwritableError) else None
                raise RefusedValueError(
                    field.name, f"does not fit {type_}: {error}.", value
                ) from error
            continue
        if type_ not in missing:
            missing[type_] = pa.nulls(table.num_rows, type_)
        columns.append(missing[type_])
    return pa.Table.from_arrays(columns, schema=schema)


def cast(column: "pa.ChunkedArray", type_: "pa.DataType") -> "pa.ChunkedArray | pa.Array":
    """Cast to a merged type: exactly, which Arrow checks.

    To text and JSON in this library's own forms.
    """
    import pyarrow as pa

    if column.type == type_:
        return column
    if is_json(type_):
        if is_json(column.type):
            return column
        texts = json_texts(column, _UnwritableError)
        return pa.ExtensionArray.from_storage(type_, pa.array(texts, pa.utf8()))
    if pa.types.is_string(type_) and not _is_text(column.type):
        if is_uuid(column.type):
            return pa.array(
                [None if value is None else str(value) for value in column.to_pylist()], type_
            )
        if pa.types.is_time64(column.type) and column.type.unit == "ns":
            return column.cast(pa.string())  # Python's time has no nanoseconds
        if (
            is_nested(column.type)
            or pa.types.is_floating(column.type)
            or pa.types.is_temporal(column.type)
        ):
            return pa.array(
                [None if value is None else to_text(value) for value in column.to_pylist()], type_
            )
        return column.cast(pa.string())
    return column.cast(type_)


def _texts_of(column: "pa.ChunkedArray") -> "pa.ChunkedArray | pa.Array | None":
    """Return the texts that are in a column, nested ones as JSON; None where there can be none."""
    import pyarrow as pa

    if is_json(column.type):
        return pa.chunked_array(
            [chunk.storage for chunk in column.chunks], column.type.storage_type
        )
    if is_nested(column.type):
        return cast(column, pa.string())
    return column.cast(pa.string()) if _is_text(column.type) else None


def _is_text(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    return bool(
        t.is_string(type_)
        or t.is_large_string(type_)
        or t.is_string_view(type_)
        or t.is_dictionary(type_)
    )

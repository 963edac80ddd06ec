"""Rows of texts, of CSV and fixed-width files, as tables: what is declared is read exactly."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Union

from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.model.values.arrays import array_of, scalar_of
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.text.cells import as_list, declared_types, typed_column
from etl_assets.sources.files.text.notation import inferred_rewrite, types_by_format
from etl_assets.sources.files.text.typing import converted, parts

if TYPE_CHECKING:
    import pyarrow as pa


Texts = Union[Sequence[str | None], "pa.Array"]
"""The cells of a column."""


class Chunk(Protocol):
    """Some rows of a file."""

    @property
    def names(self) -> Sequence[str]:
        """Those of the columns."""

    @property
    def lines(self) -> Sequence[int]:
        """On which line each row begins."""

    def columns(self, nulls: frozenset[str]) -> Iterator[tuple[str, Texts]]:
        """Yield names and texts, column by column; texts that are in `nulls` are None."""

    def clear(self) -> None:
        """Let go of the texts."""


@dataclass
class RowChunk:
    """Rows that were read one by one.

    Args:
        names: Of the columns.
        rows: As many cells each as there are names: texts, or None for one that is missing.
        lines: On which line each row begins.
    """

    names: Sequence[str]
    rows: list[list[Any]] = field(default_factory=list)
    lines: "array[int]" = field(default_factory=lambda: array("q"))

    def columns(self, nulls: frozenset[str]) -> Iterator[tuple[str, Texts]]:
        """Yield names and texts, column by column."""
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.names)
        for name, texts in zip(self.names, columns, strict=True):
            if nulls:
                yield name, [None if text in nulls else text for text in texts]
            else:
                yield name, texts

    def clear(self) -> None:
        """Let go of the rows; not of their lines."""
        self.rows.clear()


@dataclass
class ColumnChunk:
    """Rows that were read as columns.

    Args:
        names: Of all columns.
        texts: The columns that are read.
        lines: On which line each row begins.
    """

    names: Sequence[str]
    texts: "pa.Table | None"
    lines: Sequence[int]

    def columns(self, nulls: frozenset[str]) -> Iterator[tuple[str, Texts]]:
        """Yield names and texts, column by column; of columns that are not read there are none."""
        if self.texts is None:
            return
        for name, column in zip(self.texts.column_names, self.texts.columns, strict=True):
            texts = column.combine_chunks()
            yield name, _without(nulls, texts) if nulls else texts

    def clear(self) -> None:
        """Let go of the texts."""
        self.texts = None


def _without(nulls: frozenset[str], texts: "pa.Array") -> "pa.Array":
    """Return texts with NULL in the place of some."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_null = pc.is_in(texts, array_of(sorted(nulls), pa.string()))
    return pc.if_else(is_null, scalar_of(None, pa.string()), texts)


Chunks = Callable[[Reading], Iterator[Chunk]]
"""Reads a file from its start."""
Rows = list[dict[str, Any]]
Columns = Mapping[str, "pa.Array | pa.ChunkedArray"]


def text_tables(
    chunks: Chunks, reading: Reading
) -> Iterator[tuple["pa.Table | Rows", Sequence[int]]]:
    """Yield a file as tables, with the lines that their rows begin on.

    As rows, where a column has values of two types.

    Raises:
        DataError: A text is no value of its column's type; names file and line.
    """
    types = {**declared_types(reading), **_by_format(reading)}
    for chunk in chunks(reading):
        table, lines = _table(chunk, types, reading), chunk.lines
        # before the next ones are read: the texts take several times what the table does
        chunk.clear()
        yield table, lines


def properties_of(names: Sequence[str], reading: Reading) -> dict[str, Any]:
    """Return what is known of columns by their names alone, as properties of a JSON Schema."""
    import pyarrow as pa

    infer = reading.options.types == "infer"
    dated = types_by_format(reading.options)
    known = from_arrow(pa.schema(list(dated.items())))["properties"]
    other = {"x-arrow": "values"} if infer else {"type": ["null", "string"]}
    return {name: known.get(name, other) for name in names}


def text_columns(
    chunks: Chunks, reading: Reading, wanted: Callable[[str], bool]
) -> Iterator[tuple[Columns, Columns, Sequence[int]]]:
    """Yield the columns of a file whose types are to be inferred: in plain forms, and as written.

    With them come the lines that their rows begin on.

    Args:
        chunks: Reads the file.
        reading: The file.
        wanted: Tells whether a column is still to be looked at; the file ends where none is.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    declared = (reading.stream.schema or {}).get("properties") or {}
    # What the catalog says to be text, stays text.
    said = {name for name, prop in declared.items() if prop.get("x-arrow") != "values"} | {
        *_by_format(reading)
    }
    for chunk in chunks(reading):
        names = {
            name
            for name in chunk.names
            if name not in said and reading.reads(name) and wanted(name)
        }
        if not names:
            return
        columns = dict(chunk.columns(frozenset(reading.options.null_values)))
        written = {name: as_array(texts) for name, texts in columns.items() if name in names}
        yield (
            {name: _plain(columns[name], one, reading, name) for name, one in written.items()},
            written,
            chunk.lines,
        )


def _table(chunk: Chunk, types: dict[str, "pa.DataType"], reading: Reading) -> "pa.Table | Rows":
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, texts in chunk.columns(frozenset(reading.options.null_values)):
        if not reading.reads(name):
            continue
        if name not in types:
            columns[name] = _inferred(texts, chunk.lines, reading, name)
            continue

        def refuse(row: int, text: str, reason: str, name: str = name) -> None:
            told = reading.error(f"{reason}.", chunk.lines[row], field=name, value=text)
            reading.refusals.add(row, told, text)

        columns[name] = typed_column(texts, types[name], reading, name, refuse)
    if not any(isinstance(column, list) for column in columns.values()):
        return pa.table(columns)
    lists = [
        column if isinstance(column, list) else column.to_pylist() for column in columns.values()
    ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _inferred(
    texts: Texts, lines: Sequence[int], reading: Reading, name: str
) -> "pa.Array | pa.ChunkedArray | list[Any]":
    """Return a column of the inferred type.

    A list of values if some do not fit a type that may not change.
    """
    import pyarrow as pa

    written = as_array(texts)
    type_ = reading.inferred.types.get(name)
    if type_ is None or pa.types.is_string(type_):
        return written
    plain = _plain(texts, written, reading, name)
    if name in reading.inferred.held:
        found = parts(plain, type_, signs_zeros=reading.inferred.signs_zeros)
        if not all(fit for fit, _ in found):
            values: list[Any] = []
            for fit, part in found:
                values += (part if fit else written.slice(len(values), len(part))).to_pylist()
            return values
    try:
        return converted(plain, type_, signs_zeros=reading.inferred.signs_zeros)
    except pa.ArrowInvalid as error:  # the file was another one when it was looked at
        message = f"does not fit {type_}, which was inferred: {error}."
        raise reading.error(message, lines[0], field=name, value=str(as_list(texts)[0])) from error


def _plain(
    texts: Texts, written: "pa.Array | pa.ChunkedArray", reading: Reading, name: str
) -> "pa.Array | pa.ChunkedArray":
    """Return texts in the forms that types are inferred from; as written if no option says more."""
    rewrite = inferred_rewrite(reading.options, name)
    return written if rewrite is None else as_array(rewrite(as_list(texts)))


def as_array(texts: Texts) -> "pa.Array | pa.ChunkedArray":
    """Return the texts of a column as an array."""
    import pyarrow as pa

    return texts if isinstance(texts, pa.Array) else array_of(texts, pa.string())


def _by_format(reading: Reading) -> dict[str, "pa.DataType"]:
    """Return the types of fields that have a date format and are not declared as another type."""
    declared = declared_types(reading)
    return {
        name: type_
        for name, type_ in types_by_format(reading.options).items()
        if name not in declared
    }

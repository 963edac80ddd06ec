"""Rows of texts, of CSV and fixed-width files, as tables: text stays text, what is declared is read exactly."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etl_assets.protocol.schema import from_arrow
from etl_assets.sources.file_cells import CellError, declared_types, joined_kind, type_of_kind, typed_column
from etl_assets.sources.file_notation import inferred_texts, types_by_format
from etl_assets.sources.file_options import Reading

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Chunk:
    """Some rows of a file.

    Args:
        names: Of the columns.
        rows: As many cells each as there are names: texts, or None for one that is missing.
        lines: On which line each row begins.
    """

    names: Sequence[str]
    rows: list[list[Any]] = field(default_factory=list)
    lines: "array[int]" = field(default_factory=lambda: array("q"))

    def columns(self, nulls: frozenset[str]) -> Iterator[tuple[str, Sequence[str | None]]]:
        """Give names and texts, column by column."""
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.names)
        for name, texts in zip(self.names, columns, strict=True):
            yield name, [None if text in nulls else text for text in texts] if nulls else texts


Chunks = Callable[[Reading], Iterator[Chunk]]
"""Reads a file from its start."""


def text_tables(chunks: Chunks, reading: Reading) -> Iterator[tuple["pa.Table", Sequence[int]]]:
    """Give a file as tables, with the lines that their rows begin on.

    Raises:
        DataError: A text is no value of its column's type; names file and line.
    """
    types = {**declared_types(reading), **_by_format(reading)}
    if reading.options.types == "infer":
        types = {**_inferred(chunks, reading), **types}
    for chunk in chunks(reading):
        table, lines = _table(chunk, types, reading), chunk.lines
        chunk.rows.clear()  # before the next ones are read: the texts take several times what the table does
        yield table, lines


def properties_of(names: Sequence[str], reading: Reading) -> dict[str, Any]:
    """Give what is known of columns by their names alone, as properties of a JSON Schema."""
    import pyarrow as pa

    infer = reading.options.types == "infer"
    dated = types_by_format(reading.options)
    known = from_arrow(pa.schema(list(dated.items())))["properties"]
    other = {"x-arrow": "values"} if infer else {"type": ["null", "string"]}
    return {name: known.get(name, other) for name in names}


def _table(chunk: Chunk, types: dict[str, "pa.DataType"], reading: Reading) -> "pa.Table":
    import pyarrow as pa

    arrays, names = [], []
    for name, texts in chunk.columns(frozenset(reading.options.null_values)):
        if not reading.reads(name):
            continue
        names.append(name)
        type_ = types.get(name)
        if type_ is None:
            arrays.append(pa.array(texts, pa.string()))
            continue
        try:
            arrays.append(typed_column(texts, type_, reading, name))
        except CellError as error:
            line = chunk.lines[error.row]
            raise reading.error(f"{error.reason}.", line, field=name, value=error.text) from error
    return pa.table(arrays, names=names)


def _by_format(reading: Reading) -> dict[str, "pa.DataType"]:
    """Give the types of the fields that have a date format, unless they are declared to be something else than text."""
    declared = declared_types(reading)
    return {name: type_ for name, type_ in types_by_format(reading.options).items() if name not in declared}


def _inferred(chunks: Chunks, reading: Reading) -> dict[str, "pa.DataType"]:
    """Read the whole file for the types of its columns: a few rows would not tell."""
    declared = (reading.stream.schema or {}).get("properties") or {}
    kinds: dict[str, str | None] = {}
    for chunk in chunks(reading):
        for name, texts in chunk.columns(frozenset(reading.options.null_values)):
            kinds[name] = joined_kind(kinds.get(name), inferred_texts(reading.options, texts, name))
    types = {name: type_of_kind(kind) for name, kind in kinds.items()}
    # What the catalog says to be text, stays text.
    said = {name for name, prop in declared.items() if prop.get("x-arrow") != "values"}
    return {name: type_ for name, type_ in types.items() if type_ is not None and name not in said}

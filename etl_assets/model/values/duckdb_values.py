"""DuckDB's values on their way to Arrow: types that its Arrow would change are cast to texts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS
from etl_assets.model.values.arrays import decimals_of_texts

if TYPE_CHECKING:
    import pyarrow as pa

ARROW_TYPES = {
    "boolean": "bool",
    "tinyint": "int8",
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "utinyint": "uint8",
    "usmallint": "uint16",
    "uinteger": "uint32",
    "ubigint": "uint64",
    "float": "float",
    "double": "double",
    "date": "date32",
    "time": "time64[us]",
    "time_ns": "time64[ns]",
    "timestamp": "timestamp[us]",
    "timestamp_s": "timestamp[s]",
    "timestamp_ms": "timestamp[ms]",
    "timestamp_ns": "timestamp[ns]",
    "varchar": "string",
    "enum": "string",
    "uuid": "string",
    "blob": "binary",
}
"""The types whose values Arrow has, by DuckDB's names."""

WHOLE = {"hugeint", "uhugeint", "bignum"}
"""Whole numbers of more digits than Arrow's decimals have, which come out as other numbers."""

NESTED = {"list", "array", "struct", "map", "union"}
_ALSO_READABLE = {"decimal", "timestamp with time zone", '"null"', "null", "sqlnull"}
"""Types without one name in Arrow, whose values Arrow has all the same."""


def is_relation(records: Any) -> bool:
    """Return whether it is a relation of DuckDB's; DuckDB is not imported to find out."""
    return type(records).__name__ == "DuckDBPyRelation"


def table_of_relation(relation: Any) -> "pa.Table":
    """Return the rows of a relation, with texts in place of values that Arrow would change.

    Whole numbers of any length become decimals where they fit. An interval stays one: the same
    becomes of it as of any other in Arrow.
    """
    import pyarrow as pa

    names, types = relation.columns, relation.types
    casts = [None if str(one.id) == "interval" else readable(one) for one in types]
    if not any(casts):
        return pa.table(relation)
    shown = ", ".join(_shown(name, cast) for name, cast in zip(names, casts, strict=True))
    table = pa.table(relation.project(shown))
    for at, (name, type_) in enumerate(zip(names, types, strict=True)):
        if str(type_.id) in WHOLE:
            table = table.set_column(at, name, _whole(table.column(at)))
    return table


def _shown(name: str, cast: str | None) -> str:
    quoted = _quoted(name)
    return quoted if cast is None else f"CAST({quoted} AS {cast}) AS {quoted}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _whole(texts: "pa.ChunkedArray") -> "pa.Array | pa.ChunkedArray":
    import pyarrow as pa

    try:
        return decimals_of_texts(texts, pa.decimal128(MAX_DECIMAL_DIGITS, 0))
    except pa.ArrowInvalid:
        return texts  # one has more digits


def readable(declared: Any) -> str | None:
    """Return the type to cast to before Arrow has the values, or None if they can stay."""
    name = str(declared.id)
    if name == "struct" and not all(of for of, _ in declared.children):
        return "VARCHAR"  # what Arrow could not tell apart
    if name in NESTED:
        types = [(of, child) for of, child in declared.children if hasattr(child, "id")]
        inner = [(of, child, readable(child)) for of, child in types]
        if all(cast is None for _, _, cast in inner):
            return None
        return _renewed(declared, name, inner)
    is_known = name in ARROW_TYPES or name in _ALSO_READABLE
    return None if is_known else "VARCHAR"


def _renewed(declared: Any, name: str, inner: Sequence[tuple[str, Any, str | None]]) -> str:
    types = [cast or str(child) for _, child, cast in inner]
    if name == "list":
        return f"{types[0]}[]"
    if name == "array":
        return f"{types[0]}[{dict(declared.children)['size']}]"
    if name == "map":
        return f"MAP({types[0]}, {types[1]})"
    named = [(of, type_) for (of, _, _), type_ in zip(inner, types, strict=True)]
    word = "STRUCT"
    if name == "union":
        word = "UNION"
        # Its first child has no name: it is the number of the one that a value is of.
        named = [(of, type_) for of, type_ in named if of]
    quoted = ", ".join(f"{_quoted(of)} {type_}" for of, type_ in named)
    return f"{word}({quoted})"

"""Columns that the folders of a file tell, as Hive and Spark write them: `day=2026-01-01/`."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from etl_assets.exceptions import ConfigError
from etl_assets.model.schema.json_schema import property_type
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.text.cells import typed_column

if TYPE_CHECKING:
    import pyarrow as pa

NULL = "__HIVE_DEFAULT_PARTITION__"
"""The folder of rows whose value is NULL."""

_FOLDER = re.compile(r"(?P<name>[^=/]+)=(?P<value>[^/]*)/")


def partitions_of(reading: Reading) -> dict[str, str | None]:
    """Return the names and texts that a file's folders tell, if they are asked for.

    Raises:
        DataError: A name comes twice, is missing, or is not of UTF-8.
    """
    asked = reading.options.hive_partitions
    if asked is False:
        return {}
    found: dict[str, str | None] = {}
    for folder in _FOLDER.finditer(reading.folders):
        try:
            name, value = (unquote(folder[word], errors="strict") for word in ("name", "value"))
        except UnicodeDecodeError as error:
            raise reading.error(
                f"its folder {folder[0]!r} is no text of UTF-8.", hint=_OUT
            ) from error
        if name in found:
            raise reading.error(f"two of its folders tell {name!r}.", hint=_OUT)
        found[name] = None if value == NULL else value
    wanted = asked if isinstance(asked, Mapping) else {}
    missing = next((name for name in wanted if name not in found), None)
    if missing is not None:
        raise reading.error(
            f"none of its folders tells {missing!r}.",
            hint=f"Folders are called {missing}=..., below or in the path.",
        )
    return found


_OUT = "hive_partitions=False leaves the folders' names alone."


def partition_types(reading: Reading) -> dict[str, "pa.DataType"]:
    """Return the types of the columns that the folders tell: text, if nothing else is declared."""
    import pyarrow as pa

    asked = reading.options.hive_partitions
    said: Mapping[str, Any] = asked if isinstance(asked, Mapping) else {}
    declared: Mapping[str, Any] = (reading.stream.schema or {}).get("properties") or {}
    types: dict[str, pa.DataType] = {}
    for name in partitions_of(reading):
        own: Mapping[str, Any] = declared.get(name) or {}
        if name in said:
            own = as_property(said[name])
        plain = not own or own.get("x-arrow") == "values"
        types[name] = pa.string() if plain else property_type(own, reading.stream.schema, name)
    return types


def as_property(said: Any) -> dict[str, Any]:
    """Return a type that was said for a column as a property of a JSON Schema.

    Raises:
        ConfigError: It is neither a property nor one of the types.
    """
    if isinstance(said, Mapping):
        return dict(said)
    if said in _FORMATS:
        return {"type": ["null", "string"], "format": said}
    if said in _TYPES:
        return {"type": ["null", said]}
    raise ConfigError(
        f"hive_partitions: there is no type {said!r}.",
        hint=f"Use one of {', '.join((*_TYPES, *_FORMATS))}.",
    )


_TYPES = ("string", "integer", "number", "boolean")
_FORMATS = ("date", "date-time", "time")


def with_partitions(table: "pa.Table", reading: Reading) -> "pa.Table":
    """Add the columns that a file's folders tell.

    Raises:
        DataError: A text is no value of its column's type; or the file has a column of this name
            with other values.
    """
    import pyarrow as pa

    texts = partitions_of(reading)
    for name, type_ in partition_types(reading).items() if texts else ():
        if not reading.reads(name):
            continue
        if name in table.column_names:
            _compare(table.column(name), texts[name], reading, name)
            continue
        # It has its own type: a moment without a zone is none of the zone that its column was
        # declared with.
        column = _column(texts[name], type_, reading, name, len(table))
        table = table.append_column(name, column.take(pa.repeat(pa.scalar(0), len(table))))
    return table


def _column(text: str | None, type_: "pa.DataType", reading: Reading, name: str, rows: int) -> Any:
    """Return what a folder says, once for all rows; a wrong value is refused in each of them."""

    def refuse(_: int, __: str, reason: str) -> None:
        error = reading.error(f"its folder: {reason}.", field=name, value=text)
        for row in range(rows):
            reading.refusals.add(row, error, text)

    return typed_column([text], type_, reading, name, refuse)


def _compare(column: Any, text: str | None, reading: Reading, name: str) -> None:
    """Hold a column of the file against what its folder tells.

    Another value is an error if the folders were asked for; else the file's own stays.
    """
    import pyarrow as pa
    from pyarrow import compute

    try:
        wanted = pa.scalar(text, pa.string()).cast(column.type)
        differs = compute.invert(compute.fill_null(compute.equal(column, wanted), fill_value=False))
        if text is None:
            differs = compute.is_valid(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        differs = pa.chunked_array([pa.array([True] * len(column), pa.bool_())])
    place = differs.index(pa.scalar(value=True)).as_py()
    if place < 0:
        return
    if reading.options.hive_partitions is None:
        reading.remark(
            f"partition {name}",
            f"{reading.file!r} has a column {name!r} with other values than its folder tells: the "
            "file's are loaded",
        )
        return
    raise reading.error(
        f"its folder tells {text!r}, and a row has another value.",
        field=name,
        value=column[place].as_py(),
        hint="Leave hive_partitions out to load the file's own column.",
    )

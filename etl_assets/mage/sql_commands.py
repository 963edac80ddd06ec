"""The SQL that Mage's destinations send, under the names they import: the same statements, hence the same tables."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from etl_assets.destinations.constants import (
    COLUMN_FORMAT_DATETIME,
    COLUMN_TYPE_ARRAY,
    COLUMN_TYPE_BOOLEAN,
    COLUMN_TYPE_INTEGER,
    COLUMN_TYPE_NULL,
    COLUMN_TYPE_NUMBER,
    COLUMN_TYPE_OBJECT,
    COLUMN_TYPE_STRING,
    INTERNAL_COLUMN_CREATED_AT,
    INTERNAL_COLUMN_UPDATED_AT,
)
from etl_assets.mage.reserved_words import SQL_RESERVED_WORDS_SUBSET

MAX_NAME = 64
"""Characters of a constraint's name."""

ColumnTypes = Mapping[str, Mapping[str, Any]]


def clean_name(column_name: str, lower_case: bool = True) -> str:  # noqa: FBT001, FBT002 - Mage's signature
    """Return a name in which everything but letters, digits and `_` is `_`."""
    return re.sub(r"\W", "_", column_name.lower() if lower_case else column_name)


def clean_column_name(
    col: str,
    lower_case: bool = True,  # noqa: FBT001, FBT002 - Mage's signature
    allow_reserved_words: bool = False,  # noqa: FBT001, FBT002 - as above
) -> str:
    """Return a column's name in a table: clean, and with `_` before it where it is a reserved word."""
    name = clean_name(col, lower_case)
    return (
        f"_{name}"
        if not allow_reserved_words and name.upper() in SQL_RESERVED_WORDS_SUBSET
        else name
    )


def flatten_record(d: Mapping[str, Any], parent_key: str = "", sep: str = "__") -> dict[str, Any]:
    """Return a record without dicts in it: their keys are joined; a list becomes its text."""
    flat: dict[str, Any] = {}
    for key, value in d.items():
        name = f"{parent_key}{sep}{key}" if parent_key else key
        if isinstance(value, Mapping):
            flat.update(flatten_record(value, name, sep))
        else:
            flat[name] = str(value) if type(value) is list else value
    return flat


def update_record_with_internal_columns(record: dict[str, Any]) -> dict[str, Any]:
    """Put the time, UTC, into Mage's two columns of a record."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    record[INTERNAL_COLUMN_CREATED_AT] = record[INTERNAL_COLUMN_UPDATED_AT] = now
    return record


def update_destination_state_bookmarks(
    absolute_path_to_destination_state: str,
    stream: str,
    bookmark_values: Mapping[str, Any] | None = None,
) -> None:
    """Write a state file that holds the bookmark of one stream."""
    document = {"bookmarks": {stream: dict(bookmark_values or {})}}
    Path(absolute_path_to_destination_state).write_text(json.dumps(document), encoding="utf-8")


# Types


def convert_column_type(
    column_type: str,
    column_settings: Mapping[str, Any],
    number_type: str = "DOUBLE PRECISION",
    string_type: str = "VARCHAR",
) -> str | None:
    """Return the SQL type of a JSON type; None for one that has none."""
    plain = {
        COLUMN_TYPE_BOOLEAN: "BOOLEAN",
        COLUMN_TYPE_INTEGER: "BIGINT",
        COLUMN_TYPE_NUMBER: number_type,
        COLUMN_TYPE_OBJECT: "TEXT",
    }
    if column_type != COLUMN_TYPE_STRING:
        return plain.get(column_type)
    if string_type != "VARCHAR":
        return string_type
    return (
        "VARCHAR(52)" if column_settings.get("format") == COLUMN_FORMAT_DATETIME else "VARCHAR(255)"
    )


def column_type_mapping(
    schema: Mapping[str, Any],
    convert_column_type_func: Callable[..., str | None],
    convert_array_column_type_func: Callable[[str | None], str],
    number_type: str = "DOUBLE PRECISION",
    string_type: str = "VARCHAR",
    array_default_item_type: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Return for each column of a schema its JSON type and its SQL type, as Mage's destinations read them.

    Args:
        schema: JSON Schema with `properties`.
        convert_column_type_func: Gives the SQL type of a JSON type.
        convert_array_column_type_func: Gives the SQL type of an array of an SQL type.
        number_type: The SQL type of numbers.
        string_type: The SQL type of texts.
        array_default_item_type: The JSON type of items about which nothing is said.
    """
    words = {"number_type": number_type, "string_type": string_type}
    otherwise = "VARCHAR(255)" if string_type == "VARCHAR" else string_type
    mapping: dict[str, dict[str, Any]] = {}
    for column, given in schema["properties"].items():
        choices = given.get("anyOf") or ()
        settings = given
        formats = [choice["format"] for choice in choices if "format" in choice]
        if formats and "format" not in settings:
            settings = {**given, "format": formats[0]}
        types = [
            one for part in (given, *choices) for one in _types(part) if one != COLUMN_TYPE_NULL
        ]
        column_type = types[0] if types else COLUMN_TYPE_STRING
        if column_type == COLUMN_TYPE_ARRAY and len(types) > 1:
            column_type = types[1]
        item_type = item_converted = None
        if column_type == COLUMN_TYPE_ARRAY:
            item_type = next(iter(_item_types(given, choices)), array_default_item_type)
            item_converted = (
                convert_column_type_func(item_type, settings, **words) if item_type else None
            )
        if item_type:
            converted: str | None = convert_array_column_type_func(item_converted)
        else:
            converted = convert_column_type_func(column_type, settings, **words)
        mapping[column] = {
            "column_settings": settings,
            "item_type": item_type,
            "item_type_converted": item_converted
            or (otherwise if column_type == COLUMN_TYPE_ARRAY else None),
            "type": column_type,
            "type_converted": converted or otherwise,
        }
    return mapping


def _types(prop: Mapping[str, Any]) -> list[str]:
    said = prop.get("type") or ()
    return [said] if isinstance(said, str) else list(said)


def _item_types(prop: Mapping[str, Any], choices: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the JSON types of an array's items: of its choices, of itself, of arrays in it."""
    offered = [item for choice in choices for item in _many(choice.get("items"))]
    own = prop.get("items") or {}
    inner = own.get("items") or {} if isinstance(own, Mapping) else {}
    found = [one for item in offered for one in _types(item)]
    found += [one for item in _many(own) for one in _types(item) if one != COLUMN_TYPE_ARRAY]
    found += [one for item in _many(inner) for one in _types(item)]
    return [one for one in found if one != COLUMN_TYPE_NULL]


def _many(items: Any) -> list[Mapping[str, Any]]:
    return (
        [items]
        if isinstance(items, Mapping) and items
        else list(items or ())
        if isinstance(items, list)
        else []
    )


# Statements


def build_create_table_command(  # noqa: PLR0913, PLR0917 - Mage's signature
    column_type_mapping: ColumnTypes,
    columns: Iterable[str],
    full_table_name: str,
    location: str | None = None,
    unique_constraints: Sequence[str] | None = None,
    create_temporary_table: bool = False,  # noqa: FBT001, FBT002 - as above
    column_identifier: str = "",
    if_not_exists: bool = False,  # noqa: FBT001, FBT002 - as above
    key_properties: Sequence[str] | None = None,
    use_lowercase: bool = True,  # noqa: FBT001, FBT002 - as above
    allow_reserved_words: bool = False,  # noqa: FBT001, FBT002 - as above
) -> str:
    """Return the statement that makes a table."""
    mark = column_identifier

    def spelled(name: str) -> str:
        return f"{mark}{clean_column_name(name, use_lowercase, allow_reserved_words)}{mark}"

    parts = [f"{spelled(name)} {column_type_mapping[name]['type_converted']}" for name in columns]
    if unique_constraints:
        names = [
            clean_column_name(name, use_lowercase, allow_reserved_words)
            for name in unique_constraints
        ]
        table = clean_column_name(full_table_name, use_lowercase, allow_reserved_words)
        constraint = f"unique{'_'.join([table, *names])}"[:MAX_NAME]
        parts.append(
            f"CONSTRAINT {constraint} UNIQUE ({', '.join(spelled(name) for name in unique_constraints)})"
        )
    if key_properties:
        parts.append(f"PRIMARY KEY ({', '.join(spelled(name) for name in key_properties)})")
    kind = "TEMP TABLE" if create_temporary_table else "TABLE"
    unless = " IF NOT EXISTS" if if_not_exists else ""
    place = "" if location is None else f"WITH (location = '{location}')"
    return f"CREATE {kind}{unless} {full_table_name} ({', '.join(parts)}){place}"


def build_alter_table_command(
    column_type_mapping: ColumnTypes,
    columns: Sequence[str],
    full_table_name: str,
    column_identifier: str = "",
    use_lowercase: bool = True,  # noqa: FBT001, FBT002 - as above
    allow_reserved_words: bool = False,  # noqa: FBT001, FBT002 - as above
) -> str | None:
    """Return the statement that adds columns to a table; None without any."""
    if not columns:
        return None
    names = build_insert_columns(columns, column_identifier, use_lowercase, allow_reserved_words)
    types = [column_type_mapping[name]["type_converted"] for name in columns]
    added = (f"ADD COLUMN {name} {type_}" for name, type_ in zip(names, types, strict=True))
    return f"ALTER TABLE {full_table_name} {', '.join(added)}"


def build_insert_columns(
    columns: Iterable[str],
    column_identifier: str = "",
    use_lowercase: bool = True,  # noqa: FBT001, FBT002 - Mage's signature
    allow_reserved_words: bool = False,  # noqa: FBT001, FBT002 - as above
) -> list[str]:
    """Return columns as an INSERT names them."""
    mark = column_identifier
    return [
        f"{mark}{clean_column_name(name, use_lowercase, allow_reserved_words)}{mark}"
        for name in columns
    ]


def convert_column_to_type(value: Any, column_type: str) -> str:
    """Return a text, whose quotes are doubled already, as a literal of a type."""
    return f"CAST('{value}' AS {column_type})"


def build_insert_command(  # noqa: PLR0913, PLR0917 - Mage's signature
    column_type_mapping: ColumnTypes,
    columns: Iterable[str],
    records: Iterable[Mapping[str, Any]],
    convert_array_func: Callable[..., str] | None = None,
    convert_column_to_type_func: Callable[..., str] = convert_column_to_type,
    convert_datetime_func: Callable[..., str] | None = None,
    string_parse_func: Callable[..., str] | None = None,
    stringify_values: bool = True,  # noqa: FBT001, FBT002 - as above
    convert_column_types: bool = True,  # noqa: FBT001, FBT002 - as above
    column_identifier: str = "",
    use_lowercase: bool = True,  # noqa: FBT001, FBT002 - as above
    allow_reserved_words: bool = False,  # noqa: FBT001, FBT002 - as above
) -> list[Any]:
    """Return the columns of an INSERT, and for each record its literals: `(a, b)`, or a list of them."""
    names = list(columns)
    escapes = cache(partial(_escapes, convert_column_to_type_func))

    def literal(value: Any, column: Mapping[str, Any]) -> Any:
        if value is None:
            return "NULL"
        if column["type"] == COLUMN_TYPE_ARRAY:
            items = _items(value)
            return convert_array_func(items, column) if convert_array_func else _array(items)
        if (
            convert_datetime_func
            and column["column_settings"].get("format") == COLUMN_FORMAT_DATETIME
        ):
            return convert_datetime_func(value, column)
        text = json.dumps(value) if isinstance(value, dict | list) else str(value)
        if string_parse_func and column["type"] == COLUMN_TYPE_OBJECT:
            text = string_parse_func(text, column)  # which doubles the quotes itself
        elif (
            isinstance(value, dict | list)
            and not string_parse_func
            and escapes(column["type_converted"])
        ):
            pass  # Mage gives such a function JSON as it is
        else:
            text = text.replace("'", "''")
            text = string_parse_func(text, column) if string_parse_func else text
        return (
            convert_column_to_type_func(text, column["type_converted"])
            if convert_column_types
            else text
        )

    rows: list[Any] = []
    for record in records:
        literals = [literal(record.get(name), column_type_mapping[name]) for name in names]
        rows.append(f"({', '.join(literals)})" if stringify_values else literals)
    return [
        build_insert_columns(names, column_identifier, use_lowercase, allow_reserved_words),
        rows,
    ]


def _escapes(convert: Callable[..., str], column_type: str) -> bool:
    """Return whether a function that makes literals escapes quotes itself: tried with a JSON text that has one."""
    try:
        return str(convert('"\'"', column_type)) != str(convert('"#"', column_type)).replace(
            "#", "'"
        )
    except (
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ):  # it reads the text: it is no plain frame around it
        return True


def _items(value: Any) -> list[Any]:
    """Return an array's items, which may come as the text of a JSON array.

    Any other value is an only item.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return [value]
    return list(value) if isinstance(value, list | tuple) else [value]


def _array(items: Sequence[Any]) -> str:
    texts = [str(item).replace("'", "''") for item in items]
    return f"'{{{', '.join(texts)}}}'"

"""The SQL that Mage's destinations send, under the names they import.

The statements are the same, and so are the tables.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
"""The longest name of a constraint, in characters."""

ColumnTypes = Mapping[str, Mapping[str, Any]]


def clean_name(
    column_name: str,
    lower_case: bool = True,  # noqa: FBT001, FBT002 - Mage's signature
) -> str:
    """Return a name in which every character but letters, digits and `_` is replaced by `_`."""
    if lower_case:
        column_name = column_name.lower()
    return re.sub(r"\W", "_", column_name)


def clean_column_name(
    col: str,
    lower_case: bool = True,  # noqa: FBT001, FBT002 - Mage's signature
    allow_reserved_words: bool = False,  # noqa: FBT001, FBT002 - as above
) -> str:
    """Return a column's name in a table: a clean one, with `_` before it if it is reserved."""
    name = clean_name(col, lower_case)
    is_reserved = name.upper() in SQL_RESERVED_WORDS_SUBSET
    if is_reserved and not allow_reserved_words:
        return f"_{name}"
    return name


def flatten_record(d: Mapping[str, Any], parent_key: str = "", sep: str = "__") -> dict[str, Any]:
    """Return a record without nested dicts: their keys are joined, and a list becomes text."""
    flat: dict[str, Any] = {}
    for key, value in d.items():
        name = f"{parent_key}{sep}{key}" if parent_key else key
        if isinstance(value, Mapping):
            flat.update(flatten_record(value, name, sep))
        elif type(value) is list:
            flat[name] = str(value)
        else:
            flat[name] = value
    return flat


def update_record_with_internal_columns(record: dict[str, Any]) -> dict[str, Any]:
    """Set the two internal columns of Mage to the time now, in UTC."""
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
    """Return the SQL type of a JSON type, or None if it has none."""
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
    is_time = column_settings.get("format") == COLUMN_FORMAT_DATETIME
    return "VARCHAR(52)" if is_time else "VARCHAR(255)"


def column_type_mapping(
    schema: Mapping[str, Any],
    convert_column_type_func: Callable[..., str | None],
    convert_array_column_type_func: Callable[[str | None], str],
    number_type: str = "DOUBLE PRECISION",
    string_type: str = "VARCHAR",
    array_default_item_type: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the JSON type and the SQL type of each column, as Mage's destinations read them.

    Args:
        schema: The JSON Schema, with `properties`.
        convert_column_type_func: Returns the SQL type of a JSON type.
        convert_array_column_type_func: Returns the SQL type of an array of an SQL type.
        number_type: The SQL type of numbers.
        string_type: The SQL type of texts.
        array_default_item_type: The JSON type of items whose type is not declared.
    """
    options = {"number_type": number_type, "string_type": string_type}
    otherwise = "VARCHAR(255)" if string_type == "VARCHAR" else string_type
    mapping: dict[str, dict[str, Any]] = {}
    for column, given in schema["properties"].items():
        choices = given.get("anyOf") or ()
        settings = _with_format(given, choices)
        column_type = _column_type(given, choices)
        is_array = column_type == COLUMN_TYPE_ARRAY
        item_type = item_converted = None
        if is_array:
            item_type = next(iter(_item_types(given, choices)), array_default_item_type)
        if item_type:
            item_converted = convert_column_type_func(item_type, settings, **options)
            converted: str | None = convert_array_column_type_func(item_converted)
        else:
            converted = convert_column_type_func(column_type, settings, **options)
        if is_array and not item_converted:
            item_converted = otherwise
        mapping[column] = {
            "column_settings": settings,
            "item_type": item_type,
            "item_type_converted": item_converted,
            "type": column_type,
            "type_converted": converted or otherwise,
        }
    return mapping


def _with_format(
    prop: Mapping[str, Any], choices: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return a property with the format that it has, or the first one of its choices."""
    formats = [choice["format"] for choice in choices if "format" in choice]
    if formats and "format" not in prop:
        return {**prop, "format": formats[0]}
    return prop


def _column_type(prop: Mapping[str, Any], choices: Iterable[Mapping[str, Any]]) -> str:
    """Return the first JSON type of a property, which is an array only if it has no other."""
    types = [one for part in (prop, *choices) for one in _types(part) if one != COLUMN_TYPE_NULL]
    if not types:
        return COLUMN_TYPE_STRING
    if types[0] == COLUMN_TYPE_ARRAY and len(types) > 1:
        return types[1]
    return types[0]


def _types(prop: Mapping[str, Any]) -> list[str]:
    types = prop.get("type") or ()
    return [types] if isinstance(types, str) else list(types)


def _item_types(prop: Mapping[str, Any], choices: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the JSON types of an array's items: of its choices, of itself, of arrays in it."""
    own = prop.get("items") or {}
    inner = own.get("items") if isinstance(own, Mapping) else None
    found: list[str] = []
    for choice in choices:
        found += _types_of_items(choice.get("items"))
    found += [one for one in _types_of_items(own) if one != COLUMN_TYPE_ARRAY]
    found += _types_of_items(inner)
    return [one for one in found if one != COLUMN_TYPE_NULL]


def _types_of_items(items: Any) -> list[str]:
    """Return the types that `items` of a JSON Schema allows: one schema, or a list of them."""
    if isinstance(items, Mapping):
        items = [items]
    if not isinstance(items, list):
        return []
    return [one for item in items for one in _types(item)]


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
    """Return the statement that creates a table."""
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
        unique = ", ".join(map(spelled, unique_constraints))
        parts.append(f"CONSTRAINT {constraint} UNIQUE ({unique})")
    if key_properties:
        parts.append(f"PRIMARY KEY ({', '.join(map(spelled, key_properties))})")
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
    """Return the statement that adds columns to a table, or None if there are none to add."""
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
    """Return the names of columns as an INSERT has them."""
    mark = column_identifier
    return [
        f"{mark}{clean_column_name(name, use_lowercase, allow_reserved_words)}{mark}"
        for name in columns
    ]


def convert_column_to_type(value: Any, column_type: str) -> str:
    """Return a text whose quotes have been doubled as a literal of a type."""
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
    """Return the columns of an INSERT, and the literals of each record: `(a, b)`, or a list."""
    names = list(columns)
    literals = _Literals(
        convert_array=convert_array_func,
        convert_to_type=convert_column_to_type_func,
        convert_datetime=convert_datetime_func,
        parse_string=string_parse_func,
        with_types=convert_column_types,
    )
    rows: list[Any] = []
    for record in records:
        row = [literals.of(record.get(name), column_type_mapping[name]) for name in names]
        rows.append(f"({', '.join(row)})" if stringify_values else row)
    return [
        build_insert_columns(names, column_identifier, use_lowercase, allow_reserved_words),
        rows,
    ]


@dataclass
class _Literals:
    """How the values of an INSERT are written, by the functions that a destination passes."""

    convert_array: Callable[..., str] | None
    convert_to_type: Callable[..., str]
    convert_datetime: Callable[..., str] | None
    parse_string: Callable[..., str] | None
    with_types: bool

    def __post_init__(self) -> None:
        self._escapes = cache(partial(_escapes, self.convert_to_type))

    def of(self, value: Any, column: Mapping[str, Any]) -> Any:
        """Return a value as a literal for a column."""
        if value is None:
            return "NULL"
        if column["type"] == COLUMN_TYPE_ARRAY:
            items = _items(value)
            return self.convert_array(items, column) if self.convert_array else _array(items)
        is_time = column["column_settings"].get("format") == COLUMN_FORMAT_DATETIME
        if is_time and self.convert_datetime:
            return self.convert_datetime(value, column)
        text = self._text(value, column)
        if not self.with_types:
            return text
        return self.convert_to_type(text, column["type_converted"])

    def _text(self, value: Any, column: Mapping[str, Any]) -> str:
        """Return a value as text, whose quotes are doubled unless a function does it later."""
        is_json = isinstance(value, dict | list)
        text = json.dumps(value) if is_json else str(value)
        if self.parse_string is None:
            # As in Mage, a function that escapes quotes itself gets JSON as it is.
            if is_json and self._escapes(column["type_converted"]):
                return text
            return text.replace("'", "''")
        if column["type"] == COLUMN_TYPE_OBJECT:
            return self.parse_string(text, column)  # it doubles the quotes itself
        return self.parse_string(text.replace("'", "''"), column)


def _escapes(convert: Callable[..., str], column_type: str) -> bool:
    """Return whether a function that makes literals escapes quotes itself.

    It is called with a JSON text that contains a quote, and with one that does not.
    """
    try:
        quoted = str(convert('"\'"', column_type))
        plain = str(convert('"#"', column_type))
    except (AttributeError, LookupError, TypeError, ValueError):
        return True  # it reads the text, so it does more than enclose it
    return quoted != plain.replace("#", "'")


def _items(value: Any) -> list[Any]:
    """Return the items of an array, which may come as the text of a JSON array.

    Any other value is the only item.
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

"""The types of columns, as SQLAlchemy has them, by JSON Schema."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

_PLAIN = {"string", "integer", "number", "boolean", "object"}
_FORMATS = {"date": "date", "date-time": "timestamp_with_timezone", "time": "time_without_timezone"}


class SQLTypeConversionError(Exception):
    """A JSON Schema says no one type."""


class SQLTypeConverter:
    """Gives the SQL type of a field by its JSON Schema.

    Args:
        conversion_map: Types of your own, classes or objects of SQLAlchemy's, by the JSON Schema's
            `type` or by Airbyte's name of it (`timestamp_with_timezone`): these go first.
    """

    def __init__(self, conversion_map: Mapping[str, Any] | None = None) -> None:
        self.conversion_map = {**conversions(), **(conversion_map or {})}

    @classmethod
    def get_string_type(cls) -> Any:
        """Return the type of texts."""
        return conversions()["string"]()

    @classmethod
    def get_failover_type(cls) -> Any:
        """Return the type of what has no one type: it is kept as text."""
        return cls.get_string_type()

    @classmethod
    def get_json_type(cls) -> Any:
        """Return the type of objects and arrays."""
        return conversions()["object"]()

    def to_sql_type(self, json_schema_property_def: Mapping[str, Any]) -> Any:
        """Return the type, as one of SQLAlchemy's.

        Args:
            json_schema_property_def: Of one field, such as `{"type": ["null", "integer"]}`.
        """
        try:
            name, _ = _get_airbyte_type(json_schema_property_def)
        except SQLTypeConversionError:
            return self.get_failover_type()
        found = self.conversion_map.get(name)
        if found is None:
            return self.get_failover_type()
        return found() if isinstance(found, type) else found


@cache
def conversions() -> Mapping[str, Any]:
    """Return SQLAlchemy's type by Airbyte's name of a type."""
    from sqlalchemy import types as sql

    return {
        "string": sql.VARCHAR,
        "integer": sql.BIGINT,
        "number": sql.DECIMAL(38, 9),
        "boolean": sql.BOOLEAN,
        "date": sql.DATE,
        "timestamp_with_timezone": sql.TIMESTAMP(timezone=True),
        "timestamp_without_timezone": sql.TIMESTAMP(timezone=False),
        "time_with_timezone": sql.TIME,
        "time_without_timezone": sql.TIME,
        "object": sql.JSON,
        "array": sql.JSON,
    }


def _get_airbyte_type(json_schema_property_def: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return Airbyte's name of a field's type, and that of an array's items if it is declared.

    Raises:
        SQLTypeConversionError: There is no one type, or an unknown one.
    """
    if "airbyte_type" in json_schema_property_def:
        return str(json_schema_property_def["airbyte_type"]), None
    given = json_schema_property_def.get("type")
    declared = given if isinstance(given, list) else [given]
    words = [word for word in declared if word != "null"]
    if len(words) != 1:
        raise SQLTypeConversionError(f"The type {given!r} is no one type.")
    (word,) = words
    if word == "string":
        return _FORMATS.get(str(json_schema_property_def.get("format")), "string"), None
    if word in _PLAIN:
        return str(word), None
    if word != "array":
        raise SQLTypeConversionError(f"There is no type {word!r}.")
    items = json_schema_property_def.get("items")
    try:
        return "array", _get_airbyte_type(items)[0] if isinstance(items, Mapping) else None
    except SQLTypeConversionError:
        return "array", None


if TYPE_CHECKING:
    CONVERSION_MAP: Mapping[str, Any]
else:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name == "CONVERSION_MAP":
            return conversions()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The types of columns, as SQLAlchemy has them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


class SQLTypeConverter:
    """Gives the SQL type of a field by its JSON Schema: what a cache stores its values as, where nothing wider came.

    Args:
        conversion_map: Types of your own, by the JSON Schema's `type`: these go first.
    """

    def __init__(self, conversion_map: Mapping[str, Any] | None = None) -> None:
        self.conversion_map = dict(conversion_map or {})

    def to_sql_type(self, json_schema_property_def: Mapping[str, Any]) -> Any:
        """Give the type, as one of SQLAlchemy's.

        Args:
            json_schema_property_def: Of one field, such as `{"type": ["null", "integer"]}`.
        """
        given = json_schema_property_def.get("type")
        for word in given if isinstance(given, list) else [given]:
            if word in self.conversion_map:
                return self.conversion_map[word]
        from etl_assets.protocol.schema import property_type

        # By its path: whoever only wants a type needs no cache.
        return import_module("etl_assets.caches.sql_tables").sql_type(property_type(json_schema_property_def))

"""Pieces of the queries of Mage's SQL sources, under the names they import."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from etl_assets.exceptions import ConfigError
from etl_assets.sources.constants import (
    COLUMN_FORMAT_DATETIME,
    COLUMN_TYPE_BOOLEAN,
    COLUMN_TYPE_INTEGER,
    COLUMN_TYPE_NULL,
    COLUMN_TYPE_NUMBER,
    COLUMN_TYPE_OBJECT,
)


class PredicateOperator(StrEnum):
    """Mage's words for the comparisons of SQL."""

    EQUALS = "EQUALS"
    GREATER_THAN = "GREATER_THAN"
    GREATER_THAN_OR_EQUALS = "GREATER_THAN_OR_EQUALS"
    LESS_THAN = "LESS_THAN"
    LESS_THAN_OR_EQUALS = "LESS_THAN_OR_EQUALS"
    NOT_EQUALS = "NOT_EQUALS"


_OPERATORS = {
    PredicateOperator.EQUALS: "=",
    PredicateOperator.GREATER_THAN: ">",
    PredicateOperator.GREATER_THAN_OR_EQUALS: ">=",
    PredicateOperator.LESS_THAN: "<",
    PredicateOperator.LESS_THAN_OR_EQUALS: "<=",
    PredicateOperator.NOT_EQUALS: "!=",
}

_TYPES = {
    COLUMN_TYPE_BOOLEAN: "BOOL",
    COLUMN_TYPE_INTEGER: "BIGINT",
    COLUMN_TYPE_NUMBER: "DECIMAL",
    COLUMN_TYPE_OBJECT: "TEXT",
}


def predicate_operator_uuid_to_comparison_operator(operator: PredicateOperator | str) -> str:
    """Return SQL's operator for one of Mage's words; an operator is returned as it is."""
    if operator in _OPERATORS.values():
        return operator
    return _OPERATORS[PredicateOperator(operator)]


def column_type_mapping(column_type: str, column_format: str | None = None) -> str:
    """Return the SQL type in which values of a JSON type are compared."""
    del column_format
    return _TYPES.get(column_type, "VARCHAR")


def wrap_column_in_quotes(column: str) -> str:
    """Return a column's name in double quotes; one that has quotes of its own stays as it is."""
    return column if "'" in column or '"' in column else f'"{column}"'


def build_comparison_statement(  # noqa: PLR0917 - Mage's signature
    col: str,
    val: Any,
    properties: Mapping[str, Mapping[str, Any]],
    column_type_mapping: Callable[[str, str | None], str | None],
    operator: str = "=",
    column_cleaned: str | None = None,
    convert_datetime_func: Callable[[Any], Any] | None = None,
) -> str:
    """Return a comparison of a column with a value, written as a literal that contains all of it.

    Args:
        col: The column.
        val: The value.
        properties: The columns' JSON Schemas.
        column_type_mapping: Gives the SQL type of a JSON type and format; None to compare with a
            text.
        operator: The comparison operator of SQL.
        column_cleaned: The column as the database writes it.
        convert_datetime_func: Gives the value of a date-time column as the database reads it.

    Raises:
        ConfigError: The schema does not name the column.
    """
    prop = properties.get(col)
    if not prop:
        raise ConfigError(
            f"The column {col!r} is not in the stream's schema.",
            hint="Discover the catalog anew, or leave it out.",
        )
    said = prop.get("type") or ()
    types = [said] if isinstance(said, str) else said
    column_type = next((one for one in types if one != COLUMN_TYPE_NULL), None)
    column_format = prop.get("format")
    if column_format == COLUMN_FORMAT_DATETIME and convert_datetime_func is not None:
        val = convert_datetime_func(val)
    column = column_cleaned or col
    literal = quoted(str(val), backslashes=column.startswith("`"))
    sql_type = column_type_mapping(column_type or "", column_format)
    if sql_type:
        literal = f"CAST({literal} AS {sql_type})"
    return f"{column} {operator} {literal}"


def quoted(text: str, *, backslashes: bool) -> str:
    r"""Return a text as an SQL literal; `\` is doubled where it escapes, as in MySQL."""
    text = text.replace("'", "''")
    if backslashes:
        text = text.replace("\\", "\\\\")
    return f"'{text}'"

"""SQL databases as sources; every name is resolved when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.sources.sql.databases import MySQLSource, PostgresSource, SQLiteSource
    from etl_assets.sources.sql.source import SqlSource

_HOME = {
    "MySQLSource": "databases",
    "PostgresSource": "databases",
    "SQLiteSource": "databases",
    "SqlSource": "source",
}

__all__ = ["MySQLSource", "PostgresSource", "SQLiteSource", "SqlSource"]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value

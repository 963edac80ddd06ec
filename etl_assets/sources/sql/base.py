"""The base of SQL sources written for Mage, where they import it from."""

from etl_assets.sources.base import main
from etl_assets.sources.sql.source import SqlSource as Source

__all__ = ["Source", "main"]

"""A cache in a SQLite file."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from typing_extensions import override

from etl_assets.caches.base import CacheBase
from etl_assets.destinations.sqlite.destination import SQLiteDestination

if TYPE_CHECKING:
    from sqlalchemy import URL


class SqliteCache(CacheBase):
    """A SQLite file. It has no schemas: a table's name begins with it, as `<schema>__<table>`.

    Args:
        db_path: The file; its folder is made when something is read into it.
        schema_name: Comes before the tables' names; "" for nothing.
    """

    db_path: Path | str = Field(description="The file.")
    schema_name: str = ""

    json_is_text: ClassVar[bool] = True

    @override
    def make_destination(self) -> SQLiteDestination:
        Path(self.db_path).absolute().parent.mkdir(parents=True, exist_ok=True)
        return SQLiteDestination(
            str(self.db_path),
            schema_name=self.schema_name,
            staging_dir=str(self.cache_dir / "staging"),
        )

    @override
    def get_database_name(self) -> str:
        return Path(self.db_path).stem

    @override
    def make_url(self) -> "URL":
        from sqlalchemy import URL

        return URL.create("sqlite", database=str(self.db_path))

    @override
    def get_vendor_client(self) -> sqlite3.Connection:
        return sqlite3.connect(self.db_path)

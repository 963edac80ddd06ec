"""A cache in MySQL or MariaDB."""

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from etl_assets.caches.server import ServerCache
from etl_assets.destinations.mysql.destination import MySQLDestination

if TYPE_CHECKING:
    from sqlalchemy import URL


class MySQLCache(ServerCache):
    """A database of a MySQL or MariaDB server.

    Args:
        host: The server.
        port: Its port.
        database: The database of the tables and of the states.
        username: Who connects.
        password: With what; may be empty, or a reference.
        schema_name: Another database for the tables; by default `database`.
    """

    port: int = 3306
    schema_name: str = ""

    scheme: ClassVar[str] = "mysql"
    driver: ClassVar[str] = "pymysql"
    json_is_text: ClassVar[bool] = True
    paired_destination_name: ClassVar[str | None] = "destination-mysql"

    @override
    def make_destination(self) -> MySQLDestination:
        return MySQLDestination(
            **self.destination_options(), schema_name=self.schema_name or self.database
        )

    @override
    def make_url(self) -> "URL":
        return super().make_url().update_query_dict({"charset": "utf8mb4"})

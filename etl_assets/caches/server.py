"""What caches on a database server have in common."""

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pydantic import Field
from typing_extensions import override

from etl_assets.caches.base import CacheBase
from etl_assets.secrets.option import SecretOption
from etl_assets.secrets.references import resolve
from etl_assets.secrets.string import SecretString

if TYPE_CHECKING:
    from sqlalchemy import URL


class ServerCache(CacheBase):
    """A database of a server, as somebody with a password.

    Args:
        host: The server.
        port: Its port.
        database: The database.
        username: Who connects.
        password: With what; may be empty, or a reference.
    """

    host: str
    port: int
    database: str
    username: str
    password: SecretOption = Field(default_factory=SecretString)

    scheme: ClassVar[str]
    driver: ClassVar[str]
    """SQLAlchemy's."""

    @override
    def get_database_name(self) -> str:
        return self.database

    @override
    def make_url(self) -> "URL":
        from sqlalchemy import URL

        return URL.create(
            f"{self.scheme}+{self.driver}",
            username=self.username,
            password=str(resolve(self.password)) or None,
            host=self.host,
            port=self.port,
            database=self.database,
        )

    def destination_options(self) -> dict[str, Any]:
        """Return the destination's options; its url holds no password."""
        user, database = quote(self.username, safe=""), quote(self.database, safe="")
        return {
            "url": f"{self.scheme}://{user}@{self.host}:{self.port}/{database}",
            "password": None if self.password == "" else self.password,
            "staging_dir": str(self.cache_dir / "staging"),
        }

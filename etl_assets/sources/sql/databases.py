"""`SqlSource` by database: the address in parts, and what is usual there."""

from collections.abc import Mapping
from typing import Any

from etl_assets.exceptions import ConfigError
from etl_assets.secrets.option import wrap_secrets
from etl_assets.sources.sql.address import Parts
from etl_assets.sources.sql.source import SqlSource


class _ServerSource(SqlSource):
    """A source on a server whose address is a URL, or its parts."""

    dialect: str

    def __init__(
        self,
        url: Any = None,
        *,
        name: str | None = None,
        host: Any = None,
        port: Any = None,
        database: Any = None,
        user: Any = None,
        password: Any = None,
        **options: Any,
    ) -> None:
        config: Mapping[str, Any] = options.get("config") or {}
        given = {
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "password": password,
        }
        parts: dict[str, Any] = {
            word: config.get(word) if value is None else value for word, value in given.items()
        }
        parts["user"] = config.get("username") if parts["user"] is None else parts["user"]
        found = {word: value for word, value in parts.items() if value is not None}
        url = config.get("url") if url is None else url
        if url is None and not found:
            raise ConfigError(
                f"{type(self).__name__} needs a url, or host and database.",
                hint=f'For example {type(self).__name__}("{self.dialect}://user@host/database", '
                'name="shop").',
            )
        if url is not None and found:
            raise ConfigError(
                f"{type(self).__name__} has a url and {', '.join(found)}.",
                hint="Give the url, or the parts.",
            )
        super().__init__(
            name, Parts(self.dialect, **wrap_secrets(parts)) if url is None else url, **options
        )
        self.storage_kind = self.dialect


class PostgresSource(_ServerSource):
    """Tables, views and queries of a PostgreSQL database, read by binary COPY in one snapshot.

    ```python
    PostgresSource(name="shop", host="db.example.com", database="shop", user="reader",
    password=dg.EnvVar("PGPASSWORD"))
    ```

    Args:
        url: `postgresql://user@host:5432/database`; may be a reference.
        name: Unique in a project.
        host: In place of the url, with `port`, `database`, `user` and `password`; each may be a
            reference.
        options: Those of `SqlSource`.
    """

    dialect = "postgresql"


class MySQLSource(_ServerSource):
    """Tables, views and queries of a MySQL or MariaDB database.

    They are read in one snapshot, through one unbuffered cursor.

    ```python
    MySQLSource(name="shop", host="db.example.com", database="shop", user="reader",
    password=dg.EnvVar("DB_PASSWORD"))
    ```

    Args:
        url: `mysql://user@host:3306/database`; may be a reference.
        name: Unique in a project.
        host: In place of the url, with `port`, `database`, `user` and `password`; each may be a
            reference.
        options: Those of `SqlSource`.
    """

    dialect = "mysql"


class SQLiteSource(SqlSource):
    """Tables, views and queries of a SQLite file, which is never made and never written to.

    ```python
    SQLiteSource("shop.db", name="shop")
    ```

    Args:
        path: The file, or its URL; may be a reference to the file.
        name: Unique in a project.
        options: Those of `SqlSource`.
    """

    def __init__(self, path: Any = None, *, name: str | None = None, **options: Any) -> None:
        config: Mapping[str, Any] = options.get("config") or {}
        path = config.get("path") if path is None else path
        if path is None:
            raise ConfigError(
                "SQLiteSource needs a path.",
                hint='For example SQLiteSource("shop.db", name="shop").',
            )
        file = path if hasattr(path, "get_value") else str(path)
        is_url = isinstance(file, str) and file.startswith("sqlite:")
        super().__init__(name, file if is_url else Parts("sqlite", database=file), **options)
        self.storage_kind = "sqlite"

"""MySQL and MariaDB: rows go in by LOAD DATA, and tables are replaced by swaps."""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field
from typing_extensions import override

from etl_assets.destinations.database.destination import (
    DatabaseDestination,
    database_capabilities,
)
from etl_assets.destinations.database.errors import kind_of, patiently, translate
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.options import DatabaseOptions, ServerOptions
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.destinations.mysql.transaction import MySQLTransaction
from etl_assets.exceptions import ConfigError, UnavailableError
from etl_assets.local_hosts import is_local
from etl_assets.model.stored import TableName
from etl_assets.naming import quote
from etl_assets.packages import require
from etl_assets.redaction import remember_config
from etl_assets.secrets.option import ArgumentsOption, UrlOption
from etl_assets.secrets.references import resolve
from etl_assets.secrets.url import resolve_url

PORT = 3306
PROBE = "_etl_assets_probe"
_MODE = (
    "ANSI_QUOTES,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"
)
_COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb4_bin")
"""The best comes first: for it, 'a' is neither 'A' nor 'a '.

The last, which old versions of MySQL have, takes 'a' and 'a ' for equal.
"""

_NOT_IN_NAMES = re.compile(r"[\U00010000-\U0010ffff]| (?= *\Z)")
"""What no name can have: emoji and the like, beyond the basic plane, or spaces at its end."""


class MySQLOptions(ServerOptions):
    """Where the server is and how it is loaded."""

    url: UrlOption = Field(
        description="`mysql://user@host:3306/database`; may be a reference such as an EnvVar."
    )
    state_schema: str | None = Field(
        default=None, description="The database of our own tables; the url's by default."
    )
    local_infile: bool = Field(
        default=True, description="Load by LOAD DATA LOCAL INFILE where the server allows it."
    )
    connect_timeout: float = Field(
        default=30.0, gt=0, description="Seconds to wait for the server to answer."
    )
    lock_timeout: float = Field(default=60.0, ge=0, description="Seconds to wait for a lock.")
    read_timeout: float | None = Field(
        default=None, gt=0, description="Seconds to wait for an answer to a statement."
    )
    connect_args: ArgumentsOption = Field(
        default_factory=dict, description="PyMySQL's arguments, such as ssl_ca."
    )


class MySQLDestination(DatabaseDestination):
    """Loads streams into MySQL or MariaDB, exactly once.

    ```python
    MySQLDestination("mysql://loader@db.example.com/warehouse",
    password=dg.EnvVar("MYSQL_PASSWORD"))
    ```

    Args:
        url: Where the database is.
        options: Those of `MySQLOptions`.
    """

    Options: ClassVar[type[DatabaseOptions]] = MySQLOptions
    storage_kind: ClassVar[str] = "mysql"
    can_split: ClassVar[bool] = True
    capabilities = database_capabilities(max_identifier_bytes=64, max_columns=1017)

    def __init__(self, url: Any = None, **options: Any) -> None:
        super().__init__(**({"url": url, **options} if url is not None else options))

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}()"  # the url may hold a password

    @override
    def spell(self, name: str) -> str:
        return _NOT_IN_NAMES.sub("_", super().spell(name))

    @override
    def uri(self, table: TableName) -> str | None:
        """Return `mysql://host:port/#database.table`, without a user."""
        given = self._parameters()
        return f"mysql://{given['host']}:{given['port']}/#{table}"

    @override
    def test_connection(self) -> None:
        """Connect, and say what is wrong if that fails.

        That may be host, port, login or database, or the right to make tables.
        """
        schema = self._state_schema()
        with self.transaction() as tx:
            known = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?"
            if tx.execute(known, (schema,)):
                # This is the only one of the rights that can be tried without leaving a trace.
                tx.execute(f"CREATE TEMPORARY TABLE {quote(schema)}.{quote(PROBE)} (x INT)")

    @override
    def ledger(self, transaction: Transaction) -> Ledger:
        return Ledger(transaction, self._state_schema())

    @override
    @contextmanager
    def transaction(self) -> Iterator[MySQLTransaction]:
        """Connect for one transaction."""
        pymysql = _driver()
        tx: MySQLTransaction | None = None
        phase = "connecting"
        try:
            tx = self._new_transaction()
            tx.begin()
            phase = "loading"
            yield tx
            phase = "COMMIT"
            tx.commit()
            phase = "dropping what was replaced"
            tx.swaps.finish()
        except pymysql.Error as error:
            if phase == "COMMIT" and kind_of(error) == "away":
                raise UnavailableError(
                    f"{self._told()}: the answer to COMMIT was lost.",
                    hint="It was committed whole or not at all; the next run asks the ledger, "
                    "and goes on from there.",
                ) from error
            raise translate(error, self._told(), phase) from error
        finally:
            if tx is not None:
                if phase in {"loading", "COMMIT"}:  # It has not been committed.
                    self._undo(tx)
                tx.close()

    def _undo(self, tx: MySQLTransaction) -> None:
        with suppress(_driver().Error):  # The next transaction reverts what is left.
            tx.roll_back()

    def _new_transaction(self) -> MySQLTransaction:
        first = self._connect()
        with first.cursor() as cursor:
            marks = ", ".join(["%s"] * len(_COLLATIONS))
            cursor.execute(
                "SELECT COLLATION_NAME FROM information_schema.COLLATIONS "
                f"WHERE COLLATION_NAME IN ({marks})",
                _COLLATIONS,
            )
            there = {name for (name,) in cursor.fetchall()}
        waiting = [first]
        return MySQLTransaction(
            lambda: waiting.pop() if waiting else self._connect(),
            collation=next(name for name in _COLLATIONS if name in there),
            state_schema=self._state_schema(),
            lock_timeout=self.options.lock_timeout,
            local_infile=self.options.local_infile,
        )

    def _connect(self) -> Any:
        pymysql = _driver()
        try:
            given = self._parameters()
            connection = patiently(lambda: _open(given), pymysql.Error, self._told())
        except RuntimeError as error:  # PyMySQL lacks a package for this kind of login.
            raise ConfigError(
                f"{self._told()}: {error}",
                hint="pip install cryptography, or encrypt the connection: "
                'connect_args={"ssl_disabled": False}.',
            ) from error
        seconds = max(1, round(self.options.lock_timeout))
        settings = (
            f"SET SESSION sql_mode = '{_MODE}', time_zone = '+00:00', "
            f"innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}, "
            "default_storage_engine = InnoDB"
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(settings)
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        except pymysql.Error:
            connection.close()
            raise
        return connection

    def _parameters(self) -> dict[str, Any]:
        """Return PyMySQL's arguments, with references resolved.

        On the way to another machine, the server's certificate is checked.
        """
        _driver()
        address = resolve_url(self.options.url)
        url = None if address.is_cut else _parsed(address.reveal())
        if url is None:
            raise ConfigError(
                f"{type(self).__name__}: the url is none of MySQL.",
                hint="Write mysql://user@host:3306/database, "
                "with special characters percent-encoded.",
            )  # It does not show the url's text, which may hold a password.
        password = url.password and unquote(url.password)
        if self.options.password is not None:
            password = resolve(self.options.password, name="password")
        given = {
            "host": url.hostname or "127.0.0.1",
            "port": url.port or PORT,
            "user": unquote(url.username or ""),
            "password": password or "",
            "database": unquote(url.path.strip("/")) or None,
            "charset": "utf8mb4",
            "autocommit": False,
            "local_infile": self.options.local_infile,
            "connect_timeout": max(1, round(self.options.connect_timeout)),
            "read_timeout": self.options.read_timeout,  # of a statement
            "conv": _conversions(),
            "program_name": "etl_assets",
        }
        given |= resolve(dict(self.options.connect_args), name="connect_args")
        remember_config(given)
        secure = any(name.startswith("ssl") for name in given)
        if is_local(str(given["host"])):
            given.setdefault("ssl_disabled", not secure)  # nobody is between
        elif not secure:
            given["ssl"] = ssl.create_default_context()
        return given

    def _state_schema(self) -> str:
        named = self.options.state_schema or self._parameters()["database"]
        schema = named or self.options.schema_name
        if not schema:
            raise ConfigError(
                f"{type(self).__name__}: there is no place for the tables of the state.",
                hint="Name a database in the url, or by state_schema.",
            )
        return str(schema)

    def _told(self) -> str:
        given = self._parameters()
        return f"MySQL at {given['host']}:{given['port']}"


def _open(given: Mapping[str, Any]) -> Any:
    """Connect. By itself, PyMySQL would wait for the handshake for ever."""
    from etl_assets.destinations.mysql.connection import Connection

    connection: Any = Connection(**{**given, "read_timeout": given["connect_timeout"]})
    connection._read_timeout = given["read_timeout"]  # noqa: SLF001 - a statement may take its time
    return connection


def _parsed(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        has_port = url.port != 0
    except ValueError:
        return None
    is_mysql = "://" in text and url.scheme.partition("+")[0] in {"mysql", "mariadb"}
    return url if is_mysql and has_port else None


def _conversions() -> dict[Any, Any]:
    """Return PyMySQL's conversions, with the numbers and times as text that Python would change."""
    from pymysql.constants import FIELD_TYPE
    from pymysql.converters import conversions

    as_text = (
        FIELD_TYPE.DATE,
        FIELD_TYPE.TIME,
        FIELD_TYPE.DATETIME,
        FIELD_TYPE.TIMESTAMP,
        FIELD_TYPE.NEWDECIMAL,
    )
    return conversions | dict.fromkeys(as_text, str)


def _driver() -> Any:
    return require("pymysql", "MySQL")

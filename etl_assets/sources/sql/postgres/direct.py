"""PostgreSQL by psycopg itself, with no SQLAlchemy between.

A connection has those methods of SQLAlchemy's that a read calls, so that a read need not know which
of the two it has.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote

from etl_assets.secrets.url import resolve_url
from etl_assets.sources.sql.address import Parts
from etl_assets.sources.sql.errors import DriverError, as_database_errors
from etl_assets.sources.sql.expressions import Select, TextClause

_PLAIN = r"[\w.-]+"
_PLAIN_WORD = re.compile(_PLAIN, re.ASCII)
_URL = re.compile(
    rf"(postgresql|postgres)(\+psycopg)?://((?P<user>{_PLAIN})(:(?P<password>[^@/?#\s]*))?@)?"
    rf"(?P<host>{_PLAIN})?(:(?P<port>\d+))?/(?P<database>{_PLAIN})(\?(?P<query>[\w.=&%+/-]*))?",
    re.ASCII,
)
_DIALECTS = {"postgresql", "postgres", "postgresql+psycopg"}
_DRIVER = SimpleNamespace(name="postgresql", driver="psycopg")
_OF_SQLALCHEMY = {"host", "port"}
"""Words in a query that it has a form of its own for."""


@dataclass(frozen=True)
class Address:
    """A URL of PostgreSQL with nothing in it that needs a parser, in SQLAlchemy's words."""

    username: str | None
    password: str | None = field(repr=False)
    host: str | None
    port: int | None
    database: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)

    drivername = "postgresql+psycopg"

    def get_backend_name(self) -> str:
        """Return the database's name."""
        return "postgresql"

    def render_as_string(self, *, hide_password: bool = True) -> str:
        """Return the URL, which is always whole: it is for `SecretUrl`, which masks it."""
        del hide_password
        login = self.username or ""
        if self.password is not None:
            login += f":{quote(self.password, safe=' +')}"
        port = "" if self.port is None else f":{self.port}"
        said = "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in sorted(self.query.items()))
        at = f"{login}@" if login else ""
        return (
            f"{self.drivername}://{at}{self.host or ''}{port}/{self.database}"
            f"{f'?{said}' if said else ''}"
        )

    def arguments(self) -> dict[str, Any]:
        """Return what the driver is told."""
        parts: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.username,
            "password": self.password,
            "dbname": self.database,
        }
        return {word: value for word, value in parts.items() if value} | {**self.query}


def direct_address(value: Any, source: str) -> Address | None:
    """Return the address of a URL or its parts; None where it is for SQLAlchemy to read.

    Args:
        value: As the source has it.
        source: The source's name, for errors.
    """
    if isinstance(value, Parts):
        return _of_parts(value)
    address = resolve_url(value, name=f"the url of source {source!r}")
    found = None if address.is_cut else _URL.fullmatch(address.reveal())
    if found is None:
        return None
    pairs = parse_qsl(found["query"] or "")
    query = dict(pairs)
    if len(query) < len(pairs) or _OF_SQLALCHEMY & query.keys():
        return None
    password = None if found["password"] is None else unquote(found["password"])
    port = None if found["port"] is None else int(found["port"])
    return Address(found["user"], password, found["host"], port, found["database"], query)


def _of_parts(parts: Parts) -> Address | None:
    if parts.dialect not in _DIALECTS or parts.query:
        return None
    given = parts.values()
    words = [given[name] for name in ("user", "host", "database") if given[name] is not None]
    are_plain = all(isinstance(one, str) and _PLAIN_WORD.fullmatch(one) for one in words)
    password, database = given["password"], given["database"]
    if not are_plain or database is None or not isinstance(password, str | None):
        return None
    return Address(given["user"], password, given["host"], given["port"], database)


class Rows:
    """What a statement has found."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._cursor.fetchall())

    def first(self) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def one(self) -> tuple[Any, ...]:
        """Return the only row."""
        (row,) = self._cursor.fetchall()
        found: tuple[Any, ...] = row
        return found

    def scalar_one(self) -> Any:
        """Return the only value of the only row."""
        return self.one()[0]


class Connection:
    """An open connection of psycopg, as a read uses it.

    Args:
        driver: The connection.
    """

    dialect = _DRIVER

    def __init__(self, driver: Any) -> None:
        self.driver_connection = driver
        self.invalidated = False

    @property
    def connection(self) -> "Connection":
        """The connection itself: SQLAlchemy has another one below its own."""
        return self

    def execute(
        self, statement: Select | TextClause, values: Mapping[str, Any] | None = None
    ) -> Rows:
        """Run a statement."""
        sql, bound = statement.compiled()
        return self._run(sql, values if bound is None else bound)

    def exec_driver_sql(self, sql: str, values: Any = None) -> Rows:
        """Run a statement as it is written; without values it may be several."""
        return self._run(sql, values)

    def mogrified(self, statement: Select) -> str:
        """Return a statement with its values as literals, each quoted by libpq."""
        import psycopg

        sql, bound = statement.compiled()
        return psycopg.ClientCursor(self.driver_connection).mogrify(sql, bound)

    def _run(self, sql: str, values: Any) -> Rows:
        with self._errors():
            cursor = self.driver_connection.cursor()
            cursor.execute(sql, values)
            return Rows(cursor)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import psycopg

        driver = self.driver_connection
        if self.invalidated:
            lost = psycopg.OperationalError("the connection is closed")
            raise DriverError(lost, connection_invalidated=True)
        try:
            with as_database_errors(psycopg.Error, broken=lambda: bool(driver.closed)):
                yield
        except DriverError as error:
            self.invalidated = error.connection_invalidated
            raise

    @contextmanager
    def begin_nested(self) -> Iterator[None]:
        """Undo what is done here if it fails; the transaction goes on."""
        self._run("SAVEPOINT etl_assets", None)
        word = "ROLLBACK TO"
        try:
            yield
            word = "RELEASE"
        finally:
            if not self.invalidated:
                self._run(f"{word} SAVEPOINT etl_assets", None)

    def rollback(self) -> None:
        """End the transaction."""
        with self._errors():
            self.driver_connection.rollback()

    def invalidate(self) -> None:
        """Close the connection at once: it is of no use any more."""
        self.invalidated = True
        self.driver_connection.close()

    def close(self) -> None:
        """End the transaction, and close the connection."""
        import psycopg

        # Nothing was written: a failure here would hide the one that matters.
        with suppress(psycopg.Error):
            self.driver_connection.close()


def connect(arguments: Mapping[str, Any]) -> Connection:
    """Open a connection.

    Raises:
        DriverError: It cannot be opened.
    """
    import psycopg

    with as_database_errors(psycopg.Error):
        return Connection(psycopg.connect(**arguments))

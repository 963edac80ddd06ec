"""PostgreSQL: rows go in by COPY, in one transaction with the state row and the ledger."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from etl_assets.destinations.database.destination import (
    DatabaseDestination,
    database_capabilities,
)
from etl_assets.destinations.database.errors import patiently, translate
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.options import DatabaseOptions, ServerOptions
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.destinations.postgres.transaction import PostgresTransaction
from etl_assets.exceptions import AuthenticationError, ConfigError, UnavailableError
from etl_assets.local_hosts import are_local, libpq_hosts
from etl_assets.model.encoded import Format
from etl_assets.model.stored import TableName
from etl_assets.naming import quoted_where_needed
from etl_assets.packages import require
from etl_assets.redaction import remember_config
from etl_assets.secrets.option import ArgumentsOption, UrlOption
from etl_assets.secrets.references import resolve
from etl_assets.secrets.url import resolve_url

if TYPE_CHECKING:
    from psycopg import Connection

CANCEL_SECONDS = 5.0
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}
_MAY_MAKE = """
SELECT CASE WHEN s.oid IS NULL THEN 'database ' || current_database() ELSE 'schema ' || w.name END,
    CASE WHEN s.oid IS NULL THEN 'CREATE ON DATABASE ' || quote_ident(current_database())
        ELSE 'USAGE, CREATE ON SCHEMA ' || quote_ident(w.name) END
        || ' TO ' || quote_ident(current_user),
    CASE WHEN s.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
        ELSE has_schema_privilege(s.oid, 'CREATE')
            OR to_regclass(quote_ident(w.name) || '._etl_assets_state') IS NOT NULL END
FROM (SELECT ? AS name) w LEFT JOIN pg_namespace s ON s.nspname = w.name
"""
"""Asks whether our tables are in a schema or may be made there.

If there is no such schema, it asks whether the schema may be made.
"""


class PostgresOptions(ServerOptions):
    """Where the server is and how it is loaded."""

    url: UrlOption = Field(
        description="`postgresql://user@host:5432/database`; may be a reference such as an EnvVar."
    )
    connect_timeout: float = Field(
        default=30.0, gt=0, description="Seconds to wait for the server to answer."
    )
    lock_timeout: float = Field(
        default=60.0, ge=0, description="Seconds to wait for a lock; 0 waits for ever."
    )
    statement_timeout: float = Field(
        default=0.0, ge=0, description="Seconds a statement may take; 0 is no limit."
    )
    connect_args: ArgumentsOption = Field(
        default_factory=dict, description="libpq's parameters, such as sslrootcert."
    )


class PostgresDestination(DatabaseDestination):
    """Loads streams into PostgreSQL, exactly once.

    ```python
    PostgresDestination("postgresql://loader@db.example.com/warehouse",
    password=dg.EnvVar("PGPASSWORD"))
    ```

    Args:
        url: Where the database is.
        options: Those of `PostgresOptions`.
    """

    Options: ClassVar[type[DatabaseOptions]] = PostgresOptions
    storage_kind: ClassVar[str] = "postgresql"
    can_split: ClassVar[bool] = True
    rolls_back: ClassVar[bool] = True
    encoded_as: ClassVar[Format | None] = "pgcopy"
    capabilities = database_capabilities(max_identifier_bytes=63, max_columns=1600)

    def __init__(self, url: Any = None, **options: Any) -> None:
        super().__init__(**({"url": url, **options} if url is not None else options))

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}()"  # the url may hold a password

    @override
    def uri(self, table: TableName) -> str | None:
        """Return `postgresql://host:port/database#schema.table`, without a user."""
        given = self._parameters()
        port = f":{given['port']}" if given.get("port") else ""
        return f"postgresql://{given.get('host', '')}{port}/{given.get('dbname', '')}#{table}"

    @override
    def database_name(self) -> str | None:
        """Return the database of the url."""
        name = self._parameters().get("dbname")
        return quoted_where_needed(name) if name else None

    @override
    def test_connection(self) -> None:
        """Connect, and say what is wrong if that fails.

        That may be host, port, login or database, or the right to make tables.
        """
        with self.transaction() as tx:
            schema = self.options.state_schema or tx.current_schema()
            place, right, may = tx.execute(_MAY_MAKE, [schema])[0]
            if not may:
                raise AuthenticationError(
                    f"{self._told()}: permission is missing to create in the {place}.",
                    hint=f"GRANT {right}; gives it. Our own tables lie there; "
                    "state_schema names another place.",
                )

    @override
    def ledger(self, transaction: Transaction) -> Ledger:
        schema = self.options.state_schema
        if schema is None and isinstance(transaction, PostgresTransaction):
            schema = transaction.current_schema()
        return Ledger(transaction, schema or "")

    @override
    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        """Connect for one transaction."""
        psycopg = _driver()
        connection = self._connect()
        phase = "loading"
        try:
            yield PostgresTransaction(connection)
            phase = "COMMIT"
            connection.commit()
        except psycopg.Error as error:
            if phase == "COMMIT" and connection.broken:
                raise UnavailableError(
                    f"{self._told()}: the answer to COMMIT was lost.",
                    hint="It was committed whole or not at all; the next run asks the ledger, "
                    "and goes on from there.",
                ) from error
            raise translate(error, self._told(), phase) from error
        finally:
            # If the run was cancelled, the server would go on with a statement nobody waits for.
            _cancel(connection)
            connection.close()  # This rolls back what was not committed.

    def _connect(self) -> "Connection":
        psycopg = _driver()
        given = self._parameters()
        connection: Connection = patiently(
            lambda: psycopg.connect(**given), psycopg.Error, self._told()
        )
        try:
            settings = _SETTINGS | {
                "lock_timeout": str(round(self.options.lock_timeout * 1000)),
                "statement_timeout": str(round(self.options.statement_timeout * 1000)),
            }
            calls = ", ".join("set_config(%s, %s, true)" for _ in settings)
            connection.execute(
                f"SELECT {calls}", [one for pair in settings.items() for one in pair]
            )
        except psycopg.Error as error:
            connection.close()
            raise translate(error, self._told(), "connecting") from error
        return connection

    def _no_url(self) -> ConfigError:
        """Return the error of a wrong url, which says nothing of it: it may show a password."""
        return ConfigError(
            f"{type(self).__name__}: the url is none that libpq knows.",
            hint="Write postgresql://user@host:5432/database, "
            "with special characters percent-encoded.",
        )

    def _parameters(self) -> dict[str, Any]:
        """Return libpq's parameters, with references resolved.

        On the way to another machine, the server's certificate is checked.
        """
        from psycopg.conninfo import conninfo_to_dict

        psycopg = _driver()
        url = resolve_url(self.options.url)
        try:
            given: dict[str, Any] = dict(conninfo_to_dict(_without_driver(url.reveal())))
        except psycopg.Error:
            raise self._no_url() from None
        ports = str(given.get("port") or "").split(",")
        if url.is_cut or not all(port.isdigit() or not port for port in ports):
            raise self._no_url()
        given |= resolve(dict(self.options.connect_args), name="connect_args")
        if self.options.password is not None:
            given["password"] = resolve(self.options.password, name="password")
        remember_config(given)
        given.setdefault("connect_timeout", max(2, round(self.options.connect_timeout)))
        given.setdefault("application_name", "etl_assets")
        says_how_far_to_trust = given.keys() & {"sslmode", "service"}
        is_local = are_local(libpq_hosts([given.get("host"), given.get("hostaddr")]))
        if not is_local and not says_how_far_to_trust:
            given |= {"sslmode": "verify-full", "sslrootcert": given.get("sslrootcert", "system")}
        return given | {"client_encoding": "utf8"}

    def _told(self) -> str:
        given: Mapping[str, Any] = self._parameters()
        host = given.get("host") or "the local socket"
        return f"PostgreSQL at {host}, database {given.get('dbname') or 'default'}"


def _without_driver(url: str) -> str:
    """Return a URL as libpq knows it: without SQLAlchemy's `+driver`."""
    scheme, found, rest = url.partition("://")
    is_postgres = scheme.partition("+")[0] in {"postgresql", "postgres"}
    return f"postgresql://{rest}" if found and is_postgres else url


def _cancel(connection: "Connection") -> None:
    from psycopg import pq

    psycopg = _driver()
    if connection.closed or connection.info.transaction_status != pq.TransactionStatus.ACTIVE:
        return
    try:
        connection.cancel_safe(timeout=CANCEL_SECONDS)
    except psycopg.Error:
        return  # The connection is closed next, which the server notices.


def _driver() -> Any:
    return require("psycopg", "PostgreSQL")

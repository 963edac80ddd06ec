"""Any database with a SQLAlchemy dialect that has no destination of its own here.

It asks little of a database. Tables are made and changed on a connection of their own, before the
transaction of the rows begins, so that it does not matter whether such a change can be rolled back.
A replace deletes and inserts in one transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from etl_assets.destinations.database.reserved import ReservedNames, reserved_names
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.destinations.sqlalchemy.transaction import AlchemyTransaction
from etl_assets.exceptions import ConfigError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import quoted_where_needed
from etl_assets.packages import missing_dialect, missing_driver
from etl_assets.redaction import remember
from etl_assets.secrets.option import UrlOption
from etl_assets.secrets.references import resolve
from etl_assets.secrets.url import SecretUrl, resolve_url

if TYPE_CHECKING:
    import sqlalchemy as sa


CONNECT_SECONDS = 30
"""How long to wait for a server to answer, where neither URL nor `connect_args` say."""
_WITH_TIMEOUT = frozenset({"postgresql", "mysql", "mariadb"})
"""Dialects whose drivers have an argument for it."""
_DATABASE_IS_SCHEMA = frozenset({"mysql", "mariadb"})
"""Dialects in which a table has no other schema than its database."""
_DATABASES_WITH_SCHEMAS = frozenset(
    {"postgresql", "mssql", "snowflake", "redshift", "cockroachdb", "trino", "databricks"}
)
"""Dialects in which a query may name the database before the schema."""


class SqlOptions(ServerOptions):
    """Where the database is."""

    url: UrlOption = Field(description="A SQLAlchemy URL; may be a reference such as an EnvVar.")


class SqlDestination(DatabaseDestination):
    """Loads streams into any database with a SQLAlchemy dialect, exactly once.

    It is the slow, general way; `PostgresDestination`, `MySQLDestination`, `SQLiteDestination` and
    `DuckDBDestination` know their databases. Numbers that a database has no exact type for, dates
    and times are text.

    ```python
    SqlDestination("mssql+pyodbc://loader@db.example.com/warehouse?driver=ODBC+Driver+18+for+SQL+Server")
    ```

    Args:
        url: A SQLAlchemy URL.
        options: Those of `SqlOptions`.
    """

    Options: ClassVar[type[DatabaseOptions]] = SqlOptions
    storage_kind: ClassVar[str] = "sql"
    capabilities = database_capabilities(max_identifier_bytes=63, max_columns=1000)
    _own_schema: str | None = None
    """Where a name without a schema leads, as the last connection knew it."""

    def __init__(self, url: Any = None, **options: Any) -> None:
        super().__init__(**({"url": url, **options} if url is not None else options))

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}()"  # the url may hold a password

    @override
    def table_for(self, source: str, stream: Stream) -> TableName:
        """Return the default place of a stream: `<schema_name>.<source>__<stream>`.

        Without a `schema_name` it is in the connection's own schema.
        """
        table = super().table_for(source, stream)
        name = self.identifier(f"{self.identifier(source)}__{table.name}")
        return TableName(name, self.options.schema_name or "")

    @override
    def prefix_of(self, table: TableName) -> str | None:
        """Return the database of the url, and the connection's own schema where a table has none.

        None where the dialect's queries name no database.
        """
        url = _parsed(resolve_url(self.options.url))
        backend = url.get_backend_name()
        # Some write a schema behind it.
        database = quoted_where_needed((url.database or "").partition("/")[0])
        if not url.database:
            return None
        if backend in _DATABASE_IS_SCHEMA:
            return None if table.schema else database
        if backend not in _DATABASES_WITH_SCHEMAS:
            return None
        if table.schema:
            return database
        return f"{database}.{self._own_schema}" if self._own_schema else None

    @override
    def reserved_names(self) -> ReservedNames:
        url = self.options.url
        dialect = None
        if isinstance(url, SecretUrl):  # A reference is not resolved for this.
            dialect = url.partition(":")[0].partition("+")[0]
        return reserved_names(self.storage_kind, dialect)

    @override
    def ledger(self, transaction: Transaction) -> Ledger:
        return Ledger(transaction, self.options.state_schema or "")

    @override
    @contextmanager
    def transaction(self) -> Iterator[AlchemyTransaction]:
        """Connect for one transaction."""
        import sqlalchemy as sa

        phase = "connecting"
        engine = self._engine()
        try:
            errors = engine.dialect.loaded_dbapi.Error
            with patiently(lambda: _open(engine), errors, self._told(engine)) as connection:
                phase = "loading"
                own = engine.dialect.default_schema_name  # known once it has connected
                self._own_schema = None if own is None else quoted_where_needed(own)
                yield AlchemyTransaction(connection, self.load_columns)
                phase = "COMMIT"
                connection.commit()
        except sa.exc.DBAPIError as error:
            driver = error.orig if isinstance(error.orig, Exception) else error
            lost = error.connection_invalidated
            raise translate(driver, self._told(engine), phase, lost=lost) from driver
        except sa.exc.PendingRollbackError as error:
            # An earlier error, which somebody has caught, has shown that the connection is lost.
            raise translate(error, self._told(engine), phase, lost=True) from error
        finally:
            with suppress(sa.exc.DBAPIError):
                engine.dispose()

    def _engine(self) -> "sa.Engine":
        import sqlalchemy as sa

        address = resolve_url(self.options.url)
        options: dict[str, Any] = {"poolclass": sa.NullPool, "hide_parameters": True}
        try:
            url = _parsed(address)
            if self.options.password is not None:
                password = resolve(self.options.password, name="password")
                remember(password)
                url = url.set(password=password)
            args = resolve(dict(self.options.connect_args), name="connect_args")
            says_timeout = {"connect_timeout", "timeout"} & {*args, *url.query}
            if url.get_backend_name() in _WITH_TIMEOUT and not says_timeout:
                args["connect_timeout"] = CONNECT_SECONDS
            if url.get_backend_name() in {"mysql", "mariadb"}:
                # This library quotes names by `"`, and no value may be changed to one that fits.
                args.setdefault("sql_mode", "ANSI_QUOTES,STRICT_ALL_TABLES")
                # The server's default may be an engine that does not roll rows back.
                args.setdefault("init_command", "SET SESSION default_storage_engine = InnoDB")
                # Otherwise a table could not be read that was made meanwhile, on another
                # connection.
                options["isolation_level"] = "READ COMMITTED"
            engine = sa.create_engine(url, **options, connect_args=args)
        except sa.exc.NoSuchModuleError as error:
            raise missing_dialect(url.drivername, "SqlDestination") from error
        except ImportError as error:
            raise missing_driver(url.drivername, error, "SqlDestination") from error
        if url.get_backend_name() == "sqlite":
            _roll_tables_back(engine)
        if url.drivername.endswith("+pymysql") and "read_timeout" not in {*args, *url.query}:
            _bound_handshake(engine)
        return engine

    def _told(self, engine: "sa.Engine") -> str:
        return f"The database {SecretUrl(engine.url)}"


def _parsed(address: SecretUrl) -> "sa.URL":
    import sqlalchemy as sa

    try:
        if not address.is_cut:
            return sa.make_url(address.reveal())
    except (sa.exc.ArgumentError, ValueError):  # A port that is no number is a ValueError.
        pass
    # Raised out here, so that the parser's error, which shows the text, is not what it comes from.
    raise ConfigError(
        "The url is none of SQLAlchemy's.",
        hint="Write dialect://user:password@host:port/database, "
        "with special characters percent-encoded.",
    )


def _open(engine: "sa.Engine") -> "sa.Connection":
    """Connect, and let errors be those of the driver."""
    import sqlalchemy as sa

    try:
        return engine.connect()
    except sa.exc.DBAPIError as error:
        raise (error.orig or error) from None


def _roll_tables_back(engine: "sa.Engine") -> None:
    """Have SQLite begin the transaction with its first statement, whatever that is.

    The driver would begin it with the first statement that writes rows. A table that is made or
    dropped before that would be so at once, and stay so if the load fails.
    """
    from sqlalchemy import event

    def connect(driver: Any, _record: Any) -> None:
        driver.isolation_level = None

    def begin(connection: "sa.Connection") -> None:
        # Without IMMEDIATE, two transactions that have read could not both begin to write.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)


def _bound_handshake(engine: "sa.Engine") -> None:
    """Have PyMySQL wait for the handshake as long as for the connection, and not for ever."""
    from sqlalchemy import event

    def do_connect(_dialect: Any, _record: Any, _cargs: list[Any], cparams: dict[str, Any]) -> None:
        cparams["read_timeout"] = float(cparams.get("connect_timeout", CONNECT_SECONDS))

    def connect(driver: Any, _record: Any) -> None:
        driver._read_timeout = None  # noqa: SLF001 - a statement may take its time

    event.listen(engine, "do_connect", do_connect)
    event.listen(engine, "connect", connect)

"""What a cache has of SQL: its url and engine, statements and queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from etl_assets.arguments import COUNT, TEXT, check, checked
from etl_assets.exceptions import DestinationError, InputError
from etl_assets.model.json.lines import exact_decoder
from etl_assets.model.schema.types import is_json
from etl_assets.packages import missing_dialect, missing_driver
from etl_assets.redaction import redact
from etl_assets.secrets.string import SecretString

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

    from etl_assets.caches.tables import CacheTables
    from etl_assets.destinations.database.destination import DatabaseDestination


class SqlAccess:
    """The verbs of a cache that are about SQL."""

    json_is_text: ClassVar[bool] = False
    """The database's driver gives JSON as text, and cannot tell it from any other."""

    @property
    def destination(self) -> "DatabaseDestination":
        """The destination that writes to the database."""
        raise NotImplementedError(f"{type(self).__name__} must override destination.")

    def tables(self) -> "CacheTables":
        """Return the tables of the cache as they are now."""
        raise NotImplementedError(f"{type(self).__name__} must override tables.")

    def get_database_name(self) -> str:
        """Return the database's name."""
        raise NotImplementedError(f"{type(self).__name__} must override get_database_name.")

    def make_url(self) -> "URL":
        """Return SQLAlchemy's URL, with the password; a hook."""
        raise NotImplementedError(f"{type(self).__name__} must override make_url.")

    def get_sql_alchemy_url(self) -> SecretString:
        """Return SQLAlchemy's URL as a text.

        It has the password, so it is masked wherever it would be shown.
        """
        return SecretString(self.make_url().render_as_string(hide_password=False))

    def get_sql_engine(self) -> "Engine":
        """Return an SQLAlchemy engine.

        It keeps no connection open: a load could not come in beside one.

        Raises:
            ConfigError: The package of its driver or its dialect is not installed.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.exc import NoSuchModuleError
        from sqlalchemy.pool import NullPool

        url = self.make_url()
        try:
            return create_engine(url, poolclass=NullPool, hide_parameters=True)
        except NoSuchModuleError as error:
            raise missing_dialect(url.drivername, type(self).__name__) from error
        except ImportError as error:
            raise missing_driver(url.drivername, error, type(self).__name__) from error

    def get_vendor_client(self) -> Any:
        """Return a connection by the database's own library; whoever asks closes it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no get_vendor_client: there is no client of its own."
        )

    def get_create_table_extra_clauses(self) -> list[str]:
        """Return what PyAirbyte adds to CREATE TABLE: nothing here."""
        return []

    @checked(sql=((str, list, tuple), "SQL, or a list of statements"))
    def execute_sql(self, sql: str | list[str]) -> None:
        """Run statements in one transaction: all of them, or none.

        Raises:
            InputError: One of them is no text.
        """
        for statement in [sql] if isinstance(sql, str) else sql:
            _check_statement("execute_sql", statement)
        with self.destination.transaction() as tx:
            for statement in [sql] if isinstance(sql, str) else sql:
                tx.execute(statement)

    @checked(sql_query=TEXT, max_records=COUNT)
    def run_sql_query(
        self, sql_query: str, *, max_records: int | None = None
    ) -> list[dict[str, Any]]:
        """Run a query and give its rows.

        Args:
            sql_query: The query.
            max_records: Give at most so many; None for all.

        Raises:
            InputError: It is empty, or a statement that gives no rows.
            DestinationError: The database says that the query is wrong.
        """
        from sqlalchemy import text

        _check_statement("run_sql_query", sql_query)
        with self._translating(), self.get_sql_engine().connect() as connection:
            found = connection.execute(text(sql_query))
            if not found.returns_rows:
                raise InputError(
                    "run_sql_query: this statement gives no rows.",
                    hint="Run such statements with execute_sql().",
                )
            rows = found.mappings()
            records = [
                dict(row)
                for row in (rows.all() if max_records is None else rows.fetchmany(max_records))
            ]
            found.close()  # what was not fetched would hold a lock
        for name in self._json_names(sql_query) if self.json_is_text else ():
            for record in records:
                if isinstance(record.get(name), str):
                    record[name] = exact_decoder.decode(record[name])
        return records

    @contextmanager
    def _translating(self) -> Iterator[None]:
        from sqlalchemy.exc import DBAPIError

        try:
            yield
        except DBAPIError as error:
            raise DestinationError(
                f"{type(self).__name__}: the query failed: {redact(str(error.orig))}"
            ) from error

    def _json_names(self, sql_query: str) -> set[str]:
        """Return the JSON columns of those tables of the cache that a query names."""
        found: set[str] = set()
        named = [table for table in self.tables().tables.values() if table.name in sql_query]
        with self.destination.transaction() as tx:
            for table in named:
                found |= {field.name for field in tx.schema(table) or () if is_json(field.type)}
        return found


def _check_statement(called: str, statement: Any) -> None:
    check(called, "each statement", statement, TEXT)
    if not statement.strip():
        raise InputError(f"{called}: the statement is empty.", hint="Give SQL text.")

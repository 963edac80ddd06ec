"""How Mage's connectors reach what they read from and load into: the bases of `connections.*`."""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from etl_assets.exceptions import ConfigError
from etl_assets.logs import Logger


class Connection:
    """A way to a database or a service, with a logger.

    Args:
        verbose: 0 turns the log off.
        kwargs: Arguments that only other connections of Mage know.
    """

    def __init__(self, verbose: int = 1, **kwargs: Any) -> None:
        del kwargs
        self.verbose = verbose
        self.logger = Logger(self, verbose=verbose)

    def build_tags(self, **kwargs: Any) -> dict[str, Any]:
        """Return the tags that have a value."""
        return self.logger.build_tags(**kwargs)

    def info(self, message: str, tags: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Log a message."""
        self.logger.info(message, tags=tags, stacklevel=2, **kwargs)

    def error(self, message: str, tags: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Log an error."""
        self.logger.error(message, tags=tags, stacklevel=2, **kwargs)

    def exception(self, message: str, tags: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Log an error, with the exception that is being handled."""
        self.logger.error(message, tags=tags, exc_info=sys.exc_info()[1], stacklevel=2, **kwargs)


class SqlConnection(Connection):
    """A way to a database whose driver follows Python's DB-API.

    A subclass MUST override `build_connection`.
    """

    def build_connection(self) -> Any:
        """Open a connection of the driver."""
        raise NotImplementedError(f"{type(self).__name__} must override build_connection.")

    def close_connection(self, connection: Any) -> None:
        """Close a connection that `build_connection` has opened."""
        connection.close()

    def streaming_cursor(self, connection: Any) -> Any:
        """Return a cursor that fetches rows bit by bit, if the driver has one."""
        return connection.cursor()

    def execute(
        self,
        query_strings: Sequence[str],
        commit: bool = False,  # noqa: FBT001, FBT002 - Mage's signature
        connection: Any = None,
        log_exception: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> list[list[tuple[Any, ...]]]:
        """Run statements one after the other, and return the rows of each that returns rows.

        Args:
            query_strings: The statements.
            commit: Commit when all have run.
            connection: The connection they run in. By default one is opened and closed again.
            log_exception: Log a failure as an error, else as information.
        """
        opened = connection
        if connection is None:
            opened = self.build_connection()
        try:
            found = self.execute_with_connection(opened, query_strings, log_exception=log_exception)
            if commit:
                opened.commit()
        finally:
            if connection is None:
                self.close_connection(opened)
        return found

    def execute_with_connection(
        self,
        connection: Any,
        query_strings: Sequence[str],
        log_exception: bool = True,  # noqa: FBT001, FBT002 - Mage's signature
    ) -> list[list[tuple[Any, ...]]]:
        """Run statements in a connection that is open. It may be overridden."""
        with closing(connection.cursor()) as cursor:
            return self.get_data_from_query_strings(
                cursor, query_strings, log_exception=log_exception
            )

    def get_data_from_query_strings(
        self,
        cursor: Any,
        query_strings: Sequence[str],
        log_exception: bool = True,  # noqa: FBT001, FBT002 - Mage's signature
    ) -> list[list[tuple[Any, ...]]]:
        """Run statements with a cursor. It may be overridden.

        The log names the first word of each, never the values in them.
        """
        found = []
        for number, statement in enumerate(query_strings, 1):
            verb = statement.split(maxsplit=1)[0].upper() if statement.strip() else ""
            try:
                cursor.execute(clean_query(statement))
                if cursor.description:
                    found.append(cursor.fetchall())
            except Exception as error:
                log = self.logger.error if log_exception else self.logger.info
                log(
                    "statement %d of %d (%s) failed: %s",
                    number,
                    len(query_strings),
                    verb,
                    type(error).__name__,
                )
                raise
            self.logger.debug("statement %d of %d (%s) has run", number, len(query_strings), verb)
        return found

    def load(self, query_string: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.execute([query_string])[0]

    def rows(self, query_string: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query in lists of at most `size`.

        It is one statement, so all rows are of one state of the table.
        """
        connection = self.build_connection()
        try:
            with closing(self.streaming_cursor(connection)) as cursor:
                cursor.execute(clean_query(query_string))
                while found := cursor.fetchmany(size):
                    yield found
        finally:
            self.close_connection(connection)


def clean_query(query_string: str) -> str:
    """Return a statement without the space around it."""
    return query_string.strip(" \n\t")


def driver(*names: str, install: str) -> Any:
    """Import the first of some modules that is installed.

    Args:
        names: The modules.
        install: The package that has them, as pip knows it.

    Raises:
        ConfigError: None of them is installed.
    """
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or "?"):
                raise
    raise ConfigError(f"{' and '.join(names)} cannot be imported.", hint=f"pip install {install}")


class ServiceConnection(Connection):
    """A way to a service of Google's, by a service account.

    Args:
        credentials_info: The account's JSON as a dict, or credentials of `google.oauth2`.
        path_to_credentials_json_file: Or the file that holds it.
    """

    scopes: Sequence[str] | None = None

    def __init__(
        self,
        credentials_info: Any = None,
        path_to_credentials_json_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.credentials_info = credentials_info
        self.path_to_credentials_json_file = path_to_credentials_json_file

    def require_credentials(self) -> None:
        """Refuse to go on without credentials.

        Raises:
            ConfigError: There are none.
        """
        if not self.credentials_info and not self.path_to_credentials_json_file:
            raise ConfigError(
                f"{type(self).__name__} has no credentials.",
                hint="Give it `credentials_info` or `path_to_credentials_json_file`.",
            )

    def credentials(self) -> Any:
        """Return the credentials as `google.oauth2` has them.

        None means that the client looks for the environment's own.
        """
        if self.credentials_info is not None and not isinstance(self.credentials_info, Mapping):
            return self.credentials_info
        account = driver("google.oauth2.service_account", install="google-auth").Credentials
        options = {"scopes": list(self.scopes)} if self.scopes else {}
        if self.credentials_info is not None:
            return account.from_service_account_info(self.credentials_info, **options)
        if self.path_to_credentials_json_file is not None:
            return account.from_service_account_file(self.path_to_credentials_json_file, **options)
        return None

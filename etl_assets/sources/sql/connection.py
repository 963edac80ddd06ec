"""Connections to read a database: one read-only snapshot, and errors that say what is wrong."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from etl_assets.exceptions import ConfigError, ConnectError, DataError, UnavailableError
from etl_assets.redaction import remember_config
from etl_assets.secrets.references import resolve
from etl_assets.secrets.url import SecretUrl
from etl_assets.sources.sql import expressions
from etl_assets.sources.sql.address import parse_url, verified_tls
from etl_assets.sources.sql.clock import Clock
from etl_assets.sources.sql.errors import as_database_errors, translated
from etl_assets.sources.sql.postgres import direct

if TYPE_CHECKING:
    import sqlalchemy as sa

    from etl_assets.sources.sql.postgres.direct import Address

CONNECT_SECONDS = 30
"""How long to wait for a server to answer, where neither URL nor `connect_args` say."""

SQLITE_STEPS = 10_000
"""SQLite looks at the clock every so many steps of its machine."""

_TIMED = {"postgresql", "mysql", "mariadb", "sqlite", "duckdb"}
"""Where a statement's time can be limited."""

DAY = 86_400

FIRST_PAUSE = 0.2
"""Seconds before the first new attempt to connect; each further pause is three times as long."""


@dataclass(frozen=True)
class Server:
    """Where to connect, and how; nothing is resolved before `connected` is called.

    Args:
        url: Text, a SQLAlchemy URL, or a reference with `get_value()`.
        source: The source's name, for errors.
        connect_args: Passed to the driver; values may be references.
        statement_timeout: Seconds a statement may take; None for the server's own limit.
        connect_timeout: Seconds to wait for the server to answer; None for a usual time.
        retries: How often to try again to connect to a server that cannot be reached at the moment.
    """

    url: Any
    source: str
    connect_args: Mapping[str, Any] = field(default_factory=dict)
    statement_timeout: float | None = None
    connect_timeout: float | None = None
    retries: int = 2


class Snapshot:
    """One open connection, in a read-only transaction.

    It sees the database as it was when the transaction began.
    """

    def __init__(self, connection: "sa.Connection | direct.Connection", clock: "Clock") -> None:
        self.connection: Any = connection
        self.is_direct = isinstance(connection, direct.Connection)
        self.dialect = connection.dialect.name
        self.failures: list[DataError] = []
        """Errors of our own functions that SQLite called: its driver only says that one failed."""
        self.functions: set[str] = set()
        self.fields: dict[str, str] = {}
        """The columns' names by their labels in the statement that is running."""
        self._clock = clock
        self.statement_seconds: float | None = None

    @property
    def core(self) -> Any:
        """What statements are made of: SQLAlchemy, or our own part of it."""
        if self.is_direct:
            return expressions
        import sqlalchemy

        return sqlalchemy

    def take_sqlalchemy(self) -> None:
        """Go on with SQLAlchemy over the same connection, in a new snapshot."""
        import sqlalchemy as sa

        self.connection.rollback()
        driver = self.connection.driver_connection
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: driver,
            poolclass=sa.NullPool,
            hide_parameters=True,
        )
        self.connection = engine.connect()
        self.is_direct = False
        _begin(self, self.statement_seconds)

    def begin_after(self, sql: str) -> Sequence[Any] | None:
        """Run a statement in its own transaction, then begin the snapshot anew.

        Returns the statement's first row, or None. What a transaction has committed before the
        statement ran is in the snapshot.
        """
        self.connection.rollback()
        row: Sequence[Any] | None = self.connection.exec_driver_sql(sql).first()
        self.connection.rollback()
        _begin(self, self.statement_seconds)
        return row

    @property
    def is_mysql(self) -> bool:
        """Whether this is MySQL or MariaDB."""
        return self.dialect in {"mysql", "mariadb"}

    def restart_clock(self) -> None:
        """Count the time-out from now.

        What the caller did between two fetches is not the statement's time.
        """
        self._clock.restart()

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Interrupt what the driver of a DuckDB file does here, once the time-out has passed."""
        driver: Any = self.connection.connection.driver_connection
        with self._clock.running(driver.interrupt):
            yield

    def add_function(self, name: str, function: Callable[[Any], Any]) -> None:
        """Have SQLite call a Python function of one argument.

        A DataError that the function raises is kept for `translated`.
        """

        def guarded(value: Any) -> Any:
            try:
                return function(value)
            except DataError as error:
                self.failures.append(error)
                raise

        driver: Any = self.connection.connection.driver_connection
        driver.create_function(name, 1, guarded, deterministic=True)
        self.functions.add(name)


@contextmanager
def connected(
    server: Server, *, timeout: float | None = None, plainly: bool = False
) -> Iterator[Snapshot]:
    """Open one connection in one read-only snapshot, and close it whatever happens.

    Args:
        server: Where to.
        timeout: Seconds a statement may take, instead of the server's own option.
        plainly: Do without SQLAlchemy if the database is PostgreSQL with its usual driver. Its
            statements are then made of `expressions`, and nothing can be reflected.

    Raises:
        ConfigError: The URL is wrong, or its driver is not installed.
        ConnectError: The database cannot be reached, does not exist, or does not let us in.
    """
    seconds = server.statement_timeout if timeout is None else timeout
    connect_seconds = server.connect_timeout if timeout is None else timeout
    clock = Clock(seconds)
    with _line(server, connect_seconds, clock, plainly=plainly) as (url, connect):
        where = f"source {server.source!r} ({SecretUrl(url)})"
        connection = _connect(connect, where, server.retries if timeout is None else 0)
        snapshot = Snapshot(connection, clock)
        try:
            snapshot.statement_seconds = seconds
            with translated(where, phase="connecting"):
                _begin(snapshot, seconds)
            with translated(where, phase="reading", failures=snapshot.failures):
                yield snapshot
        finally:
            _close(snapshot.connection)


@contextmanager
def _line(
    server: Server, connect_seconds: float | None, clock: Clock, *, plainly: bool
) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """Yield the address of a server, and what connects to it."""
    address = direct.direct_address(server.url, server.source) if plainly else None
    if address is not None and find_spec("psycopg") is not None:
        args = address.arguments() | _arguments(server, address, connect_seconds)
        yield address, partial(direct.connect, args)
        return
    engine = _engine(server, connect_seconds, clock)
    try:
        yield engine.url, engine.connect
    finally:
        engine.dispose()


def _connect(connect: Callable[[], Any], where: str, retries: int) -> Any:
    """Connect; to a server that cannot be reached at the moment, again after a pause."""
    pause = FIRST_PAUSE
    while True:
        try:
            with translated(where, phase="connecting"):
                return connect()
        except UnavailableError:
            if not retries:
                raise
            retries -= 1
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
            pause *= 3


def _close(connection: Any) -> None:
    if isinstance(connection, direct.Connection):
        connection.close()
        return
    import sqlalchemy as sa

    # Nothing was written, and the result is complete or not wanted: a failure here would hide the
    # one that matters.
    with suppress(sa.exc.DBAPIError):
        connection.close()


def _engine(server: Server, connect_seconds: float | None, clock: Clock) -> "sa.Engine":
    import sqlalchemy as sa

    url = parse_url(server.url, server.source)
    if server.statement_timeout is not None and url.get_backend_name() not in _TIMED:
        raise ConfigError(
            f"source {server.source!r}: statement_timeout has no effect on "
            f"{url.get_backend_name()}.",
            hint="Leave statement_timeout out, and limit what a statement may take in the "
            "database.",
        )
    if url.get_backend_name() == "duckdb":
        from etl_assets.sources.sql.duckdb.file import with_reflection

        url = with_reflection(url)
    args = _arguments(server, url, connect_seconds)
    try:
        engine = sa.create_engine(
            url, poolclass=sa.NullPool, hide_parameters=True, connect_args=args
        )
    except sa.exc.NoSuchModuleError:
        from etl_assets.packages import missing_dialect

        raise missing_dialect(url.drivername, f"source {server.source!r}") from None
    except ImportError as error:
        from etl_assets.packages import missing_driver

        raise missing_driver(url.drivername, error, f"source {server.source!r}") from error
    if url.get_backend_name() == "sqlite":
        _prepare_sqlite(engine, server.source, clock)
    if url.get_backend_name() == "duckdb":
        from etl_assets.sources.sql.duckdb.file import read_only

        read_only(engine, server.source, clock)
    waits_for_handshake = "read_timeout" not in {*args, *url.query}
    if url.drivername.endswith("+pymysql") and waits_for_handshake:
        _bound_handshake(engine, float(args.get("connect_timeout", CONNECT_SECONDS)))
    return engine


def _arguments(
    server: Server, url: "sa.URL | Address", connect_seconds: float | None
) -> dict[str, Any]:
    """Return what the driver is told beside the URL."""
    args: dict[str, Any] = dict(
        resolve(dict(server.connect_args), name=f"connect_args of source {server.source!r}")
    )
    remember_config(args)
    backend = url.get_backend_name()
    said = {*args, *url.query}
    waits_for_ever = backend in {"postgresql", "mysql", "mariadb"}
    if waits_for_ever and not said & {"connect_timeout", "timeout"}:
        args["connect_timeout"] = max(1, round(connect_seconds or CONNECT_SECONDS))
    if url.drivername.endswith(("+pymysql", "+mysqldb")) and "charset" not in said:
        args["charset"] = "utf8mb4"  # any other would replace characters without a word
    if url.drivername.endswith("+psycopg") and "client_encoding" not in said:
        # By default it is the server's: of one that does not know its own (SQL_ASCII), the driver
        # gives bytes for text.
        args["client_encoding"] = "UTF8"
    return args | verified_tls(url, args)


def _bound_handshake(engine: "sa.Engine", seconds: float) -> None:
    """Have PyMySQL wait for the handshake no longer than for the connection.

    It would wait forever otherwise.
    """
    from sqlalchemy import event

    def do_connect(_dialect: Any, _record: Any, _cargs: list[Any], cparams: dict[str, Any]) -> None:
        cparams["read_timeout"] = seconds

    def connect(driver: Any, _record: Any) -> None:
        driver._read_timeout = None  # noqa: SLF001 - a query may take its time

    event.listen(engine, "do_connect", do_connect)
    event.listen(engine, "connect", connect)


def _prepare_sqlite(engine: "sa.Engine", source: str, clock: Clock) -> None:
    from sqlalchemy import event

    def do_connect(_dialect: Any, _record: Any, cargs: list[Any], cparams: dict[str, Any]) -> None:
        cargs[0], is_uri = _existing_file(str(cargs[0]), source, is_uri=bool(cparams.get("uri")))
        if is_uri:
            cparams["uri"] = True

    def connect(driver: Any, _record: Any) -> None:
        driver.isolation_level = None  # the driver would begin its transactions where it likes
        driver.execute("PRAGMA query_only = ON")
        if clock.seconds is not None:
            driver.set_progress_handler(clock.is_over, SQLITE_STEPS)

    def before_execute(*_: Any) -> None:
        clock.restart()

    event.listen(engine, "do_connect", do_connect)
    event.listen(engine, "connect", connect)
    event.listen(engine, "before_cursor_execute", before_execute)


def _existing_file(name: str, source: str, *, is_uri: bool) -> tuple[str, bool]:
    """Return the name in a form with which SQLite never creates the file."""
    if name in {"", ":memory:"} or "mode=memory" in name or name.startswith("file::memory:"):
        return name, is_uri
    if is_uri:
        if "mode=" in name:
            return name, True
        return f"{name}{'&' if '?' in name else '?'}mode=rw", True
    if not Path(name).is_file():
        raise ConnectError(
            f"source {source!r}: there is no file {name!r}.",
            hint="Check the path in the url; it is never created.",
        )
    # Writable where the file is, so that SQLite can roll back what a killed writer left; query_only
    # keeps us from it.
    return f"file:{quote(name)}?mode=rw", True


def _begin(snapshot: Snapshot, seconds: float | None) -> None:
    """Begin the transaction that holds the snapshot.

    Its settings make values come as text in a form that we know.
    """
    run = snapshot.connection.exec_driver_sql
    if snapshot.dialect == "postgresql":
        settings = {
            "timezone": "UTC",
            "datestyle": "ISO, YMD",
            "intervalstyle": "iso_8601",
            "extra_float_digits": "3",
            "bytea_output": "hex",
            "lc_monetary": "C",
            "quote_all_identifiers": "off",
            "transform_null_equals": "off",
            "client_encoding": "UTF8",
        }
        if seconds is not None:
            settings["statement_timeout"] = str(max(1, round(seconds * 1000)))
        said = ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"]
        said += [f"SET LOCAL {name} = '{value}'" for name, value in settings.items()]
        if snapshot.connection.dialect.driver in {"psycopg", "psycopg2"}:
            said = ["; ".join(said)]  # the other drivers take one statement at a time
        for sql in said:
            run(sql)
    elif snapshot.is_mysql:
        _begin_mysql(snapshot, seconds)
    elif snapshot.dialect == "sqlite":
        run("BEGIN")


_MYSQL_SETTINGS = (
    # As the server or the user may have set them: a CHAR would come padded, a read would end after
    # so many rows, and `IS NULL` would find the row that was inserted last.
    "SET SESSION time_zone = '+00:00', SESSION sql_mode = REPLACE(@@SESSION.sql_mode, "
    "'PAD_CHAR_TO_FULL_LENGTH', ''), "
    "SESSION sql_select_limit = 18446744073709551615, SESSION sql_auto_is_null = 0"
)


def _begin_mysql(snapshot: Snapshot, seconds: float | None) -> None:
    run = snapshot.connection.exec_driver_sql
    run(_MYSQL_SETTINGS)
    run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    # Rows wait in the server while the destination is busy; by default it would hang up after a
    # minute.
    run(f"SET SESSION net_write_timeout = {DAY}")
    if seconds is not None:
        if getattr(snapshot.connection.dialect, "is_mariadb", False):
            run(f"SET SESSION max_statement_time = {max(0.001, round(seconds, 3))}")
        else:
            run(f"SET SESSION max_execution_time = {max(1, round(seconds * 1000))}")
    run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")


class Rows(Protocol):
    """The rows of a statement, which come as they are asked for."""

    def fetchmany(self, rows: int, /) -> Sequence[Sequence[Any]]:
        """Return the next rows; none at the end."""
        ...


@contextmanager
def streamed(
    server: Server, snapshot: Snapshot, statement: "sa.Select[Any]", rows: int
) -> Iterator[Rows]:
    """Run a statement with a server-side cursor, which is closed cleanly when the caller stops."""
    import sqlalchemy as sa

    if snapshot.dialect == "sqlite":
        with closing(_SqliteRows(snapshot, statement)) as fetched:
            yield fetched
        return
    thread = None
    if snapshot.is_mysql:
        thread = int(snapshot.connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())
    options = {"stream_results": True, "max_row_buffer": rows, "yield_per": rows}
    result = snapshot.connection.execute(statement, execution_options=options)
    complete = False
    try:
        yield result
        complete = True
    finally:
        if not complete and thread is not None:
            # MySQL's protocol has no word for "stop": the driver would read all the remaining rows,
            # only to throw them away.
            _kill(server, thread)
        with suppress(sa.exc.DBAPIError, *_driver_errors(snapshot)):
            result.close()


class _SqliteRows:
    """The rows of a statement from SQLite's own cursor, with no objects made around them."""

    def __init__(self, snapshot: Snapshot, statement: "sa.Select[Any]") -> None:
        dialect = snapshot.connection.dialect
        self._error = dialect.loaded_dbapi.Error
        compiled = statement.compile(dialect=dialect)
        named = compiled.construct_params()
        driver: Any = snapshot.connection.connection.driver_connection
        self._cursor = driver.cursor()
        snapshot.restart_clock()
        with as_database_errors(self._error):
            parameters = [named[name] for name in compiled.positiontup or ()]
            self._cursor.execute(str(compiled), parameters)

    def fetchmany(self, rows: int) -> list[tuple[Any, ...]]:
        """Return the next rows."""
        with as_database_errors(self._error):
            fetched: list[tuple[Any, ...]] = self._cursor.fetchmany(rows)
        return fetched

    def close(self) -> None:
        """Give the statement up."""
        # Where nobody has closed a read, its connection may be gone before the statement.
        with suppress(sqlite3.ProgrammingError):
            self._cursor.close()


def _driver_errors(snapshot: Snapshot) -> tuple[type[Exception], ...]:
    base = getattr(snapshot.connection.dialect.dbapi, "Error", None)
    return (base,) if isinstance(base, type) and issubclass(base, Exception) else ()


def _kill(server: Server, thread: int) -> None:
    import sqlalchemy as sa

    engine = _engine(server, 5, Clock(None))
    try:
        with suppress(sa.exc.DBAPIError), engine.connect() as connection:
            connection.exec_driver_sql(f"KILL QUERY {thread}")
    finally:
        engine.dispose()

"""What drivers raise when a connection is lost: each is worth trying again, to a source and to a destination."""

import sqlite3

import duckdb
import psycopg
import psycopg2
import pymysql
import pytest
import sqlalchemy as sa

from etl_assets.destinations.database.errors import translate
from etl_assets.exceptions import ConfigError, UnavailableError
from etl_assets.lost_connections import is_lost
from etl_assets.sources.sql.errors import translated

LOST: list[Exception] = [
    psycopg.OperationalError("the connection is closed"),
    psycopg.OperationalError("the connection is lost"),
    psycopg.OperationalError("consuming input failed: SSL error: unexpected eof while reading"),
    psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly"),
    psycopg.OperationalError("sending query failed: another command is already in progress"),
    psycopg.InterfaceError("the connection is closed"),
    psycopg.errors.ConnectionFailure("gone"),
    psycopg.errors.AdminShutdown("terminating connection due to administrator command"),
    psycopg.errors.CrashShutdown(
        "terminating connection because of crash of another server process"
    ),
    psycopg.errors.CannotConnectNow("the database system is starting up"),
    psycopg.errors.IdleInTransactionSessionTimeout("terminating connection"),
    psycopg.errors.TooManyConnections("sorry, too many clients already"),
    psycopg2.OperationalError("SSL SYSCALL error: EOF detected"),
    psycopg2.OperationalError("SSL connection has been closed unexpectedly"),
    psycopg2.OperationalError("terminating connection due to administrator command"),
    psycopg2.InterfaceError("connection already closed"),
    psycopg2.InterfaceError("cursor already closed"),
    psycopg2.DatabaseError("error with status PGRES_TUPLES_OK and no message from the libpq"),
    *(
        pymysql.OperationalError(number, "x")
        for number in (1040, 1053, 1159, 1161, 1203, 1226, 1927, 2006, 2013, 2055, 3169, 4031)
    ),
    pymysql.InterfaceError(0, ""),
    pymysql.InternalError("Packet sequence number wrong - got 1 expected 2"),
    sqlite3.OperationalError("locking protocol"),
    duckdb.IOException('IO Error: Could not set lock on file "w.duckdb": Conflicting lock is held'),
    Exception(
        "08S01",
        "[08S01] [Microsoft][ODBC Driver 18 for SQL Server]TCP Provider: Error code 0x68 (104)",
    ),
]
NOT_LOST: list[Exception] = [
    psycopg.errors.UndefinedTable('relation "closed connection lost" does not exist'),
    psycopg.OperationalError("FATAL: password authentication failed"),
    pymysql.OperationalError(1146, "no such table: server closed"),
    pymysql.OperationalError(1045, "Access denied"),
    sqlite3.OperationalError("no such column: lost"),
    sqlite3.IntegrityError("NOT NULL constraint failed: connection.closed"),
    sqlite3.IntegrityError("NOT NULL constraint failed: orders.locked"),
    duckdb.ConstraintException("Constraint Error: NOT NULL constraint failed: connection.lost"),
    Exception("42S02", "[42S02] Invalid object name: connection closed"),
]
named = pytest.mark.parametrize(
    "error", LOST, ids=lambda error: f"{type(error).__name__}-{str(error)[:40]}"
)


def of_source(error: Exception, *, invalidated: bool = False) -> None:
    with translated("source", phase="reading", stream="orders"):
        raise sa.exc.DBAPIError(None, None, error, connection_invalidated=invalidated)


@named
def test_a_lost_connection_is_worth_trying_again(error: Exception) -> None:
    assert is_lost(error)
    with pytest.raises(UnavailableError) as told:
        of_source(error)
    assert told.value.stream == "orders"
    assert isinstance(translate(error, "it", "loading"), UnavailableError)


@pytest.mark.parametrize("error", NOT_LOST, ids=lambda error: type(error).__name__)
def test_what_only_speaks_of_it_is_not_tried_again(error: Exception) -> None:
    assert not is_lost(error)
    assert not translate(error, "it", "loading").retryable


@pytest.mark.parametrize(
    "text", ["database is locked", "database table is locked: t", "disk I/O error"]
)
def test_a_file_of_sqlite_that_cannot_be_read_now_is_worth_trying_again(text: str) -> None:
    with pytest.raises(UnavailableError):
        of_source(sqlite3.OperationalError(text))


def test_what_sqlalchemy_knows_of_a_driver_counts() -> None:
    """A dialect that we have no words for tells by itself that the connection is lost."""
    with pytest.raises(UnavailableError):
        of_source(Exception("some driver's words"), invalidated=True)
    assert translate(Exception("some driver's words"), "it", "loading", lost=True).retryable
    for error in (
        sa.exc.PendingRollbackError("Can't reconnect"),
        sa.exc.DisconnectionError("gone"),
    ):
        with pytest.raises(UnavailableError), translated("source", phase="reading"):
            raise error


def test_while_connecting_tls_is_a_matter_of_configuration() -> None:
    error = psycopg.OperationalError("SSL error: certificate verify failed")
    assert isinstance(translate(error, "it", "connecting"), ConfigError)

"""What is wrong with a connection, of each destination on a server: told apart, tried again, or given up in time."""

import os
import re
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    DataError,
    DestinationError,
    UnavailableError,
)
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from tests.servers import (
    MYSQL,
    POSTGRES,
    mysql_query,
    mysql_schema,
    postgres_schema,
    postgres_server,
)
from tests.toys import read

PASSWORD = "canary_password"  # noqa: S105 - no one's
Make = Callable[..., DatabaseDestination]


def _own(kind: type[PostgresDestination | MySQLDestination], url: str) -> Make:
    def make(**changes: Any) -> DatabaseDestination:
        return kind(_changed(url, changes), connect_timeout=1)

    return make


def _by_sqlalchemy(driver: str, url: str) -> Make:
    def make(**changes: Any) -> DatabaseDestination:
        _, _, rest = _changed(url, changes).partition("://")
        return SqlDestination(f"{driver}://{rest}", connect_args={"connect_timeout": 1})

    return make


def _changed(url: str, changes: dict[str, Any]) -> str:
    return sa.make_url(url).set(**changes).render_as_string(hide_password=False)


KINDS: dict[str, Make] = {
    "postgresql": _own(PostgresDestination, POSTGRES),
    "mysql": _own(MySQLDestination, MYSQL),
    "psycopg": _by_sqlalchemy("postgresql+psycopg", POSTGRES),
    "pymysql": _by_sqlalchemy("mysql+pymysql", MYSQL),
}


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    """Return what makes a destination; its address may be changed."""
    kind = str(request.param)
    with postgres_schema() if kind in {"postgresql", "psycopg"} else mysql_schema():
        return KINDS[kind]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between attempts, which are not made."""
    found: list[float] = []
    monkeypatch.setattr("etl_assets.destinations.database.errors.time.sleep", found.append)
    return found


def test_what_is_wrong_with_a_server_is_told_apart(make: Make, pauses: list[float]) -> None:
    cases: list[tuple[dict[str, Any], type[ConnectError], str]] = [
        ({"port": 1}, UnavailableError, "check the port"),
        ({"host": "nowhere.invalid"}, UnavailableError, "name of the host"),
        ({"database": "no_such_database"}, ConnectError, "name of the database"),
        (
            {"username": "nobody_at_all", "password": PASSWORD},
            AuthenticationError,
            "user and password",
        ),
    ]
    for changes, kind, hint in cases:
        pauses.clear()
        with pytest.raises(ConnectError) as caught:
            make(**changes).test_connection()
        assert type(caught.value) is kind
        assert hint in (caught.value.hint or "")
        assert caught.value.retryable == (kind is UnavailableError)
        assert PASSWORD not in str(caught.value)
        assert len(pauses) == (2 if kind is UnavailableError else 0), (
            "only what may pass is tried again"
        )
        assert all(0.1 <= one <= 0.9 for one in pauses)
    make().test_connection()


def test_a_server_that_does_not_answer_is_given_up(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_assets.destinations.database.errors.PAUSES", ())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="firewall"):
            make(host="127.0.0.1", port=silent.getsockname()[1]).test_connection()
        assert time.monotonic() - began < 20


def test_a_statement_may_take_longer_than_to_connect() -> None:
    with mysql_schema():
        for kind in ("mysql", "pymysql"):
            with KINDS[kind]().transaction() as tx:
                assert tx.execute("SELECT SLEEP(1.5)") == [(0,)]


def test_a_postgres_role_that_may_make_nothing_is_told() -> None:
    with postgres_schema() as name:
        server, role = postgres_server(), f"u{name}"
        for sql in (
            f"CREATE SCHEMA {name}",
            f"CREATE ROLE {role} LOGIN",
            f"GRANT USAGE ON SCHEMA {name} TO {role}",
        ):
            server.execute(sql.encode())
        try:
            for state, told in ((name, f"schema {name}"), (f"{name}_state", "database")):
                loader = PostgresDestination(
                    _changed(POSTGRES, {"username": role}), state_schema=state
                )
                with pytest.raises(
                    AuthenticationError, match=f"missing to create in the {told}"
                ) as error:
                    loader.test_connection()
                if state == name:
                    said = str(error.value)
            granting = re.search("GRANT [^;]*", said)
            assert granting is not None
            server.execute(granting[0].encode())
            PostgresDestination(
                _changed(POSTGRES, {"username": role}), state_schema=name
            ).test_connection()
        finally:
            server.execute(f"DROP OWNED BY {role}".encode())
            server.execute(f"DROP ROLE {role}".encode())


def test_a_mysql_user_that_may_make_nothing_is_told() -> None:
    with mysql_schema() as name:
        user = f"u{name}"
        mysql_query(f"CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}'")
        try:
            mysql_query(f"GRANT SELECT, INSERT ON {name}.* TO {user}@'%'")
            url = _changed(MYSQL, {"username": user, "password": PASSWORD, "database": name})
            with pytest.raises(AuthenticationError, match="1044") as caught:
                MySQLDestination(url).test_connection()
            assert "rights" in (caught.value.hint or "")
            mysql_query(f"GRANT CREATE TEMPORARY TABLES ON {name}.* TO {user}@'%'")
            MySQLDestination(url).test_connection()
            assert mysql_query(f"SHOW TABLES FROM {name}") == []
        finally:
            mysql_query(f"DROP USER {user}@'%'")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p#canary/w@127.0.0.1:5432/d",
        "postgresql://u:canary@ry@127.0.0.1/d",
        "postgresql://h:x/d",
        "mariadb://u:canary@127.0.0.1/d",
    ],
)
def test_a_url_that_is_none_of_postgresql_is_told_without_it(url: str) -> None:
    with pytest.raises(ConfigError, match="percent-encoded") as caught:
        PostgresDestination(url).test_connection()
    assert "canary" not in str(caught.value)
    assert "w@" not in str(caught.value)


def test_a_first_load_that_fails_leaves_no_table_in_sqlite(tmp_path: Path) -> None:
    destination = SqlDestination(f"sqlite:///{tmp_path / 'w.sqlite'}")
    stream = Stream("users", primary_key="id")
    with pytest.raises(DataError, match="NaN"):
        sync(read([{"id": 1, "x": float("nan")}], stream), destination)
    with closing(sqlite3.connect(tmp_path / "w.sqlite")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    sync(read([{"id": 1, "x": 1.5}], stream), destination)
    with closing(sqlite3.connect(tmp_path / "w.sqlite")) as connection:
        assert connection.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE '%users'"
        ).fetchall()


def test_a_schema_that_sqlalchemy_does_not_find_is_to_be_made() -> None:
    destination = SqlDestination(
        _changed(POSTGRES, {"drivername": "postgresql+psycopg"}), schema_name="no_such_schema"
    )
    with pytest.raises(
        DestinationError, match=r'"no_such_schema" does not exist.* Make this schema first'
    ):
        sync(read([{"id": 1}], Stream("users", primary_key="id")), destination)


def test_what_answers_is_another_server() -> None:
    url = _changed(
        POSTGRES, {"port": sa.make_url(MYSQL).port or 3306, "host": sa.make_url(MYSQL).host}
    )
    with pytest.raises(ConnectError, match="no PostgreSQL: check host and port"):
        PostgresDestination(url, connect_timeout=2).test_connection()


def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="folder"):
        SQLiteDestination(str(tmp_path / "no" / "w.sqlite")).test_connection()
    (tmp_path / "text").write_text("this is no database" * 100)
    with pytest.raises(ConnectError, match="not a database"):
        SQLiteDestination(str(tmp_path / "text")).test_connection()
    fresh = SQLiteDestination(str(tmp_path / "w.sqlite"))
    fresh.test_connection()
    assert not (tmp_path / "w.sqlite").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(AuthenticationError, match="no right to write"):
        fresh.test_connection()

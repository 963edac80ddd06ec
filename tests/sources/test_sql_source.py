"""A SQL source as its users meet it: what it says before it connects, when it cannot, and what it discovers."""

import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    SourceError,
    UnavailableError,
)
from etl_assets.model.catalog import Catalog
from etl_assets.model.catalog_rediscovery import rediscovered
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from etl_assets.sources.sql.connection import Server, connected
from etl_assets.sources.sql.errors import DriverError
from tests.sources.sql_databases import KINDS, MYSQL, POSTGRES, Database, database, rows

PASSWORD = "s3cret-of-the-shop"  # noqa: S105 - no one's


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with database("sqlite", tmp_path) as opened:
        yield opened


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as opened:
        yield opened


class Reference:
    """Stands for `dagster.EnvVar`."""

    def __init__(self, value: str | None) -> None:
        self.value = value
        self.asked = 0

    def get_value(self) -> str | None:
        self.asked += 1
        return self.value


# Before it connects


def test_making_a_source_connects_to_nothing_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from etl_assets.sources.sql import SqlSource; from etl_assets.model.stream import Stream\n"
        "s = SqlSource('shop', 'postgresql://u:pw@nowhere.invalid/db', streams=[Stream('a')])\n"
        "s.declared_catalog(), repr(s), s.orders(Stream('a'))\n"
        "print([m for m in ('sqlalchemy', 'pandas', 'pyarrow', 'duckdb') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_the_catalog_that_is_known_without_connecting() -> None:
    url = Reference(None)
    assert SqlSource("shop", url).declared_catalog() is None
    assert SqlSource("shop", url, streams=[Stream("a")]).declared_catalog() == Catalog(
        [Stream("a")]
    )
    assert SqlSource("shop", url, catalog=Catalog([Stream("b")])).declared_catalog() == Catalog(
        [Stream("b")]
    )
    assert url.asked == 0


def test_a_password_is_shown_nowhere() -> None:
    url = f"postgresql://{{}}:{PASSWORD}@127.0.0.1:1/db"
    for given in (url.format("ada"), sa.make_url(url.format("ada")), Reference(url.format("ada"))):
        source = SqlSource("shop", given)
        assert PASSWORD not in repr(source)
        with pytest.raises(UnavailableError) as caught:
            source.test_connection()
        assert PASSWORD not in str(caught.value)
        assert "ada:****@127.0.0.1" in str(caught.value)


def test_the_kind_of_storage_is_that_of_the_url() -> None:
    assert SqlSource("s", "postgresql+psycopg://a@b/c").storage_kind == "postgresql"
    assert SqlSource("s", sa.make_url("mysql+pymysql://a@b/c")).storage_kind == "mysql"
    assert SqlSource("s", Reference("sqlite://")).storage_kind == "sql"


def test_options_that_are_none_are_refused() -> None:
    wrong: list[dict[str, Any]] = [{}, {"url": "sqlite://", "on_null_cursor": "ignore"}]
    for options in [*wrong, {"url": "sqlite://", "batch_rows": 0}]:
        with pytest.raises(ConfigError):
            SqlSource("s", **options)


def test_the_url_may_stand_in_the_config(sqlite: Database) -> None:
    SqlSource("s", config={"url": Reference(sqlite.url)}).test_connection()


def test_a_reference_is_resolved_when_a_connection_is_opened(sqlite: Database) -> None:
    url = Reference(sqlite.url)
    source = SqlSource("s", url)
    assert url.asked == 0
    source.test_connection()
    assert url.asked == 1
    url.value = None
    with pytest.raises(ConfigError, match="no value"):
        source.test_connection()


# When it cannot connect


def test_a_missing_sqlite_file_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "none.db"
    for url in (f"sqlite:///{file}", f"sqlite:///file:{file}?uri=true"):
        with pytest.raises(ConnectError):
            SqlSource("s", url).test_connection()
        assert not file.exists()
    with pytest.raises(ConnectError):
        SqlSource("s", f"sqlite:///{tmp_path}").test_connection()


def test_a_sqlite_file_of_any_name_is_read_and_never_written(tmp_path: Path) -> None:
    file = tmp_path / "a ?#%20é.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE t (id integer)")
    connection.commit()
    connection.close()
    source = SqlSource("s", sa.URL.create("sqlite", database=str(file)))
    assert list(source.discover()) == [("", "t")]
    with (
        pytest.raises(SourceError),
        connected(Server(sa.URL.create("sqlite", database=str(file)), "s")) as snapshot,
    ):
        snapshot.connection.exec_driver_sql("INSERT INTO t VALUES (1)")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("this is no database" * 100)
    with pytest.raises((ConnectError, SourceError), match="not a database"):
        SqlSource("s", f"sqlite:///{tmp_path / 'a.db'}").discover()
    with pytest.raises(ConnectError, match="not a database"):
        SqlSource("s", f"sqlite:///{tmp_path / 'a.db'}").test_connection()


def test_a_locked_sqlite_file_can_be_tried_again(sqlite: Database) -> None:
    writer = sqlite3.connect(sa.make_url(sqlite.url).database or "")
    writer.execute("CREATE TABLE t (id integer)")
    writer.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(UnavailableError, match="locked"):
            rows(SqlSource("s", sqlite.url, connect_args={"timeout": 0.1}), Stream("t"))
    finally:
        writer.close()


def server(kind: str, tmp_path: Path, **changes: Any) -> sa.URL:
    with database(kind, tmp_path):  # skips where there is no such server
        return sa.make_url(POSTGRES if kind == "postgresql" else MYSQL).set(**changes)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_what_is_wrong_with_a_server_is_told_apart(kind: str, tmp_path: Path) -> None:
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
    for changes, error, hint in cases:
        with pytest.raises(ConnectError) as caught:
            SqlSource("s", server(kind, tmp_path, **changes)).test_connection()
        assert type(caught.value) is error
        assert hint in (caught.value.hint or "")
        assert caught.value.retryable == (error is UnavailableError)
        assert PASSWORD not in str(caught.value)
        assert isinstance(caught.value.__cause__, sa.exc.OperationalError)
    SqlSource("s", server(kind, tmp_path)).test_connection()


@pytest.mark.parametrize(
    "url", ["nonsense", "foo://x", "mssql+pyodbc://a@b/c", "", "postgresql://a@b:port/c"]
)
def test_a_url_that_leads_nowhere_is_a_matter_of_configuration(url: str) -> None:
    with pytest.raises(ConfigError):
        SqlSource("s", url).test_connection()


def test_missing_rights_are_told_with_the_sqlstate(postgres: Database) -> None:
    role = f"{postgres.schema}_reader"
    postgres.run(
        "CREATE TABLE secret_one (id integer)",
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA {postgres.schema} TO {role}",
    )
    try:
        url = sa.make_url(postgres.url).set(username=role)
        with pytest.raises(AuthenticationError, match=r"SQLSTATE 42501.*secret_one") as caught:
            rows(SqlSource("s", url), Stream("secret_one"))
        assert caught.value.stream == "secret_one"
    finally:
        postgres.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_an_error_of_the_database_shows_no_value_of_a_row(postgres: Database) -> None:
    postgres.run(
        "CREATE TABLE t (id text)",
        f"INSERT INTO t VALUES ('{PASSWORD}')",
        "CREATE VIEW v AS SELECT id::integer AS id FROM t",
    )
    with pytest.raises(SourceError, match="22P02") as caught:
        rows(postgres.source(), Stream("v"))
    assert PASSWORD not in str(caught.value)
    assert isinstance(caught.value.__cause__, DriverError)


def test_a_server_that_goes_away_during_the_read_can_be_tried_again(postgres: Database) -> None:
    postgres.run(
        "CREATE TABLE t (id integer PRIMARY KEY)",
        "INSERT INTO t SELECT generate_series(1, 2000000)",
    )
    source = postgres.source(batch_rows=10)
    read = source.load_data(Stream("t", primary_key="id"))
    next(read)
    postgres.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND pid <> pg_backend_pid() "
        "AND datname = current_database() "
        f"AND pid IN (SELECT pid FROM pg_locks WHERE relation = '{postgres.schema}.t'::regclass)"
    )
    with pytest.raises(UnavailableError):
        list(read)


# What it discovers


def test_discovery_gives_tables_views_keys_and_comments(made: Database) -> None:
    made.run(
        "CREATE TABLE users (id integer NOT NULL PRIMARY KEY, name varchar(10) NOT NULL, at timestamp NULL)",
        "CREATE TABLE links (a integer NOT NULL, b integer NOT NULL, PRIMARY KEY (b, a))",
        "CREATE VIEW names AS SELECT id, name FROM users",
    )
    if made.kind == "postgresql":
        made.run(
            "COMMENT ON TABLE users IS 'who buys'", "COMMENT ON COLUMN users.name IS 'as they say'"
        )
    source = made.source()
    catalog = source.discover()
    assert [stream.name for stream in catalog.streams] == ["links", "users", "names"]
    assert [stream.full_name for stream in catalog.selected] == ["links", "users", "names"]
    users = catalog["users"]
    assert (users.primary_key, users.cursor, users.method) == (("id",), (), "FULL_TABLE")
    assert catalog["links"].primary_key == ("b", "a")
    assert users.metadata_of()["valid-replication-keys"] == ["id", "at"]
    assert users.metadata_of("properties", "id")["inclusion"] == "automatic"
    assert catalog["names"].metadata_of()["is-view"] is True
    if made.kind == "postgresql":
        assert users.description == "who buys"
        assert (users.schema or {})["properties"]["name"] == {
            "type": "string",
            "description": "as they say",
        }
    assert Catalog.from_dict(json.loads(json.dumps(catalog.to_dict()))) == catalog
    assert list(source.discover(["users"])) == [("", "users")]
    with pytest.raises(ConfigError, match="Did you mean 'users'"):
        source.discover(["user"])


def test_discovery_estimates_rows_and_a_committed_catalog_keeps_its_estimate(
    made: Database,
) -> None:
    made.run(
        "CREATE TABLE users (id integer NOT NULL PRIMARY KEY)",
        "CREATE VIEW ids AS SELECT id FROM users",
    )
    made.insert("users", [(number,) for number in range(100)])
    made.run("ANALYZE TABLE users" if made.kind == "mysql" else "ANALYZE users")
    found = made.source().discover()
    told = {stream.name: stream.metadata_of().get("row-count") for stream in found.streams}
    assert told == {"users": None if made.kind == "sqlite" else 100, "ids": None}
    made.insert("users", [(number,) for number in range(100, 300)])
    made.run("ANALYZE TABLE users" if made.kind == "mysql" else "ANALYZE users")
    again = rediscovered(found, made.source().discover())
    assert (again.changes, again.catalog) == ([], found)


def test_discovery_is_cut_by_globs(sqlite: Database) -> None:
    sqlite.run(
        "CREATE TABLE a1 (id integer)",
        "CREATE TABLE a2 (id integer)",
        "CREATE TABLE b (id integer)",
    )
    assert list(sqlite.source(include="a*").discover()) == [("", "a1"), ("", "a2")]
    assert list(sqlite.source(include=["a*", "b"], exclude=["a2"]).discover()) == [
        ("", "a1"),
        ("", "b"),
    ]


def test_an_include_that_no_table_matches_is_warned_of(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite.run("CREATE TABLE a1 (x int)")
    assert list(sqlite.source(include=["a*", "nosuch*"]).discover()) == [("", "a1")]
    assert [record.getMessage() for record in caplog.records] == [
        "include: no table or view matches 'nosuch*'"
    ]


def test_a_schema_becomes_the_namespace(postgres: Database) -> None:
    postgres.run("CREATE TABLE t (id integer)", "INSERT INTO t VALUES (7)")
    schema = postgres.schema or ""
    source = SqlSource("shop", POSTGRES, schema=schema, include=f"{schema}.*")
    (stream,) = source.discover().streams
    assert stream.key == (schema, "t")
    assert rows(SqlSource("shop", POSTGRES), stream) == [{"id": 7}]
    assert rows(source, Stream("t")) == [{"id": 7}]
    assert rows(
        SqlSource("shop", POSTGRES, schema=["public", schema]), Stream("t", namespace=schema)
    ) == [{"id": 7}]


def test_a_partitioned_table_is_one_stream_and_a_materialized_view_is_one(
    postgres: Database,
) -> None:
    postgres.run(
        "CREATE TABLE p (id integer, d date) PARTITION BY RANGE (d)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2013-01-01') TO ('2014-01-01')",
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS id",
    )
    assert [stream.name for stream in postgres.source().discover().streams] == ["p", "m"]


def test_a_stream_without_a_table_names_the_nearest(made: Database) -> None:
    made.run("CREATE TABLE orders (id integer)")
    with pytest.raises(ConfigError, match="Did you mean 'orders'"):
        rows(made.source(), Stream("order"))
    with pytest.raises(ConfigError, match="replication key 'ad' is no column"):
        rows(made.source(), Stream("orders", replication_key="ad"))


def test_a_table_of_another_schema_is_found_for_the_error(postgres: Database) -> None:
    postgres.run("CREATE TABLE flights_of_ours (id integer PRIMARY KEY)")
    source = SqlSource("s", postgres.url, schema="information_schema")
    with pytest.raises(
        ConfigError, match=rf"There is one in '{postgres.schema}': say schema='{postgres.schema}'"
    ):
        rows(source, Stream("flights_of_ours"))


def test_only_selected_columns_are_read_and_the_keys_always(made: Database) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY, at integer NOT NULL, a integer, b integer)")
    made.run("INSERT INTO t VALUES (1, 2, 3, 4)")
    source = made.source()
    stream = source.discover()["t"]
    assert rows(source, stream) == [{"id": 1, "at": 2, "a": 3, "b": 4}]
    assert rows(source, stream.replace(replication_key="at", columns=["b"])) == [
        {"id": 1, "at": 2, "b": 4}
    ]
    assert rows(source, Stream("t", columns=["a", "i*"])) == [{"id": 1, "a": 3}]


def test_columns_that_come_and_go_at_the_source(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite.run(
        "CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer)",
        "INSERT INTO t VALUES (1, 2, 3)",
    )
    source = sqlite.source()
    stream = source.discover()["t"]
    sqlite.run("ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ADD COLUMN c integer DEFAULT 4")
    with caplog.at_level(logging.WARNING):
        assert rows(source, stream) == [{"id": 1, "b": 3}]
    assert "'t': the table has no column 'a'" in caplog.text
    assert rows(source, stream.replace(auto_add_new_fields=True)) == [{"id": 1, "b": 3, "c": 4}]


def test_a_read_of_many_rows_comes_in_batches_of_the_size_asked_for(made: Database) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY)")
    made.insert("t", [(i,) for i in range(2500)])
    stream = Stream("t", primary_key="id")
    sizes = [
        len(batch)
        for batch in made.source(batch_rows=700).load_data(stream, query={"_limit": 2000})
    ]
    assert sizes == [700, 700, 600]
    assert sum(len(batch) for batch in made.source().load_data(stream)) == 2500


def test_large_rows_make_small_batches(sqlite: Database) -> None:
    sqlite.run("CREATE TABLE t (id integer PRIMARY KEY, b blob)")
    sqlite.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1300) "
        "INSERT INTO t SELECT i, zeroblob(200000) FROM n"
    )
    sizes = [len(batch) for batch in sqlite.source().load_data(Stream("t"))]
    assert sizes[0] == 1000
    assert max(sizes[1:]) <= 64 * 2**20 // 200_000 + 1


def test_the_servers_are_required_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests import servers
    from tests.sources import sql_databases

    monkeypatch.setattr(sql_databases, "POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:1/test")
    monkeypatch.delenv(servers.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception), database("postgresql", tmp_path):
        pass
    monkeypatch.setitem(os.environ, servers.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception), database("postgresql", tmp_path):
        pass

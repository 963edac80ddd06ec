"""The sources by database: addresses in parts, whom they trust, queries as streams, bounds and operators."""

import socket
import ssl
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl_assets import MySQLSource, PostgresSource, SQLiteSource
from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    SourceError,
    StreamNotFoundError,
    UnavailableError,
)
from etl_assets.local_hosts import are_local, libpq_hosts
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from etl_assets.sources.sql.address import Parts, parse_url, verified_tls
from etl_assets.sources.sql.base import Source as BaseOfMage
from etl_assets.sources.sql.connection import Server, connected
from tests.sources.sql_databases import KINDS, MYSQL, POSTGRES, Database, database, rows


class Reference:
    """Stands for `dagster.EnvVar`."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def get_value(self) -> Any:
        return self.value


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as opened:
        yield opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with database("sqlite", tmp_path) as opened:
        yield opened


# Addresses


def of_kind(kind: str, made: Database) -> SqlSource:
    url = sa.make_url(made.url)
    if kind == "sqlite":
        return SQLiteSource(url.database, name="shop")
    parts = {
        "host": url.host,
        "port": Reference(str(url.port)),
        "user": url.username,
        "password": url.password,
    }
    if kind == "mysql":
        return MySQLSource(name="shop", database=url.database, **parts)
    return PostgresSource(name="shop", database=url.database, schema=made.schema, **parts)


def test_an_address_may_be_given_in_parts(made: Database) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (7)")
    source = of_kind(made.kind, made)
    source.test_connection()
    assert source.storage_kind == made.kind
    (stream,) = source.discover().streams
    assert rows(source, stream) == [{"id": 7}]


def test_parts_of_an_address_are_references_and_their_password_is_shown_nowhere() -> None:
    password = "very p@ss:word"  # noqa: S105 - no one's
    source = PostgresSource(
        name="s", host="127.0.0.1", port=1, user="ada", password=Reference(password), database="d"
    )
    assert password not in repr(vars(source))
    with pytest.raises(UnavailableError) as caught:
        source.test_connection()
    assert password not in str(caught.value)
    assert parse_url(source._url, "s").password == password


def test_an_address_is_a_url_or_parts_and_not_both() -> None:
    with pytest.raises(ConfigError, match="needs a url"):
        PostgresSource(name="s")
    with pytest.raises(ConfigError, match="needs a path"):
        SQLiteSource(name="s")
    with pytest.raises(ConfigError, match="a url and host"):
        MySQLSource("mysql://a@b/c", host="b")
    with pytest.raises(ConfigError, match="port is 'x'"):
        parse_url(Parts("mysql", host="h", port="x"), "s")


def test_the_address_may_stand_in_the_config_under_the_words_of_mage(sqlite: Database) -> None:
    config = {
        "host": "h",
        "port": 5432,
        "database": "d",
        "username": "u",
        "password": "p",
        "schema": "x",
    }
    url = parse_url(PostgresSource(name="s", config=config)._url, "s")
    assert (url.host, url.port, url.database, url.username, url.password) == (
        "h",
        5432,
        "d",
        "u",
        "p",
    )
    SQLiteSource(config={"path": sa.make_url(sqlite.url).database}, name="s").test_connection()


def test_a_sqlite_file_may_be_given_by_its_url(sqlite: Database) -> None:
    sqlite.run("CREATE TABLE t (id integer PRIMARY KEY)")
    source = SQLiteSource(sqlite.url, name="shop")
    assert [stream.name for stream in source.discover().streams] == ["t"]
    assert source.storage_kind == "sqlite"


def test_a_url_may_come_first_without_a_name(sqlite: Database) -> None:
    source = SqlSource(sqlite.url)
    assert source.name is None
    source.test_connection()
    assert type(BaseOfMage("sqlite:///x.db")) is type(BaseOfMage(url="sqlite:///x.db")) is SqlSource


# TLS

TLS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("postgresql://u@db.example.com/d", {}, {"sslmode", "sslrootcert"}),
    ("postgresql://u@db.example.com/d", {"sslrootcert": "ca.pem"}, {"sslmode"}),
    ("postgresql://u@db.example.com/d?sslmode=require", {}, set()),
    ("postgresql://u@/d?host=db.example.com", {}, {"sslmode", "sslrootcert"}),
    ("postgresql://u@/d?host=/var/run/postgresql", {}, set()),
    ("postgresql://u@127.0.0.1/d", {}, set()),
    ("postgresql://u@[::1]/d", {}, set()),
    ("postgresql:///d", {}, set()),
    ("postgresql://u@localhost/d?host=db.example.com", {}, {"sslmode", "sslrootcert"}),
    ("postgresql://u@localhost/d?hostaddr=10.0.0.1", {}, {"sslmode", "sslrootcert"}),
    ("postgresql://u@localhost/d", {"host": "db.example.com"}, {"sslmode", "sslrootcert"}),
    ("postgresql://u@/d?host=127.0.0.1,db.example.com", {}, {"sslmode", "sslrootcert"}),
    ("mysql://u@localhost/d", {"host": "db.example.com"}, {"ssl"}),
    ("mysql://u@db.example.com/d", {}, {"ssl"}),
    ("mysql://u@db.example.com/d", {"ssl_disabled": True}, set()),
    ("mysql://u@localhost/d", {}, set()),
    ("mysql+mysqldb://u@10.0.0.1/d", {}, {"ssl_mode"}),
    ("sqlite:///a.db", {}, set()),
]


@pytest.mark.parametrize(
    ("url", "args", "given"), TLS, ids=[f"{url}-{sorted(args)}" for url, args, _ in TLS]
)
def test_the_certificate_of_another_machine_is_checked_unless_told_otherwise(
    url: str, args: dict[str, Any], given: set[str]
) -> None:
    found = verified_tls(parse_url(url, "s"), args)
    assert set(found) == given
    assert found.get("sslmode") in {None, "verify-full"}
    if "ssl" in found:
        assert found["ssl"].verify_mode is ssl.CERT_REQUIRED
        assert found["ssl"].check_hostname


def test_another_machine_that_the_environment_names_is_checked_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "db.example.com")
    assert verified_tls(parse_url("postgresql:///d", "s"), {})["sslmode"] == "verify-full"
    assert verified_tls(parse_url("postgresql://localhost/d", "s"), {}) == {}
    monkeypatch.setenv("PGHOST", "localhost")
    monkeypatch.setenv("PGHOSTADDR", "10.0.0.1")
    assert are_local(libpq_hosts([None, None])) is False
    assert are_local(libpq_hosts(["localhost", "10.0.0.1"])) is False
    assert are_local(libpq_hosts(["localhost", "127.0.0.1"])) is True
    assert verified_tls(parse_url("postgresql:///d", "s"), {})["sslmode"] == "verify-full"


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_that_cannot_prove_who_it_is_is_not_read_from(kind: str, tmp_path: Path) -> None:
    with database(kind, tmp_path) as made:
        options: dict[str, Any] = {"connect_args": {"ssl": ssl.create_default_context()}}
        url = sa.make_url(made.url)
        if kind == "postgresql":
            url, options = (
                url.update_query_dict({"sslmode": "verify-full", "sslrootcert": "system"}),
                {},
            )
        with pytest.raises(ConfigError, match=r"(?i)ssl|certificate") as caught:
            SqlSource("s", url, **options).test_connection()
        assert "certificate authority" in (caught.value.hint or "")


# Trying again


@pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
def test_a_server_that_does_not_answer_is_waited_for_as_long_as_told(
    dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_assets.sources.sql.connection.time.sleep", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{dialect}://u@127.0.0.1:{silent.getsockname()[1]}/d"
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            SqlSource("s", url, connect_timeout=1).test_connection()
        assert time.monotonic() - began < 20


def test_a_server_that_is_away_is_tried_again_and_a_wrong_login_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("etl_assets.sources.sql.connection.time.sleep", pauses.append)
    with (
        pytest.raises(UnavailableError),
        connected(Server("postgresql://u@127.0.0.1:1/d", "s", retries=2)),
    ):
        pass
    assert len(pauses) == 2
    with (
        pytest.raises(UnavailableError),
        connected(Server("postgresql://u@127.0.0.1:1/d", "s"), timeout=1),
    ):
        pass
    assert len(pauses) == 2  # a sensor's question is not repeated
    wrong = sa.make_url(POSTGRES).set(username="nobody_at_all")
    with pytest.raises((AuthenticationError, UnavailableError)), connected(Server(wrong, "s")):
        pass
    assert len(pauses) in {2, 4}  # 4 only where there is no server at all


def test_the_connection_test_finds_a_declared_stream_that_may_not_be_read(
    postgres: Database,
) -> None:
    role = f"{postgres.schema}_reader"
    postgres.run(
        "CREATE TABLE mine (id integer)",
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA {postgres.schema} TO {role}",
    )
    try:
        url = sa.make_url(postgres.url).set(username=role)
        with pytest.raises(AuthenticationError, match=r"stream 'mine'.*permission denied"):
            PostgresSource(url, name="s", streams=[Stream("mine")]).test_connection()
        with pytest.raises(ConfigError, match="Did you mean 'mine'"):
            PostgresSource(url, name="s", streams=[Stream("mime")]).test_connection()
    finally:
        postgres.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


# Queries

SALES = (
    "SELECT day, sum(price) AS total, count(*) AS n FROM sales WHERE day <> ':no%s' GROUP BY day;"
)


def test_a_query_is_a_stream_of_its_own(made: Database) -> None:
    made.run("CREATE TABLE sales (day varchar(10), price decimal(8, 2))")
    made.insert("sales", [("a", "1.25"), ("a", "2.50"), ("b", "4.00")])
    source = made.source(queries={"per_day": SALES}, streams=[Stream("per_day", primary_key="day")])
    assert source.discover().streams[-1].name == "per_day"
    stream = source.discover(["per_day"])["per_day"]
    assert set((stream.schema or {})["properties"]) == {"day", "total", "n"}
    got = sorted(rows(source, stream), key=lambda row: str(row["day"]))
    assert [(row["day"], Decimal(str(row["total"])), row["n"]) for row in got] == [
        ("a", Decimal("3.75"), 2),
        ("b", Decimal(4), 1),
    ]
    assert source.count_records(stream) == source.count_records("per_day") == 2
    with pytest.raises(StreamNotFoundError, match="per_dya"):
        source.count_records("per_dya")
    assert [row["day"] for row in rows(source, Stream("per_day"), query={"n": 1})] == ["b"]


def test_a_query_is_read_incrementally(made: Database) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY, v integer)")
    made.insert("t", [(i, i * i) for i in range(10)])
    source = made.source(queries={"squares": "SELECT id AS n, v FROM t WHERE id > 2"})
    stream = Stream("squares", primary_key="n", replication_key="n")
    assert [row["n"] for row in rows(source, stream, {"n": 7})] == [7, 8, 9]
    assert source.latest(stream) == {"n": 9}


def test_a_query_of_every_postgres_type_is_read_as_its_table(postgres: Database) -> None:
    postgres.run(
        "CREATE TYPE mood AS ENUM ('b', 'a')",
        "CREATE TABLE t (a smallint, b integer, c bigint, d numeric(12, 3), e numeric, f real, g float8, h boolean, "
        "i date, j timestamp, k timestamptz, l time, m text, n char(4), o bytea, p uuid, q jsonb, r integer[], "
        "s interval, u mood, v inet, w numeric(38, 9), x numeric(50, 1))",
        "INSERT INTO t VALUES (1, 2, 3, -4.5, 6.789, 0.1, 0.2, true, '2020-02-29', '2020-01-01 1:02:03.000004', "
        "'2020-01-01 00:00+05:45', '23:59:59.5', 'é', 'ab', '\\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', "
        "'{\"a\": 1.10}', '{1,NULL}', '1 day', 'a', '10.0.0.0/8', 123456789012345678901234567.123456789, 9.9)",
        "INSERT INTO t DEFAULT VALUES",
    )
    source = postgres.source(queries={"q": "SELECT * FROM t"})
    table, query = (
        next(iter(source.load_data(Stream(name)))).to_arrow(Stream(name)) for name in ("t", "q")
    )
    assert query.schema.equals(table.schema)
    assert query.to_pylist() == table.to_pylist()


def test_a_query_may_end_in_a_comment(made: Database) -> None:
    assert rows(made.source(queries={"q": "SELECT 1 AS a -- one"}), Stream("q")) == [{"a": 1}]


def test_columns_of_a_query_have_names_of_their_own(made: Database) -> None:
    source = made.source(queries={"q": "SELECT 1 AS a, 2 AS a"})
    if made.kind == "sqlite":  # which gives the second another name by itself
        assert rows(source, Stream("q")) == [{"a": 1, "a:1": 2}]
        return
    with pytest.raises((ConfigError, SourceError)):
        rows(source, Stream("q"))


def test_a_query_that_the_database_does_not_understand_is_told_by_its_stream(
    made: Database,
) -> None:
    with pytest.raises(SourceError, match="'q'"):
        rows(made.source(queries={"q": "SELEKT 1"}), Stream("q"))


# Bounds and operators


def test_start_and_end_bound_every_read(made: Database) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY)")
    made.insert("t", [(i,) for i in range(10)])
    stream = Stream("t", primary_key="id", replication_key="id")
    source = made.source(start=3, end=8)
    assert [row["id"] for row in rows(source, stream)] == [3, 4, 5, 6, 7]
    assert [row["id"] for row in rows(source, stream, {"id": 6})] == [6, 7]
    assert [
        row["id"] for row in rows(source, stream, query={"_start_date": 1, "_end_date": 5})
    ] == [3, 4]
    assert source.count_records(stream) == 5
    with pytest.raises(ConfigError, match="`start`"):
        rows(made.source(start="yesterday"), stream)
    assert rows(made.source(start=3, end=3), stream) == []
    with pytest.raises(
        ConfigError, match="stream 't': the source's `start` 8 is after its `end` '3', so no 'id'"
    ):
        rows(made.source(start=8, end="3"), stream)


def test_bounds_that_leave_nothing_are_refused_where_their_order_is_known(sqlite: Database) -> None:
    sqlite.run(
        "CREATE TABLE t (at timestamp, name text)",
        "INSERT INTO t VALUES ('2026-01-02 00:00:00', 'b')",
    )
    at, name = (Stream("t", replication_key=key) for key in ("at", "name"))
    with pytest.raises(ConfigError, match="is after its `end`"):
        rows(sqlite.source(start="2026-02-01", end="2026-01-31"), at)
    assert rows(sqlite.source(start="b", end="C"), name) == [], (
        "a collation may have them the other way round"
    )


def test_an_operator_may_leave_out_the_rows_at_the_bookmark(made: Database) -> None:
    made.run("CREATE TABLE t (id integer PRIMARY KEY, day integer)")
    made.insert("t", [(i, i // 2) for i in range(6)])

    def read(
        key: list[str], operators: dict[str, str | None], bookmark: dict[str, int]
    ) -> list[int]:
        stream = Stream(
            "t", primary_key="id", replication_key=key, bookmark_property_operators=operators
        )
        return [row["id"] for row in rows(made.source(), stream, bookmark)]

    assert read(["day"], {"day": ">="}, {"day": 1}) == [2, 3, 4, 5]
    assert read(["day"], {"day": ">"}, {"day": 1}) == [4, 5]
    assert read(["day", "id"], {"day": ">", "id": ">"}, {"day": 1, "id": 2}) == [3, 4, 5]
    assert read(["day", "id"], {"id": ">="}, {"day": 1, "id": 2}) == [2, 3, 4, 5]
    assert read(["day"], {"day": ">", "id": None}, {"day": 1}) == [4, 5]
    for bookmark in ({"day": 1}, {}):  # the first load, too
        with pytest.raises(ConfigError, match=r"stream 't': .*'<' of 'day'"):
            read(["day"], {"day": "<"}, bookmark)
        with pytest.raises(
            ConfigError, match=r"stream 't': .*'daj', which is not in its replication key \('day'\)"
        ):
            read(["day"], {"daj": ">"}, bookmark)


# Discovery


def test_a_unique_key_stands_in_for_a_primary_key(made: Database) -> None:
    made.run(
        "CREATE TABLE a (x integer NOT NULL, y integer NOT NULL, z integer, UNIQUE (x, y), UNIQUE (z))",
        "CREATE TABLE b (id integer NOT NULL PRIMARY KEY, x integer NOT NULL UNIQUE)",
    )
    catalog = made.source().discover()
    assert catalog["a"].primary_key == ("x", "y")
    assert catalog["a"].metadata_of()["unique-keys"] == [["x", "y"]]
    assert catalog["b"].primary_key == ("id",)
    assert catalog["b"].metadata_of()["unique-keys"] == [["x"]]


def test_all_schemas_are_discovered_on_request(postgres: Database) -> None:
    postgres.run("CREATE TABLE only_here (id integer)")
    found = list(PostgresSource(POSTGRES, schema="*", include=f"{postgres.schema}.*").discover())
    assert found == [(postgres.schema, "only_here")]


def test_all_schemas_of_mysql_leave_out_its_own(tmp_path: Path) -> None:
    with database("mysql", tmp_path) as made:
        made.run("CREATE TABLE only_here (id integer)")
        found = MySQLSource(MYSQL, schema="*", include=["*.only_here"]).discover()
        assert (made.schema, "only_here") in list(found)

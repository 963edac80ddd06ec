"""Discovery as a user with few rights: what may not be read neither hides the rest nor changes a type."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from etl_assets.exceptions import AuthenticationError, ConfigError
from etl_assets.model.schema.json_schema import to_arrow
from etl_assets.model.schema.types import json_type
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from tests.sources.sql_databases import Database, database, rows

INSTANT = pa.timestamp("us", "UTC")

TYPES = {
    "low_price": pa.decimal128(9, 2),
    "price": pa.decimal128(9, 2),
    "thousands": pa.decimal128(5, 0),
    "small": pa.decimal128(5, 5),
    "huge": pa.string(),
    "prices": json_type(),
    "moods": pa.string(),
    "moment": INSTANT,
    "short": pa.string(),
    "padded": pa.string(),
    "clock": pa.string(),
    "place": pa.string(),
    "single": pa.float32(),
    "low_price[]": json_type(),
    "numeric(8, 3)": pa.decimal128(8, 3),
    "xid": pa.string(),
    "bpchar": pa.string(),
}
"""By the type of the column; of those that are domains, their types lie below one or two of them."""

DOMAINS = (
    "CREATE TYPE mood AS ENUM ('b', 'a')",
    "CREATE TYPE spot AS (x integer, y text)",
    "CREATE DOMAIN price AS numeric(9, 2)",
    "CREATE DOMAIN low_price AS price CHECK (VALUE < 100)",
    "CREATE DOMAIN thousands AS numeric(2, -3)",
    "CREATE DOMAIN small AS numeric(3, 5)",
    "CREATE DOMAIN huge AS numeric(1000, 500)",
    "CREATE DOMAIN prices AS integer[]",
    "CREATE DOMAIN moods AS mood",
    "CREATE DOMAIN moment AS timestamp(3) with time zone",
    "CREATE DOMAIN short AS varchar(5)",
    "CREATE DOMAIN padded AS char(4)",
    "CREATE DOMAIN clock AS time(3) with time zone",
    "CREATE DOMAIN place AS spot",
    "CREATE DOMAIN single AS real",
)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as opened:
        yield opened


@pytest.fixture
def role(postgres: Database) -> Iterator[str]:
    """A role that may use the schema, and read none of its tables."""
    name = f"r_{postgres.schema}"
    postgres.run(f"CREATE ROLE {name} LOGIN", f"GRANT USAGE ON SCHEMA {postgres.schema} TO {name}")
    try:
        yield name
    finally:
        postgres.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def names(source: SqlSource) -> list[str]:
    return [stream.stream for stream in source.discover().streams]


def test_a_table_that_may_not_be_read_neither_fails_discovery_nor_loses_its_types(
    postgres: Database, role: str
) -> None:
    columns = ", ".join(f"c{i} {type_}" for i, type_ in enumerate(TYPES))
    postgres.run(
        *DOMAINS,
        f"CREATE TABLE everything (id integer PRIMARY KEY, gone price, {columns})",
        "ALTER TABLE everything DROP COLUMN gone",
        "CREATE VIEW all_of_it AS SELECT * FROM everything",
        "CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total low_price)",
        "INSERT INTO orders (total) VALUES (1.5)",
        f"GRANT SELECT ON orders TO {role}",
    )
    for schema in (None, postgres.schema):
        restricted = postgres.source(connect_args={"user": role}, schema=schema)
        found = restricted.discover()
        assert found.to_dict() == postgres.source(schema=schema).discover().to_dict()
        assert [stream.stream for stream in found.streams] == ["everything", "orders", "all_of_it"]
        for stream in (found.streams[0], found.streams[2]):
            read = to_arrow(stream.schema or {})
            assert {type_: read.field(f"c{i}").type for i, type_ in enumerate(TYPES)} == TYPES
        assert [str(row["total"]) for row in rows(restricted, found.streams[1])] == ["1.50"]
        with pytest.raises(AuthenticationError, match="permission denied for table everything"):
            rows(restricted, found.streams[0])


def test_the_types_are_those_of_the_table_that_is_meant(postgres: Database) -> None:
    other = f"{postgres.schema}_b"
    postgres.run(
        "CREATE DOMAIN price AS numeric(9, 2)",
        "CREATE DOMAIN dear AS numeric(12, 4)",
        "CREATE TABLE t (v price)",
        f"CREATE SCHEMA {other}",
        f"CREATE TABLE {other}.t (v dear)",
    )
    try:
        source = postgres.source(schema=[str(postgres.schema), other])
        found = [
            to_arrow(stream.schema or {}).field("v").type for stream in source.discover().streams
        ]
        assert found == [pa.decimal128(9, 2), pa.decimal128(12, 4)]
    finally:
        postgres.run(f"DROP SCHEMA {other} CASCADE")


def test_a_view_of_mysql_that_cannot_be_looked_into_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with database("mysql", tmp_path) as mysql:
        user = f"r_{mysql.schema}"
        mysql.run(
            "CREATE TABLE orders (id integer PRIMARY KEY)",
            "CREATE TABLE gone (id integer PRIMARY KEY)",
            "CREATE VIEW all_orders AS SELECT * FROM orders",
            "CREATE VIEW broken AS SELECT * FROM gone",
            "DROP TABLE gone",
            f"CREATE USER {user}@'%'",
            f"GRANT SELECT ON {mysql.schema}.* TO {user}@'%'",
        )
        try:
            assert names(mysql.source()) == ["orders", "all_orders"]
            (told,) = (record.getMessage() for record in caplog.records)
            assert (
                told
                == "The view 'broken' is left out: what it selects from is gone, or its definer may not read it."
            )
            caplog.clear()
            restricted = mysql.source(connect_args={"user": user, "password": ""})
            assert names(restricted) == ["orders"]
            assert [record.getMessage() for record in caplog.records] == [
                f"The view '{name}' is left out: this user may not see its columns: GRANT SELECT, SHOW VIEW."
                for name in ("all_orders", "broken")
            ]
            with pytest.raises(AuthenticationError, match="SHOW VIEW command denied"):
                rows(restricted, Stream("all_orders"))
            mysql.run(f"GRANT SHOW VIEW ON {mysql.schema}.all_orders TO {user}@'%'")
            assert names(restricted) == ["orders", "all_orders"]
        finally:
            mysql.run(f"DROP USER {user}@'%'")


def test_all_schemas_are_those_that_may_be_used(postgres: Database, role: str) -> None:
    hidden = f"{postgres.schema}_hidden"
    postgres.run(
        "CREATE TABLE orders (id integer)",
        f"CREATE SCHEMA {hidden}",
        f"CREATE TABLE {hidden}.secrets (id integer GENERATED ALWAYS AS IDENTITY)",
    )
    try:
        source = postgres.source(connect_args={"user": role}, schema="*")
        spaces = {stream.namespace for stream in source.discover().streams}
        assert postgres.schema in spaces
        assert hidden not in spaces
        with pytest.raises(AuthenticationError, match=f"permission denied for schema {hidden}"):
            postgres.source(connect_args={"user": role}, schema=hidden).discover()
    finally:
        postgres.run(f"DROP SCHEMA {hidden} CASCADE")


@pytest.mark.parametrize("schema", [True, False])
def test_a_table_without_columns_is_told_as_that(schema: bool, postgres: Database) -> None:
    postgres.run("CREATE TABLE z ()")
    source = postgres.source(schema=postgres.schema if schema else None)
    with pytest.raises(ConfigError, match=r"stream 'z': the table '?[\w.]*z'? has no columns"):
        rows(source, Stream("z"))

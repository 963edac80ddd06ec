"""What real connectors send arrives exact in DuckDB and PostgreSQL, through Dagster, and is read back by others."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg.types.json import Jsonb

from etl_assets.model.catalog import Catalog
from etl_assets.sources.connector import ConnectorSource
from tests.servers import POSTGRES, mysql_connect, mysql_schema, postgres_schema

from .real import Place, Rows, differences, materialized, overheard, place, same, source_of

pytestmark = [pytest.mark.connectors, pytest.mark.timeout(1800)]


@pytest.fixture(params=["duckdb", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def named(source: ConnectorSource, name: str) -> ConnectorSource:
    source.name = name
    return source


FAKER = {
    "count": 300,
    "seed": 42,
    "always_updated": False,
    "parallelism": 1,
    "records_per_slice": 100,
}


@pytest.fixture(scope="module")
def faker() -> ConnectorSource:
    return source_of("source-faker", FAKER)


def test_source_faker_arrives_exact_and_its_second_run_is_incremental(
    faker: ConnectorSource, engine: Place, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    source, sent = overheard(faker, tmp_path)
    first = materialized(named(source, engine.name), engine.destination, instance, faker.discover())
    records = sent()
    assert {name: found["etl_assets/records_loaded"] for name, found in first.items()} == {
        name: len(rows) for name, rows in records.items()
    }
    assert {name: len(rows) for name, rows in records.items() if name != "purchases"} == {
        "products": 100,
        "users": 300,
    }
    for name, rows in records.items():
        assert differences(rows, engine.rows(name), "id") == []
    second = materialized(source, engine.destination, instance, faker.discover())
    assert sent() == records  # and not one of them again
    assert {found["etl_assets/records_loaded"] for found in second.values()} == {0}
    assert second["users"]["etl_assets/bookmark"] == first["users"]["etl_assets/bookmark"]


@pytest.fixture(scope="module")
def smoke_test() -> ConnectorSource:
    return source_of("source-smoke-test", {"all_fast_streams": True, "all_slow_streams": False})


def test_every_edge_case_of_source_smoke_test_arrives_exact(
    smoke_test: ConnectorSource, engine: Place, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    source, sent = overheard(smoke_test, tmp_path)
    found = materialized(
        named(source, engine.name), engine.destination, instance, smoke_test.discover()
    )
    assert len(found) > 5
    records = sent()
    for stream in smoke_test.discover().values():
        wanted = records.get(stream.name, [])
        keyed = (
            stream.primary_key if found[stream.name]["etl_assets/write_strategy"] == "merge" else ()
        )
        if keyed:
            wanted = list({tuple(one[key] for key in keyed): one for one in wanted}.values())
        assert differences(wanted, engine.rows(stream.name), None) == [], stream.name


THINGS = [
    (1, "2026-01-02 03:04:05.678901+00", Decimal("1.5"), "a", True, {"n": [1, None, "x"]}),
    (
        2**62,
        "0001-01-01 00:00:00+00",
        Decimal("-12345678901234567890.123456789"),
        "Größe \U0001f600 'x'",
        False,
        {},
    ),
    (-5, None, None, None, None, None),
]


@pytest.fixture(scope="module")
def things() -> Iterator[str]:
    with (
        postgres_schema() as schema,
        psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True) as connection,
    ):
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        columns = "id bigint PRIMARY KEY, moment timestamptz, price numeric(38,9), name text, ok boolean, more jsonb"
        connection.execute(f"CREATE TABLE {schema}.things ({columns})".encode())
        for row in THINGS:
            values = (*row[:-1], None if row[-1] is None else Jsonb(row[-1]))
            connection.execute(
                f"INSERT INTO {schema}.things VALUES (%s, %s, %s, %s, %s, %s)".encode(), values
            )
        yield schema


TAPS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "meltanolabs": (
        "meltanolabs-tap-postgres",
        lambda schema: {"database": "test", "filter_schemas": [schema]},
    ),
    # It says that it takes no Python above 3.9, and runs under this one.
    "pipelinewise": (
        "--ignore-requires-python pipelinewise-tap-postgres==2.1.0",
        lambda schema: {"dbname": "test", "filter_schemas": schema},
    ),
}


@pytest.mark.parametrize("tap", sorted(TAPS))
def test_a_postgres_tap_arrives_exact(
    things: str, tap: str, engine: Place, instance: dg.DagsterInstance
) -> None:
    package, config = TAPS[tap]
    login = {
        "host": "127.0.0.1",
        "port": 5432,
        "user": "postgres",
        "password": "none",
        **config(things),
    }
    source = source_of("tap-postgres", login, pip_url=package, source_name=engine.name)
    (stream,) = source.discover().values()
    materialized(source, engine.destination, instance)
    stored = {row["id"]: row for row in engine.rows(stream.name)}
    assert set(stored) == {row[0] for row in THINGS}
    for key, moment, price, name, ok, more in THINGS:
        row = stored[key]
        assert (row["price"], row["name"], row["ok"]) == (price, name, ok)
        assert same(moment, row["moment"])
        assert same(more, row["more"])


ORDERS: Rows = [
    {"id": 1, "big": 2**64 - 1, "price": Decimal("12345678901234567890123456789.123456789"), "name": "Größe 'x'",
     "ok": True, "at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "d": 0.1, "n": 1},
    {"id": -(2**63), "big": 0, "price": Decimal("-0.000000001"), "name": "", "ok": False,
     "at": datetime(2000, 2, 29, 23, 59, 59, tzinfo=UTC), "d": 1e300, "n": 2},
    {"id": 3, "big": None, "price": None, "name": None, "ok": None, "at": None, "d": None, "n": 3},
]  # fmt: skip


@pytest.fixture
def orders() -> Iterator[str]:
    with (
        mysql_schema() as database,
        mysql_connect(database=database) as connection,
        connection.cursor() as cursor,
    ):
        columns = "big bigint unsigned, price decimal(38,9), name varchar(200), ok tinyint(1), at datetime(6), d double"
        cursor.execute(
            f"CREATE TABLE orders (id bigint PRIMARY KEY, {columns}, n int) CHARACTER SET utf8mb4"
        )
        for row in ORDERS:
            cursor.execute(
                "INSERT INTO orders VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", list(row.values())
            )
        yield database


def test_tap_mysql_arrives_exact_and_goes_on(
    orders: str, engine: Place, instance: dg.DagsterInstance
) -> None:
    login = {
        "host": "127.0.0.1",
        "port": "3306",
        "user": "root",
        "password": "",
        "filter_dbs": orders,
    }
    source = source_of("tap-mysql", {**login, "database": orders}, source_name=engine.name)
    (found,) = source.discover().values()
    chosen = Catalog(
        [
            found.replace(
                replication_method="INCREMENTAL", replication_key="n", stream_alias="orders"
            )
        ]
    )
    for _ in range(2):
        (told,) = materialized(source, engine.destination, instance, chosen).values()
        assert told["etl_assets/bookmark"]["bookmarks"][found.name]["replication_key_value"] == 3
        stored = sorted(engine.rows("orders"), key=lambda row: int(row["n"]))
        assert [{name: row[name] for name in ORDERS[0]} for row in stored] == ORDERS
    with mysql_connect(database=orders) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE orders SET n = 4, name = 'later' WHERE id = 1")
    (told,) = materialized(source, engine.destination, instance, chosen).values()
    assert told["etl_assets/records_loaded"] == 1
    assert {row["id"]: row["name"] for row in engine.rows("orders")}[1] == "later"

"""What MySQL and MariaDB look at for a sync: never the whole table where an index serves."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import MySQLSource
from etl_assets.sync import resolve_start, sync
from tests import servers
from tests.plans.explained import Statements, in_mysql

OLD, NEW = 40_000, 20_000
FEW = 500
FIRST_NEW = datetime(2026, 6, 1)  # noqa: DTZ001 - the column has no zone
ORDERS = Stream("orders", primary_key=["id"], replication_key="at")
NUMBERS = " CROSS JOIN ".join(
    f"(SELECT 0 AS d{power} "
    + " ".join(f"UNION ALL SELECT {n}" for n in range(1, 10))
    + f") t{power}"
    for power in range(5)
)


def run(*statements: str) -> None:
    with servers.mysql_connect() as server, server.cursor() as cursor:
        for one in statements:
            cursor.execute(one)


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """Yield a database with a table: an index on the key, and many new rows at its end."""
    with servers.mysql_schema() as schema:
        i = "(d0 + 10 * d1 + 100 * d2 + 1000 * d3 + 10000 * d4)"
        old = f"timestamp '2026-01-01 00:00:00' + INTERVAL {i} * 7919 % {OLD} * 10 SECOND"
        new = f"timestamp '{FIRST_NEW}' + INTERVAL {i} SECOND"
        run(
            f"CREATE TABLE {schema}.orders (id bigint PRIMARY KEY, at datetime(6), name varchar(40), KEY (at))",
            f"INSERT INTO {schema}.orders SELECT {i}, IF({i} < {OLD}, {old}, {new}), concat('name ', {i}) "
            f"FROM {NUMBERS} WHERE {i} < {OLD + NEW} ORDER BY 1",
            f"ANALYZE TABLE {schema}.orders",
        )
        yield schema


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statements]:
    with in_mysql(monkeypatch) as heard:
        yield heard


def url(schema: str) -> str:
    return f"{servers.MYSQL.rsplit('/', 1)[0]}/{schema}"


def large(statements: Statements, *tables: str) -> list[str]:
    """Return those that look at many rows of a table, but for the count of all its rows."""
    return [
        str(one)
        for one in statements
        if any(one.looked_at.get(table, 0) > FEW for table in tables)
        and not (one.sql.startswith("SELECT COUNT(*)") and "WHERE" not in one.sql)
    ]


@pytest.mark.parametrize("many", [True, False], ids=["many new rows", "no new row"])
def test_a_read_asks_little_before_it_reads(many: bool, shop: str, statements: Statements) -> None:
    newest = FIRST_NEW + timedelta(seconds=OLD if many else OLD + NEW - 1)
    bookmark = {"at": newest.isoformat()}
    own = MySQLSource(url(shop), name="shop")
    assert sum(map(len, own.load_data(ORDERS, bookmark))) == (NEW if many else 1)
    assert own.pending({ORDERS: bookmark}, timeout=60) == {ORDERS: many}
    own.latest(ORDERS)
    assert len(statements) > 4
    reads = [one for one in statements if "`orders`.`name`" in one.sql or "orders.name" in one.sql]
    assert len(reads) == 1
    assert large(Statements(one for one in statements if one not in reads), "orders") == []
    if not many:
        assert large(Statements(reads), "orders") == []


def test_a_load_looks_at_what_it_changes(shop: str, statements: Statements) -> None:
    """Upserts and a run without anything new, into a table and a ledger that are large."""
    with servers.mysql_schema() as own:
        into = MySQLDestination(url(own), schema_name=own, state_schema=own)
        read = StreamRead(MySQLSource(url(shop), name="shop"), ORDERS)
        sync(read, into, strategy="merge")
        _many_loads(own)
        run(f"UPDATE {shop}.orders SET at = at + INTERVAL 1 YEAR WHERE id IN (5, 30000, {OLD + 1})")
        for least in (3, 0):
            statements.clear()
            found = sync(read, into, strategy="merge", start=resolve_start(read, into))
            assert found.records_read >= least
            assert len(statements) > 8
            tables = ("orders", "t", "_etl_assets_loads", "_etl_assets_state")
            assert large(statements, *tables) == []


def _many_loads(schema: str) -> None:
    """Add the loads of two years, and the states, of this stream and of others."""
    i = "(d0 + 10 * d1 + 100 * d2)"
    some = " CROSS JOIN ".join(NUMBERS.split(" CROSS JOIN ")[:3])
    for table in ("_etl_assets_loads", "_etl_assets_state"):
        columns: list[Any] = servers.mysql_query(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE GENERATION_EXPRESSION IS NULL "
            f"AND TABLE_SCHEMA = '{schema}' AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"
        )
        other = {
            "load_id": f"concat('earlier-', {i})",
            "stream": f"concat('other ', {i})",
            "table_name": f"concat('other ', {i})",
            "commit_number": f"-{i}",
        }
        names = [name for (name,) in columns]
        given = ", ".join(other.get(name, f"`{name}`") for name in names)
        quoted = ", ".join(f"`{name}`" for name in names)
        run(
            f"INSERT INTO {schema}.{table} ({quoted}) SELECT {given} FROM {schema}.{table}, {some}",
            f"ANALYZE TABLE {schema}.{table}",
        )

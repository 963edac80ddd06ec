"""The line is cut at each message of ours to a server, or its answer is lost: tried again, all is there, and once.

No list of statements: a deed is done again and again, cut one message later each time, until it
gets through uncut.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import make_url

from etl_assets.assets.factory import stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import SqlSource
from etl_assets.sync import sync
from etl_assets.testing.proxy import LosingProxy
from tests import servers
from tests.sources.sql_databases import Database, database

APPENDED = Stream("orders", replication_key="updated_at")
MERGED = Stream("orders", primary_key=["id"], replication_key="updated_at")
STREAMS = {"append": APPENDED, "merge": MERGED, "replace": Stream("orders")}
ATTEMPTS = 4
FIRST = [(n, f"name {n}", n) for n in range(20)]
NEWS = [(n, f"name {n}", n) for n in range(20, 25)]
SEVERAL = 3
"""Messages that even the least deed sends."""

full = pytest.mark.full


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl_assets.sources.sql.connection.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("etl_assets.destinations.database.errors.PAUSES", (0.0, 0.0))


def through(url: str, proxy: LosingProxy) -> str:
    """Return a URL whose server is the proxy."""
    host, port = proxy.address
    return make_url(url).set(host=host, port=port).render_as_string(hide_password=False)


def proxied(url: str, **options: Any) -> LosingProxy:
    """Return a proxy before the server of a URL."""
    made = make_url(url)
    return LosingProxy(
        (made.host or "127.0.0.1", made.port or (5432 if "postgresql" in url else 3306)), **options
    )


def insisting(deed: Callable[[], Any], *, streams: Collection[str | None] = ("orders",)) -> Any:
    """Do something again while it fails as what is worth trying again, naming its stream; return what it gave."""
    failed: list[EtlAssetsError] = []
    while len(failed) < ATTEMPTS:
        try:
            given = deed()
        except EtlAssetsError as error:
            failed.append(error)
            time.sleep(0.02)  # until the server has noticed
        else:
            break
    told = [(type(error).__name__, error.retryable, error.stream, str(error)) for error in failed]
    assert len(failed) < ATTEMPTS, told
    assert all(error.retryable and error.stream in streams for error in failed), told
    return given


def each_cut(url: str, *, deliver: bool = False) -> Iterator[LosingProxy]:
    """Return one proxy after the other, each of which cuts one message later, until there was none left to cut."""
    for nth in count(1):
        with proxied(url, word=b"", nth=nth, deliver=deliver) as proxy:
            yield proxy
            if not proxy.lost:
                assert nth > SEVERAL
                return


@pytest.fixture(
    params=["postgresql+psycopg", pytest.param("postgresql+psycopg2", marks=full), "mysql+pymysql"]
)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database with orders, whose URL names the driver."""
    with database(request.param.partition("+")[0], tmp_path) as made:
        made.run(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, name VARCHAR(20), updated_at INTEGER)"
        )
        made.insert("orders", FIRST)
        made.url = (
            make_url(made.url).set(drivername=request.param).render_as_string(hide_password=False)
        )
        yield made


def source(shop: Database, proxy: LosingProxy, stream: Stream) -> SqlSource:
    return SqlSource("shop", through(shop.url, proxy), streams=[stream], batch_rows=8)


ASKED: dict[str, Callable[[SqlSource], Any]] = {
    "test_connection": lambda shop: shop.test_connection(),
    "discover": lambda shop: [one.name for one in shop.discover().values()],
    "count_records": lambda shop: shop.count_records(MERGED),
    "pending": lambda shop: list(shop.pending({MERGED: {"updated_at": 3}}, timeout=30).values()),
    "latest": lambda shop: shop.latest(MERGED),
    "key_ranges": lambda shop: shop.key_ranges(MERGED, 3).ranges,
}
OF_A_STREAM = {"count_records", "latest", "key_ranges"}


@pytest.mark.parametrize(
    "asked", [pytest.param(one, marks=() if one == "key_ranges" else full) for one in ASKED]
)
def test_a_question_to_a_source_is_asked_again(asked: str, shop: Database) -> None:
    expected = ASKED[asked](shop.source(streams=[MERGED]))
    for proxy in each_cut(shop.url):
        cut = source(shop, proxy, MERGED)
        streams = ["orders"] if asked in OF_A_STREAM else ["orders", None]
        assert insisting(lambda: ASKED[asked](cut), streams=streams) == expected  # noqa: B023 - called at once


@pytest.mark.parametrize("news", [pytest.param(True, marks=full), False])
@pytest.mark.parametrize(
    "kind", ["append", pytest.param("merge", marks=full), pytest.param("replace", marks=full)]
)
def test_a_read_is_done_again(kind: str, news: bool, shop: Database, tmp_path: Path) -> None:
    """With nothing new too, where PostgreSQL is only asked for a fingerprint."""
    stream = STREAMS[kind]
    for number, proxy in enumerate(each_cut(shop.url)):
        warehouse = SQLiteDestination(str(tmp_path / f"{number}.db"))
        shop.run(f"DELETE FROM orders WHERE id >= {len(FIRST)}")
        sync(StreamRead(shop.source(streams=[stream]), stream), warehouse)
        if news:
            shop.insert("orders", NEWS)
        cut = StreamRead(source(shop, proxy, stream), stream)
        insisting(lambda: sync(cut, warehouse))  # noqa: B023 - called at once
        assert rows(warehouse, stream) == (FIRST + NEWS if news else FIRST)


def rows(warehouse: DatabaseDestination, stream: Stream) -> list[tuple[Any, ...]]:
    found = warehouse.read_table(
        warehouse.table_for("shop", stream), columns=["id", "name", "updated_at"]
    )
    return sorted(tuple(row.values()) for row in found.to_pylist())


def postgres_place(stack: ExitStack) -> Callable[[str], DatabaseDestination]:
    name = stack.enter_context(servers.postgres_schema())
    return lambda url: PostgresDestination(url, schema_name=name, state_schema=name)


def mysql_place(stack: ExitStack) -> Callable[[str], DatabaseDestination]:
    name = stack.enter_context(servers.mysql_schema())
    return lambda url: MySQLDestination(url, schema_name=name, state_schema=name)


def any_place(stack: ExitStack) -> Callable[[str], DatabaseDestination]:
    name = stack.enter_context(servers.postgres_schema())
    servers.postgres_server().execute(f"CREATE SCHEMA {name}".encode())
    return lambda url: SqlDestination(
        make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False),
        schema_name=name,
        state_schema=name,
    )


PLACES = {
    "postgresql": (servers.POSTGRES, postgres_place),
    "mysql": (servers.MYSQL, mysql_place),
    "sqlalchemy": (servers.POSTGRES, any_place),
}


@pytest.mark.parametrize("deliver", [False, pytest.param(True, marks=full)])
@pytest.mark.parametrize(
    "kind", ["append", pytest.param("merge", marks=full), pytest.param("replace", marks=full)]
)
@pytest.mark.parametrize("place", ["postgresql", "mysql", pytest.param("sqlalchemy", marks=full)])
def test_a_load_is_done_again(place: str, kind: str, deliver: bool, tmp_path: Path) -> None:
    """The state's look-up, the ledger, staging, COPY, merge and COMMIT; its answer may be lost though it was done."""
    stream = STREAMS[kind]
    url, make = PLACES[place]
    for proxy in each_cut(url, deliver=deliver):
        with ExitStack() as stack:
            shop = stack.enter_context(database("sqlite", tmp_path))
            at = make(stack)
            shop.run(
                "CREATE TABLE orders (id INTEGER PRIMARY KEY, name VARCHAR(20), updated_at INTEGER)"
            )
            shop.insert("orders", FIRST)
            read = StreamRead(shop.source(streams=[stream]), stream)
            sync(read, at(url))
            shop.insert("orders", NEWS)
            cut = at(through(url, proxy))
            insisting(lambda: sync(read, cut))  # noqa: B023 - called at once
            assert rows(at(url), stream) == FIRST + NEWS


def test_a_retry_policy_tries_again(tmp_path: Path) -> None:
    """The cut hits the fingerprint, which once swallowed it; the asset ends well, by its second attempt."""
    with database("postgresql", tmp_path) as shop:
        shop.run(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, name VARCHAR(20), updated_at INTEGER)"
        )
        shop.insert("orders", FIRST)
        warehouse = SQLiteDestination(str(tmp_path / "w.db"))
        with (
            proxied(shop.url, word=b"sha256", deliver=False) as proxy,
            dg.DagsterInstance.ephemeral() as instance,
        ):
            for cut in (False, True):
                url = through(shop.url, proxy) if cut else shop.url
                assets = stream_assets(
                    SqlSource("shop", url, streams=[MERGED]),
                    destination=warehouse,
                    options={"orders": StreamOptions(retry_policy=dg.RetryPolicy(max_retries=1))},
                )
                result = dg.materialize(assets, instance=instance)
                assert result.success
                retried = [event for event in result.all_events if event.is_step_up_for_retry]
                assert len(retried) == cut
            assert proxy.lost
        assert rows(warehouse, MERGED) == FIRST

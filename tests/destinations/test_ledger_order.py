"""Which load came first: the ledger counts its rows. Clocks differ, and go back: no order is theirs."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import etl_assets.destinations.database.ledger
import etl_assets.destinations.database.session
from etl_assets.caches import DuckDBCache
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.database.ledger_indexes import OF_LOADS
from etl_assets.destinations.database.state_rows import STATE_TABLE
from etl_assets.destinations.database.stored_states import LEDGER_TABLE
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.destinations.warehouses.bigquery import BigQueryDestination
from etl_assets.exceptions import StateError
from etl_assets.model.load import SyncResult
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sync import resolve_start, sync
from tests.bigqueries import FakeBigQuery
from tests.pairs.places import DESTINATIONS
from tests.pairs.places import destination as make
from tests.toys import Rows, read

EVENTS = Stream("events", replication_key="seq")
TOLD = datetime(2026, 5, 1, 12, tzinfo=UTC)
KINDS = (*DESTINATIONS, "sqlalchemy", "bigquery")


class Clock:
    """The time that every part of a sync is told."""

    def __init__(self) -> None:
        self.time = TOLD

    def back(self, hours: int) -> None:
        self.time -= timedelta(hours=hours)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    told = Clock()

    class Told(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return told.time.astimezone(tz)

    monkeypatch.setattr(time, "time_ns", lambda: int(told.time.timestamp()) * 10**9)
    for module in (
        etl_assets.destinations.database.session,
        etl_assets.destinations.database.ledger,
    ):
        monkeypatch.setattr(module, "datetime", Told)
    return told


@pytest.fixture(params=KINDS)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    if request.param == "sqlalchemy":
        yield SqlDestination(f"sqlite:///{tmp_path / 'alchemy.sqlite'}")
        return
    if request.param == "bigquery":
        fake = FakeBigQuery()
        monkeypatch.setattr(BigQueryDestination, "connect", lambda _: fake)
        yield BigQueryDestination(
            project="p", schema_name="raw", state_schema="raw", staging_dir=str(tmp_path)
        )
        return
    with ExitStack() as stack:
        yield make(request.param, tmp_path, stack)


def load(place: DatabaseDestination, *numbers: int, stream: Stream = EVENTS) -> SyncResult:
    return sync(read([{"seq": number} for number in numbers], stream), place)


def loaded(place: DatabaseDestination) -> list[int]:
    with place.transaction() as tx:
        return [
            int(row[0])
            for row in tx.execute(
                f"SELECT seq FROM {tx.quoted(place.table_for('shop', EVENTS))} ORDER BY 1"
            )
        ]


def backwards(place: DatabaseDestination, clock: Clock) -> list[SyncResult]:
    """Load three times, each time by a clock that is an hour behind the one before."""
    results = []
    for numbers in ((1,), (1, 2), (2, 3)):
        results.append(load(place, *numbers))
        clock.back(hours=1)
    return results


def make_older(place: DatabaseDestination) -> None:
    """Have the two tables be as the first format made them."""
    with place.transaction() as tx:
        loads, state = own_tables(place, tx)
        if isinstance(place, SQLiteDestination):  # elsewhere a column takes its indexes along
            for name in OF_LOADS:
                tx.execute(f"DROP INDEX {name}")
        tx.execute(f"ALTER TABLE {loads} DROP COLUMN commit_number")
    with place.transaction() as tx:
        for table in (loads, state):
            tx.execute(f"UPDATE {table} SET format = 1 WHERE 1 = 1")


def own_tables(place: DatabaseDestination, tx: Any) -> tuple[str, str]:
    """Return the names of the ledger and of the state table, as SQL."""
    schema = place.ledger(tx)._ledger_table.schema
    return tx.quoted(TableName(LEDGER_TABLE, schema)), tx.quoted(TableName(STATE_TABLE, schema))


def test_a_rewind_deletes_the_later_loads_whatever_the_clock_said(
    place: DatabaseDestination, clock: Clock
) -> None:
    first, second, third = backwards(place, clock)
    assert first.load_id > second.load_id > third.load_id
    assert place.rewind(place.states()[0], second.load_id) == 1
    assert loaded(place) == [1, 2]
    assert place.states()[0].bookmark == second.bookmark
    assert load(place, 1, 2, 3, 4).records_loaded == 2
    assert loaded(place) == [1, 2, 3, 4]


def test_a_load_that_was_undone_is_nothing_to_go_back_to(
    place: DatabaseDestination, clock: Clock
) -> None:
    first, second, _ = backwards(place, clock)
    place.rewind(place.states()[0], first.load_id)
    with pytest.raises(StateError, match=f"{second.load_id} was undone by an earlier rewind"):
        place.rewind(place.states()[0], second.load_id)
    fourth = load(place, 1, 2, 3)
    load(place, 3, 4)
    assert place.rewind(place.states()[0], fourth.load_id) == 1
    assert place.rewind(place.states()[0], first.load_id) == 2
    assert loaded(place) == [1]


def test_a_table_is_whose_load_was_the_last(place: DatabaseDestination, clock: Clock) -> None:
    load(place, 1)
    clock.back(hours=1)
    other = EVENTS.replace(stream="other")
    table = place.table_for("shop", EVENTS)
    sync(read([{"seq": 9}], other), place, table=table, adopt=True)
    assert load_into(place, table, other, 9, 10) == 1


def load_into(place: DatabaseDestination, table: TableName, stream: Stream, *numbers: int) -> int:
    rows = read([{"seq": number} for number in numbers], stream)
    start = resolve_start(rows, place, table=table)
    return sync(rows, place, start=start, table=table).records_loaded


def test_an_older_ledger_is_read_and_migrated_without_loss(
    place: DatabaseDestination, clock: Clock
) -> None:
    first, second = load(place, 1), None
    clock.time += timedelta(hours=1)
    second = load(place, 1, 2)
    make_older(place)
    with place.transaction() as tx:
        assert [row[0] for row in place.ledger(tx).commits("shop", EVENTS)] == [
            first.load_id,
            second.load_id,
        ]
    assert place.states()[0].bookmark == second.bookmark
    clock.back(hours=5)
    assert load(place, 2, 3).records_loaded == 1
    with place.transaction() as tx:
        assert len(place.ledger(tx).commits("shop", EVENTS)) == 3
    assert place.rewind(place.states()[0], second.load_id) == 1
    assert place.rewind(place.states()[0], first.load_id) == 1
    assert loaded(place) == [1]


@pytest.mark.parametrize("place", ["duckdb", "sqlite"], indirect=True)
def test_rows_of_an_older_ledger_come_in_the_order_of_their_insertion(
    place: DatabaseDestination, clock: Clock
) -> None:
    first, _, _ = backwards(place, clock)
    make_older(place)
    assert place.rewind(place.states()[0], first.load_id) == 2
    assert loaded(place) == [1]


@pytest.mark.parametrize("place", ["duckdb", "postgresql", "mysql", "sqlite"], indirect=True)
def test_the_first_format_refuses_what_was_migrated(
    place: DatabaseDestination, clock: Clock
) -> None:
    del clock
    load(place, 1)
    load(place, 1, stream=EVENTS.replace(stream="more"))
    make_older(place)
    load(place, 1, 2)
    with place.transaction() as tx:
        _, state = own_tables(place, tx)
        assert tx.execute(f"SELECT MIN(format) FROM {state}") == [(2,)]


def test_a_newer_format_is_refused(place: DatabaseDestination, clock: Clock) -> None:
    del clock
    load(place, 1)
    with place.transaction() as tx:
        _, state = own_tables(place, tx)
        tx.execute(f"UPDATE {state} SET format = 3 WHERE 1 = 1")
    with pytest.raises(StateError, match="has format 3; this version knows 2"):
        load(place, 1, 2)


def test_a_cache_is_read_on_by_its_ledger_not_by_the_clock(tmp_path: Path, clock: Clock) -> None:
    cache = DuckDBCache(db_path=str(tmp_path / "cache.duckdb"), cache_dir=tmp_path)
    target = make("sqlite", tmp_path, ExitStack())
    source: Callable[..., Any] = lambda *numbers: Rows(  # noqa: E731
        [{"seq": n} for n in numbers], streams=[EVENTS]
    )
    target.write(source(1).read(cache))
    clock.back(hours=1)
    target.write(source(1, 2).read(cache))
    assert loaded(target) == [1, 2]

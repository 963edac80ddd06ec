"""Whole partitions, loaded into every kind of database: what is there afterwards is what the source last said."""

import datetime as dt
import random
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from typing_extensions import override

from etl_assets import Source, Stream
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.destinations.warehouses.bigquery import BigQueryDestination
from etl_assets.destinations.warehouses.snowflake import SnowflakeTransaction
from etl_assets.engine.sync import sync
from etl_assets.exceptions import ConcurrentSyncError, ConfigError, DataError
from etl_assets.model.partitions import OutsidePartition, Partition, Partitions, TimeWindow
from etl_assets.sources.read import StreamRead
from etl_assets.testing.fakes import GivenRead
from etl_assets.testing.place import Place
from tests.bigqueries import FakeBigQuery
from tests.faults.places import PLACES, FirebirdPlace

pytestmark = pytest.mark.filterwarnings(  # of the stand-in
    "ignore:Arrow output on a DB-API result"
)

UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
TIMES = [pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.date32()]


class AlchemyPlace(Place):
    """A file in the folder, through SQLAlchemy."""

    @override
    def destination(self) -> SqlDestination:
        return SqlDestination(f"sqlite:///{self.folder / 'warehouse.sqlite'}")


class BigQueryPlace(Place):
    """A dataset of the stand-in that the fixture gives."""

    @override
    def destination(self) -> BigQueryDestination:
        return BigQueryDestination(
            project="p", schema_name="raw", state_schema="raw", staging_dir=str(self.folder)
        )


@pytest.fixture(params=[*PLACES, AlchemyPlace, BigQueryPlace])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    if request.param is BigQueryPlace:
        fake = FakeBigQuery()
        monkeypatch.setattr(BigQueryDestination, "connect", lambda _: fake)
    found = request.param(tmp_path)
    yield found
    found.drop()


def database(place: Place) -> DatabaseDestination:
    found = place.destination()
    assert isinstance(found, DatabaseDestination)
    return found


def days(*numbers: int, zone: ZoneInfo = UTC, outside: OutsidePartition = "error") -> Partitions:
    """Return days of January 2026."""
    first = dt.datetime(2026, 1, 1, tzinfo=zone)
    each = []
    for number in numbers:
        start = first.replace(day=number)
        window = TimeWindow(start, start + dt.timedelta(days=1))
        each.append(Partition(f"2026-01-{number:02}", {"at": window}))
    return Partitions(tuple(each), outside)


def at(type_: pa.DataType, day: int, hour: int = 0) -> Any:
    if pa.types.is_date(type_):
        return dt.date(2026, 1, day)
    return dt.datetime(2026, 1, day, hour, tzinfo=UTC if type_.tz else None)


class Things:
    """A table that is loaded by day.

    Args:
        place: The database.
        type_: Of the time.
        keyed: Whether its rows have a key.
    """

    def __init__(self, place: Place, type_: pa.DataType, *, keyed: bool) -> None:
        self.destination = database(place)
        self.type = type_
        key = ["id"] if keyed else []
        self.stream = Stream("things", primary_key=key, replication_key="at")

    def load(self, partitions: Partitions, rows: list[tuple[int, Any, str]]) -> dict[str, int]:
        ids, times, values = zip(*rows, strict=True) if rows else ((), (), ())
        table = pa.table({"id": list(ids), "at": pa.array(times, self.type), "v": list(values)})
        read = GivenRead(self.stream, [table] if rows else [])
        return dict(sync(read, self.destination, partitions=partitions).partition_rows)

    def rows(self) -> list[tuple[int, str]]:
        with self.destination.transaction() as tx:
            table = self.destination.table_for("conformance", self.stream)
            found = tx.read(table, ["id", "v"])
        return sorted(zip(found["id"].to_pylist(), found["v"].to_pylist(), strict=True))


@pytest.mark.parametrize("type_", TIMES, ids=str)
@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
def test_a_partition_takes_the_place_of_its_rows(
    place: Place, type_: pa.DataType, keyed: bool
) -> None:
    things = Things(place, type_, keyed=keyed)
    first = [(1, at(type_, 1), "a"), (2, at(type_, 1, 23), "b")]
    assert things.load(days(1), first) == {"2026-01-01": 2}
    things.load(days(2), [(3, at(type_, 2), "c")])
    assert things.rows() == [(1, "a"), (2, "b"), (3, "c")]
    things.load(days(1), [(1, at(type_, 1), "again")])
    assert things.rows() == [(1, "again"), (3, "c")]
    loaded = things.load(days(2, 4), [(4, at(type_, 4), "d"), (3, at(type_, 2), "c2")])
    assert loaded == {"2026-01-02": 1, "2026-01-04": 1}
    things.load(days(4), [])
    assert things.rows() == [(1, "again"), (3, "c2")]


def test_the_first_partition_may_have_no_rows_that_would_tell_the_type(place: Place) -> None:
    things = Things(place, TIMES[1], keyed=True)
    ids, times = pa.array([], pa.int64()), pa.array([], pa.null())
    read = GivenRead(things.stream, [pa.table({"id": ids, "at": times, "v": times})])
    result = sync(read, things.destination, partitions=days(2))
    assert result.partition_rows == {"2026-01-02": 0}
    if isinstance(place, BigQueryPlace):  # where a column of text stays one
        with pytest.raises(DataError, match="drop the table, and load its partitions anew"):
            things.load(days(1), [(1, at(TIMES[1], 1), "a")])
        return
    things.load(days(1), [(1, at(TIMES[1], 1), "a")])
    sync(read, things.destination, partitions=days(2))
    assert things.rows() == [(1, "a")]
    sync(read, things.destination, partitions=days(1))
    assert things.rows() == []


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_nanoseconds_are_in_a_window_too(place: Place, zone: str | None) -> None:
    type_ = pa.timestamp("ns", zone)
    things = Things(place, TIMES[0], keyed=True)
    start = int(at(TIMES[0], 1).timestamp()) * 10**9
    times = pa.array([start, start + 86_400 * 10**9 - 1], pa.int64()).cast(type_)
    read = GivenRead(things.stream, [pa.table({"id": [1, 2], "at": times, "v": ["a", "b"]})])
    for _ in range(2):
        loaded = sync(read, things.destination, partitions=days(1)).partition_rows
        assert loaded == {"2026-01-01": 2}
    assert things.rows() == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("outside", ["drop", "error"])
def test_a_batch_without_a_single_value_is_outside(
    tmp_path: Path, outside: OutsidePartition
) -> None:
    things = Things(PLACES[0](tmp_path), TIMES[1], keyed=True)
    day = pa.table({"id": [1], "at": pa.array([at(TIMES[1], 1)], TIMES[1]), "v": ["a"]})
    none = pa.table({"id": [2], "at": pa.nulls(1), "v": ["b"]})
    read = GivenRead(things.stream, [day, none])
    if outside == "error":
        with pytest.raises(DataError, match="in no partition that was asked for"):
            sync(read, things.destination, partitions=days(1))
        return
    result = sync(read, things.destination, partitions=days(1, outside="drop"))
    assert (result.partition_rows, result.outside) == ({"2026-01-01": 1}, 1)
    tenants = Partitions((Partition("a", {"v": frozenset({"a"})}),), "drop")
    none = none.set_column(2, "v", pa.nulls(1))
    result = sync(GivenRead(things.stream, [none]), things.destination, partitions=tenants)
    assert result.outside == 1


def test_categories_are_values(tmp_path: Path) -> None:
    things = Things(PLACES[0](tmp_path), TIMES[1], keyed=True)
    times = pa.array([at(TIMES[1], 1)] * 2, TIMES[1]).dictionary_encode()
    table = pa.table({"id": [1, 2], "at": times, "v": pa.array(["a"] * 2).dictionary_encode()})
    tenants = Partitions((Partition("a", {"v": frozenset({"a"})}),))
    for partitions in (tenants, days(1), tenants):
        sync(GivenRead(things.stream, [table]), things.destination, partitions=partitions)
        assert things.rows() == [(1, "a"), (2, "a")]


def test_a_table_that_was_loaded_whole_is_loaded_by_partition_from_then_on(place: Place) -> None:
    things = Things(place, TIMES[0], keyed=True)
    times = pa.array([at(TIMES[0], 1), at(TIMES[0], 2)], TIMES[0])
    whole = pa.table({"id": [1, 2], "at": times, "v": ["a", "b"]})
    sync(GivenRead(things.stream, [whole]), things.destination, strategy="replace")
    things.load(days(2), [(2, at(TIMES[0], 2), "again"), (3, at(TIMES[0], 2), "new")])
    assert things.rows() == [(1, "a"), (2, "again"), (3, "new")]


def test_no_key_stands_twice_when_rows_move_between_partitions(place: Place) -> None:
    things = Things(place, TIMES[0], keyed=True)
    things.load(days(1), [(1, at(TIMES[0], 1), "old"), (2, at(TIMES[0], 1), "stays")])
    things.load(days(5), [(1, at(TIMES[0], 5), "moved")])
    assert things.rows() == [(1, "moved"), (2, "stays")]
    # The source was read before the row had moved: what is there is newer.
    things.load(days(1), [(1, at(TIMES[0], 1), "old"), (2, at(TIMES[0], 1), "stays")])
    assert things.rows() == [(1, "moved"), (2, "stays")]


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_runs_ends_with_the_rows_of_each_partition_once(
    place: Place, seed: int
) -> None:
    chance = random.Random(seed)
    type_ = chance.choice(TIMES)
    things = Things(place, type_, keyed=chance.random() < 0.5)
    expected: dict[int, list[tuple[int, str]]] = {}
    for turn in range(8):
        wanted = chance.sample(range(1, 6), chance.randint(1, 3))
        rows = []
        for day in wanted:
            ids = [day * 100 + n for n in range(chance.randint(0, 3))]
            expected[day] = [(one, f"{turn}") for one in ids]
            rows += [(one, at(type_, day, chance.randint(0, 23)), f"{turn}") for one in ids]
        chance.shuffle(rows)
        counts = things.load(days(*wanted), rows)
        assert counts == {f"2026-01-{day:02}": len(expected[day]) for day in wanted}
        if any(expected.values()):
            assert things.rows() == sorted(row for each in expected.values() for row in each)


def test_a_row_in_no_partition_is_an_error_and_nothing_is_loaded(place: Place) -> None:
    things = Things(place, TIMES[0], keyed=True)
    things.load(days(1), [(1, at(TIMES[0], 1), "a")])
    with pytest.raises(DataError, match=r"field 'at': the row is in no partition .*2026-01-02"):
        things.load(days(2), [(2, at(TIMES[0], 2), "b"), (3, at(TIMES[0], 3), "c")])
    assert things.rows() == [(1, "a")]
    with pytest.raises(DataError, match="in no partition"):
        things.load(days(2), [(2, None, "b")])
    dropping = days(2, outside="drop")
    table = pa.table(
        {"id": [2, 3], "at": pa.array([at(TIMES[0], 2), None], TIMES[0]), "v": ["b", "c"]}
    )
    result = sync(GivenRead(things.stream, [table]), things.destination, partitions=dropping)
    assert (result.outside, things.rows()) == (1, [(1, "a"), (2, "b")])


def test_two_runs_of_one_partition_never_both_commit(place: Place) -> None:
    things = Things(place, TIMES[0], keyed=False)
    things.load(days(1), [(1, at(TIMES[0], 1), "a")])

    class Overtaken(GivenRead):
        def open(self, bookmark: Any) -> Iterator[Any]:
            things.load(days(1, 2), [(2, at(TIMES[0], 1), "faster")])
            yield from super().open(bookmark)

    table = pa.table({"id": [3], "at": pa.array([at(TIMES[0], 1)], TIMES[0]), "v": ["slower"]})
    with pytest.raises(ConcurrentSyncError, match="partition '2026-01-01' was loaded by"):
        sync(Overtaken(things.stream, [table]), things.destination, partitions=days(1))
    assert things.rows() == [(2, "faster")]

    class Beside(GivenRead):
        def open(self, bookmark: Any) -> Iterator[Any]:
            things.load(days(3), [(4, at(TIMES[0], 3), "beside")])
            yield from super().open(bookmark)

    sync(Beside(things.stream, [table]), things.destination, partitions=days(1))
    assert things.rows() == [(3, "slower"), (4, "beside")]


def test_values_are_partitions_to_the_letter(place: Place) -> None:
    destination = database(place)
    stream = Stream("orders", primary_key=["id"])
    texts = ["a", "A", "it's", "é", "\\"]
    if not isinstance(place, FirebirdPlace):  # whose keys cannot differ in a space at their end
        texts.append("a ")

    def load(*names: str) -> None:
        each = tuple(Partition(name, {"tenant": frozenset({name})}) for name in names)
        rows = [{"id": f"{name}{n}", "tenant": name} for name in names for n in range(2)]
        sync(GivenRead(stream, [rows]), destination, partitions=Partitions(each))

    for text in texts:
        load(text)
    load("a", "\\")
    with destination.transaction() as tx:
        found = tx.read(destination.table_for("conformance", stream), ["tenant"])
    assert sorted(found["tenant"].to_pylist()) == sorted(texts * 2)


def test_a_backslash_is_one_in_snowflake_too() -> None:
    tx = SnowflakeTransaction(None, state_schema="raw", own_columns=(), beside=None)
    assert tx.among("tenant", pa.string(), ["it's a\\b"]) == """"tenant" IN ('it''s a\\\\b')"""


def test_a_read_that_is_cut_or_appends_is_refused(tmp_path: Path) -> None:
    place = PLACES[0](tmp_path)
    things = Things(place, TIMES[0], keyed=True)
    read = GivenRead(things.stream, [])
    with pytest.raises(ConfigError, match="cannot be appended"):
        sync(read, things.destination, partitions=days(1), strategy="append")
    read.partial = True
    with pytest.raises(ConfigError, match="not the whole partition"):
        sync(read, things.destination, partitions=days(1))


# What a source is asked for


class Asked(Source):
    streams = (Stream("orders", primary_key="id"),)
    seen: list[tuple[Any, Any]] = []

    def load_data(
        self,
        stream: Stream,
        bookmarks: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        window: TimeWindow | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        Asked.seen.append((dict(query or {}), window))
        if window is not None:
            yield [
                {"id": len(Asked.seen), "at": window.start, "tenant": (query or {}).get("tenant")}
            ]


def test_a_source_is_told_the_window_once_for_days_that_follow_each_other(tmp_path: Path) -> None:
    Asked.seen = []
    destination = PLACES[0](tmp_path).destination()
    read = StreamRead(Asked(name="shop"), Asked.streams[0])
    sync(read, destination, partitions=days(1, 2, 3, 7, zone=BERLIN))
    assert [query for query, _ in Asked.seen] == [
        {"_start_date": "2026-01-01T00:00:00+01:00", "_end_date": "2026-01-04T00:00:00+01:00"},
        {"_start_date": "2026-01-07T00:00:00+01:00", "_end_date": "2026-01-08T00:00:00+01:00"},
    ]


def test_a_day_ends_when_the_clock_on_the_wall_says_so() -> None:
    spring = dt.datetime(2026, 3, 29, tzinfo=BERLIN)  # has 23 hours
    window = TimeWindow(spring, spring.replace(day=30))
    partitions = Partitions((Partition("2026-03-29", {"at": window}),), "drop")
    hours = [
        dt.datetime(2026, 3, 28, 22, 30, tzinfo=UTC) + dt.timedelta(hours=n) for n in range(26)
    ]
    zoned = pa.table({"at": pa.array(hours, pa.timestamp("us", "UTC"))})
    mask = partitions.inside(zoned, "s")
    assert mask is not None
    assert sum(mask.to_pylist()) == 23
    autumn = [
        dt.datetime(2026, 10, 25, hour, fold=fold, tzinfo=BERLIN)
        for hour, fold in [(2, 0), (2, 1), (3, 0)]
    ]
    each = tuple(
        Partition(f"{n}", {"at": TimeWindow(start, end)})
        for n, (start, end) in enumerate(pairwise(autumn))
    )
    moment = dt.datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 - of no zone
    wall = pa.table({"at": pa.array([moment], pa.timestamp("us"))})
    inside = [Partitions((one,), "drop").inside(wall, "s") is None for one in each]
    assert sum(inside) == 1  # the hour that comes twice is in one partition


def test_every_database_says_which_types_it_keeps_as_text(place: Place) -> None:
    things = Things(place, TIMES[0], keyed=True)
    things.load(days(1), [(1, at(TIMES[0], 1), "a")])
    with things.destination.transaction() as tx:
        assert tx.exists(things.destination.table_for("conformance", things.stream))
        found = [tx.keeps_as_text(type_) for type_ in (pa.string(), *TIMES)]
    assert found[0]
    assert found[1] == found[2]  # with a zone or without
    assert found[3] == (found[1] and not isinstance(place, FirebirdPlace))  # which has a DATE

"""What sources give of a partition: databases are asked for its rows alone, files are left out row by row."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from etl_assets import FileSource, Source, Stream
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError, DataError, SourceError
from etl_assets.model.partitions import Condition, Partition, Partitions, TimeWindow
from etl_assets.sources.read import StreamRead, takes_partitions
from etl_assets.sync import sync
from tests.sources.sql_databases import KINDS, Database, database

BERLIN = ZoneInfo("Europe/Berlin")
INSTANTS = {"sqlite": "timestamp", "postgresql": "timestamptz", "mysql": "timestamp"}
NAIVE = {"sqlite": "timestamp", "postgresql": "timestamp", "mysql": "datetime"}


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        yield opened


def window(start: dt.datetime, end: dt.datetime) -> TimeWindow:
    return TimeWindow(start.replace(tzinfo=BERLIN), end.replace(tzinfo=BERLIN))


def partitions(field: str, *conditions: Condition) -> Partitions:
    each = [Partition(f"p{n}", {field: one}) for n, one in enumerate(conditions)]
    return Partitions(tuple(each))


def loaded(source: Source, stream: Stream, folder: Path, wanted: Partitions) -> dict[str, Any]:
    """Load partitions into a new file; returns the ids, and how many rows were read."""
    destination = DuckDBDestination(path=folder / "w.duckdb")
    result = sync(StreamRead(source, stream), destination, partitions=wanted)
    table = destination.table_for("shop", stream)
    with destination.transaction() as tx:
        ids = sorted(tx.read(table, ["id"])["id"].to_pylist())
    return {"ids": ids, "read": result.records_read, "outside": result.outside}


@pytest.mark.parametrize("column", ["instant", "naive", "day"])
def test_a_database_gives_the_rows_of_the_days_alone(
    made: Database, tmp_path: Path, column: str
) -> None:
    made.run(
        f"CREATE TABLE orders (id integer PRIMARY KEY, instant {INSTANTS[made.kind]} NULL, "
        f"naive {NAIVE[made.kind]} NULL, day date NULL)"
    )
    zone = "+00:00" if made.kind != "mysql" else ""
    for number in range(24 * 6):
        moment = dt.datetime(2026, 1, 10) + dt.timedelta(hours=number)  # noqa: DTZ001 - written so
        made.run(
            f"INSERT INTO orders VALUES ({number}, '{moment}{zone}', '{moment}', '{moment.date()}')"
        )
    days = [dt.datetime(2026, 1, day) for day in (11, 12, 13, 15, 16)]  # noqa: DTZ001 - of Berlin
    wanted = partitions(
        column, window(days[0], days[1]), window(days[1], days[2]), window(*days[3:])
    )
    found = loaded(made.source(), Stream("orders", primary_key="id"), tmp_path, wanted)
    # In Berlin a day begins an hour before that of UTC.
    hours = range(23, 71) if column == "instant" else range(24, 72)
    late = range(119, 143) if column == "instant" else range(120, 144)
    assert found["ids"] == [*hours, *late]
    assert found["read"] == len(found["ids"])  # the database was asked for no others


def test_tenants_that_differ_in_case_are_partitions_of_their_own(
    made: Database, tmp_path: Path
) -> None:
    made.run("CREATE TABLE orders (id integer PRIMARY KEY, tenant varchar(20), shop integer)")
    made.insert("orders", [(n, name, n % 3) for n, name in enumerate(["a", "A", "b", "a", "a "])])
    stream = Stream("orders", primary_key="id")
    one = partitions("tenant", frozenset({"a"}))
    assert loaded(made.source(), stream, tmp_path, one)["ids"] == [0, 3]
    number = partitions("shop", frozenset({"2"}), frozenset({"1"}))
    (tmp_path / "two").mkdir()
    assert loaded(made.source(), stream, tmp_path / "two", number)["ids"] == [1, 2, 4]
    both = Partition("1|a", {"tenant": frozenset({"a"}), "shop": frozenset({"0"})})
    (tmp_path / "three").mkdir()
    assert loaded(made.source(), stream, tmp_path / "three", Partitions((both,)))["ids"] == [0, 3]


def test_rows_that_are_in_no_partition_are_told_of(made: Database, tmp_path: Path) -> None:
    made.run("CREATE TABLE orders (id integer PRIMARY KEY, day date NULL)")
    made.insert("orders", [(1, "2026-01-11"), (2, None)])
    stream = Stream("orders", primary_key="id")
    start = dt.datetime(2026, 1, 11)  # noqa: DTZ001 - of Berlin
    wanted = partitions("day", window(start, start + dt.timedelta(days=1)))
    with pytest.raises(SourceError, match="rows whose 'day' is NULL, so they are in no partition"):
        loaded(made.source(), stream, tmp_path, wanted)
    left_out = made.source(on_null_cursor="exclude")
    assert loaded(left_out, stream, tmp_path, wanted)["ids"] == [1]


def test_a_column_that_is_no_time_is_refused(made: Database, tmp_path: Path) -> None:
    made.run("CREATE TABLE orders (id integer PRIMARY KEY, day varchar(20), x float)")
    stream = Stream("orders", primary_key="id")
    start = dt.datetime(2026, 1, 11)  # noqa: DTZ001 - of Berlin
    time = window(start, start + dt.timedelta(days=1))
    with pytest.raises(ConfigError, match=r"partition_by='day' is .*, and a partition is a window"):
        loaded(made.source(), stream, tmp_path, partitions("day", time))
    with pytest.raises(ConfigError, match=r"partition_by='x' is"):
        loaded(made.source(), stream, tmp_path, partitions("x", frozenset({"1"})))
    with pytest.raises(ConfigError, match="nowhere"):
        loaded(made.source(), stream, tmp_path, partitions("nowhere", time))


def test_files_are_read_once_and_their_other_rows_left_out(tmp_path: Path) -> None:
    lines = [f"{n},2026-01-{n:02}T05:00:00Z" for n in range(1, 10)]
    (tmp_path / "orders.csv").write_text("\n".join(["id,at", *lines]) + "\n")
    source = FileSource("shop", str(tmp_path / "orders.csv"), types="infer")
    stream = source.discover().streams[0].replace(primary_key="id")
    days = [dt.datetime(2026, 1, day) for day in (2, 3, 7, 8)]  # noqa: DTZ001 - of Berlin
    wanted = partitions("at", window(*days[:2]), window(*days[2:]))
    found = loaded(source, stream, tmp_path, wanted)
    assert found == {"ids": [2, 7], "read": 2, "outside": 0}


def test_a_row_of_a_file_that_is_in_no_partition_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "id,at\n1,2026-01-02T05:00:00Z\n2,\n3,2026-01-03T05:00:00Z\n"
    )
    source = FileSource("shop", str(tmp_path / "orders.csv"), types="infer")
    stream = source.discover().streams[0].replace(primary_key="id")
    days = [dt.datetime(2026, 1, day) for day in (2, 3)]  # noqa: DTZ001 - of Berlin
    wanted = partitions("at", window(*days))
    with pytest.raises(DataError, match="field 'at': the row is in no partition"):
        loaded(source, stream, tmp_path, wanted)
    found = loaded(source, stream, tmp_path, replace(wanted, outside="drop"))
    assert found == {"ids": [1], "read": 2, "outside": 1}


def test_who_can_be_asked_for_a_partition() -> None:
    class Plain(Source):
        def load_data(self, stream: Stream) -> Iterator[Any]:  # type: ignore[override]
            yield []

    class Asked(Source):
        def load_data(self, stream: Stream, query: Any = None) -> Iterator[Any]:  # type: ignore[override]
            yield []

    assert not takes_partitions(Plain(name="plain"))
    assert takes_partitions(Asked(name="asked"))
    assert takes_partitions(FileSource("shop", "*.csv"))

"""Hints of partitions, each followed to the letter."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pytest

from etl_assets import DuckDBDestination, FileSource, Stream
from etl_assets.assets.partitions import PartitionFields
from etl_assets.engine.start import resolve_partitions
from etl_assets.model.partitions import (
    Condition,
    OutsidePartition,
    Partition,
    Partitions,
    TimeWindow,
)
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead, MemoryDestination
from tests.hints.following import hint_of
from tests.sources.sql_databases import Database, database

UTC = ZoneInfo("UTC")
DAYS = dg.DailyPartitionsDefinition("2026-01-01")
TENANTS = dg.StaticPartitionsDefinition(["a", "b"])
BOTH = dg.MultiPartitionsDefinition({"day": DAYS, "tenant": TENANTS})
ORDERS = Stream("orders", primary_key="id")
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=UTC)
PAID = dt.datetime(2026, 1, 2, tzinfo=UTC)


def of_day(number: int, field: str = "at", outside: OutsidePartition = "error") -> Partitions:
    """Return the partition of a day of January 2026."""
    start = dt.datetime(2026, 1, number, tzinfo=UTC)
    window = TimeWindow(start, start + dt.timedelta(days=1))
    return Partitions((Partition(f"2026-01-{number:02}", {field: window}),), outside)


def of_value(field: str, *values: str) -> Partitions:
    condition: Condition = frozenset(values)
    return Partitions((Partition(values[0], {field: condition}),))


class Warehouse:
    """A DuckDB file that partitions of orders are loaded into."""

    def __init__(self, folder: Path) -> None:
        self.destination = DuckDBDestination(str(folder / "w.duckdb"))

    def load(self, partitions: Partitions, *, read: Any = None, **arguments: Any) -> None:
        read = read or GivenRead(ORDERS, [rows()])
        sync(read, self.destination, partitions=partitions, **arguments)

    def ids(self, read: Any = None) -> list[int]:
        read = read or GivenRead(ORDERS, [])
        table = self.destination.table_for(read.source_name, read.stream)
        with self.destination.transaction() as tx:
            found = tx.read(table, ["id"])["id"].to_pylist()
        return sorted(map(int, found))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def rows(*moments: dt.datetime) -> pa.Table:
    """Return orders, one for each of these moments."""
    times = moments or (NOON,)
    return pa.table(
        {
            "id": list(range(1, len(times) + 1)),
            "at": pa.array(times, pa.timestamp("us", "UTC")),
            "amount": [1.5] * len(times),
            "shop": [7] * len(times),
        }
    )


class TestDefinitions:
    def test_a_shorter_key(self) -> None:
        fields = PartitionFields(TENANTS, "tenant", "orders")
        key = "x" * 201
        hint_of(partial(fields.of, [key]), "Give the partition a shorter key")
        assert fields.of([key[:200]]).names == (key[:200],)

    def test_one_field(self) -> None:
        wrong = partial(PartitionFields, DAYS, {"day": "at"}, "orders")
        hint_of(wrong, 'partition_by="updated_at"')
        assert PartitionFields(DAYS, "updated_at", "orders").of(["2026-01-01"]).fields == (
            "updated_at",
        )

    def test_a_field_for_each_dimension(self) -> None:
        wrong = partial(PartitionFields, BOTH, "at", "orders")
        hint_of(wrong, 'partition_by={"day": "...", "tenant": "..."}')
        one_is_missing = partial(PartitionFields, BOTH, {"day": "at"}, "orders")
        hint_of(one_is_missing, 'Add "tenant": "the field"')
        one_for_two = partial(PartitionFields, BOTH, {"day": "at", "tenant": "at"}, "orders")
        hint_of(one_for_two, "Name a field for each")
        fields = PartitionFields(BOTH, {"day": "at", "tenant": "the field"}, "orders")
        assert fields.of(["2026-01-01|a"]).fields == ("at", "the field")

    def test_a_kind_that_tells_rows_apart(self) -> None:
        class Own(dg.PartitionsDefinition[str]):
            """Partitions of which nobody can say which rows are in them."""

            def get_partition_keys(self, *_: Any, **__: Any) -> list[str]:
                return ["a"]

            def get_paginated_partition_keys(self, *_: Any, **__: Any) -> Any:
                raise NotImplementedError

        hint_of(
            partial(PartitionFields, Own(), "at", "orders"),
            "Use time windows (daily, hourly, ...), static or dynamic partitions",
            "or two of these together",
        )
        hours = dg.HourlyPartitionsDefinition("2026-01-01-00:00")
        dynamic = dg.DynamicPartitionsDefinition(name="tenants")
        for kind in (DAYS, hours, TENANTS, dynamic):
            PartitionFields(kind, "at", "orders")
        PartitionFields(BOTH, {"day": "at", "tenant": "tenant"}, "orders")


class TestLoads:
    def test_a_destination_that_cannot_replace_single_partitions(
        self, warehouse: Warehouse
    ) -> None:
        read = GivenRead(ORDERS, [rows()])
        memory = MemoryDestination()
        hint_of(
            partial(sync, read, memory, partitions=of_day(1)),
            "Leave partitions_def out, or load into a database",
        )
        assert sync(read, memory).records_loaded == 1
        warehouse.load(of_day(1))
        assert warehouse.ids() == [1]

    def test_a_read_that_is_cut(self, warehouse: Warehouse) -> None:
        read = GivenRead(ORDERS, [rows()])
        read.partial = True
        hint_of(partial(warehouse.load, of_day(1), read=read), "Leave the cut out")
        read.partial = False
        warehouse.load(of_day(1), read=read)
        assert warehouse.ids() == [1]

    def test_rows_that_are_appended(self, warehouse: Warehouse) -> None:
        hint_of(
            partial(warehouse.load, of_day(1), strategy="append"),
            'Leave write_strategy out, or set it to "auto"',
        )
        warehouse.load(of_day(1), strategy="auto")
        warehouse.load(of_day(1))
        assert warehouse.ids() == [1]

    def test_a_partition_that_another_run_loaded_meanwhile(self, warehouse: Warehouse) -> None:
        class Overtaken(GivenRead):
            def open(self, bookmark: Any) -> Iterator[Any]:
                warehouse.load(of_day(1))
                yield from super().open(bookmark)

        slower = Overtaken(ORDERS, [rows(NOON, NOON)])
        hint_of(
            partial(warehouse.load, of_day(1), read=slower),
            "the next run of the partition loads it anew",
        )
        assert warehouse.ids() == [1]
        warehouse.load(of_day(1), read=GivenRead(ORDERS, [rows(NOON, NOON)]))
        assert warehouse.ids() == [1, 2]

    def test_a_table_that_someone_else_changed(self, warehouse: Warehouse) -> None:
        warehouse.load(of_day(1), read=GivenRead(ORDERS, [rows(NOON, NOON)]))
        with warehouse.destination.transaction() as tx:
            table = warehouse.destination.table_for("conformance", ORDERS)
            tx.execute(f"DROP TABLE {tx.quoted(table)}")
        hint_of(
            partial(warehouse.load, of_day(1)),
            "To load these partitions all the same",
            'set on_table_changed="full_refresh"',
        )
        read = GivenRead(ORDERS, [rows()])
        start = resolve_partitions(
            read, warehouse.destination, of_day(1), on_table_changed="full_refresh"
        )
        warehouse.load(of_day(1), read=read, start=start)
        assert warehouse.ids() == [1]
        warehouse.load(of_day(1))  # which needs the option no more


class TestFields:
    def test_one_that_the_rows_lack(self, warehouse: Warehouse) -> None:
        hint_of(
            partial(warehouse.load, of_day(1, field="paid_at")),
            "Select the field, or name another one as partition_by",
        )
        selected = rows().append_column("paid_at", pa.array([NOON], pa.timestamp("us", "UTC")))
        warehouse.load(of_day(1, field="paid_at"), read=GivenRead(ORDERS, [selected]))
        warehouse.load(of_day(1, field="at"))
        assert warehouse.ids() == [1]

    def test_one_that_holds_texts(self, warehouse: Warehouse, tmp_path: Path) -> None:
        (tmp_path / "orders.csv").write_text("id,at\n1,2026-01-01T12:00:00Z\n")
        source = FileSource("shop", str(tmp_path / "orders.csv"))
        stream = source.discover().streams[0].replace(primary_key="id")
        hint_of(
            partial(warehouse.load, of_day(1), read=StreamRead(source, stream)),
            'types={"at": {"type": "string", "format": "date-time"}}',
        )
        typed = StreamRead(
            source, stream.replace(types={"at": {"type": "string", "format": "date-time"}})
        )
        warehouse.load(of_day(1), read=typed)
        assert warehouse.ids(typed) == [1]

    def test_one_of_another_type(self, warehouse: Warehouse) -> None:
        hint_of(
            partial(warehouse.load, of_value("amount", "1.5")),
            "Name a field of such a type as partition_by",
        )
        warehouse.load(of_value("shop", "7"))
        assert warehouse.ids() == [1]

    def test_rows_outside(self, warehouse: Warehouse) -> None:
        def read(*moments: dt.datetime) -> GivenRead:
            return GivenRead(ORDERS, [rows(*moments)])

        hint_of(
            partial(warehouse.load, of_day(1), read=read(NOON, PAID)),
            "Have the source honour the window it is given",
            'outside_partition="drop"',
        )
        dropping = of_day(1, outside="drop")
        warehouse.load(dropping, read=read(NOON, PAID))
        assert warehouse.ids() == [1]
        warehouse.load(of_day(1), read=read(NOON))
        assert warehouse.ids() == [1]


class TestColumnsOfADatabase:
    @pytest.fixture
    def shop(self, tmp_path: Path) -> Iterator[Database]:
        with database("sqlite", tmp_path) as made:
            made.run(
                "CREATE TABLE orders (id integer PRIMARY KEY, at timestamp, paid_at timestamp, "
                "name varchar(20), amount float)"
            )
            made.insert("orders", [(1, "2026-01-01 12:00:00", "2026-01-01 13:00:00", "a", 1.5)])
            made.insert("orders", [(2, "2026-01-01 14:00:00", None, "a", 1.5)])
            yield made

    def read(self, shop: Database, **options: Any) -> StreamRead:
        return StreamRead(shop.source(**options), ORDERS)

    def test_one_that_is_no_time(self, warehouse: Warehouse, shop: Database) -> None:
        read = self.read(shop)
        hint_of(
            partial(warehouse.load, of_day(1, field="name"), read=read),
            "Name a column with a date or a time",
        )
        warehouse.load(of_day(1), read=read)
        assert warehouse.ids(read) == [1, 2]

    def test_one_that_is_no_text(self, warehouse: Warehouse, shop: Database) -> None:
        read = self.read(shop)
        hint_of(
            partial(warehouse.load, of_value("amount", "1.5"), read=read),
            "Name a column of such a type",
        )
        warehouse.load(of_value("name", "a"), read=read)
        assert warehouse.ids(read) == [1, 2]

    def test_one_with_nulls(self, warehouse: Warehouse, shop: Database) -> None:
        unpaid = of_day(1, field="paid_at")
        hint_of(
            partial(warehouse.load, unpaid, read=self.read(shop)),
            'Use on_null_cursor="exclude" to leave them out, or another partition_by',
        )
        left_out = self.read(shop, on_null_cursor="exclude")
        warehouse.load(unpaid, read=left_out)
        assert warehouse.ids(left_out) == [1]
        warehouse.load(of_day(1), read=self.read(shop))
        assert warehouse.ids(left_out) == [1, 2]

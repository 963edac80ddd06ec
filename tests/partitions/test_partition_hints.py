"""What errors about partitions say that one should do, done."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import DestinationIOManager, DuckDBDestination, Source, Stream, stream_assets
from tests.assets.shop import failure_text
from tests.partitions.orders import BY_DAY, DAYS, ids, run

OUTSIDE = '{"etl_assets/outside_partition": "drop"}'


class Texts(Source):
    """A source whose times are texts."""

    streams = (Stream("orders", primary_key="id"),)

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        first, end = (int(query[name][8:10]) for name in ("_start_date", "_end_date"))
        yield from ([{"id": day, "at": f"2026-01-{day:02}T08:00:00Z"}] for day in range(first, end))


class Declared(Texts):
    """The same, which says so."""

    fields = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}
    streams = (Stream("orders", primary_key="id", schema={"properties": fields}),)


def assets(source: Source, warehouse: DuckDBDestination, **options: Any) -> Any:
    return stream_assets(source, destination=warehouse, options={"orders": {**BY_DAY, **options}})


def test_a_text_that_is_declared_as_a_time(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    told = failure_text(run(assets(Texts(name="shop"), warehouse), instance, "2026-01-04"))
    assert "a partition is a window of time, and the field is string" in told
    assert "one without in the properties of a schema" in told
    assert run(assets(Declared(name="shop"), warehouse), instance, "2026-01-04").success
    assert ids(path) == [4]


def test_a_column_of_text_is_made_anew(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    class Whole(Texts):
        def load_data(
            self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": day, "at": f"2026-01-{day:02}T08:00:00Z"} for day in range(1, 4)]

    assert run(stream_assets(Whole(name="shop"), destination=warehouse), instance).success
    by_day = assets(Declared(name="shop"), warehouse)
    told = failure_text(run(by_day, instance, "2026-01-02"))
    assert 'the column "at" of the table shop.orders holds text' in told
    assert (
        'drop the table, and load its partitions anew with on_table_changed="full_refresh"' in told
    )
    with warehouse.transaction() as tx:
        tx.execute("DROP TABLE shop.orders")
    told = failure_text(run(by_day, instance, "2026-01-02"))
    assert "is gone" in told
    assert 'set on_table_changed="full_refresh"' in told
    anew = assets(Declared(name="shop"), warehouse, on_table_changed="full_refresh")
    assert run(anew, instance, "2026-01-02").success
    assert run(anew, instance, "2026-01-01", "2026-01-03").success
    assert run(by_day, instance, "2026-01-02").success
    assert ids(path) == [1, 2, 3]


def test_times_with_and_without_a_zone_do_not_meet(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    class Shop(Texts):
        zone: tzinfo | None = UTC

        def load_data(
            self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            day = int(query["_start_date"][8:10])
            yield [{"id": day, "at": datetime(2026, 1, day, tzinfo=self.zone)}]

    shop = Shop(name="shop")
    by_day = assets(shop, warehouse)
    assert run(by_day, instance, "2026-01-01").success
    shop.zone = None
    told = failure_text(run(by_day, instance, "2026-01-02"))
    assert "or would hold it with these rows (timestamp[us])" in told
    assert "Have all rows bring one type of time, with or without a zone." in told
    shop.zone = UTC
    assert run(by_day, instance, "2026-01-02").success
    assert ids(path) == [1, 2]


@pytest.mark.parametrize(
    ("hint", "returned"),
    [
        ("Return dates or times instead", {"id": 1, "at": "2026-01-04"}),
        (OUTSIDE, {"id": 1, "at": datetime(2026, 1, 5, tzinfo=UTC)}),
    ],
)
def test_what_is_said_to_a_hand_written_asset_helps(
    warehouse: DuckDBDestination,
    instance: dg.DagsterInstance,
    path: Path,
    hint: str,
    returned: Mapping[str, Any],
) -> None:
    mended = {"id": 1, "at": datetime(2026, 1, 4, tzinfo=UTC)}
    metadata: dict[str, Any] = {"etl_assets/partition_by": "at"}

    def launch(*rows: Mapping[str, Any]) -> dg.ExecuteInProcessResult:
        @dg.asset(
            key=["shop", "orders"],
            partitions_def=DAYS,
            metadata=metadata,
            io_manager_key="warehouse",
        )
        def orders() -> list[Mapping[str, Any]]:
            return list(rows)

        resources = {"warehouse": DestinationIOManager(warehouse)}
        return run([orders], instance, "2026-01-04", resources=resources)

    assert hint in failure_text(launch(returned))
    if hint == OUTSIDE:
        metadata |= json.loads(hint)
        assert launch(returned, {**mended, "id": 2}).success
        assert ids(path) == [2]
    else:
        assert launch(mended).success
        assert ids(path) == [1]


def test_a_long_key_is_refused_before_anything_is_read(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    tenants = ["x" * 201]
    static = dg.StaticPartitionsDefinition(tenants)
    made = assets(Texts(name="shop"), warehouse, partitions_def=static, partition_by="tenant")
    assert "at most 200 are stored" in failure_text(run(made, instance, tenants[0]))

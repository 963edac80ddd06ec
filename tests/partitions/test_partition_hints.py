"""What errors about partitions say that one should do, done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from etl_assets import DuckDBDestination, Source, Stream, stream_assets
from tests.assets.shop import failure_text
from tests.partitions.orders import BY_DAY, ids, run


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
    assert "the same in the properties of a schema" in told
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
        'Drop the table, and load its partitions anew with on_table_changed="full_refresh"' in told
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


def test_a_long_key_is_refused_before_anything_is_read(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    tenants = ["x" * 201]
    static = dg.StaticPartitionsDefinition(tenants)
    made = assets(Texts(name="shop"), warehouse, partitions_def=static, partition_by="tenant")
    assert "at most 200 are stored" in failure_text(run(made, instance, tenants[0]))

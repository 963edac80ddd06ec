"""A partitioned stream with checks: driven from the asset's body, it replaces its partitions all the same."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import DuckDBDestination, Source, Stream, StreamOptions, checks, stream_assets

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-05")


class Shop(Source):
    streams = (Stream("orders", primary_key="id"),)

    def load_data(
        self,
        stream: Stream,
        bookmarks: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        window: Any = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        at = window.start
        while at < window.end:
            yield [{"id": at.day * 100 + at.hour, "at": at}]
            at += dt.timedelta(hours=8)


@pytest.mark.parametrize("policy", [None, dg.BackfillPolicy.single_run()], ids=["one", "many"])
def test_a_partition_is_checked_in_its_load(tmp_path: Path, policy: Any) -> None:
    destination = DuckDBDestination(path=tmp_path / "w.duckdb")
    options = StreamOptions(
        partitions_def=DAYS,
        partition_by="at",
        backfill_policy=policy,
        checks=[checks.row_count(min=1), checks.not_null("at", gate=True)],
    )
    (orders,) = stream_assets(
        Shop(name="shop"), destination=destination, options={"orders": options}
    )
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            result = dg.materialize([orders], partition_key="2026-01-02", instance=instance)
            assert result.success
            assert {one.check_name for one in result.get_asset_check_evaluations()} == {
                "row_count",
                "not_null_at",
            }
            (event,) = result.asset_materializations_for_node(orders.op.name)
            assert event.partition == "2026-01-02"
            assert event.metadata["dagster/partition_row_count"].value == 3
            assert event.metadata["dagster/row_count"].value == 3
        if policy is not None:
            tags = {
                "dagster/asset_partition_range_start": "2026-01-01",
                "dagster/asset_partition_range_end": "2026-01-03",
            }
            result = dg.materialize([orders], tags=tags, instance=instance)
            assert result.success
            events = result.asset_materializations_for_node(orders.op.name)
            assert sorted(str(one.partition) for one in events) == [
                "2026-01-01",
                "2026-01-02",
                "2026-01-03",
            ]
            assert {one.metadata["dagster/partition_row_count"].value for one in events} == {3}
    found = destination.read_table(destination.table_for("shop", Shop.streams[0]))
    assert found.num_rows == (9 if policy else 3)

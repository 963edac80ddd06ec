"""Upserts: half of the rows are there with another price, spread over the whole table; half are new."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.work import (
    Work,
    again,
    batches,
    dlt_pipeline,
    fresh,
    fresh_dlt,
    keep,
    load_by_hand,
    parquet,
    table,
)

SHARE = 10
"""One row comes for so many that are there."""


def prepare(folder: Path, rows: int) -> None:
    import pyarrow.compute as pc

    parquet(folder, rows)
    old = table(rows).take(pa.array(range(0, rows, 2 * SHARE)))
    old = old.set_column(2, "price", pc.add(old.column("price"), 1.0))
    new = table(rows // SHARE - old.num_rows, rows)
    changes = pa.concat_tables([old, new]).combine_chunks()
    with pa.ipc.new_file(folder / "new.arrow", changes.schema) as file:
        file.write_table(changes)


def given(folder: Path) -> pa.Table:
    with pa.ipc.open_file(folder / "new.arrow") as file:
        return file.read_all()


def before_by_hand(folder: Path) -> None:
    load_by_hand(fresh(folder, "by hand"), batches(folder))
    keep(folder, "by hand")


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, "by hand")
    settings = ", ".join(f"{name} = s.{name}" for name in given.column_names if name != "id")

    def load() -> None:
        with duckdb.connect(file) as connection:
            connection.register("given", given)
            connection.execute("CREATE TEMP TABLE staged AS SELECT * FROM given")
            connection.execute(
                f"MERGE INTO bench.t AS t USING staged AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET {settings} "
                "WHEN NOT MATCHED THEN INSERT"
            )

    return load


def _load_ours(file: str, items: list[pa.Table]) -> None:
    from benchmarks.given_source import GivenSource
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.batch import Batch
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sync import sync

    stream = Stream("t", primary_key=["id"], replication_key="id")
    source = GivenSource([Batch(one) for one in items])
    sync(StreamRead(source, stream), DuckDBDestination(file), strategy="merge")


def before_ours(folder: Path) -> None:
    _load_ours(fresh(folder, "ours"), batches(folder))
    keep(folder, "ours")


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, "ours")
    return lambda: _load_ours(file, [given])


def before_dlt(folder: Path) -> None:
    import dlt

    fresh_dlt(folder).run(
        dlt.resource(batches(folder), name="t", write_disposition="merge", primary_key="id")
    )
    keep(folder, "dlt")


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    import dlt

    pipeline = dlt_pipeline(folder, again(folder, "dlt"))
    return lambda: pipeline.run(
        dlt.resource([given], name="t", write_disposition="merge", primary_key="id")
    )


WORK = Work(
    title="100,000 upserts into 1 M rows, DuckDB",
    rows=(1_000_000, 100_000),
    prepare=prepare,
    given=given,
    before={"by hand": before_by_hand, "ours": before_ours, "dlt": before_dlt},
    candidates={"by hand": by_hand, "ours": ours, "dlt": dlt},
    target=1.25,
)

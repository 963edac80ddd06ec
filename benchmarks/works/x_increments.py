"""Increments: 1,000 rows more in a DuckDB table, after 1, 20 and 1,000 such loads before.

Ours keeps a ledger of all loads; it is to cost the same however many there were.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import BY_HAND, OURS, Work, again, fresh, keep, load_by_hand, table

INCREMENT = 1_000
SIZES = (1, 20, 1_000)


def prepare(folder: Path, rows: int) -> None:
    (folder / "loads").write_text(str(rows))


def increments(folder: Path) -> list[Any]:
    loads = int((folder / "loads").read_text())
    rows = table(loads * INCREMENT)
    return [rows.slice(first, INCREMENT) for first in range(0, rows.num_rows, INCREMENT)]


def given(folder: Path) -> Any:
    return table(INCREMENT, int((folder / "loads").read_text()) * INCREMENT)


def before_by_hand(folder: Path) -> None:
    load_by_hand(fresh(folder, BY_HAND), increments(folder))
    keep(folder, BY_HAND)


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, BY_HAND)

    def load() -> None:
        import duckdb

        with duckdb.connect(file) as connection:
            connection.register("given", given)
            connection.execute("INSERT INTO bench.t SELECT * FROM given")

    return load


def load_ours(file: str, items: list[Any]) -> None:
    from benchmarks.given_source import GivenSource
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.batch import Batch
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sync import resolve_start, sync

    stream = Stream("t", primary_key=["id"], replication_key="id")
    into = DuckDBDestination(file)
    for item in items:
        read = StreamRead(GivenSource([Batch(item)]), stream)
        sync(read, into, strategy="append", start=resolve_start(read, into))


def before_ours(folder: Path) -> None:
    load_ours(fresh(folder, OURS), increments(folder))
    keep(folder, OURS)


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, OURS)
    return lambda: load_ours(file, [given])


WORK = Work(
    title="1,000 rows more, DuckDB, after so many loads",
    rows=(SIZES[-1], 2),
    sizes=SIZES,
    prepare=prepare,
    given=given,
    before={BY_HAND: before_by_hand, OURS: before_ours},
    candidates={BY_HAND: by_hand, OURS: ours},
    rounds=3,
)

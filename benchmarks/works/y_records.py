"""`get_records` of an Airbyte connector, iterated: 200,000 records of 11 fields, one an object and one an array.

The limit is DuckDB's load of the bare records, as there is no shorter way to have them. Starts and
imports count. What the records hold is summed up once more, untimed, and compared.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.messages import NAME, TYPES, prepare
from benchmarks.work import BY_HAND, InDuckDB, Loaded, Work
from benchmarks.works.x_messages import by_hand

CHECK = (
    "SELECT COUNT(*), SUM(id)::BIGINT, SUM(LENGTH(name))::BIGINT, ROUND(SUM(price), 2), ROUND(SUM(weight), 6), "
    "SUM(count)::BIGINT, SUM(LENGTH(note))::BIGINT, COUNT(*) FILTER (active), SUM(epoch(made))::BIGINT, "
    "SUM(day - DATE '2000-01-01')::BIGINT, SUM((address ->> '$.number')::INT)::BIGINT, "
    "ROUND(SUM((address ->> '$.geo.lat')::DOUBLE), 3), SUM(json_array_length(tags))::BIGINT FROM t"
)


class _Iterated:
    """The sums that `CHECK` asks for, of the records themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def answer(self, query: str) -> list[tuple[Any, ...]]:
        from datetime import date
        from math import fsum

        rows = [dict(record) for record in _source(self.folder).get_records("t")]
        notes = [row["note"] for row in rows if row["note"] is not None]
        sums = (
            len(rows),
            sum(row["id"] for row in rows),
            sum(len(row["name"]) for row in rows),
            round(fsum(row["price"] for row in rows), 2),
            round(fsum(row["weight"] for row in rows), 6),
            sum(row["count"] for row in rows),
            sum(map(len, notes)),
            sum(row["active"] for row in rows),
            int(sum(row["made"].timestamp() for row in rows)),
            sum((row["day"] - date(2000, 1, 1)).days for row in rows),
            sum(row["address"]["number"] for row in rows),
            round(fsum(row["address"]["geo"]["lat"] for row in rows), 3),
            sum(len(row["tags"]) for row in rows),
        )
        return [sums]

    def types(self) -> dict[str, str]:
        return TYPES  # they are Python's


def _source(folder: Path) -> Any:
    from etl_assets import get_source

    return get_source(NAME, config={}, local_executable=folder / NAME, streams="*")


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    def iterate() -> None:
        for record in _source(folder).get_records("t"):
            assert record

    return iterate


def loaded(folder: Path, candidate: str) -> Loaded:
    return InDuckDB(folder, candidate) if candidate == BY_HAND else _Iterated(folder)


WORK = Work(
    title="get_records of 200,000 connector messages, iterated",
    rows=(200_000, 20_000),
    prepare=prepare,
    candidates={"by hand": by_hand, "ours": ours},
    loaded=loaded,
    check=CHECK,
    whole=True,
    target=4.0,
)

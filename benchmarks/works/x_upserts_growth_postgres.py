"""Upserts, PostgreSQL -> PostgreSQL: 100,000 rows into tables of 1, 4 and 16 million; see `k_upserts_postgres`.

Ours is to grow with the table no steeper than `ON CONFLICT` by hand.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks.works import k_upserts_postgres

CHANGES = 100_000
SIZES = (1_000_000, 4_000_000, 16_000_000)


def prepare(folder: Path, rows: int) -> None:
    k_upserts_postgres.prepare(folder, rows, changes=min(CHANGES, rows // 10))


WORK = replace(
    k_upserts_postgres.WORK,
    title="100,000 upserts, PostgreSQL -> PostgreSQL, into a table of",
    rows=(SIZES[-1], 50_000),
    sizes=SIZES,
    prepare=prepare,
    rounds=3,
    target=None,
)

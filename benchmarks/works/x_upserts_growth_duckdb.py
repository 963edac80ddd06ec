"""Upserts, DuckDB: 100,000 rows into tables of 1, 4 and 16 million; see `e_upserts`.

Ours is to grow with the table no steeper than the staged `MERGE`.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks.works import e_upserts

CHANGES = 100_000
SIZES = (1_000_000, 4_000_000, 16_000_000)
COLUMNS = """i AS id, 'name ' || i % 1000 AS name, i * 7919 % 10000 / 100 + {more} AS price,
hash(i) / 2e19 AS weight, (i % 97)::INTEGER AS count, CASE WHEN i % 3 = 0 THEN 'note ' || i END AS note,
i % 2 = 0 AS flag, make_timestamptz(1700000000000000 + i * 1000000) AS made"""


def prepare(folder: Path, rows: int) -> None:
    """Write the table's rows and those that come, the first of which are spread over the whole table."""
    import duckdb
    import pyarrow as pa

    changed = min(CHANGES, rows // e_upserts.SHARE) // 2
    old, new = (COLUMNS.format(more=more) for more in (1, 0))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"COPY (SELECT {new} FROM range({rows}) t(i)) TO '{folder / 'rows.parquet'}' (FORMAT parquet)"
        )
        changes = connection.sql(
            f"SELECT {old} FROM range(0, {rows}, {rows // changed}) t(i) "
            f"UNION ALL SELECT {new} FROM range({rows}, {rows + changed}) t(i)"
        ).to_arrow_table()
    with pa.ipc.new_file(folder / "new.arrow", changes.schema) as file:
        file.write_table(changes)


WORK = replace(
    e_upserts.WORK,
    title="100,000 upserts, DuckDB, into a table of",
    rows=(SIZES[-1], 100_000),
    sizes=SIZES,
    prepare=prepare,
    rounds=3,
    target=None,
)

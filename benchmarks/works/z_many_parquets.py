"""Many small Parquet files -> DuckDB: 500 of 1,000 rows."""

from pathlib import Path

from benchmarks.csv_files import CHECK
from benchmarks.file_works import file_work

_ROWS = 1_000
"""Those of a file."""


def prepare(folder: Path, rows: int) -> None:
    import duckdb

    with duckdb.connect() as connection:
        for first in range(0, rows, _ROWS):
            connection.execute(
                f"""COPY (
                    SELECT i AS id, i * 7919 % 100000 AS customer,
                        (i * 31 % 1000000 / 100)::DECIMAL(12, 2) AS price, i % 2 = 0 AS paid,
                        DATE '2020-01-01' + (i % 2000)::INT AS day,
                        TIMESTAMP '2020-01-01' + to_microseconds(i * 98765432) AS at,
                        ['open', 'shipped', 'returned'][1 + i % 3] AS status,
                        'the note number ' || i AS note, md5(i::VARCHAR)[:12] AS code
                    FROM range({first}, {first + _ROWS}) t(i)
                ) TO '{folder / f"{first:09}.parquet"}'"""
            )


WORK = file_work(
    "500 Parquet files of 1,000 rows -> DuckDB",
    "*.parquet",
    prepare,
    by_hand=lambda path: f"read_parquet('{path}')",
    options={},
    check=CHECK,
    rows=(500_000, 50_000),
    target=1.6,
)

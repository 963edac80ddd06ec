"""A CSV file of twelve columns, and how a work loads it into DuckDB."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.file_works import file_work
from benchmarks.work import Work

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": ["null", "integer"]},
        "customer": {"type": ["null", "integer"]},
        "quantity": {"type": ["null", "integer"]},
        "price": {"type": ["null", "number"], "multipleOf": 0.01},
        "discount": {"type": ["null", "number"]},
        "paid": {"type": ["null", "boolean"]},
        "day": {"type": ["null", "string"], "format": "date"},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "status": {"type": ["null", "string"]},
        "note": {"type": ["null", "string"]},
        "country": {"type": ["null", "string"]},
        "code": {"type": ["null", "string"]},
    },
}
COLUMNS = {
    "id": "BIGINT",
    "customer": "BIGINT",
    "quantity": "BIGINT",
    "price": "DECIMAL(38, 2)",
    "discount": "DOUBLE",
    "paid": "BOOLEAN",
    "day": "DATE",
    "at": "TIMESTAMP",
    "status": "VARCHAR",
    "note": "VARCHAR",
    "country": "VARCHAR",
    "code": "VARCHAR",
}
"""The types by hand, which are those that the schema means."""

CHECK = (
    "SELECT COUNT(*), SUM(id::BIGINT), SUM(price::DECIMAL(18, 2)), SUM(LENGTH(note)), "
    "MAX(at::TIMESTAMP), COUNT(*) FILTER (paid::BOOLEAN) FROM t"
)


def prepare(folder: Path, rows: int) -> None:
    import duckdb

    note = "CASE WHEN i % 10 = 0 THEN 'a note, with \"quotes\" ' ELSE 'the note number ' END || i"
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (
                SELECT i AS id, i * 7919 % 100000 AS customer, i % 50 AS quantity,
                    (i * 31 % 1000000 / 100)::DECIMAL(12, 2) AS price, i % 10000 / 10000 AS discount,
                    i % 2 = 0 AS paid, DATE '2020-01-01' + (i % 2000)::INT AS day,
                    TIMESTAMP '2020-01-01' + to_microseconds(i * 98765432) AS at,
                    ['open', 'shipped', 'returned'][1 + i % 3] AS status, {note} AS note,
                    ['de', 'fr', 'us', 'jp'][1 + i % 4] AS country, md5(i::VARCHAR)[:12] AS code
                FROM range({rows}) t(i)
            ) TO '{folder / "rows.csv"}' (HEADER)"""
        )


def work(title: str, by_hand: str, options: Mapping[str, Any], *, target: float) -> Work:
    """Return a work.

    Args:
        title: What it is called.
        by_hand: The options of `read_csv`.
        options: Those of our source.
        target: What ours is to stay below, as a ratio.
    """
    return file_work(
        title,
        "rows.csv",
        prepare,
        by_hand=lambda path: f"read_csv('{path}', {by_hand})",
        options=options,
        check=CHECK,
        rows=(1_000_000, 50_000),
        target=target,
    )

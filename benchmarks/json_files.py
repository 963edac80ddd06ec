"""A file of JSON lines with nested values, and how a work loads it into DuckDB."""

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
        "price": {"type": ["null", "number"], "multipleOf": 0.01},
        "discount": {"type": ["null", "number"]},
        "paid": {"type": ["null", "boolean"]},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "status": {"type": ["null", "string"]},
        "note": {"type": ["null", "string"]},
        "address": {"type": ["null", "object"]},
        "tags": {"type": ["null", "array"]},
    },
}
TYPED = {
    "id": "BIGINT",
    "customer": "BIGINT",
    "price": "DECIMAL(38, 2)",
    "discount": "DOUBLE",
    "paid": "BOOLEAN",
    "at": "TIMESTAMPTZ",
    "status": "VARCHAR",
    "note": "VARCHAR",
    "address": "JSON",
    "tags": "JSON",
}
"""The types by hand, which are those that the schema means."""
UNTYPED = {**TYPED, "price": "DECIMAL(6, 2)", "discount": "DECIMAL(5, 4)", "at": "VARCHAR"}
"""Those that the values tell."""

CHECK = (
    "SELECT COUNT(*), SUM(id), SUM(price), ROUND(SUM(discount), 3), SUM(LENGTH(note)), "
    "COUNT(*) FILTER (paid), MAX(at)::TIMESTAMPTZ, SUM((address->>'$.geo.lat')::DECIMAL(9, 1)), "
    "COUNT(DISTINCT address->>'zip'), SUM(LENGTH(tags::VARCHAR)) FROM t"
)


def prepare(folder: Path, rows: int) -> None:
    import duckdb

    at = "TIMESTAMP '2020-01-01' + to_microseconds(i * 98765432)"
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (
                SELECT i AS id, i * 7919 % 100000 AS customer,
                    (i * 31 % 1000000 / 100)::DECIMAL(12, 2) AS price, i % 10000 / 10000 AS discount,
                    i % 2 = 0 AS paid, strftime({at}, '%Y-%m-%dT%H:%M:%S.%fZ') AS at,
                    ['open', 'shipped', 'returned'][1 + i % 3] AS status,
                    CASE WHEN i % 10 = 0 THEN NULL ELSE 'the note number ' || i END AS note,
                    {{
                        'city': ['Berlin', 'Paris', 'Rome'][1 + i % 3],
                        'zip': (10000 + i % 90000)::VARCHAR,
                        'geo': {{'lat': i % 90 / 10, 'lon': i % 180 / 10}}
                    }} AS address,
                    list_transform(range(i % 4), lambda n: 'tag' || n) AS tags
                FROM range({rows}) t(i)
            ) TO '{folder / "rows.jsonl"}' (FORMAT json)"""
        )


def work(title: str, columns: Mapping[str, str], options: Mapping[str, Any]) -> Work:
    """Return a work.

    Args:
        title: What it is called.
        columns: Their types by hand.
        options: Those of our source.
    """
    return file_work(
        title,
        "rows.jsonl",
        prepare,
        by_hand=lambda path: (
            f"read_json('{path}', format = 'newline_delimited', columns = {dict(columns)})"
        ),
        options=options,
        check=CHECK,
        rows=(500_000, 50_000),
        target=2.0,
    )

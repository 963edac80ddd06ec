"""A Singer tap's messages -> DuckDB: 100,000 records of 10 columns on standard input, by targets as programs.

By hand DuckDB reads the records out of the lines, with explicit types. Starts and imports count.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers import program
from benchmarks.work import InDuckDB, Work, fresh, table

EVERY = 10_000
"""Records between two STATE messages."""
PROPERTIES = {
    "id": {"type": "integer"},
    "name": {"type": ["null", "string"]},
    "price": {"type": ["null", "number"]},
    "weight": {"type": ["null", "number"]},
    "count": {"type": ["null", "integer"]},
    "note": {"type": ["null", "string"]},
    "flag": {"type": ["null", "boolean"]},
    "made": {"type": ["null", "string"], "format": "date-time"},
    "city": {"type": ["null", "string"]},
    "code": {"type": ["null", "string"]},
}
TYPES = {
    "id": "BIGINT", "name": "VARCHAR", "price": "DOUBLE", "weight": "DOUBLE", "count": "BIGINT", "note": "VARCHAR",
    "flag": "BOOLEAN", "made": "TIMESTAMP WITH TIME ZONE", "city": "VARCHAR", "code": "VARCHAR",
}  # fmt: skip
CHECK = (
    "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)), SUM(LENGTH(note)), ROUND(SUM(price), 2), SUM(count), "
    "COUNT(*) FILTER (flag), MAX(epoch_us(made)), SUM(LENGTH(city)), COUNT(DISTINCT code) FROM t"
)
TARGET = "from etl_assets import DuckDBDestination; DuckDBDestination.main()"
"""Ours as a program."""


def prepare(folder: Path, rows: int) -> None:
    schema = {
        "type": "SCHEMA",
        "stream": "t",
        "schema": {"properties": PROPERTIES},
        "key_properties": ["id"],
    }
    with (folder / "messages.jsonl").open("w", encoding="utf-8") as out:
        out.write(json.dumps(schema) + "\n")
        for number, row in enumerate(table(rows).to_pylist(), 1):
            record = {
                **row, "made": row["made"].strftime("%Y-%m-%dT%H:%M:%S+00:00"), "city": f"city {number % 500}",
                "code": f"{number:08x}",
            }  # fmt: skip
            out.write(json.dumps({"type": "RECORD", "stream": "t", "record": record}) + "\n")
            if number % EVERY == 0:
                out.write(
                    json.dumps({"type": "STATE", "value": {"bookmarks": {"t": {"id": number}}}})
                    + "\n"
                )


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    file = fresh(folder, "by hand")

    def load() -> None:
        import duckdb

        record = f"STRUCT({', '.join(f'{name} {type_}' for name, type_ in TYPES.items())})"
        with duckdb.connect(file) as connection:
            connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA bench")
            connection.execute(
                "CREATE TABLE bench.t AS SELECT record.* FROM read_json(?, format='newline_delimited', "
                f"columns={{'type': 'VARCHAR', 'record': '{record}'}}) WHERE type = 'RECORD'",
                [str(folder / "messages.jsonl")],
            )

    return load


def target(folder: Path, command: list[str], config: dict[str, Any]) -> Callable[[], Any]:
    """Return what runs a Singer target on the messages."""
    import subprocess

    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    def load() -> None:
        with (
            (folder / "messages.jsonl").open("rb") as messages,
            (folder / "states.jsonl").open("wb") as states,
        ):
            subprocess.run(
                [*command, "--config", str(folder / "config.json")],
                stdin=messages,
                stdout=states,
                check=True,
            )
        last = (folder / "states.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        assert json.loads(last)["bookmarks"]["t"]["id"] % EVERY == 0

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    return target(
        folder, [sys.executable, "-c", TARGET], {"path": fresh(folder, "ours"), "source": "bench"}
    )


def target_duckdb(folder: Path, given: Any) -> Callable[[], Any]:
    config = {"path": fresh(folder, "target-duckdb"), "default_target_schema": "bench"}
    return target(folder, [program("target-duckdb", "target-duckdb")], config)


WORK = Work(
    title="100,000 Singer records of 10 columns -> DuckDB",
    rows=(100_000, 20_000),
    prepare=prepare,
    candidates={"by hand": by_hand, "ours": ours, "target-duckdb": target_duckdb},
    loaded=InDuckDB,
    check=CHECK,
    whole=True,
)

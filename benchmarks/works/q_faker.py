"""A script written for PyAirbyte, its import line changed: `source-faker` into DuckDB, users, products and purchases.

By hand the connector's messages go into a file, whose records DuckDB reads with explicit types. The
connector is the same for all, most of the time is its own, and some of its values are of the
moment. Starts and imports count.
"""

import importlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.work import InDuckDB, Work, fresh

MODULES = {"ours": "etl_assets", "pyairbyte": "airbyte"}
TYPES = {
    "users": {
        "id": "BIGINT", "created_at": "TIMESTAMP WITH TIME ZONE", "updated_at": "TIMESTAMP WITH TIME ZONE",
        "name": "VARCHAR", "title": "VARCHAR", "age": "BIGINT", "email": "VARCHAR", "telephone": "VARCHAR",
        "gender": "VARCHAR", "language": "VARCHAR", "academic_degree": "VARCHAR", "nationality": "VARCHAR",
        "occupation": "VARCHAR", "height": "VARCHAR", "blood_type": "VARCHAR", "weight": "BIGINT", "address": "JSON",
    },
    "products": {
        "id": "BIGINT", "make": "VARCHAR", "model": "VARCHAR", "year": "BIGINT", "price": "DOUBLE",
        "created_at": "TIMESTAMP WITH TIME ZONE", "updated_at": "TIMESTAMP WITH TIME ZONE",
    },
    "purchases": {
        "id": "BIGINT", "user_id": "BIGINT", "product_id": "BIGINT", "created_at": "TIMESTAMP WITH TIME ZONE",
        "updated_at": "TIMESTAMP WITH TIME ZONE", "added_to_cart_at": "TIMESTAMP WITH TIME ZONE",
        "purchased_at": "TIMESTAMP WITH TIME ZONE", "returned_at": "TIMESTAMP WITH TIME ZONE",
    },
}  # fmt: skip
CHECK = """SELECT COUNT(*), SUM(id), SUM(age), SUM(LENGTH(name)), SUM(hash(email)), SUM(hash(height)), SUM(weight),
SUM(hash(address ->> '$.street_name')), COUNT(DISTINCT created_at), COUNT(updated_at),
(SELECT (COUNT(*), CAST(SUM(price) AS DOUBLE), COUNT(DISTINCT updated_at)) FROM main.products),
(SELECT (COUNT(*), SUM(product_id), SUM(user_id), COUNT(returned_at), COUNT(purchased_at))
FROM main.purchases) FROM t"""


class InCache(InDuckDB):
    """The three tables."""

    def types(self) -> dict[str, str]:
        return dict(
            self.answer(
                "SELECT table_name || '.' || column_name, data_type FROM duckdb_columns() WHERE schema_name = 'main' "
                f"AND table_name IN {tuple(TYPES)} ORDER BY table_name, column_index"
            )
        )


def connector() -> str:
    """Return the program that all start."""
    return peers.program("source-faker", "source-faker")


def prepare(folder: Path, rows: int) -> None:
    config = {
        "count": rows,
        "seed": 42,
        "always_updated": False,
        "parallelism": 1,
        "records_per_slice": 1000,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [connector(), "discover", "--config", str(folder / "config.json")]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    (found,) = (
        message["catalog"] for line in lines if (message := json.loads(line))["type"] == "CATALOG"
    )
    streams = [
        {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
        for stream in found["streams"]
    ]
    (folder / "catalog.json").write_text(json.dumps({"streams": streams}), encoding="utf-8")


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    file = fresh(folder, "by hand")

    def load() -> None:
        import duckdb

        config, catalog, messages = (
            folder / name for name in ("config.json", "catalog.json", "messages.jsonl")
        )
        with messages.open("wb") as out:
            command = [connector(), "read", "--config", str(config), "--catalog", str(catalog)]
            subprocess.run(command, stdout=out, check=True)
        with duckdb.connect(file) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for table, columns in TYPES.items():
                record = (
                    f"STRUCT({', '.join(f'{name} {type_}' for name, type_ in columns.items())})"
                )
                connection.execute(
                    f"CREATE TABLE main.{table} AS SELECT data.* FROM (SELECT record.data AS data "
                    "FROM read_json(?, format='newline_delimited', columns={'type': 'VARCHAR', "
                    f"'record': 'STRUCT(stream VARCHAR, data {record})'}}) "
                    f"WHERE type = 'RECORD' AND record.stream = '{table}')",
                    [str(messages)],
                )

    return load


def script(candidate: str, folder: Path, given: Any) -> Callable[[], Any]:
    file = fresh(folder, candidate)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))

    def load() -> None:
        ab = importlib.import_module(MODULES[candidate])
        source = ab.get_source(
            "source-faker", config=config, local_executable=connector(), streams="*"
        )
        cache = ab.caches.DuckDBCache(db_path=file, cache_dir=str(folder / f"{candidate}-cache"))
        result = source.read(cache)
        assert result.processed_records > config["count"]

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    return script("ours", folder, given)


def pyairbyte(folder: Path, given: Any) -> Callable[[], Any]:
    return script("pyairbyte", folder, given)


WORK = Work(
    title="a script of PyAirbyte's: source-faker, 100,000 users -> DuckDB",
    rows=(100_000, 2_000),
    prepare=prepare,
    candidates={"by hand": by_hand, "ours": ours, "pyairbyte": pyairbyte},
    loaded=lambda folder, candidate: InCache(folder, candidate, "main", "users"),
    check=CHECK,
    needs=lambda: "" if peers.there("source-faker") else "no source-faker (make bench-peers)",
    whole=True,
    memory=True,
    rounds=1,
)

"""The files of a project whose streams share one read; its runs as processes, and what is left of them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from etl_assets.testing.site import IN_PROCESS

PROJECT = Path(__file__).parent / "together.py"
COLUMNS = {"append": "n, text", "merge": "id, text"}


def expected(stream: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the rows that the table of a stream has once these were loaded."""
    if stream == "merge":
        return sorted((row["id"], row["text"]) for row in {row["id"]: row for row in rows}.values())
    return sorted((row["n"], row["text"]) for row in rows)


@dataclass(frozen=True)
class TogetherSite:
    """One project's files: its rows, its warehouse, its Dagster instance."""

    folder: Path

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make these the rows that the source has."""
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(self, fault: str | None = None) -> subprocess.CompletedProcess[str]:
        """Materialize both streams in a process of its own."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("ETL_ASSETS_")
        }
        ours = {
            "DAGSTER_HOME": str(home),
            "ROWS": str(self.folder / "rows.jsonl"),
            "WAREHOUSE": str(self.folder / "warehouse.duckdb"),
            "ETL_ASSETS_CHECKPOINT_SECONDS": "0",
            "PYTHONPATH": str(PROJECT.parents[2]),
        }
        dagster = [sys.executable, "-m", "dagster", "asset", "materialize", "-f", str(PROJECT)]
        return subprocess.run(
            [*dagster, "--select", "*", "--config-json", IN_PROCESS],
            env=kept | ours | ({"ETL_ASSETS_FAULT": fault} if fault else {}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def look(self, table: str) -> list[tuple[Any, ...]]:
        """Read a table, from this process: the one that wrote it is gone."""
        return self._query(f"SELECT {COLUMNS[table]} FROM lines.{table} ORDER BY ALL")

    def bookmark(self, stream: str) -> int:
        """Return how far the destination's state says a stream ("" for the source) was read."""
        rows = self._query(f"SELECT bookmark FROM _etl_assets_state WHERE stream = '{stream}'")
        return int(json.loads(rows[0][0])["n"])

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as connection:
            return connection.execute(sql).fetchall()

    def events(self, stream: str) -> list[dict[str, Any]]:
        """Return the metadata of a stream's materialization events, oldest first."""
        with dg.DagsterInstance.from_config(str(self.folder / "home")) as instance:
            key = dg.AssetKey(["lines", stream])
            records = instance.fetch_materializations(key, limit=100, ascending=True).records
            found = [record.asset_materialization for record in records]
        return [{k: v.value for k, v in one.metadata.items()} for one in found if one is not None]

    def left_over(self) -> list[str]:
        """Return the files beside the warehouse that a sync should have removed."""
        kept = {"rows.jsonl", "warehouse.duckdb", "home"}
        return sorted(path.name for path in self.folder.iterdir() if path.name not in kept)

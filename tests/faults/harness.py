"""Starts `dagster asset materialize` as a process, has it killed at a fault point, and looks at what is left."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

PROJECT = Path(__file__).parent / "project.py"
ROOT = PROJECT.parents[2]
BATCH_ROWS = 10
IN_PROCESS = json.dumps({"execution": {"config": {"in_process": {}}}})

LOOK = """
import json, sys, duckdb
con = duckdb.connect(sys.argv[1])
rows = con.sql(sys.argv[2]).fetchall() if con.sql(
    "SELECT 1 FROM duckdb_tables() WHERE table_name = '" + sys.argv[3] + "'").fetchall() else []
print(json.dumps(rows))
"""


@dataclass(frozen=True)
class Site:
    """One project's files: its rows, its warehouse, its Dagster instance."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make these the rows that the source has."""
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def copy(self, folder: Path) -> "Site":
        """Give a copy, to be broken."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Site(folder)

    def environment(self, fault: str | None = None) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ETL_ASSETS_")}
        ours = {
            "DAGSTER_HOME": str(home),
            "ROWS": str(self.folder / "rows.jsonl"),
            "WAREHOUSE": str(self.warehouse),
            "ETL_ASSETS_CHECKPOINT_SECONDS": "0",
            "PYTHONPATH": str(ROOT),
        }
        return kept | ours | ({"ETL_ASSETS_FAULT": fault} if fault else {})

    def command(self, stream: str) -> list[str]:
        select = "*" if stream == "*" else f"lines/{stream}"
        dagster = str(Path(sys.executable).with_name("dagster"))
        return [dagster, "asset", "materialize", "-f", str(PROJECT), "--select", select, "--config-json", IN_PROCESS]

    def run(self, stream: str, fault: str | None = None) -> subprocess.CompletedProcess[str]:
        """Materialize a stream (or `*`) in a process of its own."""
        return subprocess.run(
            self.command(stream),
            env=self.environment(fault),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def start(self, stream: str, fault: str | None = None) -> subprocess.Popen[str]:
        """Start materializing, without waiting for the end."""
        return subprocess.Popen(
            self.command(stream),
            env=self.environment(fault),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def look(self, table: str, columns: str) -> list[list[Any]]:
        """Read a table from another process; it has no rows if there is none."""
        sql = f"SELECT {columns} FROM lines.{table} ORDER BY ALL"
        command = [sys.executable, "-c", LOOK, str(self.warehouse), sql, table]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        rows: list[list[Any]] = json.loads(found.stdout)
        return rows

    def bookmark(self, stream: str) -> int:
        """Give how far the destination's state says a stream was read; -1 for not at all."""
        with duckdb.connect(str(self.warehouse)) as connection:
            rows = connection.execute("SELECT bookmark FROM _etl_assets_state WHERE stream = ?", [stream]).fetchall()
        return int(json.loads(rows[0][0])["n"]) if rows and rows[0][0] else -1

    def events(self, stream: str) -> list[dict[str, Any]]:
        """Give the metadata of a stream's materialization events, oldest first."""
        with dg.DagsterInstance.from_config(str(self.folder / "home")) as instance:
            key = dg.AssetKey(["lines", stream])
            records = instance.fetch_materializations(key, limit=100, ascending=True).records
            found = [record.asset_materialization for record in records]
        return [{k: v.value for k, v in one.metadata.items()} for one in found if one is not None]

    def left_over(self) -> list[str]:
        """Give the files beside the warehouse that a sync should have removed."""
        expected = {"rows.jsonl", "warehouse.duckdb", "home"}
        return sorted(path.name for path in self.folder.iterdir() if path.name not in expected)

"""Loading definitions is cheap and connects to nothing; the issue's own definitions run from the command line."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from tests.assets.shop import event, query

ROOT = Path(__file__).resolve().parents[2]

DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, SqlSource, stream_assets

shop = SqlSource(name="shop", url=dg.EnvVar("SHOP_URL"))
defs = dg.Definitions(
    assets=stream_assets(shop, streams=["customers", "orders"], destination=DuckDBDestination("warehouse.duckdb")),
)
"""

LOAD = """
import json, runpy, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("a connection was opened")

socket.socket.connect = refuse
defs = runpy.run_path("definitions.py")["defs"]
defs.resolve_implicit_global_asset_job_def()
defs.get_repository_def()
heavy = [name for name in ("pandas", "polars", "pyarrow", "duckdb", "sqlalchemy") if name in sys.modules]
print(json.dumps({"heavy": heavy, "assets": len(list(defs.resolve_all_asset_keys()))}))
"""


def start(
    *command: str, folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "definitions.py").write_text(DEFINITIONS)
    return tmp_path


def test_loading_imports_nothing_heavy_and_opens_no_connection(project: Path) -> None:
    done = start("-c", LOAD, folder=project)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"heavy": [], "assets": 2}
    assert sorted(one.name for one in project.iterdir()) == ["definitions.py"]


def test_the_quick_start_from_the_command_line(project: Path, path: Path) -> None:
    """With Dagster's default executor: each step is a process that loads the definitions anew."""
    database = project / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER)")
        connection.executemany("INSERT INTO customers VALUES (?, ?)", [(1, "Ada"), (2, "Grace")])
        connection.execute("INSERT INTO orders VALUES (1, 1)")
    home = project / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    env = {"SHOP_URL": f"sqlite:///{database}", "DAGSTER_HOME": str(home)}
    select = ["-m", "dagster", "asset", "materialize", "-f", "definitions.py", "--select"]
    for selection in ("shop/customers", "group:shop"):
        done = start(*select, selection, folder=project, env=env)
        assert done.returncode == 0, done.stderr
    assert query(path, "SELECT id, name FROM shop.customers ORDER BY id") == [
        (1, "Ada"),
        (2, "Grace"),
    ]
    assert query(path, "SELECT customer FROM shop.orders") == [(1,)]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert event(instance, "shop/customers")["dagster/row_count"] == 2
    failed = start(
        *select,
        "shop/orders",
        folder=project,
        env={**env, "SHOP_URL": "sqlite:////nowhere/at/all.db"},
    )
    assert failed.returncode == 1

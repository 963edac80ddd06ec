"""What is built is what is used: the wheel alone, in an environment of its own, and with one extra at a time."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

from etl_assets.packages import EXTRAS
from tests.servers import MYSQL, POSTGRES
from tests.test_docs import ROOT, blocks

pytestmark = [pytest.mark.full, pytest.mark.connectors]
UV = os.environ.get("UV") or which("uv") or "uv"


def run(command: list[str], folder: Path, **environment: str) -> str:
    known = {
        name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "SHOP_URL"}
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env={**known, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)], folder)
    return next(folder.glob("*.whl"))


@pytest.fixture
def install(wheel: Path, tmp_path: Path) -> Callable[[str], Path]:
    def installed(extras: str) -> Path:
        place = tmp_path / "environment"
        run([UV, "venv", "--quiet", "--python", sys.executable, str(place)], tmp_path)
        package = f"etl-assets{extras} @ {wheel.as_uri()}"
        run(
            [UV, "pip", "install", "--quiet", "--no-config", "--python", str(place), package],
            tmp_path,
        )
        return place / "bin"

    return installed


def test_the_wheel_alone_runs_the_readme(install: Callable[[str], Path], tmp_path: Path) -> None:
    programs = install("")
    folder = tmp_path / "project"
    folder.mkdir()
    commands = []
    for block in blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        if block.code.startswith("# definitions.py"):
            (folder / "definitions.py").write_text(block.code, encoding="utf-8")
        elif block.language == "sh" and not block.fragment and not block.code.startswith("make "):
            commands.append(block.code)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    shown = run(["/bin/bash", "-euc", "\n".join(commands)], folder, PATH=path)
    assert shown.count("2026-01-0") == 3


def test_no_link_of_the_index_page_is_relative(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode("utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", metadata)
    assert len(targets) > 15
    assert [one for one in targets if not one.startswith("https://")] == []
    assert {"Homepage", "Documentation", "Changelog"} <= set(
        re.findall(r"^Project-URL: (\w+),", metadata, re.MULTILINE)
    )


SHEETS = Path(__file__).parent / "sources" / "sheets"

WITH = {
    "postgres": f"from etl_assets import PostgresDestination as D; D({POSTGRES!r}).test_connection()",
    "mysql": f"from etl_assets import MySQLDestination as D; D({MYSQL!r}).test_connection()",
    "polars": """
import pyarrow as pa
from etl_assets.frames import to_polars
assert to_polars(pa.table({"id": [7]}))["id"].to_list() == [7]
""",
    "rest": """
import http.server, threading
from etl_assets.caches import DuckDBCache
from etl_assets.sources.rest import Endpoint, RestSource
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"data": [{"id": 7}]}')
server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
source = RestSource("api", url, http2=True, streams=[Endpoint("rows", "/rows", records="data")])
source.select_all_streams()
assert source.read(DuckDBCache(db_path="rest.duckdb")).processed_records == 1
""",
    "files": f"""
import fsspec, shutil
from etl_assets import FileSource
from etl_assets.caches import DuckDBCache
for ending in ("xls", "xlsx", "ods"):
    shutil.copy({str(SHEETS)!r} + "/libreoffice." + ending, ".")
with fsspec.open("memory://drop/one.csv", "w") as file:
    file.write("id\\n7\\n")
for path, count in (("*.xls", 2), ("*.xlsx", 2), ("*.ods", 2), ("memory://drop/*.csv", 1)):
    source = FileSource("drop", path, null_values=["#N/A", "#DIV/0!"])
    read = source.read(DuckDBCache(db_path=f"{{path[-3:]}}.duckdb"))
    assert read.processed_records == count, path
""",
    "snowflake": "from etl_assets.packages import require; require('snowflake.connector', 'Snowflake')",
    "bigquery": "from etl_assets.packages import require; require('google.cloud.bigquery', 'BigQuery')",
    "google": "from etl_assets.packages import require; require('google.cloud.secretmanager', 'Secrets')",
    "dg": """
import subprocess, sys
from pathlib import Path
from etl_assets.cli import main
assert main(["init", "shop"]) == 0
dg = Path(sys.executable).with_name("dg")
subprocess.run([dg, "check", "defs"], cwd="shop", check=True)
""",
    "testing": "from etl_assets.testing import DestinationConformance, SourceConformance",
}


@pytest.mark.parametrize("extra", WITH)
def test_an_extra_alone_does_what_it_says(
    extra: str, install: Callable[[str], Path], tmp_path: Path
) -> None:
    run([str(install(f"[{extra}]") / "python"), "-c", WITH[extra]], tmp_path)


def test_each_extra_is_tried() -> None:
    assert {*WITH} == {*EXTRAS.values()}

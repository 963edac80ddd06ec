"""A canary: a password in a source's URL and a value in its rows, looked for in everything a failed run leaves."""

import base64
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).parents[2]
PASSWORD = "p4ss/w0rd-of:the?canary"  # noqa: S105 - the canary
DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, Source, SqlSource, Stream, stream_assets

class Leaky(Source):
    streams = [Stream("things")]

    def load_data(self, stream, **kwargs):
        self.logger.warning("about to fail")
        yield [{"id": 1}]
        raise RuntimeError(f"cannot log in with {self.config['deep'][0]['password']}") from ValueError(
            self.config["deep"][0]["password"])

leaky = Leaky(name="leaky", config={"deep": [{"password": dg.EnvVar("CANARY")}]})
database = SqlSource(name="database", url=dg.EnvVar("DATABASE_URL"), streams=[Stream("things")])
warehouse = DuckDBDestination("warehouse.duckdb")
defs = dg.Definitions(assets=[*stream_assets(leaky, destination=warehouse),
                              *stream_assets(database, destination=warehouse)])
"""


@pytest.mark.parametrize("stream", ["leaky/things", "database/things"])
def test_a_secret_of_a_failed_run_is_found_nowhere(stream: str, tmp_path: Path) -> None:
    (tmp_path / "definitions.py").write_text(DEFINITIONS)
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "CANARY": PASSWORD,
        "DATABASE_URL": f"postgresql+psycopg://nobody:{quote(PASSWORD, safe='')}@127.0.0.1:1/none",
    }
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "asset", "materialize", "-f", "definitions.py", "--select", stream]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=200)
    assert done.returncode == 1
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    left |= {Path("stdout"): done.stdout, Path("stderr"): done.stderr}
    assert any(b"things" in content for content in left.values()), "the failure itself is told"
    forms = {
        "raw": PASSWORD.encode(),
        "quoted": quote(PASSWORD, safe="").encode(),
        "base64": base64.b64encode(PASSWORD.encode()),
        "JSON": PASSWORD.replace("/", "\\/").encode(),
    }
    found = [(str(path), form) for path, content in left.items() for form, text in forms.items() if text in content]
    assert found == []

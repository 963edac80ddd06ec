"""Canaries: secrets of sources and destinations, looked for in every form in everything that a failed run leaves."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

ROOT = Path(__file__).parents[2]
PASSWORD = "p4ss/w0rd-of:the?canary"  # noqa: S105 - the canary
NASTY = "c4n\\ary\"s n'asty%C3%A9"
KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "".join(f"{n:02d}canaryAAAABBBBCCCC{n:02d}\n" for n in range(60))
    + "zZ9=\n"
)
DEFINITIONS = """
import sys
import dagster as dg
from etl_assets import DuckDBDestination, PostgresDestination, Source, SqlSource, Stream, stream_assets

class Leaky(Source):
    streams = [Stream("things"), Stream("notes"), Stream("lines"), Stream("rows", schema=
        {"properties": {"id": {"type": "integer"}}})]

    def load_data(self, stream, **kwargs):
        secret = self.config["deep"][0]["password"]
        key = self.config["key"]
        self.logger.warning("about to fail with %s %r", secret, {"key": key})
        yield [{"id": 1}]
        if stream.name == "rows":
            yield [{"id": secret + key}]
        error = ValueError(secret, {"key": key})
        error.add_note(f"noted: {secret!r}, {key}")
        if stream.name == "notes":
            raise ExceptionGroup(f"many {[secret, key.encode()]}", [error])
        if stream.name == "lines":
            raise RuntimeError("lost: " + "; ".join(line for line in key.splitlines() if len(line) >= 8))
        raise RuntimeError(f"cannot log in with {secret}") from error

warehouse = DuckDBDestination("warehouse.duckdb")
leaky = Leaky(name="leaky", config={"deep": [{"password": dg.EnvVar("CANARY")}], "key": dg.EnvVar("CANARY_KEY")})
user = SqlSource(name="user", url=dg.EnvVar("URL_USER"), streams=[Stream("things")])
query = SqlSource(name="query", url=dg.EnvVar("URL_QUERY"), streams=[Stream("things")])
cut = SqlSource(name="cut", url=dg.EnvVar("URL_CUT"), streams=[Stream("things")])

class Fine(Source):
    streams = [Stream("things")]
    def load_data(self, stream, **kwargs):
        yield [{"id": 1}]

into = PostgresDestination(dg.EnvVar("URL_QUERY"), connect_args={"sslpassword": dg.EnvVar("CANARY")})
defs = dg.Definitions(assets=[
    *(asset for one in (leaky, user, query, cut) for asset in stream_assets(one, destination=warehouse)),
    *stream_assets(Fine(name="fine"), destination=into)])
"""
SOURCES = ["leaky", "user", "query", "cut", "fine"]


def forms(secret: str) -> Iterator[str]:
    raw = secret.encode()
    for text in {
        secret,
        unquote(secret),
        *(line for line in secret.splitlines() if len(line) >= 8),
    }:
        yield from (
            text,
            repr(text)[1:-1],
            json.dumps(text)[1:-1],
            json.dumps(json.dumps(text))[3:-3],
        )
        yield from (quote(text, safe=""), quote(text), quote_plus(text), text.replace("/", "\\/"))
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        yield encoded[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]


def what_is_left(folder: Path) -> dict[str, bytes]:
    """Return every file that a failed run leaves, and what it printed."""
    (folder / "definitions.py").write_text(DEFINITIONS)
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\npython_logs: {managed_python_loggers: [etl_assets]}\n"
    )
    at = "127.0.0.1:1/none"
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "CANARY": NASTY,
        "CANARY_KEY": KEY,
        "URL_USER": f"postgresql+psycopg://nobody:{quote(PASSWORD, safe='')}@{at}",
        "URL_QUERY": f"postgresql://{at}?user=nobody&password={quote(PASSWORD, safe='')}",
        "URL_CUT": f"postgresql+psycopg://nobody:{PASSWORD}@{at}",
    }
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "asset", "materialize", "-f", "definitions.py", "--select", "*"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, timeout=300
    )
    assert done.returncode == 1
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return files | {"stdout": done.stdout, "stderr": done.stderr}


def test_a_secret_of_a_failed_run_is_found_nowhere(tmp_path: Path) -> None:
    left = what_is_left(tmp_path)
    found = [
        (path, form)
        for path, content in left.items()
        for secret in (PASSWORD, NASTY, KEY)
        for form in sorted({*forms(secret), "zZ9="})
        if form.encode() in content
    ]
    assert found == []
    told = b"".join(left.values()).decode("utf-8", "replace")
    for text in (
        "cannot log in with ****",
        "about to fail with ****",
        "lost: ****; ****",
        "many [",
        "nobody:****@127.0.0.1",
        "source 'query' (postgresql+psycopg://127.0.0.1:1/none?password=****&user=nobody)",
        "source 'cut': its url is not a database URL.",
        "PostgreSQL at 127.0.0.1",
    ):
        assert text in told
    assert [name for name in SOURCES if f"{name}__things" not in told] == []

"""A secret that a connector prints on purpose, in every form, is found nowhere after a run."""

import base64
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).parents[2]
CANARY = "canary/7f3b+9 &x"
HERE = Path(__file__).parent

DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, get_source, stream_assets
from etl_assets.model.catalog import Catalog
from etl_assets.model.stream import Stream

SCRIPT = [["rows", "a", 0, 3], ["state", "a", {{"n": 3}}], ["note", {note!r}], {step}]
fake = get_source(
    "source-fake",
    {{"script": SCRIPT, "streams": ["a"], "nested": [{{"key": dg.EnvVar("CANARY")}}]}},
    local_executable={program!r},
    catalog=Catalog([Stream("a", schema={{"properties": {{"id": {{"type": "integer"}}}}}}, primary_key="id")]),
)
defs = dg.Definitions(stream_assets(fake, destination=DuckDBDestination(path={path!r})))
"""


def forms() -> list[bytes]:
    raw = CANARY.encode()
    found = [raw, quote(CANARY, safe="").encode(), quote(CANARY).encode(), raw[::-1]]
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw)
        found.append(encoded[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6])
    return found


def leaks(*folders: Path) -> list[str]:
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in forms())
    ]


@pytest.mark.parametrize(("step", "code"), [('["leak"]', 1), ('["status", "a", "COMPLETE"]', 0)])
def test_a_run_leaves_no_trace_of_a_secret(tmp_path: Path, step: str, code: int) -> None:
    program, home, temporary = tmp_path / "fake", tmp_path / "home", tmp_path / "tmp"
    for folder in (home, temporary):
        folder.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "fake_airbyte.py"}" "$@"\n')
    program.chmod(0o700)
    note = tmp_path / "note"
    text = DEFINITIONS.format(
        note=str(note), step=step, program=str(program), path=str(tmp_path / "w.duckdb")
    )
    (tmp_path / "definitions.py").write_text(text)
    variables = {
        **os.environ, "CANARY": CANARY, "DAGSTER_HOME": str(home), "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "dagster",
        "asset",
        "materialize",
        "--select",
        "*",
        "-f",
        "definitions.py",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr[-3000:]
    noted = json.loads(note.read_text())
    assert noted["config"]["nested"] == [{"key": CANARY}]  # it did get it
    told = json.dumps([noted["argv"], noted["commands"], noted["env"]]).encode()
    assert len(noted["commands"]) > 1
    assert [form for form in forms() if form in told] == []
    note.unlink()
    if code:
        assert "cannot log in with ****" in done.stderr
    said = (done.stdout + done.stderr).encode()
    assert [form for form in forms() if form in said] == []
    assert leaks(tmp_path) == []
    assert list(temporary.glob("etl_assets-*/run-*")) == []
    logging.getLogger().debug(done.stderr)

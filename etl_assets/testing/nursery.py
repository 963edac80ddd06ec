"""Processes that begin with everything imported, because they are forked from one that has.

A short run of Dagster mostly spends its time on imports, and a fault harness ends hundreds of runs.
A forked process is as good as any other: it is a child of the process that asked for it, and has an
exit status of its own. This works on Linux. Elsewhere, `start` starts an ordinary process.
"""

import ctypes
import json
import os
import random
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

IMPORTED = (
    "dagster._cli",
    "dagster._core.storage.sqlite_storage",
    "etl_assets.assets.factory",
    "etl_assets.testing.lines",
    "etl_assets.testing.place",
    "duckdb",
    "pandas",
)
"""What nearly every process of the harness imports.

None of these modules may start a thread, because a fork does not have it.
"""
_ADOPT_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER."""
_POLL_SECONDS = 0.01


class Forked:
    """A process that was forked: what `subprocess.Popen` has, as far as the harness asks for it.

    Args:
        pid: Its process id; a child of this process.
        errors: The file of its standard error.
    """

    def __init__(self, pid: int, errors: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._errors = errors

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal's number; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        """Send it SIGKILL."""
        if self.poll() is None:
            os.kill(self.pid, 9)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end; gives the exit status.

        Raises:
            subprocess.TimeoutExpired: It runs still, after so many seconds.
        """
        self.communicate(timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end, and return its standard output (which is not kept) and standard error.

        Raises:
            subprocess.TimeoutExpired: It still runs after this time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(_POLL_SECONDS)
        return "", self._errors.read_text(encoding="utf-8", errors="replace")


Process = Forked | subprocess.Popen[str]


def start(
    module: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    errors: Path,
) -> Process:
    """Begin `python -m module arguments...`.

    Args:
        module: What is run.
        arguments: Of the command line.
        environment: All of it; its PYTHONPATH is where modules are looked for.
        folder: The working directory.
        errors: The file that standard error goes to.
    """
    if sys.platform != "linux":
        return subprocess.Popen(  # noqa: S603 - the command is the harness's
            [sys.executable, "-m", module, *arguments],
            env=dict(environment),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    asked = {
        "module": module,
        "arguments": list(arguments),
        "environment": dict(environment),
        "folder": str(folder),
        "errors": str(errors),
    }
    nursery = _nursery()
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    set_process = ctypes.CDLL(None).prctl
    # The process that forks it for us ends at once, and its orphan becomes our child.
    set_process(_ADOPT_ORPHANS, 1)
    try:
        nursery.stdin.write(f"{json.dumps(asked)}\n")
        nursery.stdin.flush()
        pid = int(nursery.stdout.readline())
    finally:
        set_process(_ADOPT_ORPHANS, 0)
    return Forked(pid, errors)


@cache
def _nursery() -> subprocess.Popen[str]:
    # It ends when its standard input does: with this process, however that ends.
    return subprocess.Popen(  # noqa: S603 - the command is this module
        [sys.executable, "-c", f"from {__name__} import serve; serve()"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or "." for path in ["", *sys.path]),
            "OPENBLAS_NUM_THREADS": "1",
        },
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def serve() -> None:
    """Import what takes long, then fork a process for each line of standard input.

    The answer to each line is the id of its process.
    """
    for name in IMPORTED:
        import_module(name)
    assert threading.active_count() == 1, "a thread was started by an import"
    for line in sys.stdin:
        asked = json.loads(line)
        found, told = os.pipe()
        middle = os.fork()
        if middle == 0:
            pid = os.fork()
            if pid == 0:
                _become(asked)
                return
            os.write(told, f"{pid}\n".encode())
            os._exit(0)
        # Its orphan has its new parent now.
        os.waitpid(middle, 0)
        os.write(1, os.read(found, 32))
        os.close(found)
        os.close(told)


def _become(asked: Mapping[str, object]) -> None:
    """Be the process that was asked for, up to its own end."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)
    os.dup2(os.open(str(asked["errors"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
    environment, arguments = asked["environment"], asked["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(asked["folder"]))
    sys.path[:] = environment["PYTHONPATH"].split(os.pathsep)
    random.seed()
    sys.argv = [str(asked["module"]), *arguments]
    runpy.run_module(str(asked["module"]), run_name="__main__", alter_sys=True)

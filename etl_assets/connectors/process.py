"""One connector process: started with nothing it need not have, read line by line, and ended for certain."""

import contextlib
import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from etl_assets.arguments import check_number
from etl_assets.confined import Folder
from etl_assets.connectors.causes import cause_in
from etl_assets.connectors.input_pipe import InputPipe
from etl_assets.connectors.log_drain import LogDrain
from etl_assets.connectors.too_new import hint_of
from etl_assets.connectors.workspace import Workspace
from etl_assets.exceptions import ConnectorError, ProtocolError
from etl_assets.protocol.singer.messages import MAX_BYTES

PASSED_ON = (
    *("PATH", "LANG", "LC_ALL"),
    *(
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
    ),
    *(
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
    ),
)
"""The variables of this process's environment that a connector gets.

`ETL_ASSETS_CONNECTOR_ENV` adds names.
"""
MORE = "ETL_ASSETS_CONNECTOR_ENV"

READ_BYTES = 1024 * 1024
IDLE_SECONDS = 1.0
"""After so long without output, an empty chunk tells the reader so."""
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which Python's fcntl names from 3.10 on Linux only


@dataclass(frozen=True)
class Limits:
    """How much a connector may say, and how long it may take.

    Args:
        line_bytes: The longest line.
        silence_seconds: Without a byte on standard output or standard error; None for no limit.
        total_seconds: From its start; None for no limit. The time in which nobody reads counts.
        grace_seconds: Between being told to end and being killed.
    """

    line_bytes: int = MAX_BYTES
    silence_seconds: float | None = 3600.0
    total_seconds: float | None = None
    grace_seconds: float = 5.0

    def __post_init__(self) -> None:
        for name, kind in (
            ("line_bytes", (int, "a whole number")),
            ("grace_seconds", ((int, float), "a number")),
        ):
            check_number("Limits", name, getattr(self, name), kind)
        for name in ("silence_seconds", "total_seconds"):
            if getattr(self, name) is not None:
                check_number(
                    "Limits", name, getattr(self, name), ((int, float), "a number, or None")
                )


def environment(
    home: Path, *, path_first: Path | None = None, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a connector: an allow-list, never this process's own.

    Args:
        home: Its home.
        path_first: A directory of programs to be found before all others.
        more: Variables the caller adds.
    """
    names = [*PASSED_ON, *os.environ.get(MORE, "").replace(",", " ").split()]
    given = {name: os.environ[name] for name in names if name in os.environ}
    path = given.get("PATH", os.defpath)
    return {
        "LANG": "C.UTF-8",
        **given,
        "PATH": f"{path_first}{os.pathsep}{path}" if path_first else path,
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "DO_NOT_TRACK": "1",
        **(more or {}),
    }


class ConnectorProcess:
    """A running connector.

    A context: leaving it, by whatever way, ends all its processes and removes its files.

    Args:
        command: The program and its arguments; never a secret among them.
        workspace: Its home; removed when this context is left, its documents when the process ends.
        inside: The path by which the process knows its home, where that is another than the
            workspace's own.
        directory: Its working directory; its home by default.
        name: For errors and logs.
        limits: Of time and size.
        logger: Gets its standard error, throttled and redacted.
        path_first: A directory of programs to be found before all others.
        more_environment: Variables beside the allow-list.
        cancelled: Asked about once a second; True ends the process.
        takes_input: It reads its standard input, which `chunks` feeds.

    Raises:
        ConnectorError: It cannot be started.
    """

    def __init__(  # noqa: PLR0913 - how a process is run
        self,
        command: Sequence[str],
        *,
        workspace: Workspace,
        name: str,
        inside: str | None = None,
        directory: Path | None = None,
        limits: Limits | None = None,
        logger: logging.Logger | None = None,
        path_first: Path | None = None,
        more_environment: Mapping[str, str] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        takes_input: bool = False,
    ) -> None:
        self.name = name
        self.limits = limits or Limits()
        self.exit_code: int | None = None
        self._workspace = workspace
        self._inside = inside
        self.directory = directory or workspace.path
        self._cancelled = cancelled
        self._lifeline = self._report = -1
        self._input = InputPipe() if takes_input else None
        variables = environment(workspace.path, path_first=path_first, more=more_environment)
        self._process = self._started(command, variables)
        self._began = self._heard_at = time.monotonic()
        self._drain = LogDrain(_file(self._process.stderr), logger, heard=self._heard)
        if self._process.stderr is not None:
            self._process.stderr.close()  # the drain has its own
        self._drain.start()

    def _started(
        self, command: Sequence[str], variables: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        lifeline, self._lifeline = os.pipe()
        self._report, report = os.pipe()
        home = self._workspace
        arguments = [
            str(lifeline),
            str(report),
            str(home.path),
            str(self.limits.grace_seconds),
            *command,
        ]
        try:
            return subprocess.Popen(  # noqa: S603 - running connectors is what this is for
                [sys.executable, "-I", "-S", str(_SUPERVISOR), *arguments],
                stdin=self._input.read_end if self._input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[lifeline, report, home.lock],
                cwd=self.directory,
                env=variables,
                start_new_session=True,
            )
        except OSError as error:
            self._close_pipes()
            home.remove()
            raise ConnectorError(f"{self.name} cannot be started: {error.strerror}.") from error
        finally:
            os.close(lifeline)
            os.close(report)

    @property
    def folder(self) -> Folder:
        """Its home, held open; nothing is reached through it any more when the context is left."""
        return self._workspace.folder

    @property
    def folder_names(self) -> Sequence[str]:
        """The absolute paths by which the process may call its home: in a container that is one, else two."""
        if self._inside is not None:
            return (self._inside,)
        path = self._workspace.path
        return (str(path), os.path.realpath(path))

    @property
    def log_text(self) -> str:
        """The end of what it has written to standard error, redacted."""
        return self._drain.tail()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all its processes, and remove its files."""
        self._close_pipes()  # the lifeline: the supervisor ends them, and then itself
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self.exit_code is not None:
            self._process.kill()  # the supervisor: it has ended all, and only keeps the directory
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self.limits.grace_seconds + 10)
        if (
            self._process.poll() is None
        ):  # somebody stopped the supervisor: its group dies by its death signal
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._drain.stop()
        self._workspace.remove()

    @property
    def took_all(self) -> bool:
        """Whether it has read all that `chunks` was given."""
        return self._input is not None and self._input.was_read

    def chunks(self, given: Iterable[bytes] = ()) -> Iterator[bytes]:
        """Yield its standard output as chunks of whole lines.

        An empty chunk says that a second has passed.

        The last line may have no end.

        Args:
            given: Its standard input, written as fast as it reads; its end closes the pipe. Where
                the process ends before, see `took_all`.

        Raises:
            ProtocolError: A line is too long.
            ConnectorError: It was silent for too long, or took too long.
        """
        output = _file(self._process.stdout)
        with contextlib.suppress(OSError):
            fcntl.fcntl(output, _SET_PIPE_SIZE, READ_BYTES)
        waiting = select.poll()
        waiting.register(output, select.POLLIN | select.POLLHUP)
        if self._input is not None:
            self._input.begin(given, waiting)
        parts: list[bytes] = []
        size, begun = 0, False
        while True:
            ready = {descriptor for descriptor, _ in waiting.poll(IDLE_SECONDS * 1000)}
            if not ready:
                self._check_time()
                yield from self._handed_over(b"")
                continue
            self._feed(ready, waiting)
            if output not in ready:
                continue
            block = os.read(output, READ_BYTES)
            if not block:
                break
            self._heard()
            end = block.rfind(b"\n") + 1
            size += len(block) if not end else 0
            parts.append(block[:end] if end else block)
            if end:
                chunk = b"".join(parts) if begun else b"".join(parts).removeprefix(BOM_UTF8)
                begun = True
                self._check_line(chunk)
                parts, size = [block[end:]], len(block) - end
                yield from self._handed_over(chunk)
                self._check_time()
            elif size > self.limits.line_bytes:
                self._check_line(b"".join(parts))
        if self._input is not None:
            self._input.end()  # one that has closed its output may still wait for more
        if any(parts):
            rest = b"".join(parts)
            yield rest if begun else rest.removeprefix(BOM_UTF8)

    def wait(self) -> int:
        """Wait until it has ended; gives its exit code, negative if a signal killed it.

        Raises:
            ConnectorError: It does not end in time.
        """
        ended = select.poll()
        ended.register(self._report, select.POLLIN | select.POLLHUP)
        while not ended.poll(IDLE_SECONDS * 1000):
            self._check_time()
        said = os.read(
            self._report, 64
        ).strip()  # the supervisor keeps the directory until the context is left
        self._drain.stop()
        self.exit_code = int(said) if said else -signal.SIGKILL
        return self.exit_code

    def failure(self, what: str = "") -> ConnectorError:
        """Return the error for how it ended: its headline is the cause, where its log tells one."""
        log = self.log_text
        cause = cause_in(log) if self.exit_code and self.exit_code > 0 else None
        text = (
            f"{self.name}: {cause} (it {self.ending}{what})"
            if cause
            else f"{self.name} {self.ending}{what}."
        )
        return ConnectorError(
            text, log_text=log, exit_code=self.exit_code, hint=hint_of(log) if cause else None
        )

    @property
    def ending(self) -> str:
        """How it ended, to be put after its name."""
        code = self.exit_code
        if code is not None and code < 0:
            return (
                f"was killed by {signal.Signals(-code).name}"
                if -code in list(signal.Signals)
                else "was killed"
            )
        return "ended too early" if not code else f"ended with exit code {code}"

    def _handed_over(self, chunk: bytes) -> Iterator[bytes]:
        """Yield a chunk; the time its reader takes is not the connector's silence."""
        before = time.monotonic()
        yield chunk
        self._heard_at += time.monotonic() - before

    def _feed(self, ready: set[int], waiting: select.poll) -> None:
        """Write to its standard input if there is room; that it reads is a sign of life."""
        if self._input is not None and self._input.descriptor in ready:
            self._input.write_some(waiting)
            self._heard()
            self._check_time()

    def _heard(self) -> None:
        self._heard_at = time.monotonic()

    def _check_time(self) -> None:
        now = time.monotonic()
        limits = self.limits
        if self._cancelled():
            raise ConnectorError(f"{self.name} was cancelled.")
        if limits.total_seconds is not None and now - self._began > limits.total_seconds:
            raise self._late(
                f"it took longer than {limits.total_seconds:g} seconds", "total_seconds"
            )
        if limits.silence_seconds is not None and now - self._heard_at > limits.silence_seconds:
            raise self._late(
                f"it said nothing for {limits.silence_seconds:g} seconds", "silence_seconds"
            )

    def _late(self, what: str, option: str) -> ConnectorError:
        return ConnectorError(
            f"{self.name} timed out: {what} and was ended.",
            log_text=self.log_text,
            hint=f"If it may, give it more time: limits=Limits({option}=...), by `from etl_assets import Limits`.",
        )

    def _check_line(self, chunk: bytes) -> None:
        limit = self.limits.line_bytes
        if len(chunk) <= limit:
            return
        line = next((line for line in chunk.split(b"\n") if len(line) > limit), None)
        if line is not None:
            raise ProtocolError(
                f"{self.name}: a line is longer than {limit:,} bytes.",
                line=line,
                hint="Raise `line_bytes` of its `limits` if it sends such records on purpose.",
            )

    def _close_pipes(self) -> None:
        for name in ("_lifeline", "_report"):
            descriptor = getattr(self, name, -1)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)
        if self._input is not None:
            self._input.close()


def _file(stream: object) -> int:
    fileno = getattr(stream, "fileno", None)
    if fileno is None:
        raise AssertionError("both outputs are pipes")
    return int(fileno())


def output_of(process: ConnectorProcess, *, limit: int = 4 * MAX_BYTES) -> bytes:
    """Read a process to its end; gives its whole standard output. Look at `exit_code` afterwards.

    Raises:
        ProtocolError: It is longer than the limit, in bytes.
        ConnectorError: It took too long.
    """
    parts: list[bytes] = []
    size = 0
    for chunk in process.chunks():
        size += len(chunk)
        if size > limit:
            raise ProtocolError(
                f"{process.name}: its output is longer than {limit:,} bytes.", line=parts[0]
            )
        parts.append(chunk)
    process.wait()
    return b"".join(parts)

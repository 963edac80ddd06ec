"""One connector process: started with only what it needs, read by lines, and reliably ended."""

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
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    "NODE_EXTRA_CA_CERTS",
)
"""The environment variables of this process that a connector gets.

`ETL_ASSETS_CONNECTOR_ENV` adds further names.
"""
MORE = "ETL_ASSETS_CONNECTOR_ENV"

READ_BYTES = 1024 * 1024
IDLE_SECONDS = 1.0
"""After this time without output, the reader gets an empty chunk."""
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which Python's fcntl names from 3.10 on Linux only


@dataclass(frozen=True)
class Limits:
    """How much a connector may write, and how long it may take.

    Args:
        line_bytes: The longest line.
        silence_seconds: How long it may write neither to standard output nor to standard error.
            None means no limit.
        total_seconds: How long it may run, including the time in which its output is not read.
            None means no limit.
        grace_seconds: The time between being told to end and being killed.
    """

    line_bytes: int = MAX_BYTES
    silence_seconds: float | None = 3600.0
    total_seconds: float | None = None
    grace_seconds: float = 5.0

    def __post_init__(self) -> None:
        check_number("Limits", "line_bytes", self.line_bytes, (int, "a whole number"))
        check_number("Limits", "grace_seconds", self.grace_seconds, ((int, float), "a number"))
        for name in ("silence_seconds", "total_seconds"):
            value = getattr(self, name)
            if value is not None:
                check_number("Limits", name, value, ((int, float), "a number, or None"))


def environment(
    home: Path, *, path_first: Path | None = None, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a connector, which has only allowed variables of this process.

    Args:
        home: Its home directory.
        path_first: A directory that precedes all others on PATH.
        more: Variables that are added.
    """
    names = [*PASSED_ON, *os.environ.get(MORE, "").replace(",", " ").split()]
    given = {name: os.environ[name] for name in names if name in os.environ}
    path = given.get("PATH", os.defpath)
    if path_first:
        path = f"{path_first}{os.pathsep}{path}"
    return {
        "LANG": "C.UTF-8",
        **given,
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "DO_NOT_TRACK": "1",
        **(more or {}),
    }


class ConnectorProcess:
    """A running connector.

    It is a context manager. Leaving the context in any way ends all its processes and removes its
    files.

    Args:
        command: The program and its arguments, which never contain a secret.
        workspace: Its home directory. The documents in it are removed when the process ends, the
            directory itself when this context is left.
        inside: The path by which the process knows its home, if it is not the workspace's own.
        directory: Its working directory, by default its home.
        name: Its name in errors and logs.
        limits: Limits of time and size.
        logger: The logger of its standard error, which is throttled and redacted.
        path_first: A directory that precedes all others on PATH.
        more_environment: Variables that are set in addition to the allow-list.
        cancelled: Called about once a second. If it returns True, the process is ended.
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
        pipes = [str(lifeline), str(report)]
        arguments = [*pipes, str(home.path), str(self.limits.grace_seconds), *command]
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
        """Its home, held open. It cannot be used once the context is left."""
        return self._workspace.folder

    @property
    def folder_names(self) -> Sequence[str]:
        """The absolute paths by which the process may name its home: one in a container, or two."""
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
        if self._process.poll() is None:
            # Somebody stopped the supervisor. The connector is killed when it dies.
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._drain.stop()
        self._workspace.remove()

    @property
    def took_all(self) -> bool:
        """Whether it has read all of the input that `chunks` was given."""
        return self._input is not None and self._input.was_read

    def chunks(self, given: Iterable[bytes] = ()) -> Iterator[bytes]:
        """Yield its standard output as chunks of whole lines.

        An empty chunk means that a second has passed without output. The last line may lack its
        line break.

        Args:
            given: Its standard input, which is written as fast as it reads. `took_all` tells
                whether the process has read all of it.

        Raises:
            ProtocolError: A line is too long.
            ConnectorError: It wrote nothing for too long, or took too long.
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
            if end:
                chunk = _joined([*parts, block[:end]], is_first=not begun)
                begun = True
                self._check_line(chunk)
                parts, size = [block[end:]], len(block) - end
                yield from self._handed_over(chunk)
                self._check_time()
                continue
            parts.append(block)
            size += len(block)
            if size > self.limits.line_bytes:
                self._check_line(b"".join(parts))
        if self._input is not None:
            self._input.end()  # one that has closed its output may still wait for more
        if any(parts):
            yield _joined(parts, is_first=not begun)

    def wait(self) -> int:
        """Wait until it has ended, and return its exit code: negative if a signal killed it.

        Raises:
            ConnectorError: It took too long.
        """
        ended = select.poll()
        ended.register(self._report, select.POLLIN | select.POLLHUP)
        while not ended.poll(IDLE_SECONDS * 1000):
            self._check_time()
        said = os.read(self._report, 64).strip()
        self._drain.stop()
        self.exit_code = int(said) if said else -signal.SIGKILL
        return self.exit_code

    def failure(self, what: str = "") -> ConnectorError:
        """Return the error for how it ended, which begins with the cause if its log tells one."""
        log = self.log_text
        text, hint = f"{self.name} {self.ending}{what}.", None
        has_failed = self.exit_code is not None and self.exit_code > 0
        cause = cause_in(log) if has_failed else None
        if cause:
            text, hint = f"{self.name}: {cause} (it {self.ending}{what})", hint_of(log)
        return ConnectorError(text, log_text=log, exit_code=self.exit_code, hint=hint)

    @property
    def ending(self) -> str:
        """How it ended, in words that follow its name."""
        code = self.exit_code
        if not code:
            return "ended too early"
        if code > 0:
            return f"ended with exit code {code}"
        if -code not in list(signal.Signals):
            return "was killed"
        return f"was killed by {signal.Signals(-code).name}"

    def _handed_over(self, chunk: bytes) -> Iterator[bytes]:
        """Yield a chunk. The time that its reader takes is not the connector's silence."""
        before = time.monotonic()
        yield chunk
        self._heard_at += time.monotonic() - before

    def _feed(self, ready: set[int], waiting: select.poll) -> None:
        """Write to its standard input if there is room. Reading it is a sign of life."""
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
            hint=f"If it may, give it more time: limits=Limits({option}=...), by "
            "`from etl_assets import Limits`.",
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


def _joined(parts: Sequence[bytes], *, is_first: bool) -> bytes:
    """Return parts of an output as one; the first ones may begin with a byte order mark."""
    joined = b"".join(parts)
    return joined.removeprefix(BOM_UTF8) if is_first else joined


def _file(stream: object) -> int:
    fileno = getattr(stream, "fileno", None)
    if fileno is None:
        raise AssertionError("both outputs are pipes")
    return int(fileno())


def output_of(process: ConnectorProcess, *, limit: int = 4 * MAX_BYTES) -> bytes:
    """Read a process to its end, and return its standard output. `exit_code` is set afterwards.

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

"""The small program between this library and a connector, which reliably ends all its processes.

It runs as `python -I -S supervisor.py <lifeline> <report> <directory> <grace> <command...>` and
imports nothing of this library. The lifeline is a pipe whose other end only the parent holds open.
When it closes, because the parent closed it or was killed, all processes are told to end, and then
killed. The report is a file descriptor on which one line says how the command ended. The files that
were in the directory before the command (its config) are removed when the command has ended. The
directory itself is removed when the parent closes the lifeline, because the parent may read what
the command has left there.

On Linux, the supervisor is a subreaper: a process that a connector detaches from itself becomes a
child of the supervisor, which finds it.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LOCK = ".lock"
POLL_SECONDS = 0.05
PARENT_SECONDS = 2.0
LINGER_SECONDS = 0.5
"""How long processes that the command has left behind may go on."""


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _spawn(command: list[str], supervisor: int) -> int:
    """Start the command in a process group of its own; it dies with the supervisor."""
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # whichever of the two comes first
        return pid
    try:
        os.setpgid(0, 0)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(137)
        _limit()
        os.closerange(3, 256)  # the lifeline, the report, and the lock of the directory
        os.execvp(command[0], command)  # noqa: S606 - the command is what this program is for
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _limit() -> None:
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the config


def _descendants() -> list[int]:
    """Return the processes below this one, by their parents in `/proc`."""
    children: dict[int, list[int]] = {}
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - pathlib takes as long to import as all of this
    except OSError:
        return []
    for name in filter(str.isdigit, names):
        with (
            contextlib.suppress(OSError, ValueError, IndexError),
            open(f"/proc/{name}/stat", "rb") as file,  # noqa: PTH123
        ):
            parent = int(file.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    found, waiting = [], [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _signal_all(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)
    for pid in _descendants():
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _reap(status: int | None, command: int) -> int | None:
    """Collect every process that has ended, and return the status of the command."""
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if not pid:
            return status
        if pid == command:
            status = ended


def _end(command: int, status: int | None, grace: float) -> int | None:
    """Tell all processes to end, and kill those that do not."""
    _signal_all(command, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and (status is None or _descendants()):
        status = _reap(status, command)
        time.sleep(POLL_SECONDS)
    for _ in range(100):  # one may start another while it is looked for
        _signal_all(command, signal.SIGKILL)
        status = _reap(status, command)
        if status is not None and not _descendants():
            break
        time.sleep(POLL_SECONDS)
    return status


def _wait(command: int, lifeline: int, parent: int) -> int | None:
    """Wait until the command has ended.

    None if the lifeline closed, or the parent was gone, first.
    """
    watched = select.poll()
    watched.register(lifeline, select.POLLIN | select.POLLHUP)
    # A process that the parent has forked may hold the lifeline open too.
    pause = PARENT_SECONDS * 1000
    ended = -1
    with contextlib.suppress(OSError, AttributeError):
        ended = os.pidfd_open(command)
        watched.register(ended, select.POLLIN)
    if ended < 0:
        pause = POLL_SECONDS * 1000
    while True:
        ready = {fd for fd, _ in watched.poll(pause)}
        status = _reap(None, command)
        if status is not None:
            return status
        if lifeline in ready or os.getppid() != parent:
            return None


def _opened(directory: str) -> int:
    """Open the directory; -1 for none. Whatever the command puts in its place is not reached."""
    try:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) if directory else -1
    except OSError:
        return -1


def _names_in(folder: int) -> list[str]:
    """Return what is in the directory, but for the lock, by which it is known to be in use."""
    return [name for name in os.listdir(folder) if name != LOCK] if folder >= 0 else []


def _remove_files(folder: int, names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)


def _keep(lifeline: int, parent: int) -> None:
    """Wait until the parent lets go of the lifeline, or is gone."""
    watched = select.poll()
    watched.register(lifeline, select.POLLIN | select.POLLHUP)
    while not watched.poll(PARENT_SECONDS * 1000) and os.getppid() == parent:
        pass


def _remove(directory: str, folder: int) -> None:
    """Remove the directory: its lock last, by which a sweep finds what is left of it."""
    names = _names_in(folder)
    _remove_files(folder, names)
    for name in names:
        shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
    shutil.rmtree(directory, ignore_errors=True)


def main(argv: list[str]) -> int:
    """Run the command of these arguments to its end."""
    lifeline, report, directory, grace = int(argv[0]), int(argv[1]), argv[2], float(argv[3])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    parent = os.getppid()
    command_line = argv[4:]
    folder = _opened(directory)
    documents = _names_in(folder)
    os.set_inheritable(lifeline, False)  # noqa: FBT003 - positional only
    os.set_inheritable(report, False)  # noqa: FBT003 - positional only
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    command = _spawn(command_line, os.getpid())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the lifeline alone says when to end
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)  # the pipes end when the connector's processes have
    status = _wait(command, lifeline, parent)
    if status is None:
        status = _end(command, None, grace)
    elif _descendants():
        time.sleep(LINGER_SECONDS)
        _end(command, status, 0)
    code = os.waitstatus_to_exitcode(status) if status is not None else -signal.SIGKILL
    _remove_files(folder, documents)
    with contextlib.suppress(OSError):
        os.write(report, f"{code}\n".encode())
    if folder >= 0:
        _keep(lifeline, parent)
        _remove(directory, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Connector processes: what they get, what they may say, and that nothing of them stays."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl_assets.connectors import process as process_module
from etl_assets.connectors.process import ConnectorProcess, Limits, output_of
from etl_assets.connectors.workspace import Workspace, private_root
from etl_assets.exceptions import ConfigError, ConnectorError, ProtocolError
from etl_assets.ownership import mark

FAKE = [sys.executable, str(Path(__file__).with_name("fake_output.py"))]


def started(
    *arguments: str,
    limits: Limits | None = None,
    logger: logging.Logger | None = None,
    takes_input: bool = False,
) -> ConnectorProcess:
    return ConnectorProcess(
        [*FAKE, *arguments],
        workspace=Workspace(),
        name="fake",
        limits=limits or Limits(grace_seconds=0.5),
        logger=logger,
        takes_input=takes_input,
    )


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pids: list[int], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(map(alive, pids)):
        time.sleep(0.05)
    return not any(map(alive, pids))


def pids_in(path: Path) -> list[int]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not (path.exists() and path.read_text()):
        time.sleep(0.02)
    return [int(pid) for pid in path.read_text().split()]


def test_its_output_comes_as_chunks_of_whole_lines_and_the_last_may_have_no_end() -> None:
    with started("lines") as process:
        chunks = [chunk for chunk in process.chunks() if chunk]
        assert process.wait() == 0
    assert b"".join(chunks) == b"one\ntwo\nthree"
    assert all(chunk.endswith(b"\n") for chunk in chunks[:-1])


def test_it_gets_an_allow_list_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/nowhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test")
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.setenv("ETL_ASSETS_CONNECTOR_ENV", "WANTED")
    with started("environment") as process:
        given = dict(line.split("=", 1) for line in output_of(process).decode().splitlines())
    assert given["TZ"] == "UTC"
    assert given["HTTPS_PROXY"] == "http://proxy.test"
    assert given["WANTED"] == "yes"
    assert given["HOME"].startswith(str(private_root()))
    assert not {"DAGSTER_HOME", "AWS_SECRET_ACCESS_KEY", "ETL_ASSETS_CONNECTOR_ENV"} & given.keys()


def test_its_config_is_private_and_gone_at_the_end() -> None:
    workspace = Workspace()
    config = workspace.write("config.json", {"password": "pa$$word"})
    with ConnectorProcess(
        [*FAKE, "private", str(config)], workspace=workspace, name="fake"
    ) as process:
        modes, here, document, arguments = json.loads(output_of(process))
    assert modes == [0o600, 0o700]
    assert here
    assert document == {"password": "pa$$word"}
    assert not any("pa$$word" in argument for argument in arguments)
    assert not workspace.path.exists()


def test_its_config_goes_with_the_process_and_what_it_wrote_stays_until_all_is_read() -> None:
    workspace = Workspace()
    config = workspace.write("config.json", {"password": "pa$$word"})
    write = "from pathlib import Path; Path('batch').write_text('data'); print('done')"
    with ConnectorProcess(
        [sys.executable, "-c", write], workspace=workspace, name="fake"
    ) as process:
        assert output_of(process) == b"done\n"
        assert not config.exists()
        assert (workspace.path / "batch").read_text() == "data"
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert not workspace.path.exists()


def test_a_value_without_a_json_form_is_told_without_the_value() -> None:
    workspace = Workspace()
    with pytest.raises(ConfigError, match="the value of 'a' is a object"):
        workspace.write("config.json", {"a": object()})
    with pytest.raises(ConfigError) as caught:
        workspace.write("config.json", {"a": float("nan"), "b": "pa$$word"})
    assert "pa$$word" not in str(caught.value)
    workspace.remove()


@pytest.mark.parametrize(("code", "said"), [(3, "exit code 3"), (127, "exit code 127")])
def test_its_exit_code_and_the_end_of_its_log_are_told(code: int, said: str) -> None:
    with started("exit", str(code)) as process:
        output_of(process)
        assert process.exit_code == code
        error = process.failure()
    assert said in str(error)
    assert error.log_text == "it is broken"
    assert error.exit_code == code


def test_a_kill_is_told_by_the_signal() -> None:
    with started("kill") as process:
        assert output_of(process) == b"half"
        assert process.exit_code == -signal.SIGKILL
        assert "SIGKILL" in str(process.failure())


def test_a_program_that_is_not_there_ends_with_127() -> None:
    with ConnectorProcess(["/no/such/program"], workspace=Workspace(), name="fake") as process:
        output_of(process)
        assert process.exit_code == 127
        assert "No such file" in process.log_text


def test_a_line_may_have_so_many_bytes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "READ_BYTES", 1000)
    with started("long", "9999", limits=Limits(line_bytes=9999)) as process:
        assert len(output_of(process)) == 10_000
    with (
        started("long", "10_000", limits=Limits(line_bytes=9999)) as process,
        pytest.raises(ProtocolError) as caught,
    ):
        output_of(process)
    assert "9,999 bytes" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_flood_on_standard_error_blocks_nothing_and_is_logged_in_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with started("noise", "20000", logger=logging.getLogger("flood")) as process:
        assert output_of(process) == b"line 0\nline 1\nline 2\n"
        assert process.exit_code == 0
        assert len(process.log_text) < 10_000
    assert 0 < len(caplog.records) < 500
    assert "more lines were left out" in caplog.text


def test_silence_ends_it_and_all_it_has_started(tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        pytest.raises(ConnectorError, match="said nothing for 1 seconds"),
        started(
            "hang", str(tmp_path / "pids"), limits=Limits(silence_seconds=1, grace_seconds=0.5)
        ) as process,
    ):
        output_of(process)
    assert time.monotonic() - began < 10
    pids = pids_in(tmp_path / "pids")
    assert len(pids) == 3
    assert gone(pids, 1)


def test_the_time_its_reader_takes_is_not_its_silence() -> None:
    with started("lines", limits=Limits(silence_seconds=0.2)) as process:
        for _ in process.chunks():
            time.sleep(0.5)
        assert process.wait() == 0


def test_the_whole_time_is_limited_too(tmp_path: Path) -> None:
    with (
        pytest.raises(ConnectorError, match="took longer than 1 seconds"),
        started(
            "hang", str(tmp_path / "pids"), limits=Limits(total_seconds=1, grace_seconds=0.2)
        ) as process,
    ):
        output_of(process)
    assert gone(pids_in(tmp_path / "pids"), 1)


def test_what_it_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    with started("leave", str(tmp_path / "pids")) as process:
        assert output_of(process) == b"done\n"  # though the child holds the pipe open
        assert process.exit_code == 0
        assert gone(pids_in(tmp_path / "pids"), 2)


def test_leaving_the_context_ends_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), started("hang", str(tmp_path / "pids")) as process:  # noqa: PT012
        next(process.chunks())
        raise KeyboardInterrupt
    assert gone(pids_in(tmp_path / "pids"), 1)


PARENT = """
import sys
from etl_assets.connectors.process import ConnectorProcess, Limits, output_of
from etl_assets.connectors.workspace import Workspace
workspace = Workspace()
workspace.write("config.json", {"password": "secret"})
print(workspace.path, flush=True)
with ConnectorProcess(sys.argv[1:], workspace=workspace, name="fake", limits=Limits(grace_seconds=0.5)) as process:
    output_of(process)
"""


def test_a_killed_parent_takes_all_of_it_along_its_config_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, *FAKE, "hang", str(tmp_path / "pids")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        workspace = Path(parent.stdout.readline().strip())
        pids = pids_in(tmp_path / "pids")
        assert all(map(alive, pids))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert gone(pids)
        deadline = time.monotonic() + 5
        while workspace.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not workspace.exists()


def test_what_was_left_by_the_killed_is_swept_and_what_is_in_use_is_not() -> None:
    used = Workspace()
    script = "from etl_assets.connectors.workspace import Workspace; import os; w = Workspace(); print(w.path); os._exit(9)"
    left = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    ).stdout.strip()
    fresh = Workspace()
    assert used.path.exists()
    assert left
    if Path(left).exists():  # only if nobody else made a workspace meanwhile
        raise AssertionError(f"{left} was not swept")
    used.remove()
    fresh.remove()


ENDED = PARENT.replace(
    "    output_of(process)", "    output_of(process); print('read', flush=True); sys.stdin.read()"
)


def test_a_parent_that_is_killed_after_the_end_takes_what_was_written_along() -> None:
    write = "from pathlib import Path; Path('batch').write_text('data')"
    command = [sys.executable, "-c", ENDED, sys.executable, "-c", write]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        workspace = Path(parent.stdout.readline().strip())
        assert parent.stdout.readline() == "read\n"
        assert (workspace / "batch").exists()
        parent.kill()
        assert parent.wait() == -signal.SIGKILL
        deadline = time.monotonic() + 10
        while workspace.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not workspace.exists()


@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_that_the_process_puts_in_place_of_its_own_stays(
    tmp_path: Path, *, killed: bool
) -> None:
    """Neither the parent nor, where that is killed, the supervisor goes through the link."""
    (tmp_path / "tmp").mkdir()
    for name in ("config.json", "thesis.txt", "tmp/more.txt"):
        (tmp_path / name).write_text("not ours")
    moved, place = str(tmp_path / "moved"), str(tmp_path)
    swap = f"import os; here = os.getcwd(); os.rename(here, {moved!r}); os.symlink({place!r}, here)"
    command = [sys.executable, "-c", ENDED, sys.executable, "-c", swap]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        link = Path(parent.stdout.readline().strip())
        assert parent.stdout.readline() == "read\n"
        if killed:
            parent.kill()
            time.sleep(3)
        else:
            parent.communicate()
    assert not (tmp_path / "moved" / "config.json").exists()
    for name in ("config.json", "thesis.txt", "tmp/more.txt"):
        assert (tmp_path / name).read_text() == "not ours"
    link.unlink()


def test_a_sweep_removes_no_directory_that_is_not_proven_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    foreign = {name: private_root() / name for name in ("run-unmarked", "run-locked", "run-other")}
    for path in foreign.values():
        path.mkdir()
        (path / "thesis.txt").write_text("not ours")
        os.utime(path, (0, 0))
    (foreign["run-locked"] / ".lock").write_bytes(b"")
    (foreign["run-other"] / ".lock").write_bytes(mark("run-another"))
    Workspace().remove()
    assert all((path / "thesis.txt").exists() for path in foreign.values())


def test_a_directory_that_others_may_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"etl_assets-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="not a private directory"):
        Workspace()


LINES = [f"line {number}\n".encode() * 1000 for number in range(500)]


def test_what_it_is_given_is_all_it_reads_and_it_may_answer_meanwhile() -> None:
    with started("cat", takes_input=True) as process:
        assert b"".join(process.chunks(iter(LINES))) == b"".join(LINES)
        assert process.wait() == 0
        assert process.took_all


def test_full_pipes_on_both_sides_are_no_deadlock() -> None:
    with started(
        "talk first", takes_input=True, limits=Limits(total_seconds=60, grace_seconds=0.5)
    ) as process:
        said = b"".join(process.chunks(LINES))
        assert process.wait() == 0
        assert process.took_all
    assert int(said.splitlines()[-1]) == sum(map(len, LINES))


@pytest.mark.parametrize("count", [0, 1000])
def test_one_that_stops_to_read_did_not_take_all(count: int) -> None:
    # The second one leaves its rest in the pipe, where it fits.
    with started("read", str(count), takes_input=True) as process:
        assert list(filter(None, process.chunks(LINES if not count else [b"x" * 3000]))) == []
        assert process.wait() == 0
        assert not process.took_all


def test_one_that_closes_its_output_does_not_wait_for_more_for_ever() -> None:
    with started(
        "mute", takes_input=True, limits=Limits(total_seconds=20, grace_seconds=0.5)
    ) as process:
        assert b"".join(process.chunks(LINES)) == b""
        assert process.wait() == 0
        assert not process.took_all, "what came after that was not given to it"


def test_one_that_never_reads_is_ended_for_its_silence() -> None:
    limits = Limits(silence_seconds=1, grace_seconds=0.2)
    with (
        started("deaf", takes_input=True, limits=limits) as process,
        pytest.raises(ConnectorError, match="silence"),
    ):
        list(process.chunks(LINES))


def test_an_error_of_what_is_given_ends_it() -> None:
    def broken() -> Iterator[bytes]:
        yield b"one\n"
        raise ValueError("no more")

    with started("cat", takes_input=True) as process, pytest.raises(ValueError, match="no more"):
        list(process.chunks(broken()))

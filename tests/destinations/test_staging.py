"""Where batches wait: what a killed load has left is swept by the next one, and nothing that is not ours, ever."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pytest

from etl_assets import DuckDBDestination, Stream, faults
from etl_assets.engine import staging_folder
from etl_assets.engine.staging import Staging
from etl_assets.engine.staging_folder import (
    LOCK_FILE,
    PREFIX,
    ROOT_FILE,
    StagingFolder,
    default_roots,
    sweep,
)
from etl_assets.exceptions import DestinationError
from etl_assets.faults import FaultError
from etl_assets.ownership import mark
from etl_assets.sync import sync
from tests.toys import read

TABLE = pa.table({"n": [1, 2, 3]})

KILLED = """
import os, signal, sys
from pathlib import Path
from typing import IO
import pyarrow as pa
from etl_assets.engine.staging import Staging
staging = Staging(Path(sys.argv[1]), memory_bytes=0)
staging.add(pa.table({"n": [1, 2, 3]}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_in(root: Path) -> Path:
    """Have a process stage something, and be killed; gives its folder."""
    before = set(root.iterdir()) if root.exists() else set()
    done = subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = {one for one in set(root.iterdir()) - before if one.name != ROOT_FILE}
    assert sorted(one.name for one in left.iterdir()) == ["000000.arrow", LOCK_FILE]
    return left


def staged(root: Path) -> Staging:
    staging = Staging(root, memory_bytes=0)
    staging.add(TABLE)
    return staging


def folder_in(root: Path) -> Path:
    (found,) = root.glob(f"{PREFIX}*")
    return found


def test_a_folder_whose_owner_lives_is_left_alone(tmp_path: Path) -> None:
    staging = staged(tmp_path / "root")
    folder = folder_in(tmp_path / "root")
    assert folder.stat().st_mode & 0o777 == 0o700
    sweep(tmp_path / "root")
    assert [one.to_pydict() for one in staging.tables()] == [{"n": [1, 2, 3]}]
    staging.clear()
    assert not (tmp_path / "root").exists()


def test_what_a_killed_process_left_is_swept_with_a_root_that_was_made_for_it(
    tmp_path: Path,
) -> None:
    killed_in(tmp_path / "root")
    sweep(tmp_path / "root")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [[LOCK_FILE], []])
def test_whoever_was_killed_while_he_cleaned_up_left_less(left: list[str], tmp_path: Path) -> None:
    folder = killed_in(tmp_path / "root")
    for one in folder.iterdir():
        if one.name not in left:
            one.unlink()
    sweep(tmp_path / "root")
    assert list(tmp_path.iterdir()) == []


def test_whoever_was_killed_before_he_could_mark_his_folder_is_swept_too(tmp_path: Path) -> None:
    folder = killed_in(tmp_path)
    (folder / "000000.arrow").unlink()
    (folder / LOCK_FILE).write_bytes(b"")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def empty_folder(root: Path) -> None:
    (root / "lost+found").mkdir()


def spool(root: Path) -> None:
    (root / "spool").mkdir()
    (root / "spool" / LOCK_FILE).write_bytes(b"")
    (root / "spool" / "000000.arrow").write_text("of another program")


def folder_called_like_ours(root: Path) -> None:
    (root / f"{PREFIX}0123456789abcdef01234567").mkdir()
    (root / f"{PREFIX}backups").mkdir()


def folder_called_as_ours_without_our_mark(root: Path) -> None:
    folder = killed_in(root)
    (folder / LOCK_FILE).write_bytes(b"locked by somebody else\n")


def folder_with_the_mark_of_another(root: Path) -> None:
    folder = killed_in(root)
    (folder / LOCK_FILE).write_bytes(mark(f"{PREFIX}another"))


def copy_of_ours(root: Path) -> None:
    folder = killed_in(root)
    shutil.copytree(folder, root / "copy")
    sweep(root)
    assert not folder.exists()


def link_to_ours(root: Path) -> None:
    folder = killed_in(root.parent)
    (root / folder.name).symlink_to(folder)


def lock_that_is_a_fifo(root: Path) -> None:
    folder = killed_in(root)
    (folder / LOCK_FILE).unlink()
    os.mkfifo(folder / LOCK_FILE)


def lock_that_is_a_link(root: Path) -> None:
    folder = killed_in(root)
    (folder / LOCK_FILE).rename(root / "lock")
    (folder / LOCK_FILE).symlink_to(root / "lock")


def nothing(root: Path) -> None:
    """The root itself was there before, and is empty."""


FOREIGN: list[Callable[[Path], None]] = [
    *(empty_folder, spool, folder_called_like_ours, folder_called_as_ours_without_our_mark),
    *(folder_with_the_mark_of_another, copy_of_ours, link_to_ours, lock_that_is_a_fifo, lock_that_is_a_link, nothing),
]  # fmt: skip


def everything_in(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*"))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", FOREIGN)
def test_what_is_not_proven_ours_stays(make: Callable[[Path], None], tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    make(root)
    before = everything_in(tmp_path)
    sweep(root)
    staging = staged(root)
    staging.close()
    sweep(root)
    assert everything_in(tmp_path) == before


def test_a_file_that_somebody_put_into_our_folder_stays(tmp_path: Path) -> None:
    folder = killed_in(tmp_path)
    (folder / "notes.txt").write_text("not ours")
    sweep(tmp_path)
    assert sorted(one.name for one in folder.iterdir()) == ["notes.txt", LOCK_FILE]
    staging = staged(tmp_path)
    (own,) = set(tmp_path.glob(f"{PREFIX}*")) - {folder}
    (own / "notes.txt").write_text("not ours")
    staging.close()
    assert sorted(one.name for one in own.iterdir()) == ["notes.txt", LOCK_FILE]


def test_a_root_that_was_made_here_stays_while_somebody_uses_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    staged(root).close()
    assert not root.exists()
    staging = staged(root)
    (root / "of somebody else").touch()
    staging.close()
    assert (root / "of somebody else").exists()
    (root / "of somebody else").unlink()
    sweep(root)
    assert not root.exists()


def test_a_root_that_somebody_made_with_our_mark_in_it_stays(tmp_path: Path) -> None:
    staging = staged(tmp_path / "root")
    shutil.copytree(
        tmp_path / "root", tmp_path / "copy", ignore=shutil.ignore_patterns(f"{PREFIX}*")
    )
    staging.close()
    sweep(tmp_path / "copy")
    assert (tmp_path / "copy" / ROOT_FILE).exists()


def test_the_lock_file_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = staged(tmp_path)
    unlinked: list[str] = []
    unlink = os.unlink

    def note(name: str, *, dir_fd: int | None = None) -> None:
        unlinked.append(name)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", note)
    staging.clear()
    assert unlinked == ["000000.arrow", LOCK_FILE]


def test_a_folder_that_is_swept_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def sweep_once(path: Path) -> IO[bytes] | None:
        made.append(path)
        if len(made) == 1:
            sweep(tmp_path / "root")
        return lock(path)

    lock = staging_folder._locked
    monkeypatch.setattr(staging_folder, "_locked", sweep_once)
    staging = staged(tmp_path / "root")
    assert len(made) == 2
    assert (made[1] / "000000.arrow").exists()
    staging.clear()
    assert not (tmp_path / "root").exists()


def test_a_clean_up_that_fails_is_ended_by_the_next_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = staged(tmp_path / "root")
    monkeypatch.setattr(faults, "_passed", type(faults._passed)())
    monkeypatch.setenv(faults.VARIABLE, "cleaning:1:raise")
    with pytest.raises(FaultError):
        staging.clear()
    assert folder_in(tmp_path / "root").exists()
    sweep(tmp_path / "root")
    assert not (tmp_path / "root").exists()


BESIDE = """
import sys
from pathlib import Path
from typing import IO
import pyarrow as pa
from etl_assets.engine.staging import Staging
from etl_assets.engine.staging_folder import sweep
root = Path(sys.argv[1])
for number in range(150):
    sweep(root)
    staging = Staging(root, memory_bytes=0)
    staging.add(pa.table({"n": [number]}))
    staging.add(pa.table({"n": [number]}))
    assert [one.to_pydict() for one in staging.tables()] == [{"n": [number]}] * 2
    staging.close()
    sweep(root)
"""


def test_processes_that_share_a_root_take_nothing_from_each_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BESIDE, str(tmp_path / "root")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    sweep(tmp_path / "root")
    assert list(tmp_path.iterdir()) == []


def unwritable(error: int) -> Callable[[Path], None]:
    def refuse(root: Path) -> None:
        if "default" in root.parts:
            raise OSError(error, os.strerror(error), str(root))

    return refuse


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_where_the_default_place_cannot_be_written_it_is_the_temporary_one(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(staging_folder, "_make_root", unwritable(error))
    staging = Staging(default_roots(tmp_path / "default"), memory_bytes=0)
    staging.add(TABLE)
    assert (folder_in(tmp_path) / "000000.arrow").exists()
    staging.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read only"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a disk that is read-only")
    yield folder
    unmount = ["umount", "--lazy", str(folder)]
    subprocess.run(unmount, check=True)


def test_a_sync_in_a_working_directory_that_is_read_only(
    read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(read_only)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    warehouse = DuckDBDestination(":memory:", staging_memory_bytes=0)
    assert sync(read([{"n": 1}, {"n": 2}], Stream("events")), warehouse).records_loaded == 2
    assert list(tmp_path.iterdir()) == [read_only]


def test_where_no_temporary_file_can_be_made_the_default_place_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", refuse)
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"), staging_memory_bytes=0)
    assert sync(read([{"n": 1}, {"n": 2}], Stream("events")), warehouse).records_loaded == 2


def test_a_full_disk_and_a_place_that_was_asked_for_are_no_reason_to_go_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_folder, "_make_root", unwritable(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        StagingFolder.made_in((tmp_path / "default", tmp_path))
    with pytest.raises(DestinationError, match=r"/default cannot be written: No space"):
        Staging(tmp_path / "default", memory_bytes=0).add(TABLE)
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_nothing_can_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (Path("/proc"), tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DestinationError, match=f"{place} cannot be written"):
            Staging(place, memory_bytes=0).add(TABLE)

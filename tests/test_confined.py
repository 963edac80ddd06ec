"""Files below a folder that is held open: whatever a name is spelled like, nothing outside of it is reached."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl_assets.confined import Folder, NotConfinedError

LOOKS = 3000


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "inside" / "below").mkdir(parents=True)
    (tmp_path / "inside" / "below" / "file").write_text("data")
    return tmp_path / "inside"


@pytest.fixture
def folder(inside: Path) -> Iterator[Folder]:
    held = Folder(inside)
    yield held
    held.close()


def text_of(folder: Folder, name: str, *, one_name_only: bool = True) -> str:
    file, _ = folder.open(name, one_name_only=one_name_only)
    with file:
        return file.read().decode()


def test_what_is_below_is_read_and_only_that_file_is_removed(folder: Folder, inside: Path) -> None:
    assert text_of(folder, "./below//file") == "data"
    file, found = folder.open("below/file")
    file.close()
    (inside / "another").write_text("another one")
    (inside / "another").rename(inside / "below" / "file")
    with pytest.raises(FileNotFoundError):
        found.unlink()
    file, found = folder.open("below/file")
    file.close()
    found.unlink()
    assert not (inside / "below" / "file").exists()


def link(inside: Path) -> str:
    (inside / "link").symlink_to("../outside/secret")
    return "link"


def link_inside(inside: Path) -> str:
    (inside / "link").symlink_to("below/file")
    return "link"


def linked_parent(inside: Path) -> str:
    (inside / "below" / "more").symlink_to(inside.parent / "outside")
    return "below/more/secret"


def hard_link(inside: Path) -> str:
    os.link(inside.parent / "outside" / "secret", inside / "other")
    return "other"


def fifo(inside: Path) -> str:
    os.mkfifo(inside / "fifo")
    return "fifo"


def a_socket(inside: Path) -> str:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(inside / "socket"))
    return "socket"


def device(inside: Path) -> str:
    try:
        os.mknod(inside / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    except OSError:
        pytest.skip("this user can make no device")
    return "zero"


HOSTILE: list[Callable[[Path], str]] = [
    *(link, link_inside, linked_parent, hard_link, fifo, a_socket, device),
    *(lambda _, name=name: name for name in ("..", "../outside/secret", "below/../../outside/secret")),
    *(lambda _, name=name: name for name in ("below", "", "a\0b")),
]  # fmt: skip


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", HOSTILE)
def test_nothing_else_is(make: Callable[[Path], str], folder: Folder, inside: Path) -> None:
    name = make(inside)
    with pytest.raises(NotConfinedError):
        folder.open(name, one_name_only=True)
    assert (inside.parent / "outside" / "secret").read_text() == "secret"


def test_a_folder_that_is_replaced_by_a_link_is_still_the_one_that_was_opened(
    folder: Folder, inside: Path
) -> None:
    inside.rename(inside.parent / "moved")
    inside.symlink_to("outside")
    assert text_of(folder, "below/file") == "data"
    with pytest.raises(FileNotFoundError):
        folder.open("secret")


def test_nothing_is_reached_through_a_folder_that_was_let_go_of(
    folder: Folder, inside: Path
) -> None:
    file, found = folder.open("below/file")
    file.close()
    folder.close()
    other = os.open(inside, os.O_RDONLY)  # takes the number of the descriptor
    with pytest.raises(FileNotFoundError):
        found.unlink()
    with pytest.raises(FileNotFoundError):
        folder.open("below/file")
    os.close(other)
    assert (inside / "below" / "file").exists()


def test_whoever_swaps_parts_while_they_are_looked_at_wins_nothing(
    folder: Folder, inside: Path
) -> None:
    """A file, a link to it and a folder take each other's place all the time: it is the inner file, or an error."""
    stop = threading.Event()

    def swap() -> None:
        below, kept = inside / "below", inside / "kept"
        while not stop.is_set():
            below.rename(kept)
            below.symlink_to(inside.parent / "outside")
            below.unlink()
            kept.rename(below)

    (inside.parent / "outside" / "file").write_text("stolen")
    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        seen, looks, deadline = set(), 0, time.monotonic() + 30
        while looks < LOOKS or ("data" not in seen and time.monotonic() < deadline):
            looks += 1
            try:
                seen.add(text_of(folder, "below/file"))
            except (NotConfinedError, OSError):
                seen.add("error")
    finally:
        stop.set()
        swapping.join()
    assert seen <= {"data", "error"}
    assert "data" in seen

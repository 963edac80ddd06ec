"""What proves that a folder is ours: its owner, and a file in it with a text that only we write.

A sweep only removes what is proven to be ours in this way, whatever else looks like it.
"""

import os
import stat
from pathlib import Path

_SAID = "Made by etl_assets, which removes it again: "


def mark(name: str) -> bytes:
    """Return the content of the file by which the folder of this name is known."""
    return f"{_SAID}{name}\n".encode()


def is_ours(folder: Path, name: str, descriptor: int) -> bool:
    """Return whether a folder is ours.

    Args:
        folder: The folder.
        name: What `mark` was given for it.
        descriptor: The file in it that should hold the mark, open for reading, at any place.
    """
    wanted = mark(name)
    try:
        found, file = folder.lstat(), os.fstat(descriptor)
        are_of_their_kinds = stat.S_ISDIR(found.st_mode) and stat.S_ISREG(file.st_mode)
        if not are_of_their_kinds or file.st_size != len(wanted):
            return False
        return (
            found.st_uid == file.st_uid == os.getuid()
            and os.pread(descriptor, len(wanted), 0) == wanted
        )
    except OSError:
        return False

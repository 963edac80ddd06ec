"""What tells a folder of ours from anybody else's: who owns it, and a file in it with a text that only we write there.

A sweep removes nothing that is not proven ours in this way, however much it looks like it.
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
        if (
            not stat.S_ISDIR(found.st_mode)
            or not stat.S_ISREG(file.st_mode)
            or file.st_size != len(wanted)
        ):
            return False
        return (
            found.st_uid == file.st_uid == os.getuid()
            and os.pread(descriptor, len(wanted), 0) == wanted
        )
    except OSError:
        return False

"""What a Singer target reads: lines of standard input, and the files that BATCH messages name."""

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from etl_assets.confined import Folder
from etl_assets.exceptions import ConfigError
from etl_assets.protocol.singer.batch_files import BatchFolder

READ_BYTES = 1024 * 1024
BATCH_HINT = "Set batch_folder in the config to the folder where the tap writes its batches."


def parts_of(source: Any, limit: int) -> Iterator[bytes | str]:
    """Yield what can be read: whole lines, many at once where the source gives bytes.

    A line above the limit is cut behind it; decoding refuses such a line.
    """
    if hasattr(source, "read1"):
        yield from _chunks(source.read1, limit)
    elif hasattr(source, "readline"):
        while line := source.readline(limit + 2):
            yield line
    else:
        yield from source


def _chunks(read: Callable[[int], bytes], limit: int) -> Iterator[bytes]:
    """Yield whole lines, as many as there are to be read at once; a line above the limit is cut."""
    parts: list[bytes] = []
    size = 0
    while block := read(READ_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, block[:end]))
            parts, size = [], 0
        parts.append(block[end:])
        size += len(block) - end
        if size > limit + 1:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)


def folder_of_batches(folder: str) -> BatchFolder:
    """Open the folder that the files of BATCH messages must be below.

    Raises:
        ConfigError: It is not there.
    """
    real = os.path.realpath(folder)
    try:
        held = Folder(Path(real))
    except OSError as error:
        raise ConfigError(
            f"The batch_folder {folder!r} cannot be opened: {error.strerror}.",
            hint=f"Make the folder: mkdir -p {shlex.quote(real)}",
        ) from None
    named = os.path.abspath(folder)  # noqa: PTH100 - links are part of the name
    return BatchFolder(held, [named, real], hint=BATCH_HINT)

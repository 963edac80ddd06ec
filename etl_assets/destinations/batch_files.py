"""The records of a Singer BATCH message on its way into a target: files of JSON lines or Parquet below one folder."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import simplejson

from etl_assets.confined import Folder
from etl_assets.exceptions import ConfigError
from etl_assets.model.json.depth import MAX_DEPTH, nested_too_deep
from etl_assets.model.json.repeated_keys import refuse_repeats
from etl_assets.model.values.numbers import decimal_of
from etl_assets.protocol.singer.batch_files import (
    BatchFolder,
    cannot_be_read,
    damage_named,
    form_of,
    lines_of,
    tables_of,
)
from etl_assets.protocol.singer.messages import MAX_BYTES, BatchMessage, RecordMessage

HINT = "Set batch_folder in the config to the folder where the tap writes its batches."


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
    return BatchFolder(held, [os.path.abspath(folder), real], hint=HINT)  # noqa: PTH100 - links are part of the name


def records_of(
    message: BatchMessage, folder: BatchFolder | None, *, longest: int = MAX_BYTES
) -> Iterator[RecordMessage]:
    """Yield the records of a batch's files, one after the other.

    Args:
        message: The message.
        folder: Where the files must be; None refuses them all.
        longest: The longest line, in bytes.

    Raises:
        ProtocolError: A file is elsewhere, cannot be read, is cut off, or has another encoding.
        DataError: A record has a key twice.
    """
    kind, packed = form_of(message.encoding, message.stream)
    for url in message.manifest:
        if folder is None:
            raise cannot_be_read(message.stream, f"its file {url!r} is below no folder that may be read", hint=HINT)
        file, _ = folder.open(url, message.stream)
        with file, damage_named(url, message.stream):
            rows = (
                _parquet(file, message.stream)
                if kind == "parquet"
                else _json_lines(file, message.stream, packed, longest)
            )
            for row in rows:
                yield RecordMessage(message.stream, row, message.version)


def _json_lines(file: BinaryIO, stream: str, packed: bool, longest: int) -> Iterator[dict[str, Any]]:  # noqa: FBT001
    for line in lines_of(file, packed=packed, longest=longest):
        text = line.decode()
        if nested_too_deep(text):
            raise ValueError(f"a line is nested deeper than {MAX_DEPTH}")
        row = simplejson.loads(text, parse_float=decimal_of)
        if not isinstance(row, dict):
            raise ValueError("a line is no JSON object")  # noqa: TRY004 - as for any line that is not JSON
        refuse_repeats(text, row, stream)
        yield row


def _parquet(file: BinaryIO, stream: str) -> Iterator[dict[str, Any]]:
    for batch, refused in tables_of(file, stream):
        if refused:
            raise refused[min(refused)][0].error()
        yield from batch.to_pylist()

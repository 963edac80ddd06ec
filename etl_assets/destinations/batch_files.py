"""The records of a Singer BATCH message: files of JSON lines or Parquet on this machine."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import simplejson

from etl_assets.exceptions import ProtocolError
from etl_assets.protocol.messages import MAX_DEPTH, BatchMessage, RecordMessage, nested_too_deep
from etl_assets.protocol.repeated_keys import refuse_repeats


def records_of(message: BatchMessage, folder: str | None = None) -> Iterator[RecordMessage]:
    """Give the records of a batch's files, one after the other.

    Args:
        message: The message.
        folder: Where the files must be; None for anywhere on this machine.

    Raises:
        ProtocolError: A file is elsewhere, cannot be read, is cut off, or has another encoding.
        DataError: A record has a key twice.
    """
    kind, compression = message.encoding.get("format"), message.encoding.get("compression")
    if kind not in {"jsonl", "parquet"} or compression not in {None, "", "none", "gzip"}:
        raise _wrong(message, f"its encoding {dict(message.encoding)!r} is not known")
    for url in message.manifest:
        path = _path(message, url)
        if folder is not None and not path.resolve().is_relative_to(Path(folder).resolve()):
            raise _wrong(message, f"its file {url!r} is not below the folder {folder!r}")
        try:
            zipped = compression == "gzip"
            rows = _parquet(path) if kind == "parquet" else _json_lines(path, message.stream, zipped=zipped)
            for row in rows:
                yield RecordMessage(message.stream, row, message.version)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise _wrong(message, f"its file {path.name!r} cannot be read: {error}") from error


def _path(message: BatchMessage, url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme not in {"", "file"} or parts.netloc not in {"", "localhost"}:
        raise _wrong(message, f"its file {url!r} is not on this machine")
    return Path(unquote(parts.path))


def _json_lines(path: Path, stream: str, *, zipped: bool) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rb") if zipped else path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            text = line.decode()
            if nested_too_deep(text):
                raise ValueError(f"a line is nested deeper than {MAX_DEPTH}")
            row = simplejson.loads(text, use_decimal=True)
            if not isinstance(row, dict):
                raise ValueError("a line is no JSON object")  # noqa: TRY004 - as for any line that is not JSON
            refuse_repeats(text, row, stream)
            yield row


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def _wrong(message: BatchMessage, what: str) -> ProtocolError:
    return ProtocolError(f"stream {message.stream!r}: a BATCH message cannot be read: {what}.", stream=message.stream)

"""Records with a version that their tap has not activated yet: they wait in a file."""

import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

from etl_assets.destinations.target.arguments import MEGABYTE
from etl_assets.model.events import StreamKey
from etl_assets.protocol.singer.messages import RecordMessage, decode, encode

SPOOL_BYTES = 8 * MEGABYTE
"""So many bytes of a stream stay in memory."""


class Versions:
    """What a pipe has said of the versions of its streams' rows."""

    def __init__(self) -> None:
        self._activated: dict[StreamKey, int] = {}
        self._files: dict[StreamKey, IO[bytes]] = {}

    @property
    def waiting(self) -> list[StreamKey]:
        """The streams that have records in a file."""
        return list(self._files)

    def has_any(self, key: StreamKey) -> bool:
        """Whether a version of a stream was activated."""
        return key in self._activated

    def has(self, key: StreamKey, version: int) -> bool:
        """Whether a version of a stream, or a later one, was activated."""
        return key in self._activated and version <= self._activated[key]

    def activate(self, key: StreamKey, version: int) -> None:
        """Record that rows of older versions are gone."""
        self._activated[key] = version

    def keep(self, key: StreamKey, message: RecordMessage, line: bytes | str | None) -> None:
        """Write a record to the stream's file, as the line it came in if it was one."""
        if key not in self._files:
            # Closed by `taken` or `close`.
            self._files[key] = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115
        text = encode(message) if line is None else line
        if isinstance(text, str):
            text = text.encode()
        self._files[key].write(text.rstrip(b"\r\n") + b"\n")

    def taken(
        self, key: StreamKey, version: int | None = None
    ) -> Iterator[tuple[Mapping[str, Any], int]]:
        """Yield the records of a stream's file, each with its size, and drop it.

        Args:
            key: The stream.
            version: Leave out records of older versions.
        """
        with self._files.pop(key) as file:
            file.seek(0)
            for line in file:
                message = decode(line)
                if not isinstance(message, RecordMessage):
                    continue
                if version is None or (message.version or 0) >= version:
                    yield message.record, len(line)

    def close(self) -> None:
        """Drop what waits."""
        for file in self._files.values():
            file.close()

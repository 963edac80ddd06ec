"""Runs of record lines that begin alike: told from the rest without decoding them, and parsed together later."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from etl_assets.protocol.batch import Batch
from etl_assets.protocol.events import StreamKey
from etl_assets.protocol.json_columns import ColumnParser
from etl_assets.protocol.stream import Stream

_TEXT = rb'"(?:[^"\\\n]|\\.)*"'

AIRBYTE_HEAD = re.compile(
    rb'\{"type":\s?"RECORD",\s?"record":\s?\{(?:"namespace":\s?(?P<namespace>' + _TEXT + rb"),\s?)?"
    rb'"stream":\s?(?P<stream>' + _TEXT + rb'),\s?"data":\s?\{'
)
SINGER_HEAD = re.compile(rb'\{"type":\s?"RECORD",\s?"stream":\s?(?P<stream>' + _TEXT + rb'),\s?"record":\s?\{')

MOST_REFUSALS = 3
"""After so many batches that had to be read the exact way, a stream is read so from the beginning."""


@dataclass(frozen=True)
class Form:
    """How a protocol's record lines look.

    Args:
        head: What such a line begins with, up to the record itself; names the stream.
        path: Where the record is.
        around: Other fields a line may have.
        telling: Names which, where one stands in a line, need the exact way.
    """

    head: re.Pattern[bytes]
    path: tuple[str, ...]
    around: Mapping[tuple[str, ...], str]
    telling: tuple[bytes, ...]


AIRBYTE = Form(
    AIRBYTE_HEAD,
    ("record", "data"),
    {("type",): "string", ("record", "stream"): "string", ("record", "emitted_at"): "int64"},
    (b'"namespace"', b'"meta"', b'"file_reference"'),
)
SINGER = Form(
    SINGER_HEAD,
    ("record",),
    {("type",): "string", ("stream",): "string", ("time_extracted",): "string"},
    (b'"version"',),
)


@dataclass
class _Lane:
    """The lines with one beginning."""

    run: re.Pattern[bytes]
    key: StreamKey | None


@dataclass
class _Parsing:
    """How the records of one stream, in its present form, are parsed."""

    stream: Stream
    parser: ColumnParser
    exact: Callable[[bytes], list[Mapping[str, Any]]]
    refused: int = 0

    def __call__(self, lines: bytes, count: int) -> Batch:
        if self.refused < MOST_REFUSALS:
            table = self.parser.parse(lines, count)
            if table is not None:
                return Batch(table)
            self.refused += 1
        return Batch(self.exact(lines))


@dataclass
class Run:
    """A part of a chunk: lines of records of one stream, or any other lines (`parse` is None)."""

    lines: bytes
    count: int = 0
    key: StreamKey = ("", "")
    parse: Callable[[bytes, int], Batch] | None = None


@dataclass
class RecordLanes:
    """Cuts chunks into runs.

    Args:
        form: The protocol's.
        key_of: Gives the stream that a name stands for, if records of it may be taken this way now.
        streams: The streams as they are now.
        exact: Decodes lines of records one by one.
    """

    form: Form
    key_of: Callable[[str], StreamKey | None]
    streams: Mapping[StreamKey, Stream]
    exact: Callable[[bytes], list[Mapping[str, Any]]]
    _lanes: dict[bytes, _Lane] = field(default_factory=dict)
    _parsings: dict[StreamKey, _Parsing] = field(default_factory=dict)

    def cut(self, chunk: bytes) -> Iterator[Run]:
        """Give a chunk's lines, run by run, in their order."""
        start = position = 0
        end = len(chunk)
        while position < end:
            head = self.form.head.match(chunk, position)
            lane = self._lane(head) if head is not None else None
            run = lane.run.match(chunk, position) if lane is not None else None
            if lane is None or lane.key is None or run is None:
                position = (run.end() if run is not None else chunk.find(b"\n", position) + 1) or end
                continue
            parsing = self._parsing(lane.key)
            lines = run.group()
            if parsing is None or any(name in lines for name in self.form.telling):
                position = run.end()
                continue
            if start < position:
                yield Run(chunk[start:position])
            yield Run(lines, lines.count(b"\n"), lane.key, parsing)
            start = position = run.end()
        if start < end:
            yield Run(chunk[start:])

    def _lane(self, head: re.Match[bytes]) -> _Lane:
        prefix = head.group()
        lane = self._lanes.get(prefix)
        if lane is None:
            named = "namespace" in head.re.groupindex and head["namespace"]
            key = None if named else self.key_of(_name(head["stream"]))
            run = re.compile(rb"(?:" + re.escape(prefix) + rb"[^\n]*+\n)++")
            lane = _Lane(run, key)
            if key is not None:
                self._lanes[prefix] = lane
        return lane

    def _parsing(self, key: StreamKey) -> _Parsing | None:
        stream = self.streams[key]
        parsing = self._parsings.get(key)
        if parsing is None or parsing.stream is not stream:
            parser = ColumnParser(stream, self.form.path, dict(self.form.around))
            parsing = self._parsings[key] = _Parsing(stream, parser, self.exact)
        return parsing if parsing.parser.usable and parsing.refused < MOST_REFUSALS else None


def _name(text: bytes) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return ""

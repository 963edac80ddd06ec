"""Runs of record lines that begin alike: told apart without decoding, and decoded together."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from etl_assets.exceptions import DataError, ProtocolError
from etl_assets.model.batch import Batch, Emitted
from etl_assets.model.events import StreamKey
from etl_assets.model.json.columns import ColumnParser, blocks_of
from etl_assets.model.json.lines import count_lines
from etl_assets.model.json.missing import Missing
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.model.json.places import Text

_FEW_ENDS = 16
"""Ends of lines that are looked at first, then twice as many, and so on."""
FEW_LINES = 20
"""A decoder for a changed schema is worth making from so many lines on."""

Rows = Callable[[bytes, StreamKey], Batch | list[Mapping[str, Any]]]
"""Decodes lines of records of a stream one by one."""


class Form(Protocol):
    """How a protocol's record lines look."""

    head: re.Pattern[bytes]
    """What such a line begins with, up to the fields of the record.

    Names the `stream`, perhaps its `namespace`.
    """
    path: str
    """Where in a line the record is."""
    emitted: str | None
    """Where it stands when the record was emitted, if that is said."""
    own: str
    """The key beside the record whose value is of each line alone."""

    def line(
        self, record: type, missing: Missing, name: str, key: StreamKey, version: int | None
    ) -> type:
        """Return the type of a line of one stream, which says what the line must and must not say.

        The keys around the record are told to `missing`.
        """

    def version(self, line: bytes) -> int | None:
        """Return the version of the table that a line's record is part of.

        Raises:
            ValueError: It is no such line.
        """


@dataclass
class Parsing:
    """How the lines of one stream, in its present form, become batches."""

    stream: Stream
    parser: ColumnParser
    rows: Rows

    def __call__(self, lines: bytes) -> Iterator[Batch]:
        """Yield the records in their order: as columns, or as rows where a block of lines needs it.

        Raises:
            DataError: A record has a key twice; those before it are given first, as a state may
                cover them.
        """
        tables: list[tuple[pa.Table, Emitted | None]] = []
        for block in blocks_of(lines):
            try:
                table = self.parser.parse(block)
                rows = self.rows(block, self.stream.key) if table is None else None
            except DataError:
                yield from _joined(tables)
                tables = []
                if count_lines(block) < 2:  # noqa: PLR2004 - it is this line
                    raise
                middle = block.rfind(b"\n", 0, len(block) // 2) + 1 or block.find(b"\n") + 1
                for half in (block[:middle], block[middle:]):
                    yield from self(half)
                continue
            if table is not None:
                tables.append((table, self.parser.emitted))
            if rows is not None:
                yield from _joined(tables)
                tables = []
                yield rows if isinstance(rows, Batch) else Batch(rows)
        yield from _joined(tables)


def _joined(tables: "list[tuple[pa.Table, Emitted | None]]") -> Iterator[Batch]:
    import pyarrow as pa

    if not tables:
        return
    try:
        table = pa.concat_tables([table for table, _ in tables], promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # Such as instants with a zone here and without one there.
        for one, emitted in tables:
            yield _batch(one, emitted)
        return
    yield _batch(table, _moments([(len(one), emitted) for one, emitted in tables]))


def _moments(parts: "list[tuple[int, Emitted | None]]") -> "Emitted | None":
    """Return when the records of tables of so many rows were emitted."""
    import pyarrow as pa

    said = [emitted for _, emitted in parts]
    if all(isinstance(emitted, pa.Array) for emitted in said):
        return pa.chunked_array(said)
    if all(emitted is None for emitted in said):
        return None
    lists = [
        emitted.to_pylist() if isinstance(emitted, pa.Array) else emitted or [None] * count
        for count, emitted in parts
    ]
    return list(chain.from_iterable(lists))


def _batch(table: "pa.Table", emitted: "Emitted | None") -> Batch:
    batch = Batch(table)
    batch.emitted, batch.texts_are_known = emitted, True  # they were decoded
    return batch


@dataclass
class _Prefix:
    """How the lines with one beginning are told from others, and whose they are."""

    text: bytes
    name: str
    key: StreamKey

    def end_in(self, chunk: "Text", position: int) -> int:
        """Return where the lines that begin so end, of which there is one at this position.

        A last line without its end is not among them.
        """
        at = int(chunk.ends.searchsorted(position))
        some = _FEW_ENDS
        while at < len(chunk.ends):
            ends = chunk.ends[at : at + some]
            is_other = ~chunk.stands_before(ends + 1 + len(self.text), self.text)
            if is_other.any():
                return int(ends[is_other.argmax()]) + 1
            at, some = at + some, some * 2
        return max(position, int(chunk.ends[-1]) + 1 if len(chunk.ends) else 0)


@dataclass
class Run:
    """Lines of a chunk: of records of one stream, or any others (`parse` is None)."""

    lines: bytes
    count: int = 0
    key: StreamKey = ("", "")
    version: int | None = None
    parse: Parsing | None = None


@dataclass
class RecordRuns:
    """Cuts chunks into runs.

    Args:
        form: The protocol's.
        key_of: Gives the stream that a namespace and a name stand for, if they stand for one alone;
            the namespace is None where a line does not begin with it.
        streams: The streams as they are now.
        rows: Decodes lines of records one by one.
    """

    form: Form
    key_of: Callable[[str | None, str], StreamKey | None]
    streams: Mapping[StreamKey, Stream]
    rows: Rows
    _prefixes: dict[bytes, _Prefix] = field(default_factory=dict)
    _parsings: dict[tuple[str, int | None], Parsing] = field(default_factory=dict)

    def cut(self, chunk: bytes) -> Iterator[Run]:
        """Yield a chunk's lines, run by run, in their order.

        What stands before a run is given before the run is looked at: a schema there may change how
        it is decoded.
        """
        text: Text | None = None
        start = position = 0
        end = len(chunk)
        unknown: set[bytes] = set()
        while position < end:
            head = self.form.head.match(chunk, position)
            if head is None or head.group() in unknown:
                position = chunk.find(b"\n", position) + 1 or end
                continue
            if start < position:
                yield Run(chunk[start:position])
                start = position
            prefix = self._prefix(head)
            text = text or _text_of(chunk)
            stop = prefix.end_in(text, position) if prefix is not None else position
            if prefix is None or stop == position:
                unknown.add(head.group())
                continue
            run = self._run(prefix, chunk[position:stop])
            position = stop
            if run is not None:
                yield run
                start = stop
        if start < end:
            yield Run(chunk[start:])

    def _run(self, prefix: _Prefix, lines: bytes) -> Run | None:
        """Return lines as a run, if they can be decoded together."""
        last = lines.rfind(b"\n", 0, -1) + 1
        try:
            version = self.form.version(lines[: lines.find(b"\n")])
            if last and self.form.version(lines[last:]) != version:
                return None
        except (ValueError, RecursionError):
            return None
        parsing = self._parsing(prefix, version)
        if parsing is None:
            return None
        return Run(lines, count_lines(lines), prefix.key, version, parsing)

    def _prefix(self, head: re.Match[bytes]) -> _Prefix | None:
        text = head.group()
        prefix = self._prefixes.get(text)
        if prefix is None:
            found = head.groupdict()
            name = _text(found["stream"])
            if name is None:
                return None
            key = self.key_of(_text(found.get("namespace")), name)
            if key is None:
                return None
            prefix = self._prefixes[text] = _Prefix(text, name, key)
        return prefix

    def _parsing(self, prefix: _Prefix, version: int | None) -> Parsing | None:
        stream = self.streams[prefix.key]
        known = (prefix.name, version)
        parsing = self._parsings.get(known)
        if parsing is None or parsing.stream is not stream:
            line = partial(self.form.line, name=prefix.name, key=prefix.key, version=version)
            # A decoder for a schema that has changed may soon be of no use again: some taps send
            # one after each record.
            few = 0 if parsing is None else FEW_LINES
            parser = ColumnParser(
                stream, line, self.form.path, self.form.emitted, own=self.form.own, few=few
            )
            parsing = Parsing(stream, parser, self.rows)
            self._parsings[known] = parsing
        parser = parsing.parser
        # Where few lines are to wait, nobody asks for the decoder: that would make it.
        return parsing if parser.few or parser.usable else None


def one_message_a_line(key: StreamKey, lines: bytes, messages: int) -> None:
    """Hold the messages of a run against its lines, which were counted.

    Raises:
        ProtocolError: There are more messages than lines.
    """
    if messages != count_lines(lines):
        raise ProtocolError(
            f"stream {key[1]!r}: a line holds more than one message.", stream=key[1]
        )


def _text_of(chunk: bytes) -> "Text":
    from etl_assets.model.json.places import Text

    return Text(chunk)


def _text(quoted: bytes | None) -> str | None:
    try:
        return None if quoted is None else str(json.loads(quoted))
    except ValueError:
        return None

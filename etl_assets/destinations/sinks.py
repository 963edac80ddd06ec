"""Where the records of a stream go in a Singer target: to `export_batch_data`, or into a session of the destination."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Protocol

from etl_assets.destinations.arguments import MEGABYTE, TargetOptions
from etl_assets.destinations.rows import joined, static_columns, stream_of
from etl_assets.exceptions import DestinationError
from etl_assets.model.batch import Batch
from etl_assets.model.load import Load, Session, image_of
from etl_assets.model.schema.revisions import Revisions
from etl_assets.model.stream import Stream
from etl_assets.protocol.singer.messages import RecordMessage, decode, encode
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import new_load_id, resolve_start

if TYPE_CHECKING:
    from etl_assets.destinations.base import Destination

CHUNK_ROWS = 10_000

Parse = Callable[[bytes], Iterator[Batch]]
"""Makes batches of lines of records."""


class Sink(Protocol):
    """What the loop needs for one stream."""

    name: str

    @property
    def holds(self) -> bool:
        """Whether it cannot commit yet: the stream's rows are published only when they are complete."""
        ...

    def add(self, message: RecordMessage, line: bytes | str | None = None) -> None:
        """Take a record, and the line it came in if it was one."""
        ...

    def before_schema(self) -> None:
        """Bring to an end what was begun with the old schema."""
        ...

    def after_schema(self) -> None:
        """Take note of the schema."""
        ...

    def export(self) -> None:
        """Give the records that wait to the destination."""
        ...

    def commit(self, bookmark: Mapping[str, Any] | None, *, complete: bool) -> None:
        """Make everything exported visible."""
        ...

    def activate(self, version: int) -> None:
        """Remove the rows of older versions."""
        ...

    def close(self) -> None:
        """Drop what was not committed."""
        ...


class RowSink:
    """Of a destination that exports at once; at-least-once."""

    holds = False

    def __init__(self, destination: "Destination", name: str, options: TargetOptions) -> None:
        self.name = name
        self._destination = destination
        self._options = options
        self._rows: list[dict[str, Any]] = []
        self._batches = 0
        self._load_id = new_load_id()

    def add(self, message: RecordMessage, line: bytes | str | None = None) -> None:
        """Take a record, and the line it came in if it was one."""
        del line
        self._rows.append({"type": "RECORD", "stream": message.stream, "record": message.record})

    def before_schema(self) -> None:
        """Export what came under the old schema."""
        self.export()

    def after_schema(self) -> None:
        """Nothing: the hooks read `schemas`."""

    def export(self) -> None:
        """Give the records that wait to the hooks."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        tags = {"batch": self._batches, "records": len(rows), "stream": self.name, "load_id": self._load_id}
        self._batches += 1
        schema = self._destination.schemas.get(self.name) or {}
        if self._destination.batch_processing:
            data = [{"row": row, "schema": schema, "stream": self.name, "tags": tags} for row in rows]
            self._destination.process_record_data(data, self.name, tags)
            return
        for row in rows:
            self._destination.process_record(stream=self.name, schema=schema, row=row, tags=tags)

    def commit(self, bookmark: Mapping[str, Any] | None, *, complete: bool) -> None:
        """Nothing: what was exported is there."""

    def activate(self, version: int) -> None:
        """Export what waits, then have the destination's hook remove older rows."""
        self.export()
        if not self._options.ignore_activate_version:
            self._destination.activate_version(self.name, version)

    def close(self) -> None:
        """Drop what waits."""
        self._rows = []


@dataclass
class _Incoming:
    """A stream of the pipe, as the look-up of its table needs it."""

    source_name: str
    stream: Stream
    partial: bool = False
    ordered: bool = False
    checked_order: bool = False

    def open(self, bookmark: Any) -> Any:
        """Never called: the messages come by themselves."""
        raise NotImplementedError


class SessionSink:
    """Of a destination with a session: rows become visible with a commit, which stands at a state or at the end.

    Where records have a version that no ACTIVATE_VERSION has announced, they wait in a file: only that message, or the
    end, tells whether they take the place of the table or join it.
    """

    def __init__(self, destination: "Destination", name: str, options: TargetOptions) -> None:
        self.name = name
        self._destination = destination
        self._options = options
        self._rows: list[Mapping[str, Any]] = []
        self._lines: list[bytes] = []
        self._parse: Parse | None = None
        self._spool: IO[bytes] | None = None
        self._activated: int | None = None
        self._replace = self._staged = False
        self._context: AbstractContextManager[Session] | None = None
        self._session: Session | None = None
        self._load: Load | None = None
        self._stream = stream_of(destination, name)
        self._revisions = Revisions("the tap")

    @property
    def stream(self) -> Stream:
        """The stream as its last SCHEMA message describes it."""
        return self._stream

    @property
    def holds(self) -> bool:
        """Whether the rows are published only when they are complete."""
        return self._spool is not None or self._replace

    def add(self, message: RecordMessage, line: bytes | str | None = None) -> None:
        """Take a record, and the line it came in if it was one."""
        if self._spool is None and message.version is not None and self._activated is None and self._load is None:
            self._spool = tempfile.SpooledTemporaryFile(max_size=8 * MEGABYTE)  # noqa: SIM115 - closed with the sink
        if self._spool is None:
            if self._lines:
                self.export()
            self._rows.append(message.record)
        else:
            text = encode(message) if line is None else line
            self._spool.write((text.encode() if isinstance(text, str) else text).rstrip(b"\r\n") + b"\n")

    def takes_lines(self, version: int | None) -> bool:
        """Whether records of this version may come as lines that are decoded together."""
        waits = version is not None and self._activated is None and self._load is None
        return self._spool is None and not waits and not static_columns(self._destination)

    def add_lines(self, lines: bytes, parse: Parse) -> None:
        """Take lines of records, of which `parse` makes batches."""
        if self._rows or self._parse is not parse:
            self.export()
        self._lines.append(lines)
        self._parse = parse

    def before_schema(self) -> None:
        """Export what came under the old schema."""
        self.export()

    def after_schema(self) -> None:
        """Go on with the new schema; its keys must be the old ones once a table is being loaded.

        Raises:
            DestinationError: They are others.
            ProtocolError: There were too many schemas.
        """
        stream = stream_of(self._destination, self.name)
        if stream == self._stream:
            return  # said again, and what was made of it stays
        self._revisions.note(self.name)
        old, self._stream = self._stream, stream
        if self._load is None:
            return
        if (old.primary_key, old.unique_constraints) != (stream.primary_key, stream.unique_constraints):
            raise DestinationError(f"stream {self.name!r}: its key changed in the midst of a load.", stream=self.name)
        self._load = replace(self._load, stream=stream)

    def export(self) -> None:
        """Stage the records that wait."""
        for batch in self._waiting():
            session, load = self._open()
            session.export(batch, load)
            self._staged = True

    def _waiting(self) -> Iterator[Batch]:
        rows, self._rows = self._rows, []
        lines, self._lines = self._lines, []
        if lines and self._parse is not None:
            yield from self._parse(b"".join(lines))
        if rows:
            static = static_columns(self._destination)
            yield Batch(joined(self.name, rows, static) if static else rows)

    def commit(self, bookmark: Mapping[str, Any] | None, *, complete: bool) -> None:
        """Publish what is staged, with the state that covers it."""
        if complete:
            self._unspool()
        self.export()
        if not (self._staged or complete):
            return
        session, load = self._open()
        self._staged = False
        session.commit({load.load_id: bookmark}, complete=complete or self._replace)
        if self._replace:
            self._replace = False
            self._end()  # what comes now joins the table

    def activate(self, version: int) -> None:
        """Have the rows of this version take the place of the table.

        Raises:
            DestinationError: Rows were loaded before, and cannot be told from older ones.
        """
        if self._activated is not None and version <= self._activated:
            return
        if self._load is not None and not self._replace:
            raise DestinationError(
                f"stream {self.name!r}: its tap activates version {version} after rows without one were loaded.",
                stream=self.name,
            )
        complete = self._spool is not None
        self._activated, self._replace = version, True
        self._unspool(version)
        if complete:
            self.commit(None, complete=True)

    def close(self) -> None:
        """Drop what was not committed."""
        self._rows, self._lines = [], []
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._end()

    def _unspool(self, version: int | None = None) -> None:
        """Stage the records that waited in the file; of a version those that are not older."""
        spool, self._spool = self._spool, None
        if spool is None:
            return
        with spool:
            spool.seek(0)
            for line in spool:
                message = decode(line)
                if isinstance(message, RecordMessage) and (version is None or (message.version or 0) >= version):
                    self._rows.append(message.record)
                    if len(self._rows) >= CHUNK_ROWS:
                        self.export()

    def _end(self) -> None:
        context, self._context, self._session, self._load = self._context, None, None, None
        if context is not None:
            context.__exit__(None, None, None)

    def _open(self) -> tuple[Session, Load]:
        if self._session is None or self._load is None:
            source = self._options.source
            read = _Incoming(source, self._stream)
            start = resolve_start(read, self._destination)
            self._replace |= start.full_refresh and WriteStrategy.REPLACE in self._destination.capabilities.strategies
            strategy = self._strategy()
            self._load = Load(
                source=source,
                stream=self._stream,
                strategy=strategy,
                load_id=new_load_id(),
                begins_from=start.begins_from,
                on_conflict="ignore" if self._stream.unique_conflict_method == "IGNORE" else "update",
                image=image_of(read, strategy, WriteStrategy(self._options.write_strategy)),
            )
            self._context = self._destination.session([self._load])
            self._session = self._context.__enter__()
        return self._session, self._load

    def _strategy(self) -> WriteStrategy:
        keyed = bool(self._stream.primary_key or self._stream.unique_constraints)
        wanted = WriteStrategy(self._options.write_strategy)
        if self._replace:
            wanted = WriteStrategy.REPLACE
        elif wanted is WriteStrategy.AUTO:
            merge = keyed and WriteStrategy.MERGE in self._destination.capabilities.strategies
            wanted = WriteStrategy.MERGE if merge else WriteStrategy.APPEND
        if wanted not in self._destination.capabilities.strategies:
            raise DestinationError(f"stream {self.name!r}: the destination cannot {wanted}.", stream=self.name)
        if wanted is WriteStrategy.MERGE and not keyed:
            raise DestinationError(f"stream {self.name!r}: a merge needs key_properties.", stream=self.name)
        return wanted

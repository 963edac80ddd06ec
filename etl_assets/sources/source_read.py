"""One lazy read of many streams of a source: what `sync_source` opens."""

import copy
import inspect
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from etl_assets.exceptions import ConfigError, EtlAssetsError, StreamReadError
from etl_assets.model.catalog import Catalog as OwnCatalog
from etl_assets.model.events import Event, Records, SourceState, StreamEnd
from etl_assets.model.stream import Stream
from etl_assets.redaction import redact
from etl_assets.redaction.errors import shown_cause
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import Catalog
from etl_assets.sources.tap.verbs import writes_messages_itself


class SourceRead:
    """A read of many streams that has not begun.

    Args:
        source: The source; its `load_streams` is called.
        streams: What to read.
        source_name: Under which the states are stored; the source's own name by default.

    Raises:
        ConfigError: The source has no name.
    """

    def __init__(
        self, source: Source, streams: Sequence[Stream], *, source_name: str | None = None
    ) -> None:
        name = source_name or source.state_name
        if not name:
            raise ConfigError(
                f"{type(source).__name__} has no name.",
                hint="Give it one: its state is stored under its name.",
            )
        self.source = source
        self.source_name = name
        self.streams: Sequence[Stream] = list(streams)

    @property
    def runs_ahead(self) -> bool:
        """Whether its records are made also where they are not taken."""
        return self.source.runs_ahead

    def __repr__(self) -> str:
        return f"SourceRead({self.source_name!r}, {[stream.full_name for stream in self.streams]})"

    def open(self, state: SourceState) -> Generator[Event, None, None]:
        """Read all streams from their states on.

        Raises:
            StreamReadError: Whatever the source raised; our own errors pass as they are.
        """
        source = self._copy_for_this_read()
        events: Any = None
        try:
            events = source.load_streams(self.streams, state)
            yield from events
        except EtlAssetsError:
            raise
        except Exception as error:  # noqa: BLE001 - a connector may raise anything; this is its edge
            raise StreamReadError(
                f"reading from {self.source_name!r} failed: {type(error).__name__}: "
                f"{redact(str(error))}"
            ) from shown_cause(error)
        finally:
            if (
                isinstance(events, Generator)
                and inspect.getgeneratorstate(events) != inspect.GEN_CLOSED
            ):
                events.close()  # at once, not when it is collected: it may hold a process

    def _copy_for_this_read(self) -> Source:
        # One source object serves many runs at once; what a read changes on it is its own.
        source = copy.copy(self.source)
        source.name = self.source_name
        source.selected_streams = [stream.name for stream in self.streams]
        source.catalog = Catalog.of(
            source.catalog if source.catalog is not None else OwnCatalog(self.streams)
        )
        return source


def first_of(source: Source, stream: Stream, source_name: str) -> None:
    """Read from the beginning of a stream to its first records, to see whether that works.

    Raises:
        EtlAssetsError: What went wrong.
    """
    with closing(
        SourceRead(source, [stream], source_name=source_name).open(SourceState())
    ) as events:
        for event in events:
            if isinstance(event, StreamEnd) and event.error is not None:
                raise event.error
            if isinstance(event, Records | StreamEnd):
                return


def reads_together(source: Source) -> bool:
    """Return whether a source needs one read for all its streams.

    It says so, or writes its Singer messages itself.
    """
    return source.granularity == "source" or writes_messages_itself(source)

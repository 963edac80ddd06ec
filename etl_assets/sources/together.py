"""Many streams of a source without a way to read them at once: as a tap, or one by one."""

from collections.abc import Iterator, Sequence

from etl_assets.engine.events import stream_events
from etl_assets.exceptions import ConfigError, EtlAssetsError
from etl_assets.model.events import Event, SourceState, StreamEnd
from etl_assets.model.request import NO_REQUEST
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sources.tap.read import tap_events
from etl_assets.sources.tap.verbs import writes_messages_itself


def load_streams(source: Source, streams: Sequence[Stream], state: SourceState) -> Iterator[Event]:
    """Yield the events of a source that does not override `load_streams`."""
    if writes_messages_itself(source) or source.granularity == "source":
        yield from tap_events(source, streams, state)
        return
    for stream in streams:
        try:
            read = _whole_read(source, stream)
            request = state.requests.get(stream.key, NO_REQUEST)
            yield from stream_events(read, state.streams.get(stream.key), request)
        except EtlAssetsError as error:
            yield StreamEnd(stream, complete=False, error=error)


def _whole_read(source: Source, stream: Stream) -> StreamRead:
    """Return the read of a stream as a step of its own would have it.

    Raises:
        ConfigError: It would be cut.
    """
    read = StreamRead(source, stream)
    if read.partial:
        raise ConfigError(
            f"stream {stream.name!r}: a read cut by `limit` or `query` cannot be one of many.",
            hint='Leave the cut out, or read it with granularity="stream".',
            stream=stream.name,
        )
    return read

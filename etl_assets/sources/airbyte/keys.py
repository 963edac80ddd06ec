"""The events of an Airbyte source, with the columns for keys that are inside of other fields."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from etl_assets.model.events import Event, Records, SchemaChange, StreamKey
from etl_assets.model.key_paths import KeyPaths
from etl_assets.model.stream import Stream
from etl_assets.protocol.airbyte.messages import key_paths_of

Reading = Callable[[Sequence[Stream]], Iterator[Event]]


def keyed_events(streams: Sequence[Stream], read: Reading) -> Iterator[Event]:
    """Yield the events of a read.

    Records of streams with such keys have their columns, and streams say so.

    Args:
        streams: What was asked for.
        read: Reads streams.

    Raises:
        ConfigError: A key can be none.
        DataError: A record's key can be none.
    """
    found = {stream.key: KeyPaths(stream, key_paths_of(stream)) for stream in streams}
    keyed: dict[StreamKey, KeyPaths] = {key: one for key, one in found.items() if one.paths}
    if not keyed:
        yield from read(streams)
        return
    for one in keyed.values():
        yield SchemaChange(
            one.stream
        )  # also of a stream without a record, whose table is made all the same
    for event in read([one.reading for one in found.values()]):
        if isinstance(event, Records) and event.stream.key in keyed:
            paths = keyed[event.stream.key]
            yield replace(event, stream=paths.stream, batch=paths.with_columns(event.batch))
        else:
            yield event

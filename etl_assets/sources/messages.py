"""Where a source's messages go: to standard output as Singer lines, unless somebody else listens.

The functions have Mage's names (`mage_integrations.sources.messages`).
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from etl_assets.protocol.singer.messages import (
    ActivateVersionMessage,
    Message,
    RecordMessage,
    SchemaMessage,
    StateMessage,
    encode,
)
from etl_assets.sources.tap.stdout import printed_messages_to

Writer = Callable[[Message], None]


def to_stdout(message: Message) -> None:
    """Write a message as one line to standard output, at once."""
    sys.stdout.write(encode(message) + "\n")
    sys.stdout.flush()


_writer: ContextVar[Writer] = ContextVar("etl_assets_message_writer", default=to_stdout)


@contextmanager
def messages_to(writer: Writer) -> Iterator[None]:
    """Have the messages of this context written by `writer`.

    Messages that are printed to standard output are among them.
    """
    token = _writer.set(writer)
    try:
        if writer is to_stdout:
            yield
        else:
            with printed_messages_to(writer):
                yield
    finally:
        _writer.reset(token)


def current_writer() -> Writer:
    """Return whoever listens to the messages of this context."""
    return _writer.get()


def write_message(message: Message) -> None:
    """Write a message to whoever listens."""
    _writer.get()(message)


def write_schema(
    stream_name: str,
    schema: Mapping[str, Any],
    key_properties: Sequence[str] | str = (),
    bookmark_properties: Sequence[str] | None = None,
    disable_column_type_check: bool | None = None,  # noqa: FBT001 - Mage's signature
    **more: Any,
) -> None:
    """Write a SCHEMA message.

    Args:
        stream_name: The stream.
        schema: Its JSON Schema.
        key_properties: The primary key.
        bookmark_properties: The replication key.
        disable_column_type_check: Values need not follow the schema.
        more: `partition_keys`, `replication_method`, `unique_conflict_method`,
            `unique_constraints`; and `stream_alias`, which stands in place of the stream's name.
    """
    known = ("partition_keys", "replication_method", "unique_conflict_method", "unique_constraints")
    write_message(
        SchemaMessage(
            stream=more.get("stream_alias") or stream_name,
            schema=schema,
            key_properties=[key_properties]
            if isinstance(key_properties, str)
            else list(key_properties),
            bookmark_properties=list(bookmark_properties or ()),
            disable_column_type_check=disable_column_type_check,
            **{name: more[name] for name in known if more.get(name)},
        )
    )


def write_record(
    stream_name: str,
    record: Mapping[str, Any],
    stream_alias: str | None = None,
    time_extracted: Any = None,
) -> None:
    """Write a RECORD message.

    Args:
        stream_name: The stream.
        record: The record.
        stream_alias: In place of the stream's name.
        time_extracted: When it was read.
    """
    write_message(
        RecordMessage(
            stream=stream_alias or stream_name, record=record, time_extracted=time_extracted
        )
    )


def write_records(
    stream_name: str, records: Iterable[Mapping[str, Any]], *, version: int | None = None
) -> None:
    """Write a RECORD message for each record.

    Args:
        stream_name: The stream.
        records: Its records.
        version: Of the table they are part of, where `write_activate_version` is to follow.
    """
    for record in records:
        write_message(RecordMessage(stream=stream_name, record=record, version=version))


def write_activate_version(stream_name: str, version: int) -> None:
    """Write an ACTIVATE_VERSION message: the rows of older versions are gone."""
    write_message(ActivateVersionMessage(stream=stream_name, version=version))


def write_state(value: Mapping[str, Any]) -> None:
    """Write a STATE message."""
    write_message(StateMessage(value=value))

"""The states of Airbyte's connections: as its API gives them, and as its connectors write them.

There are three kinds. *Per stream*, each stream has a state of its own. *Global*, there is one for
all beside those of the streams. *Legacy*, one document is the state of the whole source.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etl_assets.adoption.states import PeerState, PeerStream, keys_of, no_state

LOOKS_LIKE = (
    '[{"streamDescriptor": {"name": "orders"}, "streamState": {"updated_at": "2026-01-01"}}]'
)
_KINDS = {"stream_descriptor": "streamDescriptor", "stream_state": "streamState"}


def is_airbyte(document: Any) -> bool:
    """Return whether a document is a state of Airbyte's."""
    first = document[0] if isinstance(document, list) and document else document
    if not isinstance(first, dict):
        return False
    marks = {"streamDescriptor", "stream_descriptor", "stateType", "state_type", "streamState"}
    kinds = {"STREAM", "GLOBAL", "LEGACY"}
    return bool(marks & first.keys()) or str(first.get("type")).upper() in kinds


def read_airbyte(document: Any, where: str, peer: str = "airbyte") -> PeerState:
    """Read a state of any kind.

    Args:
        document: The JSON: what the API's `state/get` returns, the list under *Connection state* in
            the web interface, or state messages as connectors write them.
        where: It comes from, for messages.
        peer: Whose it is.

    Raises:
        ConfigError: It is none.
    """
    if not is_airbyte(document):
        raise no_state(where, LOOKS_LIKE)
    messages = document if isinstance(document, list) else [document]
    streams: list[PeerStream] = []
    shared: Mapping[str, Any] | None = None
    for message in messages:
        kind = _kind(message)
        if kind == "LEGACY":
            data = _part(message, "data", "state")
            shared = {"type": "LEGACY", "data": data}
            streams += _legacy(data)
        elif kind == "GLOBAL":
            whole = _global(_part(message, "global", "globalState", "global_state"), where)
            shared = {"type": "GLOBAL", "global": whole}
            streams += [_stream(one, where) for one in whole["stream_states"]]
        else:
            streams += [_stream(one, where) for one in _stream_states(message)]
    return PeerState(peer, streams, protocol="airbyte", shared=shared)


def _kind(message: Any) -> str:
    if not isinstance(message, Mapping):
        return ""
    told = message.get("type") or message.get("stateType") or message.get("state_type") or ""
    return str(told).upper()


def _part(message: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the first of these parts that is an object; {} for none."""
    return next((one for name in names if isinstance(one := message.get(name), Mapping)), {})


def _stream_states(message: Mapping[str, Any]) -> Sequence[Any]:
    """Return the states in a message: that of one stream, or the list of the API."""
    listed = message.get("streamState", message.get("stream_state"))
    if isinstance(listed, list):
        return listed
    stream = message.get("stream")
    return [stream if isinstance(stream, Mapping) else message]


def _global(found: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a global state as connectors write it."""
    states = found.get("stream_states", found.get("streamStates")) or []
    if not isinstance(states, list):
        raise no_state(where, LOOKS_LIKE)
    return {
        "shared_state": found.get("shared_state", found.get("sharedState")),
        "stream_states": [
            {name: one.get(name, one.get(of_api)) for name, of_api in _KINDS.items()}
            for one in states
            if isinstance(one, Mapping)
        ],
    }


def _stream(found: Any, where: str) -> PeerStream:
    descriptor = _part(found, "stream_descriptor", "streamDescriptor") if found else {}
    name = descriptor.get("name")
    if not isinstance(name, str):
        raise no_state(where, LOOKS_LIKE)
    own = found.get("stream_state", found.get("streamState"))
    namespace = descriptor.get("namespace") or ""
    if not isinstance(own, Mapping):
        return PeerStream(name, namespace, why_not="it has no state there")
    bookmark, why = _bookmark(own)
    return PeerStream(name, namespace, own=own, bookmark=bookmark, why_not=why)


def _bookmark(own: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """Return the values by replication key, or why there are none.

    The sources of databases write the key's name and its value apart. Those of APIs write the value
    under the key's name.
    """
    field = own.get("cursor_field")
    if isinstance(field, list) and field and isinstance(field[0], str):
        value = own.get("cursor")
        done = "" if value is not None else "its first sync there has not ended"
        return (None if value is None else {field[0]: value}), done
    kind = own.get("state_type")
    if kind is not None:
        return (
            None,
            f"it is a position of the kind {str(kind)!r}, which only its connector can read",
        )
    plain = {name: one for name, one in own.items() if not name.startswith("__ab_")}
    if not plain:
        return None, "it has no bookmark"
    if all(
        isinstance(one, str | int | float) or hasattr(one, "as_tuple") for one in plain.values()
    ):
        return plain, ""
    return None, f"only its connector can read it: it has {keys_of(own)}"


def _legacy(data: Mapping[str, Any]) -> Iterator[PeerStream]:
    """Yield what a legacy state says of each stream."""
    streams = data.get("streams")
    if isinstance(streams, list):
        for one in streams:
            name = one.get("stream_name") if isinstance(one, Mapping) else None
            if isinstance(name, str):
                bookmark, why = _bookmark(one)
                namespace = one.get("stream_namespace") or ""
                yield PeerStream(name, namespace, own=one, bookmark=bookmark, why_not=why)
        return
    for name, own in data.items():
        if isinstance(own, Mapping):
            bookmark, why = _bookmark(own)
            yield PeerStream(name, own=own, bookmark=bookmark, why_not=why)

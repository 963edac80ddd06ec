"""What the state of another tool says, in one form whatever the tool (the *peer*)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import simplejson

from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream

Protocol = Literal["airbyte", "singer"]
PEERS = ("airbyte", "dlt", "mage", "meltano", "pyairbyte", "singer")
"""The tools whose states are read."""


@dataclass(frozen=True)
class PeerStream:
    """What a peer's state says of one stream.

    Args:
        name: The stream's name there.
        namespace: Its namespace; None where the peer's states name none.
        own: The stream's state as the peer keeps it, for a connector that wrote it.
        bookmark: The values by replication key, where the state says them.
        why_not: Why there is no such bookmark, as the end of a sentence.
        earliest_of: Of how many partitions the bookmark is the earliest; 0 where there are none.
    """

    name: str
    namespace: str | None = None
    own: Mapping[str, Any] | None = None
    bookmark: Mapping[str, Any] | None = None
    why_not: str = ""
    earliest_of: int = 0

    def is_of(self, stream: Stream) -> bool:
        """Return whether this is the state of a stream."""
        theirs = self.namespace or ""
        names = {stream.name, stream.full_name}
        if stream.namespace:
            names.add(f"{stream.namespace}-{stream.name}")  # as Singer's database taps write it
        same_namespace = not theirs or not stream.namespace or theirs == stream.namespace
        return same_namespace and self.name in names

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class PeerState:
    """What a peer's state says of all streams.

    Args:
        peer: The peer.
        streams: What it says of each.
        protocol: Whose connectors understand the streams' own states.
        shared: The state of the whole source as a connector of that protocol keeps it, if the
            streams share one.
    """

    peer: str
    streams: Sequence[PeerStream] = field(default_factory=list)
    protocol: Protocol | None = None
    shared: Mapping[str, Any] | None = None


def json_of(text: str, where: str) -> Any:
    """Return a JSON document; its numbers keep every digit.

    Raises:
        ConfigError: It is none.
    """
    try:
        return simplejson.loads(text, use_decimal=True)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not JSON: {error}.") from None


def no_state(where: str, looks_like: str) -> ConfigError:
    """Return the error that a document is no state.

    Args:
        where: The document.
        looks_like: An example of one.
    """
    return ConfigError(f"{where} is no state.", hint=f"It looks like {looks_like}.")


def keys_of(document: Mapping[str, Any]) -> str:
    """Return the keys of a document, for a message; never its values."""
    return ", ".join(json.dumps(str(name)) for name in list(document)[:5])

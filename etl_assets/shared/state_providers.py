"""What gives the states of streams, by PyAirbyte's names."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Self

from typing_extensions import override

from etl_assets.exceptions import StateNotFoundError
from etl_assets.model.stored import Bookmark
from etl_assets.protocol.airbyte.catalog import AirbyteStateMessage, AirbyteStreamState


class StateProviderBase(ABC):
    """Gives the state of each stream it knows."""

    @property
    @abstractmethod
    def states(self) -> Mapping[str, Bookmark]:
        """The states by stream."""

    @property
    def known_stream_names(self) -> set[str]:
        """The streams it has a state of."""
        return set(self.states)

    def get_stream_state(self, stream_name: str, not_found: Any = "raise") -> Any:
        """Return the state of a stream.

        Args:
            stream_name: The stream.
            not_found: Given where there is none; an error by default.

        Raises:
            StateNotFoundError: There is none.
        """
        if stream_name in self.states:
            return self.states[stream_name]
        if not_found == "raise":
            raise StateNotFoundError(
                f"There is no state of stream {stream_name!r}.", stream=stream_name
            )
        return not_found

    @property
    def stream_state_artifacts(self) -> list[AirbyteStreamState]:
        """The states by stream, in Airbyte's shape."""
        return [AirbyteStreamState.of(name, state) for name, state in self.states.items()]

    @property
    def state_message_artifacts(self) -> list[AirbyteStateMessage]:
        """The states as Airbyte's messages."""
        return [AirbyteStateMessage(stream=part) for part in self.stream_state_artifacts]

    def to_state_input_file_text(self) -> str:
        """Return the states as the file that a connector reads: Airbyte STREAM states."""
        return json.dumps(
            [
                {
                    "type": "STREAM",
                    "stream": {"stream_descriptor": {"name": name}, "stream_state": dict(state)},
                }
                for name, state in self.states.items()
            ],
            default=str,
        )


class StaticInputState(StateProviderBase):
    """States that were given.

    Args:
        from_state_messages: Airbyte's STREAM states: objects or dicts.
    """

    def __init__(self, from_state_messages: Iterable[Any] = ()) -> None:
        self._kept: dict[str, Bookmark] = {}
        for message in from_state_messages:
            document = message.model_dump() if hasattr(message, "model_dump") else message
            part = document["stream"]
            self._kept[part["stream_descriptor"]["name"]] = part.get("stream_state") or {}

    @classmethod
    def of(cls, states: Mapping[str, Bookmark | None]) -> Self:
        """Make it of bookmarks by stream; a stream without one is left out."""
        made = cls()
        made._kept = {name: state for name, state in states.items() if state is not None}
        return made

    @property
    @override
    def states(self) -> Mapping[str, Bookmark]:
        return self._kept


class JoinedStateProvider(StateProviderBase):
    """The states of one provider, and of another those that the first has not.

    Args:
        primary: Asked first.
        secondary: Asked for what the first has not.
    """

    def __init__(self, primary: StateProviderBase, secondary: StateProviderBase) -> None:
        self._primary = primary
        self._secondary = secondary

    @property
    @override
    def states(self) -> Mapping[str, Bookmark]:
        return {**self._secondary.states, **self._primary.states}

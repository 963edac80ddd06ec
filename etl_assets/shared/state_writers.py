"""What takes the states of streams, by PyAirbyte's names."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from etl_assets.model.stored import Bookmark
from etl_assets.shared.state_providers import StateProviderBase


class StateWriterBase(StateProviderBase, ABC):
    """Takes states, and gives them back."""

    def __init__(self) -> None:
        self._kept: dict[str, Bookmark] = {}

    @property
    @override
    def states(self) -> Mapping[str, Bookmark]:
        return self._kept

    def write_state(self, state_message: Any) -> None:
        """Take an Airbyte STREAM state: an object or a dict."""
        document = (
            state_message.model_dump() if hasattr(state_message, "model_dump") else state_message
        )
        part = document["stream"]
        self._kept[part["stream_descriptor"]["name"]] = part.get("stream_state") or {}
        self._write(document)

    @abstractmethod
    def _write(self, document: Mapping[str, Any]) -> None:
        """Do with a state what the writer is for."""


class NoOpStateWriter(StateWriterBase):
    """Keeps states while it lives, and writes them nowhere."""

    @override
    def _write(self, document: Mapping[str, Any]) -> None:
        del document


class StdOutStateWriter(StateWriterBase):
    """Writes states to standard output, a line each."""

    @override
    def _write(self, document: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(document, default=str) + "\n")
        sys.stdout.flush()

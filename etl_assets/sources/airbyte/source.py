"""Airbyte sources: `spec`, `check`, `discover` and `read` of somebody else's program."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from etl_assets.connectors.asking import airbyte_answer
from etl_assets.connectors.executors import Executor
from etl_assets.connectors.hosts import AirbyteHost
from etl_assets.exceptions import ProtocolError
from etl_assets.model.catalog import Catalog
from etl_assets.model.events import Event, SourceState
from etl_assets.model.stream import Stream
from etl_assets.protocol.airbyte.messages import configured_catalog, state_input, stream_of
from etl_assets.sources.airbyte.keys import keyed_events
from etl_assets.sources.airbyte.read import AirbyteRead
from etl_assets.sources.connector import ConnectorSource


class AirbyteSource(AirbyteHost, ConnectorSource):
    """An Airbyte source.

    ```python
    from etl_assets import get_source

    faker = get_source("source-faker", config={"count": 1000})
    ```

    Args:
        executor: Starts it.
        name: The connector's, such as `source-faker`.
        config: Its config.
        cursor_keys: The cursor field of streams whose source leaves the choice, by the stream's
            name.
        options: What any connector takes.
    """

    protocol = "airbyte"
    merges_by_paths = True
    """A primary key may be inside of another field: `m.k` is the value of `k` in the object `m`."""

    def __init__(
        self,
        executor: Executor,
        name: str,
        config: Mapping[str, Any] | None = None,
        *,
        cursor_keys: Mapping[str, str | Sequence[str]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(executor, name, config, **options)
        self.cursor_keys = {
            name: [fields] if isinstance(fields, str) else list(fields)
            for name, fields in (cursor_keys or {}).items()
        }

    @override
    def _discover(self) -> Catalog:
        found = airbyte_answer(self, "CATALOG", "catalog", "discover", self.config)
        entries = found.get("streams")
        if not isinstance(entries, list):
            raise ProtocolError(f"{self.connector_name}: its catalog has no list of streams.")
        return Catalog([stream_of(entry) for entry in entries])

    @override
    def load_streams(
        self, streams: Sequence[Stream], state: SourceState, **kwargs: Any
    ) -> Iterator[Event]:
        """Read streams by one process; see `Source.load_streams`."""
        yield from keyed_events(self.completed(streams), lambda read: self._read(read, state))

    def _read(self, streams: Sequence[Stream], state: SourceState) -> Iterator[Event]:
        config = self.config
        given = state_input(state, streams)
        files = {
            "config": self.executor.config(config),
            "catalog": configured_catalog(
                streams,
                cursors=self.cursor_keys,
                generation=time.time_ns() // 1_000_000,
                anew=state.refreshed,
            ),
            **({"state": given} if given is not None else {}),
        }
        arguments = ["read", "--config", "{config}", "--catalog", "{catalog}"]
        if given is not None:
            arguments += ["--state", "{state}"]
        with self._start(*arguments, files=files) as process:
            yield from AirbyteRead(self, streams, process, config).events()

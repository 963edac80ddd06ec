"""Airbyte sources: `spec`, `check`, `discover` and `read` of somebody else's program."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from etl_assets.connectors.asking import airbyte_answer, changed_config
from etl_assets.connectors.executors import Executor, ManifestExecutor
from etl_assets.connectors.specification import specification
from etl_assets.exceptions import AuthenticationError, ProtocolError
from etl_assets.protocol.airbyte import configured_catalog, state_input, stream_of
from etl_assets.protocol.catalog import Catalog
from etl_assets.protocol.events import Event, SourceState
from etl_assets.protocol.stream import Stream
from etl_assets.secrets.redaction import redact
from etl_assets.sources.airbyte_read import AirbyteRead
from etl_assets.sources.connector import ConnectorSource


class AirbyteSource(ConnectorSource):
    """An Airbyte source.

    ```python
    from etl_assets import get_source

    faker = get_source("source-faker", config={"count": 1000})
    ```

    Args:
        executor: Starts it.
        name: The connector's, such as `source-faker`.
        config: Its config.
        cursor_keys: The cursor field of streams whose source leaves the choice, by the stream's name.
        options: What any connector takes.
    """

    protocol = "airbyte"

    def __init__(
        self,
        executor: Executor,
        name: str,
        config: Mapping[str, Any] | None = None,
        *,
        cursor_keys: Mapping[str, str | Sequence[str]] | None = None,
        **options: Any,
    ) -> None:
        self._spec: dict[str, Any] | None = None
        super().__init__(executor, name, config, **options)
        self.cursor_keys = {
            name: [fields] if isinstance(fields, str) else list(fields) for name, fields in (cursor_keys or {}).items()
        }

    def spec(self) -> dict[str, Any]:
        """Give the connector's specification; `connectionSpecification` in it is the JSON Schema of its config.

        Raises:
            ConnectorError: It gives none.
        """
        if self._spec is None:
            if isinstance(self.executor, ManifestExecutor):
                declared = self.executor.manifest().get("spec") or {}
                self._spec = {"connectionSpecification": declared.get("connection_specification") or {}}
            else:
                self._spec = specification(self)
        return self._spec

    @property
    def config_spec(self) -> dict[str, Any]:
        """The JSON Schema of the config."""
        found: dict[str, Any] = self.spec().get("connectionSpecification") or {}
        return found

    @override
    def test_connection(self) -> None:
        """Run the connector's `check`.

        Raises:
            AuthenticationError: It says that the config does not work; the message is its own.
            ConnectorError: It fails.
        """
        status = airbyte_answer(self, "CONNECTION_STATUS", "connection_status", "check", self.config)
        if status.get("status") != "SUCCEEDED":
            said = redact(str(status.get("message") or "it does not say why"))
            raise AuthenticationError(f"{self.connector_name}: the check failed: {said}")

    @override
    def _discover(self) -> Catalog:
        found = airbyte_answer(self, "CATALOG", "catalog", "discover", self.config)
        entries = found.get("streams")
        if not isinstance(entries, list):
            raise ProtocolError(f"{self.connector_name}: its catalog has no list of streams.")
        return Catalog([stream_of(entry) for entry in entries])

    @override
    def load_streams(self, streams: Sequence[Stream], state: SourceState, **kwargs: Any) -> Iterator[Event]:
        """Read streams by one process; see `Source.load_streams`."""
        config = self.config
        streams = self.completed(streams)
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

    def changed_config(self, before: Mapping[str, Any], after: dict[str, Any]) -> None:
        """Keep a config that the connector has changed, before anything else goes on.

        Raises:
            Exception: Whatever the callback raises: a single-use token that is not kept would be lost.
        """
        changed_config(self, before, after)

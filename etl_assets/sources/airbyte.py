"""Airbyte sources: `spec`, `check`, `discover` and `read` of somebody else's program."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from etl_assets.connectors.executors import Executor, ManifestExecutor
from etl_assets.connectors.log_drain import LogThrottle
from etl_assets.connectors.process import ConnectorProcess
from etl_assets.exceptions import AuthenticationError, ConnectorError, EtlAssetsError, ProtocolError
from etl_assets.protocol.airbyte import Message, configured_catalog, decoder, state_input, stream_of
from etl_assets.protocol.catalog import Catalog
from etl_assets.protocol.events import Event, SourceState
from etl_assets.protocol.stream import Stream
from etl_assets.secrets.redaction import redact
from etl_assets.sources.airbyte_read import AirbyteRead, error_of, log_message
from etl_assets.sources.connector import ConnectorSource, remember_new


class AirbyteSource(ConnectorSource):
    """An Airbyte source.

    ```python
    from etl_assets import get_source

    faker = get_source("source-faker", config={"count": 1000})
    ```

    Args:
        executor: Starts it.
        connector_name: Such as `source-faker`.
        cursor_keys: The cursor field of streams whose source leaves the choice, by the stream's name.
        options: What any connector takes.
    """

    protocol = "airbyte"

    def __init__(
        self,
        executor: Executor,
        connector_name: str,
        *,
        cursor_keys: Mapping[str, str | Sequence[str]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(executor, connector_name, **options)
        self.cursor_keys = {
            name: [fields] if isinstance(fields, str) else list(fields) for name, fields in (cursor_keys or {}).items()
        }
        self._spec: dict[str, Any] | None = None

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
                self._spec = self._single("SPEC", "spec", "spec")
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
        status = self._single("CONNECTION_STATUS", "connection_status", "check", config=True)
        if status.get("status") != "SUCCEEDED":
            said = redact(str(status.get("message") or "it does not say why"))
            raise AuthenticationError(f"{self.connector_name}: the check failed: {said}")

    @override
    def _discover(self) -> Catalog:
        found = self._single("CATALOG", "catalog", "discover", config=True)
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
            "catalog": configured_catalog(streams, cursors=self.cursor_keys),
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
        remember_new(before, after)
        if self.config_change_callback is None:
            self.logger.warning(
                "%s changed its config, and nobody keeps it: give config_change_callback=", self.connector_name
            )
            return
        self.config_change_callback(after)

    def _single(self, kind: str, part: str, command: str, *, config: bool = False) -> dict[str, Any]:
        """Run a command that answers with one message."""
        resolved = self.config if config else {}
        files = {"config": self.executor.config(resolved)} if config else {}
        output, process = self._ask(command, *(["--config", "{config}"] if config else []), files=files)
        answer: dict[str, Any] | None = None
        failure: EtlAssetsError | None = None
        throttle = LogThrottle(self.logger)
        for message in decoder(self._noise).decode(output):
            if message.type == kind:
                answer = message.part(part)
            elif message.type == "TRACE":
                failure = failure or self._trace_error(message, process)
            elif message.type == "CONTROL":
                self._control(message, resolved)
            elif message.type == "LOG":
                log_message(throttle, message)
        if answer is not None and (kind == "CONNECTION_STATUS" or process.exit_code == 0):
            return answer
        if failure is not None:
            raise failure
        if process.exit_code:
            raise process.failure(f" ({command})")
        raise ConnectorError(f"{self.connector_name} {command} gave no {kind} message.", log_text=process.log_text)

    def _trace_error(self, message: Message, process: ConnectorProcess) -> EtlAssetsError | None:
        trace = message.part("trace")
        error = trace.get("error")
        return error_of(error, self.connector_name, process.log_text) if isinstance(error, Mapping) else None

    def _control(self, message: Message, before: Mapping[str, Any]) -> None:
        changed = (message.part("control").get("connectorConfig") or {}).get("config")
        if isinstance(changed, dict):
            self.changed_config(before, changed)

    def _noise(self, line: bytes) -> None:
        self.logger.info("%s", redact(line[:2000].decode("utf-8", "replace")))

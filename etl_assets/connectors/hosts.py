"""What sources and destinations that are somebody else's program have in common."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from typing_extensions import override

from etl_assets._connector_base import ConnectorBase
from etl_assets.callbacks import ConfigChangeCallback
from etl_assets.connectors.asking import airbyte_answer, singer_about
from etl_assets.connectors.executors import Executor
from etl_assets.connectors.process import Limits
from etl_assets.connectors.specification import specification
from etl_assets.exceptions import AuthenticationError, ConfigError, EtlAssetsError
from etl_assets.redaction import redact, remember_config
from etl_assets.secrets.references import resolve


class ConnectorHost(ConnectorBase):
    """A source or destination that runs a connector as a process."""

    needs_config = True
    executor: Executor
    connector_name: str
    config_change_callback: ConfigChangeCallback | None
    limits: Limits
    logger: Any
    name: Any  # of a class a source can be without one
    _config: Any

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.connector_name!r}, name={self.name!r})"

    @property
    @override
    def connector_version(self) -> str | None:
        """The installed version, or None if it is not known."""
        return self.executor.version

    @override
    def install(self) -> None:
        """Install the connector, unless it is installed."""
        self.executor.install()

    @override
    def uninstall(self) -> None:
        """Remove the connector's environment."""
        self.executor.uninstall()

    @property
    def config(self) -> dict[str, Any]:
        """The config with its references resolved, which happens anew at each access.

        The redactor masks its secrets from then on.
        """
        resolved: dict[str, Any] = resolve(self._config)
        remember_config(resolved)
        return resolved

    @config.setter
    def config(self, value: Mapping[str, Any]) -> None:
        self._config = dict(value)
        self._forget()

    def _forget(self) -> None:
        """Forget what the connector has answered for the previous config."""


class AirbyteHost(ConnectorHost):
    """A connector that speaks Airbyte's protocol."""

    _spec: dict[str, Any] | None = None

    def spec(self) -> dict[str, Any]:
        """Return the connector's specification.

        `connectionSpecification` in it is the JSON Schema of its config.

        Raises:
            ConnectorError: It returns none.
        """
        if self._spec is None:
            self._spec = specification(self)
        return self._spec

    @property
    @override
    def config_spec(self) -> dict[str, Any]:
        """The JSON Schema of the config."""
        found: dict[str, Any] = self.spec().get("connectionSpecification") or {}
        return found

    def test_connection(self) -> None:
        """Check the config against the connector's specification, then run its `check`.

        Raises:
            ConnectorConfigInvalidError: The config is not what the specification asks for.
            AuthenticationError: It says that the config does not work; the message is its own.
            ConnectorError: The check itself fails.
        """
        config = self.config
        with suppress(EtlAssetsError):  # without a specification, the check tells what is wrong
            self.spec()
        if self._spec is not None:
            self.validate_config(config)
        status = airbyte_answer(self, "CONNECTION_STATUS", "connection_status", "check", config)
        if status.get("status") != "SUCCEEDED":
            said = redact(str(status.get("message") or "it does not say why"))
            raise AuthenticationError(f"{self.connector_name}: the check failed: {said}")


class SingerHost(ConnectorHost):
    """A connector that speaks Singer's protocol."""

    _settings: dict[str, Any] | None = None

    def spec(self) -> dict[str, Any]:
        """Return what `--about` says; its `settings` is the JSON Schema of the config.

        Raises:
            ConfigError: It has no `--about`, like taps and targets that do not use the SDK.
        """
        return singer_about(self)

    @property
    @override
    def config_spec(self) -> dict[str, Any]:
        """The JSON Schema of the config, or `{}` if the connector has no `--about`."""
        if self._settings is None:
            try:
                self._settings = dict(self.spec().get("settings") or {})
            except ConfigError:
                self._settings = {}
        return self._settings

"""The common base of sources and destinations for scripts, under PyAirbyte's name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from etl_assets import configuring
from etl_assets.arguments import FLAG, PLACE, checked


class ConnectorBase:
    """The verbs about a config: what it is, what it can be, whether it works.

    Attributes:
        connector_type: `source` or `destination`.
        needs_config: It can do nothing without a config.
        config_is_missing: None was given.
    """

    connector_type: str
    needs_config: bool = False
    config_is_missing: bool = False

    @property
    def config_spec(self) -> dict[str, Any]:
        """The JSON Schema of the config; `{}` where nothing is said about it."""
        return configuring.spec_of(self)

    @property
    def config_hash(self) -> str | None:
        """A one-way hash of the config with its secrets, or None if it cannot be hashed."""
        return configuring.hash_of(self)

    @property
    def docs_url(self) -> str:
        """Where the connector is documented."""
        word = configuring.name_of(self).lower().removeprefix(f"{self.connector_type}-")
        return f"https://docs.airbyte.com/integrations/{self.connector_type}s/{word}"

    @property
    def connector_version(self) -> str | None:
        """The connector's version, where it has one of its own."""
        return None

    def set_config(self, config: Mapping[str, Any], *, validate: bool = True) -> None:
        """Set the config. Streams that were selected before there was one are selected now.

        Raises:
            ConnectorConfigInvalidError: It is not what `config_spec` asks for.
        """
        configuring.set_config(self, config, validate=validate)

    def get_config(self) -> dict[str, Any]:
        """Return the config, with references as they were given.

        Raises:
            ConnectorConfigMissingError: There is none yet.
        """
        return configuring.get_config(self)

    def validate_config(self, config: Mapping[str, Any] | None = None) -> None:
        """Check a config, by default the connector's own, against `config_spec`.

        Raises:
            ConnectorConfigInvalidError: Names the place and the rule; never shows the value.
        """
        if config is None:
            config = self.get_config()
        configuring.validate(self, config)

    @checked(output_file=PLACE, stderr=FLAG)
    def print_config_spec(
        self,
        format: Literal["yaml", "json"] = "yaml",  # noqa: A002 - PyAirbyte's name
        *,
        output_file: Path | str | None = None,
        stderr: bool = False,
    ) -> None:
        """Print `config_spec`, or write it to a file."""
        configuring.print_spec(self, format, output_file=output_file, stderr=stderr)

    def check(self) -> None:
        """Connect, and say that it worked.

        Raises:
            ConnectorCheckFailedError: It did not; its cause says why.
        """
        configuring.check(self)

    def install(self) -> None:
        """Install the connector, where it is one that can be."""

    def uninstall(self) -> None:
        """Remove the connector, where it was installed."""

    def config_has_changed(self) -> None:
        """Forget what was found with another config; a hook of `set_config`."""

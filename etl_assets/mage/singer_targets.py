"""The Singer SDK's targets and sinks, which some of Mage's destinations wrap.

The SDK itself must be installed. A target writes its state also to the file that its config names
as `state_path`, as Mage's targets do.
"""

import json
from pathlib import Path
from typing import Any

from etl_assets.exceptions import ConfigError

try:
    from singer_sdk import Sink, SQLConnector, SQLSink
    from singer_sdk import SQLTarget as _SQLTarget
    from singer_sdk import Target as _Target
    from singer_sdk.sinks import BatchSink, RecordSink
except ModuleNotFoundError as missing:
    raise ConfigError(
        f"{missing.name} cannot be imported.", hint="pip install singer-sdk"
    ) from missing


class _StateInFile:
    """Writes the state to a file too, where the config names one."""

    def _write_state_message(self: Any, state: dict[str, Any]) -> None:
        super()._write_state_message(state)  # type: ignore[misc] # the SDK's
        path = self.config.get("state_path")
        if path is not None:
            Path(path).write_text(json.dumps(state) + "\n", encoding="utf-8")


class Target(_StateInFile, _Target):  # type: ignore[misc] # the SDK has its own types
    """The SDK's `Target`."""


class SQLTarget(_StateInFile, _SQLTarget):  # type: ignore[misc] # as above
    """The SDK's `SQLTarget`."""


__all__ = ["BatchSink", "RecordSink", "SQLConnector", "SQLSink", "SQLTarget", "Sink", "Target"]

"""An Airbyte destination made with `airbyte-cdk`, which checks every message it is sent by the protocol's models."""

import json
import sys
from pathlib import Path
from typing import Any

from airbyte_cdk.destinations import Destination  # type: ignore[import-not-found]
from airbyte_cdk.models import (  # type: ignore[import-not-found]
    AirbyteConnectionStatus,
    ConnectorSpecification,
    Status,
    Type,
)


class Lines(Destination):  # type: ignore[misc]
    """Writes records as lines of JSON, and gives states back."""

    def spec(self, *args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        schema = {"type": "object", "required": ["out"], "properties": {"out": {"type": "string"}}}
        return ConnectorSpecification(connectionSpecification=schema)

    def check(self, logger: Any, config: Any) -> Any:
        del logger, config
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def write(self, config: Any, configured_catalog: Any, input_messages: Any) -> Any:
        modes = {
            one.stream.name: one.destination_sync_mode.value for one in configured_catalog.streams
        }
        with Path(config["out"]).open("w") as out:
            for message in input_messages:
                if message.type == Type.RECORD:
                    record = message.record
                    line = {
                        "mode": modes[record.stream],
                        "at": record.emitted_at,
                        "data": record.data,
                    }
                    out.write(json.dumps(line, default=str) + "\n")
                elif message.type == Type.STATE:
                    yield message


if __name__ == "__main__":
    Lines().run(sys.argv[1:])

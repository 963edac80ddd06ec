"""Singer targets: SCHEMA, RECORD and STATE messages into somebody else's program."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from etl_assets.connectors.asking import Host, noise_of
from etl_assets.connectors.executors import Executor
from etl_assets.connectors.hosts import SingerHost
from etl_assets.connectors.process import ConnectorProcess
from etl_assets.destinations.connector import DELIVERS, ConnectorDestination, Delivery, Listener
from etl_assets.destinations.outgoing import Outgoing
from etl_assets.protocol.singer.messages import (
    ActivateVersionMessage,
    Message,
    RecordMessage,
    SchemaMessage,
    StateMessage,
    encode,
)
from etl_assets.strategies import WriteStrategy


class SingerDestination(SingerHost, ConnectorDestination):
    """A Singer target. At-least-once.

    ```python
    from etl_assets import get_destination

    lines = get_destination("target-jsonl", {"destination_path": "out"})
    ```

    A commit is confirmed by the target's good end, after it has read everything. Rows are merged by
    the key where the target does that; a full table is replaced only by a target that is said to
    heed ACTIVATE_VERSION.

    Args:
        executor: Starts it.
        name: The connector's, such as `target-jsonl`.
        config: Its config.
        activate_version: The target drops rows of older versions when it is told to, so it can
            replace.
        options: What any connector takes.
    """

    protocol = "singer"

    def __init__(
        self,
        executor: Executor,
        name: str,
        config: Mapping[str, Any] | None = None,
        *,
        activate_version: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(executor, name, config, **options)
        more = {WriteStrategy.REPLACE} if activate_version else set()
        self.capabilities = replace(DELIVERS, strategies=DELIVERS.strategies | more)

    shown_by_check = (
        "it took this config and an empty input. A Singer target has no check: whether it reaches "
        "its database, and may write there, the first load shows"
    )

    @override
    def test_connection(self) -> None:
        """Have the target read an empty input.

        Singer has no other check, and not every target connects for it.

        Raises:
            ConnectorConfigInvalidError: Its `--about` says that the config is wrong.
            ConnectorError: It does not end well.
        """
        self.validate_config(self.config)
        delivery = self.delivery([])
        with self.executor.start(
            *delivery.arguments,
            files=delivery.files,
            limits=self.limits,
            logger=self.logger,
            takes_input=True,
        ) as process:
            for _ in process.chunks():
                pass
            if process.wait():
                raise process.failure(" (empty input)")

    @override
    def delivery(self, parts: Sequence[Outgoing]) -> Delivery:
        config = self.config
        return Delivery(
            parts, ["--config", "{config}"], {"config": self.executor.config(config)}, config
        )

    @override
    def lines(self, parts: Sequence[Outgoing]) -> Iterator[bytes]:
        for part in parts:
            name, version = _name(part), part.number if part.replaces else None
            yield _block([SchemaMessage(name, part.schema, key_properties=part.keys)])
            for rows in part.rows():
                now = datetime.now(UTC)
                yield _block([RecordMessage(name, row, version, now) for row in rows])
            if version is not None:
                yield _block([ActivateVersionMessage(name, version)])
        if parts:
            yield _block([StateMessage(_state(parts))])

    @override
    def listener(self, delivery: Delivery) -> Listener:
        return _Echoes(self, delivery.parts)


class _Echoes:
    """Takes the states that a target prints: ours tells that it has everything."""

    def __init__(self, host: Host, parts: Sequence[Outgoing]) -> None:
        self._host = host
        self._wanted = _state(parts)["bookmarks"]
        self._noise = noise_of(host)
        self.confirmed = False

    def take(self, chunk: bytes) -> None:
        for line in filter(None, chunk.split(b"\n")):
            try:
                said = json.loads(line)
            except ValueError:
                said = None
            if not isinstance(said, Mapping):
                self._noise(line)
                continue
            found = said.get("bookmarks")
            # Some targets merge states, so there may be more than ours.
            self.confirmed = isinstance(found, Mapping) and all(
                found.get(n) == one for n, one in self._wanted.items()
            )

    def refusal(self, process: ConnectorProcess) -> str:
        if not self.confirmed and process.exit_code == 0:
            self._host.logger.info(
                "%s did not print the state it was given; its good end confirms it",
                self._host.connector_name,
            )
        return ""


def _name(part: Outgoing) -> str:
    """Return the stream's name as targets take it apart: a schema before the first hyphen."""
    return f"{part.namespace}-{part.name}" if part.namespace else part.name


def _state(parts: Sequence[Outgoing]) -> dict[str, Any]:
    return {"bookmarks": {_name(part): {"etl_assets_load_id": part.load.load_id} for part in parts}}


def _block(messages: Sequence[Message]) -> bytes:
    return "".join(f"{encode(message)}\n" for message in messages).encode()

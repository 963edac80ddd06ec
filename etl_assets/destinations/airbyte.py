"""Airbyte destinations: `spec`, `check` and `write` of somebody else's program."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from etl_assets.connectors.asking import (
    Host,
    error_of,
    log_message,
    noise_of,
    take_control,
)
from etl_assets.connectors.hosts import AirbyteHost
from etl_assets.connectors.log_drain import LogThrottle
from etl_assets.connectors.process import ConnectorProcess
from etl_assets.destinations.connector import DELIVERS, ConnectorDestination, Delivery, Listener
from etl_assets.destinations.outgoing import Outgoing
from etl_assets.exceptions import DataError, EtlAssetsError
from etl_assets.protocol.airbyte.messages import Message, decoder, descriptor_of, key_of, state_key
from etl_assets.protocol.singer.messages import RecordMessage, Unknown, encode
from etl_assets.strategies import WriteStrategy

_MODES = {
    WriteStrategy.APPEND: "append",
    WriteStrategy.MERGE: "append_dedup",
    WriteStrategy.REPLACE: "overwrite",
}
LOAD_ID = "etl_assets_load_id"


class AirbyteDestination(AirbyteHost, ConnectorDestination):
    """An Airbyte destination. At-least-once.

    ```python
    from etl_assets import get_destination

    files = get_destination("destination-local-json", {"destination_path": "/local"},
    docker_image=True)
    ```

    A commit is confirmed when the destination has given back the state that ends each stream, and
    has ended well. A replace is an `overwrite` of a generation of its own, which empties what older
    generations have left.

    Args:
        options: What any connector takes: `executor`, `name`, `config`, ...
    """

    protocol = "airbyte"
    capabilities = replace(DELIVERS, strategies=frozenset(_MODES))

    @override
    def delivery(self, parts: Sequence[Outgoing]) -> Delivery:
        config = self.config
        catalog = {"streams": [_configured(part) for part in parts]}
        files = {"config": self.executor.config(config), "catalog": catalog}
        return Delivery(
            parts, ["write", "--config", "{config}", "--catalog", "{catalog}"], files, config
        )

    @override
    def lines(self, parts: Sequence[Outgoing]) -> Iterator[bytes]:
        for part in parts:
            yield from (_records(part, rows) for rows in part.rows())
            yield _line("STATE", {"state": _state(part)})
            status = {"stream_descriptor": descriptor_of(_key(part)), "status": "COMPLETE"}
            trace = {"type": "STREAM_STATUS", "emitted_at": _now(), "stream_status": status}
            yield _line("TRACE", {"trace": trace})

    @override
    def listener(self, delivery: Delivery) -> Listener:
        return _Echoes(self, delivery)


class _Echoes:
    """Takes what a destination says: its states, its errors, its new config."""

    def __init__(self, host: Host, delivery: Delivery) -> None:
        self._host = host
        self._config = delivery.config
        self._parts = {_key(part): part for part in delivery.parts}
        self._left = dict(self._parts)
        self._lost: list[str] = []
        self._errors: list[Mapping[str, Any]] = []
        self._decoder = decoder(noise_of(host))
        self._throttle = LogThrottle(host.logger)

    def take(self, chunk: bytes) -> None:
        for message in self._decoder.decode(chunk):
            if message.type == "STATE":
                self._state(message)
            elif message.type == "TRACE":
                error = message.part("trace").get("error")
                if isinstance(error, Mapping):
                    self._errors.append(error)
            elif message.type == "CONTROL":
                take_control(self._host, message, self._config)
            elif message.type == "LOG":
                log_message(self._throttle, message)

    def refusal(self, process: ConnectorProcess) -> str:
        self._throttle.flush()
        if self._errors:
            # One of no stream may only sum up those of streams.
            of_streams = (one for one in self._errors if one.get("stream_descriptor"))
            raise self._error(next(of_streams, self._errors[0]), process)
        if self._left:
            names = ", ".join(repr(part.load.stream.full_name) for part in self._left.values())
            return (
                f"ended without giving back the state of {names}, which says that it has the "
                "records"
            )
        return "; ".join(self._lost)

    def _state(self, message: Message) -> None:
        state = message.part("state")
        stream = state.get("stream")
        if not isinstance(stream, Mapping):
            return
        key = state_key(state)
        part = self._parts.get(key)
        if part is None or (stream.get("stream_state") or {}).get(LOAD_ID) != part.load.load_id:
            return
        self._left.pop(key, None)
        stats = state.get("destinationStats") or {}
        rejected, counted = stats.get("rejectedRecordCount"), stats.get("recordCount")
        if rejected:
            self._lost.append(
                f"has rejected {rejected:g} records of {part.load.stream.full_name!r}"
            )
        elif counted is not None and counted < part.count:
            name = part.load.stream.full_name
            self._lost.append(
                f"has counted {counted:g} records of {name!r}, and was sent {part.count}"
            )

    def _error(self, error: Mapping[str, Any], process: ConnectorProcess) -> EtlAssetsError:
        """Return the error of the stream it names; of the only one, where there is no other."""
        descriptor = error.get("stream_descriptor")
        part = self._parts.get(key_of(descriptor)) if descriptor else None
        if part is None and len(self._parts) == 1:
            part = next(iter(self._parts.values()))
        name = part.load.stream.name if part else None
        return error_of(error, self._host.connector_name, process.log_text, name)


def _key(part: Outgoing) -> tuple[str, str]:
    return (part.namespace, part.name)


def _configured(part: Outgoing) -> dict[str, Any]:
    """Return a stream of the catalog.

    Later generations are larger, and only a replace has older ones removed.
    """
    stream = part.load.stream
    is_incremental = stream.method != "FULL_TABLE"
    keys = [[key] for key in part.keys]
    described: dict[str, Any] = {
        **descriptor_of(_key(part)),
        "json_schema": part.schema,
        "supported_sync_modes": ["full_refresh"],
    }
    if is_incremental:
        described["supported_sync_modes"].append("incremental")
    if keys:
        described["source_defined_primary_key"] = keys
    adds = is_incremental and not part.replaces
    return {
        "stream": described,
        "sync_mode": "incremental" if adds else "full_refresh",
        "cursor_field": list(stream.cursor[:1]),
        "destination_sync_mode": _MODES[part.load.strategy],
        "primary_key": keys,
        "generation_id": part.number,
        "minimum_generation_id": part.number if part.replaces else 0,
        "sync_id": part.number,
    }


def _state(part: Outgoing) -> dict[str, Any]:
    stream = {
        "stream_descriptor": descriptor_of(_key(part)),
        "stream_state": {LOAD_ID: part.load.load_id},
    }
    return {"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": float(part.count)}}


def _records(part: Outgoing, rows: Sequence[Mapping[str, Any]]) -> bytes:
    now = _now()
    head = {"stream": part.name}
    if part.namespace:
        head["namespace"] = part.namespace
    try:
        return b"".join(
            _line("RECORD", {"record": {**head, "data": row, "emitted_at": now}}) for row in rows
        )
    except DataError:
        for row in rows:  # this one names the stream and the field
            encode(RecordMessage(part.load.stream.name, row))
        raise


def _line(kind: str, parts: Mapping[str, Any]) -> bytes:
    return f"{encode(Unknown(kind, parts))}\n".encode()


def _now() -> int:
    return time.time_ns() // 1_000_000

"""One `read` of an Airbyte source: its messages in, our events out."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etl_assets.connectors.asking import SHOWN_LOG, Host, error_of, log_message, take_control
from etl_assets.connectors.log_drain import LogThrottle
from etl_assets.connectors.process import ConnectorProcess
from etl_assets.exceptions import (
    EtlAssetsError,
    ProtocolError,
    StreamReadError,
    did_you_mean,
    naming_connector,
)
from etl_assets.model.batch import Batch
from etl_assets.model.events import Estimate, Event, StreamEnd, StreamKey
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.protocol.airbyte.messages import Message, Record, decoder, key_of, state_key
from etl_assets.protocol.event_buffer import EventBuffer
from etl_assets.protocol.record_forms import AirbyteForm
from etl_assets.protocol.record_runs import RecordRuns, Run, one_message_a_line

_ENDS = ("COMPLETE", "INCOMPLETE")


class AirbyteRead:
    """Follows one process through its messages.

    Args:
        host: The source.
        streams: What was asked for.
        process: The running connector.
        config: The config it was given.
    """

    def __init__(
        self,
        host: Host,
        streams: Sequence[Stream],
        process: ConnectorProcess,
        config: Mapping[str, Any],
    ) -> None:
        self._host = host
        self._process = process
        self._config = config
        self._streams = {stream.key: stream for stream in streams}
        self._buffer = EventBuffer(self._streams)
        self._throttle = LogThrottle(host.logger)
        self._decoder = decoder(self._noise)
        self._runs = RecordRuns(AirbyteForm(), self._named, self._streams, self._rows)
        self._status: dict[StreamKey, str] = {}
        self._ended: set[StreamKey] = set()
        self._errors: dict[StreamKey, EtlAssetsError] = {}
        self._error: EtlAssetsError | None = None
        self._since_state: dict[StreamKey, int] = dict.fromkeys(self._streams, 0)
        self._since_global = 0
        self._changed_values: dict[str, int] = {}

    def events(self) -> Iterator[Event]:
        """Yield the events to the end of the process.

        Raises:
            EtlAssetsError: The read as a whole has failed.
        """
        with naming_connector(self._host.connector_name):
            yield from self._buffer.follow(self._process.chunks(), self._take)
            self._process.wait()
            self._throttle.flush()
            yield from self._ending()

    def _take(self, chunk: bytes) -> Iterator[Event]:
        for run in self._runs.cut(chunk):
            if run.parse is not None:
                self._records(run)
                continue
            for message in self._decoder.decode(run.lines):
                if message.record is not None:
                    self._record(message.record)
                else:
                    yield from self._other(message)

    def _named(self, namespace: str | None, name: str) -> StreamKey | None:
        """Return the one stream that a record may belong to.

        Without a namespace, a name may stand for several.
        """
        found = [key for key in self._streams if key[1] == name and namespace in {None, key[0]}]
        return found[0] if len(found) == 1 else None

    def _record(self, record: Record) -> None:
        key = (record.namespace or "", record.stream)
        if key not in self._since_state:
            raise self._unknown(key)
        self._refuse_late(key)
        self._buffer.add(key, record.data, record.emitted_at, record.meta)
        self._since_state[key] += 1
        self._since_global += 1
        if record.meta:
            self._meta(record)

    def _records(self, run: Run) -> None:
        self._refuse_late(run.key)
        if run.parse is not None:
            self._buffer.add_lines(run.key, run.lines, run.count, run.parse)
        self._since_state[run.key] += run.count
        self._since_global += run.count

    def _refuse_late(self, key: StreamKey) -> None:
        if key in self._ended:
            raise ProtocolError(
                f"stream {key[1]!r}: a record came after the source had said that it is complete.",
                stream=key[1],
            )

    def _rows(self, lines: bytes, key: StreamKey) -> Batch:
        rows: list[Mapping[str, Any]] = []
        emitted: list[Any] = []
        meta: dict[int, Any] = {}
        messages = list(self._decoder.decode(lines))
        one_message_a_line(key, lines, len(messages))
        for message in messages:
            record = message.record
            if record is None:
                raise ProtocolError("A RECORD message has no 'record'.", stream=key[1])
            if (record.namespace or "", record.stream) != key:
                raise self._unknown((record.namespace or "", record.stream))
            if record.meta:
                self._meta(record)
                meta[len(rows)] = record.meta
            rows.append(record.data)
            emitted.append(record.emitted_at)
        batch = Batch(rows)
        batch.emitted, batch.meta = emitted, meta
        return batch

    def _other(self, message: Message) -> Iterator[Event]:
        match message.type:
            case "STATE":
                self._state(message.part("state"))
            case "TRACE":
                yield from self._trace(message.part("trace"))
            case "LOG":
                log_message(self._throttle, message)
            case "CONTROL":
                self._config = take_control(self._host, message, self._config)
            case "RECORD":
                raise ProtocolError("A RECORD message has no 'record'.")

    # States

    def _state(self, state: Mapping[str, Any]) -> None:
        kind = state.get("type") or ("LEGACY" if "data" in state else None)
        said = (state.get("sourceStats") or {}).get("recordCount")
        if kind == "STREAM":
            key = state_key(state)
            if key not in self._streams:
                raise self._unknown(key)
            self._compare(said, self._since_state[key], key[1])
            self._since_state[key] = 0
            # A full refresh has no state that outlives it: given back, the stream would read
            # nothing.
            if self._streams[key].method != "FULL_TABLE":
                self._buffer.state(key, _bookmark((state.get("stream") or {}).get("stream_state")))
        elif kind == "GLOBAL":
            if not isinstance(state.get("global"), Mapping):
                raise ProtocolError("A GLOBAL state has no 'global'.", line=repr(state))
            self._compare(said, self._since_global, None)
            self._since_global = 0
            self._buffer.state(None, {"type": "GLOBAL", "global": state["global"]})
        elif kind == "LEGACY":
            self._buffer.state(None, {"type": "LEGACY", "data": state.get("data")})
        else:
            raise ProtocolError(
                f"A STATE message is of an unknown type: {kind!r}.", line=repr(state)
            )

    @staticmethod
    def _compare(said: object, counted: int, stream: str | None) -> None:
        if isinstance(said, int | float) and int(said) != counted:
            where = f"stream {stream!r}: " if stream else ""
            raise ProtocolError(
                f"{where}the source says that it sent {int(said):,} records since its last state, "
                f"and {counted:,} came.",
                stream=stream,
            )

    # Traces

    def _trace(self, trace: Mapping[str, Any]) -> Iterator[Event]:
        match trace.get("type"):
            case "ERROR":
                self._take_error(trace.get("error") or {})
            case "STREAM_STATUS":
                yield from self._take_status(trace.get("stream_status") or {})
            case "ESTIMATE":
                estimate = trace.get("estimate") or {}
                rows, key = (
                    estimate.get("row_estimate"),
                    (estimate.get("namespace") or "", str(estimate.get("name"))),
                )
                if (
                    isinstance(rows, int)
                    and key in self._streams
                    and estimate.get("type") != "SYNC"
                ):
                    yield Estimate(self._streams[key], rows)

    def _take_error(self, error: Mapping[str, Any]) -> None:
        descriptor = error.get("stream_descriptor")
        key = key_of(descriptor) if descriptor else None
        made = error_of(
            error, self._host.connector_name, self._process.log_text, key[1] if key else None
        )
        if key in self._streams and key is not None:
            self._errors.setdefault(key, made)
        elif self._error is None:
            self._error = made

    def _take_status(self, said: Mapping[str, Any]) -> Iterator[Event]:
        key = key_of(said.get("stream_descriptor"))
        status = str(said.get("status"))
        for reason in said.get("reasons") or ():
            self._throttle.log(
                logging.INFO, f"{key[1]}: {reason.get('type')} {reason.get('rate_limited') or ''}"
            )
        if key not in self._streams:
            return
        if self._status.get(key) not in _ENDS or status in _ENDS:
            self._status[key] = status
        if status == "COMPLETE" and key not in self._ended and key not in self._errors:
            yield from self._buffer.flush()
            self._ended.add(key)
            yield StreamEnd(self._streams[key])

    # The end

    def _ending(self) -> Iterator[Event]:
        code = self._process.exit_code
        failed = bool(code) or self._error is not None
        yield from self._buffer.flush(rest=not failed)
        speaks = bool(self._status)
        explained = bool(self._errors.keys() - self._ended)
        # An error of no stream beside errors of streams sums those up. Its kind is that of none of
        # them (made with Airbyte's CDK, a source says `config_error`), so it explains nothing.
        whole = None if explained else self._error or next(iter(self._errors.values()), None)
        unexplained = failed and whole is None and not explained
        for key, stream in self._streams.items():
            if key in self._ended:
                continue
            error = self._errors.get(key)
            if error is None and not failed and not speaks:
                yield StreamEnd(stream)  # it never says how a stream ends: its clean end does
                continue
            if error is None and not unexplained:
                error = whole or self._unfinished(stream)
            yield StreamEnd(
                stream,
                complete=False,
                error=error or self._process.failure(f" (stream {stream.name!r})"),
            )
        for what, count in self._changed_values.items():
            self._host.logger.warning(
                "%s: %d values were %s", self._host.connector_name, count, what
            )
        if whole is not None and failed:
            raise whole
        if unexplained:
            raise self._process.failure()

    def _unfinished(self, stream: Stream) -> EtlAssetsError:
        status = self._status.get(stream.key)
        said = f"it said {status}" if status else "it said nothing of it"
        if self._error is not None:
            said = f"{said}, and at its end: {self._error.message}"
        return StreamReadError(
            f"stream {stream.name!r}: {self._host.connector_name} ended without having completed "
            f"it ({said}).",
            stream=stream.name,
        )

    def _unknown(self, key: StreamKey) -> ProtocolError:
        namespace, name = key
        known = [stream.full_name for stream in self._streams.values()]
        full = f"{namespace}.{name}" if namespace else name
        return ProtocolError(
            f"{self._host.connector_name} sent something of the stream {full!r}, which was not "
            "asked for.",
            hint=did_you_mean(full, known),
            stream=name,
        )

    def _meta(self, record: Record) -> None:
        changes = record.meta.get("changes") if isinstance(record.meta, Mapping) else None
        for change in changes or ():
            if isinstance(change, Mapping):
                what = (
                    f"{str(change.get('change')).lower()} by the source in "
                    f"{record.stream}.{change.get('field')} "
                    f"({change.get('reason')})"
                )
                self._changed_values[what] = self._changed_values.get(what, 0) + 1

    def _noise(self, line: bytes) -> None:
        self._throttle.log(logging.INFO, line.decode("utf-8", "replace"), limit=SHOWN_LOG)


def _bookmark(state: Any) -> Bookmark | None:
    if state is None:
        return None
    if not isinstance(state, Mapping):
        raise ProtocolError("A stream's state is no object.", line=repr(state))
    return state

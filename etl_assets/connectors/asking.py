"""Commands that a connector answers, such as Airbyte's `spec` or Singer's `--about`."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from etl_assets.callbacks import ConfigChangeCallback
from etl_assets.connectors.executors import Executor
from etl_assets.connectors.log_drain import LogThrottle
from etl_assets.connectors.masking import remember_new
from etl_assets.connectors.process import ConnectorProcess, Limits, output_of
from etl_assets.exceptions import (
    ConfigError,
    ConnectorError,
    EtlAssetsError,
    ProtocolError,
    UnavailableError,
    naming_connector,
)
from etl_assets.model.json.lines import exact_json
from etl_assets.protocol.airbyte.messages import Message, decoder
from etl_assets.redaction import redact

CHECK_SECONDS = 600.0
SHOWN_ERROR = 2000
SHOWN_LOG = 4000
_LEVELS = {
    "FATAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "DEBUG": logging.DEBUG,
    "TRACE": logging.DEBUG,
}
_START = re.compile(rb"^\s*\{", re.MULTILINE)


class Host(Protocol):
    """A source or destination that is a connector."""

    executor: Executor
    connector_name: str
    limits: Limits
    logger: logging.Logger
    config_change_callback: ConfigChangeCallback | None


def ask(
    host: Host, *arguments: str, files: Mapping[str, Any] | None = None
) -> tuple[bytes, ConnectorProcess]:
    """Run a connector to its end, and return its output and the process, which has ended."""
    own = host.limits
    limits = Limits(
        line_bytes=own.line_bytes,
        silence_seconds=_least(own.silence_seconds, CHECK_SECONDS),
        total_seconds=_least(own.total_seconds, CHECK_SECONDS),
        grace_seconds=own.grace_seconds,
    )
    with host.executor.start(
        *arguments, files=files or {}, limits=limits, logger=host.logger
    ) as process:
        return output_of(process), process


def _least(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)


# Airbyte


def airbyte_answer(
    host: Host, kind: str, part: str, command: str, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run a command that answers with one message, and return a part of that.

    Args:
        host: Who asks.
        kind: The type of the message.
        part: Its part, as `Message` names it.
        command: `spec`, `check` or `discover`.
        config: The config, resolved, for the commands that take one.

    Raises:
        EtlAssetsError: There is no such message. The error says what the connector says.
    """
    files: dict[str, Any] = {}
    arguments = [command]
    if config is not None:
        files = {"config": host.executor.config(config)}
        arguments += ["--config", "{config}"]
    output, process = ask(host, *arguments, files=files)
    answer: dict[str, Any] | None = None
    failure: EtlAssetsError | None = None
    throttle = LogThrottle(host.logger)
    with naming_connector(host.connector_name):
        for message in decoder(noise_of(host)).decode(output):
            if message.type == kind:
                answer = message.part(part)
            elif message.type == "TRACE":
                failure = failure or trace_error(message, host.connector_name, process.log_text)
            elif message.type == "CONTROL":
                take_control(host, message, config or {})
            elif message.type == "LOG":
                log_message(throttle, message)
    # A check that fails may well end with an exit code; its message says more.
    is_complete = process.exit_code == 0 or kind == "CONNECTION_STATUS"
    if answer is not None and is_complete:
        return answer
    if failure is not None:
        raise failure
    if process.exit_code:
        raise process.failure(f" ({command})")
    raise ConnectorError(
        f"{host.connector_name} {command} gave no {kind} message.", log_text=process.log_text
    )


def trace_error(message: Message, name: str, log_text: str) -> EtlAssetsError | None:
    """Return our error for a TRACE message, or None if it is about no error."""
    error = message.part("trace").get("error")
    return error_of(error, name, log_text) if isinstance(error, Mapping) else None


def error_of(
    error: Mapping[str, Any], name: str, log_text: str, stream: str | None = None
) -> EtlAssetsError:
    """Return our error for a TRACE ERROR: its own message, and whether trying again may help."""
    message = redact(str(error.get("message") or "it does not say what")).strip()[:SHOWN_ERROR]
    internal = redact(str(error.get("internal_message") or "")).strip()[:SHOWN_ERROR]
    more = f" ({internal})" if internal and internal not in message else ""
    where = f"stream {stream!r}: " if stream else ""
    text = f"{where}{name}: {message}{more}"
    if error.get("failure_type") == "config_error":
        return ConfigError(
            text,
            hint="The connector says that its config, or its rights, must change.",
            stream=stream,
        )
    if error.get("failure_type") == "transient_error":
        return UnavailableError(text, stream=stream)
    return ConnectorError(text, log_text=log_text, stream=stream)


def log_message(throttle: LogThrottle, message: Message) -> None:
    """Log a LOG message, shortened, unless there are too many."""
    log = message.part("log")
    throttle.log(
        _LEVELS.get(str(log.get("level")), logging.INFO), str(log.get("message")), limit=SHOWN_LOG
    )


def take_control(host: Host, message: Message, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Store the config that a connector has changed before anything else happens, and return it.

    Raises:
        Exception: Whatever the callback raises. A single-use token that is not stored is lost.
    """
    after = (message.part("control").get("connectorConfig") or {}).get("config")
    if not isinstance(after, dict):
        return before
    remember_new(before, after)
    if host.config_change_callback is None:
        host.logger.warning(
            "%s changed its config, and nobody keeps it: give config_change_callback=",
            host.connector_name,
        )
    else:
        host.config_change_callback(after)
    return after


def noise_of(host: Host) -> Callable[[bytes], None]:
    """Return a function that logs a line that is no message."""
    return lambda line: host.logger.info(
        "%s", redact(line.decode("utf-8", "replace"), end=SHOWN_ERROR)
    )


# Singer


def singer_about(host: Host) -> dict[str, Any]:
    """Return what `--about` says; its `settings` is the JSON Schema of the config.

    Raises:
        ConfigError: It has no `--about`, like taps and targets that do not use the SDK.
    """
    output, process = ask(host, "--about", "--format=json")
    found = object_in(output)
    if process.exit_code or found is None:
        raise ConfigError(
            f"{host.connector_name} does not say what config it takes: it has no --about."
        )
    return found


def object_in(output: bytes) -> dict[str, Any] | None:
    """Return the JSON object in an output, which may follow some lines of text, or None."""
    for match in _START.finditer(output):
        try:
            found = exact_json(output[match.start() :])
        except ProtocolError:
            continue
        return found if isinstance(found, dict) else None
    return None

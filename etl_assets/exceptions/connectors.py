"""A connector that runs in a process of its own: how it failed, and what it sent."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from etl_assets import redaction
from etl_assets.exceptions.base import EtlAssetsError
from etl_assets.exceptions.configuration import ConfigError, InputError
from etl_assets.exceptions.data import StateError
from etl_assets.exceptions.reading import ConnectError, SourceError
from etl_assets.exceptions.shown import did_you_mean, shorten
from etl_assets.exceptions.writing import DestinationError


class ProtocolError(EtlAssetsError):
    """A connector sent a line that the protocol does not allow.

    Args:
        message: What is wrong with it.
        line: The line; kept shortened.
        hint: What the reader can do.
        stream: The stream it belongs to, where that is known.
    """

    def __init__(
        self,
        message: str,
        *,
        line: str | bytes | None = None,
        hint: str | None = None,
        stream: str | None = None,
    ) -> None:
        shown = "" if line is None else f" Line: {shorten(line)}."
        super().__init__(f"{message}{shown}", hint=hint, stream=stream)
        self.line = None if line is None else shorten(line)


@contextmanager
def naming_connector(name: str) -> Iterator[None]:
    """Name the connector in an error about what it sent, where that was not known."""
    try:
        yield
    except ProtocolError as error:
        error.connector_name = error.connector_name or name
        if name not in error.message:
            where = f"stream {error.stream!r}: " if error.stream else ""
            error.message = f"{where}{name}: {error.message.removeprefix(where)}"
            error.args = (error.message,)
        raise


class ConnectorError(EtlAssetsError):
    """A connector's process failed: it exited with an error, was killed, or did not respond.

    Args:
        message: What happened.
        connector_name: The connector.
        log_text: The end of what it wrote to standard error, redacted.
        exit_code: Its exit code, or the negative number of the signal that killed it. None if it
            had not ended.
        hint: What the reader can do.
        stream: The stream it happened in, where that is known.
    """

    retryable = True

    def __init__(
        self,
        message: str | None = None,
        *,
        connector_name: str | None = None,
        log_text: str | None = None,
        exit_code: int | None = None,
        hint: str | None = None,
        stream: str | None = None,
        **said: Any,
    ) -> None:
        message = message or self._meaning()
        if log_text:
            message = f"{message}\nThe end of its log:\n{log_text}"
            if hint:
                hint = f"\n{hint}"  # a line of its own, below the log
        super().__init__(message, hint=hint, stream=stream, **said)
        self.connector_name = connector_name
        self.log_text = None if log_text is None else redaction.redact(log_text)
        self.exit_code = exit_code


class ConnectorNotRegisteredError(ConnectorError, ConfigError):
    """No connector of this name is known, and nothing says how to get one."""

    retryable = False


class ConnectorNotFoundError(ConnectorError, ConfigError):
    """The connector is not where it was said to be."""

    retryable = False


class ConnectorInstallationError(ConnectorError, ConfigError):
    """The connector cannot be installed, or does not start."""

    retryable = False


class ConnectorConfigMissingError(ConnectorError, ConfigError):
    """The connector has no config yet."""

    retryable = False


class ConnectorConfigInvalidError(ConnectorError, ConfigError):
    """The config is not what the connector's specification asks for."""

    retryable = False


class ConnectorCheckFailedError(ConnectorError, ConnectError):
    """The connector says that it cannot connect with this config."""


class ConnectorMissingSpecError(ConnectorError, ProtocolError):
    """The connector gave no specification."""

    retryable = False


class ConnectorMissingCatalogError(ConnectorError, ProtocolError):
    """The connector gave no catalog."""

    retryable = False


class ConnectorReadError(ConnectorError, SourceError):
    """The connector failed while it was read from."""


class ConnectorWriteError(ConnectorError, DestinationError):
    """The connector failed while it was written to."""


class ConnectorFailedError(ConnectorError, SourceError):
    """The connector ended with an error."""


class StreamNotFoundError(ConnectorError, InputError):
    """The connector has no stream of this name.

    Args:
        message: What was looked for.
        available_streams: The streams that the connector has.
        connector_name: The connector.
        hint: What the reader can do. By default it gives the nearest names.
        stream: The name that was asked for.
    """

    retryable = False

    def __init__(
        self,
        message: str | None = None,
        *,
        available_streams: Sequence[str] = (),
        connector_name: str | None = None,
        hint: str | None = None,
        stream: str | None = None,
        **said: Any,
    ) -> None:
        stream = stream or said.pop("stream_name", None)
        if not hint and (stream or available_streams):
            hint = did_you_mean(stream, available_streams)
        super().__init__(message, connector_name=connector_name, hint=hint, stream=stream, **said)
        self.available_streams = list(available_streams)
        self.input_value = stream


class StreamKeyError(StreamNotFoundError, KeyError):
    """A cache or a result, which is a mapping of streams, has none of this name."""


class StateNotFoundError(ConnectorError, StateError, KeyError):
    """There is no state of this stream."""

    retryable = False

    __str__ = EtlAssetsError.__str__  # a KeyError shows its argument's repr

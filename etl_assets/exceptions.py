"""Every public error, sorted by what the caller can do about it.

```
EtlAssetsError
├── ConfigError             the user must change something: a name, an option, a secret
│   ├── InputError              an argument of a call; a ValueError too
│   │   ├── ArgumentTypeError       one that the call does not have, or of another type; a TypeError
too │   │   └── NoStreamsSelectedError  there is nothing to read
│   ├── NameNormalizationError  a name from which no identifier can be made
│   └── SecretNotFoundError     nobody has a secret of this name
├── ConnectError            the other side did not let us in
│   ├── AuthenticationError     wrong or missing credentials; never retried
│   └── UnavailableError        not reachable now; retried
├── SourceError             reading failed
│   ├── StreamReadError         the connector raised something of its own, which may pass; retried
│   └── RateLimitedError        retried, after `retry_after` seconds if the source said so
├── DestinationError        writing failed; nothing of this load is visible
│   ├── SchemaConflictError     the table cannot take this shape without losing something
│   ├── UnsupportedWriteError   the destination cannot do this write strategy
│   ├── BusyError               another process holds the destination; retried
│   └── ConcurrentSyncError     another run has synced this stream meanwhile
├── DataError               one value cannot be stored as it is: names stream, field and value
├── BookmarkError           a bookmark would go back, or its values cannot be compared
├── ConnectorError          a connector's process failed; retried
├── ProtocolError           a connector's line is not what the protocol says
├── StateError              stored state and the table beside it disagree
├── InternalError           a mistake of this library: report it
└── ConnectorError          a connector that runs in a process of its own; each is one of those
above, too
    ├── ConnectorNotRegisteredError, ConnectorNotFoundError, ConnectorInstallationError
    ├── ConnectorConfigMissingError, ConnectorConfigInvalidError, ConnectorCheckFailedError
    ├── ConnectorMissingSpecError, ConnectorMissingCatalogError
    ├── ConnectorReadError, ConnectorWriteError, ConnectorFailedError
    └── StreamNotFoundError, StateNotFoundError
```

Every error has a `message`, a `hint` (what to do), and says names: the stream, the field, the
nearest valid name. Both are masked by the redactor when the error is made, and so is the error
handled then, which becomes its cause.

The names that scripts written for PyAirbyte catch are aliases of these, at the end of the module.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Self

from typing_extensions import override

from etl_assets import redaction
from etl_assets.redaction.errors import mask
from etl_assets.redaction.redactor import BEYOND

SHOWN_CHARACTERS = 80
"""A value in an error is cut to this many characters (`contract/values.md`)."""


SHOWN_NAMES = 10


def shorten(value: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Return the `repr` of a value in at most `limit` characters, masked before it is cut."""
    # A huge string is cut before its repr is made: the repr of 200 MB would need several times
    # that.
    kept = limit + BEYOND + redaction.redactor().longest
    try:
        text = repr(value[:kept] if isinstance(value, str | bytes) else value)
    except ValueError:
        return (
            f"<an integer of {value.bit_length()} bits>"
            if isinstance(value, int)
            else f"<a {type(value).__name__}>"
        )
    except RecursionError:
        text = f"<a deeply nested {type(value).__name__}>"
    shown = redaction.redact(text, end=limit + 1)
    return shown if len(shown) <= limit and len(text) <= limit else shown[: limit - 1] + "…"


def did_you_mean(name: str, known: Iterable[str], *, most: int = SHOWN_NAMES) -> str:
    """Return a sentence with the nearest known names, or all of them when they are no more than `most`."""
    known = sorted(map(str, set(known)))
    near = get_close_matches(str(name), known, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    if not known:
        return "There are none."
    shown = ", ".join(repr(n) for n in known[:most])
    return f"Known: {shown}{', …' if len(known) > most else ''}."


class EtlAssetsError(Exception):
    """Base of every error this library raises on purpose.

    Args:
        message: What happened, with the names in it.
        hint: What the reader can do about it.
        stream: The stream it happened in, if there is one.
    """

    retryable: ClassVar[bool] = False

    # What PyAirbyte's errors can say beside that; those that know it set it.
    help_url: str | None = None
    input_value: object = None
    connector_name: str | None = None
    available_streams: Sequence[str] | None = None
    log_text: str | None = None
    log_file: Path | None = None
    print_full_log: bool = False

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        stream: str | None = None,
        **said: Any,
    ) -> None:
        hint = hint or said.pop("guidance", None)
        told = (
            message or (type(self).__doc__ or "").strip().partition("\n")[0] or type(self).__name__
        )
        self.message = redaction.redact(told)
        self.hint = None if hint is None else redaction.redact(hint)
        self.stream = stream or said.pop("stream_name", None)
        self._said = said  # by scripts, which may raise these errors as PyAirbyte's
        vars(self).update(
            (name, value)
            for name, value in said.items()
            if name not in {"context", "original_exception"}
        )
        super().__init__(self.message)
        mask(sys.exception())  # what this is raised from: a traceback shows it too

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    @override
    def add_note(self, note: str, /) -> None:
        super().add_note(redaction.redact(note))

    @property
    def guidance(self) -> str | None:
        """The hint, by PyAirbyte's name."""
        return self.hint

    @property
    def stream_name(self) -> str | None:
        """The stream, by PyAirbyte's name."""
        return self.stream

    @property
    def original_exception(self) -> BaseException | None:
        """What this error was raised from."""
        given: BaseException | None = self._said.get("original_exception")
        return given or self.__cause__

    def get_message(self) -> str:
        """Return what happened, in one line."""
        return self.message.strip().partition("\n")[0]

    def safe_logging_dict(self) -> dict[str, object]:
        """Return what may be told to others: names and the message, never a value."""
        names = ("connector_name", "stream_name", "exit_code")
        known = {name: value for name in names if (value := getattr(self, name, None)) is not None}
        return {"class": type(self).__name__, "message": self.get_message(), **known}

    @property
    def context(self) -> dict[str, object]:
        """What the error knows, by name."""
        names = ("stream_name", "connector_name", "available_streams", "input_value", "help_url")
        known = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {**known, **(self._said.get("context") or {})}


@contextmanager
def naming_stream(stream: str) -> Iterator[None]:
    """Name the stream in an error of ours that names none, such as that of a connection which is opened for it."""
    try:
        yield
    except EtlAssetsError as error:
        error.stream = error.stream or stream
        raise


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


class ConfigError(EtlAssetsError):
    """The user must change something before this can work."""


class InputError(ConfigError, ValueError):
    """An argument is not one that this call can take.

    Args:
        message: Which one, and why.
        hint: What it can be.
        stream: The stream, where the call is about one.
        input_value: The argument.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        stream: str | None = None,
        input_value: object = None,
        **said: Any,
    ) -> None:
        super().__init__(message, hint=hint, stream=stream, **said)
        self.input_value = input_value


class ArgumentTypeError(InputError, TypeError):
    """A call has no such argument, or takes another type for it."""


class NoStreamsSelectedError(InputError):
    """No stream is selected, and there is none that could be."""


class NameNormalizationError(ConfigError, ValueError):
    """A name from which no identifier can be made, such as an empty one."""


class SecretNotFoundError(ConfigError):
    """No source of secrets has one of this name.

    Args:
        message: Where it was looked for.
        hint: What the reader can do.
        input_value: The secret's name.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        input_value: object = None,
        **said: Any,
    ) -> None:
        super().__init__(message, hint=hint, **said)
        self.input_value = input_value or said.get("secret_name")


class ConnectError(EtlAssetsError):
    """The other side could not be reached or did not let us in."""


class AuthenticationError(ConnectError):
    """The credentials are wrong, missing or not allowed to do this."""


class UnavailableError(ConnectError):
    """The other side is not reachable now; trying again may help."""

    retryable = True


class SourceError(EtlAssetsError):
    """Reading from the source failed."""


class StreamReadError(SourceError):
    """The connector raised an error that is not ours.

    Whether it may pass, nobody knows, so trying again may help.
    """

    retryable = True


class RateLimitedError(SourceError):
    """The source asks for a pause.

    Args:
        message: What happened.
        retry_after: Seconds to wait, where the source said so.
        hint: What the reader can do.
        stream: The stream that was being read.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        hint: str | None = None,
        stream: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, stream=stream)
        self.retry_after = retry_after


class DestinationError(EtlAssetsError):
    """Writing failed; nothing of this load is visible."""


class SchemaConflictError(DestinationError):
    """The table cannot take this shape without losing something, or may not by its schema contract.

    Args:
        message: Why, without the names.
        hint: What the reader can do.
        stream: The stream's name.
        field: The field's name at the source.
        column: Its column, shown where that is another name.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        stream: str | None = None,
        field: str | None = None,
        column: str | None = None,
    ) -> None:
        where = [f"stream {stream!r}"] if stream is not None else []
        if field is not None:
            where.append(
                f"field {field!r}"
                + (f' (column "{column}")' if column not in {None, field} else "")
            )
        super().__init__(
            ": ".join([", ".join(where), message]) if where else message, hint=hint, stream=stream
        )
        self.reason = redaction.redact(message)
        self.field = field
        self.column = column

    def named(
        self, *, stream: str | None = None, field: str | None = None, column: str | None = None
    ) -> Self:
        """Return the error with the names that are known further out."""
        return type(self)(
            self.reason,
            hint=self.hint,
            stream=stream or self.stream,
            field=field or self.field,
            column=column or self.column,
        )


class UnsupportedWriteError(DestinationError):
    """The destination cannot do what this write strategy needs."""


class BusyError(DestinationError):
    """Another process holds the destination; trying again may help."""

    retryable = True


class ConcurrentSyncError(DestinationError):
    """Another run has synced this stream since this one began; this one was rolled back."""


class DataError(EtlAssetsError):
    """One value cannot be stored as it is.

    Args:
        message: Why, without the names.
        stream: The stream's name.
        field: The field's name.
        value: The value; shown shortened.
        hint: What the reader can do.
    """

    def __init__(
        self,
        message: str,
        *,
        stream: str,
        field: str | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> None:
        where = f"stream {stream!r}" if field is None else f"stream {stream!r}, field {field!r}"
        shown = "" if field is None else f" Value: {shorten(value)}."
        super().__init__(f"{where}: {message}{shown}", hint=hint, stream=stream)
        self.reason = message
        self.field = field
        self.value = shorten(value)
        self.columns: Mapping[str, Any] = {}
        """By the names of all fields that are wrong in the same rows: their columns, while more rows are looked at."""

    def rename(self, stream: str) -> None:
        """Have the error name another stream: it was raised where that one was not known."""
        self.message = f"stream {stream!r}{self.message.removeprefix(f'stream {self.stream!r}')}"
        self.stream = stream
        self.args = (self.message,)

    def told_with(
        self,
        others: Iterable["DataError"],
        *,
        hint: str | None,
        counts: Mapping[str | None, str] | None = None,
    ) -> Self:
        """Return this error, which tells of other fields of the same rows as well, with one hint for all.

        Args:
            others: One error for each of them.
            hint: What the reader can do about all.
            counts: By field, how many values are wrong, in words.
        """
        also = [f" Also field {other.field!r}: {other.told_as(counts or {})}" for other in others]
        first = (
            f"stream {self.stream!r}, field {self.field!r}: {self.told_as(counts)}"
            if counts
            else self.message
        )
        self.message, self.hint = redaction.redact("".join([first, *also])), hint
        self.args = (self.message,)
        return self

    def told_as(self, counts: Mapping[str | None, str]) -> str:
        """Return what is wrong, without the names.

        With how many values are so, where that is given by the field.
        """
        return f"{self.reason} Value: {self.value}{counts.get(self.field, '')}."


class BookmarkError(EtlAssetsError):
    """A bookmark would go back, or its values cannot be compared."""


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


class StateError(EtlAssetsError):
    """The stored state and the table beside it disagree, or the state cannot be read."""


class InternalError(EtlAssetsError):
    """A mistake of this library, not of its user."""


class ConnectorError(EtlAssetsError):
    """A connector's process failed: it exited with an error, was killed, or said nothing for too long.

    Args:
        message: What happened.
        connector_name: The connector.
        log_text: The end of what it wrote to standard error, redacted.
        exit_code: Its exit code; the negative number of the signal that killed it; None while it
            ran.
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
        message = message or (type(self).__doc__ or "").partition("\n")[0]
        shown = f"\nThe end of its log:\n{log_text}" if log_text else ""
        hint = hint if not shown or not hint else f"\n{hint}"
        super().__init__(f"{message}{shown}", hint=hint, stream=stream, **said)
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
        message: Which one.
        available_streams: Those there are.
        connector_name: The connector.
        hint: What the reader can do; by default the nearest names.
        stream: The name that was asked for.
    """

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
        near = did_you_mean(stream, available_streams) if stream or available_streams else None
        super().__init__(
            message, connector_name=connector_name, hint=hint or near, stream=stream, **said
        )
        self.available_streams = list(available_streams)
        self.input_value = stream


class StreamKeyError(StreamNotFoundError, KeyError):
    """A cache or a result, which is a mapping of streams, has none of this name."""


class StateNotFoundError(ConnectorError, StateError, KeyError):
    """There is no state of this stream."""

    __str__ = EtlAssetsError.__str__  # a KeyError shows its argument's repr


class EtlAssetsWarning(UserWarning):
    """Base of every warning of this library about what a call does; its text is masked."""

    def __init__(self, message: str) -> None:
        super().__init__(redaction.redact(message))


class DataLossWarning(EtlAssetsWarning):
    """What was asked for can lose rows."""


class AirbyteExperimentalFeatureWarning(FutureWarning):
    """Something that may change.

    Nothing of this library warns so; scripts name it in their filters.
    """


# The names that scripts written for PyAirbyte catch.
PyAirbyteError = AirbyteError = EtlAssetsError
PyAirbyteInputError = InputError
PyAirbyteInternalError = InternalError
PyAirbyteNoStreamsSelectedError = NoStreamsSelectedError
PyAirbyteNameNormalizationError = NameNormalizationError
PyAirbyteSecretNotFoundError = SecretNotFoundError
PyAirbyteWarning = EtlAssetsWarning
PyAirbyteDataLossWarning = DataLossWarning
AirbyteConnectorError = ConnectorError
AirbyteConnectorNotRegisteredError = AirbyteConnectorRegistryError = ConnectorNotRegisteredError
AirbyteConnectorNotFoundError = ConnectorNotFoundError
AirbyteConnectorInstallationError = ConnectorInstallationError
AirbyteConnectorConfigurationMissingError = ConnectorConfigMissingError
AirbyteConnectorValidationFailedError = ConnectorConfigInvalidError
AirbyteConnectorCheckFailedError = ConnectorCheckFailedError
AirbyteConnectorMissingSpecError = ConnectorMissingSpecError
AirbyteConnectorMissingCatalogError = ConnectorMissingCatalogError
AirbyteConnectorReadError = ConnectorReadError
AirbyteConnectorWriteError = ConnectorWriteError
AirbyteConnectorFailedError = ConnectorFailedError
AirbyteStreamNotFoundError = StreamNotFoundError
AirbyteStateNotFoundError = StateNotFoundError
AirbyteConnectorDiscoverFailedError = AirbyteSubprocessError = AirbyteSubprocessFailedError = (
    ConnectorError
)
AirbyteConnectorExecutableNotFoundError = ConnectorNotFoundError
AirbyteConnectorNotPyPiPublishedError = ConnectorNotRegisteredError
AirbyteConnectorSpecFailedError = ConnectorMissingSpecError
AirbyteNoDataFromConnectorError = ConnectorReadError
PyAirbyteCacheError = PyAirbyteCacheTableValidationError = DestinationError

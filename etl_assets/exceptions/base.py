"""The base of every error of this library, and the error about the library itself."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from etl_assets import redaction
from etl_assets.redaction.errors import mask

_NOT_ATTRIBUTES = {"context", "original_exception"}
"""What a script may pass by name and what is a property here."""


class EtlAssetsError(Exception):
    """Base of every error this library raises on purpose.

    Args:
        message: What happened, with the names in it.
        hint: What the reader can do about it.
        stream: The stream it happened in, if there is one.
    """

    retryable: ClassVar[bool] = False
    """Whether trying again may help: Dagster's retries are allowed where it is true."""

    # PyAirbyte's errors have these as well; a class that knows one sets it.
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
        told = message or self._meaning()
        self.message = redaction.redact(told)
        self.hint = None if hint is None else redaction.redact(hint)
        self.stream = stream or said.pop("stream_name", None)
        # Scripts may raise these errors with the arguments that PyAirbyte's take.
        self._said = said
        for name, value in said.items():
            if name not in _NOT_ATTRIBUTES:
                vars(self)[name] = value
        super().__init__(self.message)
        mask(sys.exception())  # the error this one is raised from: a traceback shows it too

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    @classmethod
    def _meaning(cls) -> str:
        """Return what this kind of error means, in one line: the message of one without any."""
        return (cls.__doc__ or "").strip().partition("\n")[0] or cls.__name__

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
        """The error this one was raised from."""
        given: BaseException | None = self._said.get("original_exception")
        return given or self.__cause__

    def get_message(self) -> str:
        """Return what happened, in one line."""
        return self.message.strip().partition("\n")[0]

    def safe_logging_dict(self) -> dict[str, object]:
        """Return what may be told to others: names and the message, never a value."""
        return {
            "class": type(self).__name__,
            "message": self.get_message(),
            **self._known("connector_name", "stream_name", "exit_code"),
        }

    @property
    def context(self) -> dict[str, object]:
        """What the error knows, by name."""
        known = self._known(
            "stream_name", "connector_name", "available_streams", "input_value", "help_url"
        )
        return {**known, **(self._said.get("context") or {})}

    def _known(self, *names: str) -> dict[str, object]:
        """Return those of the attributes that this error has, and that are not None."""
        found = {name: getattr(self, name, None) for name in names}
        return {name: value for name, value in found.items() if value is not None}


class InternalError(EtlAssetsError):
    """A mistake of this library, not of its user."""


@contextmanager
def naming_stream(stream: str) -> Iterator[None]:
    """Name the stream in an error of ours that names none.

    Opening a connection for a stream raises such an error, for example.
    """
    try:
        yield
    except EtlAssetsError as error:
        error.stream = error.stream or stream
        raise

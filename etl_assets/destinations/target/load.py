"""A destination as a Singer target.

Standard input is its source, and a state is passed on once everything it covers is there.
"""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from typing_extensions import override

from etl_assets.destinations.target.arguments import TargetOptions
from etl_assets.destinations.target.hooks import DestinationHooks
from etl_assets.destinations.target.read import PipeBrokenError, PipeRead
from etl_assets.destinations.target.sessions import PipeTarget
from etl_assets.destinations.target.states import PassedStates
from etl_assets.exceptions import ConfigError, DestinationError, EtlAssetsError
from etl_assets.model.load import Committed, Load
from etl_assets.redaction import redact
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import Observer, Start
from etl_assets.sync_source import StreamOutcome, sync_source


def load_lines(destination: DestinationHooks, input_buffer: Iterable[bytes | str]) -> None:
    """Load the messages of a buffer, or of the file that the arguments name."""
    path = destination.input_file_path
    if path is None:
        load_messages(destination, input_buffer)
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; only the opening may fail here
    except OSError as error:
        raise ConfigError(f"The file {path!r} cannot be read: {error.strerror}.") from error
    with file:
        load_messages(destination, file)


def load_messages(destination: DestinationHooks, lines: Iterable[bytes | str]) -> None:
    """Load all messages of a buffer.

    Raises:
        ProtocolError: A line is no message, or is cut off.
        DestinationError: Streams failed.
    """
    options = TargetOptions.of(destination.config)
    states = PassedStates(destination, trusted=options.independent_streams)
    read = PipeRead(destination, lines, options, states)
    pipe_target, commits = PipeTarget(destination), _Commits(states)
    with closing(read):
        try:
            for outcome in sync_source(read, pipe_target, plans=read.plans, observer=commits):
                _settle(destination, states, outcome)
        except PipeBrokenError as broken:
            raise broken.error from broken.error.__cause__
    states.pass_on()
    skipped = {kind: count for kind, count in read.unknown_types.items() if kind != "LOG"}
    if skipped:
        destination.logger.warning("messages that are not known and were skipped: %s", skipped)
    if states.failed:
        raise _failure(states, len(read.current))


class _Commits(Observer):
    """Tells which streams are in the destination up to now."""

    def __init__(self, states: PassedStates) -> None:
        self._states = states
        self._streams: dict[str, str] = {}

    @override
    def begin(self, load: Load, start: Start) -> None:
        self._streams[load.load_id] = load.stream.name
        if load.strategy is WriteStrategy.REPLACE:
            self._states.held.add(load.stream.name)

    @override
    def checkpoint(self, committed: Committed) -> None:
        self._states.there(self._streams[committed.load_id])


def _settle(destination: DestinationHooks, states: PassedStates, outcome: StreamOutcome) -> None:
    """Record how a stream ended; if it failed, the others go on."""
    name = outcome.stream.name
    if outcome.error is None:
        states.published(name)
        return
    states.fail(name, outcome.error)
    destination.logger.error("%s", redact(_said(name, outcome.error)))


def _failure(states: PassedStates, streams: int) -> DestinationError:
    """Return the one error of all streams that failed; its cause holds theirs."""
    names = ", ".join(repr(name) for name in states.failed)
    errors = list(states.failed.values())
    first = next(iter(states.failed))
    error = DestinationError(
        f"{len(errors)} of {streams} streams failed: {names}. {_said(first, errors[0])}",
        stream=first,
    )
    if len(errors) == 1:
        error.__cause__ = errors[0]
    else:
        error.__cause__ = ExceptionGroup("the streams' errors", errors)
    return error


def _said(stream: str, error: Exception) -> str:
    """Return what an error says, with the stream's name."""
    is_ours = isinstance(error, EtlAssetsError)
    text = str(error) if is_ours else f"{type(error).__name__}: {error}"
    if repr(stream) not in text:
        text = f"stream {stream!r}: {text}"
    return redact(text)

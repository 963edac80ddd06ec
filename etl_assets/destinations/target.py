"""A destination as a Singer target: standard input is its source, and states go on when what they cover is there."""

from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.arguments import TargetOptions
from etl_assets.destinations.states import PassedStates
from etl_assets.destinations.target_read import PipeBrokenError, PipeRead
from etl_assets.destinations.target_sessions import PipeTarget
from etl_assets.exceptions import DestinationError, EtlAssetsError
from etl_assets.model.load import Committed, Load
from etl_assets.redaction import redact
from etl_assets.registry import reach
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import Observer, Start
from etl_assets.sync_source import StreamOutcome, sync_source

if TYPE_CHECKING:
    from etl_assets.destinations.base import Destination


def load_messages(destination: "Destination", lines: Iterable[bytes | str]) -> None:
    """Load all messages of a buffer.

    Raises:
        ProtocolError: A line is no message, or is cut off.
        DestinationError: Streams failed.
    """
    options = TargetOptions.of(destination.config)
    states = PassedStates(destination, trusted=options.independent_streams)
    read = PipeRead(destination, lines, options, states)
    with closing(read):
        try:
            for outcome in sync_source(
                read, PipeTarget(destination), plans=read.plans, observer=_Commits(states)
            ):
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


def _settle(destination: "Destination", states: PassedStates, outcome: StreamOutcome) -> None:
    """Record how a stream ended; if it failed, the others go on."""
    name = outcome.stream.name
    if outcome.error is None:
        states.published(name)
        return
    states.fail(name, outcome.error)
    destination.logger.error("%s", redact(_said(name, outcome.error)))


def _failure(states: PassedStates, streams: int) -> DestinationError:
    names = ", ".join(repr(name) for name in states.failed)
    errors = list(states.failed.values())
    first = next(iter(states.failed))
    error = DestinationError(
        f"{len(errors)} of {streams} streams failed: {names}. {_said(first, errors[0])}",
        stream=first,
    )
    error.__cause__ = (
        errors[0] if len(errors) == 1 else ExceptionGroup("the streams' errors", errors)
    )
    return error


def _said(stream: str, error: Exception) -> str:
    own = isinstance(error, EtlAssetsError)
    text = str(error) if own else f"{type(error).__name__}: {error}"
    return redact(text if repr(stream) in text else f"stream {stream!r}: {text}")


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        """Hand on the Singer SDK's targets, which destinations written for Mage import from here."""
        if name not in {"SQLTarget", "Target"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(reach("singer_targets"), name)

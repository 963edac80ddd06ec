"""What became of each stream of a read, and why those failed that did."""

import time
from collections.abc import Iterable

from etl_assets.engine.line import Line, StreamOutcome
from etl_assets.engine.shared import SharedProgress
from etl_assets.exceptions import DataError, SourceError
from etl_assets.model.load import Session
from etl_assets.model.wrong_fields import WrongFields


class Outcomes:
    """The outcomes of a read's streams, each told once.

    Args:
        session: Where the streams go.
        runs_ahead: Records are made also where they are not taken, so that all wrong fields of a
            stream can be told.

    Attributes:
        began: When the read began, by the monotonic clock, as are all times here.
        failures: How many streams have failed.
        late: What went wrong with a stream that was published already; None if nothing did.
    """

    def __init__(self, session: Session, *, runs_ahead: bool) -> None:
        self.began = time.monotonic()
        self.failures = 0
        self.late: Exception | None = None
        self._last_end = self.began
        """When a stream was last read to its end, or failed: the next one is read from then on."""
        self._session = session
        self._runs_ahead = runs_ahead
        self._untold: list[StreamOutcome] = []

    def untold(self) -> list[StreamOutcome]:
        """Return what became of the streams that were settled since this was last asked."""
        outcomes, self._untold = self._untold, []
        return outcomes

    def failed_before(self, line: Line) -> None:
        """Record a stream with which something was wrong before it was read."""
        self.failures += 1
        self._untold.append(line.outcome())

    def arrived(self, line: Line) -> None:
        """Record that records of a stream have come.

        Of streams that come one after another, each is read from the end of the one before it; of
        those that come together, all are read from the beginning.
        """
        if line.read_from is None:
            line.read_from = self._last_end

    def ended(self, line: Line) -> None:
        """Record that a stream was read completely."""
        line.result.duration_seconds = self._read_seconds(line)

    def published(self, line: Line, commit_seconds: float) -> None:
        """Record that a stream is published.

        Args:
            line: The stream, which was read completely.
            commit_seconds: How long the commit took.
        """
        line.result.duration_seconds += commit_seconds
        self._last_end = time.monotonic()
        self._untold.append(line.outcome())

    def _read_seconds(self, line: Line) -> float:
        """Return how long a stream was read, up to now."""
        began = self._last_end if line.read_from is None else line.read_from
        self._last_end = time.monotonic()
        return self._last_end - began

    def fail(self, line: Line, error: Exception) -> None:
        """Drop what is not committed of a stream, and record why.

        Where more of its fields may be wrong, that is told at its end.
        """
        line.error = error
        line.rows = 0
        self.failures += 1
        self._session.discard(line.load.load_id)
        if not line.ended:
            line.result.duration_seconds = self._read_seconds(line)
        if line.landed:
            # Its rows are published; only the state that came after them is not stored.
            self.late = error
        elif isinstance(error, DataError) and self._may_have_more(line, error):
            line.wrong = WrongFields(error, line.load.stream.name)
        else:
            self._untold.append(line.outcome())

    def _may_have_more(self, line: Line, error: DataError) -> bool:
        """Return whether it can be told which other fields of a stream are wrong."""
        return bool(error.columns) and self._runs_ahead and line.load.contract.evolves

    def tell_wrong(self, line: Line) -> None:
        """Tell of a stream that was looked at for more wrong fields: there are no more."""
        if line.wrong is not None:
            line.error, line.wrong = line.wrong.error, None
            self._untold.append(line.outcome())


def held_back(line: Line, lines: Iterable[Line], shared: SharedProgress) -> SourceError:
    """Return why a stream is not published that shares a state with others."""
    if shared.is_fixed:
        others = list(shared.others)
        why = "not read this time"
        what = "select all streams of its source, or give it a primary key."
    else:
        others = [one.key for one in lines if one.error is not None]
        why = "which failed"
        what = "the next run reads it again from the stored state."
    names = sorted(repr(".".join(filter(None, key))) for key in others)
    return SourceError(
        f"stream {line.name!r} was not published: it shares its state with {', '.join(names)}, "
        f"{why}.",
        hint=f"Nothing of it is lost: {what}",
        stream=line.load.stream.name,
    )


def unfinished(line: Line) -> SourceError:
    """Return the error of a stream whose end nobody has told."""
    return SourceError(
        f"stream {line.name!r}: the source ended without saying that it was read completely.",
        hint="What its stored state covers is loaded; the next run goes on from there.",
        stream=line.load.stream.name,
    )

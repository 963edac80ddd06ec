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
        began: When the read began, by the monotonic clock.
        failures: How many streams have failed.
        late: What went wrong with a stream that was published already; None if nothing did.
    """

    def __init__(self, session: Session, *, runs_ahead: bool) -> None:
        self.began = time.monotonic()
        self.failures = 0
        self.late: Exception | None = None
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

    def published(self, line: Line) -> None:
        """Record that a stream is published."""
        line.result.duration_seconds = time.monotonic() - self.began
        self._untold.append(line.outcome())

    def fail(self, line: Line, error: Exception) -> None:
        """Drop what is not committed of a stream, and record why.

        Where more of its fields may be wrong, that is told at its end.
        """
        line.error = error
        line.rows = 0
        self.failures += 1
        self._session.discard(line.load.load_id)
        line.result.duration_seconds = time.monotonic() - self.began
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

"""The fault points, by the crash points that `docs/faults.md` describes."""

from collections.abc import Mapping, Sequence

POINTS: Mapping[str, str] = {
    "begin": "P0",  # nothing was looked up yet
    "opened": "P1",  # the source is about to be read
    "source_started": "P1",  # in the harness's source: it runs, and has given nothing
    "batch": "P2",  # a batch has arrived
    "export": "P2",  # before it is staged
    "staged": "P2",  # after
    "source_ended": "P9",  # in the harness's source: after its last checkpoint
    "read": "P3",  # the source has ended
    "before_commit": "P3",  # before the transaction
    "altered": "P10",  # in it: the table is made, or its columns changed
    "rows": "P4",  # in it: the rows are written
    "state": "P5",  # in it: the state row and the ledger are written
    "swapped": "P11",  # engines without transactional DDL: between the two renames of a replace
    # there: after the COMMIT, before the tables it replaced or no longer wants are dropped
    "dropping": "P13",
    "dropped": "P13",  # there: one is dropped, and its note not yet
    "committed": "P6",  # after a COMMIT; an exception here is an answer that was lost
    "last_committed": "P7",  # after the last one
    "cleaning": "P12",  # staged files are about to be dropped
    "cleaned": "P12",  # they are dropped
    "after_commit": "P7",  # the destination is done
    "event": "P8",  # in the harness's project: the event is stored, the run goes on
}
ENGINE_POINTS = ("swapped", "dropping", "dropped")
"""Passed by a replace, by some engines only: `Place.engine_points` names those of one."""
SOURCE_POINTS = ("source_started", "source_ended")
PROJECT_POINTS = ("event",)
ONCE = frozenset(
    {"begin", "opened", "source_started", "source_ended", "read", "last_committed", "event"}
)
"""Passed once in a sync; the others at every batch or commit."""
PER_COMMIT = frozenset(
    {
        "before_commit",
        "altered",
        "rows",
        "state",
        "committed",
        "cleaning",
        "cleaned",
        "after_commit",
        *ENGINE_POINTS,
    }
)
POSITIONS = ("first", "middle", "last")
STRATEGIES = ("append", "merge", "replace")


def positions(strategy: str, point: str) -> Sequence[str]:
    """Return at which passings of a point a sync is to end: a replace has one commit."""
    once = point in ONCE or (strategy == "replace" and point in PER_COMMIT)
    return POSITIONS[:1] if once else POSITIONS


def passing(position: str, passed: int) -> int:
    """Return which of so many passings a position is, from 1."""
    return {"first": 1, "middle": (passed + 1) // 2, "last": passed}[position]

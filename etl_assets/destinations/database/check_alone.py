"""Checks of a table as it is, without a load: for the button that executes a check by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from etl_assets.checks import NoRejected, SchemaUnchanged
from etl_assets.destinations.database.checking import (
    Checking,
    Loaded,
    UnansweredError,
    evaluate,
    unevaluated,
)
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.model.checks import CheckResult
from etl_assets.model.load import Load
from etl_assets.model.stored import StreamState

ABOUT_LOADS = (SchemaUnchanged, NoRejected)
"""Kinds of checks that say what a load has changed or left out."""


@dataclass(frozen=True)
class FoundAlone:
    """What checks have found in a table.

    Args:
        results: One for each check.
        rows_in_table: How many rows the table has; None where there is none.
    """

    results: Sequence[CheckResult]
    rows_in_table: int | None = None


def check_alone(database: DatabaseDestination, load: Load) -> FoundAlone:
    """Return what checks find in a stream's table as it is; nothing is loaded or rolled back.

    What can only be told of a load (`no_rejected`, `schema_unchanged`) is not evaluated.

    Args:
        database: The destination.
        load: Names the stream and the checks, none of which is a gate. It is not made.
    """
    checking = Checking()
    for check in load.checks:
        if isinstance(check, ABOUT_LOADS):
            told = "only a load can tell. Materialize the stream."
            # Nothing is known to be wrong, so it must not look like a check that has failed.
            result = replace(unevaluated(check, load, told), severity="WARN")
            checking.set_aside[check.name] = result
    if not database.exists():
        return _never_loaded(load)
    return _evaluated(database, load, checking)


def _evaluated(database: DatabaseDestination, load: Load, checking: Checking) -> FoundAlone:
    """Evaluate checks in a transaction; in another one, if the query of a check ends the first."""
    try:
        with database.transaction() as tx:
            ledger = database.ledger(tx)
            state = _state(ledger, load)
            if state is None or not tx.exists(state.table):
                return _never_loaded(load)
            return _found(tx, ledger, replace(load, load_id=state.load_id), state, checking)
    except UnansweredError as error:
        checking.set_aside[error.result.name] = error.result
        return _evaluated(database, load, checking)


def _state(ledger: Ledger, load: Load) -> StreamState | None:
    if not ledger.exists():
        return None
    return ledger.table_state(load.source, load.stream)


def _found(
    tx: Transaction, ledger: Ledger, load: Load, state: StreamState, checking: Checking
) -> FoundAlone:
    rows = tx.count(state.table)
    loaded = Loaded(tx, ledger, load, state.table, state.columns, rows, checking)
    return FoundAlone(evaluate(loaded), rows)


def _never_loaded(load: Load) -> FoundAlone:
    told = "the stream was never loaded. Materialize it."
    return FoundAlone([unevaluated(check, load, told) for check in load.checks])

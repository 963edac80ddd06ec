"""Where a script's source has its state: under its name, in the place of its tables (their schema and prefix).

Two caches in one database with another schema or prefix are two places, each with tables and state
of its own. A name that has state in one place only is stored as it is; in any other place it is
stored as `name@schema.prefix`. What was stored before places counted is of the place of its table.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from etl_assets.destinations.database.ledger import Ledger
from etl_assets.exceptions import InputError
from etl_assets.model.events import StreamKey
from etl_assets.model.stored import StreamState
from etl_assets.model.stream import Stream

DIGITS = 8


def is_hashed_name_of(stored: str, name: str) -> bool:
    """Return whether a stored name is a name and a hash of a config, as those of connectors were once."""
    head, _, digits = stored.rpartition("_")
    return (
        head == name
        and len(digits) == DIGITS
        and all(digit in "0123456789abcdef" for digit in digits)
    )


@dataclass(frozen=True)
class Place:
    """Where a destination puts the tables of a source.

    Args:
        destination: The database.
        name: The source's name.
    """

    destination: Any
    name: str

    @property
    def qualified(self) -> str:
        """The name under which the source is stored here while it has state elsewhere, too."""
        options = self.destination.options
        schema = options.schema_name or self.destination.identifier(self.name)
        return (
            f"{self.name}@{schema}.{options.table_prefix}"
            if options.table_prefix
            else f"{self.name}@{schema}"
        )

    def holds(self, state: StreamState) -> bool:
        """Return whether the table of a state row is in this place."""
        usual = self.destination.table_for(
            self.name, Stream(state.stream, namespace=state.namespace or None)
        )
        if state.table == usual:
            return True
        if state.table.schema != usual.schema:
            return False
        # One that ends as the stream is called has another prefix; any other was named by hand.
        plain = self.destination.identifier(
            f"{state.namespace}_{state.stream}" if state.namespace else state.stream
        )
        prefix: str = self.destination.options.table_prefix
        return state.table.name.startswith(prefix) and not state.table.name.endswith(plain)


def base_name(stored: str) -> str:
    """Return the name of a source without the place that it may be stored with."""
    return stored.partition("@")[0]


def stored_under(
    destination: Any, name: str, streams: Collection[StreamKey], *, hashed: bool = False
) -> str:
    """Return the name under which the state of a source is, or is going to be.

    Settles what was stored otherwise.

    Args:
        destination: A database with a ledger.
        name: The source's name.
        streams: What is going to be read.
        hashed: State may be stored under the name and a hash of the config, and is then renamed.

    Raises:
        InputError: It is stored under several such names.
    """
    if not destination.exists():
        return name
    place = Place(destination, name)
    with destination.transaction() as tx:
        ledger = destination.ledger(tx)
        return _settled(ledger, place, streams, hashed=hashed) if ledger.exists() else name


def rows_of(destination: Any, name: str, states: Sequence[StreamState]) -> list[StreamState]:
    """Return the state rows of a source in its place, its shared state among them; renames nothing.

    Raises:
        InputError: They are stored under several names.
    """
    place = Place(destination, name)
    for stored in (place.qualified, name):
        if found := _here(place, states, stored):
            return found
    hashed = _hashed(place, states)
    _refuse_several(hashed, name)
    return _here(place, states, hashed[0]) if hashed else []


def _settled(ledger: Ledger, place: Place, streams: Collection[StreamKey], *, hashed: bool) -> str:
    states = ledger.states()
    mine = _tables_of(states, place.name)
    here = [state for state in mine if place.holds(state)]
    elsewhere = {(state.namespace, state.stream) for state in mine if not place.holds(state)}
    target = place.name
    if any(state.source == place.qualified for state in states) or (elsewhere and not here):
        target = place.qualified
    # Stored before places counted, or by an asset, which knows none: rows of one name in several
    # places.
    shared = any(state.shared for state in states if state.source == place.name)
    if here and (
        target == place.qualified or (elsewhere and (shared or not elsewhere.isdisjoint(streams)))
    ):
        target = place.qualified
        ledger.move(here, target)
    if hashed:
        _rename_hashed(ledger, place, states, target)
    return target


def _rename_hashed(
    ledger: Ledger, place: Place, states: Sequence[StreamState], target: str
) -> None:
    names = _hashed(place, states)
    known = {(state.namespace, state.stream) for state in ledger.states() if state.source == target}
    if not known:
        _refuse_several(names, place.name)
    if len(names) == 1:
        rows = [state for state in _tables_of(states, names[0]) if place.holds(state)]
        ledger.move(
            [state for state in rows if (state.namespace, state.stream) not in known], target
        )


def _refuse_several(names: Sequence[str], name: str) -> None:
    if len(names) > 1:
        raise InputError(
            f"{name!r} was read into these tables with {len(names)} configs, each stored as a source of its own: "
            f"{', '.join(map(repr, names))}.",
            hint=f"Say whose state is to go on: source_name={names[0]!r}, or another of them.",
            input_value=name,
        )


def _hashed(place: Place, states: Iterable[StreamState]) -> list[str]:
    found = {
        state.source
        for state in states
        if is_hashed_name_of(state.source, place.name) and _in(place, state)
    }
    return sorted(found)


def _in(place: Place, state: StreamState) -> bool:
    return not state.shared and place.holds(state)


def _tables_of(states: Iterable[StreamState], stored: str) -> list[StreamState]:
    return [state for state in states if state.source == stored and not state.shared]


def _here(place: Place, states: Sequence[StreamState], stored: str) -> list[StreamState]:
    tables = [state for state in _tables_of(states, stored) if place.holds(state)]
    shared = [state for state in states if state.source == stored and state.shared]
    return [*tables, *shared] if tables else []

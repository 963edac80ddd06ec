"""Where the source of a script has its state: under its name, in the place of its tables.

A place is a schema and a prefix of tables. Two caches in one database with another schema or prefix
are two places, each with tables and state of its own. A source that has state in one place only is
stored under its plain name, and in any other place as `name@schema.prefix`. State that was stored
before there were places belongs to the place of its table.
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
    """Return whether a name was stored with a hash of the config, as those of connectors were."""
    head, _, digits = stored.rpartition("_")
    is_hash = len(digits) == DIGITS and all(digit in "0123456789abcdef" for digit in digits)
    return head == name and is_hash


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
        prefix = f".{options.table_prefix}" if options.table_prefix else ""
        return f"{self.name}@{schema}{prefix}"

    def holds(self, state: StreamState) -> bool:
        """Return whether the table of a state row is in this place."""
        usual = self.destination.table_for(
            self.name, Stream(state.stream, namespace=state.namespace or None)
        )
        if state.table == usual:
            return True
        if state.table.schema != usual.schema:
            return False
        # A table whose name ends in the stream's has another prefix; any other was named by hand.
        full_name = f"{state.namespace}_{state.stream}" if state.namespace else state.stream
        plain = self.destination.identifier(full_name)
        prefix: str = self.destination.options.table_prefix
        return state.table.name.startswith(prefix) and not state.table.name.endswith(plain)


def base_name(stored: str) -> str:
    """Return the name of a source without the place that it may be stored with."""
    return stored.partition("@")[0]


def stored_under(
    destination: Any, name: str, streams: Collection[StreamKey], *, hashed: bool = False
) -> str:
    """Return the name under which the state of a source is stored, or is going to be.

    State that is stored under an older form of the name is renamed.

    Args:
        destination: A database with a ledger.
        name: The source's name.
        streams: What is going to be read.
        hashed: Whether state may be stored under the name with a hash of the config.

    Raises:
        InputError: There is state under several such names.
    """
    if not destination.exists():
        return name
    place = Place(destination, name)
    with destination.transaction() as tx:
        ledger = destination.ledger(tx)
        return _settled(ledger, place, streams, hashed=hashed) if ledger.exists() else name


def rows_of(destination: Any, name: str, states: Sequence[StreamState]) -> list[StreamState]:
    """Return the state rows of a source in its place, its shared state among them.

    Nothing is renamed.

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
    is_qualified = any(state.source == place.qualified for state in states)
    if elsewhere:
        # Rows of one name in several places were stored before there were places, or by an asset,
        # which knows none.
        shared = any(state.shared for state in states if state.source == place.name)
        collides = shared or not elsewhere.isdisjoint(streams)
        is_qualified = is_qualified or not here or collides
    target = place.qualified if is_qualified else place.name
    if here and is_qualified:
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
            f"{name!r} was read into these tables with {len(names)} configs, "
            f"each stored as a source of its own: {', '.join(map(repr, names))}.",
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

"""`etl-assets state import`: go on where another tool ended, in its tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from etl_assets.adoption.adopt import Adoption, adopt, adopt_shared
from etl_assets.adoption.dlt import stored_state
from etl_assets.adoption.pyairbyte import stored_states
from etl_assets.adoption.recognise import read_file
from etl_assets.adoption.states import PeerState, PeerStream
from etl_assets.adoption.table import Greatest
from etl_assets.assets.catalog_cli import Say
from etl_assets.assets.import_targets import SkippedError, Target, database_of, targets_of
from etl_assets.assets.state_cli import Store, label, mismatch, shown_bookmark, shown_of
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.stored import Bookmark, StreamState, TableName
from etl_assets.naming import normalise

BESIDE_TABLES = ("dlt", "pyairbyte")
"""The tools that keep their state in the destination, beside their tables."""


@dataclass(frozen=True)
class Wanted:
    """What is to be imported, as the command line says it.

    Args:
        source: The source of the streams.
        state: The file of the state, or the schema in which the peer keeps it; None for the schema
            of the streams' tables.
        peer: Whose state it is; None has it recognised.
        from_table: The greatest replication key of each table is taken, and no state.
        streams: Some of the source's streams; by default all.
        pipeline: Whose of several states is taken.
        replace: Replace bookmarks that are stored already.
        adopt: Take over tables that this library did not make.
        force: Take a bookmark that does not fit the stream or its table.
        dry_run: Say what would be done, and do nothing.
    """

    source: str
    state: str | None = None
    peer: str | None = None
    from_table: bool = False
    streams: Sequence[str] = ()
    pipeline: str | None = None
    replace: bool = False
    adopt: bool = False
    force: bool = False
    dry_run: bool = False

    def check(self) -> None:
        """Raise an error if it is no whole request.

        Raises:
            ConfigError: It is none.
        """
        if self.from_table and (self.state or self.peer):
            raise ConfigError(
                "--from-table takes the bookmarks from the tables, and a state was given too.",
                hint="Leave one of them out.",
            )
        if self.from_table or self.state or self.peer in BESIDE_TABLES:
            return
        raise ConfigError(
            "It is not said where the state is.",
            hint="Name its file, or --from dlt or --from pyairbyte for a state beside the tables, "
            "or --from-table where there is none.",
        )


def import_state(store: Store, wanted: Wanted, say: Say) -> int:
    """Import bookmarks for the streams of a source.

    Args:
        store: Where they are stored.
        wanted: What is imported.
        say: Takes lines for people.

    Returns:
        The exit code: 1 if a stream was skipped.

    Raises:
        ConfigError: There is no such state, source or stream.
    """
    wanted.check()
    targets = targets_of(store, wanted.source, wanted.streams)
    writer = _Writer(store, wanted, say)
    if wanted.from_table:
        _import_tables(writer, targets)
        return writer.exit_code
    peer = _peer_state(store, wanted, targets)
    if not wanted.streams:
        _say_unknown(writer, peer, targets)
    if _shares(wanted, peer, targets):
        _import_shared(writer, peer, targets)
    else:
        _refuse_into_shared(store, wanted.source)
        for target in targets:
            _import_one(writer, target, [one for one in peer.streams if one.is_of(target.stream)])
    return writer.exit_code


def _peer_state(store: Store, wanted: Wanted, targets: Sequence[Target]) -> PeerState:
    """Read the state, out of a file or from beside the tables."""
    state = wanted.state
    if state is not None and (wanted.peer not in BESIDE_TABLES or Path(state).is_file()):
        return read_file(Path(state), wanted.peer, wanted.pipeline)
    destination = database_of(store)
    if state is None:
        schemas = {target.table(destination).schema for target in targets}
        if len(schemas) > 1:
            raise ConfigError(
                f"The tables are in several schemas: {', '.join(sorted(schemas))}.",
                hint="Name the one in which the state is, behind the source.",
            )
        state = schemas.pop()
    read: Callable[[Transaction, str, str | None], PeerState] = (
        stored_state if wanted.peer == "dlt" else stored_states
    )
    with destination.transaction() as tx:
        return read(tx, state, wanted.pipeline)


class _Writer:
    """Stores bookmarks, and says what became of each stream.

    Args:
        store: Where they are stored.
        wanted: What is imported.
        say: Takes lines for people.
    """

    def __init__(self, store: Store, wanted: Wanted, say: Say) -> None:
        self.store = store
        self.wanted = wanted
        self.say = say
        self.exit_code = 0
        self.done = "would import" if wanted.dry_run else "imported "

    def skip(self, name: object, why: object) -> None:
        """Say that a stream is left as it is."""
        self.exit_code = 1
        self.say(f"skipped   {name}: {why}")

    def place(self, target: Target) -> Adoption:
        """Return the table that a stream is to go on in.

        Raises:
            SkippedError: It is not there, or not the stream's to write to.
        """
        if target.state is not None:
            return Adoption(target.source, target.stream, target.state.table, None, target.state)
        return target.place(database_of(self.store), adopt=self.wanted.adopt)

    def has_table(self, table: TableName) -> bool:
        """Return whether a table is there; somebody may have dropped it since the last load."""
        with database_of(self.store).transaction() as tx:
            return tx.exists(table)

    def greatest(self, target: Target, table: TableName) -> Greatest:
        """Return up to where a table has rows.

        Raises:
            SkippedError: Nothing tells.
        """
        return target.greatest(database_of(self.store), table)

    def may_replace(self, state: StreamState, bookmark: Bookmark) -> bool:
        """Return whether a bookmark may take the place of what is stored."""
        has_none = not state.bookmark or state.damage is not None
        return has_none or self.wanted.replace or plain(state.bookmark) == plain(bookmark)

    def refuse_stored(self, place: Adoption, bookmark: Bookmark) -> None:
        """Refuse a bookmark in the place of another one.

        Raises:
            SkippedError: Another one is stored, and is to stay.
        """
        if place.state is not None and not self.may_replace(place.state, bookmark):
            raise SkippedError(_is_stored(place.state))

    def write(self, place: Adoption, bookmark: Bookmark, greatest: Greatest | None) -> None:
        """Store the bookmark of one stream.

        Args:
            place: The stream and its table.
            bookmark: The bookmark.
            greatest: Up to where the table has rows, if it was looked at.

        Raises:
            SkippedError: Another one is stored.
        """
        name = f"{place.source}/{place.stream.full_name}"
        known, shown = place.state, shown_bookmark(bookmark)
        self.refuse_stored(place, bookmark)
        if _is_unchanged(known, bookmark):
            self.say(f"unchanged {name}: it goes on from {shown}.")
            return
        rows = 0
        if greatest is not None and greatest.rows_there:
            rows = len(greatest.rows_there)
            bookmark = {**bookmark, **greatest.boundary(place.stream)}
        relaxed: Sequence[str] = ()
        if known is not None and not self.wanted.dry_run:
            self.store.destination.set_bookmark(known, bookmark)
        elif not self.wanted.dry_run:
            relaxed = adopt(database_of(self.store), replace(place, bookmark=bookmark))
        if known is not None:
            was = shown_of(known)
            self.say(f"{self.done} {label(known)}: the bookmark was {was}, is {shown}.")
        else:
            self.say(
                f"{self.done} {name}: the table {place.table} is taken over, and goes on from "
                f"{shown}."
            )
        if rows:
            self.say(f"  {rows} rows stand there, and are known when they come again.")
        self.say_relaxed(relaxed)

    def say_relaxed(self, columns: Sequence[str]) -> None:
        """Say which bookkeeping columns were made to take NULL."""
        if columns:
            self.say(f"  Takes NULL from now on: {', '.join(dict.fromkeys(columns))}.")


# From the tables


def _import_tables(writer: _Writer, targets: Sequence[Target]) -> None:
    """Take the greatest replication key of each table."""
    for target in targets:
        try:
            _import_table(writer, target)
        except SkippedError as error:
            writer.skip(target, error)
    writer.say(
        "The bookmarks are the greatest keys of the tables. A row that gets to the source later "
        "with a smaller key is not read."
    )


def _import_table(writer: _Writer, target: Target) -> None:
    if target.protocol:
        raise SkippedError(
            "its source keeps a state of its own, which no table tells. Import the state of the "
            "tool that ran it."
        )
    if not target.stream.cursor:
        raise SkippedError("it has no replication key, and is read whole.")
    place = writer.place(target)
    greatest = writer.greatest(target, place.table)
    if not greatest.rows:
        raise SkippedError(f"the table {place.table} is empty: there is nothing to go on from.")
    if not greatest.values:
        raise SkippedError(f"no row of the table {place.table} has a replication key.")
    writer.write(place, greatest.bookmark(), greatest)
    if greatest.without:
        what = "are an error without a primary key" if target.appends else "are merged"
        writer.say(
            f"  {greatest.without} rows have no replication key. No bookmark covers them: those "
            f"that come again {what}."
        )


# From a state, stream by stream


def _import_one(writer: _Writer, target: Target, found: Sequence[PeerStream]) -> None:
    """Take the bookmark of one stream."""
    if not found:
        if writer.wanted.streams:
            writer.skip(target, "the state says nothing of it.")
        elif target.binding is not None:
            writer.say(f"left      {target}: the state says nothing of it.")
        return
    try:
        if len(found) > 1:
            _refuse_several(found)
        bookmark = _bookmark_for(writer, target, found[0])
        place = writer.place(target)
        writer.refuse_stored(place, bookmark)
        greatest = None
        if _is_compared(writer, target, place, bookmark):
            found_there = writer.greatest(target, place.table)
            bookmark = found_there.spelled(bookmark)
            _compare(writer, target, place.table, bookmark, found_there)
            greatest = found_there if target.state is None else None
        writer.write(place, bookmark, greatest)
        if found[0].earliest_of:
            writer.say(
                f"  It is the earliest of {found[0].earliest_of} partitions: rows after it come "
                "again, and are merged."
            )
    except SkippedError as error:
        writer.skip(target, error)


def _is_compared(writer: _Writer, target: Target, place: Adoption, bookmark: Bookmark) -> bool:
    """Return whether a bookmark can be held against the rows of its table, and is not there yet."""
    if not target.stream.cursor or target.protocol or _is_unchanged(place.state, bookmark):
        return False
    return target.state is None or writer.has_table(place.table)


def _refuse_several(found: Sequence[PeerStream]) -> None:
    listed = ", ".join(map(str, found))
    raise SkippedError(f"more than one state has this name: {listed}.")


def _bookmark_for(writer: _Writer, target: Target, found: PeerStream) -> Bookmark:
    """Return the bookmark that a state makes, in the form that the stream's source has.

    Raises:
        SkippedError: It makes none.
    """
    if target.protocol:
        if found.own is None:
            raise SkippedError(f"{found.why_not or 'it has no state there'}.")
        return found.own
    if not found.bookmark:
        raise SkippedError(f"{found.why_not or 'it has no bookmark'}.")
    if found.earliest_of and target.appends:
        raise SkippedError(
            "it has a bookmark for each partition, and rows that come again would be appended "
            "once more."
        )
    cursor: Sequence[str] = target.stream.cursor
    if target.state is not None:
        cursor = writer.store.cursor(target.state)
    bookmark = _spelled(found.bookmark, cursor)
    if writer.wanted.force:
        return bookmark
    wrong = mismatch(cursor, bookmark)
    if target.state is None and not cursor:
        wrong = "it has no replication key here, and is read whole."
    if wrong:
        raise SkippedError(wrong)
    return bookmark


def _spelled(bookmark: Mapping[str, Any], cursor: Sequence[str]) -> dict[str, Any]:
    """Return a bookmark with the names of the stream's fields, which a peer may respell."""
    known = {normalise(name): name for name in cursor}
    return {known.get(normalise(name), name): value for name, value in bookmark.items()}


def _compare(
    writer: _Writer, target: Target, table: TableName, bookmark: Bookmark, greatest: Greatest
) -> None:
    """Hold a bookmark against the rows that are there.

    Raises:
        SkippedError: Rows would be lost or doubled.
    """
    side = greatest.side_of(bookmark)
    said, there = shown_bookmark(bookmark), shown_bookmark(greatest.bookmark())
    is_ours = target.state is not None
    if not greatest.values and not is_ours and not writer.wanted.force:
        raise SkippedError(
            f"no row of the table {table} has a replication key, so the rows up to its bookmark "
            f"{said} would be missing."
        )
    if side == "ahead" and not writer.wanted.force:
        raise SkippedError(
            f"its bookmark {said} is beyond the greatest key of the table {table}, {there}: rows "
            "in between would never be read. --from-table begins at the table's."
        )
    if side == "unknown" and greatest.values and not writer.wanted.force:
        raise SkippedError(
            f"its bookmark {said} cannot be compared with the greatest key of the table {table}, "
            f"{there}: which rows are missing cannot be told. --from-table begins at the table's."
        )
    if is_ours:
        return  # As by `state set`: the ledger knows the table, and what its next sync has to do.
    if target.appends and side != "at" and greatest.rows:
        what = "beyond its bookmark" if side == "behind" else "that cannot be told from new ones,"
        raise SkippedError(
            f"the table {table} has rows {what} {said}, which would be appended once more. "
            "--from-table begins at the table's greatest key."
        )
    if side == "behind":
        writer.say(
            f"note      {target}: the table has rows up to {there}; those after the bookmark come "
            "again, and are merged."
        )


def _say_unknown(writer: _Writer, peer: PeerState, targets: Sequence[Target]) -> None:
    known = [target.stream.full_name for target in targets]
    for one in peer.streams:
        if not any(one.is_of(target.stream) for target in targets):
            near = did_you_mean(str(one), known)
            writer.skip(f"{writer.wanted.source}/{one}", f"there is no such stream. {near}")


def _is_unchanged(state: StreamState | None, bookmark: Bookmark) -> bool:
    if state is None or not state.bookmark:
        return False
    return plain(state.bookmark) == plain(bookmark)


def _is_stored(state: StreamState) -> str:
    return (
        f"it has the bookmark {shown_of(state)} already. With --replace this one takes its place."
    )


# From a state that streams share


def _shares(wanted: Wanted, peer: PeerState, targets: Sequence[Target]) -> bool:
    """Return whether a state is one of the whole source, which its streams share.

    Raises:
        ConfigError: The source keeps a state of its own, and this is one of another kind.
    """
    protocols = {target.protocol for target in targets} - {""}
    if not protocols:
        return False
    if peer.protocol not in protocols:
        raise ConfigError(
            f"The source {wanted.source!r} keeps a state of its own, as "
            f"{' and '.join(sorted(protocols))} has it, and this state is of {peer.peer}.",
            hint="Import the state of the tool that ran this connector.",
        )
    return peer.protocol == "singer" or peer.shared is not None


def _refuse_into_shared(store: Store, source: str) -> None:
    """Refuse bookmarks of single streams where all share one state.

    Raises:
        ConfigError: They do.
    """
    if any(one.shared and one.source == source for one in store.destination.states()):
        raise ConfigError(
            f"The streams of {source!r} share one state, "
            "into which no single bookmark can be imported.",
            hint=f"Store the whole document: etl-assets state set {source}/ @state.json",
        )


def _import_shared(writer: _Writer, peer: PeerState, targets: Sequence[Target]) -> None:
    source, shared = writer.wanted.source, dict(peer.shared or {})
    if writer.wanted.streams:
        raise ConfigError(
            f"The streams of {source!r} share one state, so it is imported whole.",
            hint="Leave --stream out.",
        )
    states = writer.store.destination.states()
    known = next((one for one in states if one.shared and one.source == source), None)
    if known is not None and not writer.may_replace(known, shared):
        writer.skip(f"{source}/", _is_stored(known))
        return
    adoptions = []
    for target in targets:
        try:
            place = writer.place(target)
        except SkippedError as error:
            writer.skip(target, error)
            continue
        if place.state is None:
            adoptions.append(place)
            writer.say(f"{writer.done} {target}: the table {place.table} is taken over.")
    if not writer.wanted.dry_run:
        writer.say_relaxed(adopt_shared(database_of(writer.store), source, shared, adoptions))
    writer.say(f"{writer.done} {source}/: its streams go on from {shown_bookmark(shared)}.")

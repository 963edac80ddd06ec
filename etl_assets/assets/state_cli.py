"""`etl-assets state`: look at the stored bookmarks of a destination, and change them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl_assets.adoption.states import json_of
from etl_assets.assets.alike import alike
from etl_assets.assets.catalog_cli import Say, shown
from etl_assets.assets.definitions_file import DeclaredDestination, Project
from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.state_rows import dump, sound
from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.stored import Bookmark, StreamState, TableName
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    from etl_assets.assets.bindings import Binding

SHOWN_BOOKMARK = 60
SHOWN_LABELS = 5
"""Of many states, so many are named in an error."""


@dataclass(frozen=True)
class Store:
    """A destination that keeps state, with what the definitions say of its streams.

    Args:
        destination: The destination.
        streams: Declared ones, by source, namespace and name; nothing where no definitions were
            loaded.
        bindings: How these are read and written, of those that are assets of `stream_assets`.
    """

    destination: Destination
    streams: Mapping[tuple[str, str, str], Stream] = field(default_factory=dict)
    bindings: Mapping[tuple[str, str, str], "Binding"] = field(default_factory=dict)

    def find(self, text: str, partition: str | None = None) -> StreamState:
        """Return the state of `source/stream`.

        Raises:
            ConfigError: There is none, or more than one; the error names the nearest.
        """
        source, slash, name = text.partition("/")
        if not slash:
            raise ConfigError(
                f"{text!r} names no stream.", hint="Write SOURCE/STREAM, such as shop/orders."
            )
        states = self.destination.states()
        mine = [state for state in states if state.source == source]
        found = [one for one in mine if full_name(one) == name] or [
            one for one in mine if one.stream == name
        ]
        if partition is not None:
            found = [one for one in found if one.partition == partition]
        elif len({one.namespace for one in found}) == 1:
            # What is known of single partitions stands beside the stream's own state.
            found = [one for one in found if not one.partition] or found
        if not found:
            where = f" in partition {partition!r}" if partition is not None else ""
            known = [f"{one.source}/{full_name(one)}" for one in states]
            raise ConfigError(
                f"No state of {text!r} is stored{where}.", hint=did_you_mean(text, known)
            )
        if len(found) > 1:
            raise ConfigError(
                f"{text!r} has {len(found)} stored states.",
                hint="Name the one: " + ", ".join(_some([label(one) for one in found])) + ".",
            )
        return found[0]

    def cursor(self, state: StreamState) -> tuple[str, ...]:
        """Return the keys that a bookmark of this stream has, as far as is known."""
        if state.shared:
            return ()  # it is opaque
        declared = self.streams.get((state.source, state.namespace, state.stream))
        return (declared.cursor if declared else ()) or tuple(plain(state.bookmark) or ())


def duckdb_store(path: Path) -> Store:
    """Return the store of a DuckDB file.

    Raises:
        ConfigError: There is no such file.
    """
    from etl_assets.destinations.duckdb.destination import DuckDBDestination

    if not path.is_file():
        raise ConfigError(
            f"There is no DuckDB file {str(path)!r}.",
            hint="Check the path; it is never created here.",
        )
    return Store(DuckDBDestination(str(path)))


@dataclass
class _Keeper:
    """A destination that keeps state, with all that the definitions load into it."""

    destination: Destination
    declared: list[DeclaredDestination]

    @property
    def sources(self) -> list[str]:
        """The names of the sources that load into it."""
        return list(dict.fromkeys(name for one in self.declared for name in one.sources))

    def loads(self, source: str, stream: str) -> bool:
        """Return whether a stream of a source is loaded into it; "" for any of its streams."""
        return any(
            call.source_name == source
            and (not stream or any(stream in {one.name, one.full_name} for one in call.streams))
            for each in self.declared
            for call in each.calls
        )

    def store(self, bindings: Mapping[tuple[str, str, str], "Binding"]) -> Store:
        """Return what the commands work on.

        Args:
            bindings: Of all streams of the project.
        """
        streams = {
            (call.source_name, *stream.key): stream
            for one in self.declared
            for call in one.calls
            for stream in call.streams
        }
        return Store(self.destination, streams, bindings)


def store_of(project: Project, number: int | None, asked: str = "") -> Store:
    """Return the one destination of a project that keeps state, or the one of this number.

    Args:
        project: The definitions.
        number: Which one, as the error about several of them lists them.
        asked: The source, or `source/stream`, that is asked about: of several destinations, the
            only one that it is loaded into is meant.

    Raises:
        ConfigError: There is none, or a choice of several; the error lists them.
    """
    found = _keepers(project)
    if not found:
        raise ConfigError(
            f"No destination in {shown(project.path)} keeps state.",
            hint="The bookmarks are those of the materialization events; "
            "set one with the run config's `bookmark`.",
        )
    if number is None:
        source, _, stream = asked.partition("/")
        loaded = [one for one in found if one.loads(source, stream)]
        chosen = loaded if len(loaded) == 1 else found
    else:
        chosen = found[number - 1 : number] if number > 0 else []
    if len(chosen) != 1:
        listed = "; ".join(
            f"{index}: {one.declared[0]} ({', '.join(one.sources)})"
            for index, one in enumerate(found, start=1)
        )
        told = "several destinations" if number is None else f"no destination {number}"
        raise ConfigError(
            f"{shown(project.path)} has {told}.", hint=f"Choose with --destination N: {listed}."
        )
    from etl_assets.assets.bindings import bindings_in  # with Dagster, which takes a second

    found_bindings = bindings_in(project.targets)
    return chosen[0].store({(one.source_name, *one.stream.key): one for one in found_bindings})


def _keepers(project: Project) -> list[_Keeper]:
    """Return the destinations that keep state; those that keep it in one place are one."""
    found: list[_Keeper] = []
    for declared in project.destinations():
        destination = project.resolve(declared)
        if not (isinstance(destination, Destination) and destination.capabilities.keeps_state):
            continue
        same = [one for one in found if _share_state(one.destination, destination)]
        if same:
            same[0].declared.append(declared)
        else:
            found.append(_Keeper(destination, [declared]))
    return found


def _share_state(one: Destination, other: Destination) -> bool:
    """Return whether two destinations keep their state in the same tables.

    One may be made by the definitions and the other by a resource, or name the same file in another
    way.
    """
    if alike(one, other):
        return True
    mine = _place(one)
    return mine is not None and type(one) is type(other) and mine == _place(other)


def _place(destination: Destination) -> tuple[str, str | None] | None:
    """Return where a destination keeps its state; None where it has no address."""
    uri = destination.uri(TableName("state"))
    options = getattr(destination, "options", None)
    return None if uri is None else (uri, getattr(options, "state_schema", None))


def list_states(store: Store, say: Say, *, partitions: bool = False) -> int:
    """Print the state of every stream.

    Args:
        store: Where they are.
        say: Takes a line.
        partitions: Each partition of a stream has a line of its own, in place of one for all.
    """
    states = store.destination.states()
    if not states:
        say(f"Nothing was synced into {store.destination!r} yet.")
        return 0
    head = ("SOURCE", "STREAM", "PARTITION", "BOOKMARK", "ROWS", "LOAD ID", "COMMITTED AT")
    lines = [_row(state) for state in states] if partitions else list(_rows_of_streams(states))
    rows = [head, *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = [
            cell.rjust(w) if i == head.index("ROWS") else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())
    return 0


def get(store: Store, text: str, partition: str | None, write: Say) -> int:
    """Print a bookmark as JSON."""
    write(dump(sound(store.find(text, partition)).bookmark) or "null")
    return 0


def set_bookmark(
    store: Store, text: str, value: str, partition: str | None, say: Say, *, force: bool
) -> int:
    """Store another bookmark."""
    bookmark = _read_bookmark(value)
    state = store.find(text, partition)
    if not state.shared and any(
        one.shared and one.source == state.source for one in store.destination.states()
    ):
        raise ConfigError(
            f"{label(state)}: the streams of {state.source!r} share one state, "
            "so it has no bookmark of its own.",
            hint=f"Set that of the source: etl-assets state set {state.source}/ ...",
        )
    wrong = None if force else mismatch(store.cursor(state), bookmark)
    if state.partition and not force:
        wrong = "a partition is loaded whole, wherever its bookmark is."
    if wrong:
        raise ConfigError(
            f"{label(state)}: {wrong}", hint="With --force it is stored all the same."
        )
    store.destination.set_bookmark(state, bookmark)
    say(f"{label(state)}: the bookmark was {shown_of(state)}, is {shown_bookmark(bookmark)}.")
    say("  The rows in the table stay; the next sync reads from the new bookmark on.")
    if bookmark and state.bookmark is None and not store.cursor(state):
        say(
            "  Its last sync left no bookmark: "
            "if the stream has no replication key, it is read whole all the same."
        )
    return 0


def reset(store: Store, text: str, partition: str | None, say: Say) -> int:
    """Forget a stream."""
    state = store.find(text, partition)
    store.destination.delete_state(state)
    say(f"{label(state)}: its state is gone; the bookmark was {shown_of(state)}.")
    if state.partition:
        say(f"  Its rows stay in {state.table} until a run loads the partition anew.")
        return 0
    tables = "the tables of all its streams" if state.shared else f"the table {state.table}"
    say(f"  The next sync reads everything and replaces {tables}.")
    return 0


def rewind(store: Store, text: str, load_id: str, partition: str | None, say: Say) -> int:
    """Go back to what a stream was after a load."""
    state = store.find(text, partition)
    deleted = store.destination.rewind(state, load_id)
    after = store.find(f"{state.source}/{full_name(state)}", state.partition)
    say(
        f"{label(state)}: back at load {load_id}; "
        f"{deleted} rows were deleted, {after.rows_in_table} are left."
    )
    say(f"  The bookmark was {shown_of(state)}, is {shown_bookmark(after.bookmark)}.")
    return 0


def rename(store: Store, old: str, new: str, say: Say) -> int:
    """Return the states of a source to another name.

    Raises:
        ConfigError: Nothing is stored of the source, or the new name is no word.
    """
    if not new.isidentifier():
        raise ConfigError(
            f"The source name {new!r} is not a word.", hint="Use letters, digits and '_'."
        )
    states = [state for state in store.destination.states() if state.source == old]
    if not states:
        known = {state.source for state in store.destination.states()}
        raise ConfigError(f"No state of a source {old!r} is stored.", hint=did_you_mean(old, known))
    count = store.destination.rename_source(old, new)
    moved, verb = ("stored state", "is") if count == 1 else ("stored states", "are")
    say(f"{count} {moved} of {old!r} {verb} now of {new!r}.")
    # Each partition has a state of its own; what is shared has no table.
    tables = {(one.namespace, one.stream, one.table): one for one in states if not one.shared}
    for state in tables.values():
        stream = store.streams.get((new, state.namespace, state.stream)) or Stream(
            state.stream, namespace=state.namespace or None
        )
        if store.destination.table_for(new, stream) != state.table:
            option = json.dumps({stream.full_name: {"table": str(state.table)}})
            say(
                f"  {full_name(state)}: its rows stay in {state.table}; "
                f"keep them there with options={option}."
            )
    return 0


def mismatch(known: Sequence[str], bookmark: Bookmark | None) -> str | None:
    """Return why a bookmark cannot be one of a stream with these replication keys, or None."""
    keys = set(plain(bookmark) or ())
    if bookmark is None or not known or keys == set(known):
        return None
    wrong = sorted(keys - set(known))
    if wrong:
        return f"its bookmark has no {wrong[0]!r}. {did_you_mean(wrong[0], known)}"
    return f"its bookmark also has {', '.join(sorted(set(known) - keys))}."


def _read_bookmark(value: str) -> dict[str, Any] | None:
    text = _text(Path(value[1:])) if value.startswith("@") else value
    bookmark = json_of(text, "The bookmark")
    if bookmark is not None and not isinstance(bookmark, dict):
        raise ConfigError(
            "A bookmark is an object of values by replication key, or null.",
            hint='Such as {"updated_at": "2026-01-01"}.',
        )
    return bookmark


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{str(file)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{str(file)!r} is not UTF-8 text.") from error


def _rows_of_streams(states: Sequence[StreamState]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each stream, also where it has a state for each of many partitions."""
    for _, group in groupby(states, key=lambda one: (one.source, one.namespace, one.stream)):
        of_stream = list(group)
        partitions = [one for one in of_stream if one.partition]
        yield from (_row(one) for one in of_stream if not one.partition)
        if len(partitions) == 1:
            yield _row(partitions[0])
        elif partitions:
            newest = max(partitions, key=lambda one: one.committed_at)
            source, name, _, _, _, *rest = _row(newest)
            rows = str(newest.rows_in_table)
            yield (source, name, f"{len(partitions):,} partitions", "-", rows, *rest)


def _some(labels: Sequence[str]) -> list[str]:
    """Return some of many labels: the first ones, and the last."""
    if len(labels) <= SHOWN_LABELS:
        return list(labels)
    left_out = len(labels) - SHOWN_LABELS
    return [*labels[: SHOWN_LABELS - 1], f"{left_out:,} more", labels[-1]]


def _row(state: StreamState) -> tuple[str, ...]:
    return (
        state.source,
        full_name(state) or "(the source)",
        state.partition or "-",
        shown_of(state),
        "-" if state.partition else str(state.rows_in_table),  # what is counted is the table
        state.load_id,
        state.committed_at.isoformat(timespec="seconds"),
    )


def shown_bookmark(bookmark: Bookmark | None) -> str:
    """Return a bookmark for people, shortened."""
    text = dump(plain(bookmark)) or "none"
    return text if len(text) <= SHOWN_BOOKMARK else text[: SHOWN_BOOKMARK - 1] + "…"


def shown_of(state: StreamState) -> str:
    """Return the bookmark of a state row for people."""
    return "damaged" if state.damage is not None else shown_bookmark(state.bookmark)


def full_name(state: StreamState) -> str:
    """Return the name of a stream, behind its namespace if it has one."""
    return f"{state.namespace}.{state.stream}" if state.namespace else state.stream


def label(state: StreamState) -> str:
    """Return what the commands call a state row."""
    partition = f" --partition {state.partition}" if state.partition else ""
    return f"{state.source}/{full_name(state)}{partition}"

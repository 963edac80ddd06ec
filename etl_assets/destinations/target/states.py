"""Which state a Singer target may pass on, and when: everything before it is in the destination.

A STATE message is about the whole tap. When some streams have failed, it is taken apart. Where it
is in the shape of Singer's bookmarks, and each stream's bookmark is about that stream alone, the
failed ones keep the bookmark up to which their rows are safe, and the others move on. Where that
cannot be known, the state is held back: rows that are read again are better than rows that are
lost.
"""

import os
import secrets
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import simplejson

from etl_assets.destinations.target.hooks import DestinationHooks
from etl_assets.exceptions import ConfigError
from etl_assets.protocol.singer.documents import read_document

_NOTHING: Any = object()
_SHAPE = {"bookmarks", "currently_syncing"}

_SDK_WORDS = {
    "partitions",
    "progress_markers",
    "replication_key_signpost",
    "replication_key_value",
    "starting_replication_value",
}
"""The Singer SDK's words.

Its child streams are read for the records of their parent: a parent whose bookmark has moved on
would not bring up the children of old records again.
"""


class PassedStates:
    """Passes on the states of a pipe, in their order: of several that wait, the last one.

    A state is passed on, whole and unchanged, when all that came before it is in the destination. A
    stream that fails does not stop the others; in the states that are passed on after that, it
    stays where its rows are safe.

    Args:
        destination: Takes the states, by `process_state`.
        trusted: The user says that no stream of the tap depends on another.

    Attributes:
        failed: The streams that have failed, and why.
        uncommitted: The streams with records of which nothing has told yet that they are in the
            destination.
        held: The streams whose rows are published only when they are complete, so that no state can
            cover them now.
    """

    def __init__(self, destination: DestinationHooks, *, trusted: bool) -> None:
        self.failed: dict[str, Exception] = {}
        self.uncommitted: set[str] = set()
        self.held: set[str] = set()
        self._destination = destination
        self._trusted = trusted
        self._waiting: Any = _NOTHING
        self._safe = SafeBookmarks(_last_state(destination))
        self._told = False
        self._passed_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long ago a state was passed on, or could have been."""
        return time.monotonic() - self._passed_at

    @property
    def covering(self) -> Mapping[str, Any] | None:
        """The state that waits, as it is stored beside the rows; None where there is none."""
        return None if self._waiting is _NOTHING else {"state": self._waiting}

    def take(self, value: Any) -> None:
        """Take a state of the tap, which covers every record before it."""
        self._waiting = value
        self._safe.take(value, self.uncommitted | self.failed.keys())

    def there(self, stream: str) -> None:
        """Record that all records of a stream so far are in the destination."""
        self.uncommitted.discard(stream)

    def published(self, stream: str) -> None:
        """Record that the whole stream is in the destination."""
        self.there(stream)
        self.held.discard(stream)

    def fail(self, stream: str, error: Exception) -> None:
        """Record that a stream has failed."""
        self.failed[stream] = error
        self.held.discard(stream)

    def pass_on(self) -> None:
        """Pass on the state that waits, if what came before it is in the destination.

        Rows of failed streams are not waited for.
        """
        self._passed_at = time.monotonic()
        if self._waiting is _NOTHING or not self.uncommitted <= self.failed.keys():
            return
        value, self._waiting = self._waiting, _NOTHING
        self._safe.take(value, self.failed)
        if self.failed:
            value = self._without_failed(value)
        if value is not _NOTHING:
            self._destination.process_state({"type": "STATE", "value": value})

    def _without_failed(self, value: Any) -> Any:
        """Return a state in which the failed streams stay where they are safe, if there is one."""
        kept = self._safe.state_without(
            value,
            self.failed,
            full_tables=self._full_tables(),
            keyed=self._keyed(),
            trusted=self._trusted,
        )
        if kept is None:
            self._tell_held_back()
            return _NOTHING
        # Without a bookmark it would say to begin anew, in place of the good state that was
        # passed on before.
        return kept if kept["bookmarks"] else _NOTHING

    def _full_tables(self) -> set[str]:
        methods = self._destination.replication_methods
        return {name for name, method in methods.items() if method == "FULL_TABLE"}

    def _keyed(self) -> set[str]:
        keys, constraints = self._destination.key_properties, self._destination.unique_constraints
        return {
            name for name in self._destination.schemas if keys.get(name) or constraints.get(name)
        }

    def _tell_held_back(self) -> None:
        if self._told:
            return
        self._told = True
        names = ", ".join(repr(name) for name in self.failed)
        self._destination.logger.warning(
            "no state is passed on any more: it would cover the rows that failed, of %s", names
        )


def _last_state(destination: DestinationHooks) -> Any:
    """Return the state that was passed on last: what the state file holds."""
    path = destination.state_file_path
    if path is None or not Path(path).exists():
        return None
    try:
        return read_document(path)
    except ConfigError:
        return None  # it is about to be written over


class SafeBookmarks:
    """Follows the newest safe bookmark of each stream: all rows it covers are in the destination.

    Args:
        start: The state that was passed on last, before this run; None if that is not known.
    """

    def __init__(self, start: Any = None) -> None:
        self._known = bookmarks_of(start) is not None
        self._safe: dict[str, Any] = dict(bookmarks_of(start) or {})

    def take(self, state: Any, unsafe: Collection[str]) -> None:
        """Record a state.

        Args:
            state: Its value.
            unsafe: Streams that have failed, or that have rows which are not in the destination
                yet.
        """
        for name, bookmark in (bookmarks_of(state) or {}).items():
            if name not in unsafe:
                self._safe[name] = bookmark

    def state_without(
        self,
        state: Any,
        failed: Iterable[str],
        *,
        full_tables: Collection[str],
        keyed: Collection[str],
        trusted: bool,
    ) -> Any:
        """Return a state in which the failed streams stay where they are safe, or None.

        None where there is no such state.

        Args:
            state: The state that covers everything.
            failed: The streams that have failed.
            full_tables: Streams that the tap says to read whole, which need no bookmark.
            keyed: Streams whose rows may come again: they are merged by a key.
            trusted: The user says that no stream of the tap depends on another.
        """
        found = bookmarks_of(state)
        if found is None or (not trusted and _depends(found)):
            return None
        bookmarks = dict(found)
        for name in failed:
            if name in self._safe:
                bookmarks[name] = self._safe[name]
            elif name in bookmarks:
                begins_anew_safely = self._known or name in keyed
                if not begins_anew_safely:
                    return None
                del bookmarks[name]  # it was never read to a bookmark, or is read whole once more
            elif not trusted and name not in full_tables:
                return None
        # Without `currently_syncing`: a tap that begins there may leave out those before it.
        return {"bookmarks": bookmarks}


def bookmarks_of(state: Any) -> Mapping[str, Any] | None:
    """Return the bookmarks of a state that holds nothing else, or None."""
    if not isinstance(state, Mapping) or not state.keys() <= _SHAPE:
        return None
    found = state.get("bookmarks")
    return found if isinstance(found, Mapping) else None


def _depends(bookmarks: Mapping[str, Any]) -> bool:
    """Return whether a stream may depend on another: a bookmark is as the Singer SDK writes it."""
    for bookmark in bookmarks.values():
        if isinstance(bookmark, Mapping):
            is_empty = not bookmark  # the SDK writes these, too
            if is_empty or _SDK_WORDS & bookmark.keys():
                return True
    return False


def emit_state(destination: DestinationHooks, value: Any) -> None:
    """Write a state as one line, to the state file (all of it or nothing) or to standard output."""
    text = simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=(",", ":"))
    line = f"{text}\n"
    if destination.state_file_path is None:
        sys.stdout.write(line)
        sys.stdout.flush()
        return
    path = Path(destination.state_file_path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(
            f"The state file {str(path)!r} cannot be written: {error.strerror}."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)

"""The states of Singer taps, which Meltano and Mage keep too.

A state has `bookmarks`, by stream. What stands there is the tap's own: the values by replication
key, or the key's name beside its value (taps of databases and of the Singer SDK), or one of these
for each partition of a parent.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from etl_assets.adoption.states import PeerState, PeerStream, json_of, no_state
from etl_assets.exceptions import ConfigError, did_you_mean

LOOKS_LIKE = '{"bookmarks": {"orders": {"id": 5}}}'
_KEY, _VALUE = "replication_key", "replication_key_value"
_ABOUT = {
    _KEY,
    _VALUE,
    "last_replication_method",
    "partitions",
    "progress_markers",
    "replication_key_signpost",
    "starting_replication_value",
    "version",
}
"""Keys that taps write beside the values of a replication key."""
_OF_A_LOG = {"binlog", "gtid", "log_file", "log_pos", "lsn", "oplog_ts_time", "scn", "token"}


def read_singer(document: Any, where: str, peer: str = "singer") -> PeerState:
    """Read a state, or a STATE message.

    Args:
        document: The JSON.
        where: It comes from, for messages.
        peer: Whose it is.

    Raises:
        ConfigError: It is no state.
    """
    if isinstance(document, dict) and isinstance(document.get("value"), dict):
        document = document["value"]
    bookmarks = document.get("bookmarks") if isinstance(document, dict) else None
    if not isinstance(bookmarks, dict) or not all(
        isinstance(one, dict) for one in bookmarks.values()
    ):
        raise no_state(where, LOOKS_LIKE)
    streams = [_stream(name, own) for name, own in bookmarks.items()]
    return PeerState(peer, streams, protocol="singer", shared=document)


def _stream(name: str, own: Mapping[str, Any]) -> PeerStream:
    partitions = own.get("partitions")
    if isinstance(partitions, list):
        return _of_partitions(name, own, partitions)
    bookmark = _values(own)
    return PeerStream(name, own=own, bookmark=bookmark, why_not="" if bookmark else _why_not(own))


def _values(own: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the values by replication key, or None."""
    key = own.get(_KEY)
    if isinstance(key, str):
        value = own.get(_VALUE)
        return None if value is None else {key: value}
    if own.keys() & _OF_A_LOG:
        return None
    return {name: one for name, one in own.items() if name not in _ABOUT} or None


def _why_not(own: Mapping[str, Any]) -> str:
    if own.keys() & _OF_A_LOG:
        return "it is a position in a database's log, which only its tap can read"
    if own.get("last_replication_method") == "FULL_TABLE":
        return "it is read whole there, and has no bookmark"
    if "progress_markers" in own:
        return "its first sync there has not ended, so it has no bookmark"
    return "it has no bookmark"


def _of_partitions(name: str, own: Mapping[str, Any], partitions: Sequence[Any]) -> PeerStream:
    """Return the earliest of the bookmarks that a stream has for each parent."""
    found = [
        _values({name: each for name, each in one.items() if name != "context"})
        if isinstance(one, Mapping)
        else None
        for one in partitions
    ]
    if not found or any(one is None for one in found):
        why = "one of its partitions has no bookmark" if found else "it has no bookmark"
        return PeerStream(name, own=own, why_not=why)
    known = [one for one in found if one is not None]
    names = {tuple(one) for one in known}
    try:
        earliest = min(known, key=lambda one: tuple(one.values()))
    except TypeError:
        names = set()
    if len(names) != 1:
        return PeerStream(name, own=own, why_not="its partitions have bookmarks of several kinds")
    return PeerStream(name, own=own, bookmark=earliest, earliest_of=len(known))


# Meltano


def is_meltano(document: Any) -> bool:
    """Return whether a document is what Meltano prints, or keeps in a file of its state backend."""
    if not isinstance(document, dict):
        return False
    return "singer_state" in document or bool({"completed", "partial"} & document.keys())


def read_meltano(document: Any, where: str) -> PeerState:
    """Read what `meltano state get` prints, or a file of Meltano's state backend.

    Raises:
        ConfigError: It is none.
    """
    if not is_meltano(document):
        return read_singer(document, where, "meltano")
    if "singer_state" in document:
        return read_singer(document["singer_state"], where, "meltano")
    whole: dict[str, Any] = {}
    for part in ("completed", "partial"):
        found = document.get(part)
        if isinstance(found, dict):
            whole = _merged(whole, found.get("singer_state", found))
    return read_singer(whole, where, "meltano")


def read_system_database(path: Path, state_id: str | None) -> PeerState:
    """Read the state of one pipeline out of Meltano's system database, a SQLite file.

    Args:
        path: Such as `.meltano/meltano.db`.
        state_id: The pipeline, such as `dev:tap-postgres-to-target-duckdb`; the only one by
            default.

    Raises:
        ConfigError: There is no such state, or a choice of several.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute(
                "SELECT state_id, completed_state, partial_state FROM state ORDER BY 1"
            ).fetchall()
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{str(path)!r} is no system database of Meltano: {error}.") from None
    found = {name: parts for name, *parts in rows}
    if state_id is None and len(found) == 1:
        state_id = next(iter(found))
    if state_id is None:
        known = ", ".join(found) or "none"
        raise ConfigError(
            f"{str(path)!r} has the states of {len(found)} pipelines.",
            hint=f"Name one with --pipeline: {known}.",
        )
    if state_id not in found:
        raise ConfigError(
            f"{str(path)!r} has no state {state_id!r}.", hint=did_you_mean(state_id, found)
        )
    where = f"the state {state_id!r}"
    completed, partial = (json_of(text or "{}", where) for text in found[state_id])
    return read_meltano({"completed": completed, "partial": partial}, where)


def _merged(whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state with what a run that did not end has written since."""
    merged = dict(whole)
    for name, value in part.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[name] = _merged(old, value)
        else:
            merged[name] = value
    return merged

"""The state of a pipeline of dlt: beside its tables in the destination, or in its working folder.

In the destination it is a row of `_dlt_pipeline_state`: JSON, compressed by zlib, as base64. Each
resource keeps its incremental cursors there. JSON has no dates and decimals, so dlt writes them as
texts that begin with a character of their own.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from etl_assets.adoption.states import PeerState, PeerStream, json_of, no_state
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

STATE_TABLE = "_dlt_pipeline_state"
LOADS_TABLE = "_dlt_loads"
LOOKS_LIKE = 'a row of _dlt_pipeline_state, or {"sources": {...}, "_state_engine_version": 4}'
_FIRST_MARK = 0xF026
_DECIMAL, _TEXTS, _WEI = 0, {1, 2, 3, 7}, 6
"""The characters before a decimal; before a datetime, date, UUID or time; and before a Wei."""
_LARGEST_STATE = 256 * 1024 * 1024


def is_dlt(document: Any) -> bool:
    """Return whether a document is the state of a pipeline."""
    return isinstance(document, dict) and "_state_engine_version" in document


def read_dlt(document: Any, where: str) -> PeerState:
    """Read the state of a pipeline.

    Raises:
        ConfigError: It is none.
    """
    if not is_dlt(document):
        raise no_state(where, LOOKS_LIKE)
    streams = []
    for source in _objects(document.get("sources")).values():
        for name, resource in _objects(_objects(source).get("resources")).items():
            streams.append(_stream(name, _objects(_objects(resource).get("incremental"))))
    return PeerState("dlt", streams)


def unpacked(text: str, where: str) -> Any:
    """Return the document that a row of `_dlt_pipeline_state` holds.

    Raises:
        ConfigError: It holds none.
    """
    try:
        packed = base64.b64decode(text, validate=True)
        inflating = zlib.decompressobj()
        raw = inflating.decompress(packed, _LARGEST_STATE)
    except (binascii.Error, ValueError, zlib.error):
        raise no_state(where, LOOKS_LIKE) from None
    if not inflating.eof:
        raise no_state(where, LOOKS_LIKE)
    return json_of(raw.decode("utf-8", "replace"), where)


def stored_state(tx: Transaction, schema: str, pipeline: str | None) -> PeerState:
    """Read the newest state of a pipeline that dlt has stored beside its tables.

    As dlt itself does when it restores a pipeline, only packages count that were loaded whole.

    Args:
        tx: Where the tables are.
        schema: Their schema, which dlt calls the dataset.
        pipeline: The pipeline; the only one by default.

    Raises:
        ConfigError: There is no such state, or a choice of several.
    """
    states, loads = TableName(STATE_TABLE, schema), TableName(LOADS_TABLE, schema)
    where = f"{states} of the destination"
    if not tx.exists(states) or not tx.exists(loads):
        raise ConfigError(
            f"There is no table {states}, in which dlt keeps the state of a pipeline."
        )
    found = tx.execute(
        f"SELECT s.{quote('pipeline_name')}, s.{quote('state')} FROM {tx.quoted(states)} s "
        f"JOIN {tx.quoted(loads)} l ON l.{quote('load_id')} = s.{quote('_dlt_load_id')} "
        f"WHERE l.{quote('status')} = 0 ORDER BY l.{quote('load_id')}"
    )
    newest = {str(name): str(text) for name, text in found}
    if pipeline is None and len(newest) == 1:
        pipeline = next(iter(newest))
    if pipeline is None:
        known = ", ".join(newest) or "none"
        raise ConfigError(
            f"{where} has the states of {len(newest)} pipelines.",
            hint=f"Name one with --pipeline: {known}.",
        )
    if pipeline not in newest:
        raise ConfigError(
            f"{where} has no state of a pipeline {pipeline!r}.",
            hint=did_you_mean(pipeline, newest),
        )
    return read_dlt(unpacked(newest[pipeline], where), where)


def _objects(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _stream(name: str, cursors: Mapping[str, Any]) -> PeerStream:
    if len(cursors) != 1:
        why = f"it has {len(cursors)} cursors" if cursors else "it has no incremental cursor"
        return PeerStream(name, own=cursors, why_not=why)
    path, cursor = next(iter(cursors.items()))
    field = path.removeprefix("$.")
    value = _objects(cursor).get("last_value")
    if value is None:
        return PeerStream(name, own=cursors, why_not="its cursor has no last value")
    if any(mark in field for mark in ".[]*'\""):
        return PeerStream(name, own=cursors, why_not=f"its cursor {path!r} is inside another field")
    try:
        return PeerStream(name, own=cursors, bookmark={field: _plain(value)})
    except ValueError:
        why = f"the last value of its cursor {path!r} is of no type that a bookmark can have"
        return PeerStream(name, own=cursors, why_not=why)


def _plain(value: Any) -> Any:
    """Return a value without dlt's mark of its type.

    Raises:
        ValueError: A bookmark cannot have its type.
    """
    if not isinstance(value, str | int | float | Decimal) or isinstance(value, bool):
        raise ValueError("no scalar")  # noqa: TRY004 - the caller knows one error alone
    if not isinstance(value, str) or not value:
        return value
    mark = ord(value[0]) - _FIRST_MARK
    if mark in {_DECIMAL, _WEI}:
        try:
            return Decimal(value[1:])
        except InvalidOperation:
            raise ValueError("no decimal") from None
    if mark in _TEXTS:
        return value[1:]
    if 0 <= mark <= max(_TEXTS):
        raise ValueError("bytes")
    return value

"""Which tool a state is of: by its form if that is unmistakable, or as the caller says."""

from pathlib import Path
from typing import Any

from etl_assets.adoption.airbyte import is_airbyte, read_airbyte
from etl_assets.adoption.dlt import is_dlt, read_dlt, unpacked
from etl_assets.adoption.singer import (
    is_meltano,
    read_meltano,
    read_singer,
    read_system_database,
)
from etl_assets.adoption.states import PeerState, json_of
from etl_assets.exceptions import ConfigError

_SQLITE = b"SQLite format 3\0"


def read_file(path: Path, peer: str | None, pipeline: str | None) -> PeerState:
    """Read the state in a file.

    Args:
        path: The file.
        peer: Whose state it is; None has it recognised.
        pipeline: Whose of several states in it.

    Raises:
        ConfigError: It is not there, or holds no state of this peer.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    if data.startswith(_SQLITE) and peer in {None, "meltano"}:
        return read_system_database(path, pipeline)
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{str(path)!r} is not UTF-8 text.") from error
    where = f"{str(path)!r}"
    if peer in {None, "dlt"} and text and text[0] not in "{[":
        is_packed = peer == "dlt" or text.startswith("eJ")
        document = unpacked(text, where) if is_packed else json_of(text, f"The state {where}")
    else:
        document = json_of(text, f"The state {where}")
    return _read(document, where, peer)


def _read(document: Any, where: str, peer: str | None) -> PeerState:
    if peer == "dlt" or (peer is None and is_dlt(document)):
        return read_dlt(document, where)
    if peer in {"airbyte", "pyairbyte"} or (peer is None and is_airbyte(document)):
        return read_airbyte(document, where, peer or "airbyte")
    if peer == "meltano" or (peer is None and is_meltano(document)):
        return read_meltano(document, where)
    return read_singer(document, where, peer or "singer")

"""The states that PyAirbyte keeps beside the tables of its cache."""

from etl_assets.adoption.airbyte import read_airbyte
from etl_assets.adoption.states import PeerState, PeerStream
from etl_assets.caches.takeover import STATE_TABLE, registered
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.exceptions import ConfigError
from etl_assets.model.stored import TableName


def stored_states(tx: Transaction, schema: str, source: str | None) -> PeerState:
    """Read the states of a cache.

    Args:
        tx: Where the cache is.
        schema: Its schema.
        source: The name of PyAirbyte's source, such as `source-faker`; the only one by default.

    Raises:
        ConfigError: There are none, or those of several sources.
    """
    rows = registered(tx, schema)
    where = str(TableName(STATE_TABLE, schema))
    if not rows:
        raise ConfigError(f"There is no table {where}, in which PyAirbyte keeps its states.")
    sources = sorted({row.source for row in rows if row.source})
    if source is None and len(sources) > 1:
        raise ConfigError(
            f"{where} has the states of {len(sources)} sources.",
            hint=f"Name one with --pipeline: {', '.join(sources)}.",
        )
    mine = [row for row in rows if source is None or row.source in {source, None}]
    messages = [row.state for row in mine if row.state]
    found = read_airbyte(messages, where, "pyairbyte") if messages else PeerState("pyairbyte")
    known = {one.name for one in found.streams}
    full = [
        PeerStream(row.stream, why_not="it is read whole there, and has no state")
        for row in mine
        if row.state is None and row.stream not in known
    ]
    return PeerState("pyairbyte", [*found.streams, *full], "airbyte", found.shared)

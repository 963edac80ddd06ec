"""The indexes of the library's own tables, so that many earlier loads make no look-up dearer."""

from collections.abc import Mapping, Sequence

from etl_assets.destinations.database.ledger_history import NUMBER
from etl_assets.destinations.database.transaction import STATE_KEY

OF_LOADS: Mapping[str, Sequence[str]] = {
    "_etl_assets_loads_by_number": (NUMBER,),
    "_etl_assets_loads_by_table": ("table_schema", "table_name", NUMBER),
    "_etl_assets_loads_by_stream": (*STATE_KEY[:3], NUMBER),
}
"""The last load of all, of a table, and those of a stream."""

OF_STATES: Mapping[str, Sequence[str]] = {"_etl_assets_state_by_key": STATE_KEY}
"""Where the constraint that makes a state row unique finds none."""

"""The columns of a Singer stream whose tap sends other ones than its catalog has.

Which columns a tap sends is its own doing, by the catalog it was given. What that catalog knows is
selected, or not, as was asked for. What it does not know (`_sdc_deleted_at` of a read from a log, a
column that is there since today) was not deselected by anybody, whatever its metadata says of the
other columns: it is loaded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from etl_assets.model.selection import column_selector
from etl_assets.model.stream import Stream

DELETED = "_sdc_deleted_at"
"""It alone tells a deleted row, of which a tap sends no more than the key, from an emptied one."""


def as_sent(asked: Stream, schema: Mapping[str, Any], keys: Sequence[str]) -> Stream:
    """Return a stream as its SCHEMA message describes it.

    Args:
        asked: The stream as it was asked for, by the catalog.
        schema: Of the message.
        keys: Its primary key.
    """
    properties = schema.get("properties") or {}
    known = (asked.schema or {}).get("properties") or {}
    selects = column_selector(asked)
    said = {
        tuple(one["breadcrumb"]): one["metadata"]
        for one in asked.metadata
        if list(one["breadcrumb"])
    }
    metadata = dict(said)
    for name in known:
        if (place := ("properties", name)) not in said:
            metadata[place] = {"selected": selects(name)}
    for name in properties:
        place = ("properties", name)
        if name == DELETED:
            metadata[place] = {**said.get(place, {}), "inclusion": "automatic"}
        elif name not in known and place not in said:
            metadata[place] = {"selected": True}
    described = asked.replace(primary_key=tuple(keys), **({"schema": schema} if properties else {}))
    own = described.metadata_of()
    return described.replace(
        metadata=[
            *([{"breadcrumb": [], "metadata": own}] if own else []),
            *({"breadcrumb": list(place), "metadata": one} for place, one in metadata.items()),
        ],
        auto_add_new_fields=True,
    )

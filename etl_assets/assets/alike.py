"""Whether two sources or destinations are one."""

from typing import Any

from etl_assets.destinations.base import Destination
from etl_assets.sources.base import Source


def alike(one: Any, other: Any) -> bool:
    """Return whether two objects are the same one, or were made alike.

    They are made alike when, for example, a function builds the same source twice.
    """
    if one is other:
        return True
    if type(one) is not type(other) or not isinstance(one, Source | Destination):
        return False
    ignored = {"logger", "catalog", "streams", "selected_streams", "to_select"}
    mine, others = (
        {key: value for key, value in vars(each).items() if key not in ignored}
        for each in (one, other)
    )
    return mine == others

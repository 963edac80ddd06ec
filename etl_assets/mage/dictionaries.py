"""Functions over dicts, under the names sources written for Mage import."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def merge_dict(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return both in one; the second wins."""
    return {**a, **b}


def extract(d: Mapping[Any, Any], keys: Iterable[Any]) -> dict[Any, Any]:
    """Return the items of some keys, but for those that are missing or None."""
    return {key: d[key] for key in keys if d.get(key) is not None}


def ignore_keys(d: Mapping[Any, Any], keys: Iterable[Any]) -> dict[Any, Any]:
    """Return all items but those of some keys."""
    left_out = set(keys)
    return {key: value for key, value in d.items() if key not in left_out}


def ignore_keys_with_blank_values(d: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the items whose value is neither empty, zero nor None."""
    return {key: value for key, value in d.items() if value}


def index_by(func: Callable[[Any], Any], arr: Iterable[Any]) -> dict[Any, Any]:
    """Return items by what a function says of them; the last of equals."""
    return {func(item): item for item in arr}


def group_by(func: Callable[[Any], Any], arr: Iterable[Any]) -> dict[Any, list[Any]]:
    """Return lists of items by what a function says of them."""
    groups: dict[Any, list[Any]] = {}
    for item in arr:
        groups.setdefault(func(item), []).append(item)
    return groups


def dig(obj_arg: Any, arr_or_string: Sequence[str] | str) -> Any:
    """Return what lies at a path such as `a.b[0]`; None where a part of it is missing."""
    parts = arr_or_string.split(".") if isinstance(arr_or_string, str) else arr_or_string
    found = obj_arg
    for part in parts:
        name, _, rest = part.strip().partition("[")
        if name:
            found = found.get(name) if isinstance(found, Mapping) else None
        if rest and isinstance(found, Sequence):
            position = int(rest.rstrip("]"))
            found = found[position] if position < len(found) else None
    return found


def flatten(input_data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dict without the dicts in it, two levels deep: their keys are joined by `_`."""
    flat: dict[str, Any] = {}
    for key, value in input_data.items():
        if type(value) is not dict:
            flat[key] = value
            continue
        for second, inner in value.items():
            if type(inner) is dict:
                flat.update(
                    {f"{key}_{second}_{third}": innermost for third, innermost in inner.items()}
                )
            else:
                flat[f"{key}_{second}"] = inner
    return flat


def extract_arrays(input_data: Mapping[Any, Any]) -> list[list[Any]]:
    """Return the values that are lists."""
    return [value for value in input_data.values() if type(value) is list]


def replace_dict_nan_value(d: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a dict with None in place of NaN."""
    replaced = dict(d)
    for key, value in d.items():
        if isinstance(value, float) and math.isnan(value):
            replaced[key] = None
    return replaced

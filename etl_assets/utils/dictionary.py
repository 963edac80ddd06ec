"""`mage_integrations.utils.dictionary`."""

from etl_assets.mage.dictionaries import (
    dig,
    extract,
    extract_arrays,
    flatten,
    group_by,
    ignore_keys,
    ignore_keys_with_blank_values,
    index_by,
    merge_dict,
    replace_dict_nan_value,
)

__all__ = [
    "dig",
    "extract",
    "extract_arrays",
    "flatten",
    "group_by",
    "ignore_keys",
    "ignore_keys_with_blank_values",
    "index_by",
    "merge_dict",
    "replace_dict_nan_value",
]

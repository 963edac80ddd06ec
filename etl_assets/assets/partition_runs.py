"""Runs of partitions: which rows one is about, and what is told of each partition afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from etl_assets.assets.bookmark_metadata import BOOKMARK
from etl_assets.assets.options import PREFIX, Writing, partition_by_of
from etl_assets.assets.partitions import PartitionFields
from etl_assets.exceptions import ConfigError
from etl_assets.model.load import SyncResult
from etl_assets.model.partitions import Partitions

PARTITION_ROW_COUNT = "dagster/partition_row_count"
MAX_NAMES = 5
"""Of so many partitions an event tells the names; of more, the first and the last."""

_OF_THE_WHOLE_RUN = tuple(f"{PREFIX}{name}" for name in ("records_loaded", "bytes", "preview"))


def partitions_of_run(
    key: dg.AssetKey,
    definition: dg.PartitionsDefinition[Any] | None,
    names: Sequence[str],
    writing: Writing,
) -> Partitions | None:
    """Return the partitions that a run loads of an asset; None of one without partitions.

    Args:
        key: Of the asset.
        definition: Its partitions, if it has any.
        names: The keys of those that the run is about.
        writing: How its rows meet the table.

    Raises:
        ConfigError: Nothing says which rows are in a partition, or the run is about none.
    """
    if definition is None:
        return None
    asset = key.to_user_string()
    if writing.partition_by is None:
        raise ConfigError(
            f"The asset {asset} is partitioned, and nothing says which of its rows are in a "
            "partition: one partition would take the place of the whole table.",
            hint='Name the field that says so: metadata={"etl_assets/partition_by": "day"}, or '
            'partition_by="day" among the options of a stream.',
        )
    if not names:
        raise ConfigError(
            f"The asset {asset} is partitioned, and the run is for none of its partitions.",
            hint="Choose a partition: in the dialog of the UI, by `--partition KEY`, or by "
            "`partition_key=` in Python.",
        )
    fields = PartitionFields(definition, writing.partition_by, asset, writing.outside_partition)
    return fields.of(names)


def partitions_of_input(context: dg.InputContext, metadata: Mapping[str, Any]) -> Partitions:
    """Return the partitions of an upstream asset that an input is made of.

    Args:
        context: Of the input.
        metadata: Of the upstream asset's definition.

    Raises:
        ConfigError: Nothing says which rows are in a partition.
    """
    by = partition_by_of(metadata)
    if by is None:
        raise ConfigError(
            f"The asset {context.asset_key.to_user_string()} is partitioned, and nothing says "
            "which of its rows are in a partition, so none of them can be loaded by itself.",
            hint="Name the field in the metadata of that asset: "
            '{"etl_assets/partition_by": "day"}.',
        )
    fields = PartitionFields(
        context.asset_partitions_def, by, context.asset_key.to_user_string(), "drop"
    )
    return fields.of(context.asset_partition_keys)


def metadata_by_partition(
    metadata: dict[str, Any], result: SyncResult
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the metadata that all events of a run share, and those of each partition's own.

    A partition is loaded whole, so no bookmark is shown from which its next load would go on. The
    numbers of a run of many partitions would be counted once for each of them, and are left out.

    Args:
        metadata: Of the sync.
        result: What was done.
    """
    shared = {key: value for key, value in metadata.items() if not key.startswith(BOOKMARK)}
    if len(result.partition_rows) > 1:
        shared = {key: one for key, one in shared.items() if key not in _OF_THE_WHOLE_RUN}
    rows = result.partition_rows
    return shared, {name: {PARTITION_ROW_COUNT: count} for name, count in rows.items()}


def shortened_names(names: Sequence[str]) -> str:
    """Return the names of partitions in a line."""
    if len(names) <= MAX_NAMES:
        return ", ".join(names)
    ordered = sorted(names)
    return f"{ordered[0]} to {ordered[-1]} ({len(names):,} partitions)"


def told(partitions: Partitions) -> str:
    """Return which partitions a run loads, for its log."""
    count = len(partitions.names)
    return f"{'partition' if count == 1 else 'partitions'} {shortened_names(partitions.names)}"

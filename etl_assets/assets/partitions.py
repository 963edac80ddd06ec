"""Dagster's partitions as windows of time and values.

They say which rows of a stream belong to a run of some partitions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.model.partitions import (
    Condition,
    OutsidePartition,
    Partition,
    Partitions,
    TimeWindow,
)

PartitionBy = str | Mapping[str, str]
"""The field that says in which partition a row is.

If there are several dimensions, it is a field for each, by the dimension's name.
"""

MAX_KEY_CHARACTERS = 200
"""What is longer does not fit the key of every database's state table."""


class PartitionFields:
    """Which fields of a stream stand for the dimensions of its partitions.

    Args:
        definition: The asset's partitions.
        partition_by: The field, or the fields by dimension.
        stream: The stream's name, for errors.
        outside: What becomes of rows that are in none of the partitions of a run.

    Raises:
        ConfigError: A kind of partitions that says nothing about rows, or fields that do not fit
            its dimensions.
    """

    def __init__(
        self,
        definition: dg.PartitionsDefinition[Any],
        partition_by: PartitionBy,
        stream: str,
        outside: OutsidePartition = "error",
    ) -> None:
        self._stream = stream
        self._outside: OutsidePartition = outside
        self._dimensions = _dimensions(definition, stream)
        self._multi = definition if isinstance(definition, dg.MultiPartitionsDefinition) else None
        self._fields = self._by_dimension(partition_by)

    def of(self, keys: Sequence[str]) -> Partitions:
        """Return the partitions that have these keys.

        Raises:
            ConfigError: A key cannot be stored.
        """
        return Partitions(tuple(self._partition(key) for key in keys), self._outside)

    def _partition(self, key: str) -> Partition:
        # A dimension's key may hold the character that joins them; Dagster tells them apart.
        parts = {"": key}
        if self._multi is not None:
            parts = dict(self._multi.get_partition_key_from_str(key).keys_by_dimension)
        rows = {
            self._fields[name]: _condition(self._dimensions[name], part)
            for name, part in parts.items()
        }
        return Partition(self._stored(key), rows)

    def _stored(self, key: str) -> str:
        """Return the name under which a partition's state is stored."""
        if len(key) > MAX_KEY_CHARACTERS:
            raise ConfigError(
                f"stream {self._stream!r}: the partition key {key[:40]!r}... "
                f"has {len(key)} characters; at most {MAX_KEY_CHARACTERS} are stored.",
                hint="Give the partition a shorter key.",
                stream=self._stream,
            )
        return str(key)

    def _by_dimension(self, partition_by: PartitionBy) -> dict[str, str]:
        if isinstance(partition_by, str):
            if self._multi is not None:
                names = ", ".join(f'"{name}": "..."' for name in self._dimensions)
                raise ConfigError(
                    f"stream {self._stream!r}: its partitions have several dimensions, "
                    "and partition_by names one field.",
                    hint=f"Name one for each: partition_by={{{names}}}.",
                    stream=self._stream,
                )
            return {"": partition_by}
        if self._multi is None:
            raise ConfigError(
                f"stream {self._stream!r}: its partitions have one dimension, "
                "and partition_by is a mapping.",
                hint='Name the field: partition_by="updated_at".',
                stream=self._stream,
            )
        fields = dict(partition_by)
        for name in (*fields, *self._dimensions):
            if name not in self._dimensions:
                raise ConfigError(
                    f"stream {self._stream!r}: partition_by names the dimension {name!r}, "
                    "which there is not.",
                    hint=did_you_mean(name, self._dimensions),
                    stream=self._stream,
                )
            if name not in fields:
                raise ConfigError(
                    f"stream {self._stream!r}: partition_by names no field "
                    f"for the dimension {name!r}.",
                    hint=f'Add "{name}": "the field".',
                    stream=self._stream,
                )
        if len(set(fields.values())) < len(fields):
            raise ConfigError(
                f"stream {self._stream!r}: partition_by names one field for two dimensions.",
                hint="Name a field for each.",
                stream=self._stream,
            )
        return fields


def _dimensions(
    definition: dg.PartitionsDefinition[Any], stream: str
) -> dict[str, dg.PartitionsDefinition[Any]]:
    """Return the dimensions of partitions by name; one alone has none."""
    dimensions: dict[str, dg.PartitionsDefinition[Any]] = {"": definition}
    if isinstance(definition, dg.MultiPartitionsDefinition):
        dimensions = {one.name: one.partitions_def for one in definition.partitions_defs}
    known = (
        dg.TimeWindowPartitionsDefinition,
        dg.StaticPartitionsDefinition,
        dg.DynamicPartitionsDefinition,
    )
    for one in dimensions.values():
        if not isinstance(one, known):
            raise ConfigError(
                f"stream {stream!r}: a {type(one).__name__} "
                "does not say which rows are in a partition.",
                hint="Use time windows (daily, hourly, ...), static or dynamic partitions, "
                "or two of these together.",
                stream=stream,
            )
    return dimensions


def _condition(definition: dg.PartitionsDefinition[Any], key: str) -> Condition:
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        window = definition.time_window_for_partition_key(key)
        return TimeWindow(window.start, window.end)
    return frozenset({str(key)})

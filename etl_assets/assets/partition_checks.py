"""What is wrong with the partitions of streams, told when their definitions are loaded."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from etl_assets.assets.bindings import Binding
from etl_assets.assets.partitions import PartitionFields
from etl_assets.destinations.base import Destination
from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.model.selection import selected_columns
from etl_assets.model.stream import Stream
from etl_assets.sources.read import takes_partitions
from etl_assets.strategies import WriteStrategy


@dataclass(frozen=True)
class _Problem:
    """What is wrong with the partitions of a stream, and what to do about it."""

    text: str
    hint: str


def check_partitions(
    bindings: Sequence[Binding], specs: Sequence[dg.AssetSpec], destination: Any
) -> None:
    """Refuse partitions that the source or the destination cannot do, or that are half said.

    Args:
        bindings: Of the streams.
        specs: Of their assets: a translator may give these their partitions, too.
        destination: Where the rows go; None where only a run knows it.

    Raises:
        ConfigError: It says what is wrong, and with which stream.
    """
    for binding, spec in zip(bindings, specs, strict=True):
        problem = next(_problems(binding, spec.partitions_def, destination), None)
        if problem is not None:
            stream = binding.stream
            text = f"stream {stream.full_name!r}: {problem.text}."
            raise ConfigError(text, hint=problem.hint, stream=stream.name)
        if spec.partitions_def is not None and binding.writing.partition_by is not None:
            _check_fields(binding, spec.partitions_def)


def check_one_definition(bindings: Sequence[Binding], specs: Iterable[dg.AssetSpec]) -> None:
    """Refuse streams of one step that have different partitions: a run is for partitions of one.

    Raises:
        ConfigError: Names two such streams.
    """
    partitioned = [
        (binding.stream, spec.partitions_def)
        for binding, spec in zip(bindings, specs, strict=True)
        if spec.partitions_def is not None
    ]
    for stream, definition in partitioned[1:]:
        first, its_definition = partitioned[0]
        if definition != its_definition:
            raise ConfigError(
                f"stream {stream.full_name!r}: its partitions are other ones than those of "
                f"{first.full_name!r}, and one step loads both.",
                hint="Give all partitioned streams of the source the same partitions_def, or read "
                'each stream by itself with granularity="stream".',
                stream=stream.name,
            )


def _problems(
    binding: Binding, definition: dg.PartitionsDefinition[Any] | None, destination: Any
) -> Iterator[_Problem]:
    if definition is None:
        yield from _without_partitions(binding)
        return
    options, stream, writing = binding.options, binding.stream, binding.writing
    if writing.partition_by is None:
        yield _Problem(
            "it has a partitions_def, and nothing says which of its rows are in a partition",
            hint=f'Name the field: options={{"{stream.full_name}": '
            '{"partition_by": "updated_at"}}.',
        )
    if options.split is not None:
        yield _Problem(
            "it is split, and loaded by partition", hint="Leave out split, or partitions_def."
        )
    if writing.strategy is WriteStrategy.APPEND:
        yield _Problem(
            "the rows of a partition take the place of those that are there, so they cannot be "
            "appended",
            hint='Leave write_strategy out, or set it to "auto".',
        )
    if stream.method == "LOG_BASED":
        yield _Problem(
            "its source gives the changes of a log, of which no partition can be read",
            hint="Leave partitions_def out, or read its table: set replication_method to "
            "FULL_TABLE.",
        )
    if not takes_partitions(binding.source) and writing.outside_partition == "error":
        yield _Problem(
            f"{type(binding.source).__name__} cannot be asked for the rows of a partition: its "
            "`load_data` takes neither `query` nor `window`",
            hint="Give it one of them, or have each run read everything and leave out the rows of "
            'other partitions: outside_partition="drop".',
        )
    if isinstance(destination, Destination) and not destination.capabilities.partitions:
        yield _Problem(
            f"{destination!r} cannot replace the rows of single partitions",
            hint="Leave partitions_def out, or load into a database.",
        )


def _without_partitions(binding: Binding) -> Iterator[_Problem]:
    """Yield what is said of the partitions of a stream that has none."""
    options = binding.options
    said = {
        "partition_by": options.partition_by,
        "backfill_policy": options.backfill_policy,
        "outside_partition": options.outside_partition,
    }
    for name, value in said.items():
        if value is not None:
            yield _Problem(
                f"it has the option {name}, and no partitions",
                hint="Give it a partitions_def, such as dagster.DailyPartitionsDefinition(...), or "
                f"leave {name} out.",
            )


def _check_fields(binding: Binding, definition: dg.PartitionsDefinition[Any]) -> None:
    """Refuse fields that do not fit the partitions, or that the stream does not have."""
    stream, writing = binding.stream, binding.writing
    by = writing.partition_by
    if by is None:
        return
    PartitionFields(definition, by, stream.full_name, writing.outside_partition)
    known = _declared_fields(stream)
    for field in [by] if isinstance(by, str) else by.values():
        if known and field not in known:
            raise ConfigError(
                f"stream {stream.full_name!r}: partition_by names the field {field!r}, which it "
                "does not have.",
                hint=did_you_mean(field, known),
                stream=stream.name,
            )


def _declared_fields(stream: Stream) -> Sequence[str]:
    return selected_columns(stream) or list((stream.schema or {}).get("properties") or ())

"""The source and stream an asset of ours was made of, kept on the function that materializes it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dagster as dg

from etl_assets.assets.alike import alike
from etl_assets.assets.config import SyncConfig
from etl_assets.assets.dagster_private import assets_of_repository, compute_function
from etl_assets.assets.options import StreamOptions, Writing
from etl_assets.destinations.base import Destination
from etl_assets.exceptions import ConfigError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead

_ATTRIBUTE = "etl_assets_binding"
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Binding:
    """One stream of one source, and how its rows meet its table.

    Args:
        hashed: Another stream of the source has the table that is called as this stream's would be
            by default.
    """

    source: Source
    source_name: str
    stream: Stream
    writing: Writing
    options: StreamOptions = field(default_factory=StreamOptions)
    hashed: bool = False

    @property
    def is_partitioned(self) -> bool:
        """Whether the stream is loaded by partition."""
        return self.writing.partition_by is not None

    def table(self, destination: Destination) -> TableName:
        """Return the table that the rows go into."""
        return self.writing.table or default_table(
            destination, self.source_name, self.stream, hashed=self.hashed
        )

    def read(self, config: SyncConfig) -> StreamRead:
        """Return the lazy read of one run.

        Raises:
            ConfigError: The config says nothing of this stream, or contradicts itself.
        """
        if self.is_partitioned:
            self._refuse_for_partitions(config)
        if config.keep_bookmark and config.bookmark is None:
            raise ConfigError(
                f"stream {self.stream.name!r}: keep_bookmark says nothing without a bookmark.",
                hint="Give the `bookmark` to read from, too, or leave keep_bookmark out.",
                stream=self.stream.name,
            )
        read = StreamRead(
            self.source,
            self.stream,
            source_name=self.source_name,
            limit=config.limit,
            query=config.query,
            full_refresh=config.full_refresh,
            bookmark=config.bookmark,
        )
        read.keep_bookmark = config.keep_bookmark
        return read

    def _refuse_for_partitions(self, config: SyncConfig) -> None:
        for name in ("bookmark", "limit", "query"):
            if getattr(config, name) is not None:
                raise ConfigError(
                    f"stream {self.stream.name!r}: a partition is loaded whole, and the run config "
                    f"has {name}.",
                    hint=f"Leave {name} out of the run config, and choose the partitions instead.",
                    stream=self.stream.name,
                )


def default_table(
    destination: Destination, source: str, stream: Stream, *, hashed: bool
) -> TableName:
    """Return the table that a stream's rows go into by default.

    Args:
        destination: Where to.
        source: The source's name.
        stream: The stream.
        hashed: Another stream has the table that would be called so.
    """
    table = destination.table_for(source, stream)
    limit = destination.capabilities.max_identifier_bytes
    return table.hashed(stream.full_name, limit) if hashed else table


def bound(function: Function, bindings: Mapping[str, Binding]) -> Function:
    """Keep bindings, by output name, on the function of an asset.

    There they survive when the asset is given other keys or resources.
    """
    setattr(function, _ATTRIBUTE, dict(bindings))
    return function


def bindings_of(assets: Iterable[Any]) -> dict[dg.AssetKey, Binding]:
    """Return the bindings of those assets that `stream_assets` made, by their present keys."""
    found: dict[dg.AssetKey, Binding] = {}
    for one in assets:
        if isinstance(one, dg.AssetsDefinition):
            bindings = getattr(compute_function(one), _ATTRIBUTE, {})
            found.update(
                {
                    key: bindings[name]
                    for name, key in one.keys_by_output_name.items()
                    if name in bindings
                }
            )
    return found


def bindings_in(targets: Iterable[Any]) -> list[Binding]:
    """Return the bindings of all assets in definitions and repositories."""
    found: list[Binding] = []
    for target in targets:
        assets: Any = (
            target.assets_defs_by_key.values()
            if isinstance(target, dg.RepositoryDefinition)
            else target.assets
        )
        found.extend(bindings_of(_flat(assets or ())).values())
    return found


def _flat(assets: Any) -> Iterator[Any]:
    for one in assets:
        if type(one) in {list, tuple}:  # an AssetSpec is a tuple too
            yield from _flat(one)
        else:
            yield one


def refuse_same_names(context: dg.AssetExecutionContext, bindings: Iterable[Binding]) -> None:
    """Refuse two different sources of one name in a repository: they would share state and tables.

    Args:
        context: Of a step.
        bindings: Of the streams that the step loads; all others are looked through once.

    Raises:
        ConfigError: Names both sources.
    """
    by_name = {(one.source_name, one.stream.key): one for one in bindings}
    for other in bindings_of(assets_of_repository(context)).values():
        binding = by_name.get((other.source_name, other.stream.key))
        if binding is not None and not alike(other.source, binding.source):
            raise ConfigError(
                f"Two sources are named {binding.source_name!r}: {other.source!r} and "
                f"{binding.source!r}, and both have the stream {binding.stream.full_name!r}.",
                hint="Give one of them another name: it is the key of the stored state.",
                stream=binding.stream.name,
            )

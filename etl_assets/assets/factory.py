"""Assets of a source's streams. Loading them connects to nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from etl_assets.arguments import TEXT, checked
from etl_assets.assets import names
from etl_assets.assets.arguments import check_arguments, check_op_name, check_place
from etl_assets.assets.bindings import Binding
from etl_assets.assets.catalogs import (
    CatalogMissingError,
    catalog_path,
    known_at_load,
    streams_at_load,
)
from etl_assets.assets.collector import Declared, collect, is_collecting
from etl_assets.assets.dagster_private import resource_of
from etl_assets.assets.io_manager import to_io_manager
from etl_assets.assets.lineage import (
    COLUMN_LINEAGE,
    UPSTREAM,
    Upstream,
    declared_lineage,
    source_asset_specs,
    upstream_keys,
)
from etl_assets.assets.literals import warn_of_literals
from etl_assets.assets.options import (
    ALIAS,
    HASHED_TABLE,
    NAMESPACE,
    SOURCE,
    STREAM,
    TABLE,
    Contract,
    StreamOptions,
    writing_of,
)
from etl_assets.assets.partition_checks import check_partitions
from etl_assets.assets.steps import StepSettings
from etl_assets.assets.stream_step import assets_of_streams, check_steps
from etl_assets.assets.translator import StreamProps, StreamTranslator
from etl_assets.destinations.base import Destination
from etl_assets.destinations.database.rejected import rejected_table
from etl_assets.exceptions import ConfigError, did_you_mean, shorten
from etl_assets.model.catalog import Catalog
from etl_assets.model.selection import selected_columns
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import identifiers
from etl_assets.sources.base import Source
from etl_assets.sources.read import refuse_tap
from etl_assets.sources.source_read import reads_together
from etl_assets.strategies import WriteStrategy

Granularity = Literal["stream", "source"]
CatalogLike = Catalog | Mapping[str, Any] | str | Path
OptionsByStream = Mapping[str, StreamOptions | Mapping[str, Any]]


@dataclass(frozen=True)
class _Call:
    """The arguments that `stream_assets` and `build_stream_asset_specs` share."""

    source: Source
    source_name: str
    destination: Destination | None = None
    io_manager_key: str | None = None
    translator: StreamTranslator = field(default_factory=StreamTranslator)
    write_strategy: WriteStrategy | str = WriteStrategy.AUTO
    options: Mapping[str, StreamOptions] = field(default_factory=dict)
    defaults: StreamOptions = field(default_factory=StreamOptions)
    schema_contract: Contract | None = None
    destination_kind: str | None = None
    upstream: Upstream | None = None

    def bind(self, stream: Stream) -> Binding:
        own = self.options.get(stream.full_name) or self.options.get(stream.name)
        options = self.defaults if own is None else own.over(self.defaults)
        stream = options.applied_to(stream)
        can = self.destination.capabilities if self.destination else None
        return Binding(
            source=self.source,
            source_name=self.source_name,
            stream=stream,
            writing=writing_of(options, stream, self.write_strategy, self.schema_contract, can),
            options=options,
        )

    def table(self, binding: Binding) -> TableName:
        # With a resource key the destination is not known yet; the general rules are those of most.
        return binding.table(self.destination or Destination())

    def told_apart(self, bindings: Sequence[Binding], known: Sequence[Stream]) -> list[Binding]:
        """Return the bindings, no two with one table by default.

        Args:
            bindings: Of the streams of this call.
            known: The other streams of the source, as far as they are known, so that the same ones
                have the same tables whichever are loaded.
        """
        place = self.destination or Destination()
        named = {binding.stream.key for binding in bindings if binding.writing.table}
        every = {
            stream.key: stream for stream in (*known, *(binding.stream for binding in bindings))
        }
        unnamed = [one for key, one in every.items() if key not in named]
        tables = place.tables_for(self.source_name, unnamed)
        told_apart = []
        for one in bindings:
            by_default = self.table(one)
            is_hashed = tables.get(one.stream.key, by_default) != by_default
            told_apart.append(replace(one, hashed=True) if is_hashed else one)
        return told_apart

    def spec(self, binding: Binding, upstream: dg.AssetKey | None = None) -> dg.AssetSpec:
        """Return the spec of a stream's asset.

        Args:
            binding: Of the stream.
            upstream: The asset that stands for the source's table, if there is one.
        """
        stream = binding.stream
        table = self.table(binding)
        columns = selected_columns(stream) or ()
        name = getattr(self.destination, "column_identifiers", None)
        props = StreamProps(
            source_name=self.source_name,
            stream=stream,
            source_kind=self.source.storage_kind or getattr(self.source, "protocol", None),
            destination_kind=self.destination_kind
            or getattr(self.destination, "storage_kind", None),
            table=table,
            columns=name(columns, {}, ()) if callable(name) else identifiers(columns),
            options=binding.options,
        )
        # What the IO manager reads back, whatever a translator says.
        ours: dict[str, Any] = {SOURCE: self.source_name, STREAM: stream.name}
        if stream.namespace:
            ours[NAMESPACE] = stream.namespace
        if stream.stream_alias:
            ours[ALIAS] = stream.stream_alias
        if binding.hashed:
            ours[HASHED_TABLE] = True
        if self.destination is not None:
            ours[TABLE] = {"schema": table.schema, "name": table.name}
        if upstream is not None:
            ours[UPSTREAM] = upstream
            if props.columns:
                ours[COLUMN_LINEAGE] = declared_lineage(props.columns, upstream)
        return self.translator.get_asset_spec(props).merge_attributes(
            metadata={**ours, **binding.writing.metadata()},
            deps=[] if upstream is None else [upstream],
        )


@checked(
    io_manager_key=TEXT,
    granularity=TEXT,
    retry_policy=(dg.RetryPolicy, "a dagster.RetryPolicy"),
    pool=TEXT,
    destination_kind=TEXT,
    op_name=TEXT,
)
def stream_assets(  # noqa: PLR0913 - the one call that a project makes for each source
    source: Source,
    streams: Sequence[str] | str | None = None,
    *,
    destination: Any = None,
    io_manager_key: str | None = None,
    name: str | None = None,
    catalog: CatalogLike | None = None,
    translator: StreamTranslator | None = None,
    write_strategy: WriteStrategy | str = WriteStrategy.AUTO,
    options: OptionsByStream | None = None,
    defaults: StreamOptions | Mapping[str, Any] | None = None,
    schema_contract: Contract | None = None,
    granularity: Granularity | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    pool: str | None = None,
    destination_kind: str | None = None,
    op_name: str | None = None,
    upstream: Upstream | None = None,
) -> list[dg.AssetsDefinition]:
    """Return an asset for each stream of a source.

    ```python
    warehouse = DuckDBDestination("warehouse.duckdb")
    defs = dg.Definitions(assets=stream_assets(shop, ["orders"], destination=warehouse))
    ```

    Args:
        source: Where the rows come from.
        streams: Names and globs; None for what the catalog selects.
        destination: Where they go: a destination, or an IO manager. The assets carry it.
        io_manager_key: In place of a destination: the resource of the project that is the IO
            manager.
        name: Of the source, in place of its own.
        catalog: The streams, as an object or a file; else the committed `catalogs/<source>.json`,
            else what the source declares, else the names in `streams`.
        translator: Says what the assets are.
        write_strategy: `auto`, `append`, `merge` or `replace`, where a stream's options say
            nothing.
        options: What is particular about single streams, by name.
        defaults: Options of all streams, where a stream's own say nothing; of tags, metadata and
            checks, each entry.
        schema_contract: What may change about the tables, where a stream's options say nothing:
            `evolve`, `freeze`, `discard_value` or `discard_row`, or a mapping of `columns` and
            `data_type` to these.
        granularity: `stream`: a step for each stream; `source`: one step, and one read, for all of
            them. None for what the source needs.
        retry_policy: Of each step, where a stream's options say nothing.
        pool: Dagster's limit on what runs at once, where a stream's options say nothing.
        destination_kind: What the UI shows as the kind of the destination, such as `postgresql`;
            for an `io_manager_key`, of which nothing is known before a run.
        op_name: Of the one step of `granularity="source"`, in place of the source's name: where
            two steps read streams of one source, one of them needs it.
        upstream: The assets that stand for the source's tables, for Dagster's lineage: what
            `build_source_asset_specs` gave, or the key of an asset by the stream's name.

    Raises:
        ConfigError: Neither or both of `destination` and `io_manager_key`; a source without a name,
            or that writes Singer messages itself; a name or an option that there is not; two
            streams with one key or one table; no catalog for a glob; an argument of a wrong type.
    """
    check_arguments(source, streams, name, translator, options)
    check_place(destination, io_manager_key)
    together = _granularity(source, granularity) == "source"
    check_op_name(op_name, together=together)
    if not together:
        refuse_tap(source)
    manager = None if destination is None else to_io_manager(destination)
    place = getattr(manager, "destination", None)
    warn_of_literals(source, place)
    call = _Call(
        source=source,
        source_name=named(source, name),
        destination=place,
        io_manager_key=io_manager_key,
        translator=translator or StreamTranslator(),
        write_strategy=write_strategy,
        options=_options(options),
        schema_contract=schema_contract,
        defaults=_defaults(defaults),
        destination_kind=destination_kind,
        upstream=upstream,
    )
    bindings, specs = _bound(call, streams, catalog)
    key = io_manager_key or _resource_key(call, specs)
    check_steps(bindings, specs, place, together=together)
    resources = {} if manager is None else {key: resource_of(manager)}
    settings = StepSettings(retry_policy=retry_policy, pool=pool, name=op_name, resources=resources)
    return assets_of_streams(bindings, specs, key, settings, together=together)


@checked(destination=(Destination, "an etl_assets Destination"), destination_kind=TEXT)
def build_stream_asset_specs(  # noqa: PLR0913 - what `stream_assets` takes, but for the steps
    source: Source,
    streams: Sequence[str] | str | None = None,
    *,
    destination: Destination | None = None,
    name: str | None = None,
    catalog: CatalogLike | None = None,
    translator: StreamTranslator | None = None,
    write_strategy: WriteStrategy | str = WriteStrategy.AUTO,
    options: OptionsByStream | None = None,
    defaults: StreamOptions | Mapping[str, Any] | None = None,
    schema_contract: Contract | None = None,
    destination_kind: str | None = None,
) -> list[dg.AssetSpec]:
    """Return the specs alone, for assets that something else materializes.

    Args:
        source: Where the rows come from.
        streams: Names and globs; None for what the catalog selects.
        destination: Where the tables are, if that is known.
        name: Of the source, in place of its own.
        catalog: As for `stream_assets`.
        translator: Says what the assets are.
        write_strategy: As for `stream_assets`.
        options: What is particular about single streams, by name.
        defaults: As for `stream_assets`.
        schema_contract: As for `stream_assets`.
        destination_kind: As for `stream_assets`.

    Raises:
        ConfigError: As for `stream_assets`.
    """
    check_arguments(source, streams, name, translator, options)
    call = _Call(
        source=source,
        source_name=named(source, name),
        destination=destination,
        translator=translator or StreamTranslator(),
        write_strategy=write_strategy,
        options=_options(options),
        schema_contract=schema_contract,
        defaults=_defaults(defaults),
        destination_kind=destination_kind,
    )
    return _bound(call, streams, catalog)[1]


def build_source_asset_specs(
    source: Source,
    streams: Sequence[str] | str | None = None,
    *,
    name: str | None = None,
    catalog: CatalogLike | None = None,
    key_prefix: Sequence[str] | str = "source",
) -> list[dg.AssetSpec]:
    """Return an external asset for each table of a source, to be the origin in Dagster's lineage.

    ```python
    tables = build_source_asset_specs(shop)
    assets = stream_assets(shop, destination=warehouse, upstream=tables)
    defs = dg.Definitions(assets=[*tables, *assets])
    ```

    Nothing materializes them: they say where the rows of the streams come from.

    Args:
        source: The source.
        streams: Names and globs; None for what the catalog selects.
        name: Of the source, in place of its own.
        catalog: As for `stream_assets`.
        key_prefix: What the keys begin with, before the names of source and stream.

    Raises:
        ConfigError: As for `stream_assets`.
    """
    check_arguments(source, streams, name, None, None)
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix)
    return source_asset_specs(source, streams, named(source, name), catalog, prefix)


def _bound(
    call: _Call, streams: Sequence[str] | str | None, catalog: CatalogLike | None
) -> tuple[list[Binding], list[dg.AssetSpec]]:
    """Return what is known of each stream, and its asset's spec, checked against each other."""
    bindings = _bindings(call, streams, catalog)
    bindings = call.told_apart(
        bindings, known_at_load(call.source, catalog, catalog_path(call.source_name))
    )
    upstream = upstream_keys(
        call.upstream, call.source_name, [binding.stream for binding in bindings]
    )
    specs = [call.spec(binding, upstream.get(binding.stream.full_name)) for binding in bindings]
    _check_places(call, bindings, specs)
    check_partitions(bindings, specs, call.destination)
    return bindings, specs


def bindings_by_key(
    source: Source,
    streams: Sequence[str] | str | None,
    name: str,
    catalog: CatalogLike | None,
    translator: StreamTranslator | None,
    options: OptionsByStream | None,
    *,
    defaults: StreamOptions | Mapping[str, Any] | None = None,
) -> dict[dg.AssetKey, Binding]:
    """Return the streams of a source by the keys that `stream_assets` gives them."""
    call = _Call(
        source=source,
        source_name=name,
        translator=translator or StreamTranslator(),
        options=_options(options),
        defaults=_defaults(defaults),
    )
    return {
        call.spec(binding).key: binding
        for binding in _bindings(call, streams, catalog, report=False)
    }


def named(source: Source, name: str | None) -> str:
    """Return the name under which a source's state is stored.

    Raises:
        ConfigError: It has none.
    """
    chosen = name or source.state_name
    if not chosen:
        raise ConfigError(
            f"{type(source).__name__} has no name.",
            hint=f'Give it one, unique in the project: {type(source).__name__}(name="..."), or '
            'name="..." here. It names the keys, the group, the schema and the stored state.',
        )
    return chosen


def _granularity(source: Source, wanted: str | None) -> str:
    if wanted not in {None, "stream", "source"}:
        raise ConfigError(
            f"There is no granularity {wanted!r}.", hint='It is "stream" or "source".'
        )
    needs_one_step = reads_together(source)
    reads_one_by_one = type(source).load_data is not Source.load_data
    if wanted == "stream" and needs_one_step and not reads_one_by_one:
        raise ConfigError(
            f"{type(source).__name__} reads all its streams at once: it has no load_data for one "
            "of them.",
            hint='Leave granularity="stream" out.',
        )
    return wanted or ("source" if needs_one_step else "stream")


def _options(given: OptionsByStream | None) -> dict[str, StreamOptions]:
    return {stream: StreamOptions.of(one, stream) for stream, one in (given or {}).items()}


def _defaults(given: StreamOptions | Mapping[str, Any] | None) -> StreamOptions:
    """Return the options of all streams.

    Raises:
        ConfigError: They have an option that there is not, or one that no two streams can share.
    """
    if given is None:
        return StreamOptions()
    if not isinstance(given, StreamOptions | Mapping):
        raise ConfigError(
            f"defaults is {shorten(given)}.",
            hint='They are options: defaults=StreamOptions(owners=["team:shop"]), or a dict of '
            "them.",
        )
    defaults = given if isinstance(given, StreamOptions) else StreamOptions(**given)
    if defaults.table is not None:
        raise ConfigError(
            f"defaults= names the table {str(defaults.table)!r}, which all streams would share.",
            hint='Name it for the one stream: options={"orders": {"table": "..."}}.',
        )
    return defaults


def _bindings(
    call: _Call,
    streams: Sequence[str] | str | None,
    catalog: CatalogLike | None,
    *,
    report: bool = True,
) -> list[Binding]:
    if isinstance(streams, str):
        streams = [streams]
    selection = None if streams is None else list(streams)
    path = catalog_path(call.source_name)
    missing, problem = False, None
    try:
        found = streams_at_load(call.source, call.source_name, selection, catalog, path)
    except ConfigError as error:
        if not is_collecting():
            raise
        # `discover` must be able to load what it is going to mend.
        found, missing = [], True
        if not isinstance(error, CatalogMissingError):
            problem = str(error)
    if not missing:
        _check_options(call, found)
    bindings = [call.bind(stream) for stream in found]
    if report:
        collect(
            Declared(
                source=call.source,
                source_name=call.source_name,
                destination=call.destination,
                io_manager_key=call.io_manager_key,
                selection=selection,
                streams=[binding.stream for binding in bindings],
                catalog_path=path,
                catalog_missing=missing,
                problem=problem,
            )
        )
    return bindings


def _check_options(call: _Call, streams: Sequence[Stream]) -> None:
    known = {name for stream in streams for name in (stream.name, stream.full_name)}
    for name in call.options:
        if name not in known:
            raise ConfigError(
                f"options= names the stream {name!r}, which is not among the streams of this call.",
                hint=did_you_mean(name, known),
                stream=name,
            )


def _check_places(call: _Call, bindings: Sequence[Binding], specs: Sequence[dg.AssetSpec]) -> None:
    keys: dict[dg.AssetKey, Stream] = {}
    tables: dict[tuple[str, str], Stream] = {}
    for binding in bindings:
        if binding.writing.keep_rejected:
            kept = rejected_table(call.table(binding))
            tables[kept.folded] = binding.stream
    for binding, spec in zip(bindings, specs, strict=True):
        stream, table = binding.stream, call.table(binding)
        other = keys.setdefault(spec.key, stream)
        if other is not stream:
            raise ConfigError(
                f"The streams {other.full_name!r} and {stream.full_name!r} share the asset key "
                f"{spec.key.to_user_string()!r}.",
                hint="Give one of them another key, with a translator.",
                stream=stream.name,
            )
        other = tables.setdefault(table.folded, stream)
        if other is not stream:
            raise ConfigError(
                f"The streams {other.full_name!r} and {stream.full_name!r} share the table "
                f"{str(table)!r}.",
                hint=f'Give one of them another: options={{"{stream.full_name}": '
                '{"table": "..."}}.',
                stream=stream.name,
            )


def _resource_key(call: _Call, specs: Sequence[dg.AssetSpec]) -> str:
    """Return the key of the destination's resource, such as `shop__customers__destination`.

    People read it in the launchpad and in the log. It is named after the first asset, as no other
    asset of the definitions has its key; so it is of its own, and the same in every process.
    """
    if not specs:
        return f"{names.word(call.source_name)}__destination"
    first = min((spec.key for spec in specs), key=lambda key: tuple(key.path))
    return f"{names.op_name(first)}__destination"

"""Where rows come from, for Dagster's graph: the tables of a source, and their columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from etl_assets.assets.catalogs import catalog_path, streams_at_load
from etl_assets.assets.dagster_private import TableMetadataSet
from etl_assets.assets.markdown import as_description
from etl_assets.assets.metadata import declared_table_schema
from etl_assets.assets.names import group_name
from etl_assets.assets.options import PREFIX
from etl_assets.exceptions import ConfigError, did_you_mean, shorten
from etl_assets.model.stored import Column
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source

UPSTREAM = f"{PREFIX}upstream"
"""Definition metadata of a stream's asset: the key of the asset that stands for its source."""
UPSTREAM_OF = f"{PREFIX}upstream_of"
"""Definition metadata of an asset that stands for a source's table: `source/stream`."""
COLUMN_LINEAGE = "dagster/column_lineage"

Upstream = Iterable[dg.AssetSpec] | Mapping[str, Any]
"""The specs of a source's tables, or the key of the asset by the stream's name."""


def source_asset_specs(
    source: Source,
    streams: Sequence[str] | str | None,
    source_name: str,
    catalog: Any,
    key_prefix: Sequence[str],
) -> list[dg.AssetSpec]:
    """Return the specs of a source's tables, as `build_source_asset_specs` does."""
    selection = [streams] if isinstance(streams, str) else streams
    found = streams_at_load(source, source_name, selection, catalog, catalog_path(source_name))
    return [_source_spec(source, source_name, stream, key_prefix) for stream in found]


def _source_spec(
    source: Source, source_name: str, stream: Stream, key_prefix: Sequence[str]
) -> dg.AssetSpec:
    kind = source.storage_kind
    fields = (stream.schema or {}).get("properties") or {}
    own_names = {field: field for field in fields}
    shown = TableMetadataSet(
        column_schema=declared_table_schema(stream, own_names), storage_kind=kind
    )
    table = {key: shown[key] for key in shown.keys()}  # noqa: SIM118 - it has no __iter__
    namespace = [stream.namespace] if stream.namespace else []
    text = stream.description or f"{stream.full_name} in the source {source_name}."
    return dg.AssetSpec(
        dg.AssetKey([*key_prefix, source_name, *namespace, stream.name]),
        description=as_description(text),
        group_name=group_name(source_name),
        kinds={kind} if kind else set(),
        metadata={**table, UPSTREAM_OF: f"{source_name}/{stream.full_name}"},
    )


def upstream_keys(
    upstream: Upstream | None, source_name: str, streams: Sequence[Stream]
) -> dict[str, dg.AssetKey]:
    """Return the key of the asset that stands for each stream's source, by the stream's full name.

    Args:
        upstream: What `stream_assets(upstream=...)` was given.
        source_name: The source's name.
        streams: The streams of the call.

    Raises:
        ConfigError: It names a stream that there is not, or none of these.
    """
    if upstream is None:
        return {}
    if isinstance(upstream, Mapping):
        return _keys_by_name(upstream, streams)
    wanted = {f"{source_name}/{stream.full_name}": stream.full_name for stream in streams}
    found = {}
    for spec in upstream:
        if not isinstance(spec, dg.AssetSpec):
            raise ConfigError(
                f"upstream= holds {shorten(spec)}.",
                hint="It is what build_source_asset_specs gave, or the key of an asset by the "
                'stream\'s name: upstream={"orders": "shop_db/orders"}.',
            )
        name = wanted.get(str(spec.metadata.get(UPSTREAM_OF)))
        if name is not None:
            found[name] = spec.key
    if not found and streams:
        raise ConfigError(
            f"No asset in upstream= stands for a stream of {source_name!r}.",
            hint="Give it what build_source_asset_specs gave for the same source and the same "
            "name, or the key of an asset by the stream's name.",
        )
    return found


def _keys_by_name(upstream: Mapping[str, Any], streams: Sequence[Stream]) -> dict[str, dg.AssetKey]:
    known = {
        name: stream.full_name for stream in streams for name in (stream.name, stream.full_name)
    }
    found = {}
    for name, given in upstream.items():
        if name not in known:
            raise ConfigError(
                f"upstream= names the stream {name!r}, which is not among the streams of this "
                "call.",
                hint=did_you_mean(name, known),
                stream=name,
            )
        found[known[name]] = _key_of(given)
    return found


def _key_of(given: Any) -> dg.AssetKey:
    if isinstance(given, dg.AssetSpec):
        return given.key
    return dg.AssetKey.from_coercible_or_definition(
        dg.AssetKey.from_user_string(given) if isinstance(given, str) else given
    )


def declared_lineage(columns: Mapping[str, str], upstream: dg.AssetKey) -> dg.TableColumnLineage:
    """Return that each column comes from the field of the source that it holds.

    Args:
        columns: The column of each field.
        upstream: The asset that stands for the source's table.
    """
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(asset_key=upstream, column_name=field)]
            for field, column in columns.items()
        }
    )


def lineage_metadata(
    definition: Mapping[str, Any], columns: Sequence[Column], own_columns: Sequence[str]
) -> dict[str, Any]:
    """Return the lineage of a table's columns as metadata of its event; empty without an upstream.

    Args:
        definition: The definition metadata of the asset.
        columns: The table's columns.
        own_columns: Columns that this library adds, which come from no source.
    """
    given = definition.get(UPSTREAM)
    upstream = given.value if isinstance(given, dg.MetadataValue) else given
    if not isinstance(upstream, dg.AssetKey) or not columns:
        return {}
    fields = {one.name: one.physical for one in columns if one.physical not in own_columns}
    return {COLUMN_LINEAGE: declared_lineage(fields, upstream)}

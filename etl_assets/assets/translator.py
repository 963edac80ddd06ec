"""From a stream to an asset: one small method for each thing that an asset spec says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from etl_assets.assets.dagster_private import TableMetadataSet
from etl_assets.assets.markdown import as_description
from etl_assets.assets.metadata import declared_table_schema
from etl_assets.assets.names import group_name
from etl_assets.assets.options import StreamOptions, shown_table
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream


@dataclass(frozen=True)
class StreamProps:
    """What a translator knows of a stream.

    Args:
        source_name: The source's name.
        stream: The stream, with the keys that its options gave it.
        source_kind: Such as `postgresql`; None where the source does not say.
        destination_kind: Such as `duckdb`; None where only a resource key is known.
        table: Where its rows are kept.
        columns: The column of each declared field.
        options: What `stream_assets(options=...)` says of it.
    """

    source_name: str
    stream: Stream
    source_kind: str | None
    destination_kind: str | None
    table: TableName
    columns: Mapping[str, str] = field(default_factory=dict)
    options: StreamOptions = field(default_factory=StreamOptions)


class StreamTranslator:
    """Says what the asset of a stream is; a subclass overrides what it wants to be different.

    ```python
    class Upper(StreamTranslator):
        def get_asset_key(self, props):
            return dg.AssetKey(["raw", props.stream.name.upper()])
    ```
    """

    def get_asset_spec(self, props: StreamProps) -> dg.AssetSpec:
        """Put the spec together from the methods below."""
        return dg.AssetSpec(
            self.get_asset_key(props),
            deps=self.get_deps(props),
            description=self.get_description(props),
            metadata=self.get_metadata(props),
            group_name=self.get_group_name(props),
            automation_condition=self.get_automation_condition(props),
            owners=self.get_owners(props),
            tags=self.get_tags(props),
            kinds=self.get_kinds(props),
            code_version=self.get_code_version(props),
            freshness_policy=self.get_freshness_policy(props),
            partitions_def=self.get_partitions_def(props),
        )

    def get_asset_key(self, props: StreamProps) -> dg.AssetKey:
        """Return the key: source, namespace if there is one, stream; names as they are."""
        namespace = [props.stream.namespace] if props.stream.namespace else []
        return dg.AssetKey([props.source_name, *namespace, props.stream.name])

    def get_group_name(self, props: StreamProps) -> str:
        """Return the group: the source's name."""
        return props.options.group or group_name(props.source_name)

    def get_description(self, props: StreamProps) -> str:
        """Return the description, as Markdown.

        It is that of the options, else the stream's own as text, else the stream's name.
        """
        if props.options.description:
            return props.options.description
        text = (
            props.stream.description or f"Stream {props.stream.full_name} of {props.source_name}."
        )
        return as_description(text)

    def get_tags(self, props: StreamProps) -> Mapping[str, str]:
        """Return the tags; none by default."""
        return props.options.tags or {}

    def get_kinds(self, props: StreamProps) -> set[str]:
        """Return the kinds of source and destination, which the UI shows with their logos."""
        return {kind for kind in (props.source_kind, props.destination_kind) if kind}

    def get_owners(self, props: StreamProps) -> Sequence[str]:
        """Return the owners; none by default."""
        return props.options.owners or ()

    def get_deps(self, props: StreamProps) -> Sequence[Any]:
        """Return the assets it comes after; none by default."""
        # Dagster takes a text for a key of one part, and refuses one with a slash.
        return [
            dg.AssetKey.from_user_string(one) if isinstance(one, str) else one
            for one in props.options.deps or ()
        ]

    def get_automation_condition(self, props: StreamProps) -> dg.AutomationCondition[Any] | None:
        """Return the condition under which Dagster materializes it by itself; none by default."""
        return props.options.automation_condition

    def get_freshness_policy(self, props: StreamProps) -> dg.FreshnessPolicy | None:
        """Return how old it may become; nothing by default."""
        return props.options.freshness_policy

    def get_partitions_def(self, props: StreamProps) -> dg.PartitionsDefinition[Any] | None:
        """Return its partitions; none by default."""
        return props.options.partitions_def

    def get_code_version(self, props: StreamProps) -> str | None:
        """Return the version of what makes it; none by default."""
        return props.options.code_version

    def get_metadata(self, props: StreamProps) -> Mapping[str, Any]:
        """Return the definition metadata: the table, its columns, and what the options add."""
        shown = TableMetadataSet(
            column_schema=declared_table_schema(props.stream, props.columns or None),
            table_name=shown_table(props.table) or str(props.table),
            storage_kind=props.destination_kind,
        )
        table = {key: shown[key] for key in shown.keys()}  # noqa: SIM118 - it has no __iter__
        return {**table, **(props.options.metadata or {})}

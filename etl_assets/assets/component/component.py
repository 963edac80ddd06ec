"""`etl_assets.StreamsComponent`: what `stream_assets` makes, said in YAML."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import BaseModel
from typing_extensions import override

from etl_assets.assets.catalog_cli import first_catalog
from etl_assets.assets.catalogs import (
    GLOB,
    CatalogMissingError,
    catalog_path,
    catalogs_in,
)
from etl_assets.assets.component.models import (
    NamedModel,
    OpModel,
    OverviewModel,
    ScheduleModel,
    SensorModel,
    SourceModel,
    StepOptions,
    StreamModel,
    UpstreamModel,
    op_options,
    to_destination,
    to_options,
    to_source,
    words_of,
)
from etl_assets.assets.component.scaffolder import StreamsScaffolder
from etl_assets.assets.component.schema import with_plain_schema
from etl_assets.assets.component.templates import located, rendered
from etl_assets.assets.factory import (
    Granularity,
    build_source_asset_specs,
    named,
    stream_assets,
)
from etl_assets.assets.io_manager import to_io_manager
from etl_assets.assets.names import word
from etl_assets.assets.options import StreamOptions
from etl_assets.assets.overview import OVERVIEW, build_overview_asset
from etl_assets.assets.sensors import build_source_sensor, build_sync_schedule
from etl_assets.assets.translator import StreamProps, StreamTranslator
from etl_assets.exceptions import ConfigError, shorten
from etl_assets.model.catalog import Catalog
from etl_assets.sources.base import Source
from etl_assets.strategies import WriteStrategy

Streams = Mapping[str, StreamOptions]
Words = Mapping[str, Any]
Schedules = Sequence[Words]


def _streams(
    context: dg.ResolutionContext, given: Mapping[str, StreamModel | None] | list[str] | str | None
) -> Streams | None:
    """Return the options of each stream that is named; globs have none. Nothing is all of them."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {
            name: to_options(context.at_path(name), model, name) for name, model in given.items()
        }
    with located(context):
        names = rendered(context, given)
    return {str(name): StreamOptions() for name in ([names] if isinstance(names, str) else names)}


def _defaults(context: dg.ResolutionContext, given: StreamModel) -> StreamOptions:
    return to_options(context, given, "defaults")


def _schedules(
    context: dg.ResolutionContext, given: list[ScheduleModel] | ScheduleModel | str
) -> Schedules:
    listed = given if isinstance(given, list) else [given]
    found = []
    for one in listed:
        with located(context):
            if isinstance(one, ScheduleModel):
                found.append(words_of(context, one))
            else:
                found.append({"cron_schedule": rendered(context, one)})
    return found


def _words(
    context: dg.ResolutionContext,
    given: dg.Model | bool | str | None,  # noqa: FBT001 - such as `sensor: true`
) -> Words | None:
    """Return the arguments of what `true` switches on, or None where it is off."""
    with located(context):
        if isinstance(given, dg.Model):
            return words_of(context, given)
        switched = rendered(context, given)
        if switched is None or isinstance(switched, bool):
            return {} if switched else None
        raise ConfigError(
            f"It is {shorten(given)}, which switches nothing on or off.",
            hint="Write true or false, without quotes, or the options one by one.",
        )


def _catalog(context: dg.ResolutionContext, given: str) -> Path:
    with located(context):
        return context.resolve_source_relative_path(str(rendered(context, given)))


@dg.scaffold_with(StreamsScaffolder)
@dataclass(kw_only=True)
class StreamsComponent(dg.StateBackedComponent, dg.Resolvable):
    """The streams of a source as assets, each of which a run loads into a destination.

    Loading it connects to nothing: the streams come from a committed catalog, from the state that
    `dg utils refresh-defs-state` writes, or from the names in `streams`.
    """

    source: Annotated[
        Source,
        dg.Resolver(
            to_source,
            model_field_type=SourceModel | str,
            inject_before_resolve=False,
            description="Where the rows come from: `name`, `config` and what else it takes.",
        ),
    ]
    destination: Annotated[
        Any,
        dg.Resolver(
            to_destination,
            model_field_type=NamedModel | str | None,
            inject_before_resolve=False,
            description="Where they go: `name`, `config` and what else it takes.",
        ),
    ] = None
    io_manager_key: Annotated[
        str | None,
        dg.Resolver.default(description="In place of a destination: a resource of the project."),
    ] = None
    destination_kind: Annotated[
        str | None,
        dg.Resolver.default(description="What the UI shows as the kind of that resource."),
    ] = None
    streams: Annotated[
        Streams | None,
        dg.Resolver(
            _streams,
            model_field_type=dict[str, StreamModel | None] | list[str] | str | None,
            inject_before_resolve=False,
            description="Names and globs, or the options of each; all of the catalog by default.",
        ),
    ] = None
    defaults: Annotated[
        StreamOptions,
        dg.Resolver(
            _defaults,
            model_field_type=StreamModel,
            inject_before_resolve=False,
            description="Options of all streams.",
        ),
    ] = field(default_factory=StreamOptions)
    translation: Annotated[
        TranslationFn[StreamProps] | None,
        TranslationFnResolver[StreamProps](
            lambda props: {"props": props, "stream": props.stream, "source": props.source_name}
        ),
    ] = None
    op: Annotated[
        StreamOptions,
        dg.Resolver(
            op_options,
            model_field_type=OpModel,
            inject_before_resolve=False,
            description="The steps: tags, pool, retry policy, hooks.",
        ),
    ] = field(default_factory=StreamOptions)
    granularity: Annotated[
        Granularity | None,
        dg.Resolver.default(description="`stream`: a step for each; `source`: one for all."),
    ] = None
    write_strategy: Annotated[
        str,
        dg.Resolver.default(description="`auto`, `append`, `merge` or `replace`."),
    ] = WriteStrategy.AUTO.value
    schema_contract: Annotated[
        str | dict[str, str] | None,
        dg.Resolver.default(description="What may change about the tables."),
    ] = None
    catalog: Annotated[
        Path | None,
        dg.Resolver(
            _catalog,
            model_field_type=str,
            inject_before_resolve=False,
            description="A file, from the folder of this one; else `catalogs/<source>.json` of the "
            "project, else what the last refresh found.",
        ),
    ] = None
    schedule: Annotated[
        Schedules,
        dg.Resolver(
            _schedules,
            model_field_type=list[ScheduleModel] | ScheduleModel | str,
            inject_before_resolve=False,
            description="A cron schedule, or several with their options.",
        ),
    ] = ()
    sensor: Annotated[
        Words | None,
        dg.Resolver(
            _words,
            model_field_type=SensorModel | bool,
            inject_before_resolve=False,
            description="Launch the streams that have new data: true, or its options.",
        ),
    ] = None
    upstream: Annotated[
        Words | None,
        dg.Resolver(
            _words,
            model_field_type=UpstreamModel | bool,
            inject_before_resolve=False,
            description="Show the source's tables in the lineage: true, or which assets they are.",
        ),
    ] = None
    overview: Annotated[
        Words | None,
        dg.Resolver(
            _words,
            model_field_type=OverviewModel | bool,
            inject_before_resolve=False,
            description="An asset that shows all streams on one page: true, or its options.",
        ),
    ] = None
    # Not at load: whoever starts `dagster dev` or calls `dg` would connect.
    defs_state: ResolvedDefsStateConfig = field(
        default_factory=lambda: DefsStateConfigArgs(
            management_type=DefsStateConfigArgs.local_filesystem().management_type,
            refresh_if_dev=False,
        )
    )

    @classmethod
    @override
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Return what `dg` and the UI tell of this type."""
        return dg.ComponentTypeSpec(
            description="The streams of a source as assets, loaded into a destination.",
            produces=["asset", "schedule", "sensor"],
        )

    @classmethod
    @override
    def get_model_cls(cls) -> type[BaseModel]:
        """Return the model of the YAML, with a schema by which each error has a line of its own."""
        return with_plain_schema(cls.model())

    @property
    @override
    def defs_state_config(self) -> DefsStateConfig:
        """Where the state is kept: the catalog that was found at the last refresh."""
        return DefsStateConfig.from_args(
            self.defs_state, default_key=f"StreamsComponent[{named(self.source, None)}]"
        )

    @override
    def write_state_to_path(self, state_path: Path) -> None:
        """Ask the source for its streams and write its catalog: it holds nothing of its config."""
        first_catalog(self.source, named(self.source, None)).dump(state_path)

    @override
    def build_defs_from_state(
        self, context: dg.ComponentLoadContext, state_path: Path | None
    ) -> dg.Definitions:
        """Return the assets of the streams, with their schedules and sensor.

        Raises:
            ConfigError: As for `stream_assets`; also where it is not known which streams there are.
        """
        try:
            with catalogs_in(context.project_root):
                tables = self._tables(state_path)
                assets = self._assets(state_path, tables)
        except CatalogMissingError as error:
            raise ConfigError(
                error.message,
                hint="Run `dg utils refresh-defs-state`, commit a catalog, or name the streams.",
            ) from None
        overview = [] if self.overview is None else [self._overview(self.overview, assets)]
        return dg.Definitions(
            assets=[*tables, *assets, *overview],
            schedules=[
                *(self._schedule(words, assets) for words in self.schedule),
                *self._schedules_of(overview),
            ],
            sensors=[] if self.sensor is None else [self._sensor(self.sensor, assets)],
        )

    def get_asset_spec(self, props: StreamProps) -> dg.AssetSpec:
        """Return the spec of a stream's asset.

        A subclass may override it, for a rule that YAML cannot express.
        """
        spec = StreamTranslator().get_asset_spec(props)
        return spec if self.translation is None else self.translation(spec, props)

    def _assets(
        self, state_path: Path | None, tables: Sequence[dg.AssetSpec]
    ) -> list[dg.AssetsDefinition]:
        streams = self.streams
        if streams is not None:
            _refuse_options_of_globs(streams)
        return stream_assets(
            self.source,
            None if streams is None else list(streams),
            destination=self.destination,
            io_manager_key=self.io_manager_key,
            destination_kind=self.destination_kind,
            catalog=self._known(state_path),
            translator=_Translated(self),
            write_strategy=self.write_strategy,
            options={name: one for name, one in (streams or {}).items() if one != StreamOptions()},
            defaults=self.defaults.over(self.op),
            schema_contract=self.schema_contract,
            granularity=self.granularity,
            op_name=self.op.op_name if isinstance(self.op, StepOptions) else None,
            upstream=tables or (self.upstream or {}).get("keys"),
        )

    def _tables(self, state_path: Path | None) -> list[dg.AssetSpec]:
        """Return external assets of the source's tables, unless others stand for them."""
        words = self.upstream
        if words is None:
            return []
        if "keys" in words:
            if "key_prefix" in words:
                raise ConfigError(
                    "upstream has both keys and key_prefix.",
                    hint="The assets that stand for the tables are either there (`keys`), or made "
                    "(`key_prefix`).",
                )
            return []
        return build_source_asset_specs(
            self.source,
            None if self.streams is None else list(self.streams),
            catalog=self._known(state_path),
            **words,
        )

    def _known(self, state_path: Path | None) -> Catalog | Path | None:
        """Return the catalog to go by, or None for the committed one, or where there is none."""
        if self.catalog is not None:
            return self.catalog
        if state_path is None or catalog_path(named(self.source, None)).exists():
            return None
        return Catalog.load(state_path)

    def _schedule(
        self, words: Mapping[str, Any], assets: Sequence[dg.AssetsDefinition]
    ) -> dg.ScheduleDefinition:
        status = dg.DefaultScheduleStatus[words.get("default_status", "STOPPED")]
        full_refresh = words.get("full_refresh", False)
        name = f"{named(self.source, None)}_{'full_refresh' if full_refresh else 'sync'}"
        return build_sync_schedule(assets, **{"name": name, **words, "default_status": status})

    def _sensor(
        self, words: Mapping[str, Any], assets: Sequence[dg.AssetsDefinition]
    ) -> dg.SensorDefinition:
        status = dg.DefaultSensorStatus[words.get("default_status", "STOPPED")]
        return build_source_sensor(
            self.source, assets=assets, **{**words, "default_status": status}
        )

    def _overview(self, words: Words, assets: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
        given = words.get("key", [*OVERVIEW.path, named(self.source, None)])
        manager = None if self.destination is None else to_io_manager(self.destination)
        return build_overview_asset(
            assets,
            destination=getattr(manager, "destination", None),
            key=dg.AssetKey.from_user_string(given) if isinstance(given, str) else given,
            group_name=words.get("group_name", OVERVIEW.path[0]),
        )

    def _schedules_of(
        self, overview: Sequence[dg.AssetsDefinition]
    ) -> Iterator[dg.ScheduleDefinition]:
        when = (self.overview or {}).get("cron_schedule")
        if when is not None:
            yield build_sync_schedule(
                overview, when, name=f"{word(named(self.source, None))}_overview"
            )


class _Translated(StreamTranslator):
    """What the component says an asset is."""

    def __init__(self, component: StreamsComponent) -> None:
        self._component = component

    @override
    def get_asset_spec(self, props: StreamProps) -> dg.AssetSpec:
        return self._component.get_asset_spec(props)


def _refuse_options_of_globs(streams: Streams) -> None:
    for name, options in streams.items():
        if set(name) & GLOB and options != StreamOptions():
            raise ConfigError(
                f"streams: {name!r} stands for many streams, and has options.",
                hint="Options of all streams belong under `defaults`, those of one under its name.",
                stream=name,
            )

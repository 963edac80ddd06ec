"""What can be said of one stream without a translator.

It reaches the IO manager as definition metadata.
"""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, TypeVar

import dagster as dg

from etl_assets import checks
from etl_assets.arguments import COUNT, FLAG, OBJECT, TEXT, Kind, check
from etl_assets.assets.known_words import known_words
from etl_assets.assets.partitions import PartitionBy
from etl_assets.checks import Check
from etl_assets.exceptions import ArgumentTypeError, ConfigError, did_you_mean
from etl_assets.model.bookmarks.appending import LateRows
from etl_assets.model.contract import EVOLVES, SchemaContract
from etl_assets.model.load import Capabilities, RepeatedKeys, contract_of
from etl_assets.model.partitions import OutsidePartition
from etl_assets.model.schema.type_overrides import types_of
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.strategies import WriteStrategy

PREFIX = "etl_assets/"
SOURCE = f"{PREFIX}source"
STREAM = f"{PREFIX}stream"
NAMESPACE = f"{PREFIX}namespace"
ALIAS = f"{PREFIX}stream_alias"
TABLE = f"{PREFIX}table"
HASHED_TABLE = f"{PREFIX}hashed_table"
WRITE_STRATEGY = f"{PREFIX}write_strategy"
PRIMARY_KEY = f"{PREFIX}primary_key"
ON_CONFLICT = f"{PREFIX}on_conflict"
ON_TABLE_CHANGED = f"{PREFIX}on_table_changed"
ADOPT = f"{PREFIX}adopt"
SCHEMA_CONTRACT = f"{PREFIX}schema_contract"
KEEP_REJECTED = f"{PREFIX}keep_rejected"
LATE_ROWS = f"{PREFIX}late_rows"
REPEATED_KEYS = f"{PREFIX}repeated_keys"
PARTITION_BY = f"{PREFIX}partition_by"
OUTSIDE_PARTITION = f"{PREFIX}outside_partition"
PREVIEW = f"{PREFIX}preview"
MOST_PREVIEWED = 50
"""An event shows at most so many rows."""
PARTITION_BY_KEYS = (PARTITION_BY, "partition_by", "partition_expr")
"""Definition metadata that names the field of partitions; an asset of one's own may have any."""

V = TypeVar("V")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

OnConflict = Literal["update", "ignore"]
OnTableChanged = Literal["error", "full_refresh"]
Contract = SchemaContract | str | Mapping[str, str]
_CONFLICTS: dict[str, OnConflict] = {"update": "update", "ignore": "ignore"}
_TABLE_CHANGES: dict[str, OnTableChanged] = {"error": "error", "full_refresh": "full_refresh"}
_REPEATED_KEYS: dict[str | None, RepeatedKeys | None] = {
    None: None,
    "newest": "newest",
    "last": "last",
}
_LATE_ROWS: dict[str | None, LateRows | None] = {
    None: None,
    "drop": "drop",
    "error": "error",
    "load": "load",
}

_OUTSIDE: dict[str, OutsidePartition] = {"error": "error", "drop": "drop"}

SPELLINGS = {"group_name": "group"}
"""Other words for options, as Dagster's YAML has them."""

MERGED = ("metadata", "op_tags", "tags")
"""Options that are mappings: a stream's own entries join those of the defaults."""

_KINDS: dict[str, Kind] = {
    "adopt": FLAG,
    "automation_condition": (dg.AutomationCondition, "a dagster.AutomationCondition"),
    "backfill_policy": (dg.BackfillPolicy, "a dagster.BackfillPolicy"),
    "code_version": TEXT,
    "deps": ((list, tuple, AbstractSet), "a list of assets or of their keys"),
    "description": TEXT,
    "freshness_policy": (dg.FreshnessPolicy, "a dagster.FreshnessPolicy"),
    "group": TEXT,
    "keep_rejected": FLAG,
    "metadata": OBJECT,
    "op_tags": OBJECT,
    "owners": ((list, tuple), "a list of names"),
    "partition_by": ((str, Mapping), "a field, or a mapping of fields by dimension"),
    "partitions_def": (dg.PartitionsDefinition, "a dagster.PartitionsDefinition"),
    "pool": TEXT,
    "replication_method": TEXT,
    "retry_policy": (dg.RetryPolicy, "a dagster.RetryPolicy"),
    "tags": OBJECT,
}


@known_words(SPELLINGS)
@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """What is particular about one stream; None leaves it to the stream, or to the call's default.

    Args:
        write_strategy: `auto`, `append`, `merge` or `replace`.
        primary_key: The fields that tell its rows apart.
        replication_key: The field that grows; makes the stream incremental.
        replication_method: `FULL_TABLE`, `INCREMENTAL` or `LOG_BASED`.
        types: Types of fields whose source is wrong about them, such as `{"id": "string"}`; see
            `Stream`.
        on_conflict: What a merge does with a key that is there already: `update` or `ignore`.
        on_table_changed: What to do when somebody emptied or dropped its table: `error` or
            `full_refresh`.
        adopt: Take over a table that this library did not make.
        schema_contract: What may change about its table: `evolve`, `freeze`, `discard_value` or
            `discard_row`, or a mapping of `columns` and `data_type` to these.
        keep_rejected: Keep the records that the contract leaves out, or takes a value from, in
            `<table>__rejected`.
        late_rows: What becomes of appended rows from before the bookmark: `drop`, `error` or
            `load`. By default they are an error for a stream with a primary key, else dropped,
            counted and told.
        repeated_keys: Which of several images of a key in one read is merged: the `newest` by the
            replication key (by default), or the `last` to come.
        table: Its place, such as `schema.table`, already in the destination's spelling.
        deps: Assets it comes after.
        description: In place of the stream's own.
        group: In place of the source's name; also `group_name`, as in Dagster's YAML.
        tags: Of the asset.
        metadata: More of it, for the asset's definition.
        owners: Of the asset, such as `team:shop` or a mail address.
        automation_condition: When Dagster materializes it by itself.
        freshness_policy: How old it may become.
        code_version: Of what makes it: once it changes, Dagster shows the asset as out of date.
        pool: Dagster's limit on what runs at once.
        retry_policy: Of its step.
        op_tags: Of its step, for the executor: a Celery queue, the resources of a pod.
        hooks: Called by Dagster when its step has succeeded or failed.
        checks: What its table is checked for by each load: a list of `etl_assets.checks`, or of
            dicts such as `{"unique_key": {}}`; also one dict. Those of the defaults are checked
            too, but for those of the same name; an empty list is for none.
        split: Read it, when it is loaded as a whole, in so many ranges of its primary key, each in
            a step of its own.
        partitions_def: Dagster's partitions, each of which is loaded whole by the run that is for
            it.
        partition_by: The field that says in which partition a row is, or the field of each
            dimension.
        backfill_policy: How many partitions a run of a backfill is for; one by default.
        outside_partition: What becomes of rows in none of a run's partitions: `error` or `drop`.
        preview: So many rows of each load are shown with its event; by default none, because
            everyone who sees the asset sees them.
    """

    write_strategy: WriteStrategy | str | None = None
    primary_key: Sequence[str] | str | None = None
    replication_key: Sequence[str] | str | None = None
    replication_method: str | None = None
    types: Mapping[str, str | Mapping[str, Any]] | None = None
    on_conflict: OnConflict | None = None
    on_table_changed: OnTableChanged | None = None
    adopt: bool | None = None
    schema_contract: Contract | None = None
    keep_rejected: bool | None = None
    late_rows: LateRows | None = None
    repeated_keys: RepeatedKeys | None = None
    table: TableName | str | None = None
    deps: Sequence[Any] | None = None
    description: str | None = None
    group: str | None = None
    tags: Mapping[str, str] | None = None
    metadata: Mapping[str, Any] | None = None
    owners: Sequence[str] | None = None
    automation_condition: dg.AutomationCondition[Any] | None = None
    freshness_policy: dg.FreshnessPolicy | None = None
    code_version: str | None = None
    pool: str | None = None
    retry_policy: dg.RetryPolicy | None = None
    op_tags: Mapping[str, Any] | None = None
    hooks: AbstractSet[dg.HookDefinition] | None = None
    checks: Sequence[Check | Mapping[str, Any] | str] | Mapping[str, Any] | None = None
    split: int | None = None
    partitions_def: dg.PartitionsDefinition[Any] | None = None
    partition_by: PartitionBy | None = None
    backfill_policy: dg.BackfillPolicy | None = None
    outside_partition: OutsidePartition | None = None
    preview: int | None = None

    def __post_init__(self) -> None:
        """Refuse what Dagster, or a run, would fail on later without naming the option."""
        for name, kind in _KINDS.items():
            if getattr(self, name) is not None:
                check("StreamOptions", name, getattr(self, name), kind)
        for name in ("owners", *MERGED):
            _check_texts(name, getattr(self, name) or ())
        if self.hooks is not None:
            _check_hooks(self.hooks)
        if self.preview is not None:
            _check_preview(self.preview)
        if self.checks is not None:
            object.__setattr__(self, "checks", checks.of(self.checks))

    @classmethod
    def of(cls, given: "StreamOptions | Mapping[str, Any]", stream: str) -> Self:
        """Read options given as a dict.

        Args:
            given: The dict, or options as they are.
            stream: Whose they are, for the message.

        Raises:
            ConfigError: It has an option that there is not, or that is of another type.
        """
        if isinstance(given, cls):
            return given
        values = dict(given) if isinstance(given, Mapping) else vars(given)
        try:
            return cls(**values)
        except ConfigError as error:
            message = error.message.removeprefix("StreamOptions: ")
            raise ConfigError(
                f"stream {stream!r}: {message}", hint=error.hint, stream=stream
            ) from None

    def over(self, defaults: "StreamOptions") -> Self:
        """Return these options, and where they say nothing those of `defaults`."""
        joined: dict[str, Any] = {}
        if self.checks is not None or defaults.checks is not None:
            joined["checks"] = checks.joined(self.checked, defaults.checked)
        for name in (each.name for each in fields(self)):
            own, default = getattr(self, name), getattr(defaults, name)
            if name in joined:
                continue
            if own is None:
                joined[name] = default
            elif name in MERGED and default is not None:
                joined[name] = {**default, **own}
        return replace(self, **joined)

    @property
    def checked(self) -> Sequence[Check] | None:
        """The checks as they were read; None where nothing is said of them."""
        return None if self.checks is None else checks.of(self.checks)

    def applied_to(self, stream: Stream) -> Stream:
        """Return the stream with the keys, method and types of these options in place of its own.

        Raises:
            ConfigError: A method or type is none there is, or the method is INCREMENTAL without a
                replication key.
        """
        changes: dict[str, Any] = {}
        if self.primary_key is not None:
            changes["primary_key"] = self.primary_key
        if self.replication_key is not None:
            changes["replication_key"] = self.replication_key
            if stream.method == "FULL_TABLE":
                changes["replication_method"] = "INCREMENTAL"
        if self.replication_method is not None:
            changes["replication_method"] = self.replication_method
        if self.types is not None:
            changes["types"] = {**stream.types, **types_of(self.types, stream.name)}
        return stream.replace(**changes) if changes else stream


def _check_texts(name: str, given: Iterable[Any]) -> None:
    """Refuse names, and keys of mappings, that are no texts."""
    for one in given:
        if not isinstance(one, str):
            raise ArgumentTypeError(
                f"StreamOptions: {name} has names that are texts, and {one!r} is none."
            )


def _check_preview(rows: Any) -> int:
    """Return how many rows are to be shown."""
    check("StreamOptions", "preview", rows, COUNT)
    if not 0 <= rows <= MOST_PREVIEWED:
        raise ConfigError(
            f"preview is {rows}.", hint=f"Give a number of rows from 0 to {MOST_PREVIEWED}."
        )
    return int(rows)


def _check_hooks(hooks: Any) -> None:
    is_set = isinstance(hooks, AbstractSet)
    if not is_set or not all(isinstance(one, dg.HookDefinition) for one in hooks):
        raise ArgumentTypeError("StreamOptions: hooks must be a set of Dagster hooks.")


@dataclass(frozen=True)
class Writing:
    """How the rows of an asset meet its table."""

    strategy: WriteStrategy
    on_conflict: OnConflict = "update"
    on_table_changed: OnTableChanged = "error"
    adopt: bool = False
    table: TableName | None = None
    contract: SchemaContract = EVOLVES
    keep_rejected: bool = False
    late_rows: LateRows | None = None
    repeated_keys: RepeatedKeys | None = None
    partition_by: PartitionBy | None = None
    outside_partition: OutsidePartition = "error"
    preview: int = 0

    def metadata(self) -> dict[str, Any]:
        """Return this as definition metadata: people see it, and the IO manager reads it back."""
        shown: dict[str, Any] = {WRITE_STRATEGY: str(self.strategy)}
        if self.on_conflict != "update":
            shown[ON_CONFLICT] = self.on_conflict
        if self.on_table_changed != "error":
            shown[ON_TABLE_CHANGED] = self.on_table_changed
        if self.adopt:
            shown[ADOPT] = True
        if not self.contract.evolves:
            shown[SCHEMA_CONTRACT] = self.contract.spelled()
        if self.keep_rejected:
            shown[KEEP_REJECTED] = True
        if self.late_rows is not None:
            shown[LATE_ROWS] = self.late_rows
        if self.repeated_keys is not None:
            shown[REPEATED_KEYS] = self.repeated_keys
        if self.table is not None:
            shown[TABLE] = {"schema": self.table.schema, "name": self.table.name}
        if self.preview:
            shown[PREVIEW] = self.preview
        return shown | self._of_partitions()

    def _of_partitions(self) -> dict[str, Any]:
        if self.partition_by is None:
            return {}
        by = self.partition_by
        shown: dict[str, Any] = {PARTITION_BY: by if isinstance(by, str) else dict(by)}
        if self.outside_partition != "error":
            shown[OUTSIDE_PARTITION] = self.outside_partition
        return shown

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], *, default: WriteStrategy) -> Self:
        """Read it back from definition metadata, also from what a hand-written asset declares.

        Raises:
            ConfigError: A value is not one of those there are.
        """
        table = plain(metadata.get(TABLE))
        return cls(
            strategy=to_strategy(plain(metadata.get(WRITE_STRATEGY)) or default),
            on_conflict=_one_of(
                _CONFLICTS, plain(metadata.get(ON_CONFLICT)) or "update", ON_CONFLICT
            ),
            on_table_changed=_one_of(
                _TABLE_CHANGES, plain(metadata.get(ON_TABLE_CHANGED)) or "error", ON_TABLE_CHANGED
            ),
            adopt=bool(plain(metadata.get(ADOPT))),
            table=None if table is None else to_table(table),
            contract=SchemaContract.of(plain(metadata.get(SCHEMA_CONTRACT))),
            keep_rejected=bool(plain(metadata.get(KEEP_REJECTED))),
            late_rows=_one_of(_LATE_ROWS, plain(metadata.get(LATE_ROWS)), LATE_ROWS),
            repeated_keys=_one_of(
                _REPEATED_KEYS, plain(metadata.get(REPEATED_KEYS)), REPEATED_KEYS
            ),
            partition_by=partition_by_of(metadata),
            outside_partition=_one_of(
                _OUTSIDE, plain(metadata.get(OUTSIDE_PARTITION)) or "error", OUTSIDE_PARTITION
            ),
            preview=_check_preview(plain(metadata.get(PREVIEW)) or 0),
        )


def writing_of(
    options: StreamOptions,
    stream: Stream,
    default: WriteStrategy | str,
    contract: Contract | None = None,
    capabilities: Capabilities | None = None,
) -> Writing:
    """Put together how a stream is written.

    The stream's options come first, then what its catalog says, then the call's defaults.

    Args:
        options: Of the stream.
        stream: What its catalog says.
        default: The call's write strategy.
        contract: The call's schema contract.
        capabilities: Of the destination, where it is known.

    Raises:
        ConfigError: An option has a value that there is not; names the stream where it is the
            contract's.
    """
    ignore = stream.unique_conflict_method == "IGNORE"
    return Writing(
        strategy=to_strategy(options.write_strategy or default),
        on_conflict=_one_of(
            _CONFLICTS, options.on_conflict or ("ignore" if ignore else "update"), "on_conflict"
        ),
        on_table_changed=_one_of(
            _TABLE_CHANGES, options.on_table_changed or "error", "on_table_changed"
        ),
        adopt=bool(options.adopt),
        table=None if options.table is None else to_table(options.table),
        contract=_contract(options, stream, contract, capabilities),
        keep_rejected=bool(options.keep_rejected),
        late_rows=_one_of(_LATE_ROWS, options.late_rows, "late_rows"),
        repeated_keys=_one_of(_REPEATED_KEYS, options.repeated_keys, "repeated_keys"),
        partition_by=options.partition_by,
        outside_partition=_one_of(
            _OUTSIDE, options.outside_partition or "error", "outside_partition"
        ),
        preview=options.preview or 0,
    )


def partition_by_of(metadata: Mapping[str, Any]) -> PartitionBy | None:
    """Return the field, or the fields by dimension, that say in which partition a row is.

    Dagster's own IO managers for tables read `partition_expr`.

    Args:
        metadata: Of an asset's definition.

    Raises:
        ConfigError: It is neither a name nor a mapping of names.
    """
    given = next((metadata[key] for key in PARTITION_BY_KEYS if key in metadata), None)
    found = plain(given)
    if found is None or (isinstance(found, str) and found):
        return found
    if isinstance(found, Mapping) and all(isinstance(name, str) for name in found.values()):
        return dict(found)
    raise ConfigError(
        f"{PARTITION_BY} cannot be {found!r}.",
        hint='Name the field, such as "updated_at"; of several dimensions one for each: '
        '{"day": "at", "tenant": "tenant_id"}.',
    )


def _contract(
    options: StreamOptions,
    stream: Stream,
    default: Contract | None,
    capabilities: Capabilities | None,
) -> SchemaContract:
    said = options.schema_contract is not None or stream.disable_column_type_check is not None
    given = options.schema_contract if said else default
    try:
        return contract_of(given, stream, capabilities, keep_rejected=bool(options.keep_rejected))
    except ConfigError as error:
        if error.stream is not None:
            raise
        message = f"stream {stream.full_name!r}: {error.message}"
        raise ConfigError(message, hint=error.hint, stream=stream.name) from None


def to_strategy(value: Any) -> WriteStrategy:
    """Read a write strategy.

    Raises:
        ConfigError: There is none of that name.
    """
    try:
        return WriteStrategy(value)
    except ValueError:
        hint = did_you_mean(str(value), WriteStrategy)
        raise ConfigError(f"There is no write strategy {value!r}.", hint=hint) from None


def to_table(value: Any) -> TableName:
    """Read a table's place.

    It is a `TableName`, `schema.table`, or `{"schema": ..., "name": ...}` if a name has dots.
    """
    if isinstance(value, TableName):
        return value
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return TableName(value["name"], str(value.get("schema") or ""))
    if isinstance(value, str) and value:
        schema, _, name = value.rpartition(".")
        return TableName(name, schema)
    hint = 'Write "schema.table", or {"schema": "schema", "name": "table"} where a name holds dots.'
    raise ConfigError(f"{value!r} is no table.", hint=hint)


def shown_table(table: TableName) -> str | None:
    """Return a table's name as people write it, or None if the name needs quoting."""
    return (
        str(table)
        if all(_PLAIN.fullmatch(part) for part in (table.name, table.schema or "main"))
        else None
    )


def plain(value: Any) -> Any:
    """Return what a metadata value holds; definition metadata comes back raw or wrapped."""
    return value.value if isinstance(value, dg.MetadataValue) else value


def _one_of(known: Mapping[Any, V], value: Any, name: str) -> V:
    if not isinstance(value, Hashable) or value not in known:
        names = ", ".join(sorted(one for one in known if one is not None))
        raise ConfigError(f"{name} cannot be {value!r}.", hint=f"Use one of {names}.")
    return known[value]

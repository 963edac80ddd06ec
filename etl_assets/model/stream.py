"""One stream of a catalog: what it is called, what its rows look like, and how they are read.

A `Stream` is written by hand in few words, or read from an entry of a Singer catalog, with or
without Mage's keys. An entry that was read is given back by `to_dict` exactly as it was, but for
what `replace` has changed since.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypeVar

from etl_assets.arguments import checked
from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.model.catalog_entries import (
    arguments_of,
    by_breadcrumb,
    changed_metadata,
    copied,
    entry_of,
    forced_method,
    metadata_at,
    values_of,
)

ReplicationMethod = Literal["FULL_TABLE", "INCREMENTAL", "LOG_BASED"]
ConflictMethod = Literal["UPDATE", "IGNORE"]
T = TypeVar("T")


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Stream:
    """One stream: its names, its schema, its keys, how it is read and what of it is selected.

    ```python
    Stream("users", primary_key="id", replication_key="updated_at")
    ```

    Immutable, equal by value, hashed by `key`. Treat the dicts it holds as read-only.

    Args:
        name: What tells it from the source's other streams; Singer's `tap_stream_id`.
        namespace: The schema or the like it comes from, where names alone are not unique.
        schema: JSON Schema with `properties`; None if the columns are to be found in the rows.
        primary_key: The field, or fields, that tell rows apart.
        replication_key: The field whose largest value says how far the stream was read; several
            make a composite one.
        replication_method: `FULL_TABLE`, `INCREMENTAL` or `LOG_BASED`; None is `INCREMENTAL` where
            there is a replication key, else `FULL_TABLE`.
        bookmark_properties: Mage's word for the fields of a composite replication key.
        bookmark_property_operators: Mage's comparison per bookmark property, such as `{"id": ">"}`.
        unique_constraints: Fields to merge by where they are not the primary key.
        unique_conflict_method: `UPDATE` or `IGNORE`: what a merge does with a key that is there
            already.
        auto_add_new_fields: New columns of the source are selected as they appear.
        disable_column_type_check: Mage's switch for the check of values against the schema; None
            leaves it open.
        partition_keys: Hints for destinations that partition their tables.
        run_in_parallel: Mage's hint for its scheduler.
        stream_alias: The name of the table, where it is not the stream's.
        selected: None leaves it to the metadata.
        columns: Names or globs of the columns to read; None leaves it to the metadata.
        types: Types of fields whose source is wrong about them, such as `{"id": "string"}`: they
            beat its schema, also one that it changes in the midst of a read. `string`, `integer`,
            `number`, `boolean`, `date`, `time`, `date-time`, `object`, `array`, `json`, or a JSON
            Schema.
        metadata: Singer's metadata: entries of `breadcrumb` and `metadata`. Kept as given.
        description: What the stream is, for people.
        extra: Keys of a catalog entry that this library does not know. Kept as given.

    Raises:
        ConfigError: An argument is not of its kind, the replication method is unknown, or it is
            `INCREMENTAL` and there is neither a replication key nor metadata that says the source
            keeps a bookmark of its own (`forced-replication-method`).
    """

    name: str
    stream: str
    """What Singer calls `stream`: the name of the thing at the source, which need not be unique."""
    namespace: str | None
    stream_alias: str | None
    description: str | None
    primary_key: tuple[str, ...]
    replication_method: ReplicationMethod
    """How the stream is read; never None."""
    replication_key: str | None
    bookmark_properties: tuple[str, ...]
    bookmark_property_operators: dict[str, Any] | None
    unique_constraints: tuple[str, ...]
    unique_conflict_method: ConflictMethod | None
    partition_keys: tuple[str, ...]
    auto_add_new_fields: bool
    disable_column_type_check: bool | None
    run_in_parallel: bool
    selected: bool | None
    columns: tuple[str, ...] | None
    types: dict[str, str | dict[str, Any]]
    schema: dict[str, Any] | None
    metadata: tuple[dict[str, Any], ...]
    extra: dict[str, Any]

    @checked()
    def __init__(  # noqa: PLR0913 - the words of three protocols
        self,
        name: str,
        *,
        namespace: str | None = None,
        schema: Mapping[str, Any] | None = None,
        primary_key: Sequence[str] | str = (),
        replication_key: Sequence[str] | str | None = None,
        replication_method: str | None = None,
        bookmark_properties: Sequence[str] | str = (),
        bookmark_property_operators: Mapping[str, Any] | None = None,
        unique_constraints: Sequence[str] | str = (),
        unique_conflict_method: str | None = None,
        auto_add_new_fields: bool = False,
        disable_column_type_check: bool | None = None,
        partition_keys: Sequence[str] | str = (),
        run_in_parallel: bool = False,
        stream_alias: str | None = None,
        selected: bool | None = None,
        columns: Sequence[str] | str | None = None,
        types: Mapping[str, str | Mapping[str, Any]] | None = None,
        metadata: Iterable[Mapping[str, Any]] = (),
        description: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        # The arguments are the only locals, and each has a field of its name.
        given = {
            argument: copied(value) for argument, value in locals().items() if argument != "self"
        }
        self._fill({**given, "stream": None}, {})

    def _fill(self, given: dict[str, Any], entry: dict[str, Any]) -> None:
        """Set every field.

        `given` is kept for `replace`, `entry` (empty if there is none) for `to_dict`.
        """
        for name, value in {**values_of(given), "_given": given, "_entry": entry}.items():
            object.__setattr__(self, name, value)
        own_bookmark = forced_method(self.metadata_of()) == "INCREMENTAL"
        if self.replication_method == "INCREMENTAL" and not self.cursor and not own_bookmark:
            raise ConfigError(
                f"stream {self.full_name!r}: its replication method is INCREMENTAL, but it has no "
                "replication key.",
                hint="Give it a replication_key, or make it FULL_TABLE.",
                stream=self.name,
            )

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of a Singer catalog, with or without Mage's keys.

        Raises:
            ConfigError: The entry has no name, or a key has a value that is not of its kind.
        """
        kept = copied(entry)
        return cls._made(arguments_of(kept), kept)

    def to_dict(self) -> dict[str, Any]:
        """Return the stream as an entry of a Singer catalog.

        It is as it was read, but for what has changed since.
        """
        return entry_of(self._values(), self._kept("_entry"))

    def replace(self, **changes: Any) -> Self:
        """Return a copy in which the named arguments are others.

        A new replication key takes the place of the old one's bookmark properties too.

        Raises:
            ConfigError: There is no such argument, or the outcome is not valid.
        """
        given = self._kept("_given")
        for name in changes:
            if name not in given:
                raise ConfigError(
                    f"A stream has no {name!r}.", hint=did_you_mean(name, given), stream=self.name
                )
        follow: dict[str, Any] = {"metadata": changed_metadata(self.metadata, changes)}
        if "replication_key" in changes:
            follow["bookmark_properties"] = ()
        if "name" in changes and self.stream == self.name:
            follow["stream"] = None
        return self._made({**given, **follow, **copied(changes)}, self._kept("_entry"))

    @classmethod
    def _made(cls, given: dict[str, Any], entry: dict[str, Any]) -> Self:
        made = cls.__new__(cls)
        made._fill(given, entry)  # noqa: SLF001 - its own class
        return made

    def remembered(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` gives, made once: a stream never changes.

        Args:
            name: Of what is made.
            make: Makes it of the stream alone.
        """
        kept: dict[str, Any] = self.__dict__.setdefault("_remembered", {})
        if name not in kept:
            kept[name] = make()
        found: T = kept[name]
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_remembered"}

    def _kept(self, name: str) -> dict[str, Any]:
        kept: dict[str, Any] = self.__dict__[name]
        return kept

    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def key(self) -> tuple[str, str]:
        """What tells the stream from all others of its source: (namespace or "", name)."""
        return (self.namespace or "", self.name)

    @property
    def full_name(self) -> str:
        """The name for people: `namespace.name`, or the name alone."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    @property
    def method(self) -> ReplicationMethod:
        """How the stream is read: another word for `replication_method`."""
        return self.replication_method

    @property
    def cursor(self) -> tuple[str, ...]:
        """The fields that say how far the stream was read, the weightiest first.

        A full table has none.
        """
        return self.remembered("cursor", self._cursor)

    def _cursor(self) -> tuple[str, ...]:
        if self.replication_method == "FULL_TABLE":
            return ()
        first = () if self.replication_key is None else (self.replication_key,)
        return tuple(dict.fromkeys((*first, *self.bookmark_properties)))

    @property
    def tap_stream_id(self) -> str:
        """Singer's word for `name`."""
        return self.name

    @property
    def key_properties(self) -> list[str]:
        """Singer's word for `primary_key`."""
        return list(self.primary_key)

    @property
    def json_schema(self) -> dict[str, Any]:
        """Airbyte's word for `schema`; {} where none is declared."""
        return self.schema or {}

    @property
    def table(self) -> str | None:
        """The table it comes from, where the metadata or the catalog entry names one."""
        named = self.metadata_of().get("table-name") or self.extra.get("table_name")
        return named if isinstance(named, str) else None

    def metadata_of(self, *breadcrumb: str) -> dict[str, Any]:
        """Return the metadata at a breadcrumb: without one the stream's own.

        A column's are at `"properties", name`.
        """
        return metadata_at(self.metadata, breadcrumb)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return NotImplemented
        mine, others = self._values(), other._values()
        mine["metadata"] = by_breadcrumb(self.metadata)
        others["metadata"] = by_breadcrumb(other.metadata)
        return mine == others

    def __repr__(self) -> str:
        usual = {
            "name": self.name,
            "stream": self.name,
            "auto_add_new_fields": False,
            "run_in_parallel": False,
        }
        said = {
            name: value for name, value in self._values().items() if value not in (None, (), {})
        }
        unusual = {n: v for n, v in said.items() if n not in usual or v != usual[n]}
        shown = {name: repr(value) for name, value in unusual.items()}
        if self.schema is not None:
            shown["schema"] = f"<{len(self.schema.get('properties') or {})} columns>"
        if self.metadata:
            shown["metadata"] = f"<{len(self.metadata)} entries>"
        words = [f"{name}={text}" for name, text in shown.items()]
        return f"Stream({', '.join([repr(self.name), *words])})"

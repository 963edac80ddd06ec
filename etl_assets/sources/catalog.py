"""Catalogs as sources written for Mage make and read them.

Each is one of ours with Mage's words beside ours.

The engine's streams cannot be changed; what a source written for Mage is handed can, as Mage's can.
It is a copy: nothing that happens to it reaches the engine's own stream, or another read.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import simplejson
from typing_extensions import override

from etl_assets.model.catalog import Catalog as OwnCatalog
from etl_assets.model.catalog import Key
from etl_assets.model.catalog_entries import copied
from etl_assets.model.selection import column_selector, is_selected
from etl_assets.model.stream import Stream

T = TypeVar("T")

_SCHEMA_WORDS = frozenset(
    {
        "additionalProperties", "anyOf", "default", "description", "exclusiveMaximum",
        "exclusiveMinimum", "format", "inclusion", "maxLength", "maximum", "minLength", "minimum",
        "multipleOf", "patternProperties", "selected", "type",
    }
)  # fmt: skip
_WRITTEN_IF_ANY = frozenset(
    {
        "bookmark_properties", "database_name", "partition_keys", "run_in_parallel", "table_name",
        "unique_conflict_method", "unique_constraints",
    }
)  # fmt: skip
"""Words of an entry that Mage leaves out where there is nothing to say."""
_UNNAMED = "unnamed"
_LISTS = ("primary_key", "bookmark_properties", "unique_constraints", "partition_keys", "metadata")


class Schema(dict[str, Any]):
    """A JSON Schema that also answers as Singer's `Schema` does.

    `schema.type` is its type, `schema.properties["id"].format` the format of a field. Setting such
    an attribute changes the schema.
    """

    def __init__(self, *given: Any, **words: Any) -> None:
        super().__init__(*given, **words)
        properties = self.get("properties")
        if isinstance(properties, Mapping):
            self["properties"] = {
                name: Schema(prop) if isinstance(prop, Mapping) else prop
                for name, prop in properties.items()
            }

    @property
    def properties(self) -> dict[str, "Schema"]:
        """The properties, each a `Schema`; the schema's own dict of them."""
        properties: dict[str, Schema] = self.setdefault("properties", {})
        return properties

    def __getattr__(self, name: str) -> Any:
        if name in _SCHEMA_WORDS:
            return self.get(name)
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _SCHEMA_WORDS and name != "properties":
            raise AttributeError(name)
        self[name] = value

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain dicts."""
        plain: dict[str, Any] = copied(dict(self))
        return plain

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Make one of plain dicts."""
        return cls(copied(document))


class CatalogEntry(Stream):
    """A stream with Mage's words, which can be changed.

    Both `entry.schema = ...` and `entry.metadata.append(...)` change it.

    Args:
        tap_stream_id: The stream's name.
        schema: A `Schema` or plain dicts.
        words: The other keys of a catalog entry (`key_properties`, `metadata`,
            `replication_method`, ...), also `database` and `table`, as Singer's class has them.
    """

    _RENAMED: ClassVar[Mapping[str, str]] = {
        "key_properties": "primary_key",
        "tap_stream_id": "name",
    }
    _IN_EXTRA: ClassVar[Mapping[str, str]] = {
        "database": "database_name",
        "is_view": "is_view",
        "row_count": "row_count",
        "table": "table_name",
    }

    def __init__(
        self, tap_stream_id: str | None = None, *, schema: Any = None, **words: Any
    ) -> None:
        renamed = {"database": "database_name", "table": "table_name"}
        said = {renamed.get(key, key): value for key, value in words.items() if value is not None}
        entry = {key: value for key, value in said.items() if value or key not in _WRITTEN_IF_ANY}
        entry.setdefault("auto_add_new_fields", False)
        if schema is not None:
            entry["schema"] = schema.to_dict() if hasattr(schema, "to_dict") else schema
        name = tap_stream_id or entry.get("stream")
        made = Stream.from_dict(
            {"tap_stream_id": name or _UNNAMED, "stream": name or _UNNAMED, **entry}
        )
        self._fill(made._kept("_given"), made._kept("_entry"))  # noqa: SLF001 - its own class
        if name is None:
            for word in ("name", "stream"):
                setattr(
                    self, word, None
                )  # named by and by: `entry = CatalogEntry(); entry.tap_stream_id = ...`

    @override
    def remembered(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` gives, made anew: this one can be changed."""
        del name
        return make()

    @classmethod
    def of(cls, stream: Stream, *, selected: bool | None = None) -> "CatalogEntry":
        """Return a copy of a stream with Mage's words, and with metadata for each of its columns.

        Args:
            stream: The stream.
            selected: What the metadata says of the stream itself; None leaves it as it is.
        """
        if isinstance(stream, CatalogEntry):
            return cls.from_dict(stream.to_dict())
        entry = cls._made(stream._kept("_given"), stream._kept("_entry"))  # noqa: SLF001 - its own class
        own = {"selected": is_selected(stream) if selected is None else selected}
        words: dict[tuple[str, ...], dict[str, Any]] = {}
        for one in stream.metadata:
            words.setdefault(tuple(one["breadcrumb"]), {}).update(one["metadata"])
        said = [{"breadcrumb": [], "metadata": {**words.get((), {}), **own}}]
        selects = column_selector(stream)
        picks = stream.columns is not None or any(
            entry["breadcrumb"] and entry["metadata"].get("selected") for entry in stream.metadata
        )
        for column in (stream.schema or {}).get("properties") or {}:
            place = ("properties", column)
            word = {"inclusion": "available", **words.get(place, {})}
            # where nothing is picked, a word on one column would leave out those that are not
            # declared
            if picks:
                word["selected"] = selects(column)
            said.append({"breadcrumb": [*place], "metadata": word})
        entry.__dict__["metadata"] = copied(said)
        return entry

    def frozen(self) -> Stream:
        """Return the engine's own stream: what this entry says now, which no later change reaches.

        Raises:
            ConfigError: Something was set that is not of its kind.
        """
        return Stream.from_dict(self.to_dict())

    @override
    def replace(self, **changes: Any) -> Self:
        return self.from_dict(self.frozen().replace(**changes).to_dict())

    @override
    def _fill(self, given: dict[str, Any], entry: dict[str, Any]) -> None:
        super()._fill(given, entry)
        for name, value in self.__dict__.items():
            self.__dict__[name] = value if name.startswith("_") else copied(value)
        for name in _LISTS:
            self.__dict__[name] = list(self.__dict__[name])
        if self.schema is not None:
            self.__dict__["schema"] = Schema(self.schema)

    def __setattr__(self, name: str, value: Any) -> None:
        name = self._RENAMED.get(name, name)
        if name in self._IN_EXTRA:
            self.extra[self._IN_EXTRA[name]] = value
        elif name == "schema":
            plain = value.to_dict() if hasattr(value, "to_dict") else value
            self.__dict__[name] = None if plain is None else Schema.from_dict(plain)
        else:
            self.__dict__[name] = (
                list(value or ()) if name in _LISTS and not isinstance(value, str) else value
            )

    def __delattr__(self, name: str) -> None:
        setattr(self, name, None)

    @override
    def _values(self) -> dict[str, Any]:
        values = super()._values()
        for name in _LISTS:
            values[name] = (values[name],) if isinstance(values[name], str) else tuple(values[name])
        values["schema"] = None if self.schema is None else copied(dict(self.schema))
        return values

    @property
    def is_view(self) -> Any:
        """Whether it is a view, by the entry or the metadata."""
        return self.extra.get("is_view", self.metadata_of().get("is-view"))

    @property
    def row_count(self) -> Any:
        """How many rows it has, where the entry or the metadata says so."""
        return self.extra.get("row_count", self.metadata_of().get("row-count"))

    @property
    def database(self) -> Any:
        """The database it comes from, where the entry says so."""
        return self.extra.get("database_name")

    @property
    @override
    def table(self) -> Any:
        """The table it comes from, where the entry or the metadata names one."""
        return self.extra.get("table_name") or super().table

    def is_selected(self) -> bool:
        """Return whether the stream's own metadata selects it."""
        return bool(self.metadata_of().get("selected"))


class Catalog(OwnCatalog):
    """A catalog with Mage's words; its entries are its own copies, and can be changed.

    Args:
        streams: Streams, or entries as plain dicts or as Singer's classes.
        extra: Keys of a catalog's JSON beside `streams`.
    """

    _listed: "_Entries | None" = None

    def __init__(
        self, streams: Iterable[Any] = (), *, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(map(_entry, streams), extra=extra)

    @property
    @override
    def streams(self) -> list[Stream]:
        """All streams, in order.

        What changes the list changes the catalog (`catalog.streams.append(entry)`). Setting it sets
        the catalog's streams.

        Raises:
            ConfigError: On a change: two streams have the same key. The catalog stays as it was.
        """
        if self._listed is None:
            self._listed = _Entries(self)
        return self._listed

    @streams.setter
    def streams(self, streams: Iterable[Any]) -> None:
        self._listed = None
        made = type(self)(streams)
        self._streams, self._called = made._streams, made._called  # noqa: SLF001 - its own class

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value for name, value in self.__dict__.items() if name != "_listed"
        }  # it is this catalog's own

    @classmethod
    def of(cls, found: Any) -> "Catalog":
        """Return a catalog of ours, or one of plain dicts, as one with Mage's words."""
        if isinstance(found, cls):
            return found
        return cls.from_dict(found) if isinstance(found, Mapping) else cls._copy_of(found)

    def copy(self) -> "Catalog":
        """Return a catalog with entries of its own, each copied when it is first looked at."""
        return self._copy_of(self)

    @classmethod
    def _copy_of(cls, catalog: OwnCatalog) -> "Catalog":
        # Each read has a copy, and most reads look at one entry: thousands of streams times
        # thousands of entries.
        made = cls(extra=catalog._extra)  # noqa: SLF001 - its own class
        made._streams, made._called = _Copies(catalog._streams), catalog._called  # noqa: SLF001
        return made

    def get_stream(self, tap_stream_id: str) -> Stream | None:
        """Return a stream by its name, or None."""
        called = (self._streams[key] for key in self._called.get(tap_stream_id, ()))
        # A source may have given an entry another name since.
        return next(
            (one for one in chain(called, self.values()) if one.name == tap_stream_id), None
        )

    def get_selected_streams(self, state: Mapping[str, Any] | None = None) -> Sequence[Stream]:
        """Return the selected streams, the one that was interrupted first."""
        interrupted = (state or {}).get("currently_syncing")
        return sorted(self.selected, key=lambda stream: stream.name != interrupted)

    @override
    def dump(self, path: str | Path | None = None) -> None:
        """Write the catalog to a file, or to standard output."""
        if path is not None:
            super().dump(path)
            return
        sys.stdout.write(
            simplejson.dumps(self.to_dict(), use_decimal=True, ensure_ascii=False) + "\n"
        )
        sys.stdout.flush()


class _Copies(Mapping[Key, Stream]):
    """Streams by their keys.

    Each is copied when it is first looked at, and is that copy from then on.
    """

    def __init__(self, originals: Mapping[Key, Stream]) -> None:
        self._originals = originals
        self._made: dict[Key, Stream] = {}

    @override
    def __getitem__(self, key: Key) -> Stream:
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = CatalogEntry.of(self._originals[key])
        return made

    @override
    def __contains__(self, key: object) -> bool:
        return key in self._originals

    @override
    def __iter__(self) -> Iterator[Key]:
        return iter(self._originals)

    @override
    def __len__(self) -> int:
        return len(self._originals)


class _Entries(list[Stream]):
    """The streams of a catalog as a list that tells the catalog of each change."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog.values())
        self._catalog = catalog

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)  # a copy belongs to no catalog

    def _changed(self) -> None:
        self._catalog.streams = self
        list.__setitem__(self, slice(None), self._catalog.values())
        self._catalog._listed = self  # noqa: SLF001 - its own catalog


def _telling(name: str) -> Callable[..., Any]:
    """Return a method of lists that tells the catalog when it has changed the list."""
    change = getattr(list, name)

    @wraps(change)
    def changed(entries: _Entries, *given: Any, **words: Any) -> Any:
        result = change(entries, *given, **words)
        entries._changed()  # noqa: SLF001 - a method of its own
        return result

    return changed


for _name in (
    "__delitem__", "__iadd__", "__setitem__", "append", "clear", "extend", "insert", "pop",
    "remove", "reverse", "sort",
):  # fmt: skip
    setattr(_Entries, _name, _telling(_name))


def frozen(stream: Stream) -> Stream:
    """Return a stream as the engine keeps it: one that no source can change."""
    return stream.frozen() if isinstance(stream, CatalogEntry) else stream


def _entry(given: Any) -> Stream:
    # An entry that a source has made stays the one it holds; the engine's own streams are copied.
    if not isinstance(given, Stream) and callable(getattr(given, "to_dict", None)):
        given = given.to_dict()  # an entry of singer-python
    if isinstance(given, Mapping):
        return CatalogEntry.from_dict(given)
    return given if isinstance(given, CatalogEntry) else CatalogEntry.of(given)

"""Catalogs as sources written for Mage make and read them; each is one of ours with Mage's words beside ours."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import simplejson
from typing_extensions import override

from etl_assets.protocol.catalog import Catalog as OwnCatalog
from etl_assets.protocol.entries import arguments_of, copied, metadata_at
from etl_assets.protocol.selection import is_column_selected
from etl_assets.protocol.stream import Stream


class Schema(dict[str, Any]):
    """A JSON Schema that also answers as Singer's `Schema` does."""

    @property
    def properties(self) -> dict[str, "Schema"]:
        """The properties, each a `Schema`."""
        return {name: Schema(prop) for name, prop in (self.get("properties") or {}).items()}

    @property
    def type(self) -> Any:
        """The type, or types."""
        return self.get("type")

    @property
    def format(self) -> Any:
        """The format of a text."""
        return self.get("format")

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain dicts."""
        plain: dict[str, Any] = copied(dict(self))
        return plain

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Make one of plain dicts."""
        return cls(copied(document))


class CatalogEntry(Stream):
    """A stream, made with Mage's words.

    Args:
        tap_stream_id: The stream's name.
        schema: A `Schema` or plain dicts.
        words: The other keys of a catalog entry (`key_properties`, `metadata`, `replication_method`, ...), also
            `database` and `table`, as Singer's class has them.
    """

    def __init__(self, tap_stream_id: str | None = None, *, schema: Any = None, **words: Any) -> None:
        renamed = {"database": "database_name", "table": "table_name"}
        entry = {renamed.get(key, key): value for key, value in words.items() if value is not None}
        if schema is not None:
            entry["schema"] = schema.to_dict() if hasattr(schema, "to_dict") else schema
        name = tap_stream_id or entry.get("stream")
        entry = copied({"tap_stream_id": name, "stream": name, **entry})
        self._fill(arguments_of(entry), entry)

    @classmethod
    def of(cls, stream: Stream) -> "CatalogEntry":
        """Give a stream with Mage's words, and with metadata for each of its columns."""
        if isinstance(stream, CatalogEntry):
            return stream
        entry = cls._made(stream._kept("_given"), stream._kept("_entry"))  # noqa: SLF001 - its own class
        said = [{"breadcrumb": [], "metadata": {**metadata_at(stream.metadata, ()), "selected": True}}]
        picks = stream.columns is not None or any(
            entry["breadcrumb"] and entry["metadata"].get("selected") for entry in stream.metadata
        )
        for column in (stream.schema or {}).get("properties") or {}:
            place = ("properties", column)
            word = {"inclusion": "available", **metadata_at(stream.metadata, place)}
            if picks:  # where nothing is picked, a word on one column would leave out those that are not declared
                word["selected"] = is_column_selected(stream, column)
            said.append({"breadcrumb": [*place], "metadata": word})
        object.__setattr__(entry, "metadata", tuple(said))
        return entry

    @override
    def _fill(self, given: dict[str, Any], entry: dict[str, Any]) -> None:
        super()._fill(given, entry)
        if self.schema is not None:
            object.__setattr__(self, "schema", Schema(self.schema))

    @property
    def is_view(self) -> Any:
        """Whether the metadata says that it is a view."""
        return self.metadata_of().get("is-view", self.extra.get("is_view"))

    @property
    def database(self) -> Any:
        """The database it comes from, where the entry says so."""
        return self.extra.get("database_name")

    def is_selected(self) -> bool:
        """Tell whether the stream's own metadata selects it."""
        return bool(self.selected)


class Catalog(OwnCatalog):
    """A catalog with Mage's words.

    Args:
        streams: Streams, or entries as plain dicts.
        extra: Keys of a catalog's JSON beside `streams`.
    """

    def __init__(
        self, streams: Iterable[Stream | Mapping[str, Any]] = (), *, extra: Mapping[str, Any] | None = None
    ) -> None:
        made = [
            CatalogEntry.from_dict(each) if isinstance(each, Mapping) else CatalogEntry.of(each) for each in streams
        ]
        super().__init__(made, extra=extra)

    @classmethod
    def of(cls, found: Any) -> "Catalog":
        """Give what a source calls its catalog: one of ours, or plain dicts."""
        if isinstance(found, cls):
            return found
        if isinstance(found, Mapping):
            return cls.from_dict(found)
        kept = {key: value for key, value in found.to_dict().items() if key != "streams"}
        return cls(found.streams, extra=kept)

    def get_stream(self, tap_stream_id: str) -> Stream | None:
        """Give a stream by its name, or None."""
        return next((stream for stream in self.values() if stream.name == tap_stream_id), None)

    def get_selected_streams(self, state: Mapping[str, Any] | None = None) -> Sequence[Stream]:
        """Give the selected streams, the one that was interrupted first."""
        interrupted = (state or {}).get("currently_syncing")
        return sorted(self.selected, key=lambda stream: stream.name != interrupted)

    @override
    def dump(self, path: str | Path | None = None) -> None:
        """Write the catalog to a file, or to standard output."""
        if path is not None:
            super().dump(path)
            return
        sys.stdout.write(simplejson.dumps(self.to_dict(), use_decimal=True, ensure_ascii=False) + "\n")
        sys.stdout.flush()

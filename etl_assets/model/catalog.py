"""The streams of a source, and what is selected of them; reads and writes Singer catalog JSON."""

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from etl_assets.exceptions import ArgumentTypeError, ConfigError, did_you_mean
from etl_assets.model.catalog_entries import copied
from etl_assets.model.limits import MAX_STREAMS
from etl_assets.model.selection import is_selected, matches, selected_columns
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    from etl_assets.model.catalog_changes import CatalogChange

Key = tuple[str, str]


class Catalog:
    """The streams of a source, by (namespace or "", name), in the source's order.

    It is like a mapping: `catalog["users"]`, `catalog["public.users"]` and
    `catalog["public", "users"]` give a stream, iteration gives keys. It is immutable, and equal to
    a catalog with the same streams in any order.

    Args:
        streams: The streams.
        extra: Keys of a catalog's JSON beside `streams`, kept as given.

    Raises:
        ConfigError: Two streams have the same key.
    """

    def __init__(
        self, streams: Iterable[Stream] = (), *, extra: Mapping[str, Any] | None = None
    ) -> None:
        known: dict[Key, Stream] = {}
        given: Any = streams
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise ArgumentTypeError(
                f"A Catalog is made of streams, not of the type {type(streams).__name__}."
            )
        for stream in streams:
            if not isinstance(stream, Stream):
                raise ArgumentTypeError(
                    f"A Catalog is made of streams; one is of the type {type(stream).__name__}."
                )
            if stream.key in known:
                raise ConfigError(
                    f"The catalog has two streams {stream.full_name!r}.",
                    hint="Give them different names or namespaces.",
                    stream=stream.name,
                )
            known[stream.key] = stream
        self._streams: Mapping[Key, Stream] = known
        self._extra: dict[str, Any] = copied(extra or {})
        self._called: dict[str, list[Key]] = {}
        """The keys of the streams of each name and each full name."""
        for key, stream in known.items():
            for name in dict.fromkeys((stream.name, stream.full_name)):
                self._called.setdefault(name, []).append(key)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read a Singer catalog, with or without Mage's keys; unknown keys are kept.

        Raises:
            ConfigError: It is no catalog; the error names the stream and the key.
        """
        entries = document.get("streams")
        if not isinstance(entries, list):
            raise ConfigError("A catalog is an object with a list `streams`.")
        if len(entries) > MAX_STREAMS:
            raise ConfigError(
                f"The catalog has {len(entries):,} streams, at most {MAX_STREAMS:,}.",
                hint="Have the source list fewer, such as those of one schema.",
            )
        for position, entry in enumerate(entries):
            if not isinstance(entry, Mapping):
                raise ConfigError(f"Entry {position} of the catalog's streams is not an object.")
        extra = {key: value for key, value in document.items() if key != "streams"}
        return cls([Stream.from_dict(entry) for entry in entries], extra=extra)

    def to_dict(self) -> dict[str, Any]:
        """Return the catalog as Singer has it: as it was read, but for what has changed since."""
        extra: dict[str, Any] = copied(self._extra)
        return {"streams": [stream.to_dict() for stream in self.values()], **extra}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a catalog file.

        Raises:
            ConfigError: It is not there, or is no catalog.
        """
        try:
            document = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise ConfigError(
                f"The catalog {str(path)!r} cannot be read: {error.strerror}."
            ) from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"The catalog {str(path)!r} is not JSON: {error}.") from error
        if not isinstance(document, dict):
            raise ConfigError(f"The catalog {str(path)!r} is not an object.")
        try:
            return cls.from_dict(document)
        except RecursionError as error:
            raise ConfigError(f"The catalog {str(path)!r} is nested too deep.") from error

    def dump(self, path: str | Path) -> None:
        """Write a catalog file, all of it or nothing, for people to review.

        It is indented, and streams and metadata are sorted. Columns keep the source's order, which
        is that of the table.
        """
        document = self.to_dict()
        document["streams"] = [_sorted_entry(self[key].to_dict()) for key in sorted(self._streams)]
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        _write(Path(path), text + "\n")

    @property
    def streams(self) -> Sequence[Stream]:
        """All streams, in order."""
        return tuple(self._streams.values())

    @property
    def selected(self) -> tuple[Stream, ...]:
        """The selected streams, in order (`protocol/selection.py` says which those are)."""
        return tuple(stream for stream in self.values() if is_selected(stream))

    def selected_columns(self, stream: Stream | str) -> tuple[str, ...] | None:
        """Return a stream's selected columns in order, or None if its columns are yet to be found.

        Raises:
            ConfigError: There is no such stream, or its `columns` name one that is not there.
        """
        return selected_columns(self[stream] if isinstance(stream, str) else stream)

    def get(self, name: str, namespace: str | None = None) -> Stream:
        """Return a stream by its name, or by `namespace.name`.

        Args:
            name: The name.
            namespace: Where more than one stream has the name; "" is none.

        Raises:
            ConfigError: There is none, or more than one.
        """
        called = self._called.get(name, [])
        if namespace is not None:
            found = [key for key in called if key == (namespace, name)]
        else:
            found = [key for key in called if key[1] == name] or called
        if len(found) == 1:
            return self._streams[found[0]]
        if found:
            both = " and ".join(map(repr, found))
            raise ConfigError(
                f"More than one stream is called {name!r}; by namespace and name: {both}.",
                hint="Say which, by its namespace.",
                stream=name,
            )
        wanted = f"{namespace}.{name}" if namespace else name
        raise ConfigError(
            f"There is no stream {wanted!r}.", hint=did_you_mean(wanted, self._called), stream=name
        )

    def select(self, patterns: Sequence[str] | str) -> list[Stream]:
        """Return the streams that names, `namespace.name`s or globs stand for.

        They come in the catalog's order, each once.

        Raises:
            ConfigError: A pattern stands for none.
        """
        patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        chosen: set[Key] = set()
        for pattern in patterns:
            found = self._matching(pattern)
            if not found:
                raise ConfigError(
                    f"{pattern!r} matches no stream.", hint=did_you_mean(pattern, self._called)
                )
            chosen.update(found)
        return [stream for key, stream in self.items() if key in chosen]

    def replace(self, *streams: Stream) -> Self:
        """Return a copy in which these streams stand for those of the same key.

        Raises:
            ConfigError: There is none of that key.
        """
        for stream in streams:
            self.get(stream.name, stream.namespace or "")
        replaced = {**self._streams, **{stream.key: stream for stream in streams}}
        return type(self)(replaced.values(), extra=self._extra)

    def diff(self, new: "Catalog") -> list["CatalogChange"]:
        """Return what has changed from this catalog to a new one; `str()` of each is a sentence."""
        from etl_assets.model.catalog_changes import changes_between

        return changes_between(self._streams, dict(new.items()))

    def keys(self) -> Iterable[Key]:
        """Return the streams' keys, in order."""
        return self._streams.keys()

    def values(self) -> Iterable[Stream]:
        """Return the streams, in order."""
        return self._streams.values()

    def items(self) -> Iterable[tuple[Key, Stream]]:
        """Return keys and streams, in order."""
        return self._streams.items()

    def _matching(self, pattern: str) -> set[Key]:
        # A name may hold a dot or a glob's characters itself: the same text goes first.
        exact = self._called.get(pattern)
        if exact:
            return set(exact)
        called = [name for name in self._called if matches(name, pattern)]
        return set(chain.from_iterable(self._called[name] for name in called))

    def __getitem__(self, key: str | Key) -> Stream:
        if isinstance(key, str):
            return self.get(key)
        namespace, name = key
        return self.get(name, namespace or "")

    def __contains__(self, key: object) -> bool:
        if isinstance(key, Stream):
            key = key.key
        if isinstance(key, str):
            return key in self._called
        return key in self._streams

    def __iter__(self) -> Iterator[Key]:
        return iter(self._streams)

    def __len__(self) -> int:
        return len(self._streams)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Catalog):
            return NotImplemented
        return self._streams == other._streams and self._extra == other._extra

    def __hash__(self) -> int:
        return hash(frozenset(self._streams))

    def __repr__(self) -> str:
        return f"Catalog({', '.join(stream.full_name for stream in self.values())})"


def _sorted_entry(entry: dict[str, Any]) -> dict[str, Any]:
    if isinstance(entry.get("metadata"), list):
        entry["metadata"] = sorted(entry["metadata"], key=lambda item: list(item["breadcrumb"]))
    return entry


def _write(path: Path, text: str) -> None:
    """Write a file under another name, then give it its own.

    Readers see the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""What the verbs about streams do: which there are, which are selected, by which keys."""

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets import configuring
from etl_assets.arguments import KEY, check
from etl_assets.exceptions import (
    EtlAssetsError,
    InputError,
    NoStreamsSelectedError,
    StreamNotFoundError,
)
from etl_assets.model.catalog import Catalog

if TYPE_CHECKING:
    from etl_assets.model.events import StreamKey
    from etl_assets.model.stream import Stream
    from etl_assets.protocol.airbyte.catalog import AirbyteCatalog, ConfiguredAirbyteCatalog


def catalog_of(source: Any) -> Catalog:
    """Return all streams of a source, which is asked for them once.

    They are as they were declared, with the keys that were set by hand.
    """
    if source.found_catalog is None:
        configuring.get_config(source)
        source.found_catalog = with_declared(
            Catalog(source.discover().values()), declared_by(source)
        )
    if source.keys_to_set:
        _set_keys_of_arguments(source)
    found: Catalog = source.found_catalog
    changed = [found[name].replace(**words) for name, words in source.set_words.items()]
    return found.replace(*changed) if changed else found


def _set_keys_of_arguments(source: Any) -> None:
    """Set the keys that a source was made with: which streams there are, is known only now."""
    waiting, source.keys_to_set = source.keys_to_set, {}
    try:
        for word, keys in waiting.items():
            set_keys(source, word, keys)
    except EtlAssetsError:
        source.keys_to_set = waiting  # it is told again: nothing is to be read by other keys
        raise


def declared_by(source: Any) -> Catalog:
    """Return the streams that a source was declared with, without asking it.

    An empty catalog if there are none.
    """
    return source.declared_catalog() or Catalog([])


def with_declared(found: Catalog, declared: Catalog) -> Catalog:
    """Return the streams of a source, each that was declared with what was declared of it.

    Args:
        found: What the source has discovered. It says the columns of a stream that was declared
            without a schema, and its key where none is declared.
        declared: Comes first. A stream that was declared without a namespace is the one of its
            name, in whatever namespace that was found.
    """
    from etl_assets.model.catalog_rediscovery import merged

    left = dict(found.items())
    streams = []
    for key, stream in declared.items():
        there = _found_of(key, left)
        if there is None:
            streams.append(stream)
            continue
        same = left.pop(there)
        if there != key:
            same = same.replace(namespace=stream.namespace)
        says_all = bool(stream.schema) or same == stream
        streams.append(stream if says_all else merged(stream, same))
    return Catalog([*streams, *left.values()])


def _found_of(key: "StreamKey", found: Collection["StreamKey"]) -> "StreamKey | None":
    """Return the key under which a declared stream was found; None if it is not clear."""
    if key in found:
        return key
    namespace, name = key
    if namespace:
        return None
    there = [one for one in found if one[1] == name]
    return there[0] if len(there) == 1 else None


def forget(source: Any) -> None:
    """Forget what a source with another config said.

    What was to be selected as soon as there is a config is selected now.
    """
    source.found_catalog = None
    wanted, source.to_select = source.to_select, None
    if wanted is not None:
        select(source, wanted)


def available(source: Any) -> list[str]:
    """Return the names of all streams."""
    return [stream.name for stream in catalog_of(source).values()]


def discovered(source: Any) -> "AirbyteCatalog":
    """Return all streams in Airbyte's shape."""
    from etl_assets.protocol.airbyte.catalog import AirbyteCatalog

    return AirbyteCatalog.of(catalog_of(source))


def configured(
    source: Any, streams: Sequence[str] | str | None, *, full_refresh: bool = False
) -> "ConfiguredAirbyteCatalog":
    """Return the streams that are read, in Airbyte's shape."""
    from etl_assets.protocol.airbyte.catalog import ConfiguredAirbyteCatalog

    if streams is not None and streams != "*" and not isinstance(streams, list | tuple):
        raise InputError(
            f"streams is a list of names or '*', not {streams!r}.", input_value=streams
        )
    return ConfiguredAirbyteCatalog.of(chosen(source, streams), full_refresh=full_refresh)


def chosen(source: Any, streams: Sequence[str] | str | None) -> list["Stream"]:
    """Return the named streams.

    Without names the selected ones, else those that are declared, else all.

    Raises:
        StreamNotFoundError: One is not there.
        NoStreamsSelectedError: There is none at all.
    """
    catalog = catalog_of(source)
    names = []
    declared = Catalog([])
    if streams is None:
        names = names_of(selected_names(source))
        declared = declared_by(source)
    elif streams != "*":
        names = names_of(streams)
    if names:
        return [_one(source, catalog, name) for name in names]
    found = list(catalog.values())
    if len(declared):
        found = [catalog[stream.key] for stream in declared.selected]
    if not found:
        raise NoStreamsSelectedError(
            f"{source!r} has no streams.", hint="Look at its config with check()."
        )
    return found


def names_of(streams: Any) -> list[str]:
    """Return the names in what stands for one stream or several.

    Raises:
        InputError: It is neither.
    """
    if isinstance(streams, str):
        return [streams]
    if isinstance(streams, Iterable):
        return list(streams)
    raise InputError(
        f"Streams are given by their names, not by {streams!r}.",
        hint='Write "orders", "*", or ["orders", "users"].',
    )


def one(source: Any, name: str) -> "Stream":
    """Return the stream of a name.

    Raises:
        StreamNotFoundError: There is none.
    """
    return _one(source, catalog_of(source), name)


def _one(source: Any, catalog: Catalog, name: str) -> "Stream":
    found = [stream for stream in catalog.values() if name in (stream.name, stream.full_name)]
    if not found:
        raise StreamNotFoundError(
            f"{source!r} has no stream {name!r}.",
            available_streams=[stream.name for stream in catalog.values()],
            connector_name=getattr(source, "connector_name", None),
            stream=name,
        )
    if len(found) > 1:
        names = ", ".join(repr(stream.full_name) for stream in found)
        raise InputError(
            f"{source!r} has {len(found)} streams {name!r}: {names}.",
            hint="Say which.",
            stream=name,
        )
    return found[0]


def with_own_keys(stream: "Stream") -> "Stream":
    """Return a stream without keys inside of other fields.

    Those have columns in tables, and none in its records.
    """
    known = (stream.schema or {}).get("properties")
    if not known:
        return stream
    return stream.replace(primary_key=[key for key in stream.primary_key if key in known])


def schema_of(source: Any, name: str) -> dict[str, Any]:
    """Return the JSON Schema of a stream."""
    return one(source, name).schema or {}


def select(source: Any, streams: str | Sequence[str]) -> None:
    """Select streams, now or as soon as there is a config."""
    if not configuring.is_configured(source):
        source.to_select = streams
        which = "all streams" if streams == "*" else f"these streams: {streams}"
        print(f"There is no config yet. As soon as there is one, it selects {which}.")  # noqa: T201 - to a script's user
        return
    source.to_select = None
    if streams == "*":
        source.picked = available(source)
        return
    names = names_of(streams)
    for name in names:
        one(source, name)
    source.picked = names


def select_later(source: Any, streams: str | Sequence[str]) -> None:
    """Select streams when they are first asked for: until then, nothing connects."""
    if configuring.is_configured(source):
        source.to_select = streams
    else:
        select(source, streams)


def select_by_old_name(source: Any, streams: Sequence[str]) -> None:
    """Select streams, and say that the verb is called otherwise now."""
    warnings.warn(
        "set_streams() is deprecated, use select_streams().", DeprecationWarning, stacklevel=3
    )
    select(source, streams)


def selected_names(source: Any) -> list[str]:
    """Return the names of the selected streams."""
    if source.to_select is not None and configuring.is_configured(source):
        wanted, source.to_select = source.to_select, None
        select(source, wanted)
    return list(source.picked or source.selected_streams or ())


def set_keys(source: Any, word: str, keys: Mapping[str, Any]) -> None:
    """Set the keys of streams, by names whose case does not count.

    Raises:
        StreamNotFoundError: There is no such stream.
        InputError: The stream declares its fields, and this is none of them.
    """
    catalog = catalog_of(source)
    is_cursor = word == "replication_key"
    verb = "set_cursor_key" if is_cursor else "set_primary_key"
    takes_paths = not is_cursor and getattr(source, "merges_by_paths", False)
    by_name = {stream.name.lower(): stream.name for stream in catalog.values()}
    for given, key in keys.items():
        stream = _one(source, catalog, by_name.get(given.lower(), given))
        check(verb, f"the key of {given!r}", key, KEY)
        fields = [key] if isinstance(key, str) else list(key)
        for name in fields:
            _refuse_unknown(stream, name, takes_paths=takes_paths)
        words = {**source.set_words.get(stream.full_name, {}), word: fields}
        if is_cursor:
            words["replication_method"] = "INCREMENTAL"
        source.set_words = {**source.set_words, stream.full_name: words}


def _refuse_unknown(stream: "Stream", name: Any, *, takes_paths: bool) -> None:
    """Refuse a field that a stream does not declare, if it declares any."""
    from etl_assets.model.key_paths import path_in

    schema = stream.schema or {}
    known = schema.get("properties") or {}
    if isinstance(name, str):
        is_there = not known or name in known
        if is_there or (takes_paths and path_in(schema, name)):
            return
    raise InputError(
        f"stream {stream.name!r} has no field {name!r}.",
        hint=f"It has: {', '.join(map(repr, known))}.",
        stream=stream.name,
        input_value=name,
    )

"""What is no argument of `stream_assets` is an error that says what would be one.

It is found before anything else fails on it.
"""

from collections.abc import Iterable, Mapping, Sized
from typing import Any

from etl_assets.assets.names import is_op_name
from etl_assets.assets.translator import StreamTranslator
from etl_assets.exceptions import ConfigError, shorten
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source


def check_arguments(source: Any, streams: Any, name: Any, translator: Any, options: Any) -> None:
    """Look at the arguments that every call has.

    Raises:
        ConfigError: One is of another type than it can be.
    """
    _check_source(source)
    _check_streams(streams)
    if name is not None and not isinstance(name, str):
        raise ConfigError(f"name is {shorten(name)}.", hint="It is a text.")
    if translator is not None and not isinstance(translator, StreamTranslator):
        raise ConfigError(
            f"translator is {shorten(translator)}.",
            hint="It is an object of a subclass of StreamTranslator.",
        )
    _check_options(options)


def check_place(destination: Any, io_manager_key: str | None) -> None:
    """Look at where the rows are to go.

    Raises:
        ConfigError: It is said twice, or not at all.
    """
    if (destination is None) != (io_manager_key is None):
        return
    got = "." if destination is None else ", and got both."
    raise ConfigError(
        f"stream_assets needs a destination or an io_manager_key{got}",
        hint="destination=DuckDBDestination(...) for one place, io_manager_key=... for a resource "
        "of the project.",
    )


def check_op_name(op_name: str | None, *, together: bool) -> None:
    """Look at the name of the one step that many streams share.

    Raises:
        ConfigError: Each stream has a step of its own, or Dagster would not take the name.
    """
    if op_name is None:
        return
    if not together:
        raise ConfigError(
            f"op_name is {op_name!r}, but each stream has a step of its own, named after its key.",
            hint='Leave op_name out, or read all streams in one step with granularity="source".',
        )
    if not is_op_name(op_name):
        raise ConfigError(
            f"op_name is {op_name!r}, which Dagster does not take.",
            hint="Use ASCII letters, digits and `_`, and none of Python's own words.",
        )


def _check_source(source: Any) -> None:
    if isinstance(source, Source):
        return
    if isinstance(source, type):
        raise ConfigError(
            f"{source.__name__} is a class.", hint=f"Make one of it: {source.__name__}(...)."
        )
    if isinstance(source, list | tuple | set | Mapping):
        raise ConfigError(
            f"The source is {shorten(source)}.", hint="Call this once for each source."
        )
    raise ConfigError(
        f"The source is {shorten(source)}, which is no etl_assets Source.",
        hint='For example SqlSource(name="shop", url=...), get_source("source-faker", {...}), or a '
        "Source of your own.",
    )


def _check_streams(streams: Any) -> None:
    if streams is None or isinstance(streams, str):
        return
    if isinstance(streams, Mapping) or not isinstance(streams, Iterable):
        raise ConfigError(
            f"streams is {shorten(streams)}.", hint='It is a list of names: streams=["orders"].'
        )
    # What can be read only once is read later.
    for one in streams if isinstance(streams, Sized) else ():
        if isinstance(one, Stream):
            raise ConfigError(
                f"streams holds the stream {one.name!r} itself.",
                hint=f'Give its name, "{one.name}", and the stream by catalog=Catalog([...]).',
            )
        if not isinstance(one, str):
            raise ConfigError(
                f"streams holds {shorten(one)}.", hint='It is a list of names: streams=["orders"].'
            )


def _check_options(options: Any) -> None:
    if options is None:
        return
    example = 'It is a mapping by stream: options={"orders": {"primary_key": ["id"]}}.'
    if not isinstance(options, Mapping):
        raise ConfigError(f"options is {shorten(options)}.", hint=example)
    for stream, given in options.items():
        if not isinstance(stream, str) or not (
            isinstance(given, Mapping) or hasattr(given, "__dict__")
        ):
            raise ConfigError(f"options has {shorten(given)} for {shorten(stream)}.", hint=example)
        if isinstance(given, type):
            raise ConfigError(
                f"options has the class {given.__name__} for {stream!r}.", hint=example
            )

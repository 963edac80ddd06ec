"""`etl-assets preview`: read some rows of a stream, and show them. Nothing is loaded."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from etl_assets.assets.catalog_cli import chosen
from etl_assets.assets.definitions_file import Project
from etl_assets.exceptions import ConfigError, did_you_mean, shorten
from etl_assets.model.batch import json_value
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead

Say = Callable[[str], None]

WIDEST = 40
"""How many characters of a value are shown."""


def preview(project: Project, name: str, rows: int, say: Say, *, as_json: bool) -> int:
    """Show some rows of a stream. Connects.

    Args:
        project: The definitions.
        name: The source and the stream: `api.users`, or `api/users`.
        rows: How many rows.
        say: Takes each line.
        as_json: Show each row as a line of JSON, whole.

    Raises:
        EtlAssetsError: There is no such stream, or it cannot be read.
    """
    source_name, mark, stream_name = name.replace("/", ".", 1).partition(".")
    if not mark:
        raise ConfigError(f"{name!r} names no stream.", hint="Write SOURCE.STREAM: api.users.")
    (declared,) = chosen(project, source_name)
    stream = _stream(declared.source, declared.streams, stream_name)
    read = StreamRead(declared.source, stream, limit=rows)
    batches = read.open(None, sample=True)
    found = list(islice((row for one in batches for row in one.to_rows(stream)), rows))
    if as_json:
        for row in found:
            say(json.dumps(row, ensure_ascii=False, default=str))
        return 0
    for line in table(found):
        say(line)
    say(f"{len(found)} row{'' if len(found) == 1 else 's'} of {source_name}.{stream.name}")
    return 0


def _stream(source: Source, streams: Sequence[Stream], name: str) -> Stream:
    by_name = {one.full_name: one for one in streams} | {one.name: one for one in streams}
    if name not in by_name:
        discovered = source.declared_catalog() or source.discover()
        by_name |= {one.name: one for one in discovered.streams}
    if name not in by_name:
        raise ConfigError(f"There is no stream {name!r}.", hint=did_you_mean(name, by_name))
    return by_name[name]


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return rows as lines of a table, each value cut to a few characters."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown = [names, *([_shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in shown) for place in range(len(names))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in shown
    ]
    ruler = "  ".join("-" * width for width in widths)
    return [lines[0], ruler, *lines[1:]] if names else []


def _shown(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(json_value(value), default=str)
    text = " ".join(text.split())
    return text if len(text) <= WIDEST else shorten(text, WIDEST).strip("'\"")

"""One lazy read of one stream: what an asset's body returns, and what `sync` opens."""

import copy
import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, product
from typing import TYPE_CHECKING, Any, NoReturn

from etl_assets.exceptions import ConfigError, EtlAssetsError, StreamReadError
from etl_assets.model.batch import Batch, batches_of, frames_of
from etl_assets.model.bookmarks.tracker import BookmarkTracker
from etl_assets.model.key_ranges import RANGE
from etl_assets.model.partitions import Partitions, TimeWindow
from etl_assets.model.request import NO_REQUEST, ReadRequest
from etl_assets.redaction import redact
from etl_assets.redaction.errors import shown_cause
from etl_assets.secrets.references import resolve
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import Catalog, CatalogEntry, frozen
from etl_assets.sources.discovery import with_columns
from etl_assets.sources.messages import Writer, current_writer, messages_to
from etl_assets.sources.tap.verbs import comes_in_order, overridden_mode, overrides

if TYPE_CHECKING:
    from etl_assets.model.stored import Bookmark
    from etl_assets.model.stream import Stream
    from etl_assets.protocol.singer.messages import Message

LIMIT = "_limit"
"""Mage's query key for the number of rows."""

REQUEST = "request"
"""The parameter by which `load_data` gets a `ReadRequest`, if it has one."""

WINDOW = "window"
"""The parameter by which `load_data` gets the `TimeWindow` of a partition, if it has one."""

START, END = "_start_date", "_end_date"
"""Mage's query keys for the same, as ISO 8601 text."""

_END: Any = object()


@dataclass
class _Heard:
    """Messages that a source has written while it was asked for rows.

    Args:
        refused: The errors for those that nobody can take.
        bookmarks: From its STATE messages.
    """

    refused: list[ConfigError] = field(default_factory=list)
    bookmarks: list["Bookmark"] = field(default_factory=list)


class StreamRead:
    """A read of one stream that has not begun.

    Args:
        source: The source.
        stream: The stream.
        source_name: Under which the state is stored; the source's own name by default.
        limit: Read at most so many rows.
        query: Passed to `load_data`; anything but `_limit` in it makes the read partial.
        full_refresh: Read without a bookmark; `auto` then replaces the table.
        bookmark: Read from this bookmark instead of the stored one.
        as_tap: The source runs as a program: it may write Singer messages itself.
        key_range: Read this one of the source's `key_ranges`, which is the whole of what goes into
            a table of its own.

    Raises:
        ConfigError: The source has no name, or writes Singer messages itself though it is no
            program.
    """

    request: ReadRequest = NO_REQUEST
    """What it is asked for beside its bookmark; see `requested`."""
    keep_bookmark: bool = False
    """Store what the read from a given bookmark reaches, though it has skipped rows."""

    def __init__(  # noqa: PLR0913 - options of one read
        self,
        source: Source,
        stream: "Stream",
        *,
        source_name: str | None = None,
        limit: int | None = None,
        query: Mapping[str, Any] | None = None,
        full_refresh: bool = False,
        bookmark: "Bookmark | None" = None,
        as_tap: bool = False,
        key_range: Mapping[str, Any] | None = None,
    ) -> None:
        if not as_tap:
            refuse_tap(source)
        name = source_name or source.state_name
        if not name:
            raise ConfigError(
                f"{type(source).__name__} has no name.",
                hint=f'Give it one, unique in the project: {type(source).__name__}(name="...").',
            )
        self.source = source
        self.as_tap = as_tap
        # What a source is handed it may change; the engine's stream is another.
        internal = source.internal_column_schema(CatalogEntry.of(stream), bookmarks=bookmark)
        self.stream = frozen(with_columns(stream, internal))
        self.source_name = name
        self.query = {**source.query, **(query or {})}
        self.limit = limit if limit is not None else self.query.get(LIMIT)
        if self.limit is not None:
            self.query[LIMIT] = self.limit
        self.full_refresh = full_refresh
        self.bookmark = bookmark
        filters = {key: value for key, value in self.query.items() if key != LIMIT}
        self.partial = bool(filters) or self.limit is not None
        self.ordered = source.orders(self.stream, filters)
        self.checked_order = comes_in_order(source, self.stream) and not self.ordered
        if key_range is not None:
            self.query[RANGE] = dict(key_range)
            self.ordered = self.checked_order = False  # published as a whole, it needs no order

    def requested(self, request: ReadRequest) -> "StreamRead":
        """Return this read, with what it is asked for beside its bookmark."""
        read = copy.copy(self)
        read.request = request
        if request.partitions is not None:
            # Each span that the source is asked for has an order of its own, and all are published
            # as a whole.
            read.checked_order = False
        return read

    @property
    def runs_ahead(self) -> bool:
        """Whether its records are made also where they are not taken."""
        return self.source.runs_ahead

    def __repr__(self) -> str:
        return f"StreamRead({self.source_name!r}, {self.stream.name!r})"

    def open(self, bookmark: "Bookmark | None", *, sample: bool = False) -> Iterator[Batch]:
        """Read from the bookmark on.

        Args:
            bookmark: Where to begin.
            sample: Some rows are enough.

        Raises:
            StreamReadError: Whatever the source raised, with the stream's name; our own errors pass
                as they are.
        """
        partitions = self.request.partitions
        if partitions is None or _knows(self.source, REQUEST):
            batches = self._open(bookmark, self.query, sample=sample)
        else:
            batches = self._open_for(partitions, bookmark, sample=sample)
        if partitions is not None and self.source.filters_partitions:
            batches = _within(batches, partitions, self.stream)
        yield from batches

    def _open_for(
        self, partitions: Partitions, bookmark: "Bookmark | None", *, sample: bool
    ) -> Generator[Batch, None, None]:
        """Read what `load_data` is asked for by its query, once for each span of time and value."""
        if self.source.filters_partitions:
            # It gives all its rows each time, and those of no partition are left out behind it.
            yield from self._open(bookmark, self.query, sample=sample)
            return
        for asked, window in asked_for(partitions):
            yield from self._open(bookmark, {**self.query, **asked}, sample=sample, window=window)

    def _open(
        self,
        bookmark: "Bookmark | None",
        query: Mapping[str, Any],
        *,
        sample: bool,
        window: TimeWindow | None = None,
    ) -> Generator[Batch, None, None]:
        source = self._copy_for_this_read(bookmark, query)
        arguments: dict[str, Any] = {
            "stream": CatalogEntry.of(self.stream, selected=True),
            "bookmarks": bookmark,
            "query": query,
            "start_date": None if self.stream.method == "INCREMENTAL" else _start_date(self.source),
            **({"sample_data": True} if sample else {}),
            **({REQUEST: self.request} if _knows(source, REQUEST) else {}),
            **({WINDOW: window} if window is not None and _knows(source, WINDOW) else {}),
        }
        heard = _Heard()
        try:
            with frames_of(self.stream.name):
                with messages_to(self._writer(heard)):
                    items = _call(source.load_data, arguments)
                _raise(heard.refused)
                if items is None and not self.as_tap:
                    _refuse_nothing(self)
                batches = self._cut(() if items is None else items, heard)
                yield from _followed(source, self.stream, batches, bookmark)
        except EtlAssetsError:
            raise
        except Exception as error:  # noqa: BLE001 - a connector may raise anything; this is its edge
            raise StreamReadError(
                f"stream {self.stream.name!r}: reading from {self.source_name!r} failed: "
                f"{type(error).__name__}: {redact(str(error))}",
                stream=self.stream.name,
            ) from shown_cause(error)

    def _cut(self, items: Iterable[Any], heard: "_Heard") -> Iterator[Batch]:
        records = self._listened(iter(items), heard)
        left = self.limit
        told: set[str] = set()
        try:
            for batch in chain.from_iterable(map(batches_of, records)):
                if left is not None:
                    batch = batch.head(left)  # noqa: PLW2901 - the same batch, cut
                    left -= len(batch)
                yield batch
                self._tell_left_out(batch, told)
                if left is not None and left <= 0:
                    return
        finally:
            records.close()  # at once, not when it is collected: it may hold a connection

    def _listened(self, items: Iterator[Any], heard: "_Heard") -> Generator[Any, None, None]:
        """Yield the items; messages that come on the way are refused, or go where they should."""
        writer = self._writer(heard)
        try:
            while True:
                with messages_to(writer):
                    item = next(items, _END)
                # Also where the source has caught what the message had raised.
                _raise(heard.refused)
                while heard.bookmarks:
                    yield Batch([], bookmark=heard.bookmarks.pop(0))
                if item is _END:
                    return
                yield item
        finally:
            if isinstance(items, Generator):
                items.close()

    def _own_bookmark(self, message: "Message") -> "Bookmark | None":
        """Return the bookmark of a STATE about this stream alone, which covers all rows before."""
        from etl_assets.protocol.singer.messages import StateMessage

        value = message.value if isinstance(message, StateMessage) else None
        if not isinstance(value, Mapping) or value.keys() != {"bookmarks"}:
            return None
        bookmarks = value["bookmarks"]
        if not isinstance(bookmarks, Mapping) or bookmarks.keys() != {self.stream.name}:
            return None
        found = bookmarks[self.stream.name]
        return found if isinstance(found, Mapping) else None

    def _writer(self, heard: "_Heard") -> Writer:
        if self.as_tap:
            return current_writer()

        def refuse(message: "Message") -> None:
            bookmark = self._own_bookmark(message)
            if bookmark is not None:
                heard.bookmarks.append(bookmark)
                return
            heard.refused.append(
                tap_error(self.source, f"`load_data` writes a {type(message).__name__} itself")
            )
            raise heard.refused[-1]

        return refuse

    def _tell_left_out(self, batch: Batch, told: set[str]) -> None:
        """Warn of columns that are left out only because others were selected."""
        for name in batch.left_out:
            if name not in told:
                told.add(name)
                self.source.logger.warning(
                    "stream %r: the column %r is not in the schema and is left out, because only "
                    "others are selected",
                    self.stream.name,
                    name,
                )

    def _copy_for_this_read(self, bookmark: "Bookmark | None", query: Mapping[str, Any]) -> Source:
        # One source object serves many assets at once, and Mage's sources keep what they read from
        # on themselves.
        source = copy.copy(self.source)
        source.name = self.source_name
        source._config = dict(source._config)  # noqa: SLF001 - a copy of this read's own
        source.query = dict(query)
        source.selected_streams = [self.stream.name]
        source.state = {"bookmarks": {self.stream.name: dict(bookmark)}} if bookmark else {}
        if source.catalog is None:
            source.catalog = Catalog([CatalogEntry.of(self.stream, selected=True)])
        else:
            source.catalog = Catalog.of(source.catalog).copy()
        return source


def asked_for(partitions: Partitions) -> Iterator[tuple[dict[str, Any], TimeWindow | None]]:
    """Yield a query and a window for each call of `load_data` that reads partitions.

    Windows that follow each other are one call; each value is a call of its own.
    """
    for conditions in partitions.joined:
        window = next((one for one in conditions.values() if isinstance(one, TimeWindow)), None)
        span = {} if window is None else {START: _text(window.start), END: _text(window.end)}
        fixed = {
            name: sorted(one) for name, one in conditions.items() if isinstance(one, frozenset)
        }
        for values in product(*fixed.values()):
            yield {**span, **dict(zip(fixed, values, strict=True))}, window


def _text(moment: datetime) -> str:
    return moment.isoformat()


def refuse_tap(source: Source) -> None:
    """Refuse a source that writes Singer messages itself, to be read stream by stream.

    Raises:
        ConfigError: It does.
    """
    mode = overridden_mode(source)
    if mode is not None:
        raise tap_error(source, f"it overrides `{mode}`")


def tap_error(source: Source, why: str) -> ConfigError:
    """Return the error for a source that writes Singer messages itself."""
    name = type(source).__name__
    return ConfigError(
        f"{name} cannot be read stream by stream: {why}, which stands for Singer messages of its "
        "own.",
        hint="Read all its streams in one step (`granularity='source'`, on the class where "
        "`load_data` writes them), "
        f"have `load_data` yield the rows, or run it as a tap: main({name}), piped into a target.",
    )


def _followed(
    source: Source, stream: "Stream", batches: Iterable[Batch], bookmark: "Bookmark | None"
) -> Iterator[Batch]:
    """Yield batches, with the bookmark of the fields by which the source says it is followed.

    Where that is its replication key, they are left as they are. Mage's PostgreSQL source names its
    position in the log so.
    """
    if not overrides(source, "_get_bookmark_properties_for_stream"):
        yield from batches
        return
    entry = CatalogEntry.of(stream, selected=True)
    followed = source._get_bookmark_properties_for_stream(entry, bookmarks=bookmark)  # noqa: SLF001 - Mage's hook
    if not followed or list(followed) == list(stream.cursor):
        yield from batches
        return
    by = stream.replace(replication_key=list(followed))
    in_order = source.is_sorted
    tracker = BookmarkTracker(by, bookmark, check_order=in_order, ordered=False)
    for batch in batches:
        if len(batch) and batch.bookmark is None:
            tracker.take(batch)
            batch.bookmark = tracker.position() if in_order else None
        yield batch
    if not in_order:
        yield Batch([], bookmark=tracker.position())


def _raise(errors: list[ConfigError]) -> None:
    if errors:
        raise errors[0]


def _refuse_nothing(read: StreamRead) -> NoReturn:
    """Raise the error of a `yield` that was forgotten: taken as no rows, it would empty a table."""
    raise StreamReadError(
        f"stream {read.stream.name!r}: `load_data` of {read.source_name!r} returned None.",
        hint="Have it yield its rows, or return them; [] where there are none.",
        stream=read.stream.name,
    )


def _start_date(source: Source) -> datetime | None:
    """Return the config's `start_date` as Mage parses it: naive, unless it names a zone."""
    given = resolve(source._config.get("start_date"))  # noqa: SLF001 - the rest of the config stays unresolved
    if not given or isinstance(given, datetime):
        return given or None
    from dateutil.parser import parse as parse_date

    try:
        found: datetime = parse_date(str(given))
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"The config's start_date {given!r} is no date and time (ISO 8601)."
        ) from error
    return found


def _within(
    batches: Generator[Batch, None, None], partitions: Partitions, stream: "Stream"
) -> Generator[Batch, None, None]:
    """Yield batches without the rows that are in other partitions."""
    with closing(batches):  # at once: it may hold a connection
        for batch in batches:
            mask = None
            if len(batch):
                mask = partitions.not_elsewhere(batch.to_arrow(stream), stream.name)
            yield batch if mask is None else batch.keep(mask.to_pylist())


def takes_partitions(source: Source) -> bool:
    """Return whether a source can be told the wanted partitions, or leaves out what is in none."""
    if source.filters_partitions:
        return True
    if type(source).load_data is Source.load_data:
        return False
    hook = inspect.signature(source.load_data).parameters
    takes_more = any(one.kind is one.VAR_KEYWORD for one in hook.values())
    return takes_more or not hook.keys().isdisjoint({"query", WINDOW, REQUEST})


def _knows(source: Source, name: str) -> bool:
    """Return whether `load_data` names a parameter, here or in a base class.

    Any other hook would hand it on with its `**kwargs` to something that does not expect it.
    """
    hooks = [vars(kind)["load_data"] for kind in type(source).__mro__ if "load_data" in vars(kind)]
    return any(name in inspect.signature(hook).parameters for hook in hooks)


def _call(hook: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    # A source of a few lines may leave out parameters it has no use for.
    parameters = inspect.signature(hook).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return hook(**arguments)
    taken = {p.name for p in parameters}
    return hook(**{name: value for name, value in arguments.items() if name in taken})

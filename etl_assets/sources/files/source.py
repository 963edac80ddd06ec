"""Files of many formats, by path, glob or fsspec URL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from os import PathLike
from typing import Any

from etl_assets.arguments import OBJECT, Kind, check
from etl_assets.exceptions import ConfigError, EtlAssetsError, SourceError, did_you_mean
from etl_assets.model.batch import Batch
from etl_assets.model.catalog import Catalog
from etl_assets.model.request import NO_REQUEST, ReadRequest
from etl_assets.model.schema.json_schema import from_arrow, to_arrow
from etl_assets.model.schema.types import merge
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.secrets.references import is_reference, resolve
from etl_assets.sources import selecting
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import frozen
from etl_assets.sources.files.archive import parts_of
from etl_assets.sources.files.batches import FileBatches
from etl_assets.sources.files.formats import count_of, schema_of
from etl_assets.sources.files.listing import Found, Place, failures, place_of
from etl_assets.sources.files.options import OPTIONS, FileOptions, Reading, endings, nearest_option
from etl_assets.sources.files.progress import Progress
from etl_assets.sources.files.text.columns import Columns

PATH: Kind = (str, 'a path, a glob or a URL, such as "data/*.csv"')

LOOKED_AT = 100
"""How many files of a stream are looked at for its columns."""

TOLD = 20
"""How many files that have moved are named in a run's log."""

PER_FILE = "file"

_OF_ANY_SOURCE = {
    "count_records",
    "discover_mode",
    "discover_streams_mode",
    "executor",
    "load_sample_data",
    "log_to_stdout",
    "show_templates",
    "test_connection",
    "validate",
    "verbose",
}
"""What Mage's modes and PyAirbyte hand to any source; all others are slips of the pen."""


@dataclass(frozen=True)
class Listed:
    """The files of one stream, and where they are."""

    place: Place
    files: list[Found]


class FileSource(Source):
    """Files of a folder, a glob, or an fsspec URL.

    ```python
    drop = FileSource("drop", "data", streams={"orders": "orders/*.csv"}, incremental="modified")
    ```

    Without `incremental` a stream is a full table: all its files are read and replace the table.
    With it, each file is read once, and a new run goes on behind the last file that was read whole.

    The text of a CSV file stays text unless a type is declared (`schema`) or asked for
    (`types="infer"`). What does not fit is an error that names file and line: no row is dropped,
    cut or shifted. Other formats have types of their own; `docs/files.md` lists them.

    Args:
        name: Unique in a project; part of the key under which state is stored.
        path: A path, a glob (`*`, `?`, `[...]`, `**`) or an fsspec URL; with `streams` as a
            mapping, the folder they are in. May be a reference, such as `dagster.EnvVar`.
        streams: None: all files are one stream with the source's name. `"file"`: each file is a
            stream of its own, with the file's name without its endings. A mapping of names to
            globs under `path`, or to mappings of options with a `path` in them: these streams.
        follow_symlinks: Follow links that lead out of the folder before the first wildcard; else
            they are an error.
        storage_options: For fsspec. May hold references.
        options: Those of `FileOptions`, which hold for all streams, and what every source takes
            (`catalog`, ...).

    Raises:
        ConfigError: An option is not known, or not of its kind.
    """

    is_sorted = False

    filters_partitions = True

    def __init__(
        self,
        name: str | None = None,
        path: Any = None,
        *,
        streams: Mapping[str, Any] | str | None = None,
        follow_symlinks: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        ours = {key: options.pop(key) for key in list(options) if key in OPTIONS}
        super().__init__(name=name, **options)
        _refuse_unknown(self.options)
        self._path = self._config.get("path") if path is None else path
        if self._path is not None:
            _check_path("path", self._path)
        if storage_options is not None:
            check("FileSource", "storage_options", storage_options, OBJECT)
        self._follow_symlinks = follow_symlinks
        self._storage_options = dict(storage_options or {})
        self._defaults = FileOptions(**ours)
        self._per_file = streams == PER_FILE
        if not isinstance(streams, Mapping | None) and not self._per_file:
            raise ConfigError(
                f"streams is {streams!r}.", hint='Use "file", or a mapping of names to globs.'
            )
        self._plans = {} if self._per_file else self._planned(streams)
        if self._path is None and (self._per_file or not isinstance(streams, Mapping)):
            raise ConfigError(
                "FileSource needs a path.", hint='For example FileSource("shop", "data/*.csv").'
            )
        self.storage_kind = self._kind()

    # Hooks

    def test_connection(self) -> None:
        """List the files of each stream and open one.

        Raises:
            SourceError: A folder is missing, or no file matches.
            AuthenticationError: There is no permission.
        """
        for listed, name in self._all():
            if not listed.files:
                raise self._no_file(name)
            found = listed.files[0]
            with listed.place.open(found) as file, failures(found.name):
                file.read(1)

    def declared_catalog(self) -> Catalog | None:
        """Return the streams that were declared, or None.

        With one stream per file only a look at the files tells what streams there are.
        """
        if self.catalog is not None:
            return self.catalog
        if self._per_file:
            return None
        plans = self._plans.items()
        return Catalog([self._stream(name, options, options.schema) for name, options in plans])

    def discover(self, streams: Sequence[str] | None = None) -> Catalog:
        """Return the streams, with their columns where the head of a file tells them."""
        found = []
        by_stem = _by_stem(*self._place(self._defaults)) if self._per_file else {}
        plans = dict.fromkeys(by_stem, self._defaults) or self._plans
        for name, options in plans.items():
            schema = options.schema
            if not schema:
                schema = self._schema(name, options, by_stem.get(name) or self._listed(name))
            found.append(self._stream(name, options, schema))
        catalog = Catalog(found)
        return catalog if streams is None else Catalog(catalog.select(streams))

    def load_data(
        self,
        stream: Stream,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        request: ReadRequest = NO_REQUEST,
        **kwargs: Any,
    ) -> Iterator[Batch]:
        """Yield the rows of the stream's files, and behind each file the bookmark that covers it.

        Raises:
            DataError: A file is not what it should be; names file and line.
            SourceError: No file matches a full table, or a file has changed while it was read.
        """
        del query, kwargs
        options = self._options_of(stream)
        listed = self._listed(stream.name)
        progress = self._progress(stream, options, bookmarks, listed.place)
        columns = Columns(bookmarks, request.table) if options.types == "infer" else None
        if not listed.files and progress is None and not options.allow_empty:
            raise self._no_file(stream.name)
        left = progress.left(listed.files) if progress else listed.files
        if progress and (progress.moved or progress.doubtful):
            known = progress.bookmark(listed.files) if progress.moved else None
            yield Batch([], bookmark=_with_columns(known, columns), remark=_moves(progress))
        remarks: dict[str, str] = {}
        told: set[str] = set()
        plain = frozen(stream)
        readings = [_reading(listed.place, found, plain, options, remarks) for found in left]
        failed = None
        if columns and readings:
            readings, failed = _inferred(columns, readings)
            if columns.remark:
                yield Batch([], remark=columns.remark)
        batches = FileBatches(listed.place, options)
        try:
            for found, reading in zip(left, readings, strict=False):
                yield from batches.of_file(found, reading)
                yield from _untold(remarks, told)
                if progress:
                    done = progress.done(found, listed.files)
                    yield from batches.covered(_with_columns(done, columns))
        except EtlAssetsError:
            yield from batches.rest()
            raise
        yield from batches.rest()
        yield from _untold(remarks, told)
        if failed:
            raise failed

    def count_records(
        self,
        stream: Stream | str,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> int | None:
        """Count the rows of files that know it, such as Parquet; None where there are others.

        Args:
            stream: The stream, or its name, as the verbs take it.
            bookmarks: Where to begin.
            query: Nothing that counts.
            kwargs: Nothing yet.

        Raises:
            StreamNotFoundError: There is no stream of this name.
        """
        del query, kwargs
        if isinstance(stream, str):
            stream = selecting.one(self, stream)
        options = self._options_of(stream)
        listed = self._listed(stream.name)
        progress = self._progress(stream, options, bookmarks, listed.place)
        total = 0
        for found in progress.left(listed.files) if progress else listed.files:
            count = count_of(_reading(listed.place, found, stream, options))
            if count is None:
                return None
            total += count
        return total

    def pending(
        self,
        bookmarks: Mapping[Stream, Bookmark | None],
        *,
        timeout: float,
        rows: Mapping[Stream, int] | None = None,
    ) -> dict[Stream, bool | None]:
        """Return which streams have files beyond their bookmark; full tables, by their rows."""
        answers: dict[Stream, bool | None] = {}
        whole: dict[Stream, Bookmark | None] = {}
        for stream, bookmark in bookmarks.items():
            options = self._options_of(stream)
            if self._progress(stream, options, bookmark, None) is None:
                whole[stream] = bookmark
                continue
            listed = self._listed(stream.name)
            progress = self._progress(stream, options, bookmark, listed.place)
            answers[stream] = bool(progress and progress.left(listed.files))
        return {**answers, **super().pending(whole, timeout=timeout, rows=rows)}

    # Inside

    def _planned(self, streams: Mapping[str, Any] | str | None) -> dict[str, FileOptions]:
        if not isinstance(streams, Mapping):
            return {self.name or "files": self._defaults}
        plans = {}
        for name, given in streams.items():
            changes = given if isinstance(given, Mapping) else {"path": given}
            if not changes.get("path"):
                raise ConfigError(
                    f"stream {name!r} has no path.", hint="Say which files it is, as a glob."
                )
            _check_path(f"path of stream {name!r}", changes["path"])
            plans[name] = self._defaults.replaced(changes, stream=name)
        return plans

    def _options_of(self, stream: Stream) -> FileOptions:
        if self._per_file:
            return self._defaults
        if stream.name not in self._plans:
            raise ConfigError(
                f"There is no stream {stream.name!r}.",
                hint=did_you_mean(stream.name, self._plans),
                stream=stream.name,
            )
        return self._plans[stream.name]

    def _stream(self, name: str, options: FileOptions, schema: Mapping[str, Any] | None) -> Stream:
        own: dict[str, Any] = {"selected": True}
        if options.incremental:
            own["forced-replication-method"] = "INCREMENTAL"
        return Stream(
            name,
            schema=schema,
            primary_key=options.primary_key,
            replication_method="INCREMENTAL" if options.incremental else "FULL_TABLE",
            metadata=[{"breadcrumb": [], "metadata": own}],
        )

    def _progress(
        self, stream: Stream, options: FileOptions, bookmark: Bookmark | None, place: Place | None
    ) -> Progress | None:
        """Return what was read of an incremental stream.

        It is None for a full table, and where a column says how far the stream was read.
        """
        if stream.method == "FULL_TABLE":
            return None
        if options.incremental is None:
            if stream.cursor:
                return None
            raise ConfigError(
                f"stream {stream.name!r} is incremental, but its source is not.",
                hint='Give the source incremental="modified" or "name".',
                stream=stream.name,
            )
        if stream.cursor:
            raise ConfigError(
                f"stream {stream.name!r} has a replication key, and its files are read once each.",
                hint="Leave the replication key out, or incremental=.",
                stream=stream.name,
            )
        return Progress(stream, options, bookmark, None if place is None else place.digest)

    def _place(self, options: FileOptions) -> tuple[Place, str]:
        root = resolve(self._path, name="path")
        below = None
        if options is not self._defaults:
            below = resolve(options.path, name="path")
        if root is None:
            root, below = below, None
        storage_options = resolve(self._storage_options, name="storage_options")
        pattern = None if below is None else str(below)
        return place_of(str(root), pattern, storage_options, follow=self._follow_symlinks)

    def _listed(self, name: str) -> Listed:
        if self._per_file:
            by_stem = _by_stem(*self._place(self._defaults))
            if name not in by_stem:
                raise SourceError(
                    f"stream {name!r}: there is no such file.",
                    hint=did_you_mean(name, by_stem),
                    stream=name,
                )
            return by_stem[name]
        place, pattern = self._place(self._plans[name])
        return Listed(place, place.files(pattern))

    def _all(self) -> Iterator[tuple[Listed, str]]:
        if self._per_file:
            by_stem = _by_stem(*self._place(self._defaults))
            if not by_stem:
                raise self._no_file(self.name or "files")
            yield from ((listed, name) for name, listed in by_stem.items())
            return
        for name in self._plans:
            yield self._listed(name), name

    def _schema(self, name: str, options: FileOptions, listed: Listed) -> dict[str, Any] | None:
        stream = self._stream(name, options, None)
        files = listed.files[:LOOKED_AT]
        readings = [_reading(listed.place, found, stream, options) for found in files]
        parts = islice(chain.from_iterable(map(parts_of, readings)), LOOKED_AT)
        schemas = [schema_of(part) for part in parts]
        known = [schema for schema in schemas if schema is not None]
        if not known or len(known) < len(schemas):
            return None
        are_equal = all(one == known[0] for one in known)
        return known[0] if are_equal else _merged(known)

    def _kind(self) -> str:
        """Return the format of all files, or "files" where they have several or it is not known."""
        if self._defaults.format:
            return self._defaults.format
        paths = [options.path or self._path for options in self._plans.values()] or [self._path]
        # A reference is not resolved for it.
        found = {endings(path)[1] for path in paths if type(path) is str}
        only = found.pop() if len(found) == 1 else None
        return only or "files"

    def _no_file(self, name: str) -> SourceError:
        return SourceError(
            f"stream {name!r}: no file matches.",
            hint="Look at the path and its pattern; allow_empty=True takes no file for an empty "
            "table.",
            stream=name,
        )


def _moves(progress: Progress) -> str | None:
    """Return what is to be said of files that have moved, and of those of which nothing tells."""
    said = [
        f"{new!r} is {old!r}, read before and moved; it is not read again"
        for old, new in progress.moved
    ]
    for old, new, why in progress.doubtful:
        doubt = (
            f"{new!r} is read, though it may be {old!r}, which was read before and is gone: {why}"
        )
        said.append(f"{doubt}. If it is, its rows are there twice")
    more = [f"and so on: {len(said) - TOLD:,} more"] if len(said) > TOLD else []
    return "; ".join([*said[:TOLD], *more]) or None


def _by_stem(place: Place, pattern: str) -> dict[str, Listed]:
    """Return the files by the names of their streams, one per file."""
    found: dict[str, Listed] = {}
    for file in place.files(pattern):
        stem = endings(file.name)[0]
        if stem in found:
            raise ConfigError(
                f"{found[stem].files[0].name!r} and {file.name!r} would both be the stream "
                f"{stem!r}.",
                hint="Name the streams with streams={...}.",
            )
        found[stem] = Listed(place, [file])
    return found


def _inferred(
    columns: Columns, readings: Sequence[Reading]
) -> tuple[list[Reading], EtlAssetsError | None]:
    """Look at the columns of files, and return the files with the types that were inferred.

    They end before the first that cannot be read; its error is returned, too.
    """
    seen: list[Reading] = []
    failed = None
    for reading in readings:
        try:
            with failures(reading.file):
                for part in parts_of(reading):
                    columns.look_at(part)
        except EtlAssetsError as error:
            failed = error
            break
        seen.append(reading)
    types = columns.settled()
    return [replace(reading, inferred=types) for reading in seen], failed


def _with_columns(
    bookmark: dict[str, Any] | None, columns: Columns | None
) -> dict[str, Any] | None:
    if bookmark is None or columns is None:
        return bookmark
    return columns.remembered(bookmark)


def _untold(remarks: Mapping[str, str], told: set[str]) -> list[Batch]:
    """Return the remarks that were not told yet, and take note that they are now."""
    new = [kind for kind in remarks if kind not in told]
    told.update(new)
    return [Batch([], remark=remarks[kind]) for kind in new]


def _reading(
    place: Place,
    found: Found,
    stream: Stream,
    options: FileOptions,
    remarks: dict[str, str] | None = None,
) -> Reading:
    opener: Callable[[], Any] = lambda: place.open(found)  # noqa: E731 - of this file
    folders = f"{place.root}/{found.name}".rpartition("/")[0] + "/"
    if remarks is None:
        remarks = {}
    return Reading(found.name, found.size, stream, options, opener, remarks, folders)


def _merged(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged = to_arrow(schemas[0])
    for schema in schemas[1:]:
        merged = merge(merged, to_arrow(schema))
    return from_arrow(merged)


def _check_path(called: str, value: Any) -> None:
    """Refuse what is neither a path nor a reference to one.

    Raises:
        ArgumentTypeError: It is something else.
    """
    if not isinstance(value, PathLike) and not is_reference(value):
        check("FileSource", called, value, PATH)


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    unknown = next((name for name in options if name not in _OF_ANY_SOURCE), None)
    if unknown is not None:
        raise ConfigError(f"FileSource has no option {unknown!r}.", hint=nearest_option(unknown))

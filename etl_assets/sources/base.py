"""A source: hooks that a subclass overrides, under Mage's names."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from etl_assets.arguments import TEXT, check
from etl_assets.exceptions import ConfigError
from etl_assets.logs import Logger
from etl_assets.model.catalog import Catalog
from etl_assets.redaction import remember_config
from etl_assets.registry import reach
from etl_assets.secrets.references import ResolvedConfig
from etl_assets.sources.catalog import CatalogEntry
from etl_assets.sources.discovery import DiscoveryHooks, catalog_of_schemas, only
from etl_assets.sources.messages import write_records, write_schema, write_state
from etl_assets.sources.tap.verbs import MODES, ProcessModes, take_arguments
from etl_assets.sources.verbs import Verbs

if TYPE_CHECKING:
    from etl_assets.model.events import Event, SourceState
    from etl_assets.model.key_ranges import KeyRanges
    from etl_assets.model.stored import Bookmark
    from etl_assets.model.stream import Stream

__all__ = ["Source", "main", "write_records", "write_schema", "write_state"]


class Source(ProcessModes, DiscoveryHooks, Verbs):
    """Something that rows are read from.

    A subclass MUST override `load_data`, and SHOULD declare `streams` and override
    `test_connection`. It MUST NOT connect in `__init__` or `declared_catalog`: both run whenever
    Dagster loads definitions.

    ```python
    class Shop(Source):
        streams = [Stream("users", primary_key=["id"], replication_key="updated_at")]

        def load_data(self, stream, bookmarks=None, query=None, **kwargs):
            yield [{"id": 1, "name": "Ada", "updated_at": "2026-01-01T00:00:00Z"}]
    ```

    `Source(executor, name, config, *, config_change_callback, streams, validate,
    cursor_key_overrides, primary_key_overrides)`, as PyAirbyte has it, makes a `ConnectorSource`.

    Args:
        args: Ignored; Mage's first parameter.
        catalog: The streams, where they are not declared on the class.
        config: Whatever the source needs. Values may be references (`dagster.EnvVar`): read them
            with `self.config` inside a hook, where they are resolved.
        is_sorted: The rows of an incremental stream come in the order of its replication key.
            Checked: the first row out of order is an error.
        logger: Where the source logs.
        query: What `load_data` is given as `query` when the caller gives none.
        schemas_folder: Folder of `<stream>.json` JSON Schemas beside the class.
        selected_streams: Names of the streams to read.
        settings: Mage's settings, kept as given.
        state: Mage's state; a read gives the copy it works on its own.
        name: Unique in a project; part of the key under which state is stored, so changing it
            begins anew.
        streams: The streams, where they are not declared on the class.
        options: The rest of Mage's parameters: the modes (`count_records`, `discover_mode`,
            `discover_streams_mode`, `load_sample_data`, `show_templates`, `test_connection`), which
            `process` reads where Mage keeps them, and `verbose`; and `state_message_every`.
    """

    name: str | None = None
    streams: Sequence["Stream"] = ()
    is_sorted: bool = True
    state_message_every: int | None = None
    """Run as a tap: write a STATE message after so many records of a sorted stream.

    None for one per batch.
    """
    filters_partitions: bool = False
    """Rows that are in none of the wanted partitions are left out as they are read.

    For a source that gives all its rows, or that cannot tell every row by itself.
    """
    storage_kind: str | None = None
    """What the UI shows as the source's kind, such as `postgresql`."""
    _config: dict[str, Any]
    runs_ahead: ClassVar[bool] = False
    """Its records are made whether or not they are taken: reading on takes nothing from anybody."""
    granularity: Literal["stream", "source"] = "stream"
    """What one read serves: one stream (`load_data`), or all streams of a run (`load_streams`)."""

    def __new__(cls, *given: Any, **options: Any) -> Self:
        """Make a source; an executor, as in PyAirbyte's call, makes one that runs a connector.

        That call is `Source(executor, name, config)`.
        """
        executor = options.get("executor", given[0] if given else None)
        kind: type[Any] = cls
        if cls is Source and executor is not None:
            kind = _connector_class(executor) or cls
        made: Self = super().__new__(kind)
        return made

    def __init__(  # noqa: PLR0913 - the parameters of Mage, and ours
        self,
        args: Any = None,
        catalog: Catalog | Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        is_sorted: bool | None = None,
        logger: logging.Logger | Logger | None = None,
        query: Mapping[str, Any] | str | None = None,
        schemas_folder: str = "schemas",
        selected_streams: Sequence[str] | None = None,
        settings: Any = None,
        state: Mapping[str, Any] | None = None,
        name: str | None = None,
        streams: Sequence["Stream"] | None = None,
        **options: Any,
    ) -> None:
        from etl_assets.sources.tap.arguments import said_on_the_command_line

        del args
        if name is not None:
            check(type(self).__name__, "name", name, TEXT)
        self.logger = Logger(
            self,
            logger=logger or f"etl_assets.sources.{type(self).__name__}",
            verbose=options.get("verbose", 1),
        )
        self.schemas_folder = schemas_folder
        self.settings = settings
        self.state_message_every = options.pop(
            "state_message_every", type(self).state_message_every
        )
        self.options = options
        self.versions: dict[str, int] = {}
        documents = {
            "catalog": catalog,
            "config": config,
            "query": query,
            "selected_streams": selected_streams,
            "state": state,
        }
        take_arguments(self, {**documents, **dict.fromkeys(MODES, False), **options})
        if is_sorted is not None:
            self.is_sorted = is_sorted
        if streams is not None:
            self.streams = streams
        if name is not None:
            self.name = name
        _check_name(self.name)
        take_arguments(self, said_on_the_command_line())

    @property
    def state_name(self) -> str | None:
        """The name under which its state is stored."""
        return self.name

    @property
    def config(self) -> dict[str, Any]:
        """The config, whose references are resolved at each access: a rotated secret is seen."""
        resolved = ResolvedConfig(self._config)
        remember_config(resolved)
        return resolved

    @config.setter
    def config(self, value: Mapping[str, Any]) -> None:
        self._config = dict(value)

    def __repr__(self) -> str:
        # Never the config: it may hold a secret.
        return f"{type(self).__name__}(name={self.name!r})"

    # Hooks

    def test_connection(self) -> None:
        """Raise an error that says what is wrong if the source cannot be reached."""

    def declared_catalog(self) -> Catalog | None:
        """Return the streams that are known without connecting, or None. MUST NOT connect."""
        if self.catalog is not None:
            return self.catalog
        if self.streams:
            return Catalog(list(self.streams))
        # A hook of the source's own may well ask a server for its schemas.
        own = type(self).load_schemas_from_folder is not DiscoveryHooks.load_schemas_from_folder
        return None if own else catalog_of_schemas(self)

    def discover(self, streams: Sequence[str] | None = None) -> Catalog:
        """Ask the source for its streams. MAY connect.

        Args:
            streams: Only these; None for all.
        """
        return only(self.declared_catalog() or catalog_of_schemas(self) or Catalog([]), streams)

    def load_data(
        self,
        stream: "Stream",
        bookmarks: "Bookmark | None" = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Yield the stream's rows, batch by batch.

        A batch is a list of dicts, a DataFrame, anything with the Arrow C stream or array
        interface, or a `Batch(records, bookmark=...)` where the source knows a better checkpoint
        than the largest replication key: rows first, then the bookmark that covers them.

        MUST yield every row whose replication key is at or after the bookmark (`>=`: ties at the
        boundary are taken care of), and SHOULD yield no others.

        Args:
            stream: What to read.
            bookmarks: JSON values by replication key (dates and times as ISO 8601 text), or what
                the source itself gave as a bookmark; None at first.
            query: What the caller asks for: column = value, and Mage's `_limit`, `_offset`,
                `_start_date`, `_end_date`.
            kwargs: `start_date`: the config's, as a datetime, where nothing was read before;
                `sample_data`: True where some rows are enough; and room for what later versions
                pass. A hook that names `request` among its parameters is told what is asked for
                beside the bookmark (`model/request.py`). One that names `window` is given the
                `TimeWindow` of the partition that is read, which `query` has as `_start_date` and
                `_end_date` too (the end excluded).
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override load_data to read {stream.name!r}."
        )

    def load_streams(
        self, streams: Sequence["Stream"], state: "SourceState", **kwargs: Any
    ) -> Iterator["Event"]:
        """Yield the events of many streams that share a process, a connection or a state.

        This serves a source whose `granularity` is `source`.

        By default a source that writes Singer messages is run as a tap, and any other reads one
        stream after the other.

        MUST yield a `StreamEnd` for each stream that was read completely, and a `Checkpoint` only
        after all the records that it covers. MUST read a stream in `state.refreshed` from its very
        beginning.

        Args:
            streams: What to read; their tables take the fields of these.
            state: Where to begin.
            kwargs: Room for what later versions pass.
        """
        del kwargs
        events: Iterator[Event] = reach("load_streams")(self, streams, state)
        return events

    def count_records(
        self,
        stream: "Stream",
        bookmarks: "Bookmark | None" = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> int | None:
        """Count the rows that `load_data` would yield, or None if the source cannot tell."""
        del stream, bookmarks, query, kwargs
        return None

    def pending(
        self,
        bookmarks: Mapping["Stream", "Bookmark | None"],
        *,
        timeout: float,
        rows: Mapping["Stream", int] | None = None,
    ) -> dict["Stream", bool | None]:
        """Return which streams have something new, for a sensor; None where the source cannot tell.

        By default `count_records` is asked: of a full table for another number of rows than were
        loaded, of an incremental stream for more than the one row that is the bookmark. A source
        whose replication key has many equal values SHOULD override this and compare its largest
        one.

        Args:
            bookmarks: The stored bookmark of each stream asked about.
            timeout: Seconds that a single question to the source may take.
            rows: How many rows the table of a stream holds, where that is known.
        """
        del timeout
        answers: dict[Stream, bool | None] = {}
        for stream, bookmark in bookmarks.items():
            count = self.count_records(CatalogEntry.of(stream), bookmarks=bookmark)
            if count is None:
                answers[stream] = None
            elif stream.cursor:
                answers[stream] = count > (1 if bookmark else 0)
            else:
                known = (rows or {}).get(stream)
                answers[stream] = None if known is None else count != known
        return answers

    def key_ranges(self, stream: "Stream", parts: int) -> "KeyRanges":
        """Split a stream into ranges of its key.

        `load_data` MUST take them one by one as `query["_range"]`. The bookmark beside them MUST be
        taken before the first of them is read, or in the same snapshot.
        """
        del parts
        raise ConfigError(
            f"{type(self).__name__} cannot split the stream {stream.name!r} into ranges.",
            stream=stream.name,
        )

    def orders(self, stream: "Stream", query: Mapping[str, Any] | None = None) -> bool:
        """Return whether a read is ordered by the replication key, by the engine behind the source.

        Only then is the largest key so far a safe checkpoint. A filter in the query makes it False:
        rows it leaves out would be lost behind the bookmark.
        """
        del stream, query
        return False


def main(source_class: type[Source], **kwargs: Any) -> None:
    """Run a source as a program; the exit code is 1 if it fails.

    A script ends with `if __name__ == "__main__": main(MySource)`. It is a Singer tap with Mage's
    flags, and an Airbyte source where the first word of the command line is one of Airbyte's
    commands.

    Args:
        source_class: The class.
        kwargs: Passed to it; what the command line says wins over them.
    """
    reach("run_source")(source_class, **kwargs)


def _connector_class(executor: object) -> type[Source] | None:
    """Return the class for what an executor starts; None for other objects, as Mage's `args`."""
    from etl_assets.connectors.executors import Executor

    if not isinstance(executor, Executor):
        return None
    name = "SingerSource" if executor.protocol == "singer" else "AirbyteSource"
    found: type[Source] = reach(name)
    return found


def _check_name(name: str | None) -> None:
    if name is not None and not re.fullmatch(r"[^\W\d]\w*", name):
        raise ConfigError(
            f"The source name {name!r} is not a word.",
            hint="Use letters, digits and '_': it names the schema, the group and the stored "
            "state.",
        )

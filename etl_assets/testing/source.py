"""The conformance kit of sources: streams are read, again, and after failures, and compared."""

import copy
import json
import logging
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.engine.sync import sync
from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.batch import declared_schema
from etl_assets.model.bookmarks.keys import comparable
from etl_assets.model.bookmarks.row_cells import row_hash
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.catalog import Catalog
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.testing.fakes import FailingRead, MemoryDestination, PlannedError

EXAMPLES = 10
EVENTS = frozenset(
    {
        "socket.connect",
        "socket.getaddrinfo",
        "sqlite3.connect",
        "subprocess.Popen",
        "os.posix_spawn",
    }
)
"""What Python tells of itself when something connects, or starts a program (`sys.addaudithook`)."""


class Reference:
    """A secret kept elsewhere, as `dagster.EnvVar` is one."""

    def __init__(self, value: str) -> None:
        self._value = value

    def get_value(self) -> str:
        """Return the secret."""
        return self._value


class SourceConformance:
    """The promises of a source, as tests of each of its streams.

    A subclass, in a module of tests and with a name that begins with `Test`, gives a fixture
    `source` that has some rows. It may override `add_rows` and `source_with_secret`, and declare
    `known_gaps`.
    """

    known_gaps: ClassVar[dict[str, str]] = {}
    """What this source cannot do: the name of a check without `test_`, and why.

    The test of a gap that does not exist fails.
    """

    source: Any
    """The fixture of that name."""

    # To be overridden

    def add_rows(self) -> bool:
        """Add a row to each stream of the source, later than all others; return whether it did."""
        return False

    def source_with_secret(self, reference: Any) -> Source | None:
        """Return a source that uses this reference (with `get_value()`) as a secret, or None."""
        del reference
        return None

    # The streams

    def test_discover_is_stable_and_reads_no_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two discoveries give the same catalog, without reading data."""
        monkeypatch.setattr(self.source, "load_data", _refused)
        first, second = (
            json.dumps(self.source.discover().to_dict(), default=str) for _ in range(2)
        )
        assert first == second
        assert self.streams(), "it has no streams"

    def test_discover_does_not_depend_on_the_rows(self) -> None:
        """More rows change no stream, but for the estimate how many there are."""
        before = _without_estimates(self.source.discover())
        self._add()
        assert _without_estimates(self.source.discover()) == before

    def test_loading_definitions_does_not_connect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Dagster's definitions are created without a connection or a hook that may connect."""
        from etl_assets.assets.factory import build_stream_asset_specs

        names = [stream.name for stream in self.streams()]
        for hook in ("load_data", "discover", "test_connection", "count_records", "pending"):
            monkeypatch.setattr(self.source, hook, _refused)
        declared = self.source.declared_catalog()
        with _watched() as seen:
            specs = list(build_stream_asset_specs(self.source, streams=None if declared else names))
        assert specs
        assert not seen

    # The rows

    def test_every_row_fits_its_schema(self) -> None:
        """Each value has its declared type, each field is declared, no key is NULL."""
        for stream in self.streams():
            declared = declared_schema(stream)
            for batch in self._read(stream).open(None):
                table = batch.to_arrow(stream)
                missing = [key for key in stream.primary_key if key not in table.column_names]
                assert not missing, f"{stream.name}: rows without their key {missing}"
                assert not any(table.column(key).null_count for key in stream.primary_key), (
                    f"{stream.name}: NULL key"
                )
                for field in table.schema:
                    if declared is None:
                        continue
                    assert field.name in declared.names, (
                        f"{stream.name}.{field.name} is not declared"
                    )
                    known = declared.field(field.name).type
                    assert field.type in {known, _null()}, (
                        f"{stream.name}.{field.name}: {field.type}, not {known}"
                    )

    def test_reading_twice_gives_the_same(self) -> None:
        """A second read from the beginning gives the same rows; the first one leaves nothing."""
        for stream in self.streams():
            assert self._hashes(stream, None) == self._hashes(stream, None), stream.name

    def test_counts_agree(self) -> None:
        """`count_records` returns how many rows `load_data` yields, also from the last bookmark."""
        for stream in self.streams():
            for bookmark in (None, plain(self._straight(stream).bookmarks[-1])):
                counted = self.source.count_records(stream, bookmarks=bookmark)
                assert counted in {None, self._hashes(stream, bookmark).total()}, (
                    stream.name,
                    bookmark,
                )

    # The bookmark

    def test_bookmark_never_goes_back(self) -> None:
        """The bookmarks of a read, committed one after the other, only grow."""
        for stream in self.streams():
            bookmarks = [one for one in self._straight(stream).bookmarks if one is not None]
            assert bookmarks or not stream.cursor, f"{stream.name}: incremental, and no bookmark"
            for before, after in pairwise(bookmarks):
                _check_order(stream, before, after)

    def test_bookmark_is_json(self) -> None:
        """A bookmark survives being written and read as JSON."""
        for stream in self.streams():
            for bookmark in self._straight(stream).bookmarks:
                assert bookmark is None or json.loads(json.dumps(bookmark)) == dict(bookmark)

    def test_final_bookmark_gives_boundary_rows_alone(self) -> None:
        """A read from the last bookmark only gives rows at it, which were there before."""
        for stream in self._incremental():
            memory = self._straight(stream)
            bookmark = plain(memory.bookmarks[-1])
            again, known = self._rows(stream, bookmark), self._hashes(stream, None)
            assert not Counter(map(row_hash, again)) - known, (
                f"{stream.name}: rows that were not there"
            )
            for row in again:
                for field in set(stream.cursor) & set(bookmark or {}):
                    value, stored = row[field], (bookmark or {})[field]
                    assert comparable(stored, value) == value, (
                        f"{stream.name}: {field} = {value!r}, not {stored!r}"
                    )

    def test_second_sync_loads_nothing_twice(self) -> None:
        """A sync that goes on from the last bookmark leaves what is there as it is."""
        for stream in self.streams():
            memory = self._straight(stream)
            before = memory.hashes()
            self._sync(stream, memory)
            assert memory.hashes() == before, stream.name

    def test_new_rows_are_found(self) -> None:
        """A row that is added later comes with the next sync, and no row twice."""
        memories = {stream: self._straight(stream) for stream in self.streams()}
        counts = {stream: len(memory.rows) for stream, memory in memories.items()}
        self._add()
        for stream, memory in memories.items():
            self._sync(stream, memory)
            assert len(memory.rows) == counts[stream] + 1, stream.name
            assert memory.hashes() == self._straight(stream).hashes(), stream.name

    def test_resuming_equals_one_straight_read(self) -> None:
        """A sync that fails several times and goes on ends with the rows of an undisturbed one."""
        for stream in self.streams():
            self._check_resuming(stream)

    def _check_resuming(self, stream: Stream) -> None:
        straight = self._straight(stream)
        batches = sum(1 for _ in self._read(stream).open(None))

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        @given(st.lists(st.integers(0, batches), min_size=1, max_size=3))
        def check(failures: list[int]) -> None:
            memory = MemoryDestination()
            for after in failures:
                with suppress(PlannedError):
                    sync(FailingRead(self._read(stream), after), memory, checkpoint_seconds=0)
            self._sync(stream, memory)
            assert memory.hashes() == straight.hashes(), (
                f"{stream.name}, failed after {failures} batches"
            )

        check()

    # Secrets

    def test_secrets_are_not_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """A secret given by reference is in no `repr`, no log and no error."""
        secret = f"canary-{secrets.token_hex(12)}"
        source = self.source_with_secret(Reference(secret))
        if source is None:
            pytest.skip("it has no secrets: override source_with_secret")
        shown = [repr(source), str(source)]
        with caplog.at_level(logging.DEBUG):
            for hook in _hooks(source):
                try:
                    hook()
                except EtlAssetsError as error:
                    shown += [str(error), repr(error)]
        shown += [repr(source), caplog.text]
        assert not [text for text in shown if secret in text]

    # Inside

    def streams(self) -> list[Stream]:
        """Return the streams that are checked: those that it discovers."""
        return list(self.source.discover().values())

    def _incremental(self) -> list[Stream]:
        streams = [stream for stream in self.streams() if stream.cursor]
        return streams or pytest.skip("no stream is incremental")

    def _add(self) -> None:
        if not self.add_rows():
            pytest.skip("its data cannot be changed: override add_rows")

    def _read(self, stream: Stream) -> StreamRead:
        return StreamRead(self.source, stream, source_name=self.source.name or "conformance")

    def _sync(self, stream: Stream, memory: MemoryDestination) -> None:
        sync(self._read(stream), memory, checkpoint_seconds=0)

    def _straight(self, stream: Stream) -> MemoryDestination:
        memory = MemoryDestination()
        self._sync(stream, memory)
        return memory

    def _rows(self, stream: Stream, bookmark: Bookmark | None) -> list[dict[str, Any]]:
        read = self._read(stream)
        return [
            row for batch in read.open(bookmark) for row in batch.to_rows(stream, native_types=True)
        ]

    def _hashes(self, stream: Stream, bookmark: Bookmark | None) -> Counter[str]:
        return Counter(map(row_hash, self._rows(stream, bookmark)))

    @pytest.fixture(autouse=True)
    def _kit(self, request: pytest.FixtureRequest, source: Source) -> None:
        self.source = source
        name = str(getattr(request.node, "originalname", "")).removeprefix("test_")
        unknown = [gap for gap in self.known_gaps if not hasattr(self, f"test_{gap}")]
        assert not unknown, f"gaps of no check: {unknown}"
        if name in self.known_gaps:
            request.applymarker(pytest.mark.xfail(reason=self.known_gaps[name], strict=True))


def _without_estimates(catalog: Catalog) -> str:
    found = catalog.to_dict()
    for stream in found["streams"]:
        for entry in stream.get("metadata", ()):
            entry["metadata"].pop("row-count", None)
    return json.dumps(found, default=str)


def _refused(*args: Any, **kwargs: Any) -> Any:
    del args, kwargs
    raise AssertionError("this hook is not to be called here")


def _null() -> Any:
    import pyarrow as pa

    return pa.null()


def _hooks(source: Source) -> Iterator[Callable[[], Any]]:
    """Yield calls of what may connect, on copies: a read keeps things on the source."""
    yield source.test_connection
    yield source.discover
    streams: list[Stream] = []
    with suppress(EtlAssetsError):
        streams = list(source.discover().values())
    for stream in streams or [Stream("things")]:
        read = StreamRead(copy.copy(source), stream, source_name="conformance")
        yield partial(_exhaust, read)


def _exhaust(read: StreamRead) -> None:
    for _ in read.open(None):
        pass


def _check_order(stream: Stream, before: Bookmark, after: Bookmark) -> None:
    """Compare two bookmarks by the replication key, unless the source made them itself."""
    if not stream.cursor or not all(
        name in one for one in (before, after) for name in stream.cursor
    ):
        return
    was, now = (tuple(bookmark[name] for name in stream.cursor) for bookmark in (before, after))
    assert tuple(map(_orderable, was)) <= tuple(map(_orderable, now)), (
        f"{stream.name}: from {was} back to {now}"
    )


def _orderable(value: Any) -> Any:
    return (value is not None, value)


_watching: list[set[str]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in EVENTS:
        _watching[-1].add(f"{event} {arguments[:2]!r}")


_hooked: list[bool] = []


@contextmanager
def _watched() -> Iterator[set[str]]:
    """Note the connections that are made meanwhile."""
    if not _hooked:
        sys.addaudithook(_hook)  # cannot be taken back: it looks whether somebody is watching
        _hooked.append(True)
    _watching.append(set())
    try:
        yield _watching[-1]
    finally:
        _watching.pop()

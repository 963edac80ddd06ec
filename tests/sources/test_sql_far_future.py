"""A row whose replication key lies in the far future: told, and with `max_bookmark` it hides no other row."""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBDestination
from etl_assets.exceptions import BookmarkError, ConfigError
from etl_assets.model.bookmarks.tracker import is_far_ahead
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import resolve_start, sync
from tests.sources.sql_databases import KINDS, Database, database

MERGED = Stream("t", primary_key="id", replication_key="at")
APPENDED = Stream("t", replication_key="at")


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        opened.run("CREATE TABLE t (id integer PRIMARY KEY, at timestamp NULL)")
        yield opened


def ids(warehouse: DuckDBDestination, stream: Stream) -> list[int]:
    found: list[int] = sorted(
        warehouse.read_table(warehouse.table_for("shop", stream)).column("id").to_pylist()
    )
    return found


@pytest.mark.parametrize("stream", [MERGED, APPENDED], ids=["merged", "appended"])
@pytest.mark.parametrize("bound", [timedelta(days=2), "2037-01-01"])
def test_later_rows_come(bound: Any, stream: Stream, made: Database, tmp_path: Path) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    made.insert("t", [(1, "2026-01-01 00:00:00"), (2, "2037-12-31 00:00:00")])

    def run() -> Any:
        read = StreamRead(made.source(max_bookmark=bound, lag=0), stream)
        return sync(read, warehouse)

    assert str(run().bookmark["at"]).startswith("2026-01-01")
    waits = stream is APPENDED
    assert ids(warehouse, stream) == ([1] if waits else [1, 2])
    made.insert("t", [(3, "2026-02-01 00:00:00")])
    assert str(run().bookmark["at"]).startswith("2026-02-01")
    assert ids(warehouse, stream) == ([1, 3] if waits else [1, 2, 3])
    run()
    assert ids(warehouse, stream) == ([1, 3] if waits else [1, 2, 3]), "nothing comes twice"


def test_it_is_told(made: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    made.insert("t", [(1, "2026-01-01 00:00:00")])
    with caplog.at_level(logging.WARNING):
        sync(StreamRead(made.source(lag=0), MERGED), warehouse)
        assert "in the future" not in caplog.text
        made.insert("t", [(2, "2037-12-31 00:00:00")])
        sync(StreamRead(made.source(lag=0), MERGED), warehouse)
    assert "t: the bookmark is in the future ('at' = 2037-12-31T00:00:00" in caplog.text
    assert "max_bookmark" in caplog.text
    with pytest.raises(BookmarkError, match="lies beyond max_bookmark"):
        sync(StreamRead(made.source(max_bookmark=timedelta(0)), MERGED), warehouse)
    refreshed = StreamRead(made.source(max_bookmark=timedelta(0)), MERGED)
    result = sync(
        refreshed, warehouse, start=resolve_start(refreshed, warehouse, full_refresh=True)
    )
    assert str((result.bookmark or {})["at"]).startswith("2026-01-01"), "the hint works"


def test_a_sensor_does_not_see_what_is_held_back(made: Database) -> None:
    made.insert("t", [(1, "2026-01-01 00:00:00"), (2, "2037-12-31 00:00:00")])
    source = made.source(max_bookmark=timedelta(0))
    assert source.pending({MERGED: {"at": "2026-01-01T00:00:00"}}, timeout=30) == {MERGED: False}
    made.insert("t", [(3, "2026-02-01 00:00:00")])
    assert source.pending({MERGED: {"at": "2026-01-01T00:00:00"}}, timeout=30) == {MERGED: True}


def test_a_number_has_no_now(made: Database, tmp_path: Path) -> None:
    made.insert("t", [(1, "2026-01-01 00:00:00"), (900, "2026-01-01 00:00:00")])
    stream = Stream("t", primary_key="id", replication_key="id")
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    with pytest.raises(ConfigError, match="a timedelta is for dates and times"):
        sync(StreamRead(made.source(max_bookmark=timedelta(0)), stream), warehouse)
    assert sync(StreamRead(made.source(max_bookmark=100), stream), warehouse).bookmark == {"id": 1}


@pytest.mark.parametrize(
    ("value", "far"),
    [
        (datetime(2026, 1, 3, tzinfo=UTC), True),
        (datetime(2026, 1, 1, 23, tzinfo=UTC), False),
        (datetime(2099, 1, 1), True),  # noqa: DTZ001 - a naive one
        (date(2026, 1, 2), False),
        (date(2026, 1, 3), True),
        ("2099-12-31", True),
        ("2099-12-31T00:00:00Z", True),
        ("2025-12-31 00:00:00", False),
        ("20991231", False),
        ("9999-99-99", False),
        (4102444800, False),
        (None, False),
    ],
)
def test_what_is_far_ahead(value: Any, far: bool) -> None:
    assert is_far_ahead(value, datetime(2026, 1, 1, 12, tzinfo=UTC)) is far

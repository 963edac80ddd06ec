"""Append, merge, replace and auto on DuckDB: what is in the table after each load."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import (
    BookmarkError,
    BusyError,
    ConcurrentSyncError,
    ConfigError,
    DataError,
    DestinationError,
    SourceError,
    StateError,
)
from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import Start, resolve_start, sync
from etl_assets.testing.fakes import GivenRead
from tests.destinations.test_staging import killed_in
from tests.toys import Rows, read

Query = Callable[[str], list[tuple[Any, ...]]]

USERS = Stream("users", primary_key=["id"], replication_key="seq")
EVENTS = Stream("events", replication_key="seq")
CITIES = Stream("cities")


def test_auto_merges_what_has_a_key_and_a_cursor(
    warehouse: DuckDBDestination, query: Query
) -> None:
    first = sync(
        read([{"id": 1, "seq": 1, "n": "a"}, {"id": 2, "seq": 1, "n": "b"}], USERS), warehouse
    )
    second = sync(
        read([{"id": 2, "seq": 2, "n": "B"}, {"id": 3, "seq": 3, "n": "c"}], USERS), warehouse
    )
    assert first.strategy is second.strategy is WriteStrategy.MERGE
    assert query("SELECT id, n FROM shop.users ORDER BY id") == [(1, "a"), (2, "B"), (3, "c")]
    assert (second.records_loaded, second.rows_in_table) == (2, 3)
    assert second.bookmark_previous == first.bookmark == {"seq": 1}
    assert second.bookmark == {"seq": 3}


@pytest.mark.parametrize(
    ("file", "schema"),
    [("crm", "crm"), ("CRM", "crm"), ("main", "main"), ("w", "temp"), ("w", "system")],
)
@pytest.mark.parametrize("stream", [USERS, EVENTS, CITIES], ids=["merge", "append", "replace"])
def test_a_schema_may_be_called_as_the_file(
    tmp_path: Path, file: str, schema: str, stream: Stream
) -> None:
    destination = DuckDBDestination(str(tmp_path / f"{file}.duckdb"), schema_name=schema)
    for n in (1, 2):
        sync(read([{"id": 1, "seq": n}, {"id": n, "seq": n, f"new{n}": n}], stream), destination)
    found = destination.read_table(destination.table_for("crm", stream), columns=["id", "seq"])
    assert found.num_rows == {"users": 2, "events": 4, "cities": 2}[stream.name]
    with duckdb.connect(str(tmp_path / f"{file}.duckdb")) as connection:
        held = "SELECT table_schema FROM information_schema.tables WHERE table_name = ?"
        assert connection.execute(held, [stream.name]).fetchall() == [(schema,)]


def test_of_one_key_in_one_batch_the_last_arrival_wins(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"id": 1, "seq": 1, "n": n} for n in "abc"]
    result = sync(read(rows, USERS, batch=10), warehouse)
    assert query("SELECT id, n FROM shop.users") == [(1, "c")]
    assert (result.records_read, result.records_loaded) == (3, 1)


def test_rows_that_come_again_as_they_were_change_nothing(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "seq": 1, "n": None}, {"id": 2, "seq": 1, "n": "b"}]
    first = sync(read(rows, USERS), warehouse)
    again = sync(read(rows, USERS), warehouse)
    assert (again.records_read, again.records_loaded) == (2, 0)
    assert again.last_changed_by == first.load_id
    assert query("SELECT DISTINCT _etl_assets_load_id FROM shop.users") == [(first.load_id,)]
    changed = sync(read([rows[0], {**rows[1], "n": None}], USERS), warehouse)
    assert changed.records_loaded == 1


def test_ignore_keeps_the_row_that_was_there(warehouse: DuckDBDestination, query: Query) -> None:
    sync(read([{"id": 1, "seq": 1, "n": "a"}], USERS), warehouse)
    sync(
        read([{"id": 1, "seq": 2, "n": "b"}, {"id": 2, "seq": 2, "n": "c"}], USERS),
        warehouse,
        on_conflict="ignore",
    )
    assert query("SELECT id, n FROM shop.users ORDER BY id") == [(1, "a"), (2, "c")]


def test_a_composite_key_is_one_key(warehouse: DuckDBDestination, query: Query) -> None:
    stream = Stream("pairs", primary_key=["a", "b"])
    sync(
        read([{"a": 1, "b": 1, "v": 1}, {"a": 1, "b": 2, "v": 2}], stream),
        warehouse,
        strategy="merge",
    )
    sync(read([{"a": 1, "b": 2, "v": 3}], stream), warehouse, strategy="merge")
    assert query("SELECT a, b, v FROM shop.pairs ORDER BY b") == [(1, 1, 1), (1, 2, 3)]


@pytest.mark.parametrize(
    "rows", [[{"id": None, "seq": 1}], [{"seq": 1}], [{"id": 1, "seq": 1}, {"seq": 2}]]
)
def test_a_key_that_is_null_or_missing_is_refused(
    rows: Any, warehouse: DuckDBDestination, path: Path
) -> None:
    with pytest.raises(DataError, match=r"'users'.*'id'"):
        sync(read(rows, USERS), warehouse)
    with duckdb.connect(str(path)) as connection:
        assert connection.sql("SHOW ALL TABLES").fetchall() == []


def test_a_merge_without_a_key_is_refused_before_anything_is_read(
    warehouse: DuckDBDestination,
) -> None:
    source = Rows([{"a": 1}])
    with pytest.raises(ConfigError, match="primary key"):
        sync(StreamRead(source, CITIES), warehouse, strategy="merge")
    assert source.asked == []


def test_append_keeps_equal_rows(warehouse: DuckDBDestination, query: Query) -> None:
    rows = [{"seq": 1, "n": "x"}, {"seq": 1, "n": "x"}]
    result = sync(read(rows, EVENTS), warehouse)
    assert result.strategy is WriteStrategy.APPEND
    assert query("SELECT COUNT(*) FROM shop.events") == [(2,)]


def test_ties_at_the_boundary_are_neither_lost_nor_doubled(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"seq": 1, "n": "a"}, {"seq": 2, "n": "b"}, {"seq": 2, "n": "b"}]
    sync(read(rows, EVENTS), warehouse)
    late = [*rows, {"seq": 2, "n": "b"}, {"seq": 2, "n": "late"}]
    second = sync(read(late, EVENTS), warehouse)
    assert (second.records_read, second.records_loaded) == (4, 2)
    third = sync(read(late, EVENTS), warehouse)
    assert third.records_loaded == 0
    assert query("SELECT seq, n FROM shop.events ORDER BY ALL") == [
        (1, "a"),
        *[(2, "b")] * 3,
        (2, "late"),
    ]


KEYED_EVENTS = EVENTS.replace(primary_key=["n"])


def test_an_append_doubles_no_tie_of_a_stream_with_a_key_either(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"seq": 1, "n": "a"}, {"seq": 2, "n": "b"}]
    for late in ([], [], [{"seq": 2, "n": "late"}], []):
        rows += late
        assert sync(read(rows, KEYED_EVENTS), warehouse, strategy="append").bookmark["~boundary"]  # type: ignore[index]
    assert query("SELECT seq, n FROM shop.events ORDER BY ALL") == [(1, "a"), (2, "b"), (2, "late")]
    warehouse.delete_state(warehouse.states()[0])
    for _ in range(2):
        sync(read(rows, KEYED_EVENTS), warehouse, strategy="append")
    assert query("SELECT seq, n FROM shop.events ORDER BY ALL") == [(1, "a"), (2, "b"), (2, "late")]


@pytest.mark.parametrize("as_arrow", [False, True])
@pytest.mark.parametrize("values", [[0.1, 0.3, 0.7], [0.2, 0.6, 1.1], [1.0, 2.5, 1e300]], ids=str)
def test_rows_at_a_double_are_neither_lost_nor_doubled(
    values: list[float], as_arrow: bool, warehouse: DuckDBDestination, query: Query
) -> None:
    class Floats(Rows):
        def load_data(self, *args: Any, **kwargs: Any) -> Any:
            yield pa.Table.from_pylist(list(self.rows)) if as_arrow else self.rows

    rows: list[dict[str, Any]] = []
    for value in values:
        for n in range(2):
            rows.append({"seq": value, "n": n})
            for _ in range(2):
                sync(StreamRead(Floats(rows), EVENTS), warehouse)
    assert query("SELECT seq, n FROM shop.events ORDER BY ALL") == [
        (value, n) for value in values for n in range(2)
    ]


def test_the_zeros_that_end_a_decimal_make_no_other_row(
    warehouse: DuckDBDestination, query: Query
) -> None:
    for text in ("1", "1.0", "1.000"):
        table = pa.Table.from_pylist([{"seq": 1, "n": Decimal(text)}])
        sync(GivenRead(EVENTS, [table], source_name="shop"), warehouse)
    assert query("SELECT count(*) FROM shop.events") == [(1,)]


def test_a_stream_that_was_merged_begins_to_append_after_a_reset(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"n": 1, "seq": 1}, {"n": 2, "seq": 1}]
    bookmark = sync(read(rows, KEYED_EVENTS), warehouse).bookmark
    with pytest.raises(BookmarkError, match=r"did not append.*`etl-assets state reset`"):
        sync(read(rows, KEYED_EVENTS), warehouse, strategy="append")
    warehouse.delete_state(warehouse.states()[0])
    sync(read(rows, KEYED_EVENTS), warehouse, strategy="append")
    sync(read([*rows, {"n": 3, "seq": 1}], KEYED_EVENTS), warehouse, strategy="append")
    assert query("SELECT n FROM shop.events ORDER BY n") == [(1,), (2,), (3,)]
    given = read(rows, KEYED_EVENTS)
    sync(
        given,
        warehouse,
        strategy="append",
        start=resolve_start(given, warehouse, bookmark=bookmark),
    )
    assert query("SELECT count(*) FROM shop.events") == [(5,)], "who gives a bookmark gets the rows"


def test_an_append_refuses_rows_that_are_read_again(warehouse: DuckDBDestination) -> None:
    class LookingBack(Rows):
        def load_data(self, *args: Any, **kwargs: Any) -> Any:
            yield self.rows

    rows = [{"seq": 1, "n": "a"}, {"seq": 2, "n": "b"}]
    sync(read(rows, KEYED_EVENTS), warehouse, strategy="append")
    with pytest.raises(BookmarkError, match=r"from before the bookmark 2 came.*'seq' = 1"):
        sync(StreamRead(LookingBack(rows), KEYED_EVENTS), warehouse, strategy="append")


@pytest.mark.parametrize("as_arrow", [False, True])
def test_a_source_that_ignores_its_bookmark_doubles_nothing(
    as_arrow: bool, warehouse: DuckDBDestination, query: Query
) -> None:
    class Ignoring(Rows):
        def load_data(self, *args: Any, **kwargs: Any) -> Any:
            yield pa.Table.from_pylist(list(self.rows)) if as_arrow else self.rows

    rows = [{"seq": n, "n": n % 2} for n in range(5)]
    for _ in range(2):
        sync(StreamRead(Ignoring(rows), EVENTS), warehouse)
    result = sync(
        StreamRead(Ignoring([*rows, {"seq": 4, "n": 7}, {"seq": 5, "n": 0}]), EVENTS), warehouse
    )
    assert result.records_loaded == 2
    assert query("SELECT seq, n FROM shop.events ORDER BY ALL") == [
        *((n, n % 2) for n in range(5)), (4, 7), (5, 0)
    ]  # fmt: skip


def test_a_null_in_the_key_of_an_append_is_refused_for_no_bookmark_would_cover_it(
    warehouse: DuckDBDestination,
) -> None:
    with pytest.raises(
        BookmarkError, match="'events': 1 rows have no value in the replication key 'seq'"
    ):
        sync(read([{"seq": 1}, {"seq": None}], EVENTS), warehouse)


def test_a_bookmark_given_as_a_date_fits_a_naive_clock(warehouse: DuckDBDestination) -> None:
    rows = [{"id": n, "seq": datetime(2026, 1, n)} for n in (1, 2, 3)]  # noqa: DTZ001
    dated = read(rows, USERS)
    dated.source.load_data = lambda **_: iter([rows])  # type: ignore[method-assign]
    start = Start(bookmark={"seq": "2026-01-02"}, given=True)
    assert sync(dated, warehouse, start=start).bookmark == {"seq": "2026-01-03T00:00:00"}


def test_too_many_ties_without_a_key_ask_for_one(warehouse: DuckDBDestination) -> None:
    rows = [{"seq": 1, "n": n} for n in range(10_001)]
    with pytest.raises(BookmarkError, match="primary key"):
        sync(read(rows, EVENTS, batch=5_000), warehouse)


def test_a_full_table_is_replaced_so_deleted_rows_go(
    warehouse: DuckDBDestination, query: Query
) -> None:
    sync(read([{"n": 1}, {"n": 2}], CITIES), warehouse)
    result = sync(read([{"n": 2}], CITIES), warehouse)
    assert result.strategy is WriteStrategy.REPLACE
    assert query("SELECT n FROM shop.cities") == [(2,)]


def test_an_empty_full_refresh_empties_the_table_and_keeps_its_columns(
    warehouse: DuckDBDestination, query: Query
) -> None:
    sync(read([{"n": 1}], CITIES), warehouse)
    result = sync(read([], CITIES), warehouse)
    assert result.rows_in_table == 0
    assert query("SELECT n FROM shop.cities") == []


def test_a_replace_that_dies_leaves_the_old_table(
    warehouse: DuckDBDestination, query: Query
) -> None:
    class Dying(Rows):
        def load_data(self, *args: Any, **kwargs: Any) -> Any:
            yield from super().load_data(*args, **kwargs)
            raise OSError("the wire was cut")

    sync(read([{"n": 1}], CITIES), warehouse)
    with pytest.raises(SourceError, match=r"'cities'.*the wire was cut") as caught:
        sync(StreamRead(Dying([{"n": 7}] * 10), CITIES), warehouse)
    assert isinstance(caught.value.__cause__, OSError)
    assert query("SELECT n FROM shop.cities") == [(1,)]


def test_a_full_refresh_of_an_append_stream_replaces_it(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"seq": 1, "n": "a"}, {"seq": 2, "n": "b"}]
    sync(read(rows, EVENTS), warehouse)
    again = read(rows, EVENTS)
    start = resolve_start(again, warehouse, full_refresh=True)
    result = sync(again, warehouse, start=start)
    assert result.strategy is WriteStrategy.REPLACE
    assert query("SELECT COUNT(*) FROM shop.events") == [(2,)]
    assert sync(read(rows, EVENTS), warehouse).records_loaded == 0


@pytest.mark.parametrize(
    ("strategy", "expected"), [("append", 4), ("merge", 2), ("replace", 2), ("auto", 2)]
)
def test_a_strategy_that_was_named_rules_a_full_refresh(
    strategy: str, expected: int, warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"seq": 1, "n": "a"}, {"seq": 2, "n": "b"}]
    for _ in range(2):
        again = read(rows, KEYED_EVENTS)
        start = resolve_start(again, warehouse, full_refresh=True)
        sync(again, warehouse, strategy=strategy, start=start)
    assert query("SELECT COUNT(*) FROM shop.events") == [(expected,)]
    sync(
        read(rows, KEYED_EVENTS), warehouse, strategy="auto" if strategy == "replace" else strategy
    )
    assert query("SELECT COUNT(*) FROM shop.events") == [(expected,)], (
        "the next one goes on from there"
    )


def test_after_a_reset_the_stream_is_loaded_anew_never_twice(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"seq": 1}, {"seq": 2}]
    for strategy in ("auto", "append", "append"):
        sync(read(rows, EVENTS), warehouse, strategy=strategy)
        warehouse.delete_state(warehouse.states()[0])
    again = read(rows, EVENTS)
    sync(
        again,
        warehouse,
        strategy="append",
        start=resolve_start(again, warehouse, full_refresh=True),
    )
    assert query("SELECT COUNT(*) FROM shop.events") == [(2,)]


def test_a_replace_reads_from_the_beginning_though_there_is_a_bookmark(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"id": n, "seq": n} for n in range(4)]
    sync(read(rows, USERS), warehouse, strategy="replace")
    sync(read(rows, USERS), warehouse, strategy="replace")
    assert query("SELECT COUNT(*) FROM shop.users") == [(4,)]


@pytest.mark.parametrize("cut", [{"limit": 1}, {"query": {"n": 1}}])
def test_a_cut_read_never_replaces_and_never_appends_twice(
    cut: Any, warehouse: DuckDBDestination
) -> None:
    with pytest.raises(ConfigError, match="cut by"):
        sync(read([{"n": 1}], CITIES, **cut), warehouse)
    with pytest.raises(ConfigError, match="loaded again"):
        sync(read([{"seq": 1}], EVENTS, **cut), warehouse)


def test_a_cut_read_that_merges_moves_no_bookmark(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"id": n, "seq": n} for n in range(1, 5)]
    result = sync(read(rows, USERS, limit=3), warehouse)
    assert (result.records_loaded, result.bookmark) == (3, None)
    assert sync(read(rows, USERS), warehouse).records_read == 4
    assert query("SELECT COUNT(*) FROM shop.users") == [(4,)]


def test_rows_out_of_order_are_an_error_that_names_both_values(
    warehouse: DuckDBDestination,
) -> None:
    with pytest.raises(BookmarkError, match=r"'users'.*'seq' 1 after 2.*is_sorted = False"):
        sync(read([{"id": 1, "seq": 2}, {"id": 2, "seq": 1}], USERS), warehouse)


def test_an_unsorted_source_saves_its_bookmark_once_at_the_end(
    warehouse: DuckDBDestination,
) -> None:
    rows = [{"id": n, "seq": seq} for n, seq in enumerate([3, 1, 7, 2])]
    result = sync(read(rows, USERS, is_sorted=False), warehouse, checkpoint_seconds=0)
    assert (result.bookmark, result.commits) == ({"seq": 7}, 1)


def test_only_a_bookmark_of_the_source_is_a_checkpoint(
    warehouse: DuckDBDestination, query: Query
) -> None:
    class Pages(Rows):
        def load_data(self, *args: Any, **kwargs: Any) -> Any:
            for page, rows in enumerate(super().load_data(*args, **kwargs), 1):
                if page > 2:
                    raise OSError("page 3 is broken")
                yield Batch(rows, bookmark={"page": page})

    stream = Stream("pages")
    with pytest.raises(SourceError):
        sync(
            StreamRead(Pages([{"n": n} for n in range(8)]), stream),
            warehouse,
            strategy="append",
            checkpoint_seconds=0,
        )
    assert query("SELECT n FROM shop.pages ORDER BY n") == [(0,), (1,), (2,), (3,)]
    assert warehouse.states()[0].bookmark == {"page": 2}


def test_a_bookmark_never_goes_back_and_never_becomes_null(warehouse: DuckDBDestination) -> None:
    sync(read([{"id": 1, "seq": 5}], USERS), warehouse)

    class Ignoring(Rows):
        def load_data(self, *args: Any, **kwargs: Any) -> Any:
            yield self.rows

    result = sync(
        StreamRead(Ignoring([{"id": 2, "seq": None}, {"id": 3, "seq": 2}]), USERS), warehouse
    )
    assert result.bookmark == {"seq": 5}


def test_composite_bookmarks_keep_all_their_columns(warehouse: DuckDBDestination) -> None:
    stream = Stream("lines", primary_key=["a", "b"], replication_key=["a", "b"])
    rows = [{"a": 1, "b": 9}, {"a": 2, "b": 1}, {"a": 2, "b": 3}]
    assert sync(read(rows, stream), warehouse).bookmark == {"a": 2, "b": 3}
    assert sync(read([*rows, {"a": 3, "b": 0}], stream), warehouse).records_read == 2


def test_two_syncs_of_one_stream_the_second_to_commit_is_refused(
    warehouse: DuckDBDestination, query: Query
) -> None:
    sync(read([{"seq": 0}], EVENTS), warehouse)
    slow = read([{"seq": 0}, {"seq": 1}], EVENTS)
    began = resolve_start(slow, warehouse)
    sync(read([{"seq": 0}, {"seq": 1}], EVENTS), warehouse, run_id="run-a")
    with pytest.raises(ConcurrentSyncError, match="'events' was synced by run run-a"):
        sync(slow, warehouse, start=began, run_id="run-b")
    assert query("SELECT seq FROM shop.events ORDER BY seq") == [(0,), (1,)]


def test_a_bookmark_set_by_hand_is_not_overwritten_by_a_sync_that_was_running(
    warehouse: DuckDBDestination,
) -> None:
    sync(read([{"seq": 1}], EVENTS), warehouse)
    running = read([{"seq": 1}, {"seq": 2}], EVENTS)
    began = resolve_start(running, warehouse)
    warehouse.set_bookmark(warehouse.states()[0], {"seq": 0})
    with pytest.raises(ConcurrentSyncError):
        sync(running, warehouse, start=began)
    assert warehouse.states()[0].bookmark == {"seq": 0}


def test_two_first_syncs_collide_too(warehouse: DuckDBDestination, query: Query) -> None:
    slow = read([{"seq": 1}], EVENTS)
    began = resolve_start(slow, warehouse)
    sync(read([{"seq": 1}], EVENTS), warehouse, run_id="run-a")
    with pytest.raises(ConcurrentSyncError):
        sync(slow, warehouse, start=began)
    assert query("SELECT COUNT(*) FROM shop.events") == [(1,)]


def test_a_table_of_someone_else_is_never_touched(
    warehouse: DuckDBDestination, query: Query
) -> None:
    query("CREATE SCHEMA shop; CREATE TABLE shop.cities AS SELECT 42 AS precious; SELECT 1")
    with pytest.raises(DestinationError, match="not made by this library"):
        sync(read([{"n": 1}], CITIES), warehouse)
    assert query("SELECT * FROM shop.cities") == [(42,)]
    sync(read([{"n": 1}], CITIES), warehouse, adopt=True)
    assert query("SELECT n FROM shop.cities") == [(1,)]


def test_a_table_that_is_adopted_keeps_its_rows_and_gets_our_columns(
    warehouse: DuckDBDestination, query: Query
) -> None:
    query("CREATE SCHEMA shop; CREATE TABLE shop.events AS SELECT 0 AS seq; SELECT 1")
    sync(read([{"seq": 1}], EVENTS), warehouse, adopt=True)
    sync(read([{"seq": 1}, {"seq": 2}], EVENTS), warehouse)
    assert query("SELECT seq, _etl_assets_load_id IS NULL FROM shop.events ORDER BY seq") == [
        (0, True),
        (1, False),
        (2, False),
    ]


def test_a_table_of_another_source_is_an_error_that_names_both(path: Path) -> None:
    warehouse = DuckDBDestination(str(path), schema_name="raw")
    sync(read([{"n": 1}], CITIES), warehouse)
    with pytest.raises(
        DestinationError, match=r"'cities' of source 'shop'.*etl-assets state rename shop store"
    ):
        sync(read([{"n": 1}], CITIES, name="store"), warehouse)
    assert warehouse.rename_source("shop", "store") == 1
    assert sync(read([{"n": 1}], CITIES, name="store"), warehouse).records_loaded == 1


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DROP TABLE shop.events", "is gone"),
        ("DELETE FROM shop.events", "is empty"),
        ("ALTER TABLE shop.events DROP COLUMN n", 'column "n".*is gone'),
        ("ALTER TABLE shop.events ALTER n TYPE INTEGER", 'column "n".*is now INTEGER'),
    ],
)
def test_a_table_changed_by_someone_else_is_an_error_or_loaded_anew(
    sql: str, says: str, warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"seq": 1, "n": 1}]
    sync(read(rows, EVENTS), warehouse)
    query(f"{sql}; SELECT 1")
    with pytest.raises(StateError, match=says):
        sync(read(rows, EVENTS), warehouse)
    again = read(rows, EVENTS)
    sync(again, warehouse, start=resolve_start(again, warehouse, on_table_changed="full_refresh"))
    assert query("SELECT seq, n FROM shop.events") == [(1, 1)]


def test_a_stream_that_moves_to_another_table_is_never_continued_in_an_empty_one(
    warehouse: DuckDBDestination, query: Query
) -> None:
    rows = [{"seq": 1}, {"seq": 2}]
    sync(read(rows, EVENTS), warehouse)
    moved = read(rows, EVENTS.replace(stream_alias="happenings"))
    with pytest.raises(StateError, match=r'"events".*"happenings"'):
        sync(moved, warehouse)
    sync(moved, warehouse, start=resolve_start(moved, warehouse, full_refresh=True))
    assert query("SELECT COUNT(*) FROM shop.happenings") == [(2,)]


def test_rewind_takes_the_later_loads_of_an_append_back(
    warehouse: DuckDBDestination, query: Query
) -> None:
    first = sync(read([{"seq": 1}], EVENTS), warehouse)
    sync(read([{"seq": 1}, {"seq": 2}], EVENTS), warehouse)
    sync(read([{"seq": 2}, {"seq": 3}], EVENTS), warehouse)
    assert warehouse.rewind(warehouse.states()[0], first.load_id) == 2
    assert query("SELECT seq FROM shop.events") == [(1,)]
    assert sync(read([{"seq": n} for n in (1, 2, 3)], EVENTS), warehouse).records_loaded == 2


def test_rewind_refuses_what_it_cannot_undo(warehouse: DuckDBDestination) -> None:
    first = sync(read([{"id": 1, "seq": 1}], USERS), warehouse)
    sync(read([{"id": 1, "seq": 2}], USERS), warehouse)
    with pytest.raises(StateError, match="it was a merge"):
        warehouse.rewind(warehouse.states()[0], first.load_id)


def test_a_file_held_by_someone_is_named_when_it_lasts(path: Path) -> None:
    warehouse = DuckDBDestination(str(path), lock_timeout=0.2)
    sync(read([{"n": 1}], CITIES), warehouse)
    with (
        duckdb.connect(str(path), read_only=True),
        pytest.raises(BusyError, match="open in this process"),
    ):
        sync(read([{"n": 1}], CITIES), warehouse)


def test_what_does_not_fit_in_memory_is_staged_in_files_and_nothing_is_left(
    path: Path, query: Query
) -> None:
    warehouse = DuckDBDestination(str(path), staging_memory_bytes=100)
    rows = [
        {"seq": n, "n": "x" * 50 if n % 3 else None, **({"extra": 1.5} if n > 30 else {})}
        for n in range(60)
    ]
    result = sync(read(rows, EVENTS), warehouse)
    assert result.records_loaded == 60
    assert query("SELECT COUNT(*), SUM(seq), COUNT(n), COUNT(extra) FROM shop.events") == [
        (60, 1770, 40, 29)
    ]
    assert [p.name for p in path.parent.iterdir()] == ["warehouse.duckdb"]


def test_a_staging_directory_of_a_dead_process_is_swept(
    path: Path, warehouse: DuckDBDestination
) -> None:
    root = Path(f"{path}.staging")
    killed_in(root)
    sync(read([{"n": 1}], CITIES), warehouse)
    assert not root.exists()


@pytest.mark.parametrize("below", ["", "lost+found", "spool"])
def test_a_staging_dir_of_somebody_else_stays_as_it_is(
    path: Path, tmp_path: Path, below: str
) -> None:
    """Whether rows are staged there or not: it may be a mount point, or another program's."""
    root = tmp_path / "large"
    (root / below).mkdir(parents=True)
    if below == "spool":
        (root / below / "owner.lock").touch()
        (root / below / "000000.arrow").write_text("not ours")
    before = sorted(root.rglob("*"))
    for staging_memory_bytes in (0, 1_000_000):
        warehouse = DuckDBDestination(
            str(path), staging_dir=str(root), staging_memory_bytes=staging_memory_bytes
        )
        sync(read([{"n": 1}], CITIES), warehouse)
        assert root.is_dir()
        assert sorted(root.rglob("*")) == before

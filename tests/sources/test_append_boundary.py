"""Appended streams whose schema changes between two syncs: no row at the bookmark is doubled, none is lost."""

import json
import logging
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from etl_assets import (
    Batch,
    Destination,
    DuckDBDestination,
    Source,
    SqlSource,
    Stream,
    stream_assets,
)
from etl_assets.cli import main
from etl_assets.exceptions import BookmarkError
from etl_assets.model.bookmarks.appending import BOUNDARY, MAX_BOUNDARY_ROWS
from etl_assets.model.bookmarks.row_cells import row_hash
from etl_assets.sources.read import StreamRead
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import resolve_start, sync
from tests.assets.shop import failure_text
from tests.sources.sql_databases import Database, database

KINDS = ["sqlite", "postgresql", "mysql"]
ROWS = 11
AT_BOUNDARY = 4
"""Rows 8 to 11 have the largest replication key."""


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as made:
        made.run("CREATE TABLE events (id integer, seq integer, name varchar(20), n integer)")
        made.insert(
            "events",
            [(number, min(number, 8), f"n{number}", number * 10) for number in range(1, ROWS + 1)],
        )
        yield made


def events(shop: Database, key: tuple[str, ...] = ()) -> SqlSource:
    return shop.source(streams=[Stream("events", primary_key=key, replication_key="seq")])


def load(source: Source, file: Path, **options: Any) -> Any:
    """Load the stream anew discovered, as the next run of a project does."""
    (stream,) = (
        source.discover(["events"]).streams if isinstance(source, SqlSource) else source.streams
    )
    declared = source.streams[0]
    stream = stream.replace(primary_key=declared.primary_key, replication_key="seq")
    return sync(
        StreamRead(source, stream), DuckDBDestination(str(file)), strategy="append", **options
    )


def ids(file: Path) -> list[int]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return [
            row[0] for row in connection.sql("SELECT id FROM shop.events ORDER BY id").fetchall()
        ]


CHANGES: dict[str, Any] = {
    "a new column with a default": ["ALTER TABLE events ADD COLUMN more varchar(10) DEFAULT 'x'"],
    "a new column that was filled": [
        "ALTER TABLE events ADD COLUMN more varchar(10)",
        "UPDATE events SET more = 'filled'",
    ],
    "a dropped column": ["ALTER TABLE events DROP COLUMN n"],
    "a renamed column": ["ALTER TABLE events RENAME COLUMN n TO number"],
    "another type": {
        "postgresql": ["ALTER TABLE events ALTER COLUMN n TYPE text"],
        "mysql": ["ALTER TABLE events MODIFY n varchar(20)"],
        "sqlite": [
            "ALTER TABLE events ADD COLUMN t text",
            "UPDATE events SET t = n",
            "ALTER TABLE events DROP COLUMN n",
            "ALTER TABLE events RENAME COLUMN t TO n",
        ],
    },
}


def changes() -> Iterator[Any]:
    """Yield each change with and without a key: both in SQLite, elsewhere `make test` takes one of the two."""
    for kind in KINDS:
        for at, change in enumerate(CHANGES):
            for is_keyed in (False, True):
                again = kind != "sqlite" and is_keyed == bool((at + KINDS.index(kind)) % 2)
                yield pytest.param(
                    kind,
                    change,
                    ("id",) if is_keyed else (),
                    marks=[pytest.mark.full] if again else [],
                    id=f"{kind}-{change}-{'keyed' if is_keyed else 'keyless'}",
                )


@pytest.mark.parametrize(("shop", "change", "key"), list(changes()), indirect=["shop"])
def test_a_changed_schema_doubles_and_loses_nothing(
    change: str, key: tuple[str, ...], shop: Database, tmp_path: Path
) -> None:
    file = tmp_path / "w.duckdb"
    load(events(shop, key), file)
    statements = CHANGES[change]
    shop.run(*(statements if isinstance(statements, list) else statements[shop.kind]))
    assert load(events(shop, key), file).records_loaded == 0
    new = {"id": 12, "seq": 8, "name": "'new'"}
    shop.run(f"INSERT INTO events ({', '.join(new)}) VALUES ({', '.join(map(str, new.values()))})")
    assert load(events(shop, key), file).records_loaded == 1
    assert load(events(shop, key), file).records_loaded == 0
    assert ids(file) == list(range(1, 13))


def test_another_selection_doubles_nothing(shop: Database, tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    streams = [
        Stream("events", replication_key="seq", columns=columns)
        for columns in (["id", "seq", "name"], ["id", "seq"], ["id", "seq", "n"], None)
    ]
    for stream in streams:
        sync(StreamRead(shop.source(streams=[stream]), stream), DuckDBDestination(str(file)))
    assert ids(file) == list(range(1, ROWS + 1))


class Rows(Source):
    """Rows in memory; `since` as the bookmark asks for them, or all of them whatever it says."""

    streams = [Stream("events", replication_key="seq")]
    honours = True
    is_sorted = False

    def __init__(self, rows: list[dict[str, Any]], **options: Any) -> None:
        super().__init__(name="shop", **options)
        self.rows = rows

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        since = bookmarks["seq"] if bookmarks and self.honours else 0
        yield [row for row in self.rows if row["seq"] >= since]


class TestAnUndecidableChange:
    """Nothing is loaded, and each hint works to the letter."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "w.duckdb"

    @pytest.fixture(params=[(), ("id",)], ids=["keyless", "keyed"])
    def source(self, request: pytest.FixtureRequest, file: Path) -> Rows:
        source = Rows([{"id": 1, "seq": 1}, {"id": 2, "seq": 2}])
        source.streams = [Stream("events", primary_key=request.param, replication_key="seq")]
        sync(StreamRead(source, source.streams[0]), DuckDBDestination(str(file)), strategy="append")
        source.rows = [{"uid": row["id"], "seq": row["seq"]} for row in source.rows]
        if request.param:
            source.streams = [Stream("events", primary_key="uid", replication_key="seq")]
        return source

    def again(self, source: Rows, file: Path, **options: Any) -> Any:
        read, warehouse = StreamRead(source, source.streams[0]), DuckDBDestination(str(file))
        return sync(
            read, warehouse, strategy="append", start=resolve_start(read, warehouse, **options)
        )

    def followed(self, source: Rows, file: Path, *, hint: int) -> int:
        """Run a command that the error's hint names, to the letter."""
        with pytest.raises(BookmarkError) as raised:
            self.again(source, file)
        _, *arguments = shlex.split(str(raised.value.hint).split("`")[2 * hint + 1])
        return main([*arguments, "--duckdb", str(file)])

    def test_it_is_an_error(self, source: Rows, file: Path) -> None:
        with pytest.raises(
            BookmarkError,
            match=r"stream 'events': nothing tells .* 'id' is gone; 'uid' had no values",
        ):
            self.again(source, file)
        assert ids(file) == [1, 2]

    def test_a_reset_helps(self, source: Rows, file: Path) -> None:
        assert self.followed(source, file, hint=0) == 0
        assert self.again(source, file).strategy is WriteStrategy.REPLACE
        assert self.again(source, file).records_loaded == 0

    def test_deleting_the_rows_and_storing_the_bookmark_helps(
        self, source: Rows, file: Path
    ) -> None:
        with duckdb.connect(str(file)) as connection:
            connection.execute("DELETE FROM shop.events WHERE seq = 2")
        assert self.followed(source, file, hint=1) == 0
        assert self.again(source, file).records_loaded == 1
        assert self.again(source, file).records_loaded == 0
        with duckdb.connect(str(file)) as connection:
            assert connection.sql(
                "SELECT id, uid, seq FROM shop.events ORDER BY seq"
            ).fetchall() == [
                (1, None, 1),
                (None, 2, 2),
            ]


def test_a_state_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    source = Rows([{"id": 1, "seq": 1}, {"id": 2, "seq": 1}])
    sync(StreamRead(source, source.streams[0]), DuckDBDestination(str(file)))
    old = {row_hash(row): 1 for row in source.rows}
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "UPDATE _etl_assets_state SET bookmark = ?",
            [f'{{"seq": 1, "{BOUNDARY}": {json.dumps(old)}}}'],
        )
    source.rows = [{**row, "more": "x"} for row in [*source.rows, {"id": 3, "seq": 1}]]
    assert (
        sync(StreamRead(source, source.streams[0]), DuckDBDestination(str(file))).records_loaded
        == 1
    )
    assert ids(file) == [1, 2, 3]


class TestLateRows:
    """Rows from before the bookmark are counted and told, and an option says what becomes of them."""

    LATE: ClassVar[list[dict[str, Any]]] = [{"id": 7, "seq": 2}, {"id": 8, "seq": 1}]

    @pytest.fixture
    def source(self) -> Rows:
        source = Rows([{"id": 1, "seq": 5}])
        source.honours = False
        return source

    @pytest.fixture(params=["stream", "source"])
    def run(self, request: pytest.FixtureRequest, tmp_path: Path, source: Rows) -> Any:
        instance = dg.DagsterInstance.ephemeral()

        def run(**options: Any) -> tuple[Any, dict[str, Any], str]:
            assets = stream_assets(
                source,
                destination=DuckDBDestination(str(tmp_path / "w.duckdb")),
                granularity=request.param,
                options={"events": options},
            )
            result = dg.materialize(assets, instance=instance, raise_on_error=False)
            logged = "\n".join(
                entry.user_message
                for entry in instance.all_logs(result.run_id)
                if int(entry.level) >= logging.WARNING
            )
            events = result.get_asset_materialization_events()
            return (
                result,
                {k: v.value for k, v in events[0].materialization.metadata.items()}
                if events
                else {},
                logged,
            )

        run()
        source.rows += self.LATE
        return run

    def test_by_default_they_are_left_out_and_told(self, run: Any, tmp_path: Path) -> None:
        _, metadata, logged = run()
        assert metadata["etl_assets/late_rows"] == 2
        assert (
            "events: 2 rows from before the bookmark were left out: the earliest has 'seq' = 1."
            in logged
        )
        assert ids(tmp_path / "w.duckdb") == [1]

    def test_they_can_be_loaded(self, run: Any, tmp_path: Path) -> None:
        _, metadata, logged = run(late_rows="load")
        assert metadata["etl_assets/late_rows"] == 2
        assert "2 rows from before the bookmark were loaded" in logged
        assert ids(tmp_path / "w.duckdb") == [1, 7, 8]

    def test_they_can_be_an_error(self, run: Any, tmp_path: Path) -> None:
        result, _, logged = run(late_rows="error")
        assert not result.success
        told = logged if "shop/events" in logged else failure_text(result)
        assert "a row from before the bookmark 5 came" in told
        assert "'seq' = 1" in told
        assert ids(tmp_path / "w.duckdb") == [1]

    def test_there_may_be_none(self, run: Any, source: Rows) -> None:
        source.rows = [{"id": 9, "seq": 9}]
        _, metadata, logged = run()
        assert "etl_assets/late_rows" not in metadata
        assert logged == ""

    def test_another_word_is_an_error(self, source: Rows) -> None:
        with pytest.raises(Exception, match="late_rows cannot be 'keep'"):
            stream_assets(
                source,
                destination=DuckDBDestination("w.duckdb"),
                options={"events": {"late_rows": "keep"}},
            )


class Delivered(Destination):
    """A destination of `export_batch_data` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[int] = []

    def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
        self.ids += [item["record"]["id"] for item in record_data]


@pytest.mark.parametrize("strategy", ["auto", "append"])
@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_a_destination_that_only_appends_gets_the_boundary_row_once(
    strategy: str, granularity: Any
) -> None:
    source, instance, delivered = (
        Rows([{"id": 1, "seq": 1}]),
        dg.DagsterInstance.ephemeral(),
        Delivered(),
    )
    source.streams = [Stream("events", primary_key="id", replication_key="seq")]
    for number in (2, 3):
        for _ in range(2):
            assets = stream_assets(
                source, destination=delivered, write_strategy=strategy, granularity=granularity
            )
            assert dg.materialize(assets, instance=instance).success
        source.rows.append({"id": number, "seq": number - 1})
    assert dg.materialize(assets, instance=instance).success
    assert delivered.ids == [1, 2, 3]


def test_a_script_is_told_by_pythons_logging(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Rows([{"id": 1, "seq": 5}])
    source.honours = False
    sync(StreamRead(source, source.streams[0]), DuckDBDestination(str(tmp_path / "w.duckdb")))
    source.rows.insert(0, {"id": 0, "seq": 1})
    result = sync(
        StreamRead(source, source.streams[0]), DuckDBDestination(str(tmp_path / "w.duckdb"))
    )
    assert result.late_rows == 1
    assert "events: 1 rows from before" in caplog.text


class Tables(Source):
    """Batches as they are given, in the order of their keys."""

    streams = [Stream("events", replication_key="seq")]

    def __init__(self, *batches: Any) -> None:
        super().__init__(name="shop")
        self.batches = batches

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield from self.batches


def loaded(file: Path, *batches: Any, **options: Any) -> int:
    source = Tables(*batches)
    return sync(
        StreamRead(source, source.streams[0]), DuckDBDestination(str(file)), **options
    ).records_loaded


DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - a clock's time
BERLIN = pa.timestamp("ns", "Europe/Berlin")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (pa.timestamp("us"), pa.timestamp("ns")),
        (pa.date32(), pa.timestamp("ns")),
        (pa.timestamp("ns"), pa.timestamp("us")),
        (pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC")),
        (pa.timestamp("us", "UTC"), BERLIN),
        (BERLIN, pa.timestamp("ns", "UTC")),
    ],
    ids=str,
)
def test_a_replication_key_of_another_unit_goes_on(
    before: pa.DataType, now: pa.DataType, tmp_path: Path
) -> None:
    def table(type_: pa.DataType, *hours: int) -> pa.Table:
        times = [DAY.replace(hour=hour) for hour in hours]
        utc = pa.array(times, pa.timestamp("us", "UTC" if getattr(type_, "tz", None) else None))
        return pa.table({"seq": utc.cast(type_), "id": list(hours)})

    file = tmp_path / "w.duckdb"
    assert loaded(file, table(before, 0)) == 1
    assert loaded(file, table(now, 0, 1)) == 1
    assert loaded(file, table(now, 1)) == 0
    assert ids(file) == [0, 1]


def test_instants_in_nanoseconds_are_ordered_whatever_the_zone(tmp_path: Path) -> None:
    # Clocks go back between these two: the later one has the smaller text.
    utc = pa.array(
        [datetime(2026, 10, 25, 0, 30), datetime(2026, 10, 25, 1, 0)],  # noqa: DTZ001
        pa.timestamp("us", "UTC"),
    )
    assert loaded(tmp_path / "w.duckdb", pa.table({"seq": utc.cast(BERLIN), "id": [1, 2]})) == 2


@pytest.mark.parametrize("form", ["rows", "arrow"])
def test_only_at_the_last_key_there_may_be_too_many_rows(form: str, tmp_path: Path) -> None:
    rows = [{"seq": 1, "id": number} for number in range(MAX_BOUNDARY_ROWS + 2)]
    batches: list[Any] = [rows[:6000], rows[6000:], [{"seq": 2, "id": -1}]]
    if form == "arrow":
        batches = [pa.Table.from_pylist(batch) for batch in batches]
    file = tmp_path / "w.duckdb"
    with pytest.raises(BookmarkError, match="more than 10000 rows share"):
        loaded(file, *batches[:2], checkpoint_seconds=0)
    assert loaded(file, *batches, checkpoint_seconds=0) == len(rows) + 1
    assert loaded(file, *batches[2:]) == 0


def test_rows_that_took_the_place_of_loaded_ones_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "w.duckdb"
    loaded(file, [{"seq": 1, "id": 1, "n": 1.2345}])
    assert loaded(file, [{"seq": 1, "id": 1, "n": 1.23}]) == 1
    assert (
        "1 of the rows loaded at the bookmark did not come again, and 1 others came there"
        in caplog.text
    )


def test_a_table_of_nothing_but_the_rows_at_the_bookmark_follows_the_hint(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    loaded(file, [{"seq": 1, "id": 1}])
    with pytest.raises(BookmarkError):
        loaded(file, [{"seq": 1, "uid": 1}])
    with duckdb.connect(str(file)) as connection:
        connection.execute("DELETE FROM shop.events")
    assert (
        main(["state", "set", "--duckdb", str(file), "shop/events", '{"seq":1,"~boundary":[]}'])
        == 0
    )
    assert loaded(file, [{"seq": 1, "uid": 1}]) == 1


class Checkpoints(Source):
    """Gives each row with a bookmark of its own, which is the replication key."""

    def __init__(self, rows: list[dict[str, int]], key: tuple[str, ...] = ()) -> None:
        super().__init__(
            name="shop", streams=[Stream("events", primary_key=key, replication_key="seq")]
        )
        self.rows = rows

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        since = (bookmarks or {}).get("seq", 0)
        for row in self.rows:
            if row["seq"] >= since:
                yield Batch([row], bookmark={"seq": row["seq"]})


class Sent(Destination):
    """Only appends."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[int] = []

    def test_connection(self) -> None:
        """It is always there."""

    def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
        self.ids += [item["record"]["id"] for item in record_data]


@pytest.mark.parametrize("granularity", ["stream", "source"])
@pytest.mark.parametrize("key", [(), ("id",)], ids=["no key", "a key"])
def test_a_bookmark_of_the_sources_own_doubles_nothing(
    key: tuple[str, ...], granularity: Any
) -> None:
    destination, instance = Sent(), dg.DagsterInstance.ephemeral()
    rows = [{"id": 1, "seq": 1}, {"id": 2, "seq": 2}]
    for new in ([], [], [{"id": 3, "seq": 2}], [{"id": 4, "seq": 3}, {"id": 5, "seq": 3}], []):
        rows += new
        source = Checkpoints(rows, key)
        assets = stream_assets(source, destination=destination, granularity=granularity)
        assert dg.materialize(assets, instance=instance).success
        assert destination.ids == [row["id"] for row in rows]


def test_a_bookmark_of_the_sources_own_that_is_another_word_stays_alone(tmp_path: Path) -> None:
    class Tokens(Checkpoints):
        def load_data(
            self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield Batch([dict(row) for row in self.rows], bookmark={"token": 7})

    source = Tokens([{"id": 1, "seq": 1}])
    (stream,) = source.streams
    result = sync(
        StreamRead(source, stream), DuckDBDestination(str(tmp_path / "w.duckdb")), strategy="append"
    )
    assert result.bookmark == {"token": 7}

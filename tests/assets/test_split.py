"""A stream that several steps read at once: nothing lost or doubled, and nothing seen before all of it is there."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.bindings import bindings_of
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.assets.iomanagers import DuckDBIOManager
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.database.split import drop_split
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.exceptions import ConfigError, SourceError, StreamReadError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource
from tests.assets.shop import Shop, event, failure_text, run
from tests.pairs.places import destination
from tests.servers import MYSQL, mysql_left_over, mysql_query
from tests.sources.sql_databases import Database, database

ORDERS = Stream("orders", primary_key=["id"], replication_key="updated_at")
ASSET = "shop/orders"
STEP = "shop__orders"
WORDS = f"{STEP}.{STEP}__"


class Watched(SqlSource):
    """A SQL source that notes its reads, and lets a test do something while ranges are read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.reads: list[Any] = []
        self.before: Callable[[Any], None] = lambda _range: None

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        wanted = (query or {}).get("_range")
        self.reads.append(bookmarks if wanted is None else wanted)
        self.before(wanted)
        yield from super().load_data(stream, bookmarks, query, **kwargs)


class World:
    """One source and one destination."""

    def __init__(
        self, shop: Database, warehouse: DatabaseDestination, instance: dg.DagsterInstance
    ) -> None:
        self.shop = shop
        self.warehouse = warehouse
        self.instance = instance
        self.source = Watched("shop", shop.url, streams=[ORDERS])
        shop.run(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, name VARCHAR(50), updated_at INTEGER)"
        )
        shop.insert("orders", [(n, f"first {n}", n) for n in range(1, 101)])

    def run(
        self,
        *,
        full_refresh: bool = False,
        place: Any = None,
        beside: Sequence[dg.AssetsDefinition] = (),
        **options: Any,
    ) -> dg.ExecuteInProcessResult:
        """Materialize the stream, and what else there is; `place` is a resource for the warehouse."""
        given = {"orders": StreamOptions(**{"split": 4, **options})}
        where: dict[str, Any] = {"destination": self.warehouse}
        if place is not None:
            where = {"io_manager_key": "place"}
        assets = stream_assets(self.source, options=given, **where)
        tags = {"etl_assets/full_refresh": "*"} if full_refresh else {}
        resources = {} if place is None else {"place": place}
        return run([*assets, *beside], self.instance, tags=tags, resources=resources)

    @property
    def table(self) -> TableName:
        return self.warehouse.table_for("shop", ORDERS)

    def loaded(self) -> list[tuple[Any, ...]]:
        """Return the table's rows by key; none where there is no table."""
        with self.warehouse.transaction() as tx:
            if "id" not in tx.type_names(
                self.table
            ):  # of a table that was empty, no column is known
                return []
            found = tx.read(self.table, ["id", "name", "updated_at"]).to_pylist()
        return sorted(tuple(row.values()) for row in found)

    def given(self) -> list[tuple[Any, ...]]:
        """Return the source's rows by key."""
        with self.shop.engine.connect() as connection:
            return [
                tuple(row) for row in connection.exec_driver_sql("SELECT * FROM orders ORDER BY id")
            ]

    def left(self) -> list[str]:
        """Return the names of the staging tables that are there, and what else is known of ranges."""
        with self.warehouse.transaction() as tx:
            ledger = self.warehouse.ledger(tx)
            rows = ledger.splits("shop", ORDERS) if ledger.exists() else []
            return [
                row.table.name for row in rows if row.table != self.table and tx.exists(row.table)
            ] + [row.partition for row in rows]


WORLDS = [
    "sqlite-duckdb",
    "postgresql-duckdb",
    "sqlite-postgresql",
    "postgresql-mysql",
    "mysql-sqlite",
]
EVERY = pytest.mark.parametrize("world", WORLDS, indirect=True)


@pytest.fixture(
    params=[WORLDS[0], *(pytest.param(one, marks=pytest.mark.full) for one in WORLDS[1:])]
)
def world(
    request: pytest.FixtureRequest, tmp_path: Path, instance: dg.DagsterInstance
) -> Iterator[World]:
    source, _, target = request.param.partition("-")
    with ExitStack() as stack:
        shop = stack.enter_context(database(source, tmp_path))
        yield World(shop, destination(target, tmp_path, stack), instance)


def steps(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return the steps that succeeded, without the load id."""
    found = [str(one.step_key) for one in result.all_events if one.is_step_success]
    return [
        f"{key.partition('[')[0]}{key[-3:] if key.endswith(']') else ''}".replace(WORDS, "")
        for key in found
    ]


@EVERY
def test_a_first_load_is_read_in_ranges_and_the_next_run_in_one_step(world: World) -> None:
    first = world.run()
    assert first.success
    assert steps(first) == ["plan", "range_0]", "range_1]", "range_2]", "range_3]", "publish"]
    assert world.source.reads == [
        {"before": 26},
        {"from": 26, "before": 51},
        {"from": 51, "before": 76},
        {"from": 76},
    ]
    assert world.loaded() == world.given()
    assert world.left() == []
    told = event(world.instance, ASSET)
    assert told["etl_assets/bookmark"] == {"updated_at": 100}
    assert told["etl_assets/records_loaded"] == told["dagster/row_count"] == 100
    assert told["etl_assets/write_strategy"] == "replace"
    assert told["etl_assets/bytes"] > 100 * len("first 100"), "each range has told its own"
    assert told["dagster/column_schema"].columns[0].name == "id"
    load_ids = (
        world.warehouse.read_table(world.table, columns=["_etl_assets_load_id"])
        .column(0)
        .unique()
        .to_pylist()
    )
    assert (
        load_ids
        == [told["etl_assets/load_id"]]
        == [state.load_id for state in world.warehouse.states()]
    )

    world.shop.run(
        "INSERT INTO orders VALUES (101, 'new', 101)",
        "UPDATE orders SET name = 'then' WHERE id = 100",
    )
    then = world.run()
    assert steps(then) == ["plan", "publish"]
    assert world.source.reads[4:] == [{"updated_at": 100}]
    assert world.loaded() == world.given()
    assert event(world.instance, ASSET)["etl_assets/write_strategy"] == "merge"


def test_what_changes_while_it_is_read_is_read_by_the_next_run(world: World) -> None:
    def change(wanted: Any) -> None:
        if wanted == {"from": 51, "before": 76}:  # the first two ranges were read already
            world.shop.run(
                "UPDATE orders SET name = 'changed', updated_at = 200 WHERE id IN (10, 60)",
                "INSERT INTO orders VALUES (0, 'before all', 201)",
                "INSERT INTO orders VALUES (500, 'behind all', 202)",
            )

    world.source.before = change
    assert world.run().success
    assert event(world.instance, ASSET)["etl_assets/bookmark"] == {"updated_at": 100}
    assert (10, "first 10", 10) in world.loaded()
    assert (60, "changed", 200) in world.loaded()
    assert (500, "behind all", 202) in world.loaded()
    world.source.before = lambda _range: None
    assert world.run().success
    assert world.loaded() == world.given()


def test_a_range_that_fails_is_retried_alone_and_readers_see_the_old_table(world: World) -> None:
    assert world.run().success
    old = world.loaded()
    world.shop.run("UPDATE orders SET name = 'second'")
    world.source.reads.clear()
    failures = [StreamReadError("the line was cut")]
    seen: list[Sequence[Any]] = []

    def fail(wanted: Any) -> None:
        seen.append(world.loaded())
        if wanted == {"from": 26, "before": 51} and failures:
            raise failures.pop()

    world.source.before = fail
    result = world.run(full_refresh=True, retry_policy=dg.RetryPolicy(max_retries=1))
    assert result.success
    assert sorted(str(one) for one in world.source.reads).count("{'from': 26, 'before': 51}") == 2
    assert len(world.source.reads) == 5
    assert all(rows == old for rows in seen)
    assert world.loaded() == world.given() != old
    assert world.left() == []
    assert event(world.instance, ASSET)["etl_assets/bookmark_previous"] == {"updated_at": 100}


def test_a_retry_drops_what_its_range_had_staged_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It fails behind its COMMIT: its staging table is there when it is read again.
    monkeypatch.setattr(
        "etl_assets.faults._passed", type("Passed", (dict,), {"__missing__": lambda *_: 0})()
    )
    monkeypatch.setenv("ETL_ASSETS_FAULT", "after_commit:2:raise")
    assert world.run(retry_policy=dg.RetryPolicy(max_retries=1)).success
    assert len(world.source.reads) == 5
    assert world.loaded() == world.given()


def test_a_publish_whose_event_was_lost_is_told_of_and_not_done_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "etl_assets.faults._passed", type("Passed", (dict,), {"__missing__": lambda *_: 0})()
    )
    monkeypatch.setenv("ETL_ASSETS_FAULT", "last_committed:5:raise")
    assert world.run(retry_policy=dg.RetryPolicy(max_retries=1)).success
    assert world.loaded() == world.given()
    told = event(world.instance, ASSET)
    assert told["etl_assets/records_loaded"] == told["dagster/row_count"] == 100
    assert told["etl_assets/bookmark"] == {"updated_at": 100}
    with world.warehouse.transaction() as tx:
        commits = world.warehouse.ledger(tx).commits("shop", ORDERS)
    assert [rows for load_id, rows, *_ in commits if load_id == told["etl_assets/load_id"]] == [100]


def test_a_run_that_failed_leaves_the_old_table_and_the_next_one_cleans_up(world: World) -> None:
    def fail(wanted: Any) -> None:
        if wanted == {"from": 76}:
            raise SourceError("the line was cut")

    world.source.before = fail
    failed = world.run()
    assert "the line was cut" in failure_text(failed)
    assert world.loaded() == []
    assert len([name for name in world.left() if "/" not in name]) == 3
    assert world.warehouse.states() == []
    world.source.before = lambda _range: None
    assert world.run().success
    assert world.loaded() == world.given()
    assert world.left() == []


def test_a_later_plan_fences_an_earlier_one_out(world: World) -> None:
    def other(wanted: Any) -> None:
        if wanted == {"from": 26, "before": 51}:
            drop_split(world.warehouse, "shop", ORDERS)

    world.source.before = other
    failed = world.run()
    assert not failed.success
    data = [
        one.step_failure_data.user_failure_data for one in failed.all_events if one.is_step_failure
    ]
    told = [str(one.description) for one in data if one is not None]
    assert "synced by nobody, but its state was reset meanwhile" in told[0]
    assert all("a later run has planned anew" in one for one in told[1:])
    assert world.loaded() == []


def test_a_staging_table_that_somebody_changed_is_not_published(world: World) -> None:
    def steal(wanted: Any) -> None:
        if wanted == {"from": 76}:
            with world.warehouse.transaction() as tx:
                row = next(
                    one
                    for one in world.warehouse.ledger(tx).splits("shop", ORDERS)
                    if one.rows_in_table
                )
                tx.execute(f"DELETE FROM {tx.quoted(row.table)} WHERE id % 2 = 0")

    world.source.before = steal
    failed = world.run()
    assert "nothing was published" in failure_text(failed)
    assert world.loaded() == []


def test_an_empty_table_is_published_empty(world: World) -> None:
    world.shop.run("DELETE FROM orders")
    assert world.run().success
    assert world.loaded() == []
    world.shop.insert("orders", [(1, "late", 5)])
    assert world.run().success
    assert world.loaded() == [(1, "late", 5)]


def test_ranges_that_met_other_types_come_together_exactly(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with database("sqlite", tmp_path) as shop:
        world = World(shop, DuckDBDestination(str(tmp_path / "w.duckdb")), instance)
        shop.run(
            "DROP TABLE orders",
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, name, updated_at INTEGER)",
        )
        shop.insert(
            "orders", [(n, None if n < 3 else n if n < 5 else n / 2, n) for n in range(1, 9)]
        )
        whole = World.__new__(World)
        whole.__dict__.update(
            world.__dict__, warehouse=DuckDBDestination(str(tmp_path / "whole.duckdb"))
        )
        assert world.run().success
        assert whole.run(split=None).success
        assert world.loaded() == whole.loaded()
        assert len(world.loaded()) == 8


def test_a_cut_read_is_synced_in_one_step_and_waits_for_what_it_depends_on(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with database("sqlite", tmp_path) as shop:
        world = World(shop, DuckDBDestination(str(tmp_path / "w.duckdb")), instance)

        @dg.asset
        def before() -> None:
            assert world.source.reads == []

        options = {
            "orders": StreamOptions(
                split=2, deps=[before], pool="p", description="Orders.", group="g"
            )
        }
        assets = stream_assets(world.source, destination=world.warehouse, options=options)
        assert [binding.stream for binding in bindings_of(assets).values()] == [ORDERS]
        assert assets[0].get_asset_spec(dg.AssetKey(["shop", "orders"])).description == "Orders."
        job = dg.Definitions(assets=[*assets, before]).resolve_implicit_global_asset_job_def()
        config = {"ops": {STEP: {"config": {"limit": 7}}}}
        result = job.execute_in_process(instance=instance, run_config=config)
        found = [one.step_key for one in result.all_events if one.is_step_success]
        assert found == ["before", f"{WORDS}plan", f"{WORDS}publish"]
        assert world.loaded() == world.given()[:7]


KILLED = """
import sys
import dagster as dg
from etl_assets import DuckDBDestination, MySQLDestination, Stream, stream_assets
from etl_assets.sources.sql import SqlSource

_, source, target, schema, staging = sys.argv
orders = Stream("orders", primary_key=["id"], replication_key="updated_at")
if schema:
    warehouse = MySQLDestination(target, schema_name=schema, state_schema=schema, staging_dir=staging)
else:
    warehouse = DuckDBDestination(target)
assets = stream_assets(
    SqlSource("shop", source, streams=[orders]), destination=warehouse, options={"orders": {"split": 4}}
)
dg.materialize(assets, instance=dg.DagsterInstance.ephemeral(), tags={"etl_assets/full_refresh": "*"})
"""


def kill(fault: str, *arguments: str) -> None:
    """Refresh all of the stream in another process, which is killed at a point."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        env={**os.environ, "ETL_ASSETS_FAULT": f"{fault}:kill"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9


def test_a_kill_between_ranges_leaves_the_old_table(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    path = str(tmp_path / "w.duckdb")
    with database("sqlite", tmp_path) as shop:
        world = World(shop, DuckDBDestination(path), instance)
        assert world.run().success
        old = world.loaded()
        shop.run("UPDATE orders SET name = 'second'")
        kill("after_commit:2", shop.url, path, "", "")
        assert len([name for name in world.left() if "/" not in name]) == 2
        assert world.loaded() == old
        assert world.run(full_refresh=True).success
        assert world.loaded() == world.given()
        assert world.left() == []


RANGES = 4
"""In MySQL each staging table is made by a swap, and so passes `dropping` and `dropped` once before the publication."""


def staged(schema: str) -> list[str]:
    """Name the staging tables of ranges, and what swaps have left, in MySQL."""
    tables = [name for (name,) in mysql_query(f"SHOW TABLES FROM {schema}")]
    return [name for name in tables if "__split_" in name] + mysql_left_over(schema)


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        pytest.param(
            f"dropping:{RANGES + 1}:raise", RANGES, marks=pytest.mark.full
        ),  # before the old table goes
        (f"dropping:{RANGES + 2}:raise", RANGES),
        (f"dropped:{RANGES + 2}:raise", RANGES - 1),
        pytest.param(
            f"dropped:{RANGES + 1 + RANGES}:raise", 0, marks=pytest.mark.full
        ),  # but for a note
    ],
)
def test_what_a_publication_left_behind_its_commit_is_dropped_by_the_next_start(
    fault: str,
    left: int,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as stack:
        shop = stack.enter_context(database("sqlite", tmp_path))
        warehouse = destination("mysql", tmp_path, stack)
        world, schema = World(shop, warehouse, instance), str(warehouse.options.schema_name)
        monkeypatch.setattr(
            "etl_assets.faults._passed", type("Passed", (dict,), {"__missing__": lambda *_: 0})()
        )
        monkeypatch.setenv("ETL_ASSETS_FAULT", fault)
        assert not world.run().success
        monkeypatch.undo()
        assert (
            len([name for name in staged(schema) if "__split_" in name and " " not in name]) == left
        )
        assert staged(schema), "there is something to put right"
        assert world.loaded() == world.given()
        assert staged(schema) == []
        told = world.run()
        assert steps(told) == ["plan", "publish"]
        assert event(instance, ASSET)["etl_assets/bookmark"] == {"updated_at": 100}
        assert world.loaded() == world.given()


def test_a_kill_behind_the_commit_of_a_publication_leaves_the_new_table(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with ExitStack() as stack:
        shop = stack.enter_context(database("sqlite", tmp_path))
        warehouse = destination("mysql", tmp_path, stack)
        world, schema = World(shop, warehouse, instance), str(warehouse.options.schema_name)
        assert world.run().success
        shop.run("UPDATE orders SET name = 'second'")
        kill(f"dropping:{RANGES + 2}", shop.url, MYSQL, schema, str(tmp_path / "staging"))
        assert len([name for name in staged(schema) if " " not in name]) == RANGES
        assert world.run().success
        assert world.loaded() == world.given()
        assert staged(schema) == []


def test_dates_that_only_the_database_has_make_fewer_ranges(tmp_path: Path) -> None:
    with database("postgresql", tmp_path) as shop:
        shop.run(
            "CREATE TABLE days (day DATE, n INTEGER)",
            "INSERT INTO days VALUES ('2026-01-01', 1), ('2026-01-02', 2), ('infinity', 3), ('infinity', 4)",
        )
        stream = Stream("days", primary_key=["day"], replication_key="n")
        found = shop.source(streams=[stream]).key_ranges(stream, 4)
        assert found.ranges == [{"before": "2026-01-02"}, {"from": "2026-01-02"}]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql"])
def test_every_row_lies_in_one_range(kind: str, tmp_path: Path) -> None:
    with database(kind, tmp_path) as shop:
        shop.run("CREATE TABLE words (word VARCHAR(20) PRIMARY KEY, n INTEGER)")
        words = ["", "a", "A", "ä", "b", "Z", "zz", "é", "e", "0", "~", "漢"]
        shop.insert(
            "words",
            [(word, n) for n, word in enumerate(words) if kind != "mysql" or word not in "Aäé"],
        )
        stream = Stream("words", primary_key=["word"], replication_key="n")
        source = shop.source(streams=[stream])
        found = source.key_ranges(stream, 3)
        assert found.bookmark == {"n": 11}
        assert len(found.ranges) == 3
        parts = [
            [
                row
                for batch in source.load_data(stream, None, {"_range": one})
                for row in batch.to_rows(stream)
            ]
            for one in found.ranges
        ]
        assert all(parts)
        together = [row["n"] for part in parts for row in part]
        whole = [row["n"] for batch in source.load_data(stream) for row in batch.to_rows(stream)]
        assert sorted(together) == sorted(whole)


def test_a_row_without_a_key_is_in_the_first_range(tmp_path: Path) -> None:
    with database("sqlite", tmp_path) as shop:
        shop.run("CREATE TABLE words (word TEXT, n INTEGER)")
        shop.insert("words", [(None, 1), ("a", 2), ("b", 3), (None, 4)])
        stream = Stream("words", primary_key=["word"], replication_key="n")
        source = shop.source(streams=[stream])
        found = [
            [
                row["n"]
                for batch in source.load_data(stream, None, {"_range": one})
                for row in batch.to_rows(stream)
            ]
            for one in source.key_ranges(stream, 2).ranges
        ]
        assert found == [[1, 2, 4], [3]]


def test_the_planned_bookmark_lags_as_the_reads_do(tmp_path: Path) -> None:
    with database("sqlite", tmp_path) as shop:
        shop.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
        shop.insert("t", [(n, n) for n in range(10)])
        stream = Stream("t", primary_key=["id"], replication_key="n")
        assert shop.source(lag=3).key_ranges(stream, 2).bookmark == {"n": 6}
        assert shop.source(end=4).key_ranges(stream, 2).bookmark == {"n": 3}


@pytest.mark.parametrize(
    ("stream", "options", "told"),
    [
        (Stream("orders", replication_key="n"), {}, "needs a primary key"),
        (Stream("orders", primary_key=["id"]), {}, "needs a replication key"),
        (ORDERS, {"split": 1}, "split=1 is no number of ranges"),
        (ORDERS, {"split": True}, "split=True is no number of ranges"),
        (ORDERS, {"write_strategy": "append"}, "an append would double"),
        (ORDERS, {"schema_contract": "freeze"}, "does not go with a schema_contract"),
    ],
)
def test_a_split_that_cannot_be_is_refused_where_it_is_defined(
    stream: Stream, options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    source = SqlSource("shop", "sqlite:///no.db", streams=[stream])
    with pytest.raises(ConfigError, match=told):
        stream_assets(
            source,
            destination=DuckDBDestination(str(tmp_path / "w.duckdb")),
            options={"orders": {"split": 2, **options}},
        )


def test_a_split_that_would_part_rows_of_one_key_is_refused(tmp_path: Path) -> None:
    into = DuckDBDestination(str(tmp_path / "w.duckdb"))

    def split(primary_key: list[str]) -> Any:
        stream = Stream(
            "orders",
            primary_key=primary_key,
            replication_key="n",
            unique_constraints=["code", "day"],
        )
        source = SqlSource("shop", "sqlite:///no.db", streams=[stream])
        return stream_assets(source, destination=into, options={"orders": {"split": 2}})

    told = (
        r"merged by unique_constraints \('code', 'day'\), and split by 'id'.*begin the primary key"
    )
    with pytest.raises(ConfigError, match=told):
        split(["id"])
    assert split(["day", "id"])


def test_a_source_or_destination_that_cannot_split_is_refused(tmp_path: Path) -> None:
    source = SqlSource("shop", "sqlite:///no.db", streams=[ORDERS])
    options = {"orders": {"split": 2}}
    with pytest.raises(ConfigError, match="Shop cannot split a stream"):
        stream_assets(
            Shop(),
            ["orders"],
            destination=DuckDBDestination(str(tmp_path / "w.duckdb")),
            options=options,
        )
    with pytest.raises(ConfigError, match="cannot be published by"):
        stream_assets(source, destination=SqlDestination("sqlite:///no.db"), options=options)
    with pytest.raises(ConfigError, match="read together in one step"):
        stream_assets(
            source,
            destination=DuckDBDestination(str(tmp_path / "w.duckdb")),
            options=options,
            granularity="source",
        )


def test_a_resource_may_publish_a_split_if_it_can(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with database("sqlite", tmp_path) as shop:
        world = World(shop, DuckDBDestination(str(tmp_path / "w.duckdb")), instance)
        assets = stream_assets(
            world.source, io_manager_key="warehouse", options={"orders": {"split": 2}}
        )
        cannot = DestinationIOManager(SqlDestination(f"sqlite:///{tmp_path}/no.db"))
        failed = dg.materialize(
            assets, instance=instance, resources={"warehouse": cannot}, raise_on_error=False
        )
        assert "stream 'orders': a split cannot be published by" in failure_text(failed)
        assert "Give the resource 'warehouse' a destination for DuckDB" in failure_text(failed)
        assert world.source.reads == []
        can = DuckDBIOManager(path=str(tmp_path / "w.duckdb"))
        assert dg.materialize(assets, instance=instance, resources={"warehouse": can}).success
        assert world.loaded() == world.given()

"""A source that has nothing new says so by its fingerprint: nothing is read then, and nothing is ever missed."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.bookmarks.tracker import FINGERPRINT
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.secrets.url import secret_url
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql.connection import Server, connected
from etl_assets.sources.sql.postgres import fingerprint as module
from etl_assets.sync import Start, resolve_start, sync
from etl_assets.testing.fakes import MemoryDestination
from tests.sources.sql_databases import Database, database

ORDERS = Stream("orders", primary_key=["id"], replication_key="at")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    with database("postgresql", tmp_path) as opened:
        opened.run(
            "CREATE TABLE orders (id int PRIMARY KEY, at timestamp, name text, note json)",
            "INSERT INTO orders SELECT i, timestamp '2026-01-01' + i / 2 * interval '1 hour', 'n' || i, NULL "
            "FROM generate_series(1, 9) i",
        )
        yield opened


def synced(made: Database, into: Any, stream: Stream = ORDERS, **options: Any) -> SyncResult:
    return sync(StreamRead(made.source(**options), stream), into)


def has_one(into: Any, stream: Stream = ORDERS) -> bool:
    """Tell whether a fingerprint is stored for the next read."""
    state = into.stored("shop", stream).state
    return FINGERPRINT in state.bookmark


def table(into: DuckDBDestination) -> list[Any]:
    with into.connect() as connection:
        return connection.execute(
            'SELECT id, "at", name, note FROM shop.orders ORDER BY id'
        ).fetchall()


def test_a_sync_that_finds_nothing_new_reads_no_row(made: Database) -> None:
    into = MemoryDestination()
    first = synced(made, into)
    second = synced(made, into)
    assert (first.records_read, second.records_read, second.commits) == (9, 0, 1)
    assert (
        second.bookmark
        == first.bookmark
        == second.bookmark_previous
        == {"at": "2026-01-01T04:00:00"}
    )
    assert has_one(into)


CHANGES = {
    "a value": "UPDATE orders SET name = 'other' WHERE id = 9",
    "a NULL": "UPDATE orders SET name = NULL WHERE id = 9",
    "a JSON text": """UPDATE orders SET note = '{"a": 1.0}' WHERE id = 9""",
    "a tie": "INSERT INTO orders SELECT 10, at, name FROM orders WHERE id = 9",
    "a newer row": "INSERT INTO orders VALUES (10, '2027-01-01', 'n10')",
    "a row that moved up": "UPDATE orders SET at = '2027-01-01' WHERE id = 1",
    "one that took another's place": "UPDATE orders SET id = 10 WHERE id = 9",
    "a new column": "ALTER TABLE orders ADD COLUMN more int",
    "a type": "ALTER TABLE orders ALTER COLUMN id TYPE bigint",
    "a length": "ALTER TABLE orders ALTER COLUMN name TYPE varchar(9)",
    "a name": "ALTER TABLE orders RENAME COLUMN note TO remark",
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_at_or_after_the_bookmark_is_read(change: str, made: Database) -> None:
    into = MemoryDestination()
    synced(made, into)
    made.run(CHANGES[change])
    found = synced(made, into)
    assert found.records_read > 0
    assert synced(made, into).records_read == 0, "and then there is nothing new again"


def test_an_empty_name_is_not_a_missing_one(made: Database) -> None:
    into = MemoryDestination()
    made.run("UPDATE orders SET name = '' WHERE id = 9")
    synced(made, into)
    made.run("UPDATE orders SET name = NULL WHERE id = 9")
    assert synced(made, into).records_read > 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE orders SET at = NULL WHERE id = 1", "whose 'at' is NULL"),
        ("DELETE FROM orders WHERE id >= 8", "lower than the bookmark"),
        ("DROP TABLE orders", "no table or view"),
    ],
)
def test_what_is_wrong_is_still_an_error(change: str, told: str, made: Database) -> None:
    into = MemoryDestination()
    synced(made, into)
    made.run(change)
    with pytest.raises(EtlAssetsError, match=told):
        synced(made, into)


def test_a_stream_that_is_read_otherwise_is_read(made: Database) -> None:
    into = MemoryDestination()
    synced(made, into)
    assert synced(made, into, ORDERS.replace(columns=["id", "at"])).records_read > 0


def test_who_gives_a_bookmark_gets_the_rows(made: Database) -> None:
    into = MemoryDestination()
    bookmark = synced(made, into).bookmark
    read = StreamRead(made.source(), ORDERS)
    start = resolve_start(read, into, bookmark=bookmark)
    assert isinstance(start, Start)
    assert sync(read, into, start=start).records_read == 2


def test_a_full_refresh_reads_everything(made: Database) -> None:
    into = MemoryDestination()
    synced(made, into)
    read = StreamRead(made.source(), ORDERS)
    found = sync(read, into, start=resolve_start(read, into, full_refresh=True))
    assert found.records_read == 9
    assert synced(made, into).records_read == 0


def test_a_read_that_failed_leaves_no_fingerprint_of_what_was_not_loaded(made: Database) -> None:
    into = MemoryDestination()
    first = synced(made, into)
    made.run("INSERT INTO orders VALUES (10, '2026-02-01', 'n10'), (11, NULL, 'n11')")
    with pytest.raises(EtlAssetsError):
        synced(made, into)
    made.run("DELETE FROM orders WHERE id = 11")
    found = synced(made, into)
    assert found.records_read == 3
    assert found.bookmark_previous == first.bookmark


OPTIONS: dict[str, dict[str, Any]] = {
    "lookback": {"lookback": timedelta(hours=1)},
    "lag": {"lag": timedelta(hours=1)},
    "an end": {"end": "2026-01-02"},
    "NULLs included": {"on_null_cursor": "include"},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_reads_that_are_no_plain_ones_have_none(option: str, made: Database) -> None:
    into = MemoryDestination()
    synced(made, into, **OPTIONS[option])
    assert not has_one(into)


def test_rows_without_a_key_that_are_left_out_are_no_matter(made: Database) -> None:
    made.run("INSERT INTO orders VALUES (11, NULL, 'n11')")
    into = MemoryDestination()
    assert synced(made, into, on_null_cursor="exclude").records_read == 9
    assert synced(made, into, on_null_cursor="exclude").records_read == 0


def test_rows_without_a_key_that_were_left_out_are_an_error_once_they_are_to_be(
    made: Database,
) -> None:
    made.run("INSERT INTO orders VALUES (11, NULL, 'n11')")
    into = MemoryDestination()
    synced(made, into, on_null_cursor="exclude")
    with pytest.raises(EtlAssetsError, match="whose 'at' is NULL"):
        synced(made, into)


def test_a_table_that_was_emptied_and_filled_below_the_bookmark_is_an_error(made: Database) -> None:
    into = MemoryDestination()
    synced(made, into)
    made.run("TRUNCATE orders")
    assert synced(made, into).records_read == 0
    assert not has_one(into)
    made.run("INSERT INTO orders VALUES (1, '2025-12-31', 'new')")
    with pytest.raises(EtlAssetsError, match="lower than the bookmark"):
        synced(made, into)


@pytest.mark.parametrize(
    "options", [{"schema_contract": "discard_row"}, {"on_conflict": "ignore"}], ids=str
)
def test_rows_that_were_left_out_are_read_once_they_are_wanted(
    options: dict[str, Any], made: Database, tmp_path: Path
) -> None:
    into = DuckDBDestination(str(tmp_path / "orders.duckdb"))
    read = StreamRead(made.source(), ORDERS)
    sync(read, into, **options)
    assert not has_one(into)
    assert synced(made, into).records_read == 2


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_a_key_above_every_number_has_none(value: str, made: Database) -> None:
    made.run("CREATE TABLE keyed (id int PRIMARY KEY, k float8)", "INSERT INTO keyed VALUES (1, 1)")
    into, stream = MemoryDestination(), Stream("keyed", primary_key=["id"], replication_key="k")
    synced(made, into, stream)
    made.run(f"INSERT INTO keyed VALUES (2, '{value}')")
    with pytest.raises(
        EtlAssetsError, match=r"'keyed'.*'k'.*(stands above every number|NaN has no order)"
    ):
        synced(made, into, stream)


def test_a_key_that_is_a_text_has_none(made: Database) -> None:
    into, stream = MemoryDestination(), ORDERS.replace(replication_key="name")
    synced(made, into, stream)
    assert not has_one(into, stream)


def test_a_view_has_none(made: Database) -> None:
    made.run("CREATE VIEW seen AS SELECT * FROM orders")
    into, stream = MemoryDestination(), Stream("seen", primary_key=["id"], replication_key="at")
    synced(made, into, stream)
    assert not has_one(into, stream)


def test_a_query_has_none(made: Database) -> None:
    into = MemoryDestination()
    synced(made, into, queries={"orders": "SELECT * FROM orders WHERE id < 5"})
    assert not has_one(into)


def test_many_rows_at_the_bookmark_have_none(made: Database) -> None:
    made.run("INSERT INTO orders SELECT i, '2026-03-01', 'n' FROM generate_series(100, 199) i")
    into = MemoryDestination()
    synced(made, into)
    assert has_one(into), "a hundred rows have"
    made.run("INSERT INTO orders VALUES (200, '2026-03-01', 'n')")
    synced(made, into)
    assert not has_one(into)


def test_a_large_table_has_one_only_with_an_index(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED_BYTES", 0)
    into = MemoryDestination()
    synced(made, into)
    assert not has_one(into)
    made.run("CREATE INDEX ON orders (at) WHERE id > 5", "CREATE INDEX ON orders (id, at)")
    synced(made, into)
    assert not has_one(into)
    made.run("CREATE INDEX ON orders (at, id)")
    synced(made, into)
    assert has_one(into)


def test_a_large_table_has_one_only_if_its_index_is_in_the_order_of_the_key(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED_BYTES", 0)
    into = MemoryDestination()
    made.run("CREATE INDEX ON orders USING hash (at)", "CREATE INDEX ON orders USING brin (at)")
    synced(made, into)
    assert not has_one(into)


def test_a_large_table_needs_an_index_for_each_column_of_the_key_that_may_be_null(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED_BYTES", 0)
    made.run(
        "ALTER TABLE orders ADD COLUMN part int DEFAULT 1", "CREATE INDEX ON orders (at, part)"
    )
    into, stream = MemoryDestination(), ORDERS.replace(replication_key=["at", "part"])
    synced(made, into, stream)
    assert not has_one(into, stream)
    made.run("CREATE INDEX ON orders (part)")
    synced(made, into, stream)
    assert has_one(into, stream)
    made.run("DROP INDEX orders_part_idx", "ALTER TABLE orders ALTER COLUMN part SET NOT NULL")
    assert synced(made, into, stream).records_read > 0, "the columns have changed"
    assert has_one(into, stream)


def test_the_question_in_parts_finds_what_one_condition_finds(made: Database) -> None:
    """Random keys of one to three columns, with ties and NULLs in each."""
    chance = random.Random(20261201)
    server = Server(secret_url(made.url), "shop")
    for number in range(40):
        names = ["a", "b", "c"][: chance.randint(1, 3)]
        nullable = [name for name in names if chance.random() < 0.7]
        rows = [
            [
                None if name in nullable and chance.random() < 0.2 else chance.randint(0, 3)
                for name in names
            ]
            for _ in range(chance.randint(0, 60))
        ]
        table = f"keyed_{number}"
        columns = ", ".join(
            f"{name} int{'' if name in nullable else ' NOT NULL'}" for name in names
        )
        made.run(f"CREATE TABLE {table} ({columns}, note text DEFAULT '(\"a,b\")')")
        made.insert(f"{table} ({', '.join(names)})", rows)
        values = {name: chance.randint(0, 3) for name in names}
        reaches = f"({', '.join(names)}) >= ({', '.join(map(str, values.values()))})"
        unknown = " OR ".join(f"{name} IS NULL" for name in names)
        with connected(server) as snapshot:
            found = module._rows(snapshot, table, module._Keys(names, nullable), values)
            expected = snapshot.connection.exec_driver_sql(
                f"SELECT encode(sha256(CAST(ROW(r.*) AS text)::bytea), 'hex'), {reaches} IS TRUE "
                f"FROM {table} AS r WHERE {reaches} OR {unknown}"
            ).all()
        assert sorted(found) == sorted(map(tuple, expected)), (rows, values)


def test_a_table_whose_columns_may_not_all_be_read_has_none(made: Database) -> None:
    role = f"r_{made.schema}"
    made.run(
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA {made.schema} TO {role}",
        f"GRANT SELECT (id, at) ON orders TO {role}",
    )
    try:
        stream = ORDERS.replace(columns=["id", "at"])
        source = made.source(connect_args={"user": role})
        into = MemoryDestination()
        assert sync(StreamRead(source, stream), into).records_read == 9
        assert sync(StreamRead(source, stream), into).records_read == 2, "the rows at the bookmark"
        made.run(f"GRANT SELECT ON orders TO {role}")
        sync(StreamRead(source, stream), into)
        assert sync(StreamRead(source, stream), into).records_read == 0
    finally:
        made.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


KEYS = {
    "smallint": ("1", "2"),
    "bigint": ("9007199254740993", "9223372036854775807"),
    "numeric(9,2)": ("1.10", "1.20"),
    "double precision": ("0.1", "0.30000000000000004"),
    "real": ("0.1", "0.3"),
    "date": ("'2026-01-01'", "'9999-12-31'"),
    "timestamp": ("'2026-01-01 00:00:00.000001'", "'2026-01-01 00:00:00.000002'"),
    "timestamptz": ("'2026-01-01 00:00:00.000001+05:30'", "'2026-06-01 00:00:00+00'"),
    "uuid": ("'00000000-0000-0000-0000-000000000001'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
}


@pytest.mark.parametrize("type_", KEYS)
def test_keys_of_each_type_that_has_an_order(type_: str, made: Database) -> None:
    low, high = KEYS[type_]
    made.run(
        f"CREATE TABLE keyed (id int PRIMARY KEY, k {type_}, v int)",
        f"INSERT INTO keyed VALUES (1, {low}, 1)",
    )
    stream = Stream("keyed", primary_key=["id"], replication_key="k")
    into = MemoryDestination()
    read: Callable[[], int] = lambda: synced(made, into, stream).records_read  # noqa: E731
    counts = [read(), read()]
    made.run(f"INSERT INTO keyed VALUES (2, {high}, 2)")
    counts += [read(), read()]
    made.run("UPDATE keyed SET v = 3 WHERE id = 2")
    counts += [read(), read()]
    assert counts == [1, 0, 2, 0, 1, 0]


def test_a_key_of_two_columns(made: Database) -> None:
    stream = ORDERS.replace(replication_key=["at", "id"])
    into = MemoryDestination()
    assert [synced(made, into, stream).records_read for _ in range(2)] == [9, 0]
    made.run("INSERT INTO orders SELECT 10, at, 'tie' FROM orders WHERE id = 9")
    assert [synced(made, into, stream).records_read for _ in range(2)] == [2, 0]
    made.run("UPDATE orders SET name = 'x' WHERE id = 9")
    assert synced(made, into, stream).records_read == 0, "it lies before the bookmark"


def test_names_of_any_kind(made: Database) -> None:
    named = 'r; "%s %(a)s'
    quoted = '"' + named.replace('"', '""') + '"'
    with made.engine.begin() as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute(f'CREATE TABLE {quoted} ({quoted} int PRIMARY KEY, r int, "{{bound}}" int)')
        raw.execute(f"INSERT INTO {quoted} VALUES (1, 1, 1)")
    stream = Stream(named, primary_key=[named], replication_key=named)
    into = MemoryDestination()
    assert [synced(made, into, stream).records_read for _ in range(2)] == [1, 0]
    with made.engine.begin() as connection:
        raw = connection.connection.driver_connection
        raw.execute(f"UPDATE {quoted} SET r = 2")
    assert synced(made, into, stream).records_read == 1


def test_with_and_without_fingerprints_the_table_is_the_same(
    made: Database, tmp_path: Path
) -> None:
    """Random changes, then two syncs side by side: one is never told a fingerprint."""
    chance = random.Random(20261122)
    told, untold = (
        DuckDBDestination(str(tmp_path / "told.duckdb")),
        DuckDBDestination(str(tmp_path / "untold.duckdb")),
    )
    quiet = 0
    for step in range(60):
        row, hour = chance.randint(1, 12), chance.randint(3, 5)
        made.run(
            chance.choice(
                [
                    f"UPDATE orders SET name = '{chance.choice('abc')}' WHERE id = {row}",
                    f"UPDATE orders SET at = greatest(at, timestamp '2026-01-01 0{hour}:00') WHERE id = {row}",
                    f"INSERT INTO orders VALUES ({100 + step}, (SELECT max(at) FROM orders), 'tie')",
                    f"INSERT INTO orders VALUES ({100 + step}, (SELECT max(at) + '1 s' FROM orders), 'new')",
                    "SELECT 1",
                ]
            )
        )
        quiet += not synced(made, told).records_read
        read = StreamRead(made.source(), ORDERS)
        start = resolve_start(read, untold)
        sync(read, untold, start=Start(start.bookmark, start.begins_from))
        assert table(told) == table(untold), f"after step {step}"
    assert 5 < quiet < 55, "some syncs found something, and some did not"


SCRIPT = """
import sys
from etl_assets import DuckDBDestination, PostgresSource, Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

url, file = sys.argv[1:]
stream = Stream("orders", primary_key="id", replication_key="at")
result = sync(StreamRead(PostgresSource(url, name="shop"), stream), DuckDBDestination(file))
print(result.records_read, [name for name in ("numpy", "pandas", "pyarrow") if name in sys.modules])
"""


def test_a_sync_that_finds_nothing_imports_nothing_for_rows(made: Database, tmp_path: Path) -> None:
    into = DuckDBDestination(str(tmp_path / "orders.duckdb"))
    synced(made, into)
    command = [sys.executable, "-c", SCRIPT, made.url, str(into.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "0 []"


@pytest.mark.parametrize("more", [False, True], ids=["as it was", "changed again"])
@pytest.mark.parametrize(
    "point", ["batch", "before_commit", "rows", "state", "committed", "after_commit"]
)
def test_a_kill_leaves_the_fingerprint_of_what_was_committed(
    point: str, more: bool, made: Database, tmp_path: Path
) -> None:
    into = DuckDBDestination(str(tmp_path / "orders.duckdb"))
    synced(made, into)
    made.run(
        "UPDATE orders SET name = 'other' WHERE id = 9",
        "INSERT INTO orders VALUES (10, '2026-02-01', 'n10')",
    )
    armed = {**os.environ, "ETL_ASSETS_FAULT": f"{point}:1:kill"}
    command = [sys.executable, "-c", SCRIPT, made.url, str(into.path)]
    assert subprocess.run(command, check=False, env=armed).returncode == -9
    if more:
        made.run("UPDATE orders SET name = 'third' WHERE id = 10")
    read = synced(made, into).records_read
    with made.engine.connect() as connection:
        there = connection.exec_driver_sql(
            "SELECT id, at, name, note FROM orders ORDER BY id"
        ).all()
    assert table(into) == [tuple(row) for row in there]
    assert bool(read) == (more or point not in {"committed", "after_commit"})
    assert synced(made, into).records_read == 0

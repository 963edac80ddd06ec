"""Tables of other tools, in each engine: their greatest key, the rows there, and columns that must not be NULL."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl_assets.adoption.adopt import Adoption, adopt
from etl_assets.adoption.table import Greatest, TableLook
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.exceptions import (
    BookmarkError,
    ConcurrentSyncError,
    ConfigError,
    DestinationError,
    StateError,
)
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests.servers import MYSQL, POSTGRES, mysql_schema, postgres_schema

KINDS = ["duckdb", "postgres", "mysql", "sqlite"]
TIMES = {"mysql": "DATETIME(6)"}
STRICT = "_dlt_load_id VARCHAR(64) NOT NULL, _dlt_id VARCHAR(64) NOT NULL"
ORDERS = Stream("orders", primary_key="id", replication_key="ts")
VISITS = Stream("visits", replication_key="ts")


class Theirs:
    """A database with a table of another tool."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        self.kind = kind
        if kind == "duckdb":
            self.schema = "theirs"
            self.db: DatabaseDestination = DuckDBDestination(
                str(folder / "w.duckdb"), schema_name=self.schema
            )
        elif kind == "sqlite":
            self.schema = ""
            self.db = SQLiteDestination(str(folder / "w.sqlite"))
        elif kind == "postgres":
            self.schema = stack.enter_context(postgres_schema())
            self.db = PostgresDestination(
                POSTGRES, schema_name=self.schema, state_schema=f"{self.schema}_state"
            )
        else:
            self.schema = stack.enter_context(mysql_schema())
            self.db = MySQLDestination(MYSQL, schema_name=self.schema, state_schema=self.schema)

    def make(self, name: str, columns: str, *rows: str) -> TableName:
        table = TableName(name, self.schema)
        with self.db.transaction() as tx:
            if self.kind in {"duckdb", "postgres"}:
                tx.create_schema(self.schema)
            columns = columns.replace("TIMESTAMP", TIMES.get(self.kind, "TIMESTAMP"))
            place = f'"{self.schema}"."{name}"' if self.schema else f'"{name}"'
            tx.execute(f"CREATE TABLE {place} ({columns})")
            for given in rows:
                row = given.replace(":00'", ":00.000000'")  # as each of them keeps it
                tx.execute(f"INSERT INTO {place} VALUES ({row})")
        return table

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.db.transaction() as tx:
            return tx.execute(sql.replace("THEIRS.", f'"{self.schema}".' if self.schema else ""))

    def greatest(self, stream: Stream, table: TableName, *, with_rows: bool = False) -> Greatest:
        with self.db.transaction() as tx:
            return TableLook(tx, self.db, stream, table).greatest(with_rows=with_rows)

    def adopt(self, stream: Stream, table: TableName) -> list[str]:
        found = self.greatest(stream, table, with_rows=not stream.primary_key)
        bookmark = found.bookmark()
        if not stream.primary_key:
            bookmark |= found.boundary(stream)
        return adopt(self.db, Adoption("conformance", stream, table, bookmark))


@pytest.fixture
def theirs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Theirs]:
    with ExitStack() as stack:
        yield Theirs(request.param, tmp_path, stack)


def at(day: int) -> datetime:
    return datetime(2026, 1, day)  # noqa: DTZ001 - the columns have no zone


@pytest.mark.parametrize("theirs", KINDS, indirect=True)
def test_a_table_goes_on_by_key(theirs: Theirs) -> None:
    table = theirs.make(
        "orders",
        f"id BIGINT NOT NULL, ts TIMESTAMP, note VARCHAR(9), {STRICT}",
        "1, '2026-01-02 00:00:00', 'a', 'l', 'x1'",
        "2, '2026-01-03 00:00:00', 'b', 'l', 'x2'",
        "3, NULL, 'c', 'l', 'x3'",
    )
    found = theirs.greatest(ORDERS, table)
    assert (dict(found.values), found.rows, found.without) == ({"ts": at(3)}, 3, 1)
    assert theirs.adopt(ORDERS, table) == ["_dlt_load_id", "_dlt_id"]
    with theirs.db.transaction() as tx:
        assert tx.strict_columns(table) == ["id"], "a column of the rows stays strict"
    rows = [{"id": 2, "ts": at(3), "note": "b"}, {"id": 4, "ts": at(3), "note": "d"}]
    result = sync(GivenRead(ORDERS, [rows]), theirs.db, table=table)
    assert (result.strategy, result.records_read, result.records_loaded) == ("merge", 2, 1)
    found_rows = theirs.ask("SELECT id, _dlt_id FROM THEIRS.orders ORDER BY id")
    assert [tuple(row) for row in found_rows] == [(1, "x1"), (2, "x2"), (3, "x3"), (4, None)]


@pytest.mark.parametrize("theirs", KINDS, indirect=True)
def test_a_table_without_a_key_goes_on_by_content(theirs: Theirs) -> None:
    table = theirs.make(
        "visits",
        f"ts TIMESTAMP, page VARCHAR(9), n BIGINT, {STRICT}",
        "'2026-01-02 00:00:00', 'a', 1, 'l', 'x1'",
        "'2026-01-03 00:00:00', 'b', 2, 'l', 'x2'",
        "'2026-01-03 00:00:00', 'b', 2, 'l', 'x3'",
        "'2026-01-03 00:00:00', 'c', NULL, 'l', 'x4'",
    )
    theirs.adopt(VISITS, table)
    again = [("b", 2), ("b", 2), ("c", None), ("b", 2), ("d", 4)]
    rows = [{"ts": at(3), "page": page, "n": n} for page, n in again]
    result = sync(GivenRead(VISITS, [rows]), theirs.db, table=table)
    assert (result.strategy, result.records_loaded) == ("append", 2), "the third b is a new row"
    found = theirs.ask(
        "SELECT page, count(*), count(_dlt_id) FROM THEIRS.visits GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in found] == [("a", 1, 1), ("b", 3, 2), ("c", 1, 1), ("d", 1, 0)]
    result = sync(GivenRead(VISITS, [rows]), theirs.db, table=table)
    assert result.records_loaded == 0


@pytest.mark.parametrize("theirs", KINDS, indirect=True)
def test_the_columns_of_a_table_that_is_adopted_by_a_sync_take_null_too(theirs: Theirs) -> None:
    table = theirs.make(
        "orders", f"id BIGINT, ts TIMESTAMP, {STRICT}", "1, '2026-01-02 00:00:00', 'l', 'x1'"
    )
    read = GivenRead(ORDERS, [[{"id": 2, "ts": at(3)}]])
    with pytest.raises(DestinationError, match="was not made by this library"):
        sync(read, theirs.db, table=table)
    assert sync(read, theirs.db, table=table, adopt=True).records_loaded == 1
    assert [row[0] for row in theirs.ask("SELECT count(_dlt_id) FROM THEIRS.orders")] == [1]


@pytest.mark.parametrize("theirs", KINDS, indirect=True)
def test_a_composite_key_and_one_of_texts(theirs: Theirs) -> None:
    table = theirs.make(
        "parts",
        "a BIGINT, b VARCHAR(9), n DECIMAL(9, 2)",
        "2, 'a', 1.5", "2, 'B', 2.5", "1, 'z', 9.5", "NULL, 'z', 9.5", "3, NULL, 9.5",
    )  # fmt: skip
    both = Stream("parts", bookmark_properties=("a", "b"))
    found = theirs.greatest(both, table, with_rows=True)
    assert dict(found.values) == {"a": 2, "b": "a"}, "texts by code point, whatever the collation"
    assert [Decimal(row["n"]) for row in found.rows_there] == [Decimal("1.5")]
    assert (found.rows, found.without) == (5, 2)
    assert theirs.greatest(Stream("parts", replication_key="b"), table).values == {"b": "z"}
    by_decimal = Stream("parts", replication_key="n")
    if theirs.kind == "sqlite":
        with pytest.raises(StateError, match=r"'n' of the table parts is DECIMAL"):
            theirs.greatest(by_decimal, table)
    else:
        assert theirs.greatest(by_decimal, table).bookmark() == {"n": Decimal("9.50")}


@pytest.fixture
def duckdb(tmp_path: Path) -> Iterator[Theirs]:
    with ExitStack() as stack:
        yield Theirs("duckdb", tmp_path, stack)


def test_what_tells_no_greatest_key(duckdb: Theirs) -> None:
    table = duckdb.make("visits", "ts DOUBLE, page VARCHAR", "NULL, 'a'")
    assert duckdb.greatest(VISITS, table) == Greatest(rows=1, without=1)
    duckdb.ask("INSERT INTO THEIRS.visits VALUES ('nan', 'b')")
    with pytest.raises(StateError, match=r"'ts' of the table theirs\.visits is nan"):
        duckdb.greatest(VISITS, table)
    with pytest.raises(ConfigError, match=r"has no column 'tss' for.*Did you mean 'ts'"):
        duckdb.greatest(Stream("visits", replication_key="tss"), table)
    duckdb.ask(
        "DELETE FROM THEIRS.visits; INSERT INTO THEIRS.visits SELECT 1, i FROM range(10001) t(i)"
    )
    with pytest.raises(StateError, match=r"10,001 rows .* at most 10,000"):
        duckdb.greatest(VISITS, table, with_rows=True)
    keyed = Stream("visits", primary_key="page", replication_key="ts")
    assert duckdb.adopt(keyed, table) == []
    rows = [{"ts": 1.0, "page": "5"}, {"ts": 1.0, "page": "new"}]
    assert sync(GivenRead(keyed, [rows]), duckdb.db, table=table).records_loaded == 1


def test_where_a_bookmark_stands() -> None:
    table = Greatest({"ts": datetime(2026, 1, 3, tzinfo=UTC)}, rows=1)
    for said, side in {
        "2026-01-03T00:00:00Z": "at",
        "2026-01-03T01:00:00+01:00": "at",
        "2026-01-03 00:00:00": "at",  # other tools keep times in UTC, unsaid
        "2026-01-02T23:59:59": "behind",
        "2026-01-03T00:00:00.000001Z": "ahead",
        "yesterday": "unknown",
        "0001-01-01T00:00:00+05:00": "unknown",
        "2026-01-02T23:59:59.123456789Z": "unknown",
    }.items():
        assert table.side_of({"ts": said}) == side, said
    assert table.side_of({"other": 1}) == "unknown"
    local = Greatest({"ts": datetime(2026, 1, 3)}, rows=1)  # noqa: DTZ001 - without a zone
    for odd in ("0001-01-01T00:00:00+05:00", "2026-01-02T23:59:59.123456789Z"):
        assert local.spelled({"ts": odd}) == {"ts": odd}
    assert Greatest({"n": Decimal("1.50")}, rows=1).side_of({"n": 1.5}) == "at"


def test_a_row_whose_key_column_changed_its_kind_is_no_guess(duckdb: Theirs) -> None:
    table = duckdb.make("visits", "ts BIGINT, page BIGINT", "3, 1", "3, 2")
    duckdb.adopt(VISITS, table)
    rows = [{"ts": 3, "page": "one"}, {"ts": 3, "page": "two"}]
    with pytest.raises(BookmarkError, match="nothing tells which rows at the bookmark"):
        sync(GivenRead(VISITS, [rows]), duckdb.db, table=table)


def test_a_sync_that_was_faster_wins(duckdb: Theirs) -> None:
    table = duckdb.make("orders", "id BIGINT, ts BIGINT", "1, 1")
    assert duckdb.adopt(ORDERS, table) == []
    with pytest.raises(ConcurrentSyncError, match="its bookmark was not changed"):
        duckdb.adopt(ORDERS, table)

"""Checks of a load in four databases: what they find, and that a gate leaves the table as it was."""

import math
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import etl_assets.destinations.sqlalchemy.transaction
from etl_assets import checks
from etl_assets.caches import SnowflakeCache
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.destinations.warehouses.bigquery import BigQueryDestination
from etl_assets.destinations.warehouses.snowflake import SnowflakeDestination, SnowflakeTransaction
from etl_assets.engine.line import StreamOutcome
from etl_assets.engine.start import StreamPlan
from etl_assets.engine.sync import sync
from etl_assets.engine.sync_source import sync_source
from etl_assets.exceptions import CheckFailedError, ConfigError, SourceError
from etl_assets.model.batch import Batch
from etl_assets.model.checks import CheckResult
from etl_assets.model.load import SyncResult
from etl_assets.model.partitions import Partition, Partitions, TimeWindow
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.redaction import remember
from etl_assets.sources.source_read import SourceRead
from etl_assets.testing.fakes import GivenRead, MemoryDestination
from tests import many, servers
from tests.bigqueries import FakeBigQuery
from tests.faults.places import FirebirdPlace
from tests.snowflakes import fake_snowflake
from tests.toys import Rows

pytestmark = [
    pytest.mark.filterwarnings(  # of the stand-ins'
        "ignore:Arrow output on a DB-API result", "ignore::DeprecationWarning"
    ),
    pytest.mark.xdist_group("snowflake"),  # they share the stand-in of a server
]
SCHEMA = {
    "properties": {
        "id": {"type": "integer"},
        "email": {"type": ["string", "null"]},
        "price": {"type": ["number", "null"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
    }
}
ORDERS = Stream("orders", schema=SCHEMA, primary_key=["id"])


@dataclass(frozen=True)
class Place:
    """A database, and how to ask it from outside of the library."""

    destination: DatabaseDestination
    table: TableName
    ask: Callable[[str], list[tuple[Any, ...]]]
    quoted: str
    id: str = "id"
    email: str = "email"

    def ids(self) -> list[Any]:
        """Return the ids in the table."""
        return [id_ for (id_,) in self.ask(f"SELECT {self.id} FROM {self.quoted} ORDER BY 1")]

    def load(
        self,
        rows: Sequence[Any],
        *wanted: checks.Check,
        stream: Stream = ORDERS,
        strategy: str = "append",
        **options: Any,
    ) -> SyncResult:
        """Load rows, and evaluate checks."""
        read = GivenRead(stream, [rows], source_name="shop")
        return sync(
            read,
            self.destination,
            strategy=strategy,
            table=self.table,
            checks=wanted,
            **options,
        )


def _asked_in_duckdb(path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(path)) as connection:
            return connection.sql(sql).fetchall()

    return ask


def _asked_in_sqlite(path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql).fetchall()

    return ask


def _asked_through(made: DatabaseDestination) -> Callable[[str], list[tuple[Any, ...]]]:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with made.transaction() as tx:
            return [tuple(found) for found in tx.execute(sql)]

    return ask


@pytest.fixture(scope="module")
def snowflake() -> Iterator[Any]:
    with fake_snowflake() as given, pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnowflakeTransaction, "temporary", "")
        yield given


@pytest.fixture(
    params=[
        "duckdb",
        "postgres",
        "mysql",
        "sqlite",
        "sqlalchemy",
        "firebird",
        "bigquery",
        pytest.param("snowflake", marks=pytest.mark.full),
    ]
)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    if request.param == "sqlalchemy":
        path = tmp_path / "any.db"
        any_ = SqlDestination(f"sqlite:///{path}")
        yield Place(any_, TableName("orders"), _asked_in_sqlite(path), "orders")
    elif request.param == "firebird":
        fire = FirebirdPlace(tmp_path).destination()
        yield Place(fire, TableName("orders"), _asked_through(fire), '"orders"', '"id"', '"email"')
    elif request.param == "bigquery":
        fake = FakeBigQuery()
        monkeypatch.setattr(BigQueryDestination, "connect", lambda _: fake)
        big = BigQueryDestination(
            project="p", schema_name="raw", state_schema="raw", staging_dir=str(tmp_path)
        )
        yield Place(big, TableName("orders", "raw"), _asked_through(big), '"raw"."orders"')
    elif request.param == "snowflake":
        given, schema = request.getfixturevalue("snowflake"), f"s_{uuid.uuid4().hex[:8]}"
        flake = SnowflakeCache(**given, schema_name=schema, cache_dir=tmp_path).destination
        yield Place(
            flake, TableName("orders", schema), _asked_through(flake), f'"{schema}"."orders"'
        )
    elif request.param == "duckdb":
        path = tmp_path / "warehouse.duckdb"
        made = DuckDBDestination(str(path))
        yield Place(made, TableName("orders"), _asked_in_duckdb(path), "orders")
    elif request.param == "sqlite":
        path = tmp_path / "warehouse.db"
        lite = SQLiteDestination(str(path))
        yield Place(lite, TableName("orders"), _asked_in_sqlite(path), "orders")
    elif request.param == "postgres":
        with servers.postgres_schema() as schema:
            pg = PostgresDestination(servers.POSTGRES, state_schema=f"{schema}_state")
            yield Place(pg, TableName("orders", schema), servers.query, f"{schema}.orders")
    else:
        with servers.mysql_schema() as schema:
            my = MySQLDestination(servers.MYSQL, state_schema=schema)
            yield Place(my, TableName("orders", schema), servers.mysql_query, f"{schema}.orders")


def not_in_stand_in(place: Place, why: str) -> None:
    """Skip a test of what Snowflake does and its stand-in does not."""
    if isinstance(place.destination, SnowflakeDestination):
        pytest.skip(f"the stand-in {why}")


def row(id_: int | None, email: str | None = "a@b.c", price: float = 1.0) -> dict[str, Any]:
    """Return a row of the orders."""
    return {"id": id_, "email": email, "price": price, "at": "2026-01-01T00:00:00Z"}


def found(result: SyncResult, name: str) -> CheckResult:
    """Return what the check of a name has found."""
    (one,) = [each for each in result.checks if each.name == name]
    return one


class TestWhatTheyFind:
    def test_all_is_well(self, place: Place) -> None:
        lately = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        result = place.load(
            # MySQL and SQLite have no NaN, which is not NULL.
            [{**row(1), "at": lately}, row(2, price=math.nan if _has_nan(place) else 1.0)],
            checks.unique_key(),
            checks.not_null("email", "price"),
            checks.row_count(min=1, max=2, anomaly=3),
            checks.max_lag("at", timedelta(hours=1)),
            checks.schema_unchanged(),
            checks.no_rejected(),
            checks.sql('SELECT "id" FROM {table} WHERE "id" < 0 -- none', name="positive"),
        )
        assert [one.name for one in result.checks if not one.passed] == []
        assert len(result.checks) == 7

    def test_rows_that_fail_are_counted_and_some_are_named(self, place: Place) -> None:
        rows = [row(1), row(1), row(2, email=None), *(row(100 + n, email=None) for n in range(20))]
        result = place.load(
            rows,
            checks.unique_key(),
            checks.not_null("email"),
            checks.sql('SELECT "id" FROM {table} WHERE "id" = 2;', name="two", severity="warn"),
        )
        unique, empty, two = result.checks
        assert unique.evaluated, unique.description
        assert (unique.passed, unique.failing_rows, unique.failing_keys) == (
            False,
            2,
            [{"id": 1}],
        )
        assert (empty.passed, empty.failing_rows) == (False, 21)
        ids = [2, *range(100, 109)]
        assert empty.failing_keys == [{"id": id_} for id_ in ids]
        assert (two.passed, two.failing_rows, two.failing_keys) == (
            False,
            1,
            [{"id": 2}],
        )
        assert (two.severity, empty.severity) == ("WARN", "ERROR")

    def test_the_query_that_is_shown_finds_them(self, place: Place) -> None:
        result = place.load(
            [row(1), row(2, email=None), row(3, email=None)], checks.not_null("email")
        )
        assert sorted(place.ask(result.checks[0].query)) == [(2,), (3,)]

    def test_keys_are_shortened_and_secrets_in_them_are_masked(self, place: Place) -> None:
        secret = f"s3cr3t-{uuid.uuid4().hex}"
        remember(secret)
        stream = Stream("orders", primary_key=["id"])
        rows = [{"id": f"key of {secret}", "email": None}, {"id": "x" * 200, "email": None}]
        result = place.load(rows, checks.not_null("email"), stream=stream)
        shown = [key["id"] for key in result.checks[0].failing_keys]
        assert len(shown) == 2
        assert all(secret not in key for key in shown)
        assert f"{'x' * 79}…" in shown

    def test_a_query_is_in_the_databases_own_words(self, place: Place) -> None:
        """A percent sign and a question mark in a text are no parameters; `"` quotes names."""
        like = """SELECT "id" FROM {table} WHERE "email" LIKE 'a%' AND "email" <> '?' /* } */;"""
        nothing = 'SELECT "id" FROM {table} WHERE "email" = \'a "{" %s\''
        result = place.load(
            [row(1), row(2, email="b"), row(3, email="?")],
            checks.sql(like, name="like"),
            checks.sql(nothing, name="nothing"),
        )
        assert result.checks[0].failing_keys == [{"id": 1}], result.checks[0].description
        assert result.checks[1].passed, result.checks[1].description
        assert place.ask(result.checks[0].query) == [(1,)]

    def test_a_query_changes_nothing(self, place: Place) -> None:
        delete = checks.sql("DELETE FROM {table}", name="delete")
        result = place.load([row(1)], delete, strategy="merge")
        assert not result.checks[0].evaluated
        assert place.ids() == [1]

    def test_nulls_of_a_key_are_alike_and_a_key_has_several_columns(self, place: Place) -> None:
        rows = [row(1, "x"), row(1, "y"), row(None, "x"), row(None, "x")]
        result = place.load(
            rows, checks.unique_key("id", "email"), stream=Stream("orders", schema=SCHEMA)
        )
        (check,) = result.checks
        assert check.name == "unique_key_id_email"
        assert (check.failing_rows, check.failing_keys) == (
            2,
            [{"id": None, "email": "x"}],
        )

    def test_odd_names_are_quoted(self, place: Place) -> None:
        not_in_stand_in(place, "writes a quoted name in upper case")
        odd = 'a "b" {table} %s ? `c`'
        stream = Stream("orders", primary_key=[odd])
        rows = [{odd: 1, "Größe": 1}, {odd: 1, "Größe": None}]
        result = place.load(rows, checks.unique_key(), checks.not_null("Größe"), stream=stream)
        assert [one.failing_rows for one in result.checks] == [2, 1]
        assert all(one.evaluated for one in result.checks)

    def test_an_empty_table_and_a_load_of_no_rows_are_checked_too(self, place: Place) -> None:
        not_in_stand_in(place, "gives 1970 for the newest moment of no rows")
        wanted = [
            checks.unique_key(),
            checks.row_count(min=1),
            checks.max_lag("at", timedelta(hours=1)),
        ]
        first = place.load([], *wanted)
        assert [one.passed for one in first.checks] == [True, False, False]
        assert "no row has a value in at" in first.checks[2].description
        place.load([row(1), row(1)])
        then = place.load([], *wanted)
        assert [one.passed for one in then.checks] == [False, True, False]

    def test_the_newest_moment_is_too_old(self, place: Place) -> None:
        result = place.load([row(1)], checks.max_lag("at", timedelta(hours=1)))
        check = result.checks[0]
        assert not check.passed
        assert check.figures["newest"] == "2026-01-01T00:00:00+00:00"

    def test_a_column_more_is_a_changed_schema(self, place: Place) -> None:
        stream = Stream("orders", primary_key=["id"])
        first = place.load([{"id": 1}], checks.schema_unchanged(), stream=stream)
        assert first.checks[0].passed
        second = place.load([{"id": 2, "phone": "1"}], checks.schema_unchanged(), stream=stream)
        assert not second.checks[0].passed
        assert second.checks[0].description.startswith("phone ")
        assert place.load([{"id": 3}], checks.schema_unchanged(), stream=stream).checks[0].passed

    def test_rejected_records_are_counted(self, place: Place) -> None:
        place.load([row(1)])
        result = place.load(
            [row(2), {**row(3), "phone": "1"}], checks.no_rejected(), schema_contract="discard_row"
        )
        assert (result.checks[0].passed, result.checks[0].failing_rows) == (False, 1)

    def test_the_rows_of_a_load_are_held_against_those_before(self, place: Place) -> None:
        usual = checks.row_count(anomaly=3)
        for n in range(5):
            result = place.load([row(n * 100 + one) for one in range(10)], usual)
            assert result.checks[0].passed
            assert "not enough history" in result.checks[0].description
        like = place.load([row(1000 + one) for one in range(11)], usual)
        assert like.checks[0].passed, like.checks[0].description
        assert like.checks[0].figures["mean"] == 10
        more = place.load([row(2000 + one) for one in range(100)], usual)
        assert not more.checks[0].passed
        assert (more.checks[0].description or "").startswith("the load brought 100 rows, ")
        assert more.checks[0].figures["loads_before"] == 6

    def test_the_first_load_of_a_stream_is_no_history_of_those_that_go_on(
        self, place: Place
    ) -> None:
        stream = Stream("orders", primary_key=["id"], replication_key="id")
        usual = checks.row_count(anomaly=3)
        place.load([{"id": one} for one in range(1000)], stream=stream, strategy="merge")
        for n in range(5):
            place.load([{"id": 1000 + n}], stream=stream, strategy="merge")
        result = place.load(
            [{"id": 2000 + n} for n in range(500)], usual, stream=stream, strategy="merge"
        )
        assert result.checks[0].figures["loads_before"] == 5
        assert not result.checks[0].passed


class TestWhatCannotBeEvaluated:
    def test_it_has_failed_as_an_error_and_the_rows_are_loaded(self, place: Place) -> None:
        result = place.load(
            [row(1), row(2)],
            checks.not_null("emial", severity="warn"),
            checks.sql("SELECT missing FROM {table}", name="no_column"),
            checks.not_null("email"),
            checks.sql("SELEC id FROM {table}", name="no_sql"),
            checks.max_lag("email", timedelta(hours=1)),
        )
        assert place.ids() == [1, 2]
        broken = [one for one in result.checks if not one.evaluated]
        names = ["not_null_emial", "no_column", "no_sql", "max_lag_email"]
        assert [one.name for one in broken] == names
        for one in broken:
            assert not one.passed
            assert one.severity == "ERROR"
            assert f"stream 'orders': the check '{one.name}' could not be" in one.description
        assert "there is no column 'emial'. Did you mean 'email'?" in broken[0].description
        assert found(result, "not_null_email").passed

    def test_a_gate_refuses(self, place: Place) -> None:
        place.load([row(1)])
        for gate in (
            checks.not_null("emial", gate=True),
            checks.sql("SELECT missing FROM {table}", name="no_column", gate=True),
        ):
            with pytest.raises(CheckFailedError, match="could not be evaluated"):
                place.load([row(2)], gate)
        assert place.ids() == [1]

    def test_a_stream_without_a_key_names_none(self, place: Place) -> None:
        result = place.load([row(1)], checks.unique_key(), stream=Stream("orders", schema=SCHEMA))
        assert "the stream has no primary key" in result.checks[0].description

    def test_a_query_is_taken_as_it_is_written(self, place: Place) -> None:
        words = "-- is it's '?' {} %s :p0 :x ?"
        where = f"WHERE {place.email} = '?%:x'"
        query = f"SELECT {place.id} FROM {{table}} {words}\n {where}"
        result = place.load([row(1, "?%:x"), row(2)], checks.sql(query, name="odd", gate=False))
        (one,) = result.checks
        assert (one.description, one.failing_keys) == ("the query returns 1 row", [{"id": 1}])

    @pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
    def test_the_first_and_the_last_moment_there_are(self, place: Place, moment: str) -> None:
        result = place.load([row(1, moment)], checks.max_lag("email", timedelta(hours=1)))
        assert result.checks[0].passed is moment.startswith("9999")
        assert place.ids() == [1]

    def test_a_key_that_the_ui_would_round_is_text(self, place: Place) -> None:
        large = 2**53 + 1
        result = place.load([row(large, None), row(2, None)], checks.not_null("email"))
        assert result.checks[0].failing_keys == [{"id": 2}, {"id": str(large)}]


class TestGates:
    @pytest.mark.parametrize("strategy", ["append", "merge", "replace"])
    def test_the_table_stays_as_it_was(self, place: Place, strategy: str) -> None:
        gate = checks.not_null("email", gate=True)
        place.load([row(1)], gate, strategy=strategy)
        with pytest.raises(CheckFailedError) as error:
            place.load(
                [row(1, email="new"), row(2, email=None)],
                gate,
                checks.row_count(min=1),
                strategy=strategy,
            )
        assert place.ask(f"SELECT {place.id}, {place.email} FROM {place.quoted}") == [(1, "a@b.c")]
        assert not error.value.retryable
        assert error.value.stream == "orders"
        assert "not_null_email: 1 row is NULL in email" in error.value.message
        assert [one.passed for one in error.value.results] == [False, True]
        place.load([row(2)], gate, strategy=strategy)
        assert 2 in place.ids()

    def test_a_first_load_leaves_nothing(self, place: Place) -> None:
        gate = checks.row_count(min=10, gate=True)
        with pytest.raises(CheckFailedError):
            place.load([row(1)], gate)
        place.load([row(n) for n in range(10)], gate)
        assert place.ids() == list(range(10))

    def test_nothing_is_committed_on_the_way(self, place: Place) -> None:
        stream = Stream("orders", schema=SCHEMA, primary_key=["id"], replication_key="id")
        batches = [Batch([row(n)], bookmark={"id": n}) for n in range(1, 4)]
        bad = [*batches, Batch([row(4, email=None)], bookmark={"id": 4})]
        gate = checks.not_null("email", gate=True)

        def load(given: Sequence[Batch], *wanted: checks.Check) -> SyncResult:
            read = GivenRead(stream, given, source_name="shop")
            return sync(
                read, place.destination, table=place.table, checks=wanted, checkpoint_seconds=0
            )

        assert load(batches[:1], gate).commits == 1
        with pytest.raises(CheckFailedError):
            load(bad, gate)
        assert place.ids() == [1]
        result = load(bad, checks.not_null("email"))
        assert result.commits > 1
        assert [one.failing_rows for one in result.checks] == [1]


class TestASharedState:
    """Streams whose one state covers them all: a gate holds it, and what would be doubled."""

    def test_a_gate_that_fails_holds_the_state(self, tmp_path: Path) -> None:
        path = tmp_path / "warehouse.duckdb"
        gate = checks.sql("SELECT n FROM {table} WHERE n > 2", name="small", gate=True)
        plans = {many.MERGED.key: StreamPlan(checks=[gate])}
        streams = [many.MERGED, many.A, many.FULL]

        def load(number: int) -> dict[str, StreamOutcome]:
            events = [many.rows(one, number) for one in streams]
            read = many.Scripted(streams, [*events, many.shared(number), *many.ends(*streams)])
            return many.load(read, path, plans=plans)

        assert not many.failed(load(1))
        assert many.state(path) == {"at": 1}
        outcomes = load(3)
        assert isinstance(outcomes["m"].error, CheckFailedError)
        assert "shares its state with 'm', which failed" in str(outcomes["a"].error)
        assert outcomes["f"].error is None, "a whole table may come twice"
        assert (many.numbers(path, "m"), many.numbers(path, "a")) == ([1], [1])
        assert many.state(path) == {"at": 1}
        assert not many.failed(load(2))
        assert many.state(path) == {"at": 2}

    def test_no_state_is_stored_before_a_stream_with_a_gate_has_ended(self, tmp_path: Path) -> None:
        path = tmp_path / "warehouse.duckdb"
        plans = {many.MERGED.key: StreamPlan(checks=[checks.unique_key(gate=True)])}
        events = [many.rows(many.MERGED, 1), many.rows(many.A, 1), many.shared(1)]
        gone = many.Scripted([many.MERGED, many.A], [*events, SourceError("gone")])
        many.load(gone, path, plans=plans)
        assert (many.numbers(path, "m"), many.numbers(path, "a")) == ([], [])
        assert many.state(path) is None


class TestPartitions:
    def test_a_gate_keeps_the_rows_of_a_partition(self, place: Place) -> None:
        not_in_stand_in(place, "commits before a MERGE, for which it makes a table")
        start = datetime(2026, 1, 1, tzinfo=UTC)
        window = TimeWindow(start, start + timedelta(days=1))
        day = Partitions((Partition("2026-01-01", {"at": window}),))
        gate = checks.not_null("email", gate=True)

        def load(*rows: dict[str, Any]) -> SyncResult:
            read = GivenRead(ORDERS, [list(rows)], source_name="shop")
            return sync(
                read,
                place.destination,
                table=place.table,
                partitions=day,
                checks=[gate, checks.row_count(anomaly=3)],
            )

        assert [one.passed for one in load(row(1)).checks] == [True, True]
        with pytest.raises(CheckFailedError):
            load(row(2, email=None))
        assert place.ids() == [1]
        load(row(2))
        assert place.ids() == [2]

    def test_a_load_of_many_partitions_is_no_anomaly(self, place: Place) -> None:
        first = datetime(2026, 1, 1, tzinfo=UTC)

        def load(days: Sequence[int], rows: int = 10) -> CheckResult:
            each, given = [], []
            for day in days:
                start = first + timedelta(days=day)
                window = TimeWindow(start, start + timedelta(days=1))
                each.append(Partition(f"{start:%Y-%m-%d}", {"at": window}))
                given += [
                    {**row(100 * day + number), "at": start.isoformat()} for number in range(rows)
                ]
            read = GivenRead(ORDERS, [given], source_name="shop")
            result = sync(
                read,
                place.destination,
                table=place.table,
                partitions=Partitions(tuple(each)),
                checks=[checks.row_count(anomaly=3)],
            )
            return found(result, "row_count")

        for day in range(5):
            load([day])
        several = load(range(5, 15))
        assert (several.passed, several.figures["rows_of_load"]) == (True, 10)
        assert not load([15], rows=40).passed


def _has_nan(place: Place) -> bool:
    return isinstance(place.destination, DuckDBDestination | PostgresDestination)


class TestManyStreams:
    def test_a_gate_of_one_leaves_the_others(self, place: Place) -> None:
        streams = [Stream("good", primary_key=["id"]), Stream("bad", primary_key=["id"])]
        source = Rows([{"id": 1, "email": None}])
        gate = checks.not_null("email", gate=True)
        schema = place.table.schema
        plans = {
            one.key: StreamPlan(
                table=TableName(one.name, schema), checks=[gate] if one.name == "bad" else []
            )
            for one in streams
        }
        outcomes: dict[str, StreamOutcome] = {
            one.stream.name: one
            for one in sync_source(SourceRead(source, streams), place.destination, plans=plans)
        }
        assert outcomes["good"].error is None
        assert isinstance(outcomes["bad"].error, CheckFailedError)
        assert place.ask(f"SELECT COUNT(*) FROM {place.quoted.replace('orders', 'good')}") == [(1,)]


def test_a_database_without_a_word_for_first_rows_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etl_assets.destinations.sqlalchemy.transaction, "_FIRST_ROW", {})
    path = tmp_path / "any.db"
    made = SqlDestination(f"sqlite:///{path}")
    place = Place(made, TableName("orders"), _asked_in_sqlite(path), "orders")
    wanted = [
        checks.unique_key(),
        checks.sql("SELECT id FROM {table} WHERE id > 0", name="none"),
        checks.sql("SELECT missing FROM {table}", name="broken"),
    ]
    result = place.load([row(1), row(1)], *wanted)
    assert [one.failing_rows for one in result.checks] == [2, 2, None]
    assert not any(one.failing_keys for one in result.checks)
    assert "no such column: missing" in result.checks[2].description
    with pytest.raises(CheckFailedError):
        place.load([row(2)], checks.row_count(max=2, gate=True))
    assert place.ids() == [1, 1]


def test_a_question_mark_of_postgresql_is_an_operator() -> None:
    with servers.postgres_schema() as schema:
        table = TableName("orders", schema)
        made: list[DatabaseDestination] = [
            PostgresDestination(servers.POSTGRES, state_schema=f"{schema}_state"),
            SqlDestination(servers.POSTGRES, state_schema=schema),
        ]
        for at, destination in enumerate(made):
            place = Place(destination, replace(table, name=f"t{at}"), servers.query, "")
            query = "SELECT id FROM {table} WHERE CAST(email AS jsonb) ? 'wrong'"
            rows = [row(1, '{"wrong": 1}'), row(2, '{"right": 1}')]
            result = place.load(rows, checks.sql(query, name="operator"))
            assert result.checks[0].failing_rows == 1, result.checks[0].description


def test_a_destination_without_checks_is_refused_before_anything_is_read() -> None:
    read = GivenRead(ORDERS, [], source_name="shop")
    with pytest.raises(ConfigError, match="the check 'unique_key' needs a destination with"):
        sync(read, MemoryDestination(), checks=[checks.unique_key()])

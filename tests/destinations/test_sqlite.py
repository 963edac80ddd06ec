"""SQLite: values at their bounds, and what it does to what depends on a table."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from etl_assets.destinations.sqlite import transaction as sqlite_transaction
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.exceptions import BusyError, ConfigError, ConnectError, DataError, EtlAssetsError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead

Give = Callable[..., Any]
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.sqlite"


@pytest.fixture
def give(path: Path) -> Give:
    def load(name: str, *batches: Any, strategy: str = "append", **options: Any) -> Any:
        key = ["id"] if strategy == "merge" else []
        destination = SQLiteDestination(str(path), schema_name="", **options)
        return sync(
            GivenRead(Stream(name, primary_key=key), batches), destination, strategy=strategy
        )

    return load


@pytest.fixture
def ask(path: Path) -> Ask:
    def run(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            return file.execute(sql).fetchall()

    return run


BOUNDS: dict[str, tuple[pa.DataType, list[Any], str]] = {
    "bool": (pa.bool_(), [True, False], "BOOLEAN"),
    "int64": (pa.int64(), [-(2**63), 2**63 - 1], "INTEGER"),
    "uint64": (pa.uint64(), [0, 2**64 - 1], "DECIMAL_TEXT(20,0)"),
    "decimal": (
        pa.decimal128(38, 9),
        [Decimal("9" * 29 + "." + "9" * 9), Decimal("-1E-9")],
        "DECIMAL_TEXT(38,9)",
    ),
    "float": (
        pa.float32(),
        [3.4028234663852886e38, 1.401298464324817e-45, float("-inf")],
        "FLOAT_BLOB",
    ),
    "double": (pa.float64(), [1.7976931348623157e308, 5e-324, 0.1, float("inf")], "DOUBLE_BLOB"),
    "date": (pa.date32(), [date.min, date.max], "DATE"),
    "instant": (
        pa.timestamp("us", "UTC"),
        [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)],
        "TIMESTAMPTZ",
    ),
    "naive": (pa.timestamp("us"), [datetime.min, datetime.max], "TIMESTAMP"),  # noqa: DTZ901 - naive on purpose
    "time": (pa.time64("us"), [clock.min, clock.max], "TIME"),
    "duration": (
        pa.duration("us"),
        [timedelta(days=-(10**8), microseconds=1), timedelta(days=10**8)],
        "INTERVAL",
    ),
    "bytes": (pa.binary(), [b"", bytes(range(256))], "BLOB"),
    "text": (
        pa.string(),
        ["", " ", "a\0b", "1.10", "1e5", "NULL", "\U0001f600", "x" * 10**6],
        "TEXT",
    ),
    "json": (pa.json_(pa.utf8()), ['{"b":1.10,"a":"\\u0000"}', "null", "1.10", "5"], "JSON_TEXT"),
    "uuid": (pa.uuid(), [UUID(int=0).bytes, UUID(int=2**128 - 1).bytes], "UUID_TEXT"),
}


@pytest.mark.parametrize("kind", BOUNDS)
def test_values_at_the_bounds_come_back_as_they_were(kind: str, give: Give, path: Path) -> None:
    type_, values, name = BOUNDS[kind]
    storage = getattr(type_, "storage_type", type_)
    array = pa.array([*values, None], storage)
    array = array if storage == type_ else pa.ExtensionArray.from_storage(type_, array)
    for strategy in ("append", "merge"):
        result = give(
            strategy,
            pa.table({"id": pa.array(range(len(array))), "value": array}),
            strategy=strategy,
        )
        assert {column.name: column.type for column in result.columns}["value"] == name
        back = SQLiteDestination(str(path)).read_table(TableName(strategy, "main"))
        assert back.sort_by("id").column("value").to_pylist() == array.to_pylist()


def test_nan_is_refused_by_name_and_changes_nothing(give: Give, ask: Ask) -> None:
    give("things", [{"id": 1, "x": 1.5}])
    with pytest.raises(DataError, match=r"stream 'things', field 'x': SQLite cannot hold NaN"):
        give("things", [{"id": 2, "x": float("nan")}])
    assert ask("SELECT id, x FROM things") == [(1, 1.5)]


@pytest.mark.parametrize("rows", [[{"id": 2, "text": "new"}], [{"id": 2, "text": 5.5, "more": 1}]])
def test_views_indexes_and_triggers_outlive_a_replacement(
    rows: list[dict[str, Any]], give: Give, ask: Ask
) -> None:
    give("things", [{"id": 1, "text": "old"}], strategy="replace")
    ask("CREATE VIEW seen AS SELECT id FROM things")
    ask("CREATE INDEX mine ON things (text)")
    ask("CREATE TRIGGER t AFTER DELETE ON things BEGIN SELECT 1; END")
    give("things", rows, strategy="replace")
    assert ask("SELECT * FROM seen") == [(2,)]
    names = {
        name for (name,) in ask("SELECT name FROM sqlite_master WHERE type IN ('index', 'trigger')")
    }
    assert {"mine", "t"} <= names


def test_an_index_on_a_column_that_goes_is_an_error_that_changes_nothing(
    give: Give, ask: Ask
) -> None:
    give("things", [{"id": 1, "text": "old"}], strategy="replace")
    ask("CREATE INDEX mine ON things (text)")
    with pytest.raises(EtlAssetsError, match="no such column"):
        give("things", [{"id": 2}], strategy="replace")
    assert ask("SELECT id, text FROM things") == [(1, "old")]


def test_a_widened_column_keeps_every_digit_and_the_other_columns(give: Give, ask: Ask) -> None:
    give("things", [{"id": 1, "x": 5e-324, "y": Decimal("1.10")}, {"id": 2, "x": 0.1, "y": None}])
    ask("CREATE INDEX mine ON things (id)")
    give("things", [{"id": 3, "x": "text", "y": Decimal("1.1234")}])
    assert ask("SELECT id, x, y FROM things ORDER BY id") == [
        (1, "5e-324", "1.1000"), (2, "0.1", None), (3, "text", "1.1234"),
    ]  # fmt: skip
    assert ask("SELECT count(DISTINCT _etl_assets_load_id), count(*) FROM things") == [(2, 3)]


def test_a_column_is_widened_some_rows_at_a_time(
    give: Give, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_transaction, "ROWS_AT_ONCE", 3)
    rows = [{"id": number, "x": None if number % 4 == 0 else number / 2} for number in range(10)]
    give("things", rows)
    give("things", [{"id": 10, "x": "text"}])
    found = [None if row["x"] is None else f"{row['x']:.1f}" for row in rows]
    assert ask("SELECT x FROM things ORDER BY id") == [(text,) for text in [*found, "text"]]


def test_tables_are_named_after_source_and_stream(path: Path) -> None:
    stream = Stream("Order Lines")
    assert SQLiteDestination(str(path)).table_for("Shop", stream) == TableName(
        "shop__order_lines", "main"
    )
    assert (
        SQLiteDestination(str(path), schema_name="raw").table_for("Shop", stream).name
        == "raw__order_lines"
    )
    assert (
        SQLiteDestination(f"sqlite:///{path}", schema_name="").table_for("Shop", stream).name
        == "order_lines"
    )


def test_a_file_that_another_holds_is_a_busy_error(give: Give, path: Path) -> None:
    give("things", [{"id": 1}])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match="locked"):
            give("things", [{"id": 2}], lock_timeout=0.1)


def test_readers_see_the_old_rows_until_the_commit(
    give: Give, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    give("things", [{"id": 1}], strategy="replace")
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        "etl_assets.destinations.database.session.fault",
        lambda point: seen.update({point: ask("SELECT id FROM things")}),
    )
    give("things", [{"id": 2}], strategy="replace")
    assert (seen["rows"], seen["state"], seen["committed"]) == ([(1,)], [(1,)], [(2,)])


def test_a_full_disk_is_an_error_that_changes_nothing(
    give: Give, ask: Ask, path: Path, monkeypatch: Any
) -> None:
    give("things", [{"id": 1, "text": "old"}])
    opened = SQLiteDestination._open

    def small(self: SQLiteDestination) -> sqlite3.Connection:
        connection = opened(self)
        connection.execute("PRAGMA max_page_count = 20")
        return connection

    monkeypatch.setattr(SQLiteDestination, "_open", small)
    with pytest.raises(EtlAssetsError, match=r"full.*Make room"):
        give("things", [{"id": 2, "text": "x" * 10**6}])
    monkeypatch.undo()
    assert ask("SELECT id FROM things") == [(1,)]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_in_memory_it_lives_as_long_as_the_destination() -> None:
    destination = SQLiteDestination(":memory:")
    for n in range(2):
        sync(GivenRead(Stream("things"), [[{"id": n}]]), destination, strategy="append")
    assert (
        destination.read_table(destination.table_for("conformance", Stream("things"))).num_rows == 2
    )
    assert len(destination.states()) == 1


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder"):
        SQLiteDestination(str(tmp_path / "no" / "x.sqlite")).test_connection()
    (tmp_path / "text").write_text("no database" * 1000)
    with pytest.raises(ConnectError, match="not a database"):
        SQLiteDestination(str(tmp_path / "text")).test_connection()
    assert SQLiteDestination(str(tmp_path / "new.sqlite")).states() == []
    assert not (tmp_path / "new.sqlite").exists()

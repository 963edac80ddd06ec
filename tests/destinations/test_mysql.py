"""MySQL and MariaDB: values at their bounds, swaps that were interrupted, and failures on the way."""

import time
import traceback
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pyarrow as pa
import pymysql
import pytest

from etl_assets.destinations.database.transaction import Stamp
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.mysql.swaps import Swaps
from etl_assets.destinations.mysql.transaction import MySQLTransaction
from etl_assets.exceptions import (
    AuthenticationError,
    BusyError,
    ConfigError,
    ConnectError,
    DataError,
    DestinationError,
    EtlAssetsError,
    UnavailableError,
)
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from etl_assets.testing.proxy import LosingProxy
from tests.destinations.loads import check, expected, found, load
from tests.servers import MYSQL, mysql_connect, mysql_left_over, mysql_query, mysql_schema

FIRST: list[dict[str, Any]] = [{"n": n, "id": n % 20, "text": f"first {n}"} for n in range(30)]
THEN: list[dict[str, Any]] = [
    *FIRST,
    *({"n": n, "id": n % 20, "text": f"then {n}"} for n in range(30, 60)),
]
PLAIN = f"mysql://{MYSQL.partition('://')[2]}"
SERVER = urlsplit(PLAIN)
MODES = pytest.mark.parametrize("local_infile", [True, False], ids=["load data", "insert"])


class Shop:
    """A database of a test's own."""

    def __init__(self, schema: str, folder: Path) -> None:
        self.schema = schema
        self.folder = folder

    def destination(self, url: str = PLAIN, **options: Any) -> MySQLDestination:
        places = {"schema_name": self.schema, "state_schema": self.schema}
        return MySQLDestination(url, staging_dir=str(self.folder / "staging"), **(places | options))

    def give(self, name: str, *batches: Any, strategy: str = "append", **options: Any) -> Any:
        key = ["id"] if strategy == "merge" else []
        return sync(
            GivenRead(Stream(name, primary_key=key), batches),
            self.destination(**options),
            strategy=strategy,
        )

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return mysql_query(sql.replace("SHOP", self.schema))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with mysql_schema() as name:
        yield Shop(name, tmp_path)


def test_a_server_gets_no_file_that_it_was_not_offered(shop: Shop, tmp_path: Path) -> None:
    """A server may answer any statement by asking for a file of ours, by its path; here a statement has it ask."""
    (tmp_path / "secret").write_text("secret\n")
    shop.give("things", pa.table({"n": [1]}))
    warehouse = shop.destination()
    with (
        pytest.raises(
            EtlAssetsError, match=r"asked for the file '.*/secret', which it was not offered"
        ),
        warehouse.transaction() as tx,
    ):
        tx.execute(
            f"LOAD DATA LOCAL INFILE '{tmp_path / 'secret'}' INTO TABLE {shop.schema}.things"
        )
    assert shop.ask("SELECT COUNT(*) FROM SHOP.things") == [(1,)]
    shop.give("more", pa.table({"n": [None, 2]}))
    assert shop.ask("SELECT n FROM SHOP.more ORDER BY n") == [(None,), (2,)]


BOUNDS: dict[str, tuple[pa.DataType, list[Any], str]] = {
    "bool": (pa.bool_(), [True, False], "tinyint(1)"),
    "int8": (pa.int8(), [-128, 127], "smallint"),
    "int32": (pa.int32(), [-(2**31), 2**31 - 1], "int"),
    "int64": (pa.int64(), [-(2**63), 2**63 - 1], "bigint"),
    "uint64": (pa.uint64(), [0, 2**64 - 1], "bigint unsigned"),
    "decimal": (pa.decimal128(38, 9), [Decimal("9" * 29 + "." + "9" * 9), Decimal("-1E-9")], "decimal(38,9)"),
    "float": (pa.float32(), [3.4028234663852886e38, 1.401298464324817e-45, 0.10000000149011612], "double"),
    "double": (pa.float64(), [1.7976931348623157e308, 5e-324, 0.1, -2.2250738585072014e-308], "double"),
    "date": (pa.date32(), [date.min, date.max], "date"),
    "instant": (
        pa.timestamp("us", "UTC"),
        [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)],
        "datetime(6) (UTC)",
    ),
    "naive": (pa.timestamp("us"), [datetime.min, datetime.max], "datetime(6)"),  # noqa: DTZ901 - naive on purpose
    "time": (pa.time64("us"), [clock.min, clock.max], "time(6)"),
    "duration": (
        pa.duration("us"), [timedelta(days=-(10**8), microseconds=1), timedelta(days=10**8)], "bigint (microseconds)",
    ),
    "bytes": (pa.binary(), [b"", bytes(range(256))], "longblob"),
    "text": (
        pa.string(),
        ["", " ", "a\0b", "\\N", "\\", "a\tb\nc\r\n", "NULL", "%s", "'\"", "\U0001f600", "x" * 10**6],
        "longtext",
    ),
    "json": (pa.json_(pa.utf8()), ['{"b":1.10,"a":"\\u0000","b":2}', "null", "[1e400]"], "longtext (JSON)"),
    "uuid": (pa.uuid(), [UUID(int=0).bytes, UUID(int=2**128 - 1).bytes], "char(36) (UUID)"),
}  # fmt: skip


@MODES
@pytest.mark.parametrize("strategy", ["append", "merge"])
def test_values_at_the_bounds_come_back_as_they_were(
    strategy: str, local_infile: bool, shop: Shop
) -> None:
    arrays: dict[str, Any] = {"id": pa.array(range(12))}
    for kind, (type_, values, _) in BOUNDS.items():
        storage = getattr(type_, "storage_type", type_)
        array = pa.array([*values, *[None] * (12 - len(values))], storage)
        arrays[kind] = array if storage == type_ else pa.ExtensionArray.from_storage(type_, array)
    result = shop.give("things", pa.table(arrays), strategy=strategy, local_infile=local_infile)
    names = {column.name: column.type for column in result.columns}
    assert {kind: names[kind] for kind in BOUNDS} == {
        kind: name for kind, (_, _, name) in BOUNDS.items()
    }
    back = shop.destination().read_table(TableName("things", shop.schema)).sort_by("id")
    for kind in BOUNDS:
        assert back.column(kind).to_pylist() == arrays[kind].to_pylist(), kind


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.0])
def test_doubles_it_has_not_are_refused_by_name(value: float, shop: Shop) -> None:
    shop.give("things", [{"id": 1, "x": 1.5}])
    with pytest.raises(DataError, match=r"stream 'things', field 'x': MySQL has no"):
        shop.give("things", [{"id": 2, "x": value}])
    assert shop.ask("SELECT id, x FROM SHOP.things") == [(1, 1.5)]


@MODES
def test_an_adopted_column_that_would_change_a_value_is_named(
    local_infile: bool, shop: Shop
) -> None:
    shop.ask("CREATE TABLE SHOP.things (id bigint, text varchar(3))")
    read = GivenRead(Stream("things"), [[{"id": 1, "text": "abcd"}]])
    with pytest.raises(EtlAssetsError, match=r"text.*") as refused:
        sync(read, shop.destination(local_infile=local_infile), strategy="append", adopt=True)
    assert "abcd" not in str(refused.value)
    assert shop.ask("SELECT * FROM SHOP.things") == []


def test_rows_that_an_adopted_table_holds_already_are_not_dropped_without_a_word(
    shop: Shop,
) -> None:
    shop.ask("CREATE TABLE SHOP.things (id bigint PRIMARY KEY)")
    value = 4711_0815
    read = GivenRead(Stream("things"), [[{"id": value}, {"id": value}]])
    for local_infile in (True, False):
        with pytest.raises(EtlAssetsError) as failed:
            sync(read, shop.destination(local_infile=local_infile), strategy="append", adopt=True)
        assert str(value) not in "".join(traceback.format_exception(failed.value))
        assert shop.ask("SELECT * FROM SHOP.things") == []


def test_keys_that_differ_in_case_or_a_space_are_two(shop: Shop) -> None:
    rows = [
        {"id": one, "n": n}
        for n, one in enumerate(["a", "A", "a ", "á", "", " ", "x" * 1000, "x" * 1001])
    ]
    for _ in range(2):
        shop.give("things", rows, strategy="merge")
    assert sorted(n for (n,) in shop.ask("SELECT n FROM SHOP.things")) == list(range(8))


def test_state_keys_that_differ_in_case_are_two(shop: Shop) -> None:
    for n, name in enumerate(("Users", "users ")):
        read = GivenRead(Stream(name, stream_alias=f"t{n}"), [[{"id": n}]])
        sync(read, shop.destination(), strategy="append")
    assert len(shop.destination().states()) == 2


@pytest.mark.parametrize(
    "name", ['a"b', "a?b", "50%", "%s", "a'b", "; DROP TABLE x; --", "a`b", "@b0"]
)
def test_names_are_data(name: str, shop: Shop) -> None:
    for strategy in ("append", "merge", "replace", "replace"):
        read = GivenRead(
            Stream(f"{strategy}{name}", primary_key=["id"]), [[{"id": 1, name: "x", "b": b"y"}]]
        )
        sync(read, shop.destination(naming="preserve"), strategy=strategy)
        quoted = name.replace("`", "``")
        assert shop.ask(f"SELECT `{quoted}`, b FROM SHOP.`{strategy}{quoted}`") == [("x", b"y")]


@pytest.mark.parametrize(
    ("name", "column"), [("\U0001f600", "_"), ("a\U0001d49c", "a_"), ("x  ", "x__")]
)
@pytest.mark.parametrize("naming", ["preserve", "pyairbyte"])
def test_what_the_server_cannot_have_in_a_name_is_replaced(
    name: str, column: str, naming: str, shop: Shop
) -> None:
    """Neither a character beyond the basic plane nor a space at the end."""
    for strategy in ("append", "merge", "replace", "replace"):
        read = GivenRead(
            Stream(f"{strategy}{name}", primary_key=["id"]), [[{"id": 1, name: "x", "A": 2}]]
        )
        sync(read, shop.destination(naming=naming), strategy=strategy)
        assert shop.ask(f"SELECT `{column}` FROM SHOP.`{strategy}{column}`") == [("x",)]


# Swaps


def test_a_replacement_keeps_indexes_and_views(shop: Shop) -> None:
    shop.give("things", [{"id": 1, "n": 1}], strategy="replace")
    shop.ask("CREATE INDEX mine ON SHOP.things (n)")
    shop.ask("CREATE VIEW SHOP.seen AS SELECT id FROM SHOP.things")
    shop.give("things", [{"id": 2, "n": 2}], strategy="replace")
    assert shop.ask("SELECT id FROM SHOP.seen") == [(2,)]
    assert [row[2] for row in shop.ask("SHOW INDEX FROM SHOP.things")] == ["mine"]


def test_a_table_with_a_trigger_keeps_it_and_gets_the_rows(shop: Shop) -> None:
    shop.give("things", [{"id": 1}], strategy="replace")
    shop.ask("CREATE TRIGGER SHOP.t BEFORE INSERT ON SHOP.things FOR EACH ROW SET @x = 1")
    shop.give("things", [{"id": 2}], strategy="replace")
    assert shop.ask("SELECT id FROM SHOP.things") == [(2,)]
    assert len(shop.ask("SHOW TRIGGERS FROM SHOP")) == 1
    with pytest.raises(DestinationError, match="triggers"):
        shop.give("things", [{"id": 3, "more": 1}], strategy="replace")
    assert shop.ask("SELECT id FROM SHOP.things") == [(2,)]


class Killed(BaseException):
    """As a SIGKILL: nothing of ours runs after it."""


@pytest.mark.parametrize("moment", ["noted", "renamed", "committed", "dropped"])
@pytest.mark.parametrize("stream", ["append", "replace"])
@pytest.mark.parametrize("there", [True, False], ids=["replaced", "made"])
def test_a_swap_that_was_interrupted(
    moment: str, stream: str, there: bool, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P11, P13: killed before the RENAME, after it, after the COMMIT, before the note goes; the next start ends it."""
    if there:
        load(shop.destination(), FIRST, "replace")
        stream = "replace"

    def killed(self: Swaps) -> None:
        if self.pending:
            raise Killed

    def killed_after(self: Swaps) -> None:
        renamed(self)
        killed(self)

    renamed = Swaps.rename
    monkeypatch.setattr(Swaps, "undo", lambda self: None)
    patches = {
        "noted": ("rename", killed),
        "renamed": ("rename", killed_after),
        "committed": ("finish", killed),
        "dropped": ("_forget", lambda self, _: killed(self)),
    }
    monkeypatch.setattr(Swaps, *patches[moment])
    with pytest.raises(Killed):
        load(shop.destination(), THEN, stream)
    monkeypatch.undo()
    assert mysql_left_over(shop.schema), "there is something to put right"
    before = found(shop.destination(), stream)
    if there:
        check(shop.destination(), stream, FIRST, THEN)
    elif moment in {"noted", "renamed"}:
        assert before == ([], -1)
    assert mysql_left_over(shop.schema) == []
    load(shop.destination(), THEN, stream)
    assert found(shop.destination(), stream)[0] == expected(stream, THEN)
    assert mysql_left_over(shop.schema) == []


def test_a_swap_that_was_interrupted_while_another_sync_is_about_to_commit(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has begun before the swap, and so seen nothing to put right; the table is not what the state says."""
    shop.give("things", [{"id": 1}])

    def killed_after(self: Swaps) -> None:
        swaps = bool(self.pending)
        renamed(self)
        if swaps:
            raise Killed

    def meanwhile(tx: MySQLTransaction, name: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MySQLTransaction, "lock", lock)
            patch.setattr(Swaps, "rename", killed_after)
            patch.setattr(Swaps, "undo", lambda self: None)
            with pytest.raises(Killed):
                shop.give("things", [{"id": 1}, {"id": 2}], strategy="replace")
        assert shop.ask("SELECT id FROM SHOP.things ORDER BY id") == [(1,), (2,)]
        lock(tx, name)

    lock, renamed = MySQLTransaction.lock, Swaps.rename
    monkeypatch.setattr(MySQLTransaction, "lock", meanwhile)
    shop.give("things", [{"id": 2}])
    assert shop.ask("SELECT id FROM SHOP.things ORDER BY id") == [(1,), (2,)]
    assert mysql_left_over(shop.schema) == []


def test_a_swap_that_goes_on_keeps_no_other_stream_waiting(shop: Shop) -> None:
    shop.give("things", [{"id": 1}], strategy="replace")
    table = TableName("things", shop.schema)
    with shop.destination().transaction() as tx:
        new = tx.begin_replace(table, pa.schema([("id", pa.int64())]), Stamp("x", None, None))
        assert new != table
        shop.give("others", [{"id": 2}], strategy="replace", lock_timeout=0)
        assert mysql_left_over(shop.schema) == [new.name, "a note of things"]
    assert shop.ask("SELECT id FROM SHOP.others") == [(2,)]
    assert shop.ask("SELECT id FROM SHOP.things") == []
    assert mysql_left_over(shop.schema) == []


def test_a_widening_that_was_interrupted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: killed between the new column and its place; no value has changed, and the next run goes on."""
    from etl_assets.destinations.mysql.merge import run

    shop.give("things", [{"id": 1, "x": True, "at": datetime(2026, 1, 1, tzinfo=UTC)}])

    def killed(connection: Any, sql: str, parameters: Any) -> Any:
        if "DROP COLUMN" in sql:
            raise Killed
        return run(connection, sql, parameters)

    monkeypatch.setattr("etl_assets.destinations.mysql.transaction.run", killed)
    with pytest.raises(Killed):
        shop.give("things", [{"id": 2, "x": "text", "at": "later"}])
    monkeypatch.undo()
    assert shop.ask("SELECT id, x FROM SHOP.things") == [(1, 1)]
    shop.give("things", [{"id": 2, "x": "text", "at": "later"}])
    assert shop.ask("SELECT id, x, at FROM SHOP.things ORDER BY id") == [
        (1, "true", "2026-01-01 00:00:00.000000+00:00"), (2, "text", "later"),
    ]  # fmt: skip


def test_readers_see_the_old_rows_until_the_commit(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.give("things", [{"id": 1}], strategy="replace")
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        "etl_assets.destinations.database.session.fault",
        lambda point: seen.update({point: shop.ask("SELECT id FROM SHOP.things")}),
    )
    shop.give("things", [{"id": 2}], strategy="replace")
    assert (seen["rows"], seen["state"], seen["committed"]) == ([(1,)], [(1,)], [(2,)])


# Failures


@pytest.mark.parametrize("deliver", [True, False])
@pytest.mark.parametrize("stream", ["append", "merge", "replace"])
def test_the_line_is_cut_at_commit(stream: str, deliver: bool, shop: Shop) -> None:
    load(shop.destination(), FIRST, stream)
    with LosingProxy(
        (SERVER.hostname or "", SERVER.port or 3306), word=b"\x03COMMIT", deliver=deliver
    ) as proxy:
        with pytest.raises(UnavailableError) as lost:
            load(
                shop.destination(PLAIN.replace(f":{SERVER.port}", f":{proxy.address[1]}")),
                THEN,
                stream,
            )
        assert proxy.lost
    assert lost.value.retryable
    time.sleep(0.2)  # until the server has noticed
    check(shop.destination(), stream, FIRST, THEN)
    load(shop.destination(), THEN, stream)
    assert found(shop.destination(), stream)[0] == expected(stream, THEN)
    assert mysql_left_over(shop.schema) == []


def test_the_connection_is_killed_on_the_server(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(shop.destination(), FIRST, "append")

    def end(at: str) -> None:
        if at == "rows":
            locks = mysql_query(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = 'test' AND COMMAND = 'Sleep'"
            )
            tx = [one for (one,) in locks if one in ours]
            for one in tx:
                mysql_query(f"KILL {one}")

    ours: set[int] = set()
    opened = MySQLDestination._connect

    def note(self: MySQLDestination) -> Any:
        connection = opened(self)
        ours.add(connection.thread_id())
        return connection

    monkeypatch.setattr(MySQLDestination, "_connect", note)
    monkeypatch.setattr("etl_assets.destinations.database.session.fault", end)
    with pytest.raises(UnavailableError):
        load(shop.destination(), THEN, "append")
    monkeypatch.undo()
    check(shop.destination(), "append", FIRST, THEN)
    load(shop.destination(), THEN, "append")
    assert found(shop.destination(), "append")[0] == expected("append", THEN)


def test_a_lock_that_another_session_holds_is_waited_for_and_then_a_busy_error(shop: Shop) -> None:
    load(shop.destination(), FIRST, "replace")
    other = mysql_connect()
    with other, other.cursor() as cursor:
        cursor.execute(f"LOCK TABLES {shop.schema}.replace READ")
        with pytest.raises(BusyError):
            load(shop.destination(lock_timeout=1), THEN, "replace")
    check(shop.destination(), "replace", FIRST, THEN)
    load(shop.destination(), THEN, "replace")
    assert found(shop.destination(), "replace")[0] == expected("replace", THEN)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("mysql://root@127.0.0.1:1/test", UnavailableError),
        (PLAIN.rsplit("/", 1)[0] + "/no_such_database", ConnectError),
        (PLAIN.replace("root@", "nobody_here:canary_password@"), AuthenticationError),
        ("postgresql://a:canary_password@b", ConfigError),
        ("mysql://root@127.0.0.1", ConfigError),
    ],
)
def test_what_is_wrong_with_a_connection_is_said_without_the_password(
    url: str, kind: type[Exception]
) -> None:
    destination = MySQLDestination(url, connect_timeout=3)
    assert "canary" not in repr(destination)
    with pytest.raises(kind) as failed:
        destination.test_connection()
    chain: BaseException | None = failed.value
    while chain is not None:
        assert "canary" not in str(chain)
        chain = chain.__cause__


def test_another_machine_must_show_a_certificate() -> None:
    remote = MySQLDestination("mysql://u:canary@db.example.com/x")
    assert remote._parameters()["ssl"].check_hostname
    assert remote.uri(TableName("t", "x")) == "mysql://db.example.com:3306/#x.t"
    assert MySQLDestination("mysql://u@127.0.0.1/x")._parameters()["ssl_disabled"] is True


def test_a_missing_driver_is_named_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    destination = MySQLDestination(PLAIN)
    monkeypatch.setitem(__import__("sys").modules, "pymysql", None)
    with pytest.raises(ConfigError, match=r"etl-assets\[mysql\]"):
        destination.test_connection()


def test_a_user_with_the_documented_grants_can_do_all(shop: Shop) -> None:
    user = f"u{shop.schema[2:]}"
    shop.ask(f"CREATE USER {user}@'%' IDENTIFIED BY 'pw'")
    rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, CREATE TEMPORARY TABLES"
    shop.ask(f"GRANT {rights} ON SHOP.* TO {user}@'%'")
    url = f"mysql://{user}:pw@{SERVER.hostname}:{SERVER.port}/{shop.schema}"
    try:
        for stream in ("append", "merge", "replace", "replace"):
            load(shop.destination(url), THEN, stream)
            assert found(shop.destination(url), stream)[0] == expected(stream, THEN)
        with pytest.raises(AuthenticationError):
            sync(
                GivenRead(Stream("x"), [[{"id": 1}]]),
                shop.destination(url, schema_name="elsewhere_entirely"),
            )
    except pymysql.Error as error:  # pragma: no cover - a server without anonymous logins over TCP
        pytest.fail(str(error))
    finally:
        shop.ask(f"DROP USER {user}@'%'")

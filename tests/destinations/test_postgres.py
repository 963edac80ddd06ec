"""PostgreSQL: values at their bounds, what replaces do to what depends on a table, and failures on the way."""

import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest

from etl_assets.destinations.postgres.destination import PostgresDestination
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
from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from etl_assets.testing.proxy import LosingProxy
from tests.destinations.loads import check, expected, found, load
from tests.servers import POSTGRES, postgres_schema, postgres_server, query

FIRST: list[dict[str, Any]] = [{"n": n, "id": n % 20, "text": f"first {n}"} for n in range(30)]
THEN: list[dict[str, Any]] = [
    *FIRST,
    *({"n": n, "id": n % 20, "text": f"then {n}"} for n in range(30, 60)),
]
PLAIN = POSTGRES.replace("+psycopg", "")


class Shop:
    """A schema of a test's own."""

    def __init__(self, schema: str, folder: Path) -> None:
        self.schema = schema
        self.folder = folder

    def destination(self, url: str = PLAIN, **options: Any) -> PostgresDestination:
        places = {"schema_name": self.schema, "state_schema": f"{self.schema}_state"}
        return PostgresDestination(
            url, staging_dir=str(self.folder / "staging"), **(places | options)
        )

    def give(self, name: str, *batches: Any, strategy: str = "append", **options: Any) -> Any:
        key = ["id"] if strategy == "merge" else []
        read = GivenRead(Stream(name, primary_key=key), batches)
        return sync(read, self.destination(**options), strategy=strategy)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return query(sql.replace("SHOP", self.schema))

    def run(self, sql: str) -> None:
        postgres_server().execute(sql.replace("SHOP", self.schema).encode())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with postgres_schema() as name:
        yield Shop(name, tmp_path)


BOUNDS: dict[str, tuple[pa.DataType, list[Any], str]] = {
    "int8": (pa.int8(), [-128, 127], "smallint"),
    "uint16": (pa.uint16(), [0, 65535], "integer"),
    "uint32": (pa.uint32(), [0, 2**32 - 1], "bigint"),
    "int64": (pa.int64(), [-(2**63), 2**63 - 1], "bigint"),
    "uint64": (pa.uint64(), [0, 2**64 - 1], "numeric(20,0)"),
    "decimal": (
        pa.decimal128(38, 9),
        [Decimal("9" * 29 + "." + "9" * 9), Decimal("-1E-9")],
        "numeric(38,9)",
    ),
    "float": (pa.float32(), [3.4028234663852886e38, 1.401298464324817e-45, float("-inf")], "real"),
    "double": (
        pa.float64(),
        [1.7976931348623157e308, 5e-324, 0.1, float("inf")],
        "double precision",
    ),
    "date": (pa.date32(), [date.min, date.max, date(1582, 10, 10)], "date"),
    "instant": (
        pa.timestamp("us", "UTC"),
        [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)],
        "timestamp with time zone",
    ),
    "naive": (
        pa.timestamp("us"),
        [datetime.min, datetime.max, datetime(2026, 3, 29, 2, 30)],  # noqa: DTZ001, DTZ901 - naive on purpose
        "timestamp without time zone",
    ),
    "time": (pa.time64("us"), [clock.min, clock.max], "time without time zone"),
    "duration": (
        pa.duration("us"),
        [timedelta(days=-(10**7), microseconds=1), timedelta(days=10**7)],
        "interval",
    ),
    "bytes": (pa.binary(), [b"", bytes(range(256))], "bytea"),
    "text": (
        pa.string(),
        ["", " ", "\\.", "\\N", "a\n\\.\nb", '"', "\r\n", "NULL", "\U0001f600", "x" * 10**6],
        "text",
    ),
    "json": (pa.json_(pa.utf8()), ['{"b":1.10,"a":"\\u0000","b":2}', "null", "[1e400]"], "json"),
    "uuid": (pa.uuid(), [UUID(int=0).bytes, UUID(int=2**128 - 1).bytes], "uuid"),
}


@pytest.mark.parametrize("kind", BOUNDS)
def test_values_at_the_bounds_come_back_as_they_were(kind: str, shop: Shop) -> None:
    type_, values, name = BOUNDS[kind]
    storage = getattr(type_, "storage_type", type_)
    array = pa.array([*values, None], storage)
    array = array if storage == type_ else pa.ExtensionArray.from_storage(type_, array)
    for strategy in ("append", "merge"):
        table = pa.table({"id": pa.array(range(len(array))), "value": array})
        result = shop.give(strategy, table, strategy=strategy)
        assert {column.name: column.type for column in result.columns}["value"] == name
        destination = shop.destination()
        back = destination.read_table(destination.table_for("", Stream(strategy)))
        column = back.sort_by("id").column("value")
        assert (
            pa.types.is_decimal(column.type)
            or kind.startswith(("int", "uint"))
            or column.type == type_
        )
        assert column.to_pylist() == array.to_pylist()


def test_a_column_of_nulls_alone_is_not_lost(shop: Shop) -> None:
    table = pa.table({"lone": pa.array([None, "", None])})
    shop.give("things", table, load_id_column=None, loaded_at_column=None)
    assert shop.ask("SELECT lone FROM SHOP.things") == [(None,), ("",), (None,)]
    destination = shop.destination()
    assert destination.read_table(destination.table_for("", Stream("things"))).column("lone").to_pylist() == [
        None, "", None,
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", ["append", "merge", "replace"])
def test_a_text_with_nul_is_refused_by_name_and_changes_nothing(strategy: str, shop: Shop) -> None:
    shop.give("things", [{"id": 1, "text": "fine"}], strategy=strategy)
    with pytest.raises(DataError, match=r"stream 'things', field 'text': .*U\+0000") as refused:
        shop.give("things", [{"id": 2, "text": "a\0b"}], strategy=strategy)
    assert "a\\x00b" in str(refused.value)
    assert shop.ask("SELECT id, text FROM SHOP.things") == [(1, "fine")]


def test_an_adopted_column_that_is_too_narrow_is_named(shop: Shop) -> None:
    shop.run("CREATE SCHEMA SHOP; CREATE TABLE SHOP.things (id bigint, text varchar(3))")
    read = GivenRead(Stream("things"), [[{"id": 1, "text": "abcd"}]])
    with pytest.raises(DataError, match=r"stream 'things', field 'text': .*too long"):
        sync(read, shop.destination(), strategy="append", adopt=True)


def test_nanoseconds_are_kept_as_text(shop: Shop) -> None:
    shop.give("things", pa.table({"at": pa.array([1], pa.timestamp("ns", "UTC"))}))
    assert shop.ask("SELECT at FROM SHOP.things") == [("1970-01-01 00:00:00.000000001+00:00",)]


def test_nanoseconds_that_are_whole_microseconds_are_a_timestamp_until_one_is_not(
    shop: Shop,
) -> None:
    names = []
    for ns in (1000, 2000, 1):
        table = pa.table(
            {"at": pa.array([ns], pa.timestamp("ns", "UTC")), "t": pa.array([ns], pa.time64("ns"))}
        )
        names.append({column.name: column.type for column in shop.give("things", table).columns})
    assert names[0] == names[1] == {"at": "timestamp with time zone", "t": "time without time zone"}
    assert names[2] == {"at": "text", "t": "text"}
    found = shop.ask("SELECT at, t FROM SHOP.things ORDER BY _etl_assets_load_id")
    assert found[2] == ("1970-01-01 00:00:00.000000001+00:00", "00:00:00.000000001")
    assert found[1][1].startswith("00:00:00.000002")


# Names


def test_long_names_that_begin_alike_keep_their_own_columns_and_tables(shop: Shop) -> None:
    row = {"ä" * 40 + "1": 1, "ä" * 40 + "2": 2}
    for last in "12":
        shop.give("table_" * 20 + last, [row])
    names = [
        name
        for (name,) in shop.ask(
            "SELECT relname FROM pg_class WHERE relnamespace = 'SHOP'::regnamespace"
        )
    ]
    assert len(names) == 2
    assert max(len(name.encode()) for name in names) <= 63
    for name in names:
        stored = shop.ask(f'SELECT to_jsonb(t) FROM SHOP."{name}" t')[0][0]
        assert sorted(value for value in stored.values() if isinstance(value, int)) == [1, 2]


@pytest.mark.parametrize("name", ['a"b', "a?b", "50%", "%s", "a'b", "; DROP TABLE x; --", "\\"])
def test_names_are_data(name: str, shop: Shop) -> None:
    for strategy in ("append", "merge", "replace", "replace"):
        read = GivenRead(Stream(f"{strategy}{name}", primary_key=["id"]), [[{"id": 1, name: "x"}]])
        sync(read, shop.destination(naming="preserve"), strategy=strategy)
        quoted = name.replace('"', '""')
        assert shop.ask(f'SELECT "{quoted}" FROM SHOP."{strategy}{quoted}"') == [("x",)]


# Merge


def test_a_merge_makes_one_index_on_its_key_and_uses_it(shop: Shop) -> None:
    for text in ("old", "new"):
        shop.give("things", [{"id": 1, "text": text}], strategy="merge")
    indexes = shop.ask("SELECT indexdef FROM pg_indexes WHERE schemaname = 'SHOP'")
    assert len(indexes) == 1
    assert "UNIQUE INDEX" in indexes[0][0]
    assert shop.ask("SELECT id, text FROM SHOP.things") == [(1, "new")]


@pytest.mark.parametrize("before", ["doubled", "long", "unindexed"])
def test_a_merge_without_a_unique_index(before: str, shop: Shop) -> None:
    """Rows appended twice, keys too long for an index, and JSON keys are merged by joins."""
    long = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(4000))
    key: Any = {"doubled": 1, "long": long, "unindexed": {"a": 1}}[before]
    rows = [{"id": key, "text": "old"}]
    shop.give("things", rows * 2 if before == "doubled" else rows)
    again = [{"id": key, "text": "first"}, {"id": key, "text": "last"}]
    result = shop.give("things", again, strategy="merge")
    assert {text for (text,) in shop.ask("SELECT text FROM SHOP.things")} == {"last"}
    assert result.rows_in_table == (2 if before == "doubled" else 1)
    unchanged = shop.give("things", again[1:], strategy="merge")
    assert unchanged.records_loaded == 0


def test_ignore_leaves_what_is_there_and_takes_the_last_of_what_is_new(shop: Shop) -> None:
    rows = [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}, {"id": 2, "text": "c"}]
    shop.give("things", rows[:1], strategy="merge")
    read = GivenRead(
        Stream("things", primary_key=["id"]), [[{**rows[0], "text": "changed"}, *rows[1:]]]
    )
    assert (
        sync(read, shop.destination(), strategy="merge", on_conflict="ignore").records_loaded == 1
    )
    assert shop.ask("SELECT id, text FROM SHOP.things ORDER BY 1") == [(1, "a"), (2, "c")]


# Replace


def replaced(shop: Shop, rows: list[dict[str, Any]]) -> Any:
    return shop.give("things", rows, strategy="replace")


def test_a_swap_keeps_grants_comments_and_owner(shop: Shop) -> None:
    replaced(shop, [{"id": 1, "text": "old"}])
    role = f"{shop.schema}_reader"
    shop.run(f"CREATE ROLE {role}")
    try:
        shop.run(
            f"GRANT SELECT ON SHOP.things TO {role}; GRANT UPDATE (text) ON SHOP.things TO PUBLIC"
        )
        shop.run(
            "COMMENT ON TABLE SHOP.things IS 'it''s'; COMMENT ON COLUMN SHOP.things.text IS 'said'"
        )
        shop.run(f"GRANT CREATE ON SCHEMA SHOP TO {role}; ALTER TABLE SHOP.things OWNER TO {role}")
        before = shop.ask("SELECT oid FROM pg_class WHERE oid = 'SHOP.things'::regclass")
        replaced(shop, [{"id": 2, "text": "new", "more": 1}])
        assert shop.ask("SELECT oid FROM pg_class WHERE oid = 'SHOP.things'::regclass") != before, (
            "it was swapped"
        )
        assert shop.ask("SELECT id, text, more FROM SHOP.things") == [(2, "new", 1)]
        assert shop.ask(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'SHOP.things'::regclass"
        ) == [(role,)]
        assert shop.ask(
            "SELECT has_column_privilege('public', 'SHOP.things', 'text', 'UPDATE')"
        ) == [(True,)]
        assert shop.ask(
            "SELECT obj_description('SHOP.things'::regclass), col_description('SHOP.things'::regclass, 2)"
        )
        assert shop.ask("SELECT obj_description('SHOP.things'::regclass)") == [("it's",)]
    finally:
        shop.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


DEPENDENTS = {
    "view": "CREATE VIEW SHOP.seen AS SELECT id FROM SHOP.things",
    "index": "CREATE INDEX mine ON SHOP.things (text)",
    "primary key": "ALTER TABLE SHOP.things ADD PRIMARY KEY (id)",
    "policy": "ALTER TABLE SHOP.things ENABLE ROW LEVEL SECURITY",
    "publication": "CREATE PUBLICATION SHOP_p FOR TABLE SHOP.things; ALTER TABLE SHOP.things REPLICA IDENTITY FULL",
}


@pytest.mark.parametrize("kind", DEPENDENTS)
def test_what_depends_on_a_table_outlives_its_replacement(kind: str, shop: Shop) -> None:
    replaced(shop, [{"id": 1, "text": "old", "gone": 1}])
    shop.run(DEPENDENTS[kind])
    try:
        before = shop.ask("SELECT oid FROM pg_class WHERE oid = 'SHOP.things'::regclass")
        replaced(shop, [{"id": n, "text": 5.5, "more": "x"} for n in range(3)])
        assert shop.ask("SELECT oid FROM pg_class WHERE oid = 'SHOP.things'::regclass") == before, (
            "the same table"
        )
        assert shop.ask("SELECT count(*), sum(text), min(more) FROM SHOP.things") == [
            (3, 16.5, "x")
        ]
        if kind == "view":
            assert shop.ask("SELECT count(*) FROM SHOP.seen") == [(3,)]
    finally:
        shop.run("DROP PUBLICATION IF EXISTS SHOP_p")


def test_a_view_that_the_new_shape_would_break_is_an_error_that_changes_nothing(shop: Shop) -> None:
    replaced(shop, [{"id": 1, "text": "old"}])
    shop.run("CREATE VIEW SHOP.seen AS SELECT text FROM SHOP.things")
    with pytest.raises(DestinationError, match="depend"):
        replaced(shop, [{"id": 2}])
    assert shop.ask("SELECT text FROM SHOP.seen") == [("old",)]


def test_readers_do_not_wait_while_a_replace_loads(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced(shop, [{"id": 1}])
    seen: list[Any] = []

    def look(point: str) -> None:
        if point == "rows":
            with (
                psycopg.connect(PLAIN, options="-c lock_timeout=200") as reader,
                suppress(psycopg.Error),
            ):
                seen.extend(reader.execute(f"SELECT id FROM {shop.schema}.seen").fetchall())

    shop.run("CREATE VIEW SHOP.seen AS SELECT id FROM SHOP.things")
    monkeypatch.setattr("etl_assets.destinations.database.session.fault", look)
    replaced(shop, [{"id": 2}])
    assert seen == [(1,)]
    assert shop.ask("SELECT id FROM SHOP.seen") == [(2,)]


# Failures


@pytest.mark.parametrize("deliver", [True, False])
@pytest.mark.parametrize("stream", ["append", "merge", "replace"])
def test_the_line_is_cut_at_commit(stream: str, deliver: bool, shop: Shop) -> None:
    load(shop.destination(), FIRST, stream)
    told = psycopg.conninfo.conninfo_to_dict(PLAIN)
    with LosingProxy((str(told["host"]), int(str(told["port"]))), deliver=deliver) as proxy:
        through = PLAIN.replace(f":{told['port']}/", f":{proxy.address[1]}/")
        with pytest.raises(UnavailableError) as lost:
            load(shop.destination(through), THEN, stream)
        assert proxy.lost
    assert lost.value.retryable
    if not deliver:
        time.sleep(0.2)  # until the server has noticed
    check(shop.destination(), stream, FIRST, THEN)
    reached = found(shop.destination(), stream)
    load(shop.destination(), THEN, stream)
    assert found(shop.destination(), stream)[0] == expected(stream, THEN), reached


@pytest.mark.parametrize("point", ["rows", "state"])
def test_the_backend_is_terminated(point: str, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    load(shop.destination(), FIRST, "append")

    def end(at: str) -> None:
        if at == point:
            shop.ask(
                "SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_locks "
                "JOIN pg_class ON pg_class.oid = relation WHERE relnamespace = to_regnamespace('SHOP') "
                "AND pid <> pg_backend_pid()) AS writing"
            )

    monkeypatch.setattr("etl_assets.destinations.database.session.fault", end)
    with pytest.raises(UnavailableError):
        load(shop.destination(), THEN, "append")
    monkeypatch.undo()
    check(shop.destination(), "append", FIRST, THEN)
    load(shop.destination(), THEN, "append")
    assert found(shop.destination(), "append")[0] == expected("append", THEN)


def test_a_lock_that_another_session_holds_is_waited_for_and_then_a_busy_error(shop: Shop) -> None:
    load(shop.destination(), FIRST, "replace")
    with psycopg.connect(PLAIN) as other:
        other.execute(f"LOCK TABLE {shop.schema}.replace IN ACCESS SHARE MODE".encode())
        with pytest.raises(BusyError, match="lock"):
            load(shop.destination(lock_timeout=0.2), THEN, "replace")
    check(shop.destination(), "replace", FIRST, THEN)
    load(shop.destination(lock_timeout=0.2), THEN, "replace")
    assert found(shop.destination(), "replace")[0] == expected("replace", THEN)


def test_two_loads_of_one_stream_at_once_are_one_after_the_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(shop.destination(), FIRST, "append")
    tried: list[str] = []

    def try_another(point: str) -> None:
        if point == "state" and not tried:
            tried.append("")
            try:
                load(shop.destination(lock_timeout=0.3), THEN, "append")
            except BusyError as error:
                tried.append(str(error))

    monkeypatch.setattr("etl_assets.destinations.database.session.fault", try_another)
    load(shop.destination(), THEN, "append")
    assert len(tried) == 2
    assert found(shop.destination(), "append")[0] == expected("append", THEN)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://postgres@127.0.0.1:1/test", UnavailableError),
        (PLAIN.rsplit("/", 1)[0] + "/no_such_database", ConnectError),
        (PLAIN.replace("postgres@", "nobody_here@"), AuthenticationError),
        ("postgresql://postgres:canary_password@127.0.0.1:1/test", UnavailableError),
        ("postgresql://a:canary_password@[bad", ConfigError),
    ],
)
def test_what_is_wrong_with_a_connection_is_said_without_the_password(
    url: str, kind: type[Exception]
) -> None:
    destination = PostgresDestination(url, connect_timeout=3)
    assert "canary" not in repr(destination)
    with pytest.raises(kind) as failed:
        destination.test_connection()
    chain: BaseException | None = failed.value
    while chain is not None:
        assert "canary" not in str(chain)
        chain = chain.__cause__
    assert not isinstance(failed.value, UnavailableError) or failed.value.retryable


def test_another_machine_must_show_a_certificate() -> None:
    assert (
        PostgresDestination("postgresql://u@db.example.com/x")._parameters()["sslmode"]
        == "verify-full"
    )
    assert (
        PostgresDestination("postgresql://u@db.example.com/x?sslmode=require")._parameters()[
            "sslmode"
        ]
        == "require"
    )
    assert "sslmode" not in PostgresDestination("postgresql://u@127.0.0.1/x")._parameters()
    assert "sslmode" not in PostgresDestination("postgresql:///x?host=/tmp")._parameters()
    with_password = PostgresDestination(
        "postgresql://u:canary@db.example.com:99/x", load_id_column=None
    )
    assert (
        with_password.uri(with_password.table_for("shop", Stream("t")))
        == "postgresql://db.example.com:99/x#shop.t"
    )


def test_a_missing_driver_is_named_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    destination = PostgresDestination(PLAIN)
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"etl-assets\[postgres\]"):
        destination.test_connection()


def test_too_many_columns_are_refused_by_name(shop: Shop) -> None:
    with pytest.raises(
        DestinationError, match="stream 'wide' has 1700 columns; a table here can have 1598"
    ):
        shop.give("wide", [{f"c{n}": n for n in range(1700)}])


@pytest.mark.parametrize(
    "rule",
    [
        "ADD CONSTRAINT c CHECK (text NOT LIKE 'can%')",
        "ADD UNIQUE (text)",
        "ALTER text TYPE varchar(3)",
    ],
)
def test_an_error_shows_no_value_of_a_row(rule: str, shop: Shop) -> None:
    value = "can" + "ary"
    shop.give("things", [{"id": 1, "text": "abc"}])
    shop.run(f"ALTER TABLE SHOP.things {rule}")
    with pytest.raises(EtlAssetsError) as failed:
        sync(
            GivenRead(Stream("things"), [[{"id": 2, "text": value}] * 2]),
            shop.destination(),
            strategy="append",
        )
    assert "canary" not in "".join(traceback.format_exception(failed.value, chain=True))


def test_a_role_without_rights_to_make_schemas_loads_into_those_it_has(shop: Shop) -> None:
    role = f"{shop.schema}_loader"
    shop.run(f"CREATE ROLE {role} LOGIN; CREATE SCHEMA SHOP; CREATE SCHEMA SHOP_state")
    shop.run(f"GRANT USAGE, CREATE ON SCHEMA SHOP, SHOP_state TO {role}")
    url = PLAIN.replace("postgres@", f"{role}@")
    try:
        for _ in range(2):
            for stream in ("append", "merge", "replace"):
                load(shop.destination(url), THEN, stream)
                assert found(shop.destination(url), stream)[0] == expected(stream, THEN)
        shop.run(f"REVOKE CREATE ON SCHEMA SHOP_state FROM {role}")
        load(shop.destination(url), [*THEN, {"n": 60, "id": 1, "text": "more"}], "append")
        with pytest.raises(AuthenticationError, match="permission denied"):
            sync(
                GivenRead(Stream("x"), [[{"id": 1}]]),
                shop.destination(url, schema_name="public_elsewhere"),
            )
    finally:
        shop.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_cancelled_run_leaves_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    load(shop.destination(), FIRST, "append")

    def cancel(point: str) -> None:
        if point == "state":
            raise KeyboardInterrupt

    monkeypatch.setattr("etl_assets.destinations.database.session.fault", cancel)
    with pytest.raises(KeyboardInterrupt):
        load(shop.destination(), THEN, "append")
    monkeypatch.undo()
    check(shop.destination(), "append", FIRST, THEN)
    assert list(shop.folder.iterdir()) == []


def test_state_can_be_edited(shop: Shop) -> None:
    destination = shop.destination()
    load(destination, FIRST, "append")
    first = destination.states()[0]
    load(destination, THEN, "append")
    assert destination.rewind(destination.states()[0], first.load_id) == 30
    assert found(destination, "append") == (expected("append", FIRST), 29)
    destination.set_bookmark(destination.states()[0], {"n": 5})
    assert destination.states()[0].bookmark == {"n": 5}
    assert destination.rename_source("lines", "renamed") == 1
    destination.delete_state(destination.states()[0])
    assert destination.states() == []


def test_batches_beyond_memory_wait_in_files(shop: Shop) -> None:
    destination = shop.destination(staging_memory_bytes=1000)
    rows = [[{"id": n, "text": "x" * 100} for n in range(k, k + 100)] for k in range(0, 1000, 100)]
    read = GivenRead(Stream("things"), [Batch(one) for one in rows])
    assert sync(read, destination, strategy="append").rows_in_table == 1000
    assert shop.ask("SELECT count(DISTINCT id), sum(length(text)) FROM SHOP.things") == [
        (1000, 100_000)
    ]
    assert not (shop.folder / "staging").exists()

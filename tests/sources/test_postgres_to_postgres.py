"""PostgreSQL to PostgreSQL: rows pass through in the bytes they came in; the table is as if they had been decoded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from etl_assets.destinations.postgres.copy import CopyIn
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.exceptions import EtlAssetsError
from etl_assets.faults import FaultError
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import PostgresSource
from etl_assets.sync import sync
from etl_assets.testing.site import armed
from tests.servers import POSTGRES
from tests.sources.sql_databases import Database, database

PLAIN = POSTGRES.replace("+psycopg", "")
OWN = {"_etl_assets_load_id", "_etl_assets_loaded_at"}

TYPES = {
    "smallint": ["0", "-32768", "32767"],
    "integer": ["0", "-2147483648", "2147483647"],
    "bigint": ["0", "-9223372036854775808", "9223372036854775807"],
    "boolean": ["true", "false"],
    "real": ["0", "'NaN'", "'-Infinity'", "0.1", "3.4028235e38"],
    "double precision": ["0", "'NaN'", "'Infinity'", "0.1", "5e-324"],
    "numeric(18,4)": ["0", "-99999999999999.9999", "0.0001", "12345.6"],
    "numeric(5,-2)": ["0", "1234500"],
    "numeric(2,4)": ["0.0099"],
    "numeric(38,9)": ["12345678901234567890123456789.123456789"],
    "numeric(60,2)": ["'NaN'", "1.25"],
    "numeric": ["1", "1.5", "12345678901234567890.5"],
    "text": ["''", "'a'", r"E'tab\t\"quote\" \\back\nline'", "'ä€𝄞'", "repeat('long ', 100000)"],
    "varchar(10)": ["'ä'", "''"],
    "char(4)": ["'a'"],
    "bytea": [r"'\x'", r"'\x00ff5c22'"],
    "date": ["'0001-01-01'", "'9999-12-31'", "'2000-01-01'"],
    "time": ["'00:00'", "'23:59:59.999999'"],
    "timetz": ["'12:00+02'"],
    "timestamp": ["'0001-01-01'", "'9999-12-31 23:59:59.999999'"],
    "timestamptz": ["'0001-01-01 00:00+00'", "'2000-02-29 12:00:00.000001+05:30'"],
    "interval": ["'1 year 2 mons -3 days 04:05:06.7'"],
    "uuid": ["'00112233-4455-6677-8899-aabbccddeeff'"],
    "json": ["""'{"b": 1, "a": [1.50, "\\u0000"]}'""", "'null'"],
    "jsonb": ["""'{"b": 1, "a": [1.50]}'"""],
    "integer[]": ["'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'"],
    "text[]": ["ARRAY['a,\"b', NULL]"],
    "oid": ["4294967295"],
    "inet": ["'10.0.0.1/8'"],
    "int4range": ["'[1,5)'", "'empty'"],
    "bit varying(8)": ["B'101'"],
    "money": ["'12.34'"],
    "mood": ["'sad'", "'happy'"],
    "positive": ["1", "99"],
    "price": ["12.34"],
}


class Pair:
    """Tables at the source, and what becomes of them."""

    def __init__(self, made: Database, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = made
        self.folder = folder
        self.patch = monkeypatch
        self.formats: list[str] = []
        copy = CopyIn._copy

        def noted(this: CopyIn, names: Any, format_: str, texts: Any) -> int:
            self.formats.append(format_)
            return copy(this, names, format_, texts)

        monkeypatch.setattr(CopyIn, "_copy", noted)

    def sync(
        self,
        stream: Stream,
        *,
        decoded: bool = False,
        strategy: str = "auto",
        source: Any = None,
        **options: Any,
    ) -> SyncResult:
        """Sync into a schema of the way that is taken."""
        schema = f"{self.made.schema}_{'decoded' if decoded else 'as_it_is'}"
        read = StreamRead(source or self.source(), stream)
        destination = PostgresDestination(
            PLAIN,
            schema_name=schema,
            state_schema=f"{schema}_state",
            staging_dir=str(self.folder),
            **options,
        )
        self.formats.clear()
        with self.patch.context() as patch:
            if decoded:
                patch.setattr(PostgresDestination, "encoded_as", None)
            return sync(read, destination, strategy=strategy)

    def source(self, **options: Any) -> PostgresSource:
        return PostgresSource(self.made.url, name="shop", **options)

    def discovered(self, name: str) -> Stream:
        return self.source().discover().get(name)

    def both(self, stream: Stream, **options: Any) -> tuple[SyncResult, SyncResult]:
        """Sync by both ways, and see that the tables and states are equal."""
        decoded = self.sync(stream, decoded=True, **options)
        assert "binary" not in self.formats
        passed = self.sync(stream, **options)
        assert self.stored(stream.name) == self.stored(stream.name, decoded=True)
        assert passed.bookmark == decoded.bookmark
        assert (passed.records_read, passed.records_loaded) == (
            decoded.records_read,
            decoded.records_loaded,
        )
        return passed, decoded

    def stored(self, name: str, *, decoded: bool = False) -> tuple[list[Any], list[Any]]:
        """Return a table's columns with their types, and its rows as text."""
        schema = f"{self.made.schema}_{'decoded' if decoded else 'as_it_is'}"
        with psycopg.connect(PLAIN, options=f"-csearch_path={schema}") as server:
            columns = server.execute(
                "SELECT attname, replace(format_type(atttypid, atttypmod), current_schema() || '.', ''), attnotnull, "
                "atthasdef FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                (f"{schema}.{name}",),
            ).fetchall()
            shown = ", ".join(f'"{column[0]}"::text' for column in columns if column[0] not in OWN)
            rows = server.execute(
                f"SELECT {shown}, {' , '.join(OWN)} FROM {schema}.{name}".encode()
            ).fetchall()
        assert all(None not in row[-2:] for row in rows), "a row without our own columns"
        return columns, sorted((row[:-2] for row in rows), key=repr)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    with database("postgresql", tmp_path) as made:
        try:
            yield Pair(made, tmp_path, monkeypatch)
        finally:
            for way in ("decoded", "as_it_is"):
                made.run(
                    f"DROP SCHEMA IF EXISTS {made.schema}_{way}, {made.schema}_{way}_state CASCADE"
                )


def make_types(made: Database) -> None:
    """Make a table with a column of each type, with each of its values, and NULLs."""
    made.run(
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "CREATE DOMAIN positive AS integer CHECK (value > 0)",
        "CREATE DOMAIN price AS numeric(10,2)",
        "CREATE TABLE types (id integer PRIMARY KEY, "
        + ", ".join(f"c{n} {type_}" for n, type_ in enumerate(TYPES))
        + ")",
        "INSERT INTO types (id) VALUES (-1)",
    )
    for row in range(max(map(len, TYPES.values()))):
        values = [of[row] if row < len(of) else "NULL" for of in TYPES.values()]
        with made.engine.begin() as connection:
            connection.exec_driver_sql(
                f"INSERT INTO types VALUES ({row}, {', '.join(values)})".replace("%", "%%")
            )


DECODED = {"numeric(38,9)", "numeric", "oid"}
"""Types that come in another form than PostgreSQL has for their Arrow type."""


@pytest.mark.parametrize("declared", [True, False], ids=["discovered", "undeclared"])
def test_each_type_is_stored_as_if_it_had_been_decoded(pair: Pair, declared: bool) -> None:
    make_types(pair.made)
    names = {type_: f"c{number}" for number, type_ in enumerate(TYPES)}
    plain = ", ".join(name for type_, name in names.items() if type_ not in DECODED)
    pair.made.run(
        f"CREATE TABLE plain AS SELECT id, {plain} FROM types",
        *(
            f"CREATE TABLE {names[type_]} AS SELECT id, {names[type_]} FROM types"
            for type_ in DECODED
        ),
    )
    for name in ("plain", *sorted(names[type_] for type_ in DECODED)):
        pair.both(pair.discovered(name) if declared else Stream(name))
        assert pair.formats == ["binary" if name == "plain" else "csv"], name


def test_rows_that_wait_in_files_are_stored_in_their_order(pair: Pair) -> None:
    make_types(pair.made)
    few = {"source": pair.source(batch_rows=2), "staging_memory_bytes": 0}
    pair.made.run(
        *(
            f"ALTER TABLE types DROP COLUMN c{n}"
            for n, type_ in enumerate(TYPES)
            if type_ in DECODED
        )
    )
    pair.both(Stream("types"), **few)
    assert pair.formats == ["binary"]


REFUSED = {
    "not a number": ("numeric(10,2)", "'NaN'"),
    "infinite date": ("date", "'infinity'"),
    "date before Christ": ("date", "'0044-03-15 BC'"),
    "infinite timestamp": ("timestamp", "'-infinity'"),
    "far timestamp": ("timestamptz", "'10000-01-01 00:00+00'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_stored_is_refused_by_name(case: str, pair: Pair) -> None:
    type_, value = REFUSED[case]
    pair.made.run(
        f"CREATE TABLE odd (id int PRIMARY KEY, before text, value {type_})",
        f"INSERT INTO odd VALUES (1, 'x', NULL), (2, NULL, {value})",
    )
    told = []
    for decoded in (True, False):
        with pytest.raises(EtlAssetsError, match="'value'") as raised:
            pair.sync(Stream("odd"), decoded=decoded)
        told.append(str(raised.value))
    assert told[0] == told[1]


def test_the_end_of_a_day_makes_a_text_of_its_column_only(pair: Pair) -> None:
    pair.made.run(
        "CREATE TABLE clock (id int PRIMARY KEY, at time)",
        "INSERT INTO clock SELECT n, CASE n WHEN 25 THEN '24:00' ELSE '12:34' END::time FROM generate_series(1, 30) n",
    )
    pair.both(Stream("clock"), source=pair.source(batch_rows=10))
    assert ("at", "text", False, False) in pair.stored("clock")[0]


def test_appends_go_on_where_the_last_one_ended_without_a_key_to_tell_rows_apart(
    pair: Pair,
) -> None:
    stream = Stream("log", replication_key="at", replication_method="INCREMENTAL")
    pair.made.run(
        "CREATE TABLE log (note text, at timestamptz NOT NULL, amount numeric(9,3))",
        "INSERT INTO log SELECT 'n' || n, '2026-01-01'::timestamptz + (n / 3) * interval '1 s', n / 7.0 "
        "FROM generate_series(1, 100) n",
    )
    small = {"source": pair.source(batch_rows=7)}
    passed, _ = pair.both(stream, strategy="append", **small)
    assert set(pair.formats) == {"binary"}
    assert passed.records_loaded == 100
    pair.made.run("INSERT INTO log SELECT note, '2026-01-01 00:00:33Z', 7 FROM log LIMIT 5")
    passed, _ = pair.both(stream, strategy="append", **small)
    assert passed.records_loaded == 5
    pair.made.run("INSERT INTO log SELECT 'later', '2026-01-02Z', n FROM generate_series(1, 20) n")
    passed, _ = pair.both(stream, strategy="append", **small)
    assert passed.records_loaded == 20
    assert "binary" in pair.formats
    passed, _ = pair.both(stream, strategy="append", **small)
    assert passed.records_loaded == 0


def test_appends_to_a_table_that_is_there_get_their_own_load_id(pair: Pair) -> None:
    pair.made.run(
        "CREATE TABLE log (n int PRIMARY KEY, at int)", "INSERT INTO log VALUES (1, 1), (2, NULL)"
    )
    ids = [pair.sync(Stream("log"), strategy="append").load_id for _ in range(2)]
    assert pair.formats == ["binary"]
    with psycopg.connect(PLAIN) as server:
        sql = f"SELECT _etl_assets_load_id, count(*), max(at) FROM {pair.made.schema}_as_it_is.log GROUP BY 1 ORDER BY 1"
        assert server.execute(sql.encode()).fetchall() == [(one, 2, 1) for one in ids]
        sql = (
            f"SELECT bool_and(abs(extract(epoch FROM now() - _etl_assets_loaded_at)) < 600) FROM "
            f"{pair.made.schema}_as_it_is.log"
        )
        assert server.execute(sql.encode()).fetchall() == [(True,)]


def test_merges_update_insert_and_leave_alone(pair: Pair) -> None:
    pair.made.run(
        "CREATE TABLE users (name text, id bigint PRIMARY KEY, at int NOT NULL)",
        "INSERT INTO users SELECT 'first ' || n, n, n % 10 FROM generate_series(1, 200) n",
    )
    stream = Stream(
        "users", primary_key=["id"], replication_key="at", replication_method="INCREMENTAL"
    )
    pair.both(stream, strategy="merge")
    assert pair.formats == ["binary"]
    pair.made.run(
        "UPDATE users SET name = 'changed', at = 11 WHERE id <= 50",
        "INSERT INTO users SELECT 'new', n, 12 FROM generate_series(201, 230) n",
    )
    passed, _ = pair.both(stream, strategy="merge")
    assert pair.formats == ["binary"]
    assert (passed.records_loaded, passed.bookmark) == (80, {"at": 12})
    assert pair.both(stream, strategy="merge")[0].records_loaded == 0


@pytest.mark.parametrize("key", ["replication_key", "primary_key"])
def test_a_key_that_is_null_is_refused(key: str, pair: Pair) -> None:
    pair.made.run(
        "CREATE TABLE keys (a text, id int)", "INSERT INTO keys VALUES ('a', 1), ('b', NULL)"
    )
    stream = (
        Stream("keys", replication_key="id")
        if key == "replication_key"
        else Stream("keys", primary_key=["id"])
    )
    for decoded in (True, False):
        with pytest.raises(EtlAssetsError, match="'id'"):
            pair.sync(
                stream, decoded=decoded, strategy="merge" if key == "primary_key" else "append"
            )


def test_columns_come_and_go_and_change_their_type(pair: Pair) -> None:
    pair.made.run(
        "CREATE TABLE wide (id int PRIMARY KEY, gone text, n int)",
        "INSERT INTO wide VALUES (1, 'a', 1)",
    )
    keyed = Stream("wide", primary_key=["id"])
    pair.both(keyed, strategy="merge")
    pair.made.run(
        "ALTER TABLE wide DROP COLUMN gone, ADD COLUMN new numeric(6,2) DEFAULT 1.5, ALTER n TYPE bigint",
        "INSERT INTO wide VALUES (2, 5000000000)",
    )
    pair.both(keyed, strategy="merge")
    assert pair.formats == ["binary"]
    pair.made.run(
        "ALTER TABLE wide ALTER n TYPE smallint USING 7", "INSERT INTO wide VALUES (3, 8)"
    )
    pair.both(keyed, strategy="merge")
    assert pair.formats == ["csv"], "the table's column is wider than the bytes"
    pair.made.run("ALTER TABLE wide ALTER n TYPE text")
    pair.both(keyed, strategy="merge")


def test_a_table_with_columns_of_other_types_gets_them_converted(pair: Pair) -> None:
    pair.made.run("CREATE TABLE odd (id int PRIMARY KEY, doc jsonb, mood text)")
    pair.made.run("""INSERT INTO odd VALUES (1, '{"a": 1}', 'sad')""")
    for way in ("decoded", "as_it_is"):
        schema = f"{pair.made.schema}_{way}"
        pair.made.run(
            f"CREATE SCHEMA {schema}",
            f"CREATE TYPE {schema}.mood AS ENUM ('sad')",
            f"CREATE TABLE {schema}.odd (mood {schema}.mood, doc jsonb, extra int DEFAULT 5, id int)",
        )
    for decoded in (True, False):
        destination = PostgresDestination(
            PLAIN, schema_name=f"{pair.made.schema}_{'decoded' if decoded else 'as_it_is'}",
            state_schema=f"{pair.made.schema}_{'decoded' if decoded else 'as_it_is'}_state",
        )  # fmt: skip
        with pair.patch.context() as patch:
            if decoded:
                patch.setattr(PostgresDestination, "encoded_as", None)
            sync(
                StreamRead(pair.source(), Stream("odd")), destination, strategy="append", adopt=True
            )
    assert pair.formats[-1] == "csv"
    assert pair.stored("odd") == pair.stored("odd", decoded=True)


def test_odd_tables(pair: Pair) -> None:
    pair.made.run(
        "CREATE TABLE generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b text, "
        "twice int GENERATED ALWAYS AS (a * 2) STORED)",
        "INSERT INTO generated (a, b) VALUES (1, 'x'), (2, NULL)",
        'CREATE TABLE "Ödd ""name" ("A b" int, "a?b%" text, "select" date)',
        """INSERT INTO "Ödd ""name" VALUES (1, 'x', '2026-01-01')""",
        "CREATE TABLE nothing (id int, d date)",
        "CREATE VIEW seen AS SELECT id, b, a::numeric(6,2) AS n FROM generated",
        "CREATE TABLE big (id int, body bytea)",
        "INSERT INTO big SELECT n, decode(repeat('00ff', 200000), 'hex') FROM generate_series(1, 3) n",
    )
    for name in ("generated", 'Ödd "name', "nothing", "seen", "big"):
        stream = pair.discovered(name)
        decoded = pair.sync(stream, decoded=True)
        passed = pair.sync(stream, staging_memory_bytes=1024)
        assert set(pair.formats) <= {"binary"}
        assert passed.records_loaded == decoded.records_loaded
        table = passed.table.rpartition(".")[2] if passed.table else name
        assert pair.stored(table) == pair.stored(table, decoded=True)


def test_only_what_is_selected_is_stored(pair: Pair) -> None:
    pair.made.run(
        "CREATE TABLE chosen (id int, a text, b date)",
        "INSERT INTO chosen VALUES (1, 'x', '2026-01-01')",
    )
    pair.both(Stream("chosen", columns=["id", "b"]))
    assert [column[0] for column in pair.stored("chosen")[0]][:2] == ["id", "b"]


def test_a_read_that_is_cut_stores_just_its_rows(pair: Pair) -> None:
    pair.made.run(
        "CREATE TABLE many (id int PRIMARY KEY)", "INSERT INTO many SELECT generate_series(1, 50)"
    )
    stream = Stream("many", primary_key=["id"])
    for decoded in (False, True):
        source = pair.source(batch_rows=20)
        source.query = {"_limit": 30}
        assert (
            pair.sync(stream, decoded=decoded, strategy="merge", source=source).records_loaded == 30
        )


@pytest.mark.parametrize("point", ["batch", "staged", "altered", "rows", "state", "committed"])
def test_a_sync_that_fails_leaves_nothing_and_the_next_one_loads_all(
    point: str, pair: Pair
) -> None:
    pair.made.run(
        "CREATE TABLE lines (id int PRIMARY KEY, at timestamp, amount numeric(8,2))",
        "INSERT INTO lines SELECT n, '2026-01-01'::timestamp + n * interval '1 s', n FROM generate_series(1, 500) n",
    )
    stream = Stream(
        "lines", primary_key=["id"], replication_key="at", replication_method="INCREMENTAL"
    )
    with armed(f"{point}:1:raise"), pytest.raises(FaultError, match=point):
        pair.sync(stream, source=pair.source(batch_rows=100), staging_memory_bytes=0)
    pair.made.run("UPDATE lines SET at = at + interval '1 h', amount = 0 WHERE id % 5 = 0")
    pair.sync(stream, source=pair.source(batch_rows=100), staging_memory_bytes=0)
    pair.sync(stream, decoded=True)
    assert pair.stored("lines") == pair.stored("lines", decoded=True)
    assert not [path for path in pair.folder.rglob("*") if path.is_file()], "staged rows are left"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_texts_of_a_server_with_another_encoding(encoding: str, pair: Pair) -> None:
    other = f"{pair.made.schema}_{encoding}".lower()
    server = sa.create_engine(
        pair.made.url.partition("?")[0], isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with server.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {other} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    try:
        url = server.url.set(database=other).update_query_dict({"client_encoding": "utf8"})
        there = sa.create_engine(url, poolclass=sa.NullPool)
        with there.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE texts (id int PRIMARY KEY, a text)")
            connection.exec_driver_sql("INSERT INTO texts VALUES (1, 'äöü'), (2, NULL)")
        shown = url.render_as_string(hide_password=False)
        pair.both(Stream("texts"), source=PostgresSource(shown, name="shop"))
        assert pair.formats == ["binary" if encoding == "LATIN1" else "csv"]
        assert [row[1] for row in pair.stored("texts")[1]] == ["äöü", None]
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {other} WITH (FORCE)")

"""MariaDB -> DuckDB: a table, in full; by hand the driver's rows, column by column, as Arrow."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import lineitem, programs, servers
from benchmarks.work import BATCH, InDuckDB, Work, fresh, fresh_dlt
from benchmarks.works.i_postgres_duckdb import dlt_table

TYPES = {**lineitem.COLUMNS, "l_receiptdate": "datetime(6)"}
VALUES = """SELECT seq DIV 4 + 1, seq * 7919 % 200000, seq * 104729 % 10000, seq % 4 + 1, seq % 50 + 1,
seq * 7919 % 10000000 / 100.0, seq % 11 / 100.0, seq % 9 / 100.0, substr('ANR', 1 + seq % 3, 1),
substr('OF', 1 + seq % 2, 1), date '1992-01-01' + interval seq % 2500 day, date '1992-01-01' + interval seq % 2400 day,
timestamp '1992-01-01 00:00:00' + interval seq * 97000001 microsecond,
elt(1 + seq % 4, 'DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'),
elt(1 + seq % 7, 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR'),
concat('comment, "quoted" ', substr(md5(seq), 1, 24)) FROM seq_0_to_"""


def prepare(folder: Path, rows: int) -> None:
    database = servers.url(servers.MARIADB).rsplit("/", 1)[1]
    with servers.mariadb(database) as server, server.cursor() as cursor:
        columns = ", ".join(f"{name} {type_} NOT NULL" for name, type_ in TYPES.items())
        cursor.execute(
            f"CREATE TABLE lineitem ({columns}, PRIMARY KEY ({', '.join(lineitem.KEY)}))"
        )
        cursor.execute(f"INSERT INTO lineitem {VALUES}{rows - 1}")
        cursor.execute("ANALYZE TABLE lineitem")


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    import duckdb
    import pyarrow as pa

    of = {
        "bigint": pa.int64(),
        "integer": pa.int32(),
        "decimal(15,2)": pa.decimal128(15, 2),
        "date": pa.date32(),
    }
    types = [
        of.get(type_, pa.timestamp("us") if "time" in type_ else pa.string())
        for type_ in TYPES.values()
    ]

    def load() -> None:
        import pymysql.cursors

        database = servers.url(servers.MARIADB).rsplit("/", 1)[1]
        with (
            duckdb.connect(fresh(folder, "by hand")) as connection,
            servers.mariadb(database) as server,
        ):
            connection.execute(
                f"CREATE SCHEMA bench; CREATE TABLE bench.lineitem ({lineitem.declared()})"
            )
            with server.cursor(pymysql.cursors.SSCursor) as cursor:
                cursor.execute("SELECT * FROM lineitem")
                while rows := cursor.fetchmany(BATCH):
                    arrays = [
                        pa.array(v, type_)
                        for v, type_ in zip(zip(*rows, strict=True), types, strict=True)
                    ]
                    connection.register("given", pa.table(arrays, list(TYPES)))
                    connection.execute("INSERT INTO bench.lineitem SELECT * FROM given")

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sources.sql import MySQLSource
    from etl_assets.sync import sync

    def load() -> None:
        source = MySQLSource(servers.url(servers.MARIADB), name="bench")
        sync(StreamRead(source, Stream("lineitem")), DuckDBDestination(fresh(folder, "ours")))

    return load


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    pipeline = fresh_dlt(folder)
    return lambda: pipeline.run(dlt_table(servers.MARIADB, None, write_disposition="replace"))


def program(
    start: Callable[..., Callable[[], Any]], candidate: str, folder: Path, given: Any
) -> Callable[[], Any]:
    fresh(folder, candidate)
    url = servers.url(servers.MARIADB)
    return start(
        url,
        f"{url.rsplit('/', 1)[1]}.lineitem",
        programs.duckdb_file(folder, candidate),
        "bench.lineitem",
    )


WORK = Work(
    title="MariaDB -> DuckDB, 500,000 rows of 16 columns",
    rows=(500_000, 20_000),
    prepare=prepare,
    candidates={
        "by hand": by_hand,
        "ours": ours,
        "dlt": dlt,
        "ingestr": partial(program, programs.ingestr, "ingestr"),
        "sling": partial(program, programs.sling, "sling"),
    },
    loaded=lambda folder, candidate: InDuckDB(folder, candidate, table="lineitem"),
    check=lineitem.CHECK,
    servers=(servers.MARIADB,),
)

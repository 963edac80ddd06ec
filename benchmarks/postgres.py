"""PostgreSQL -> DuckDB, 1,000,000 rows of 16 columns: ours beside COPY to a CSV file and DuckDB's reader.

Run as `python -m benchmarks.postgres [ROUNDS]`. Counts the CPU seconds of the process and of the server's backends,
each candidate in a process of its own, in turn; what was loaded is compared. The server is
`ETL_ASSETS_TEST_POSTGRES_URL`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa  # noqa: F401 - counted for neither
import sqlalchemy as sa

from etl_assets.destinations.duckdb import DuckDBDestination
from etl_assets.protocol.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import PostgresSource
from etl_assets.sync import sync

SERVER = os.environ.get("ETL_ASSETS_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test").replace(
    "postgresql://", "postgresql+psycopg://"
)
SCHEMA = "etl_assets_bench"
ROWS = 1_000_000
COLUMNS = {
    "l_orderkey": "bigint",
    "l_partkey": "bigint",
    "l_suppkey": "bigint",
    "l_linenumber": "integer",
    "l_quantity": "decimal(15,2)",
    "l_extendedprice": "decimal(15,2)",
    "l_discount": "decimal(15,2)",
    "l_tax": "decimal(15,2)",
    "l_returnflag": "varchar(1)",
    "l_linestatus": "varchar(1)",
    "l_shipdate": "date",
    "l_commitdate": "date",
    "l_receiptdate": "timestamp",
    "l_shipinstruct": "varchar(25)",
    "l_shipmode": "varchar(10)",
    "l_comment": "varchar(44)",
}
FILL = f"""INSERT INTO {SCHEMA}.lineitem SELECT i / 4 + 1, i * 7919 % 200000, i * 104729 % 10000, i % 4 + 1, i % 50 + 1,
round((random() * 100000)::numeric, 2), i % 11 / 100.0, i % 9 / 100.0, substr('ANR', 1 + (i % 3)::int, 1),
substr('OF', 1 + (i % 2)::int, 1), date '1992-01-01' + (i % 2500)::int, date '1992-01-01' + (i % 2400)::int,
timestamp '1992-01-01' + i * interval '97.000001 second',
(array['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[1 + i % 4],
(array['AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR'])[1 + i % 7],
'comment, "quoted" ' || substr(md5(i::text), 1, 24) FROM generate_series(0::bigint, {ROWS - 1}) i"""
CHECK = (
    "SELECT count(*), sum(l_orderkey), sum(l_extendedprice), sum(length(l_comment)), max(l_receiptdate)::VARCHAR, "
    "sum(epoch(l_shipdate)) FROM "
)


def dsn() -> str:
    """Give the server's URL as psycopg takes it."""
    return sa.make_url(SERVER).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def prepared() -> Iterator[None]:
    """Make the table, and drop it again."""
    with psycopg.connect(dsn(), autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {SCHEMA}")
        try:
            columns = ", ".join(f"{name} {type_} NOT NULL" for name, type_ in COLUMNS.items())
            server.execute(f"CREATE TABLE {SCHEMA}.lineitem ({columns}, PRIMARY KEY (l_orderkey, l_linenumber))")
            server.execute(FILL)
            server.execute(f"VACUUM ANALYZE {SCHEMA}.lineitem")
            yield
        finally:
            server.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def by_hand(folder: Path) -> str:
    """COPY to a CSV file, then DuckDB's reader with explicit columns."""
    file, csv = str(folder / "hand.duckdb"), folder / "rows.csv"
    with psycopg.connect(dsn()) as server, csv.open("wb") as out:
        told = f"COPY (SELECT * FROM {SCHEMA}.lineitem) TO STDOUT (FORMAT csv)"
        with server.cursor().copy(told) as copy:
            for row in copy:
                out.write(row)
    with duckdb.connect(file) as connection:
        connection.execute("CREATE SCHEMA bench")
        connection.execute(f"CREATE TABLE bench.lineitem ({', '.join(f'{n} {t}' for n, t in COLUMNS.items())})")
        columns = ", ".join(f"'{name}': '{type_}'" for name, type_ in COLUMNS.items())
        connection.execute(
            f"INSERT INTO bench.lineitem SELECT * FROM read_csv('{csv}', columns={{{columns}}}, header=false, "
            "delim=',', quote='\"', escape='\"', nullstr='', auto_detect=false)"
        )
    return file


def ours(folder: Path) -> str:
    """A sync that replaces the table."""
    file = str(folder / "ours.duckdb")
    source = PostgresSource(SERVER, name="bench", schema=SCHEMA)
    sync(StreamRead(source, Stream("lineitem")), DuckDBDestination(file))
    return file


CANDIDATES: dict[str, Callable[[Path], str]] = {"by hand": by_hand, "ours": ours}


def backends_cpu(backends: set[int]) -> float:
    """Give the CPU seconds of these processes; 0 where the server is on another machine."""
    ticks = 0
    for pid in backends:
        path = Path(f"/proc/{pid}/stat")
        if path.exists():
            ticks += sum(int(field) for field in path.read_text().rsplit(")", 1)[1].split()[11:13])
    return ticks / float(os.sysconf("SC_CLK_TCK"))


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Run one candidate; its backends are kept from ending before their CPU time was read."""
    seen: list[float] = []
    close = psycopg.Connection.close

    def closing(self: psycopg.Connection[Any]) -> None:
        if not self.closed:
            seen.append(backends_cpu({self.info.backend_pid}))
        close(self)

    psycopg.Connection.close = closing  # type: ignore[method-assign]
    began, wall = time.process_time(), time.monotonic()
    file = CANDIDATES[name](folder)
    cpu, wall = time.process_time() - began, time.monotonic() - wall
    with duckdb.connect(file) as connection:
        check = connection.execute(f"{CHECK} bench.lineitem").fetchall()[0]
    return {"client": cpu, "server": sum(seen), "wall": wall, "check": [str(one) for one in check]}


def run(rounds: int) -> float:
    """Run the candidates in turn, print what each took, and give the ratio of the medians."""
    took: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    with prepared():
        for _ in range(rounds):
            checks = set()
            for name in CANDIDATES:
                with tempfile.TemporaryDirectory() as folder:
                    command = [sys.executable, "-m", "benchmarks.postgres", name, folder]
                    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found = json.loads(told)
                checks.add(tuple(found["check"]))
                took[name].append(found["client"] + found["server"])
                client, server, wall = (found[word] for word in ("client", "server", "wall"))
                print(f"{name:8} client {client:5.2f} server {server:5.2f} CPU s, {wall:5.1f} s")
            if len(checks) != 1:
                raise SystemExit(f"The candidates do not agree: {checks}")
    hand, own = (statistics.median(took[name]) for name in CANDIDATES)
    print(f"PostgreSQL -> DuckDB: {own:.2f} CPU s, by hand {hand:.2f}, {own / hand:.2f}")
    return own / hand


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measured(sys.argv[1], Path(sys.argv[2]))))
    else:
        run(int(sys.argv[1]) if len(sys.argv) > 1 else 3)

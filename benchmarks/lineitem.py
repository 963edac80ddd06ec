"""The table that works read from servers: 16 columns like TPC-H's lineitem, and its load into DuckDB by hand."""

from pathlib import Path
from typing import Any

from benchmarks import servers

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
KEY = ["l_orderkey", "l_linenumber"]
VALUES = """i / 4 + 1, i * 7919 % 200000, i * 104729 % 10000, i % 4 + 1, i % 50 + 1,
i * 7919 % 10000000 / 100.0 + {more}, i % 11 / 100.0, i % 9 / 100.0, substr('ANR', 1 + (i % 3)::int, 1),
substr('OF', 1 + (i % 2)::int, 1), date '1992-01-01' + (i % 2500)::int, date '1992-01-01' + (i % 2400)::int,
timestamp '1992-01-01' + i * interval '97.000001 second',
(array['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[1 + i % 4],
(array['AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR'])[1 + i % 7],
'comment, "quoted" ' || substr(md5(i::text), 1, 24)"""
CHECK = (
    "SELECT COUNT(*), SUM(l_orderkey), SUM(l_suppkey), SUM(l_extendedprice), SUM(l_discount), SUM(LENGTH(l_comment)), "
    "SUM(LENGTH(l_shipinstruct)), CAST(MAX(l_receiptdate) AS VARCHAR), CAST(MIN(l_shipdate) AS VARCHAR), "
    "COUNT(DISTINCT l_commitdate) FROM t"
)


def declared(type_of: dict[str, str] = COLUMNS) -> str:
    """Return the columns as a table is declared."""
    return ", ".join(f"{name} {type_}" for name, type_ in type_of.items())


def fill(rows: int, schema: str = "shop", *, every: int = 1, first: int = 0, more: int = 0) -> None:
    """Make the table in PostgreSQL if it is not there, and add rows.

    Args:
        rows: Numbers below this become rows.
        schema: Where.
        every: One row for so many numbers.
        first: The first number.
        more: What is added to a price: a row with the key of another, changed.
    """
    not_null = ", ".join(f"{name} {type_} NOT NULL" for name, type_ in COLUMNS.items())
    with servers.postgres() as server:
        server.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        server.execute(
            f"CREATE TABLE IF NOT EXISTS {schema}.lineitem ({not_null}, PRIMARY KEY ({', '.join(KEY)}))"
        )
        numbers = f"generate_series({first}::bigint, {rows - 1}, {every}) i"
        server.execute(
            f"INSERT INTO {schema}.lineitem SELECT {VALUES.format(more=more)} FROM {numbers}"
        )
        server.execute(f"VACUUM ANALYZE {schema}.lineitem")


def copied_to_csv(path: Path, schema: str = "shop") -> None:
    """Copy the table to a CSV file."""
    told = f"COPY (SELECT * FROM {schema}.lineitem) TO STDOUT (FORMAT csv)"
    with servers.postgres() as server, path.open("wb") as out, server.cursor().copy(told) as copy:
        for row in copy:
            out.write(row)


def csv_into(connection: Any, path: Path, table: str, kind: str = "TABLE") -> None:
    """Make a table (or a `TEMP TABLE`) in DuckDB and read the CSV file into it."""
    columns = ", ".join(f"'{name}': '{type_}'" for name, type_ in COLUMNS.items())
    connection.execute(f"CREATE {kind} {table} ({declared()})")
    connection.execute(
        f"INSERT INTO {table} SELECT * FROM read_csv('{path}', columns={{{columns}}}, header=false, delim=',', "
        "quote='\"', escape='\"', nullstr='', auto_detect=false)"
    )


def by_hand_into_duckdb(folder: Path, file: str) -> None:
    """Load the table into a new DuckDB file."""
    import duckdb

    copied_to_csv(folder / "rows.csv")
    with duckdb.connect(file) as connection:
        connection.execute("CREATE SCHEMA bench")
        csv_into(connection, folder / "rows.csv", "bench.lineitem")
    (folder / "rows.csv").unlink()

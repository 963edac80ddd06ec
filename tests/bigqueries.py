"""A stand-in of BigQuery's client for tests: its jobs are parsed as BigQuery's SQL, and run by DuckDB.

It has the rules that matter here: a transaction belongs to a session, has no change of tables and
no load job in it.
"""

import itertools
import logging
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import duckdb
import sqlglot
from google.api_core import exceptions

google: Any = exceptions  # which has no types
logging.getLogger("sqlglot").setLevel(logging.ERROR)
_TYPES = {
    "BIGINT": "INTEGER", "VARCHAR": "STRING", "DOUBLE": "FLOAT", "BLOB": "BYTES", "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "INTEGER": "INTEGER",
}  # fmt: skip


class FakeBigQuery:
    """What `google.cloud.bigquery.Client` is asked for here; `close` keeps the data."""

    project = "p"

    def __init__(self) -> None:
        self._database = duckdb.connect()
        self._database.execute("SET TimeZone = 'UTC'")
        self.sessions: dict[str, duckdb.DuckDBPyConnection] = {}
        self._numbers = itertools.count()
        self.jobs: list[str] = []

    def query(self, sql: str, job_config: Any = None) -> Any:
        self.jobs.append(sql)
        given = {one.key: one.value for one in job_config.connection_properties}
        session: str = given.get("session_id") or ""
        if sql == "CALL BQ.ABORT_SESSION()":
            self.sessions.pop(session).close()
            return _Job(None, "")
        if job_config.create_session:
            session = f"session {next(self._numbers)}"
            self.sessions[session] = self._database.cursor()
            self.sessions[session].execute("SET TimeZone = 'UTC'")
        parsed = sqlglot.parse_one(sql, dialect="bigquery")
        if session and re.match("CREATE|ALTER|DROP", sql):
            raise google.BadRequest(
                "DDL statements are not supported in a transaction, other than those of temporary tables"
            )
        translated = parsed.sql(dialect="duckdb").replace(" NOT ENFORCED", "")
        connection = self.sessions[session] if session else self._database.cursor()
        try:
            found = connection.execute(
                translated, [one.value for one in job_config.query_parameters]
            )
        except duckdb.Error as error:
            conflict = (
                "Transaction is aborted due to concurrent update"
                if "Conflict" in str(error)
                else str(error)
            )
            raise google.BadRequest(conflict) from error
        return _Job(found, session, writes=bool(re.match("INSERT|UPDATE|DELETE|MERGE", sql)))

    def load_table_from_file(self, file: Any, table: Any, job_config: Any) -> Any:
        assert job_config.source_format == "PARQUET"
        self.jobs.append(f"load {table.table_id}")
        self._database.cursor().execute(
            f"INSERT INTO {_quoted(table)} BY NAME SELECT * FROM read_parquet(?)", [file.name]
        )
        return SimpleNamespace(result=lambda: None)

    def get_table(self, table: Any) -> Any:
        try:
            rows = self._database.cursor().execute(f"DESCRIBE {_quoted(table)}").fetchall()
        except duckdb.CatalogException:
            raise google.NotFound(table.table_id) from None
        return SimpleNamespace(schema=[_field(name, type_) for name, type_, *_ in rows])

    def list_tables(self, dataset: str) -> list[Any]:
        sql = "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?"
        names = self._database.cursor().execute(sql, [dataset.rpartition(".")[2]]).fetchall()
        return [SimpleNamespace(table_id=name, table_type="TABLE") for (name,) in names]

    def delete_table(self, table: Any, *, not_found_ok: bool) -> None:
        self._database.cursor().execute(f"DROP TABLE IF EXISTS {_quoted(table)}")

    def tables(self) -> set[str]:
        """Name all tables."""
        return {
            name
            for (name,) in self._database.sql("SELECT table_name FROM duckdb_tables()").fetchall()
        }

    def close(self) -> None:
        """Keep everything: the next client is this one."""


class _Job:
    def __init__(self, found: Any, session: str, *, writes: bool = False) -> None:
        self._found = found
        self.session_info = SimpleNamespace(session_id=session)
        self.num_dml_affected_rows = found.fetchall()[0][0] if writes else None
        self._writes = writes or found is None

    def result(self) -> "_Job":
        return self

    def __iter__(self) -> Iterator[Any]:
        rows = [] if self._writes or self._found.description is None else self._found.fetchall()
        return iter([SimpleNamespace(values=lambda row=row: row) for row in rows])

    def to_arrow_iterable(self) -> Iterator[Any]:
        return iter(self._found.to_arrow_reader(1000))


def _quoted(table: Any) -> str:
    return f'"{table.dataset_id}"."{table.table_id}"'


def _field(name: str, type_: str) -> Any:
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", type_)
    if decimal is None:
        return SimpleNamespace(
            name=name, field_type=_TYPES.get(type_, type_), precision=None, scale=None
        )
    precision, scale = int(decimal[1]), int(decimal[2])
    small = scale <= 9 and precision - scale <= 29
    return SimpleNamespace(
        name=name, field_type="NUMERIC" if small else "BIGNUMERIC", precision=precision, scale=scale
    )  # fmt: skip

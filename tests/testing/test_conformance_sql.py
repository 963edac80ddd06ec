"""`SqlDestination` passes the kit on SQLite through SQLAlchemy; a sample of it on PostgreSQL and MariaDB."""

from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.sql_destination import SqlDestination
from etl_assets.protocol.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing import DestinationConformance
from etl_assets.testing.fakes import GivenRead
from tests.servers import MYSQL, POSTGRES, mysql_schema, postgres_schema, postgres_server


class TestSqlOnSQLite(DestinationConformance):
    title = "SQLAlchemy (SQLite)"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> SqlDestination:
        return SqlDestination(f"sqlite:///{tmp_path / 'warehouse.sqlite'}", staging_dir=str(tmp_path / "staging"))


def load_all(destination: SqlDestination) -> None:
    first: list[dict[str, Any]] = [
        {"id": n, "n": 2**60 + n, "x": n / 3, "b": bytes([n]), "t": f"é {n}"} for n in range(5)
    ]
    then = [{**first[0], "t": "changed"}, first[1], {**first[2], "id": 9}, {**first[2], "id": 9, "t": "last"}]
    for strategy, rows in (("append", 9), ("merge", 6), ("replace", 4)):
        for given in (first, then):
            read = GivenRead(Stream(strategy, primary_key=["id"]), [given])
            result = sync(read, destination, strategy=strategy)
        assert result.rows_in_table == rows
        assert result.records_loaded == {"append": 4, "merge": 2, "replace": 4}[strategy]
        back = destination.read_table(destination.table_for("conformance", Stream(strategy))).to_pylist()
        assert {(row["n"], row["x"], row["b"]) for row in back} <= {(row["n"], row["x"], row["b"]) for row in first}
        assert {row["t"] for row in back} >= {"changed", "last"}


def test_on_postgresql() -> None:
    with postgres_schema() as name:
        postgres_server().execute(f"CREATE SCHEMA {name}".encode())
        url = POSTGRES.replace("postgresql://", "postgresql+psycopg://")
        load_all(SqlDestination(url, schema_name=name, state_schema=name))


def test_on_mariadb() -> None:
    with mysql_schema() as name:
        url = f"mysql+pymysql://{MYSQL.partition('://')[2].rpartition('/')[0]}/{name}?charset=utf8mb4"
        load_all(SqlDestination(url))

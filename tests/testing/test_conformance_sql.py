"""`SqlDestination` passes the kit on SQLite through SQLAlchemy; a sample of it on PostgreSQL and MariaDB."""

from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.exceptions import SchemaConflictError
from etl_assets.faults import FaultError
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing import DestinationConformance
from etl_assets.testing.fakes import GivenRead
from etl_assets.testing.site import armed
from tests.servers import (
    MYSQL,
    POSTGRES,
    mysql_query,
    mysql_schema,
    postgres_schema,
    postgres_server,
)


class TestSqlOnSQLite(DestinationConformance):
    title = "SQLAlchemy (SQLite)"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> SqlDestination:
        return SqlDestination(
            f"sqlite:///{tmp_path / 'warehouse.sqlite'}", staging_dir=str(tmp_path / "staging")
        )


def load_all(destination: SqlDestination) -> None:
    first: list[dict[str, Any]] = [
        {"id": n, "n": 2**60 + n, "x": n / 3, "b": bytes([n]), "t": f"é {n}"} for n in range(5)
    ]
    then = [
        {**first[0], "t": "changed"},
        first[1],
        {**first[2], "id": 9},
        {**first[2], "id": 9, "t": "last"},
    ]
    for strategy, rows in (("append", 9), ("merge", 6), ("replace", 4)):
        for given in (first, then):
            read = GivenRead(Stream(strategy, primary_key=["id"]), [given])
            result = sync(read, destination, strategy=strategy)
        assert result.rows_in_table == rows
        assert result.records_loaded == {"append": 4, "merge": 2, "replace": 4}[strategy]
        back = destination.read_table(
            destination.table_for("conformance", Stream(strategy))
        ).to_pylist()
        assert {(row["n"], row["x"], row["b"]) for row in back} <= {
            (row["n"], row["x"], row["b"]) for row in first
        }
        assert {row["t"] for row in back} >= {"changed", "last"}


def test_on_postgresql() -> None:
    with postgres_schema() as name:
        postgres_server().execute(f"CREATE SCHEMA {name}".encode())
        url = POSTGRES.replace("postgresql://", "postgresql+psycopg://")
        load_all(SqlDestination(url, schema_name=name, state_schema=name))


def on_mariadb(name: str, **options: Any) -> SqlDestination:
    url = f"mysql+pymysql://{MYSQL.partition('://')[2].rpartition('/')[0]}/{name}?charset=utf8mb4"
    return SqlDestination(url, **options)


def test_on_mariadb() -> None:
    with mysql_schema() as name:
        load_all(on_mariadb(name))


@pytest.mark.parametrize("strategy", ["append", "merge", "replace"])
@pytest.mark.parametrize("point", ["altered", "rows", "state"])
def test_on_mariadb_a_load_that_fails_is_rolled_back(strategy: str, point: str) -> None:
    """Tables are made and widened at once there; rows, state and ledger are one transaction all the same."""
    stream = Stream("things", primary_key=["id"])
    with mysql_schema() as name:
        destination = on_mariadb(name)
        table = destination.table_for("conformance", stream)

        def give(*rows: dict[str, Any]) -> None:
            sync(GivenRead(stream, [list(rows)]), destination, strategy=strategy)

        with armed(f"{point}:1:raise"), pytest.raises(FaultError):
            give({"id": 1})
        assert destination.states() == []
        give({"id": 1})
        (before,) = destination.states()
        with armed(f"{point}:1:raise"), pytest.raises(FaultError):
            give({"id": 2, "more": "x"})
        assert destination.states() == [before]
        assert destination.read_table(table, columns=["id"]).to_pylist() == [{"id": 1}]
        give({"id": 2, "more": "x"})
        ids = destination.read_table(table, columns=["id"]).column(0).to_pylist()
        assert sorted(ids) == ([2] if strategy == "replace" else [1, 2])
        engines = mysql_query(
            f"SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = '{name}'"
        )
        assert engines == [("InnoDB",)]


@pytest.mark.parametrize("strategy", ["append", "replace"])
def test_on_mariadb_a_change_that_could_not_be_rolled_back_is_refused(strategy: str) -> None:
    stream = Stream("things")
    with mysql_schema() as name:
        destination = on_mariadb(name)
        sync(GivenRead(stream, [[{"x": 1}]]), destination, strategy=strategy)
        with pytest.raises(SchemaConflictError, match=r"'x'.*cannot be rolled back") as refused:
            sync(GivenRead(stream, [[{"x": "text"}]]), destination, strategy=strategy)
        assert "MySQLDestination" in (refused.value.hint or "")
        assert refused.value.stream == "things"
        table = destination.table_for("conformance", stream)
        assert destination.read_table(table, columns=["x"]).to_pylist() == [{"x": 1}]

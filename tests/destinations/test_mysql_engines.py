"""Tables whose engine cannot roll back are refused, and none of ours is one, whatever the server makes by default."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymysql
import pytest

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.exceptions import UnsupportedWriteError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sync import resolve_start, sync
from etl_assets.sync_source import StreamPlan, sync_source
from etl_assets.testing.fakes import GivenRead
from tests.servers import MYSQL, mysql_connect, mysql_query, mysql_schema

ENGINES = ["MyISAM", "Aria", "MEMORY", "CSV", "MRG_MyISAM"]
ROWS = [{"id": 1}]


@pytest.fixture
def schema() -> Iterator[str]:
    with mysql_schema() as name:
        yield name


def destinations(schema: str, folder: Path) -> list[DatabaseDestination]:
    places: dict[str, Any] = {
        "schema_name": schema,
        "state_schema": schema,
        "staging_dir": str(folder / "staging"),
    }
    return [
        MySQLDestination(MYSQL, **places),
        SqlDestination(MYSQL.replace("mysql://", "mysql+pymysql://"), **places),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_table_that_cannot_roll_back_is_not_adopted(
    engine: str, schema: str, tmp_path: Path
) -> None:
    try:
        mysql_query(f"CREATE TABLE {schema}.mine (id bigint NOT NULL) ENGINE = {engine}")
    except pymysql.Error as error:
        pytest.skip(f"this server has no {engine}: {error}")
    table = TableName("mine", schema)
    for number, warehouse in enumerate(destinations(schema, tmp_path)):
        read = GivenRead(Stream("orders"), [ROWS], source_name=f"shop{number}")
        with pytest.raises(UnsupportedWriteError) as refused:
            resolve_start(read, warehouse, adopt=True, table=table)  # before anything is read
        told = str(refused.value)
        assert "stream 'orders'" in told
        assert f"`{schema}`.`mine`" in told
        assert engine in told
        (statement,) = {told[told.index("ALTER TABLE") :]}
        assert statement == f"ALTER TABLE `{schema}`.`mine` ENGINE=InnoDB"
        assert mysql_query(f"SELECT COUNT(*) FROM {schema}.mine") == [(0,)]
    if engine != "MRG_MyISAM":  # which has no table below it
        mysql_query(statement)
        sync(read, warehouse, adopt=True, table=table, strategy="append")
        assert mysql_query(f"SELECT COUNT(*) FROM {schema}.mine") == [(1,)]


def test_an_engine_that_was_changed_since_is_refused_by_every_way_of_loading(
    schema: str, tmp_path: Path
) -> None:
    for number, warehouse in enumerate(destinations(schema, tmp_path)):
        read = GivenRead(Stream("orders"), [ROWS], source_name=f"shop{number}")
        sync(read, warehouse, strategy="append")
        (state,) = [one for one in warehouse.states() if one.source == f"shop{number}"]
        mysql_query(f"ALTER TABLE {schema}.{state.table.name} ENGINE = MyISAM")
        for strategy in ("append", "replace"):
            with pytest.raises(UnsupportedWriteError, match="MyISAM"):
                sync(read, warehouse, strategy=strategy)
        plans = {("", "orders"): StreamPlan(strategy="append")}
        (outcome,) = sync_source(_Whole(read), warehouse, plans=plans)
        assert isinstance(outcome.error, UnsupportedWriteError)
        mysql_query(f"ALTER TABLE {schema}.{state.table.name} ENGINE = InnoDB")
        mysql_query(f"ALTER TABLE {schema}._etl_assets_state ENGINE = MyISAM")
        with pytest.raises(UnsupportedWriteError, match="_etl_assets_state"):
            sync(read, warehouse, strategy="append")
        mysql_query(f"ALTER TABLE {schema}._etl_assets_state ENGINE = InnoDB")
        sync(read, warehouse, strategy="append")


class _Whole:
    """A read of one stream, as `sync_source` takes it; it never begins."""

    def __init__(self, read: GivenRead) -> None:
        self.source_name = read.source_name
        self.streams: Sequence[Stream] = [read.stream]
        self.stateful = True

    def open(self, state: Any) -> Iterator[Any]:
        raise AssertionError(state)


def test_our_own_tables_are_innodb_whatever_the_server_makes(schema: str, tmp_path: Path) -> None:
    with mysql_connect() as server, server.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.default_storage_engine")
        (before,) = cursor.fetchall()[0]
        cursor.execute("SET GLOBAL default_storage_engine = MyISAM")
        try:
            for number, warehouse in enumerate(destinations(schema, tmp_path)):
                for strategy in ("append", "merge", "replace", "replace"):
                    key = ["id"] if strategy == "merge" else []
                    read = GivenRead(
                        Stream(strategy, primary_key=key), [ROWS], source_name=f"shop{number}"
                    )
                    sync(read, warehouse, strategy=strategy)
        finally:
            cursor.execute(f"SET GLOBAL default_storage_engine = {before}")
    found = mysql_query(
        f"SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{schema}'"
    )
    assert len(found) >= 8
    assert {engine for _, engine in found} == {"InnoDB"}

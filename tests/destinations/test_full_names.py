"""The name of a table as a query of any database on the server may write it."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.model.stored import TableName
from tests.servers import MYSQL, POSTGRES, mysql_schema, postgres_server

TABLE, WITH_SCHEMA = TableName("orders"), TableName("orders", "raw")


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("mssql+pyodbc://me@host/warehouse", "warehouse"),
        ("snowflake://me@account/WAREHOUSE/RAW", '"WAREHOUSE"'),
        ("mysql+pymysql://me@host/warehouse", None),
        ("firebird+firebird://me@host/warehouse", None),
        ("sqlite:///warehouse.db", None),
        ("postgresql://me@host/", None),
        ("postgresql://me@host/my-shop", '"my-shop"'),
    ],
)
def test_a_database_stands_before_a_schema_where_the_dialect_has_both(
    url: str, prefix: str | None
) -> None:
    assert SqlDestination(url).prefix_of(WITH_SCHEMA) == prefix


def test_a_table_without_a_schema_is_in_the_connections_own(tmp_path: Path) -> None:
    postgres_server()
    postgres = SqlDestination(POSTGRES)
    postgres.test_connection()
    database = POSTGRES.rpartition("/")[2]
    assert postgres.prefix_of(TABLE) == f"{database}.public"
    assert postgres.prefix_of(WITH_SCHEMA) == database
    file = SqlDestination(f"sqlite:///{tmp_path / 'w.db'}")
    file.test_connection()
    assert file.prefix_of(TABLE) is None


def test_the_schema_of_mysql_is_its_database() -> None:
    with mysql_schema() as name:
        url = make_url(MYSQL).set(drivername="mysql+pymysql", database=name)
        destination = SqlDestination(url.render_as_string(hide_password=False))
        destination.test_connection()
        assert destination.prefix_of(TABLE) == name
        assert destination.prefix_of(WITH_SCHEMA) is None

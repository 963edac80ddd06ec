"""Runs are ended in every way at every point; nothing is lost, doubled, ahead or left over."""

from etl_assets.testing.kills import KillConformance
from tests.faults.places import DuckDBPlace, FirebirdPlace, MySQLPlace, PostgresPlace, SQLitePlace


class TestDuckDB(KillConformance):
    place = DuckDBPlace


class TestPostgres(KillConformance):
    place = PostgresPlace


class TestMySQL(KillConformance):
    place = MySQLPlace


class TestSQLite(KillConformance):
    place = SQLitePlace


class TestFirebird(KillConformance):
    place = FirebirdPlace

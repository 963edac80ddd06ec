"""SQLAlchemy and pandas at the side of a cache: its url, its engine, and an engine that a script has open itself."""

import json
import time
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import sqlalchemy as sa

from etl_assets import DuckDBCache
from etl_assets.caches import CacheBase, MotherDuckCache, PostgresCache, SqliteCache
from etl_assets.exceptions import BusyError
from etl_assets.secrets import SecretString
from tests.api.test_cached_records import KINDS, ROWS, Things, cache  # noqa: F401 - a fixture

LOGIN: dict[str, Any] = {"host": "h", "database": "d", "username": "u"}


def test_the_url_is_a_text_that_is_masked() -> None:
    assert DuckDBCache(db_path="some/x.duckdb").get_sql_alchemy_url() == "duckdb:///some/x.duckdb"
    assert SqliteCache(db_path="x.sqlite").get_sql_alchemy_url() == "sqlite:///x.sqlite"
    url = PostgresCache(**LOGIN, password="the-p@ss").get_sql_alchemy_url()  # noqa: S106 - a test's
    assert isinstance(url, SecretString)
    assert url == "postgresql+psycopg://u:the-p%40ss@h:5432/d"
    assert "the-p" not in repr(url)
    assert "postgres" in url
    assert sa.make_url(url).password == "the-p@ss"  # noqa: S105 - a test's
    assert (
        "motherduck_token=the-token"
        in MotherDuckCache(database="d", api_key="the-token").get_sql_alchemy_url()
    )


@pytest.mark.parametrize("cache", KINDS, indirect=True)
def test_pandas_reads_tables_and_queries_by_the_engine(cache: CacheBase) -> None:  # noqa: F811
    Things(name="shop").read(cache)
    engine = cache.get_sql_engine()
    table = cache.destination.table_for("shop", Things.streams[0])
    schema = None if isinstance(cache, SqliteCache) else table.schema
    whole = pd.read_sql_table(table.name, engine, schema=schema)
    assert sorted(whole["id"]) == [1, 2, 3, 4]
    assert {"text", "place", "_airbyte_raw_id", "_etl_assets_load_id"} <= set(whole.columns)
    asked = pd.read_sql(f"SELECT id, text FROM {table} WHERE id > 2 ORDER BY id", engine)
    assert asked["text"].to_list() == ["1", ""]
    reflected = sa.Table(table.name, sa.MetaData(), autoload_with=engine, schema=schema)
    with engine.connect() as connection:
        found = connection.execute(
            sa.select(reflected.c.text).where(reflected.c.id == 1)
        ).scalar_one()
    assert found == ROWS[0]["text"]
    assert table.name in sa.inspect(engine).get_table_names(schema=schema)
    with pytest.raises(sa.exc.NoSuchTableError):
        sa.Table("nobodys", sa.MetaData(), autoload_with=engine, schema=schema)


def test_types_are_reflected(tmp_path: Path) -> None:
    other = DuckDBCache(db_path=tmp_path / "x.duckdb")
    other.execute_sql(
        "CREATE TABLE t (a DECIMAL(10, 2), b TIMESTAMPTZ, c JSON, d INTEGER[], e VARCHAR, f BIGINT)"
    )
    table = sa.Table("t", sa.MetaData(), autoload_with=other.get_sql_engine())
    assert [type(column.type).__name__ for column in table.c] == [
        "Numeric", "DateTime", "JSON", "NullType", "String", "BigInteger",
    ]  # fmt: skip
    amount, instant = table.c.a.type, table.c.b.type
    assert isinstance(amount, sa.Numeric)
    assert isinstance(instant, sa.DateTime)
    assert (amount.scale, instant.timezone) == (2, True)


@pytest.mark.parametrize("by", ["url", "engine"])
def test_an_engine_that_the_script_has_open_makes_nobody_wait(by: str, tmp_path: Path) -> None:
    other = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    shop = Things(name="shop")
    shop.read(other)
    engine = (
        sa.create_engine(other.get_sql_alchemy_url()) if by == "url" else other.get_sql_engine()
    )
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM main.things")).scalar_one() == len(
            ROWS
        )
        connection.rollback()
        began = time.monotonic()
        assert len(other["things"]) == len(ROWS)
        shop.rows = [*ROWS, {**ROWS[0], "id": 5}]
        assert shop.read(other).results["things"].records_loaded == 1
        assert other.run_sql_query("SELECT max(id) AS m FROM main.things") == [{"m": 5}]
        assert time.monotonic() - began < 15
        assert (
            connection.execute(sa.text("SELECT count(*) FROM main.things")).scalar_one()
            == len(ROWS) + 1
        )
    engine.dispose()


def test_a_connection_with_other_settings_is_told_at_once(tmp_path: Path) -> None:
    other = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    Things(name="shop").read(other)
    with duckdb.connect(
        str(other.db_path), config={"default_null_order": "nulls_first", "threads": 1}
    ):
        began = time.monotonic()
        with pytest.raises(BusyError, match="is open in this process, with other settings"):
            len(other["things"])
        assert time.monotonic() - began < 15
    assert json.dumps(len(other["things"])) == "4"

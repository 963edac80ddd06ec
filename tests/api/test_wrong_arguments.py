"""Arguments of caches and of the verbs that read and write which are wrong, or only PyAirbyte's scripts give."""

from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from etl_assets import DuckDBCache, get_noop_destination
from etl_assets.caches import MotherDuckCache, PostgresCache
from etl_assets.exceptions import ConnectorError, EtlAssetsWarning, InputError
from tests.api.test_caches import Shop


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ({"clean_up": True}, "cleanup"),
        ({"schema": "lms"}, "schema_name"),
        ({"dbpath": "x"}, "db_path"),
    ],
)
def test_an_option_that_there_is_not_has_no_effect_and_is_warned_of(
    given: dict[str, Any], near: str
) -> None:
    with pytest.warns(
        EtlAssetsWarning,
        match=f"DuckDBCache has no option '{next(iter(given))}'.*Did you mean '{near}'",
    ):
        made = DuckDBCache(db_path="x.duckdb", **given)
    assert (made.schema_name, made.cleanup, made.db_path) == ("main", True, "x.duckdb")


def test_an_error_about_options_shows_no_secret() -> None:
    with pytest.raises(InputError, match="username") as caught:
        PostgresCache(host="h", database="d", password="hunter22")  # type: ignore[call-arg]  # noqa: S106
    assert "hunter22" not in str(caught.value)
    with (
        pytest.warns(EtlAssetsWarning, match="apikey"),
        pytest.raises(InputError, match="api_key") as caught,
    ):
        MotherDuckCache(database="d", apikey="hunter22")  # type: ignore[call-arg]
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"), [("x.duckdb", "not the text 'x.duckdb'"), (5, "not of the type int")]
)
def test_what_is_no_cache_is_told(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Shop(name="shop").read(given)
    with pytest.raises(InputError, match=said):
        get_noop_destination().write(Shop(name="shop"), cache=given)
    with pytest.raises(InputError, match=said):
        get_noop_destination().write(Shop(name="shop"), state_cache=given)


def test_what_names_no_streams_is_told(cache: DuckDBCache) -> None:
    number: Any = 5
    with pytest.raises(InputError, match="given by their names, not by 5"):
        Shop(name="shop").select_streams(number)
    with pytest.raises(InputError, match="given by their names, not by 5"):
        Shop(name="shop").read(cache, streams=number)


def test_a_table_that_was_dropped_is_loaded_anew_as_the_hint_says(cache: DuckDBCache) -> None:
    Shop(name="shop").read(cache, streams=["orders"], write_strategy="merge")
    cache.execute_sql("DROP TABLE orders")
    with pytest.raises(ConnectorError, match="in a script `force_full_refresh=True`"):
        Shop(name="shop").read(cache, streams=["orders"], write_strategy="merge")
    again = Shop(name="shop").read(
        cache, streams=["orders"], write_strategy="merge", force_full_refresh=True
    )
    assert len(again["orders"]) == 5


def test_the_processor_gives_connections_a_catalog_and_counts(cache: DuckDBCache) -> None:
    with pytest.raises(InputError, match="Nothing was read through"):
        _ = cache.processor.catalog_provider
    result = Shop(name="shop").read(cache)
    provider = result.cache.processor.catalog_provider
    assert provider.get_primary_keys("orders") == ["id"]
    assert set(provider.stream_names) == {"orders", "refunds"}
    with cache.processor.get_sql_connection() as connection:
        connection.execute(sa.text("CREATE TABLE mine AS SELECT 7 AS seven"))
    assert cache.run_sql_query("SELECT * FROM mine") == [{"seven": 7}]
    with suppress(sa.exc.DBAPIError), cache.processor.get_sql_connection() as connection:
        connection.execute(sa.text("DELETE FROM mine"))
        connection.execute(sa.text("SELECT * FROM nothing"))
    assert cache.processor.fetch_row_count("mine") == 1
    assert cache.processor.fetch_row_count("orders") == 5
    assert cache.processor.sql_config is cache
    assert cache.processor.database_name == cache.get_database_name()


def test_a_column_that_was_dropped_from_a_table_comes_back(cache: DuckDBCache) -> None:
    result = Shop(name="shop").read(cache)
    with cache.processor.get_sql_connection() as connection:
        connection.execute(sa.text("ALTER TABLE main.orders DROP COLUMN _airbyte_raw_id"))
    assert "_airbyte_raw_id" not in result["orders"].to_sql_table().columns
    result = Shop(name="shop").read(cache)
    assert "_airbyte_raw_id" in result["orders"].to_sql_table().columns


def test_a_result_has_what_was_counted(cache: DuckDBCache) -> None:
    counted = Shop(name="shop").read(cache)._progress_tracker
    assert counted.total_records_read == counted.total_records_written == 5
    assert counted.finalized_stream_names == ["orders", "refunds"]
    assert counted.num_streams_expected == 2

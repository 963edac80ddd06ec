"""Public calls with what is none of their arguments: an error of ours names the argument and what it takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import etl_assets as ea
from etl_assets.caches.sqlite import SqliteCache
from etl_assets.exceptions import ConfigError, DestinationError, InputError
from tests.api.test_caches import Shop

SHOP = ea.SqlSource("shop", "sqlite:///shop.db", streams=[ea.Stream("orders")])
PLACE = ea.DuckDBDestination("w.duckdb")
ANY: Any = ea


def assets() -> Any:
    return ea.stream_assets(SHOP, ["orders"], destination=PLACE)


CALLS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: ANY.DuckDBCache(5),
        "DuckDBCache takes its options by their names, not a int alone.*db_path",
    ),
    (lambda: ANY.DuckDBCache("x.duckdb"), "not a str alone"),
    (lambda: ANY.DuckDBCache(db_path=5), "DuckDBCache: db_path"),
    (ANY.BigQueryCache, "BigQueryCache: project_name: Field required"),
    (lambda: ANY.SnowflakeDestination(5), "SnowflakeDestination takes its options by their names"),
    (
        lambda: ANY.NoopDestination(5),
        "argument_parser must be an argparse.ArgumentParser, not of the type int",
    ),
    (lambda: ANY.get_available_connectors(5), "install_type must be a text, not of the type int"),
    (
        lambda: ANY.get_available_connectors("pyton"),
        "no install_type 'pyton'. Did you mean 'python'",
    ),
    (lambda: ANY.get_available_connectors(kind="x"), "argument 'kind'"),
    (lambda: ANY.get_benchmark_source([5]), "num_records must be a number, or its text"),
    (
        lambda: ANY.get_benchmark_source(5, install_if_missing="no"),
        "install_if_missing must be True or False",
    ),
    (
        lambda: ANY.get_noop_destination(install=True),
        "unexpected keyword argument 'install'. Known: 'install_if_missing'",
    ),
    (lambda: ANY.get_default_cache(5), "too many positional arguments. It takes: nothing"),
    (lambda: ANY.get_colab_cache(5), "cache_name must be a text"),
    (lambda: ANY.build_source_sensor(5, streams=["orders"]), "The source is 5"),
    (lambda: ANY.build_source_sensor(SHOP, streams=5), "streams is 5"),
    (
        lambda: ANY.build_source_sensor(SHOP, assets=5),
        "assets must be the list that stream_assets gave",
    ),
    (lambda: ANY.build_source_sensor(SHOP, ["orders"], options=5), "options is 5"),
    (lambda: ANY.build_source_sensor(SHOP, ["orders"], timeout="x"), "timeout must be a number"),
    (
        lambda: ANY.build_source_sensor(SHOP, ["orders"], stale_after=True),
        "stale_after must be a number",
    ),
    (
        lambda: ANY.build_source_sensor(SHOP, ["orders"], default_status=5),
        "must be a DefaultSensorStatus",
    ),
    (
        lambda: ANY.build_source_sensor(SHOP, ["orders"], stream="x"),
        "'stream'. Did you mean 'streams'",
    ),
    (
        lambda: ANY.build_sync_schedule(5, "@daily"),
        "assets must be the list that stream_assets gave",
    ),
    (lambda: ANY.build_sync_schedule(assets(), 5), "cron_schedule must be a text"),
    (
        lambda: ANY.build_sync_schedule(assets(), "@daily", full_refresh="yes"),
        "full_refresh must be True or False",
    ),
    (lambda: ANY.build_sync_schedule(assets(), cron="@daily"), "'cron'|cron_schedule"),
    (lambda: ANY.stream_assets(SHOP, ["orders"], destination=PLACE, pool=5), "pool must be a text"),
    (
        lambda: ANY.stream_assets(SHOP, ["orders"], destination=PLACE, retry_policy=5),
        "must be a dagster.RetryPolicy",
    ),
    (
        lambda: ANY.stream_assets(SHOP, ["orders"], destination=PLACE, granularity=[5]),
        "granularity must be a text",
    ),
    (
        lambda: ANY.stream_assets(SHOP, ["orders"], destinaton=PLACE),
        "'destinaton'. Did you mean 'destination'",
    ),
    (
        lambda: ANY.build_stream_asset_specs(SHOP, ["orders"], destination=5),
        "destination must be an etl_assets Destin",
    ),
    (lambda: ANY.Catalog(5), "A Catalog is made of streams, not of the type int"),
    (lambda: ANY.Catalog(["orders"]), "one is of the type str"),
    (lambda: ANY.Batch(5), "A batch cannot be a int"),
    (lambda: ANY.Limits(line_bytes="x"), "line_bytes must be a whole number"),
    (lambda: ANY.Limits(silence_seconds=0), "silence_seconds is 0; it is greater than 0"),
    (lambda: ANY.SqlSource(5, "sqlite:///x.db"), "name must be a text"),
    (lambda: ANY.FileSource(5, "*.csv"), "name must be a text"),
    (lambda: ANY.FileSource("s", 5), "FileSource: path must be a path, a glob or a URL"),
    (
        lambda: ANY.FileSource("s", config={"path": 5}),
        "FileSource: path must be a path, a glob or a URL, .* not of the type int",
    ),
    (
        lambda: ANY.FileSource("s", "data", streams={"orders": 5}),
        "path of stream 'orders' must be a path",
    ),
    (
        lambda: ANY.FileSource("s", "*.csv", storage_options=5),
        "FileSource: storage_options must be an object",
    ),
    (
        lambda: ANY.SqlSource("s", "sqlite:///x.db", lokback=5),
        "no argument 'lokback'. Did you mean 'lookback'",
    ),
    (
        lambda: ANY.PostgresSource("postgresql://h/d", name="s", statement_timout=5),
        "Did you mean 'statement_timeout'",
    ),
    (
        lambda: ANY.SqlSource("s", "sqlite:///x.db", include=5),
        "include must be a name, or a list of names",
    ),
    (lambda: ANY.SqlSource("s", "sqlite:///x.db", queries=5), "queries must be an object"),
    (
        lambda: ANY.SqlSource("s", "sqlite:///x.db", connect_args=5),
        "connect_args must be an object",
    ),
    (
        lambda: ANY.SqlSource("s", "sqlite:///x.db", batch_rows="x"),
        "batch_rows must be a whole number",
    ),
    (
        lambda: ANY.SqlSource("s", "sqlite:///x.db", batch_rows=True),
        "batch_rows must be a whole number",
    ),
    (
        lambda: ANY.SqlSource("s", "sqlite:///x.db", lookback="1 day"),
        "lookback must be a timedelta, or a number",
    ),
    (
        lambda: ANY.SqlSource("s", "sqlite:///x.db", statement_timeout="5"),
        "statement_timeout must be a number",
    ),
    (lambda: ANY.SqlSource("s", "sqlite:///x.db", connect_timeout=-1), "connect_timeout is -1"),
    (
        lambda: ANY.SqlSource(url=5),
        "SqlSource: url must be a text, a SQLAlchemy URL, or a reference .*, not of the type int",
    ),
    (lambda: ANY.SqlSource("s", ["x"]), "url must be .*, not of the type list"),
    (lambda: ANY.SqlSource("s", config={"url": 5}), "SqlSource: url must be"),
    (lambda: ANY.PostgresSource(5, name="s"), "PostgresSource: url must be"),
    (
        lambda: ANY.SqlSource("s", "sqlite:///x.db", exclude=["a", 5]),
        "exclude must be a name, or a list of names, but one in it is of the type int",
    ),
    (lambda: SHOP.get_documents(ANY), "get_documents: stream must be the name of a stream"),
    (
        lambda: SHOP.get_documents("orders", content_properties=ANY),
        "get_documents: content_properties must be a name, or a list of names",
    ),
    (
        lambda: ANY.SqlSource.get_documents(SHOP, "orders", content_properties=[5]),
        "content_properties must be a name, or a list of names, but one in it",
    ),
    (
        lambda: SHOP.get_documents("orders", metadata_properties=ANY),
        "metadata_properties must be a name, or a list of names",
    ),
    (
        lambda: SHOP.get_documents("orders", render_metadata=ANY),
        "render_metadata must be True or False",
    ),
    (
        lambda: ANY.SqlSource.get_samples(SHOP, on_error=[5]),
        "get_samples: on_error must be a text, not of the type list",
    ),
    (
        lambda: ANY.SqlSource.print_samples(SHOP, on_error=[5]),
        "print_samples: on_error must be a text, not of the type list",
    ),
    (
        lambda: ANY.SqlSource.print_config_spec(SHOP, output_file=5),
        "print_config_spec: output_file must be a path, not of the type int",
    ),
    (
        lambda: ANY.SqlSource.print_config_spec(SHOP, stderr="x"),
        "print_config_spec: stderr must be True or False",
    ),
    (
        lambda: ANY.DuckDBIOManager("x.duckdb"),
        "DuckDBIOManager takes its options by their names, not a str alone.*path",
    ),
    (lambda: ANY.PostgresIOManager(5), "PostgresIOManager takes its options by their names"),
    (
        lambda: ANY.StreamOptions(splt=2),
        "StreamOptions: .*'splt'. Did you mean 'split'",
    ),
    (lambda: ANY.StreamOptions(5), "StreamOptions: too many positional arguments"),
    (
        lambda: ANY.Stream("s", primary_ky=["id"]),
        "Stream: .*'primary_ky'. Did you mean 'primary_key'",
    ),
    (ANY.Stream, "Stream: missing a required argument: 'name'"),
    (lambda: ANY.Stream("s", {}), "Stream: too many positional arguments"),
]


@pytest.mark.parametrize(("call", "said"), CALLS, ids=[said for _, said in CALLS])
def test_a_call_with_a_wrong_argument_says_which_and_what_it_takes(
    call: Callable[[], Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        call()


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    made = ea.DuckDBCache(db_path=str(tmp_path / "c.duckdb"))
    Shop(name="shop").read(made)
    return made


VERBS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda c: c.run_sql_query(""), "run_sql_query: the statement is empty. Give SQL text."),
    (lambda c: c.run_sql_query(None), "sql_query must be a text"),
    (lambda c: c.run_sql_query("SELECT 1", max_records="x"), "max_records must be a whole number"),
    (lambda c: c.execute_sql(5), "sql must be SQL, or a list of statements"),
    (lambda c: c.execute_sql([5]), "each statement must be a text"),
    (lambda c: c.execute_sql(" "), "the statement is empty"),
    (lambda c: c.fetch_table_statistics(5), "stream_names must be a name, or a list of names"),
    (lambda c: c["orders"].with_filter(5), "A condition is 5. Give SQL text"),
    (lambda c: c["orders"].with_filter(""), "A condition is ''"),
    (lambda c: c["orders"].with_filter(None), "A condition is None"),
    (lambda c: c["orders"].to_arrow(max_chunk_size="x"), "max_chunk_size must be a whole number"),
    (lambda c: c["orders"].to_documents(5), "title_property must be the name of a field"),
    (
        lambda c: c["orders"].to_documents(content_properties=5),
        "content_properties must be the name of a field",
    ),
    (
        lambda c: c["orders"].to_documents(render_metadata="x"),
        "render_metadata must be True or False",
    ),
]


@pytest.mark.parametrize(("call", "said"), VERBS, ids=[said for _, said in VERBS])
def test_so_does_a_verb_of_a_cache_or_a_dataset(
    call: Callable[[Any], Any], said: str, cache: Any
) -> None:
    with pytest.raises(InputError, match=said):
        call(cache)


def test_a_statement_without_rows_is_run_by_execute_sql_as_the_hint_says(tmp_path: Path) -> None:
    cache = SqliteCache(db_path=str(tmp_path / "c.sqlite"))
    with pytest.raises(
        InputError, match=r"gives no rows. Run such statements with execute_sql\(\)"
    ):
        cache.run_sql_query("CREATE TABLE yours (id INTEGER)")
    cache.execute_sql("CREATE TABLE mine (id INTEGER)")
    assert cache.run_sql_query("SELECT * FROM mine") == []


def test_a_query_that_is_wrong_is_told_by_an_error_of_ours(cache: Any) -> None:
    with pytest.raises(DestinationError, match=r"DuckDBCache: the query failed: .*nothing"):
        cache.run_sql_query("SELECT * FROM nothing")


def test_a_condition_is_written_as_the_hint_says(cache: Any) -> None:
    with pytest.raises(InputError, match='such as "id > 5"'):
        cache["orders"].with_filter(5)
    assert list(cache["orders"].with_filter("id > 5")) == [
        row for row in cache["orders"] if row["id"] > 5
    ]


def test_the_statistics_of_one_stream_may_be_asked_by_its_name(cache: Any) -> None:
    assert cache.fetch_table_statistics("orders") == {"orders": {"row_count": 5}}

"""What is not installed is said with the command that brings it, for each class, driver and dialect."""

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

import etl_assets as ea
from etl_assets.caches import BigQueryCache, PostgresCache, SnowflakeCache
from etl_assets.exceptions import ConfigError
from etl_assets.frames import to_polars
from etl_assets.packages import DIALECTS, DRIVERS, EXTRAS
from etl_assets.secrets.google import GoogleGSMSecretManager
from tests.sources.drops import ids

PYPROJECT = tomllib.loads(
    (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
)
ON_POSTGRES: dict[str, Any] = {"host": "127.0.0.1", "database": "test", "username": "postgres"}
ON_SNOWFLAKE: dict[str, Any] = {
    "account": "a", "username": "u", "password": "secret", "warehouse": "w", "database": "d", "role": "r",
}  # fmt: skip
ON_BIGQUERY: dict[str, Any] = {"project_name": "p", "dataset_name": "d"}
KEY = '{"type": "service_account"}'

WITHOUT: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "SqlSource of PostgreSQL": (
        "psycopg",
        "etl-assets[postgres]",
        lambda: ea.SqlSource(name="shop", url="postgresql://u@127.0.0.1/d").test_connection(),
    ),
    "PostgresDestination": (
        "psycopg",
        "etl-assets[postgres]",
        lambda: ea.PostgresDestination("postgresql://u@127.0.0.1/d").test_connection(),
    ),
    "SqlDestination of PostgreSQL": (
        "psycopg",
        "etl-assets[postgres]",
        lambda: ea.SqlDestination("postgresql+psycopg://u@127.0.0.1/d").test_connection(),
    ),
    "engine of PostgresCache": (
        "psycopg",
        "etl-assets[postgres]",
        lambda: PostgresCache(**ON_POSTGRES).get_sql_engine(),
    ),
    "client of PostgresCache": (
        "psycopg",
        "etl-assets[postgres]",
        lambda: PostgresCache(**ON_POSTGRES).get_vendor_client(),
    ),
    "SqlSource of MySQL": (
        "pymysql",
        "etl-assets[mysql]",
        lambda: ea.SqlSource(name="shop", url="mysql://u@127.0.0.1/d").test_connection(),
    ),
    "MySQLDestination": (
        "pymysql",
        "etl-assets[mysql]",
        lambda: ea.MySQLDestination("mysql://u@127.0.0.1/d").test_connection(),
    ),
    "SnowflakeDestination": (
        "snowflake.connector",
        "etl-assets[snowflake]",
        lambda: ea.SnowflakeDestination(
            account="a",
            database="d",
            user="u",
            password="p",  # noqa: S106
        ).test_connection(),
    ),
    "client of SnowflakeCache": (
        "snowflake.connector",
        "etl-assets[snowflake]",
        lambda: SnowflakeCache(**ON_SNOWFLAKE).get_vendor_client(),
    ),
    "BigQueryDestination": (
        "google.cloud.bigquery",
        "etl-assets[bigquery]",
        lambda: ea.BigQueryDestination(project="p").test_connection(),
    ),
    "client of BigQueryCache": (
        "google.cloud.bigquery",
        "etl-assets[bigquery]",
        lambda: BigQueryCache(**ON_BIGQUERY).get_vendor_client(),
    ),
    "GoogleGSMSecretManager": (
        "google.cloud.secretmanager",
        "etl-assets[google]",
        lambda: GoogleGSMSecretManager("p", credentials_json=KEY).get_secret("token"),
    ),
    "polars": ("polars", "etl-assets[polars]", lambda: to_polars(pa.table({"id": [1]}))),
    "FileSource of a URL": (
        "fsspec",
        "etl-assets[files]",
        lambda: ea.FileSource("drop", "memory://drop/*.csv").test_connection(),
    ),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_a_class_names_the_extra_that_it_needs(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, extra, use = WITHOUT[case]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as caught:
        use()
    assert caught.value.hint == f'pip install "{extra}"'
    assert module in caught.value.message


def test_an_avro_file_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.avro").write_bytes(b"Obj\x01")
    monkeypatch.setitem(sys.modules, "fastavro", None)
    with pytest.raises(ConfigError, match="fastavro") as caught:
        ids(ea.FileSource("drop", f"{tmp_path}/*.avro"))
    assert caught.value.hint == 'pip install "etl-assets[files]"'


def test_an_excel_file_of_the_old_format_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlrd", None)
    with pytest.raises(ConfigError, match="xlrd") as caught:
        ids(ea.FileSource("drop", f"{Path(__file__).parent}/sources/sheets/*.xls"))
    assert caught.value.hint == 'pip install "etl-assets[files]"'


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("mssql+pyodbc://u:secret@127.0.0.1/d", "pyodbc"),
        ("mssql+pymssql://u:secret@127.0.0.1/d", "pymssql"),
        ("oracle+oracledb://u:secret@127.0.0.1/d", "oracledb"),
        ("mysql+mysqldb://u:secret@127.0.0.1/d", "mysqlclient"),
        ("postgresql+pg8000://u:secret@127.0.0.1/d", "pg8000"),
        *(
            (f"{dialect}://u:secret@127.0.0.1/d", package)
            for dialect, package in DIALECTS.items()
            if dialect != "duckdb"
        ),
    ],
)
def test_a_url_names_the_package_that_its_driver_or_dialect_is_in(
    url: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in DRIVERS:
        monkeypatch.setitem(sys.modules, module, None)
    uses: list[Callable[[], Any]] = [
        lambda: ea.SqlSource(name="shop", url=url).test_connection(),
        lambda: ea.SqlDestination(url).test_connection(),
    ]
    for use in uses:
        with pytest.raises(ConfigError) as caught:
            use()
        assert caught.value.hint is not None
        assert caught.value.hint.startswith(f"pip install {package}")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("cache", "package"),
    [
        (SnowflakeCache(**ON_SNOWFLAKE), "snowflake-sqlalchemy"),
        (BigQueryCache(**ON_BIGQUERY), "sqlalchemy-bigquery"),
    ],
)
def test_the_engine_of_a_warehouse_names_the_package_of_its_dialect(
    cache: Any, package: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        cache.get_sql_engine()
    assert caught.value.hint == f"pip install {package}"


def test_a_driver_without_what_it_needs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_engine(*_: Any, **__: Any) -> None:
        raise ImportError("no pq wrapper available")  # psycopg's, where there is no libpq

    monkeypatch.setattr(sa, "create_engine", create_engine)
    with pytest.raises(ConfigError, match="no pq wrapper available") as caught:
        ea.SqlSource(name="shop", url="postgresql://u@127.0.0.1/d").test_connection()
    assert caught.value.hint == 'pip install "etl-assets[postgres]"'


def test_the_extras_are_those_that_pip_knows() -> None:
    known = PYPROJECT["project"]["optional-dependencies"]
    assert {*EXTRAS.values()} == {*known}

"""PyAirbyte 0.71.3's public tree, walked; and what the names do that no other test asks for."""

import importlib
import json
import logging
import sqlite3
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

import etl_assets as ab
from etl_assets import DuckDBCache, exceptions, secrets
from etl_assets.caches.generic import GenericSQLCacheConfig
from etl_assets.destinations.database.record_columns import new_ids
from etl_assets.exceptions import (
    AirbyteConnectorFailedError,
    AirbyteStreamNotFoundError,
    PyAirbyteInputError,
)
from etl_assets.records import StreamRecord, StreamRecordHandler
from etl_assets.secrets.hydration import deep_update, detect_hardcoded_secrets, hydrate_secrets
from etl_assets.shared.catalog_providers import CatalogProvider
from etl_assets.strategies import WriteMethod, WriteStrategy
from etl_assets.types import SQLTypeConverter
from tests.api.conftest import Make
from tests.api.not_taken import REASONS, names, reason
from tests.api.test_cached_records import Things
from tests.api.test_source_verbs import Shop


def _is_there(name: str) -> bool:
    module, _, last = name.rpartition(".")
    try:
        found = importlib.import_module(f"etl_assets.{module}" if module else "etl_assets")
        if hasattr(found, last):
            return True
        importlib.import_module(f"etl_assets.{name}")
    except ImportError:
        return False
    return True


def test_each_public_name_is_there_or_named_as_not_taken_over() -> None:
    wrong = [name for name in names() if _is_there(name) is (reason(name) is not None)]
    assert wrong == []
    assert [
        pattern for pattern in REASONS if not any(fnmatchcase(name, pattern) for name in names())
    ] == []


def test_a_cache_is_closed_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    with DuckDBCache(db_path=path, cache_dir=tmp_path) as cache:
        Things(name="shop").read(cache)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*) FROM main.things").fetchall() == [(4,)]
    assert len(cache["things"]) == 4
    memory = DuckDBCache(db_path=":memory:")
    Things(name="shop").read(memory)
    assert len(memory) == 1
    memory.close()
    assert len(memory) == 0


def test_tables_are_made_before_anything_is_read(tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    shop = Shop(name="shop", config={"token": "t"})
    shop.select_streams(["users", "orders"])
    for _ in range(2):
        cache.create_source_tables(shop)
    assert set(cache.streams) == {"users", "orders"}
    assert [column.name for column in cache["users"].to_sql_table().c][:3] == ["id", "name", "at"]
    assert len(cache["users"]) == 0
    assert shop.read(cache).processed_records == 4
    cache.create_source_tables(shop, streams=["users"])
    assert len(cache["users"]) == 2


def test_a_cache_of_any_dialect(tmp_path: Path) -> None:
    cache = GenericSQLCacheConfig(
        sql_alchemy_url=f"sqlite:///{tmp_path / 'x.db'}", cache_dir=tmp_path
    )
    Things(name="shop").read(cache)
    assert len(cache["things"]) == 4
    assert cache.get_database_name().endswith("x.db")
    with sqlite3.connect(tmp_path / "x.db") as connection:
        assert connection.execute("SELECT count(*) FROM shop__things").fetchall() == [(4,)]


def test_fields_that_are_not_declared_are_pruned_unless_they_are_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    shop = Things(name="shop")
    shop.rows = [{"id": 1, "text": "a", "surprise": 1}]
    assert "surprise" not in next(iter(shop.read(cache)["things"]))
    assert "things: fields that it does not declare are left out: surprise" in caplog.text
    shop.rows = [{"id": 1, "text": "b", "surprise": 1}]
    assert next(iter(shop.read(cache, prune_undeclared_fields=False)["things"]))["surprise"] == 1


def test_a_crash_is_a_connector_that_failed(connector: Make) -> None:
    source = connector(["rows", "a", 0, 1], ["exit", 3], streams=["a"])
    with pytest.raises(AirbyteConnectorFailedError) as caught:
        list(source.get_records("a"))
    assert caught.value.connector_name == "source-fake"
    assert "exit code 3" in caught.value.get_message()


def test_the_first_read_does_not_say_that_it_goes_on(
    connector: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    script = [["rows", "a", 0, 1], ["state", "a", {"at": 1}], ["status", "a", "COMPLETE"]]
    connector(*script, streams=["a"]).read(cache)
    said = capsys.readouterr().out
    assert "from where they ended" not in said
    assert "a" in said.partition("the next time:")[2]
    connector(*script, streams=["a"]).read(cache)
    assert "from where they ended: a" in capsys.readouterr().out


def test_a_relative_executable_is_one_of_the_working_directory(
    connector: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector()  # makes the program
    monkeypatch.chdir(tmp_path)
    source = ab.get_source("source-fake", {"script": []}, local_executable=Path("./fake_airbyte"))
    monkeypatch.chdir(tmp_path.parent)
    source.check()
    with pytest.raises(exceptions.ConfigError, match="is not there"):
        ab.get_source("source-fake", {}, local_executable="./fake_airbyte").executor.ensure()


def test_errors_say_and_take_what_pyairbytes_do() -> None:
    error = PyAirbyteInputError(
        message="It is\nwrong.", guidance="Do this.", input_value=3, context={"more": 1}
    )
    assert (error.get_message(), error.guidance, error.input_value) == ("It is", "Do this.", 3)
    assert error.context == {"input_value": 3, "more": 1}
    assert error.safe_logging_dict() == {"class": "InputError", "message": "It is"}
    assert AirbyteStreamNotFoundError(stream_name="x", available_streams=["y"]).stream_name == "x"
    given = ValueError("this")
    assert (
        exceptions.AirbyteConnectorReadError(
            original_exception=given, log_text="log"
        ).original_exception
        is given
    )
    for name in (name for name in vars(exceptions) if name.startswith(("Airbyte", "PyAirbyte"))):
        kind = getattr(exceptions, name)
        if not issubclass(kind, Warning):
            message = kind().get_message()
            assert message
            assert message == message.strip()


def test_secret_managers_are_registered_as_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = importlib.import_module("etl_assets.secrets.registry")
    monkeypatch.setattr(registry, "_managers", list(registry._managers))

    class Vault(secrets.CustomSecretManager):
        name = "vault"
        auto_register = False

        def get_secret(self, secret_name: str) -> Any:
            return secrets.SecretString("from-the-vault") if secret_name == "IN_BOTH" else None  # noqa: S105

    monkeypatch.setenv("IN_BOTH", "from-the-environment")
    Vault().register(as_backup=True)
    assert secrets.get_secret("IN_BOTH") == "from-the-environment"
    Vault().register(replace_existing=True)
    assert [str(each) for each in registry.secret_managers()] == ["vault"]
    assert secrets.get_secret("IN_BOTH") == "from-the-vault"
    assert importlib.import_module("etl_assets.secrets.util").try_get_secret("NOWHERE") is None
    assert hydrate_secrets({"a": ["secret_reference::IN_BOTH"]}) == {"a": ["from-the-vault"]}
    importlib.import_module("etl_assets.secrets.config").clear_secret_sources()
    assert registry.secret_managers() == []


def test_configs_are_put_together_and_searched_for_secrets() -> None:
    config: dict[str, Any] = {"a": 1, "login": {"user": "ada"}}
    deep_update(config, {"login": {"password": "p"}, "b": {"token": "secret_reference::T"}})
    assert config == {
        "a": 1,
        "login": {"user": "ada", "password": "p"},
        "b": {"token": "secret_reference::T"},
    }
    spec = {
        "properties": {
            "login": {"oneOf": [{"properties": {"password": {"airbyte_secret": True}}}]},
            "b": {"properties": {"token": {"writeOnly": True}}},
        }
    }
    assert detect_hardcoded_secrets(config, spec) == [["login", "password"]]


def test_states_as_messages(connector: Make, tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    connector(
        ["rows", "a", 0, 1], ["state", "a", {"at": 1}], ["status", "a", "COMPLETE"], streams=["a"]
    ).read(cache)
    provider = cache.get_state_provider("source-fake")
    (message,) = provider.state_message_artifacts
    assert (message.type, message.stream.stream_descriptor.name, message.stream.stream_state) == (
        "STREAM", "a", {"at": 1},
    )  # fmt: skip
    assert provider.stream_state_artifacts == [message.stream]


def test_a_record_finds_a_field_by_its_columns_name() -> None:
    handler = StreamRecordHandler(
        json_schema={"properties": {"Full Name": {}, "id": {}}}, prune_extra_fields=False
    )
    record = StreamRecord({"Full Name": "Ada", "id": 1}, stream_record_handler=handler)
    assert record["full_name"] == record["FULL NAME"] == record.get("Full_Name") == "Ada"
    record["full_name"] = "Bo"
    assert record["Full Name"] == "Bo"
    assert "full_names" not in record
    two = StreamRecordHandler(
        json_schema={"properties": {"a b": {}, "a-b": {}}}, prune_extra_fields=False
    )
    assert "a_b" not in StreamRecord({"a b": 1, "a-b": 2}, stream_record_handler=two), (
        "it could be either"
    )


def test_the_types_of_sql() -> None:
    to_type = SQLTypeConverter().to_sql_type
    kinds: list[tuple[dict[str, Any], Any]] = [
        ({"type": "string"}, sa.VARCHAR),
        ({"type": ["null", "integer"]}, sa.BIGINT),
        ({"type": "number"}, sa.DECIMAL),
        ({"type": "boolean"}, sa.BOOLEAN),
        ({"type": ["null", "array"]}, sa.JSON),
        ({"type": ["null", "string", "object"]}, sa.VARCHAR),
        ({"type": "string", "format": "date"}, sa.DATE),
        ({"type": "string", "format": "time"}, sa.TIME),
        ({"airbyte_type": "integer", "type": "number"}, sa.BIGINT),
        ({}, sa.VARCHAR),
    ]
    for prop, kind in kinds:
        assert isinstance(to_type(prop), kind), prop
    assert to_type({"type": "string", "format": "date-time"}).timezone is True
    assert (
        to_type({"type": "string", "airbyte_type": "timestamp_without_timezone"}).timezone is False
    )
    assert isinstance(
        SQLTypeConverter({"string": sa.TEXT}).to_sql_type({"type": "string"}), sa.TEXT
    )


def test_how_a_stream_is_written() -> None:
    shop = Shop(name="shop", config={"token": "t"})
    provider = CatalogProvider(shop.get_configured_catalog(["users", "orders"]))
    assert provider.get_cursor_key("users") == "at"
    assert set(provider.get_stream_properties("users")) == {"id", "Name", "at"}
    assert provider.resolve_write_method("users", WriteStrategy.AUTO) is WriteMethod.MERGE
    assert provider.resolve_write_method("orders", WriteStrategy.AUTO) is WriteMethod.REPLACE
    assert provider.resolve_write_method("orders", WriteStrategy.APPEND) is WriteMethod.APPEND


def test_ids_are_made_many_at_a_time() -> None:
    first, second = new_ids(3), new_ids(2)
    assert len(new_ids(0)) == 0
    assert max(first.to_pylist())[:13] <= min(second.to_pylist())[:13]
    assert sys.getsizeof(first) < sys.getsizeof(new_ids(1000))


def test_logs_are_pythons_own() -> None:
    logs = importlib.import_module("etl_assets.logs")
    assert isinstance(logs.get_global_stats_logger(), logging.Logger)
    assert logs.get_global_stats_log_path() is None
    assert json.dumps(ab.version.get_version()) == json.dumps(ab.version.airbyte_version)

"""MotherDuck, as far as it goes without its server: the address, the token, and that the rest is DuckDB's own way."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets import StreamRead
from etl_assets.caches import MotherDuckCache
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import UnavailableError
from etl_assets.secrets.redaction import redact
from etl_assets.secrets.string import SecretString
from etl_assets.sync import sync
from tests.api.test_cache_snowflake import Shop

TOKEN = "md-token-0123456789"  # noqa: S105 - looked for


def test_the_same_way_is_taken_as_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, dict[str, Any]]] = []
    connect = duckdb.connect

    def instead(path: str, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        opened.append((path, config))
        return connect(str(tmp_path / "instead.duckdb"))

    monkeypatch.setattr(duckdb, "connect", instead)
    cache = MotherDuckCache(database="raw", api_key=SecretString(TOKEN), cache_dir=tmp_path)
    assert len(cache) == 0
    shop = Shop(name="shop")
    assert shop.read(cache, streams=["orders"]).processed_records == 5
    assert [row["id"] for row in cache["orders"].with_filter("id > 4")] == [5]
    assert {(path, config["motherduck_token"]) for path, config in opened} == {("md:raw", TOKEN)}
    shown = (
        repr(cache),
        cache.model_dump_json(),
        repr(cache.destination),
        redact(f"token {TOKEN}"),
    )
    assert not [one for one in shown if TOKEN in one]
    assert cache.get_database_name() == "raw"


def test_a_token_in_the_address_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str, config: Any) -> Any:
        raise duckdb.Error(f"cannot reach {path}")

    monkeypatch.setattr(duckdb, "connect", broken)
    destination = DuckDBDestination(f"md:raw?motherduck_token={TOKEN}")
    with pytest.raises(UnavailableError, match="md:raw") as raised:
        sync(StreamRead(Shop(name="shop"), Shop.streams[0]), destination)
    assert TOKEN not in str(raised.value) + repr(destination)
    assert destination.uri(destination.table_for("shop", Shop.streams[0])) is None

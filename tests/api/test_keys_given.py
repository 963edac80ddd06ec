"""Keys that a connector's source is made with, as PyAirbyte's `Source(..., primary_key_overrides=...)` takes them."""

from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBCache, Source
from etl_assets.exceptions import InputError, StreamNotFoundError
from tests.api.conftest import Make

KEYED = Path(__file__).with_name("keyed.py")


def test_keys_that_a_source_is_made_with_are_those_it_is_read_by(
    connector: Make, cache: DuckDBCache
) -> None:
    there = connector(program=KEYED, pause=0)

    def made(**keys: Any) -> Any:
        make: Any = Source  # which makes one of our classes of it
        return make(there.executor, "source-keyed", there.get_config(), **keys)

    one = made(
        cursor_key_overrides={"ORDERS": "changed"}, primary_key_overrides={"orders": ["id", "line"]}
    )
    (configured,) = one.get_configured_catalog().streams
    assert (configured.cursor_field, configured.primary_key) == (["changed"], [["id"], ["line"]])
    one.read(cache)
    again = one.read(cache, force_full_refresh=True, write_strategy="merge")
    assert [(row["id"], row["line"]) for row in again["orders"]] == [(1, 1), (1, 2)]
    assert again.cache.processor.catalog_provider.get_primary_keys("orders") == ["id", "line"]
    one.set_primary_key("orders", "line")
    assert one.get_configured_catalog().streams[0].primary_key == [["line"]]
    for _ in range(2):
        with pytest.raises(StreamNotFoundError, match="'nothing'"):
            made(primary_key_overrides={"nothing": "id"}).get_available_streams()
    wrong = made(primary_key_overrides={"orders": "nothing"})
    for _ in range(2):  # not forgotten after it was told once
        with pytest.raises(InputError, match="no field 'nothing'"):
            wrong.read(cache)

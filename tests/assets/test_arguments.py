"""What is no argument of `stream_assets` is an error of ours that says what would be one."""

from typing import Any

import pytest

import etl_assets as ea
from etl_assets.exceptions import ConfigError

SHOP = ea.SqlSource(name="shop", url="sqlite:///shop.db")
ORDERS = ea.Stream("orders")

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"source": "shop"}, "The source is 'shop', which is no etl_assets Source"),
    ({"source": None}, "The source is None, which is no etl_assets Source"),
    ({"source": ea.SqlSource}, r"SqlSource is a class\..*SqlSource\(\.\.\.\)"),
    ({"source": [SHOP]}, "Call this once for each source"),
    ({"streams": 5}, "streams is 5"),
    ({"streams": {"orders": {}}}, r"streams=\[\"orders\"\]"),
    ({"streams": ["orders", 5]}, "streams holds 5"),
    ({"streams": [ORDERS]}, "streams holds the stream 'orders' itself"),
    ({"name": 5}, "name is 5"),
    ({"translator": ea.StreamTranslator}, "translator is <class"),
    ({"options": [1]}, r"options is \[1\]"),
    ({"options": ea.StreamOptions(split=2)}, "It is a mapping by stream"),
    ({"options": {"orders": "merge"}}, "options has 'merge' for 'orders'"),
    ({"options": {"orders": ea.StreamOptions}}, "options has the class StreamOptions for 'orders'"),
    ({"options": {5: {}}}, "options has {} for 5"),
    ({"destination": "warehouse.duckdb"}, "A str is no destination"),
    ({"destination": ea.DuckDBDestination}, "DuckDBDestination is a class"),
    ({"write_strategy": "overwrite"}, "'overwrite'"),
    ({"granularity": "table"}, "'table'"),
    ({"catalog": 5}, "catalog is 5"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_argument_says_what_would_be_right(given: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {
        "source": SHOP,
        "streams": ["orders"],
        "destination": ea.DuckDBDestination("warehouse.duckdb"),
        **given,
    }
    with pytest.raises(ConfigError, match=message):
        ea.stream_assets(**call)


@pytest.mark.parametrize(
    ("given", "message"), WRONG[:15], ids=[message for _, message in WRONG[:15]]
)
def test_so_it_is_of_the_specs_alone(given: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {"source": SHOP, "streams": ["orders"], **given}
    with pytest.raises(ConfigError, match=message):
        ea.build_stream_asset_specs(**call)


def test_names_may_come_from_a_generator() -> None:
    made = ea.stream_assets(
        SHOP,
        (name for name in ["orders"]),  # type: ignore[arg-type]
        destination=ea.DuckDBDestination("warehouse.duckdb"),
    )
    assert [asset.key.path for asset in made] == [["shop", "orders"]]


def test_a_path_is_a_text_or_a_path() -> None:
    with pytest.raises(ConfigError, match=r"path: .*it is a text or a Path"):
        ea.DuckDBDestination(5)
    with pytest.raises(ConfigError, match=r"path: .*it is a text or a Path"):
        ea.SQLiteDestination(5)

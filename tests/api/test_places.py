"""Where a script's state goes: by the source's name and the place of its tables, whatever the config says."""

import json
from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBCache, DuckDBDestination, get_source
from etl_assets.exceptions import AirbyteError, InputError
from etl_assets.strategies import WriteStrategy
from tests.api.conftest import Make
from tests.api.test_source_verbs import Shop

ENDS = [["state", "a", {"at": 9}], ["status", "a", "COMPLETE"]]


def given(connector: Make, cache: DuckDBCache, noted: Path, **options: Any) -> Any:
    """Read one row of stream `a`, and return the state that the connector was given."""
    connector(["note", str(noted)], ["rows", "a", 0, 1], *ENDS, streams=["a"], **options).read(
        cache
    )
    found = json.loads(noted.read_text())["state"]
    return found and found[0]["stream"]["stream_state"]


@pytest.mark.parametrize(
    "place", [{"table_prefix": "other_"}, {"schema_name": "other"}, {"table_prefix": "a_"}]
)
def test_two_places_of_one_database_have_tables_and_states_of_their_own(
    place: dict[str, str], cache: DuckDBCache, connector: Make, tmp_path: Path
) -> None:
    noted, other = tmp_path / "noted.json", cache.model_copy(update=place)
    assert given(connector, cache, noted) is None
    assert list(cache) == ["a"]
    assert list(other) == []
    assert "a" not in other
    assert other.get_state_provider("source-fake").states == {}
    assert given(connector, other, noted) is None
    shop = Shop(name="shop", config={"token": "t"}, rows=None)
    for _ in range(2):
        counts = [shop.read(each, streams=["users"]).processed_records for each in (cache, other)]
    assert counts == [1, 1], "one row is at the bookmark"
    for each in (cache, other):
        assert given(connector, each, noted) == {"at": 9}
        assert [row["id"] for row in each["a"]] == [0]
        assert sorted(each) == ["a", "users"]
        assert each.get_state_provider("source-fake").states == {"a": {"at": 9}}
        assert each.get_state_provider("shop").states == {"users": {"at": 2}}
    other.get_state_writer("source-fake").write_state(
        {
            "type": "STREAM",
            "stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"at": 1}},
        }
    )
    assert given(connector, cache, noted) == {"at": 9}


def test_another_config_goes_on_and_the_keys_that_changed_are_logged(
    cache: DuckDBCache, connector: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noted = tmp_path / "noted.json"
    login = {"password": "the-first-secret", "user": "ada"}
    assert given(connector, cache, noted, count=1, login=login) is None
    assert given(connector, cache, noted, count=1, login=login) == {"at": 9}
    assert "config has changed" not in caplog.text
    rotated = {**login, "password": "the-next-secret"}
    assert given(connector, cache, noted, count=2, start="2026-01-01", login=rotated) == {"at": 9}
    assert "(count, login.password, start)" in caplog.text
    caplog.clear()
    given(connector, cache, noted, count=2, start="2026-01-01", login=rotated)
    assert "config has changed" not in caplog.text
    stored = str(cache.run_sql_query("SELECT bookmark FROM main._etl_assets_state"))
    assert "secret" not in stored
    assert "2026-01-01" not in stored


def hashed(cache: DuckDBCache, *names: str) -> None:
    """Store the state as it once was: under the connector's name and a hash of its config."""
    (state,) = (one for one in cache.destination.states() if one.stream == "a")
    with cache.destination.transaction() as tx:
        ledger = cache.destination.ledger(tx)
        ledger.move([state], names[0])
        for name in names[1:]:
            ledger.insert(state.__class__(**{**vars(state), "source": name, "stream": "b"}))


def test_a_state_under_a_hashed_name_is_renamed(
    cache: DuckDBCache, connector: Make, tmp_path: Path
) -> None:
    noted = tmp_path / "noted.json"
    given(connector, cache, noted)
    hashed(cache, "source_fake_3f1c09ab")
    assert cache.get_state_provider("source-fake").states == {"a": {"at": 9}}
    assert given(connector, cache, noted, count=7) == {"at": 9}
    assert {state.source for state in cache.destination.states()} == {"source_fake"}


def test_several_hashed_names_are_an_error_that_says_what_to_do(
    cache: DuckDBCache, connector: Make, tmp_path: Path
) -> None:
    noted = tmp_path / "noted.json"
    given(connector, cache, noted)
    hashed(cache, "source_fake_3f1c09ab", "source_fake_aaaaaaaa")
    with pytest.raises(
        InputError, match=r"'source_fake_3f1c09ab', 'source_fake_aaaaaaaa'.*source_name="
    ):
        given(connector, cache, noted)
    assert given(connector, cache, noted, name="source_fake_3f1c09ab") == {"at": 9}


def test_what_was_stored_before_places_counted_is_of_the_place_of_its_table(tmp_path: Path) -> None:
    """One name had state in two places: of each stream where it was first read."""
    path = str(tmp_path / "x.duckdb")
    shop = Shop(name="shop", config={"token": "t"})
    first, second = DuckDBCache(db_path=path), DuckDBCache(db_path=path, table_prefix="p_")
    shop.read(first, streams=["users"])
    shop.read(second, streams=["orders"])
    second.execute_sql(
        [
            f"UPDATE main.{table} SET source = 'shop'"
            for table in ("_etl_assets_state", "_etl_assets_loads")
        ]
    )
    assert (list(first), list(second)) == (["users"], ["orders"])
    shop.read(second, streams=["orders", "users"], write_strategy=WriteStrategy.APPEND)
    shop.read(first, streams=["orders", "users"])
    assert {(state.source, state.stream) for state in first.destination.states()} == {
        ("shop", "users"), ("shop", "orders"), ("shop@main.p_", "users"), ("shop@main.p_", "orders"),
    }  # fmt: skip
    assert [len(each[name]) for each in (first, second) for name in ("users", "orders")] == [
        2,
        2,
        2,
        4,
    ]


def test_a_script_and_assets_share_a_state_where_they_share_the_tables(cache: DuckDBCache) -> None:
    import dagster as dg

    shop = Shop(name="shop", config={"token": "t"})
    shop.read(cache.model_copy(update={"table_prefix": "a_script_"}), streams=["orders"])
    assert dg.materialize(shop.to_assets(destination=cache, streams=["users"])).success
    assert shop.read(cache, streams=["users"]).processed_records == 1, "one row is at the bookmark"
    assert [row["id"] for row in cache["users"]] == [1, 2]
    assert dg.materialize(shop.to_assets(destination=cache, streams=["users"])).success


def test_another_destination_keeps_the_state_of_a_place_apart(
    cache: DuckDBCache, connector: Make, tmp_path: Path
) -> None:
    noted = tmp_path / "noted.json"
    result = None
    for _ in range(2):
        source = connector(["note", str(noted)], ["rows", "a", 0, 1], *ENDS, streams=["a"])
        result = source.read(cache)
    warehouse = DuckDBDestination(str(tmp_path / "warehouse.duckdb"))
    for expected in (1, 0):
        assert warehouse.write(result).processed_records == expected
    assert [state.source for state in warehouse.states()] == ["source_fake"]


def test_a_source_is_named_as_it_was_given(connector: Make) -> None:
    source = connector()
    assert (source.name, source.state_name) == ("source-fake", "source_fake")
    assert connector(name="crm").name == "crm"
    with pytest.raises(AirbyteError, match="not a word"):
        get_source("source-x", no_executor=True, source_name="not a word")

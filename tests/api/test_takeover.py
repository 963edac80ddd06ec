"""Tables that somebody else has made: PyAirbyte's are taken over, with their states; any may be read, none is lost."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from etl_assets import DuckDBCache
from etl_assets.caches import CacheBase, PostgresCache
from etl_assets.exceptions import AirbyteError, StreamNotFoundError
from tests.api.conftest import Make
from tests.servers import POSTGRES, postgres_schema

KINDS = ["duckdb", "postgres"]
PREFIX = "old_"
NAMED = [("a", "old_a"), ("b", "old_b"), ("a", "a")]
STATE = {"at": 7}
PRICE = {"price": {"type": "number"}}


@pytest.fixture
def theirs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CacheBase]:
    """A database that PyAirbyte has read streams `a` and `b` into; of `b` it has no state."""
    if request.param == "duckdb":
        cache: CacheBase = DuckDBCache(
            db_path=tmp_path / "x.duckdb", table_prefix=PREFIX, cache_dir=tmp_path
        )
        made_by_pyairbyte(cache)
        yield cache
        return
    url = urlsplit(POSTGRES)
    with postgres_schema() as name:
        login: dict[str, Any] = {
            "host": url.hostname,
            "username": url.username,
            "password": url.password or "",
        }
        login |= {"port": url.port or 5432, "database": url.path.strip("/"), "schema_name": name}
        cache = PostgresCache(**login, table_prefix=PREFIX, cache_dir=tmp_path)
        cache.execute_sql(f"CREATE SCHEMA IF NOT EXISTS {name}")
        made_by_pyairbyte(cache)
        yield cache


def made_by_pyairbyte(cache: CacheBase) -> None:
    schema = cache.schema_name
    message = {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": "a", "namespace": None}, "global_": None},
    }
    message["stream"]["stream_state"] = STATE  # type: ignore[index]
    about = "_airbyte_raw_id VARCHAR, _airbyte_extracted_at TIMESTAMP, _airbyte_meta JSON"
    streams = (
        "stream_name VARCHAR, source_name VARCHAR, table_name VARCHAR, catalog_metadata VARCHAR"
    )
    states = "source_name VARCHAR, stream_name VARCHAR, table_name VARCHAR, state_json VARCHAR, last_updated TIMESTAMPTZ"
    named = ", ".join(f"('{name}', 'DuckDBCache', '{table}', '{{}}')" for name, table in NAMED)
    rows = ", ".join(
        f"({number}, 'old', '06b{number}', '2026-01-02 03:04:05', '{{}}')" for number in (1, 2)
    )
    cache.execute_sql(
        [
            f"CREATE TABLE {schema}._airbyte_streams ({streams}, PRIMARY KEY (table_name))",
            f"CREATE TABLE {schema}._airbyte_state ({states}, PRIMARY KEY (table_name))",
            f"INSERT INTO {schema}._airbyte_streams VALUES {named}",
            f"INSERT INTO {schema}._airbyte_state VALUES ('source-fake', 'a', 'old_a', '{json.dumps(message)}', NULL)",
            f"CREATE TABLE {schema}.a (id BIGINT)",
            f"CREATE TABLE {schema}.old_somebodys (id BIGINT)",
            *(
                f"CREATE TABLE {schema}.old_{name} (id BIGINT, name VARCHAR, {about})"
                for name in ("a", "b")
            ),
            f"INSERT INTO {schema}.old_a VALUES {rows}",
            f"INSERT INTO {schema}.old_somebodys VALUES (9)",
        ]
    )


@pytest.mark.parametrize("theirs", KINDS, indirect=True)
def test_a_cache_of_pyairbyte_goes_on_where_that_ended(
    theirs: CacheBase, connector: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(theirs) == ["a", "b", "somebodys"]
    assert [row["name"] for row in theirs["a"]] == ["old", "old"]
    noted = tmp_path / "noted.json"
    rows = [["record", "a", {"id": 2, "name": "new"}], ["rows", "b", 0, 1]]
    ends = [["state", "a", {"at": 8}], *(["status", name, "COMPLETE"] for name in ("a", "b"))]
    result = connector(["note", str(noted)], *rows, *ends).read(theirs)
    assert (
        "a: the table that PyAirbyte has made is adopted; it goes on from the state there"
        in caplog.text
    )
    (given,) = json.loads(noted.read_text())["state"]
    assert (given["stream"]["stream_descriptor"]["name"], given["stream"]["stream_state"]) == (
        "a",
        STATE,
    )
    assert sorted((row["id"], row["name"]) for row in result["a"]) == [(1, "old"), (2, "new")]
    assert result.results["a"].schema_changes == [], (
        "times and texts keep their types, and say that they are in UTC"
    )
    assert sorted(row["id"] for row in result["b"]) == [0]
    assert theirs.get_state_provider("source-fake").states["a"] == {"at": 8}
    caplog.clear()
    connector(["note", str(noted)], *ends).read(theirs)
    assert json.loads(noted.read_text())["state"][0]["stream"]["stream_state"] == {"at": 8}
    assert "adopted" not in caplog.text


@pytest.mark.parametrize("theirs", KINDS, indirect=True)
@pytest.mark.parametrize("by", ["read", "cache"])
def test_any_table_can_be_read_and_is_written_into_once_it_is_adopted(
    by: str, theirs: CacheBase, connector: Make
) -> None:
    assert [row["id"] for row in theirs["somebodys"]] == [9]
    assert len(theirs["somebodys"].with_filter("id > 9")) == 0
    assert theirs["somebodys"].column_names == ["id"]
    with pytest.raises(StreamNotFoundError, match="no table of this name"):
        theirs.get_records("nobodys")
    source = connector(
        ["rows", "somebodys", 0, 2], ["status", "somebodys", "COMPLETE"], discovered=["somebodys"]
    )
    with pytest.raises(AirbyteError, match=r"was not made by this library.*adopt=True"):
        source.read(theirs)
    if by == "read":
        source.read(theirs, adopt=True)
    else:
        source.read(theirs.model_copy(update={"adopt": True}))
    source.read(theirs)
    assert sorted(row["id"] for row in theirs["somebodys"]) == [0, 1, 9]


def test_a_table_whose_state_is_another_sources_is_no_ones_to_take(
    tmp_path: Path, connector: Make
) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", table_prefix=PREFIX, cache_dir=tmp_path)
    made_by_pyairbyte(cache)
    cache.execute_sql("UPDATE main._airbyte_state SET source_name = 'source-other'")
    with pytest.raises(AirbyteError, match="adopt=True"):
        connector(["status", "a", "COMPLETE"], streams=["a"]).read(cache)


def test_decimals_become_doubles_where_that_changes_none(tmp_path: Path, connector: Make) -> None:
    for number, exact in (("0.100000000", True), ("12345678901234567890.123456789", False)):
        cache = DuckDBCache(
            db_path=tmp_path / f"{exact}.duckdb", table_prefix=PREFIX, cache_dir=tmp_path
        )
        made_by_pyairbyte(cache)
        cache.execute_sql(
            [
                f"DROP TABLE main.{PREFIX}a",
                f"CREATE TABLE main.{PREFIX}a (id BIGINT, price DECIMAL(38, 9))",
                f"INSERT INTO main.{PREFIX}a VALUES (1, {number})",
            ]
        )
        row = {"id": 2, "name": "x", "price": 0.5}
        source = connector(
            ["record", "a", row], ["status", "a", "COMPLETE"], streams=["a"], properties=PRICE
        )
        source.read(cache)
        prices = [row["price"] for row in sorted(cache["a"], key=lambda row: row["id"])]
        assert [float(price) for price in prices] == [float(number), 0.5]
        assert isinstance(prices[0], float) is exact
        assert exact or str(prices[0]) == number


@pytest.mark.parametrize("theirs", KINDS, indirect=True)
@pytest.mark.parametrize("anew", [True, False], ids=["replaced", "appended"])
def test_what_pyairbyte_has_read_since_is_not_read_again(
    anew: bool, theirs: CacheBase, connector: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noted, ends = tmp_path / "noted.json", [["status", name, "COMPLETE"] for name in ("a", "b")]
    connector(["record", "a", {"id": 3, "name": "ours"}], ["state", "a", {"at": 8}], *ends).read(
        theirs
    )
    schema = theirs.schema_name
    message = {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"at": 9}},
    }
    about = "'06b9', TIMESTAMP '2026-01-02 03:04:05', CAST(NULL AS JSON)"
    row = f"SELECT 4 AS id, 'theirs' AS name, {about}"
    names = "_airbyte_raw_id, _airbyte_extracted_at, _airbyte_meta"
    replaced = [
        f"DROP TABLE {schema}.old_a",
        f"CREATE TABLE {schema}.old_a (id BIGINT, name VARCHAR)",
        f"ALTER TABLE {schema}.old_a ADD COLUMN _airbyte_raw_id VARCHAR",
        f"ALTER TABLE {schema}.old_a ADD COLUMN _airbyte_extracted_at TIMESTAMP",
        f"ALTER TABLE {schema}.old_a ADD COLUMN _airbyte_meta JSON",
    ]
    state = f"SET state_json = '{json.dumps(message)}', last_updated = now()"
    theirs.execute_sql(
        [
            *(replaced if anew else []),
            f"INSERT INTO {schema}.old_a (id, name, {names}) {row}",
            f"UPDATE {schema}._airbyte_state {state} WHERE table_name = 'old_a'",
        ]
    )
    script = [
        ["note", str(noted)],
        ["record", "a", {"id": 5, "name": "ours"}],
        ["state", "a", {"at": 10}],
        *ends,
    ]
    result = connector(*script).read(theirs)
    assert "a: PyAirbyte has read it since; it goes on from the state of that read" in caplog.text
    assert json.loads(noted.read_text())["state"][0]["stream"]["stream_state"] == {"at": 9}
    assert sorted(found["id"] for found in result["a"]) == ([4, 5] if anew else [1, 2, 3, 4, 5])
    caplog.clear()
    connector(["note", str(noted)], *ends).read(theirs)
    assert json.loads(noted.read_text())["state"][0]["stream"]["stream_state"] == {"at": 10}
    assert "PyAirbyte has read" not in caplog.text

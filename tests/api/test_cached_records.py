"""What a cache keeps of a record, and gives back: the values as they came, and three columns about it."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typing_extensions import override

from etl_assets import DuckDBCache, DuckDBDestination, Source, Stream
from etl_assets.caches import BigQueryCache, CacheBase, MySQLCache, PostgresCache, SqliteCache
from etl_assets.constants import AB_INTERNAL_COLUMNS
from tests.api.conftest import Make
from tests.servers import MYSQL, POSTGRES, mysql_schema, postgres_schema

KINDS = ["duckdb", "postgres", "mysql", "sqlite"]
EMITTED = datetime.fromtimestamp(1_700_000_000, UTC)
SCHEMA: dict[str, Any] = {
    "properties": {
        "id": {"type": "integer"},
        "place": {"type": ["null", "object"]},
        "tags": {"type": ["null", "array"]},
        "either": {"type": ["null", "string", "object"]},
        "text": {"type": "string"},
    }
}
ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "place": {"a": [1, {"b": None}], "n": 2.5},
        "tags": ["x", 1],
        "either": {"a": 1},
        "text": "plain",
    },
    {"id": 2, "place": {}, "tags": [], "either": "a text", "text": '{"not": "parsed"}'},
    {"id": 3, "place": None, "tags": None, "either": '{"a": 1}', "text": "1"},
    {"id": 4, "place": {"exact": 0.1}, "tags": [[1], None, True], "either": None, "text": ""},
]


class Things(Source):
    """Things of many shapes."""

    streams = (Stream("things", schema=SCHEMA, primary_key="id"),)
    rows = ROWS

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield self.rows


@pytest.fixture
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CacheBase]:
    kind = request.param
    if kind in {"duckdb", "sqlite"}:
        make = DuckDBCache if kind == "duckdb" else SqliteCache
        yield make(db_path=tmp_path / f"x.{kind}", cache_dir=tmp_path)
        return
    url = urlsplit(POSTGRES if kind == "postgres" else MYSQL)
    login: dict[str, Any] = {
        "host": url.hostname,
        "username": url.username,
        "password": url.password or "",
    }
    if kind == "postgres":
        with postgres_schema() as name:
            place: dict[str, Any] = {
                "port": url.port or 5432,
                "database": url.path.strip("/"),
                "schema_name": name,
            }
            yield PostgresCache(**login, **place, cache_dir=tmp_path)
    else:
        with mysql_schema() as name:
            yield MySQLCache(**login, port=url.port or 3306, database=name, cache_dir=tmp_path)


def own(row: Any) -> dict[str, Any]:
    """Return the fields of a record that are the source's."""
    return {key: value for key, value in row.items() if key not in AB_INTERNAL_COLUMNS}


@pytest.mark.parametrize("cache", KINDS, indirect=True)
def test_the_same_type_out_as_in_through_each_way_of_reading(cache: CacheBase) -> None:
    result = Things(name="shop").read(cache)
    by_id = sorted(result["things"], key=lambda row: row["id"])
    assert [own(row) for row in by_id] == ROWS
    assert [own(row) for row in cache["things"].with_filter("id = 2")] == [ROWS[1]]
    frame = cache["things"].to_pandas().sort_values("id")
    for name in ("place", "tags", "either", "text"):
        assert frame[name].to_list() == [row[name] for row in ROWS]
    table = cache.destination.table_for("shop", Things.streams[0])
    asked = cache.run_sql_query(f"SELECT * FROM {table} ORDER BY id")
    assert [{key: row[key] for key in ROWS[0]} for row in asked] == ROWS
    assert asked[0]["_airbyte_meta"] == {}
    assert cache.run_sql_query(f"SELECT place FROM {table} ORDER BY id", max_records=1) == [
        {"place": ROWS[0]["place"]}
    ]
    texts = {row.content for row in result["things"].to_documents(content_properties=["text"])}
    assert texts == {row["text"] for row in ROWS}


@pytest.mark.parametrize("cache", KINDS, indirect=True)
def test_three_columns_about_each_record(cache: CacheBase) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    shop = Things(name="shop")
    result = shop.read(cache)
    rows = {row["id"]: row for row in result["things"]}
    assert len({row["_airbyte_raw_id"] for row in rows.values()}) == len(ROWS)
    assert {uuid.UUID(row["_airbyte_raw_id"]).version for row in rows.values()} == {7}
    assert all(before <= row["_airbyte_extracted_at"] <= datetime.now(UTC) for row in rows.values())
    assert all(row["_airbyte_meta"] == {} for row in rows.values())
    assert [name for name in result["things"].column_names if name not in ROWS[0]] == [
        "_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta",
    ]  # fmt: skip
    shop.rows = [*ROWS[:3], {**ROWS[3], "text": "changed"}]
    again = shop.read(cache)
    assert again.results["things"].records_loaded == 1, "they are no part of what a row is"
    assert again.results["things"].schema_changes == []
    now = {row["id"]: row["_airbyte_raw_id"] for row in again["things"]}
    assert [number for number in now if now[number] != rows[number]["_airbyte_raw_id"]] == [4]
    for strategy, count in (("append", 8), ("replace", 4)):
        result = shop.read(cache, write_strategy=strategy, force_full_refresh=True)
        assert (len(result["things"]), result.results["things"].schema_changes) == (count, [])
        assert len({row["_airbyte_raw_id"] for row in result["things"]}) == count


@pytest.mark.parametrize("cache", KINDS, indirect=True)
def test_a_table_without_the_columns_gets_them_and_no_row_is_read_again(cache: CacheBase) -> None:
    shop = Things(name="shop")
    shop.read(cache.model_copy(update={"airbyte_columns": False}))
    older = list(cache["things"])
    assert [own(row) for row in older] == older
    result = shop.read(cache)
    assert (result.results["things"].records_loaded, result.results["things"].schema_changes) == (
        0,
        [],
    )
    assert {row["_airbyte_raw_id"] for row in result["things"]} == {None}
    shop.rows = [*ROWS, {**ROWS[0], "id": 5}]
    result = shop.read(cache)
    assert result.results["things"].records_loaded == 1
    assert [row["id"] for row in result["things"] if row["_airbyte_raw_id"] is not None] == [5]


def test_a_record_was_extracted_when_its_source_emitted_it(connector: Make, tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    changed = {
        "changes": [{"field": "name", "change": "NULLED", "reason": "SOURCE_FIELD_SIZE_LIMITATION"}]
    }
    script = [
        ["rows", "a", 0, 3],
        ["record", "a", {"id": 3, "name": None}, changed],
        ["rows", "a", 4, 5],
    ]
    script[1] = ["raw", _line({"id": 3, "name": None}, emitted_at=1_700_000_000_123, meta=changed)]
    result = connector(*script, ["status", "a", "COMPLETE"], streams=["a"]).read(cache)
    rows = {row["id"]: row for row in result["a"]}
    assert {rows[number]["_airbyte_extracted_at"] for number in (0, 1, 2, 4)} == {EMITTED}
    assert rows[3]["_airbyte_extracted_at"] == EMITTED + timedelta(milliseconds=123)
    assert (rows[3]["_airbyte_meta"], rows[4]["_airbyte_meta"]) == (changed, {})


def _line(data: dict[str, Any], **more: Any) -> str:
    return json.dumps({"type": "RECORD", "record": {"stream": "a", "data": data, **more}}) + "\n"


def test_they_are_an_option_elsewhere_and_do_not_travel(tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    result = Things(name="shop").read(cache)
    plain = DuckDBDestination(str(tmp_path / "plain.duckdb"))
    wanted = DuckDBDestination(str(tmp_path / "wanted.duckdb"), airbyte_columns=True)
    for destination in (plain, wanted):
        destination.write(result)
        names = destination.read_table(
            destination.table_for("shop", Things.streams[0])
        ).column_names
        assert set(names) - set(destination.own_columns) == set(ROWS[0])
        assert (set(names) >= AB_INTERNAL_COLUMNS) is (destination is wanted)


def test_a_field_of_such_a_name_is_a_field(tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    shop = Things(name="shop")
    shop.rows = [{"id": 1, "_airbyte_raw_id": "mine"}]
    shop.streams = (Stream("things", primary_key="id"),)
    (row,) = shop.read(cache)["things"]
    assert "mine" in row.values()
    assert row["_airbyte_raw_id"] != "mine"


def test_values_that_json_cannot_tell_apart_are_exact(tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path)
    shop = Things(name="shop")
    shop.rows = [{"id": 1, "place": {"n": Decimal("0.12345678901234567890"), "i": 2**70}}]
    (row,) = shop.read(cache)["things"]
    assert row["place"] == {"n": Decimal("0.12345678901234567890"), "i": 2**70}


def test_every_cache_has_the_columns() -> None:
    assert BigQueryCache(project_name="p").destination.record_columns
    assert DuckDBCache(db_path="x", airbyte_columns=False).destination.record_columns == ()

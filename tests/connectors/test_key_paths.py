"""Primary keys inside of other fields: rows are merged by the value there, in a column of its own."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.caches.duckdb import DuckDBCache
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.exceptions import ConfigError, InputError
from etl_assets.model.catalog import Catalog
from etl_assets.sources.connector import ConnectorSource
from tests.servers import POSTGRES

from .conftest import Loaded

Make = Callable[..., ConnectorSource]
Load = Callable[..., Loaded]
M = {"type": ["null", "object"], "properties": {"k": {"type": "string"}, "o": {"type": "object"}}}
STATE = ["state", "nested", {"n": 1}]


def record(data: Any, **more: Any) -> list[Any]:
    line = {"type": "RECORD", "record": {"stream": "nested", "data": data, "emitted_at": 1, **more}}
    return ["raw", json.dumps(line, separators=(",", ":")) + "\n"]


def rows_of(*numbers: int, name: str = "x") -> list[list[Any]]:
    return [record({"id": n, "m": {"k": f"k{n}", "o": {"z": 1.10}}, "name": name}) for n in numbers]


def nested(make: Make, *script: Any, **config: Any) -> ConnectorSource:
    return make(*script, streams=["nested"], **{"properties": {"m": M}, **config})


# Many lines that begin alike are decoded to columns, one by one they are rows.
@pytest.mark.parametrize("properties", [{"m": M}, {}], ids=["declared", "undeclared"])
@pytest.mark.parametrize("count", [1, 300])
def test_rows_are_merged_by_the_value_at_the_path(
    airbyte: Make, load: Load, properties: dict[str, Any], count: int
) -> None:
    load(nested(airbyte, *rows_of(*range(count)), STATE, properties=properties))
    second = load(nested(airbyte, *rows_of(0, count, name="y"), STATE, properties=properties))
    assert second.outcomes["nested"].error is None
    assert second.outcomes["nested"].result.strategy == "merge"
    found = second.rows("source_fake.nested", "id, name, m_k, m->>'k'")
    assert found == [
        (n, "y" if n in {0, count} else "x", f"k{n}", f"k{n}") for n in range(count + 1)
    ]


def test_the_type_is_the_declared_one_behind_references_and_a_composite_key_is_one(
    airbyte: Make, load: Load
) -> None:
    properties = {
        "m": {"$ref": "#/properties/shape"},
        "shape": {"type": "object", "properties": {"k": {"type": "integer"}}},
    }
    lines = [
        record({"id": n, "m": {"k": 2**53 + 1}, "name": name})
        for n, name in ((1, "a"), (2, "b"), (1, "c"))
    ]
    paths = [["id"], ["m", "k"]]
    result = load(nested(airbyte, *lines, STATE, properties=properties, keys=paths))
    assert result.rows("source_fake.nested", "id, name, m_k, typeof(m_k)") == [
        (1, "c", 2**53 + 1, "BIGINT"),
        (2, "b", 2**53 + 1, "BIGINT"),
    ]


def test_a_stream_without_records_has_its_table_and_a_later_one_merges(
    airbyte: Make, load: Load
) -> None:
    load(nested(airbyte, STATE))
    for name in ("x", "y"):
        result = load(nested(airbyte, *rows_of(1, 2, name=name), STATE))
    assert result.rows("source_fake.nested", "m_k, name") == [("k1", "y"), ("k2", "y")]


def test_the_connector_is_asked_as_it_described_itself(
    airbyte: Make, load: Load, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    source = nested(airbyte, *rows_of(1), STATE, ["note", str(note)])
    load(source)
    (entry,) = json.loads(note.read_text())["catalog"]["streams"]
    assert entry["primary_key"] == entry["stream"]["source_defined_primary_key"] == [["m", "k"]]
    assert entry["destination_sync_mode"] == "append_dedup"
    assert set(entry["stream"]["json_schema"]["properties"]) == {"id", "name", "m"}
    (shown,) = source.get_configured_catalog().streams
    assert shown.primary_key == [["m", "k"]]
    (found,) = source.get_records("nested")
    assert {name for name in found if not name.startswith("_airbyte")} == {"id", "name", "m"}


def test_a_script_and_a_committed_catalog_merge_too(airbyte: Make, tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=str(tmp_path / "cache.duckdb"))
    for name in ("x", "y"):
        nested(airbyte, *rows_of(1, 2, name=name), STATE).read(cache)
    assert [(row["name"], row["m"]["k"]) for row in cache["nested"]] == [("y", "k1"), ("y", "k2")]
    path = str(tmp_path / "w.duckdb")
    for name in ("x", "y"):
        source = nested(airbyte, *rows_of(1, 2, name=name), STATE)
        catalog = Catalog.from_dict(json.loads(json.dumps(source.discover().to_dict())))
        assets = stream_assets(source, catalog=catalog, destination=DuckDBDestination(path))
        assert dg.materialize(assets).success
    with duckdb.connect(path) as connection:
        found = connection.sql("SELECT m_k, name FROM source_fake.nested ORDER BY 1").fetchall()
    assert found == [("k1", "y"), ("k2", "y")]


def test_a_field_that_is_not_selected_gives_its_key_all_the_same(airbyte: Make, load: Load) -> None:
    for name in ("x", "y"):
        source = nested(airbyte, *rows_of(*range(300), name=name), STATE)
        (stream,) = source.discover().values()
        source._discovered = Catalog([stream.replace(columns=["id", "name"])])
        result = load(source)
    assert result.rows("source_fake.nested", "count(*), count(DISTINCT m_k), max(name)") == [
        (300, 300, "y")
    ]
    assert "m" not in result.columns("source_fake.nested")


def test_postgres_merges_by_it(airbyte: Make, tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    from tests.servers import postgres_schema

    with postgres_schema() as schema:
        for name in ("x", "y"):
            source = nested(airbyte, *rows_of(1, 2, name=name), STATE)
            source.name = schema
            where = PostgresDestination(
                POSTGRES, staging_dir=str(tmp_path), state_schema=f"{schema}_state"
            )
            assert dg.materialize(
                stream_assets(source, catalog=source.discover(), destination=where)
            ).success
        with psycopg.connect(POSTGRES.replace("+psycopg", "")) as connection:
            found = connection.execute(
                f'SELECT m_k, name FROM "{schema}".nested ORDER BY 1'
            ).fetchall()
            connection.execute(f'DROP SCHEMA IF EXISTS "{schema}_state" CASCADE')
        assert found == [("k1", "y"), ("k2", "y")]


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"id": 1, "m": {"k": None}}, "field 'm.k': a key is NULL or missing"),
        ({"id": 1, "m": None}, "field 'm.k': a key is NULL or missing"),
        ({"id": 1}, "field 'm.k': a key is NULL or missing"),
        ({"id": 1, "m": {"k": {"a": 1}}}, "field 'm.k': a primary key is an object"),
        (
            {"id": 1, "m": {"k": "a"}, "m.k": "b"},
            "field 'm.k': the column for the primary key at m > k has the name",
        ),
    ],
)
def test_a_record_whose_key_can_be_none_is_told(
    airbyte: Make, load: Load, data: dict[str, Any], said: str, count: int
) -> None:
    result = load(nested(airbyte, *rows_of(*range(2, count + 1)), record(data), STATE))
    assert said in result.failure("nested")
    assert "stream 'nested'" in result.failure("nested")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"keys": [["m", "o"]]}, "it is an object or an array"),
        (
            {"properties": {"m": M, "m_k": {"type": "string"}}},
            "would be called as the field 'm_k' is",
        ),
    ],
)
def test_a_key_that_no_column_can_have_is_refused_and_the_hint_works(
    airbyte: Make, load: Load, tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    script = [*rows_of(1), STATE]
    error = load(nested(airbyte, *script, **more)).outcomes["nested"].error
    assert isinstance(error, ConfigError)
    assert "stream 'nested': its primary key 'm." in str(error)
    assert said in str(error)
    with pytest.raises(
        Exception, match=r"read\(write_strategy=\"append\"\) or set_primary_key\(\"nested\""
    ):
        nested(airbyte, *script, **more).read(DuckDBCache(db_path=str(tmp_path / "cache.duckdb")))
    options = re.search(r"options=(\{.*?\}\})", str(error))
    assert options is not None
    for given, rows in ((json.loads(options[1]), 2), ({"nested": {"primary_key": "id"}}, 1)):
        path = str(tmp_path / f"{rows}.duckdb")
        for _ in range(2):
            source = nested(airbyte, *script, **more)
            assets = stream_assets(
                source,
                catalog=source.discover(),
                destination=DuckDBDestination(path),
                options=given,
            )
            assert dg.materialize(assets).success
        with duckdb.connect(path) as connection:
            assert connection.sql("SELECT count(*) FROM source_fake.nested").fetchall() == [(rows,)]


def test_a_catalog_from_before_says_what_to_do_and_that_works(
    airbyte: Make, tmp_path: Path
) -> None:
    script = [*rows_of(1), STATE]
    path = str(tmp_path / "w.duckdb")

    def run(**options: Any) -> dg.ExecuteInProcessResult:
        source = nested(airbyte, *script)
        (stream,) = source.discover().values()
        catalog = Catalog([stream.replace(primary_key=[])])
        assets = stream_assets(
            source, catalog=catalog, destination=DuckDBDestination(path), **options
        )
        return dg.materialize(assets, raise_on_error=False)

    failed = run()
    said = str([event.event_specific_data for event in failed.all_events if event.is_step_failure])
    assert "its catalog does not say that rows are merged by it" in said
    given = re.search(r'\{\\*"primary_key\\*": \[\\*"m\.k\\*"\]\}', said)
    assert given is not None
    for _ in range(2):
        assert run(options={"nested": json.loads(given[0].replace("\\", ""))}).success
    with duckdb.connect(path) as connection:
        assert connection.sql("SELECT id, m_k FROM source_fake.nested").fetchall() == [(1, "k1")]


def test_a_path_that_somebody_names_is_followed_also_in_a_full_table(
    airbyte: Make, load: Load
) -> None:
    for _ in range(2):
        result = load(airbyte(["rows", "full_nested", 0, 2], streams=["full_nested"]))
        assert result.rows("source_fake.full_nested") == [0, 1]
        assert "m_k" not in result.columns("source_fake.full_nested")


def test_a_path_is_set_as_the_primary_key_of_a_script(airbyte: Make, tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=str(tmp_path / "cache.duckdb"))
    price = {"type": "number", "multipleOf": 0.01}
    properties = {"m.x": {"type": "object", "properties": {"k": price}}}
    for name in ("x", "y"):
        start = '{"type":"RECORD","record":{"stream":"log_a","emitted_at":1,"data":'
        rows = [f'{{"id":{n},"name":"{name}","m.x":{{"k":{n}.10}}}}' for n in (1, 2)]
        lines = [["raw", f"{start}{row}}}}}\n"] for row in rows]
        source = airbyte(
            *lines, ["state", "log_a", {"n": 1}], streams=["log_a"], properties=properties
        )
        with pytest.raises(InputError, match=r"no field 'm\.x\.z'"):
            source.set_primary_key("log_a", "m.x.z")
        source.set_primary_key("log_a", "m.x.k")
        source.read(cache)
    found = cache.run_sql_query("SELECT name, m_x_k FROM log_a ORDER BY 2")
    assert found == [
        {"name": "y", "m_x_k": Decimal("1.10")},
        {"name": "y", "m_x_k": Decimal("2.10")},
    ]

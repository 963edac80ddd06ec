"""Connectors that are wrong about their types: all wrong fields are told at once, and what the error says helps."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.caches.duckdb import DuckDBCache
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.engine import loop
from etl_assets.exceptions import ConfigError, DataError
from etl_assets.model.catalog import Catalog
from etl_assets.model.catalog_rediscovery import rediscovered
from etl_assets.model.stream import Stream
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

from .conftest import Loaded
from .test_singer import schema, state

Make = Callable[..., ConnectorSource]
Load = Callable[..., Loaded]

WRONG = schema(
    "a",
    id={"type": "integer"},
    at={"type": "string", "format": "date-time"},
    flag={"type": "boolean"},
    n={"type": "integer"},
    tags={"type": "integer"},
)
ROWS = [
    {
        "type": "RECORD",
        "stream": "a",
        "record": {"id": "A-1", "at": "never", "flag": 1, "n": 7, "tags": ["x"]},
    },
    {
        "type": "RECORD",
        "stream": "a",
        "record": {"id": "A-2", "at": "2026-01-01", "flag": 0, "n": 8, "tags": None},
    },
]
LINES = [WRONG, *ROWS, state(a=1)]


def types_in(path: Path, table: str = "tap_fake.a") -> dict[str, str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return {name: type_ for name, type_, *_ in connection.sql(f"DESCRIBE {table}").fetchall()}


def materialized(
    source: ConnectorSource, tmp_path: Path, **options: Any
) -> dg.ExecuteInProcessResult:
    assets = stream_assets(
        source,
        ["a"],
        catalog=source.discover(),
        destination=DuckDBDestination(str(tmp_path / "w.duckdb")),
        **options,
    )
    return dg.materialize(assets, raise_on_error=False)


def test_every_wrong_field_is_told_and_the_hint_works_as_it_stands(
    singer: Make, load: Load, tmp_path: Path
) -> None:
    failure = load(singer(*LINES, streams=["a"])).outcomes["a"].error
    assert isinstance(failure, DataError)
    for field, value in (("id", "'A-1'"), ("at", "'never'"), ("flag", "1"), ("tags", r"\['x'\]")):
        assert re.search(rf"field '{field}'.*?Value: {value}", str(failure)), field
    assert "field 'n'" not in str(failure)
    said = re.search(r"options=(\{.*\}\}\}) of stream_assets", str(failure))
    assert said is not None
    options = json.loads(said[1])
    assert options == {
        "a": {"types": {"id": "string", "at": "string", "flag": "integer", "tags": "json"}}
    }
    for _ in range(2):  # also once there is a table, and a SCHEMA message that contradicts it
        assert materialized(singer(*LINES, streams=["a"]), tmp_path, options=options).success
    found = types_in(tmp_path / "w.duckdb")
    assert [found[name] for name in ("id", "at", "flag", "n", "tags")] == [
        "VARCHAR",
        "VARCHAR",
        "BIGINT",
        "BIGINT",
        "JSON",
    ]
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        assert connection.sql(
            'SELECT id, "at", flag, tags FROM tap_fake.a ORDER BY 1'
        ).fetchall() == [
            ("A-1", "never", 1, '["x"]'),
            ("A-2", "2026-01-01", 0, None),
        ]


def test_the_hint_works_in_a_script_too(singer: Make, tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=str(tmp_path / "cache.duckdb"))
    with pytest.raises(Exception, match=r"types=\{.*\} of get_source") as raised:
        singer(*LINES, streams=["a"]).read(cache)
    said = re.search(
        r"types=(\{[^=]*\}\}) of get_source", str(raised.value) + str(raised.value.__cause__)
    )
    assert said is not None
    source = singer(*LINES, streams=["a"])
    typed = type(source)(
        source.executor, source.connector_name, source.get_config(), types=json.loads(said[1])
    )
    assert typed.read(cache).processed_records == 2


def test_a_type_is_no_conversion_beyond_what_any_declared_type_is(singer: Make, load: Load) -> None:
    source = singer(
        schema("a", id={"type": "string"}), {**ROWS[0], "record": {"id": "x"}}, streams=["a"]
    )
    source.types = {"a": {"id": "integer"}}
    assert "field 'id': str in a column declared int64" in load(source).failure("a")


def test_types_of_an_airbyte_source_beat_its_catalog(airbyte: Make, load: Load) -> None:
    raw = '{"type":"RECORD","record":{"stream":"a","data":{"id":"A-1"},"emitted_at":1}}\n'
    assert '"types": {"id": "string"}' in load(airbyte(["raw", raw], streams=["a"])).failure("a")
    source = airbyte(["raw", raw], streams=["a"])
    source.types = {"a": {"id": "string"}}
    assert load(source).rows("source_fake.a") == ["A-1"]


def test_a_json_schema_is_a_type(singer: Make, tmp_path: Path) -> None:
    options = {
        "a": StreamOptions(types={"n": {"type": "number", "multipleOf": 0.01, "maximum": 100}})
    }
    lines = [
        schema("a", id={"type": "integer"}, n={"type": "string"}),
        {**ROWS[0], "record": {"id": 1, "n": 7}},
    ]
    assert materialized(singer(*lines, streams=["a"]), tmp_path, options=options).success
    assert types_in(tmp_path / "w.duckdb")["n"] == "DECIMAL(4,2)"


def test_types_stay_in_a_catalog_that_is_discovered_again() -> None:
    found = Stream(
        "a", schema={"properties": {"id": {"type": "integer", "description": "The key"}, "n": {}}}
    )
    typed = found.replace(types={"id": "string", "gone": "string"})
    assert typed.schema == {
        "properties": {"id": {"type": ["null", "string"], "description": "The key"}, "n": {}}
    }
    again = rediscovered(Catalog([Stream.from_dict(typed.to_dict())]), Catalog([found])).catalog[
        "a"
    ]
    assert again.types == typed.types
    assert again.schema == typed.schema
    changed = again.replace(
        schema={"properties": {"id": {"type": "integer"}, "gone": {"type": "integer"}}}
    )
    assert changed.schema is not None
    assert {name: one["type"] for name, one in changed.schema["properties"].items()} == {
        "id": ["null", "string"],
        "gone": ["null", "string"],
    }


@pytest.mark.parametrize(
    ("types", "said"),
    [
        (
            {"id": "strng"},
            r"stream 'a', field 'id': there is no type 'strng'.*Did you mean 'string'",
        ),
        ({"id": 3}, r"field 'id': there is no type 3"),
        (["id"], r"types is \['id'\]"),
    ],
)
def test_a_type_that_there_is_not_is_named(types: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        StreamOptions(types=types).applied_to(Stream("a"))


def test_a_replication_method_is_an_option(singer: Make, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    lines = [schema("a"), {**ROWS[0], "record": {"id": 1}}, state(a=1)]
    source = singer(*lines, streams=["a"], note=str(note))
    assert materialized(
        source, tmp_path, options={"a": {"replication_method": "LOG_BASED"}}
    ).success
    (entry,) = json.loads(note.read_text())["catalog"]["streams"]
    (own,) = [one["metadata"] for one in entry["metadata"] if not one["breadcrumb"]]
    assert own["replication-method"] == "LOG_BASED"
    with pytest.raises(ConfigError, match="FULL_TABLE, INCREMENTAL, LOG_BASED"):
        materialized(source, tmp_path, options={"a": {"replication_method": "LOGS"}})


def test_the_hint_works_as_it_stands_for_an_airbyte_source_too(
    airbyte: Make, load: Load, tmp_path: Path
) -> None:
    lines = [
        f'{{"type":"RECORD","record":{{"stream":"a","data":{{"id":"A-{n}","name":{n}}},"emitted_at":1}}}}\n'
        for n in (1, 2)
    ]
    script = [*(["raw", line] for line in lines), ["state", "a", {"n": 1}]]
    failure = load(airbyte(*script, streams=["a"])).failure("a")
    said = re.search(r"options=(\{.*\}\}\}) of stream_assets", failure)
    assert said is not None
    assert json.loads(said[1]) == {"a": {"types": {"id": "string"}}}
    path = tmp_path / "typed"
    path.mkdir()
    for _ in range(2):
        assert materialized(
            airbyte(*script, streams=["a"]), path, options=json.loads(said[1])
        ).success
    with duckdb.connect(str(path / "w.duckdb")) as connection:
        assert connection.sql("SELECT id, name FROM source_fake.a ORDER BY 1").fetchall() == [
            ("A-1", "1"),
            ("A-2", "2"),
        ]


def test_wrong_fields_far_apart_in_one_block_are_told_at_once(singer: Make, load: Load) -> None:
    wide = schema(
        "a",
        id={"type": "integer"},
        b={"type": "integer"},
        c={"type": "boolean"},
        name={"type": "string"},
    )
    rows: list[Any] = [{"id": n, "b": 1, "c": True, "name": "x"} for n in range(6000)]
    rows[3]["b"], rows[5900]["c"], rows[5901]["id"] = "bad", "no", "A"
    lines = [{"type": "RECORD", "stream": "a", "record": row} for row in rows]
    failure = load(singer(wide, *lines, state(a=1), streams=["a"])).failure("a")
    for field in ("id", "b", "c"):
        assert f"field '{field}'" in failure
    assert '{"a": {"types": {"id": "string", "b": "string", "c": "string"}}}' in failure


def record(stream: str, **values: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": values}


FAR = schema("a", id={"type": "integer"}, b={"type": "integer"}, name={"type": "string"})


def far(stream: str = "a") -> list[dict[str, Any]]:
    """Records of more than two blocks of lines, `b` wrong in the first of them and `id` in the last."""
    rows: list[dict[str, Any]] = [{"id": n, "b": 1, "name": "x" * 400} for n in range(6000)]
    rows[3]["b"], rows[4]["b"], rows[5901]["id"] = "bad", "worse", "A"
    return [record(stream, **row) for row in rows]


BOTH = '{"a": {"types": {"b": "string", "id": "string"}}}'


def test_wrong_fields_of_different_blocks_are_told_at_once(singer: Make, load: Load) -> None:
    loaded = load(singer(FAR, *far(), state(a=1), streams=["a"]))
    failure = loaded.failure("a")
    assert "field 'b': str in a column declared int64. Value: 'bad' (and 1 more)." in failure
    assert "Also field 'id': str in a column declared int64. Value: 'A'." in failure
    assert BOTH in failure
    assert loaded.error is None
    assert loaded.outcomes["a"].result.records_loaded == 0


def test_wrong_fields_of_different_blocks_of_an_airbyte_source_are_told_at_once(
    airbyte: Make, load: Load
) -> None:
    lines = [
        json.dumps(
            {"type": "RECORD", "record": {"stream": "a", "data": line["record"], "emitted_at": 1}}
        )
        for line in far()
    ]
    fields = {"b": {"type": "integer"}}
    script = [["raw", "\n".join(lines) + "\n"], ["state", "a", {"n": 1}]]
    loaded = load(airbyte(*script, streams=["a"], properties=fields))
    assert (
        "field 'b': str in a column declared int64. Value: 'bad' (and 1 more)."
        in loaded.failure("a")
    )
    assert BOTH in loaded.failure("a")
    assert loaded.error is None


def test_wrong_fields_behind_states_are_told_at_once_and_other_streams_are_as_they_were(
    singer: Make, load: Load
) -> None:
    lines = far()
    other = schema("b", id={"type": "integer"}, flag={"type": "boolean"})
    script = [
        FAR,
        other,
        record("b", id=1, flag=True),
        *lines[:3000],
        state(a=1),
        *lines[3000:],
        state(a=2),
    ]
    loaded = load(singer(*script, record("b", id="B", flag=3), state(a=3), streams=["a", "b"]))
    assert BOTH in loaded.failure("a")
    assert "field 'id'" in loaded.failure("b")
    assert "field 'flag'" in loaded.failure("b")
    assert loaded.error is None


def test_one_stream_alone_tells_all_wrong_fields(singer: Make, tmp_path: Path) -> None:
    source = singer(FAR, *far(), state(a=1), streams=["a"])
    stream = source.discover()["a"].replace(schema=FAR["schema"])
    destination = DuckDBDestination(path=str(tmp_path / "alone.duckdb"))
    with pytest.raises(DataError, match=r"field 'b'.* \(and 1 more\).*Also field 'id'"):
        sync(StreamRead(source, stream), destination)


def test_no_more_is_looked_at_than_time_allows(
    singer: Make, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS", 0.0)
    failure = load(singer(FAR, *far(), state(a=1), streams=["a"])).failure("a")
    assert "field 'b'" in failure

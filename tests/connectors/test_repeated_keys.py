"""A record with a key twice ends the sync of its stream, and no state that is stored has passed it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import DataError, DestinationError
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.messages import write_schema, write_state
from etl_assets.sources.source_read import SourceRead
from etl_assets.sync_source import sync_source
from tests.mage.test_target import Kept

from .conftest import Loaded

Make = Callable[..., ConnectorSource]
Load = Callable[..., Loaded]

SCHEMA: dict[str, Any] = {
    "properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}
}
SAID = "stream 'a', field 'name': the key comes twice in one object, and only one of its values could be kept. Value: "
TWICE = {
    "columns": (
        '{"id":2,"name":"x","name":"y"}',
        SAID + "'x', then 'y'. Have the source send each key once",
    ),
    "rows": (
        '{"id":2,"name":"x","more":1,"name":null}',
        SAID + "'x', then None. Have the source send each key once",
    ),
}
BOTH = pytest.mark.parametrize(("twice", "said"), TWICE.values(), ids=TWICE)


def singer_lines(twice: str) -> list[str]:
    record = '{{"type":"RECORD","stream":"a","record":{}}}'
    state = '{{"type":"STATE","value":{{"bookmarks":{{"a":{}}}}}}}'
    schema = json.dumps(
        {"type": "SCHEMA", "stream": "a", "schema": SCHEMA, "key_properties": ["id"]}
    )
    return [
        schema,
        record.format('{"id":1,"name":"n"}'),
        state.format(1),
        record.format(twice),
        state.format(2),
    ]


@BOTH
def test_of_a_singer_tap(singer: Make, load: Load, tmp_path: Path, twice: str, said: str) -> None:
    for lines in (singer_lines(twice)[:-1], singer_lines(twice)):
        result = load(singer(*lines, streams=["a"]))
        assert said in result.failure("a")
        assert result.rows("tap_fake.a") == [1]
    note = tmp_path / "note"
    load(singer(*singer_lines('{"id":2,"name":"y"}'), streams=["a"], note=str(note)))
    assert json.loads(note.read_text())["state"] == {"bookmarks": {"a": 1}}
    assert result.rows("tap_fake.a", "id, name") == [(1, "n"), (2, "y")]


@BOTH
def test_of_an_airbyte_source(airbyte: Make, load: Load, twice: str, said: str) -> None:
    def record(data: str) -> str:
        return f'{{"type":"RECORD","record":{{"stream":"a","data":{data},"emitted_at":1}}}}\n'

    def state(number: int) -> str:
        said = {"stream_descriptor": {"name": "a"}, "stream_state": {"n": number}}
        return json.dumps({"type": "STATE", "state": {"type": "STREAM", "stream": said}}) + "\n"

    lines = record('{"id":1,"name":"n"}') + state(1) + record(twice)
    for more in (lines, lines + state(2)):
        result = load(airbyte(["raw", more], streams=["a"]))
        assert said in result.failure("a")
        assert result.rows("source_fake.a") == [1]
        assert result.bookmark("a") == {"n": 1}


@pytest.mark.parametrize(
    "twice", ['{"id":2,"name":"x","name":"y"}', '{"id":2,"name":"x","n\\u0061me" : "y"}']
)
def test_of_the_file_of_a_batch(singer: Make, load: Load, twice: str) -> None:
    batch = {
        "type": "BATCH",
        "stream": "a",
        "encoding": {"format": "jsonl"},
        "manifest": ["file://{here}/part.jsonl"],
    }
    lines = singer_lines("{}")
    does = f"(here / 'part.jsonl').write_text({twice + chr(10)!r})"
    result = load(singer(*lines[:3], json.dumps(batch), lines[-1], streams=["a"], does=does))
    assert SAID + "'x', then 'y'." in result.failure("a")
    assert result.rows("tap_fake.a") == [1]


@BOTH
def test_on_its_way_into_a_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], twice: str, said: str
) -> None:
    path = tmp_path / "w.duckdb"
    lines = singer_lines(twice)
    for more in ([lines[0], lines[1], lines[2]], lines):
        warehouse = DuckDBDestination(str(path))
        warehouse.config = {}
        text = io.BytesIO("".join(f"{line}\n" for line in more).encode())
        if more is lines:
            with pytest.raises(DestinationError, match="1 of 1 streams failed") as error:
                warehouse.process(text)
            assert said in str(error.value)
        else:
            warehouse.process(text)
    with duckdb.connect(str(path)) as connection:
        assert connection.sql("SELECT id FROM tap.a").fetchall() == [(1,)]
    assert '"a":2' not in capsys.readouterr().out


@BOTH
def test_on_its_way_into_a_destination_in_mages_style(twice: str, said: str) -> None:
    kept = Kept(config={"state_seconds": 0})
    with pytest.raises(DestinationError, match="1 of 1 streams failed") as error:
        kept.process(io.BytesIO("".join(f"{line}\n" for line in singer_lines(twice)).encode()))
    assert said in str(error.value)
    states = [call[1] for call in kept.calls if call[0] == "state"]
    assert states
    assert all(one == {"bookmarks": {"a": 1}} for one in states)


class Printing(Source):
    """A source in Mage's style that prints its messages itself."""

    twice = ""

    def sync(self, catalog: Any, properties: Any = None) -> None:
        del catalog, properties
        write_schema("a", SCHEMA, ["id"])
        print('{"type":"RECORD","stream":"a","record":{"id":1}}')
        write_state({"bookmarks": {"a": {"id": 1}}})
        print(f'{{"type":"RECORD","stream":"a","record":{self.twice}}}')
        write_state({"bookmarks": {"a": {"id": 2}}})


@BOTH
def test_of_a_source_that_prints_its_messages(tmp_path: Path, twice: str, said: str) -> None:
    source = Printing(name="tap")
    source.twice = twice
    path = tmp_path / "w.duckdb"
    read = SourceRead(source, [Stream("a", replication_key="id")])
    (outcome,) = sync_source(read, DuckDBDestination(str(path)), checkpoint_seconds=0)
    assert isinstance(outcome.error, DataError)
    assert said in str(outcome.error)
    assert outcome.result.bookmark == {"bookmarks": {"a": {"id": 1}}}
    with duckdb.connect(str(path)) as connection:
        assert connection.sql("SELECT id FROM tap.a").fetchall() == [(1,)]


def test_inside_of_a_json_column_both_stay(singer: Make, load: Load) -> None:
    lines = singer_lines('{"id":2,"tree":{"x":1,"x":2}}')
    lines[0] = lines[0].replace('"name":', '"tree": {"type": "object"}, "name":')
    result = load(singer(*lines, streams=["a"]))
    assert result.error is None
    assert result.rows("tap_fake.a", "tree::VARCHAR", "id") == [None, '{"x":1,"x":2}']


def test_where_its_column_is_read_as_dicts_it_is_refused(singer: Make, load: Load) -> None:
    lines = singer_lines('{"id":2,"tree":{"x":1,"x":2},"more":1}')
    lines[0] = lines[0].replace('"name":', '"tree": {"type": "object"}, "name":')
    result = load(singer(*lines, streams=["a"]))
    assert "stream 'a', field 'tree.x': the key comes twice in one object" in result.failure("a")

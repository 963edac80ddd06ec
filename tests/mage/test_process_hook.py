"""Destinations that read their messages themselves (`_process`), as assets: the schema they find is in Mage's form."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from etl_assets import Source, Stream, stream_assets
from etl_assets.destinations.base import Destination
from etl_assets.model.catalog import Catalog

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["null", "string"]},
        "doc": {"type": "object", "properties": {"type": {"type": "string"}}},
        "tags": {"type": "array", "items": {"type": "number"}},
    },
}
ROW = {"id": 1, "name": None, "doc": {"type": "x"}, "tags": [1.5]}


class Users(Source):
    def declared_catalog(self) -> Catalog:
        return Catalog([Stream("users", primary_key="id", schema=SCHEMA)])

    def load_data(
        self, stream: Stream, *args: Any, **kwargs: Any
    ) -> Iterator[list[dict[str, Any]]]:
        del stream, args, kwargs
        yield [ROW]


class Documents(Destination):
    """Writes each record by the one type that its field has beside null, as Mage's document databases do."""

    def _process(self, input_buffer: Any) -> None:
        del input_buffer
        lines = Path(str(self.input_file_path)).read_text().splitlines()
        schema, *records = map(json.loads, lines)
        with Path(self.config["out"]).open("a") as out:
            for line in records:
                types = {
                    name: schema["schema"]["properties"][name]["type"] for name in line["record"]
                }
                out.write(
                    json.dumps([line["record"], {name: [*kinds] for name, kinds in types.items()}])
                    + "\n"
                )


def test_types_are_lists(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    destination = Documents(config={"out": str(out)}, batch_processing=True)
    assert dg.materialize(stream_assets(Users(name="shop"), destination=destination)).success
    record, types = json.loads(out.read_text())
    assert record == ROW
    assert types == {
        "id": ["integer"],
        "name": ["null", "string"],
        "doc": ["object"],
        "tags": ["array"],
    }

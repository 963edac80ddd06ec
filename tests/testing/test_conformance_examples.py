"""The examples pass the kit, and are as small as they say."""

import json
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.base import Destination
from etl_assets.sources.base import Source
from etl_assets.testing import DestinationConformance, SourceConformance
from examples.tiny_destination import JsonLines
from examples.tiny_source import Lines

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class TestTinySource(SourceConformance):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        self.path = tmp_path / "rows.jsonl"
        self.path.write_text(
            "".join(json.dumps({"name": f"row {n}", "n": n * 1.5}) + "\n" for n in range(7))
        )
        return Lines(name="lines", config={"path": str(self.path)})

    def add_rows(self) -> bool:
        with self.path.open("a") as file:
            file.write('{"name": "later"}\n')
        return True

    def source_with_secret(self, reference: Any) -> Source:
        return Lines(name="lines", config={"path": self.path, "token": reference})


class TestTinyDestination(DestinationConformance):
    title = "examples/tiny_destination.py"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Destination:
        self.folder = tmp_path
        return JsonLines(config={"folder": str(tmp_path)})

    def left_over(self) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.suffix != ".jsonl"]


@pytest.mark.parametrize(("name", "most"), [("tiny_source.py", 25), ("tiny_destination.py", 55)])
def test_an_example_is_small(name: str, most: int) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= most

"""Sources of ours as Airbyte sources: `spec`, `check`, `discover` and `read`, driven by our own host of such."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl_assets.exceptions import AuthenticationError, ConfigError
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.connectors import get_source
from tests.connectors import own_source

from .conftest import Loaded

ROOT = Path(__file__).parents[2]
Load = Callable[..., Loaded]
Make = Callable[..., ConnectorSource]


def command(path: Path, module: str = str(own_source.__file__)) -> Path:
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "{module}" "$@"\n')
    path.chmod(stat.S_IRWXU)
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Make:
    def made(**config: Any) -> ConnectorSource:
        path = command(tmp_path / "source-shop")
        return get_source("source-shop", {"token": "right-token", **config}, local_executable=path)

    return made


def test_it_says_what_it_is(shop: Make) -> None:
    source = shop()
    assert source.config_spec["type"] == "object"
    source.test_connection()
    found = source.discover()
    assert {one.name: (one.method, one.primary_key) for one in found.values()} == {
        "orders": ("INCREMENTAL", ("id",)), "values": ("FULL_TABLE", ()), "broken": ("INCREMENTAL", ("id",)),
    }  # fmt: skip
    assert set((found.get("values").schema or {})["properties"]) == {
        "n",
        "price",
        "at",
        "day",
        "raw",
    }
    with pytest.raises(AuthenticationError) as caught:
        shop(token="wrong" + "-token").test_connection()
    assert "the token '****' is wrong" in str(caught.value)


def test_what_it_reads_arrives_exact_and_the_next_read_goes_on(shop: Make, load: Load) -> None:
    first = load(shop(last=4), streams=["orders", "values"])
    assert (first.error, first.outcomes["values"].error) == (None, None)
    assert first.rows("source_shop.orders", "id, note") == [
        (n, f"Größe \u2028 {n}") for n in range(5)
    ]
    assert first.bookmark("orders") == {"id": 4}
    numbers = first.rows("source_shop.values", "CAST(n AS VARCHAR)", "n")
    assert sorted(map(int, numbers)) == sorted(own_source.NUMBERS)
    columns = 'DISTINCT CAST(price AS VARCHAR), CAST(epoch_us("at") AS VARCHAR), CAST(day AS VARCHAR), raw'
    assert first.rows("source_shop.values", columns) == [
        ("12345678901234567890.123456789", "1767323045678901", "0001-01-01", "AP8=")
    ]
    again = load(shop(last=6), streams=["orders", "values"])
    assert again.outcomes["orders"].result.records_read == 3  # from the bookmark on
    assert again.rows("source_shop.orders") == list(range(7))
    assert len(again.rows("source_shop.values", "1")) == len(own_source.NUMBERS)


def test_a_stream_that_fails_fails_alone_and_keeps_its_state(shop: Make, load: Load) -> None:
    found = load(shop(), streams=["broken", "orders"])
    assert found.outcomes["orders"].error is None
    assert "the line is cut" in found.failure("broken")
    assert found.rows("source_shop.broken") == [0, 1]
    assert found.bookmark("broken") == {"id": 1}


TAP = """
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source, main
from etl_assets.sources.messages import write_records, write_schema, write_state

SCHEMA = {"properties": {"id": {"type": "integer"}}}

class Tap(Source):
    streams = [Stream("a", schema=SCHEMA, primary_key="id", replication_key="id")]
    granularity = "source"
    def sync(self, catalog, properties=None):
        first = self.state.get("bookmarks", {}).get("a", {}).get("id", 0)
        write_schema("a", SCHEMA, "id", ["id"])
        write_records("a", [{"id": n} for n in range(first, first + 3)])
        write_state({"bookmarks": {"a": {"id": first + 3}}, "big": 2 ** 70})

main(Tap)
"""


def test_a_source_that_writes_singer_messages_has_a_global_state(
    tmp_path: Path, load: Load
) -> None:
    (tmp_path / "tap.py").write_text(TAP)
    source = get_source(
        "source-tap",
        {},
        local_executable=command(tmp_path / "source-tap", str(tmp_path / "tap.py")),
    )
    for rows in (3, 6):
        found = load(source)
        assert found.error is None
        assert found.rows("source_tap.a") == list(range(rows))
    state: Any = found.bookmark("a")
    assert state["global"]["shared_state"] == {"bookmarks": {"a": {"id": 6}}, "big": 2**70}


def run(tmp_path: Path, *arguments: str, **documents: Any) -> tuple[int, list[dict[str, Any]]]:
    options: list[str] = []
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        options += [f"--{name}", str(tmp_path / f"{name}.json")]
    program = str(command(tmp_path / "source-shop"))
    done = subprocess.run(
        [program, *arguments, *options], capture_output=True, text=True, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def catalog(*names: str, mode: str = "incremental") -> dict[str, Any]:
    return {"streams": [{"stream": {"name": name}, "sync_mode": mode} for name in names]}


def test_a_full_refresh_ignores_the_state_and_ends_with_none(tmp_path: Path) -> None:
    state = [
        {
            "type": "STREAM",
            "stream": {"stream_descriptor": {"name": "orders"}, "stream_state": {"id": 5}},
        }
    ]
    code, messages = run(
        tmp_path, "read", config={}, catalog=catalog("orders", mode="full_refresh"), state=state
    )
    assert code == 0
    assert [one["record"]["data"]["id"] for one in messages if one["type"] == "RECORD"] == list(
        range(6)
    )
    (only,) = [one["state"] for one in messages if one["type"] == "STATE"]
    assert only["stream"]["stream_state"] == {"__ab_no_cursor_state_message": True}
    assert only["sourceStats"] == {"recordCount": 6.0}


def test_what_cannot_be_read_is_told_as_a_config_error(tmp_path: Path) -> None:
    code, messages = run(tmp_path, "read", config={}, catalog=catalog("nothing"))
    assert code == 1
    (error,) = [one["trace"]["error"] for one in messages]
    assert (error["failure_type"], "'nothing'" in error["message"]) == ("config_error", True)
    code, messages = run(tmp_path, "read", config={}, catalog=catalog("values"))
    assert code == 1
    assert "no cursor of its own" in messages[0]["trace"]["error"]["message"]


def test_a_wrong_config_for_its_host_is_told(shop: Make) -> None:
    with pytest.raises((ConfigError, AuthenticationError), match="is wrong"):
        shop(token=None).test_connection()

"""The defects that were found in PyAirbyte, one by one: the same is done here, and comes out right."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from etl_assets import DuckDBCache, Source, Stream
from etl_assets.exceptions import AirbyteConnectorError, AirbyteError
from etl_assets.scripts.reading import StreamsFailedError
from tests.api.conftest import Make

ROOT = Path(__file__).resolve().parents[2]


class Rows(Source):
    """One stream with the rows it was given."""

    def __init__(self, *rows: dict[str, Any], key: str | None = None) -> None:
        super().__init__(name="rows", streams=[Stream("items", primary_key=key or ())])
        self.rows = list(rows)

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield self.rows


def ids(cache: DuckDBCache, stream: str) -> list[int]:
    return sorted(row["id"] for row in cache[stream])


def bookmarks(cache: DuckDBCache, source: str) -> dict[str, Any]:
    return dict(cache.get_state_provider(source).states)


def test_01_one_failing_stream_does_not_lose_the_others(
    connector: Make, cache: DuckDBCache
) -> None:
    source = connector(
        ["rows", "a", 0, 3], ["state", "a", {"at": 3}], ["status", "a", "COMPLETE"],
        ["rows", "b", 0, 2], ["exit", 1],
    )  # fmt: skip
    with pytest.raises(StreamsFailedError, match=r"1 of 2 streams .* failed: 'b'") as caught:
        source.read(cache)
    assert list(caught.value.read_result) == ["a"]
    assert ids(cache, "a") == [0, 1, 2]
    assert bookmarks(cache, "source-fake") == {"a": {"at": 3}}
    assert "b" not in cache
    late = connector(
        ["rows", "a", 0, 1], ["state", "a", {"at": 9}], ["status", "a", "COMPLETE"], ["exit", 1]
    )
    with pytest.raises(
        StreamsFailedError, match="All streams of 'source-fake' were read, but then"
    ) as caught:
        late.read(cache.model_copy(update={"table_prefix": "late_"}), streams=["a"])
    assert list(caught.value.read_result) == ["a"]


def test_02_an_error_that_the_connector_tells_fails_the_read(
    connector: Make, cache: DuckDBCache
) -> None:
    source = connector(
        ["rows", "a", 0, 1], ["state", "a", {"at": 1}], ["status", "a", "COMPLETE"],
        ["rows", "b", 0, 2], ["error", "the ledger is closed", "system_error", "b"], ["status", "b", "INCOMPLETE"],
        ["exit", 0],
    )  # fmt: skip
    with pytest.raises(AirbyteError, match="the ledger is closed"):
        source.read(cache)
    assert "b" not in cache, "nothing of it is published"


def test_03_a_malformed_record_is_no_record_less(connector: Make, cache: DuckDBCache) -> None:
    source = connector(
        ["rows", "a", 0, 2],
        ["raw", '{"type":"RECORD","record":{"stream":"a","data":{"id":2,"name":"row\n'],
        ["rows", "a", 3, 4], ["state", "a", {"at": 4}], ["status", "a", "COMPLETE"],
        streams=["a"],
    )  # fmt: skip
    with pytest.raises(AirbyteError, match="RECORD"):
        source.read(cache)
    assert bookmarks(cache, "source-fake") == {}, "the state that covers it is not stored"


def test_04_a_connector_that_is_killed_has_not_succeeded(
    connector: Make, cache: DuckDBCache
) -> None:
    source = connector(["rows", "a", 0, 3], ["kill", 15], streams=["a"])
    with pytest.raises(AirbyteConnectorError, match=r"SIGTERM|signal 15"):
        source.read(cache)
    assert bookmarks(cache, "source-fake") == {}


def test_05_a_global_state_is_stored_and_given_back_as_global(
    connector: Make, cache: DuckDBCache, tmp_path: Path
) -> None:
    states = [
        {"stream_descriptor": {"name": name}, "stream_state": {"at": 1}} for name in ("a", "b")
    ]
    state = {"shared_state": {"lsn": 7}, "stream_states": states}
    noted = tmp_path / "noted.json"
    source = connector(
        ["note", str(noted)], ["rows", "a", 0, 1], ["rows", "b", 0, 1], ["global", state],
        ["status", "a", "COMPLETE"], ["status", "b", "COMPLETE"],
    )  # fmt: skip
    source.read(cache)
    assert not json.loads(noted.read_text())["state"]
    source.read(cache)
    (given,) = json.loads(noted.read_text())["state"]
    assert (given["type"], given["global"]["shared_state"]) == ("GLOBAL", {"lsn": 7})
    assert "global_" not in given
    assert json.loads(cache.get_state_provider("source-fake").to_state_input_file_text()) == [given]
    assert bookmarks(cache, "source-fake") == {"a": {"at": 1}, "b": {"at": 1}}


def test_06_another_account_has_a_state_of_its_own_in_a_place_or_under_a_name_of_its_own(
    connector: Make, cache: DuckDBCache, tmp_path: Path
) -> None:
    noted = tmp_path / "noted.json"
    script = [
        ["note", str(noted)],
        ["rows", "a", 0, 1],
        ["state", "a", {"at": 9}],
        ["status", "a", "COMPLETE"],
    ]

    def given(cache: DuckDBCache, name: str | None = None, **config: Any) -> Any:
        connector(*script, streams=["a"], name=name, **config).read(cache)
        return json.loads(noted.read_text())["state"]

    other = cache.model_copy(update={"table_prefix": "other_"})
    assert not given(cache, account="one", key="the-first-one")
    assert not given(other, account="two", key="the-first-one"), "another place"
    assert given(cache, account="one", key="the-next-one")[0]["stream"]["stream_state"] == {"at": 9}
    with pytest.raises(
        AirbyteError, match=r"belongs to stream 'a' of source 'source_fake', not to 'a' of 'three'"
    ):
        given(cache, "three", account="three")


def test_07_replacing_by_nothing_leaves_nothing(cache: DuckDBCache) -> None:
    source = Rows({"id": 1}, {"id": 2})
    source.read(cache, write_strategy="replace")
    source.rows = []
    result = source.read(cache, write_strategy="replace")
    assert len(result["items"]) == 0


def test_08_a_key_that_comes_twice_is_one_row_after_a_merge(cache: DuckDBCache) -> None:
    source = Rows({"id": 4, "v": "old"}, {"id": 4, "v": "new"}, {"id": 5, "v": "x"}, key="id")
    result = source.read(cache, write_strategy="merge")
    assert [(row["id"], row["v"]) for row in result["items"]] == [(4, "new"), (5, "x")]


def test_09_a_filter_holds_in_every_way_to_read(cache: DuckDBCache) -> None:
    result = Rows(*({"id": number} for number in range(5))).read(cache)
    few = result["items"].with_filter("id >= 3")
    assert list(few.to_pandas()["id"]) == [3, 4]
    assert few.to_arrow().to_table()["id"].to_pylist() == [3, 4]
    assert few.to_polars()["id"].to_list() == [3, 4]
    assert [row["id"] for row in few] == [3, 4]
    assert len(few) == len(list(few.to_documents())) == 2


def test_10_nobody_else_can_read_the_config_and_12_rows_arrive_while_it_reads(
    connector: Make, cache: DuckDBCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_CHECKPOINT_SECONDS", "0")
    source = connector(program=Path(__file__).with_name("watching.py"), watch=str(cache.db_path))
    result = source.read(cache)
    assert [row["what"] for row in result["seen"]] == ["0o600 0o700", "arrived"]


def test_11_what_a_connector_wrote_to_its_log_is_in_the_error(
    connector: Make, cache: DuckDBCache
) -> None:
    source = connector(
        ["rows", "a", 0, 1], ["no such step's arguments", 1], ["rows", "a"], streams=["a"]
    )
    with pytest.raises(AirbyteConnectorError) as caught:
        source.read(cache)
    text = str(caught.value)
    assert "Traceback (most recent call last)" in text
    assert "not enough values to unpack" in text


def test_13_a_column_widens_where_its_values_ask_for_it(cache: DuckDBCache) -> None:
    source = Rows({"id": 1, "v": 1}, key="id")
    source.read(cache, write_strategy="merge")
    source.rows = [{"id": 2, "v": 2**40 + 0.5}]
    source.read(cache, write_strategy="merge")
    source.rows = [{"id": 3, "v": "three"}]
    result = source.read(cache, write_strategy="merge")
    assert [(row["id"], row["v"]) for row in result["items"]] == [
        (1, "1.0"),
        (2, f"{2**40}.5"),
        (3, "three"),
    ]


def test_14_it_is_light_and_binds_nobody_to_one_version() -> None:
    code = "import time; began = time.process_time(); import etl_assets; print(time.process_time() - began)"
    seconds = min(
        float(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(3)
    )
    assert seconds < 0.25, "PyAirbyte takes seconds; here it is some hundredths"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "<" not in project["requires-python"]
    pinned = [one for one in project["dependencies"] if re.search(r"==|<(?!2$)", one)]
    assert pinned == []

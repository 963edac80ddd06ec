"""Texts in Arrow that are no UTF-8, and JSON that is none, are refused by stream, field and value, wherever they go."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_assets import DuckDBIOManager, FileSource
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.noop import NoopDestination
from etl_assets.exceptions import DataError
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests.pairs.places import DESTINATIONS, destination


def texts(*values: bytes, large: bool = False) -> pa.Array:
    """Return an array of texts that Arrow has not looked at."""
    array = pa.array(values, pa.large_binary() if large else pa.binary())
    return pa.Array.from_buffers(
        pa.large_string() if large else pa.string(), len(array), array.buffers()
    )


GOOD, BAD = b"good", b"a\xff"
ARRAYS = {
    "text": texts(GOOD, BAD),
    "large": texts(GOOD, BAD, large=True),
    "slice": texts(GOOD, GOOD, BAD).slice(1),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1]), texts(GOOD, BAD)),
    "list": pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), texts(GOOD, BAD)),
    "struct": pa.StructArray.from_arrays([texts(GOOD, BAD)], names=["s"]),
    "map": pa.Array.from_buffers(
        pa.map_(pa.string(), pa.int64()),
        2,
        [None, pa.array([0, 1, 2], pa.int32()).buffers()[1]],
        children=[
            pa.StructArray.from_arrays([texts(GOOD, BAD), pa.array([1, 2])], names=["key", "value"])
        ],
    ),
    "runs": pa.Array.from_buffers(
        pa.run_end_encoded(pa.int32(), pa.string()),
        2,
        [None],
        children=[pa.array([1, 2], pa.int32()), texts(GOOD, BAD)],
    ),
    "view": texts(GOOD, b"longer than fits a view \xff").cast(pa.string_view()),
    "json": pa.ExtensionArray.from_storage(pa.json_(), texts(b'"good"', b'"\xff"')),
}


def load(array: pa.Array, into: Any, **options: Any) -> None:
    rows = pa.table({"id": [1, 2], "name": array})
    sync(GivenRead(Stream("people"), [rows], source_name="shop"), into, **options)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_text_that_is_no_utf8_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not UTF-8 text") as refused:
        load(ARRAYS[name], DuckDBDestination(str(tmp_path / "w.duckdb")))
    assert (refused.value.stream, refused.value.field) == ("people", "name")
    assert "\\xff" in str(refused.value)


@pytest.mark.parametrize("kind", DESTINATIONS)
@pytest.mark.parametrize("name", ["text", "list"])
def test_every_destination_names_it(name: str, kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse: DatabaseDestination = destination(kind, tmp_path, stack)
        with pytest.raises(DataError, match="stream 'people', field 'name'") as refused:
            load(ARRAYS[name], warehouse)
        assert "\\xff" in str(refused.value)


def test_a_destination_that_keeps_nothing_names_it_too() -> None:
    with pytest.raises(DataError, match="stream 'people', field 'name'"):
        load(ARRAYS["text"], NoopDestination())


@pytest.mark.sampled("kind")
@pytest.mark.parametrize("text", ["{", "[1,]", "NaN", "", "{'a': 1}", "1 2", "[" * 100_000])
@pytest.mark.parametrize("kind", DESTINATIONS)
def test_json_that_is_none_is_refused(kind: str, text: str, tmp_path: Path) -> None:
    array = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1.10}', text]))
    with ExitStack() as stack:
        warehouse: DatabaseDestination = destination(kind, tmp_path, stack)
        with pytest.raises(DataError, match="is no JSON") as refused:
            load(array, warehouse)
    assert (refused.value.stream, refused.value.field) == ("people", "name")


def test_a_parquet_file_with_such_a_text_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"name": texts(GOOD, BAD)}), tmp_path / "people.parquet")
    source = FileSource("drop", str(tmp_path / "people.parquet"))
    with pytest.raises(DataError, match="is not UTF-8 text") as refused:
        sync(
            StreamRead(source, Stream("drop"), source_name="drop"),
            DuckDBDestination(str(tmp_path / "w.duckdb")),
        )
    assert (refused.value.stream, refused.value.field) == ("drop", "name")
    assert "a\\xff" in str(refused.value)


def test_an_asset_that_returns_such_a_text_is_refused_by_name(tmp_path: Path) -> None:
    @dg.asset(io_manager_key="warehouse")
    def people() -> pa.Table:
        return pa.table({"name": texts(GOOD, BAD)})

    warehouse = DuckDBIOManager(path=str(tmp_path / "w.duckdb"))
    with pytest.raises(dg.Failure, match="stream 'people', field 'name'") as refused:
        dg.materialize([people], resources={"warehouse": warehouse})
    assert "a\\xff" in str(refused.value)


@pytest.mark.parametrize(
    ("mode", "left"), [("discard_row", [(1, "good")]), ("discard_value", [(1, "good"), (2, None)])]
)
def test_a_contract_leaves_it_out(
    mode: str, left: list[tuple[object, ...]], tmp_path: Path
) -> None:
    import duckdb

    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    load(pa.array(["good", "too"]), warehouse)
    load(ARRAYS["text"], warehouse, schema_contract={"data_type": mode})
    with duckdb.connect(warehouse.path) as connection:
        assert connection.execute("SELECT id, name FROM shop.people ORDER BY id").fetchall() == left

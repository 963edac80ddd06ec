"""Datasets: of a live read, of a list; read again, converted, kept out of memory."""

import gc
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from etl_assets.datasets import InMemoryDataset, LazyDataset
from etl_assets.exceptions import InputError
from etl_assets.frames import to_dataset
from etl_assets.model.stream import Stream

STREAM = Stream(
    "people",
    schema={
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}},
    },
    primary_key=["id"],
)
ROWS = [{"id": number, "name": f"n{number}"} for number in range(5)]


class Again:
    """Begins anew each time, and counts how often."""

    def __init__(self) -> None:
        self.reads = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.reads += 1
        return iter(ROWS)


def test_a_generator_is_read_once_and_says_so() -> None:
    dataset = LazyDataset((row for row in ROWS), stream_metadata=STREAM)
    assert list(dataset) == ROWS
    with pytest.raises(InputError, match=r"'people'.*fetch_all"):
        list(dataset)


def test_what_begins_anew_can_be_read_again() -> None:
    source = Again()
    dataset = LazyDataset(source, stream_metadata=STREAM)
    assert list(dataset) == list(dataset.records) == ROWS
    assert source.reads == 2
    assert next(dataset)["id"] == 0
    assert next(dataset)["id"] == 1


def test_reading_it_all_keeps_it() -> None:
    kept = LazyDataset(iter(ROWS), stream_metadata=STREAM).fetch_all()
    assert list(kept) == list(kept) == ROWS
    assert len(kept) == 5
    assert kept[4]["name"] == "n4"
    assert kept.column_names == ["id", "name"]


def test_closing_ends_the_read() -> None:
    closed = []

    def read() -> Iterator[dict[str, Any]]:
        try:
            yield from ROWS
        finally:
            closed.append(True)

    dataset = LazyDataset(read(), stream_metadata=STREAM)
    next(dataset)
    dataset.close()
    assert closed == [True]
    LazyDataset(Again(), stream_metadata=STREAM).close()


def test_frames_hold_every_value_exactly() -> None:
    rows: list[dict[str, Any]] = [
        {"id": 2**53 + 1, "name": None},
        {"id": None, "name": "x"},
        {"id": 3, "name": "", "price": Decimal("1.10")},
    ]
    dataset = InMemoryDataset(rows, STREAM)
    frame = dataset.to_pandas()
    assert frame["id"].to_list()[::2] == [2**53 + 1, 3]
    assert frame["price"].to_list()[2] == Decimal("1.10")
    assert dataset.to_polars().rows()[0] == (2**53 + 1, None, None)
    assert dataset.to_arrow_table().to_pylist() == [{"price": None, **row} for row in rows]
    assert InMemoryDataset([], STREAM).to_pandas().empty


def test_an_arrow_dataset_is_read_again_filtered_and_gone_with_its_file(tmp_path: Path) -> None:
    tables = [
        pa.table({"id": [1, 2]}),
        pa.table({"id": [3.5], "name": ["x"]}),
        pa.table({"name": ["y"]}),
    ]
    dataset = to_dataset(tables, chunk_rows=1, directory=tmp_path)
    for _ in range(2):
        assert dataset.to_table().to_pydict() == {
            "id": [1.0, 2.0, 3.5, None],
            "name": [None, None, "x", "y"],
        }
    assert max(len(batch) for batch in dataset.to_batches()) == 1
    assert dataset.to_table(filter=pc.field("id") > 1.5, columns=["id"]).to_pydict() == {
        "id": [2.0, 3.5]
    }
    assert list(tmp_path.iterdir())
    some = dataset.filter(pc.field("id") > 1.5)
    del dataset
    gc.collect()
    assert some.count_rows() == some.to_table().num_rows == 2
    del some
    # A thread of Arrow's may hold its last task for a moment.
    for _ in range(100):
        gc.collect()
        if not list(tmp_path.iterdir()):
            break
        time.sleep(0.1)
    assert not list(tmp_path.iterdir())


def test_a_read_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def tables() -> Iterator[pa.Table]:
        yield pa.table({"id": [1]})
        raise OSError("the source went away")

    with pytest.raises(OSError, match="went away"):
        to_dataset(tables(), chunk_rows=10, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_lazy_dataset_as_arrow_is_read_from_the_source_once() -> None:
    source = Again()
    dataset = LazyDataset(source, stream_metadata=STREAM).to_arrow(max_chunk_size=2)
    assert dataset.count_rows() == dataset.to_table().num_rows == 5
    assert source.reads == 1
    assert InMemoryDataset([], STREAM).to_arrow().count_rows() == 0


def test_documents_take_their_ids_from_the_key() -> None:
    documents = list(InMemoryDataset(ROWS, STREAM).to_documents(content_properties=["name"]))
    assert [(d.id, d.content, d.metadata) for d in documents[:2]] == [
        ("0", "n0", {"id": 0}),
        ("1", "n1", {"id": 1}),
    ]
    with pytest.raises(InputError, match="nam"):
        InMemoryDataset(ROWS, STREAM).to_documents(title_property="nam")

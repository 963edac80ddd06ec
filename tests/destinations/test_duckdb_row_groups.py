"""Batches on their way into DuckDB are joined to its row groups: the same rows, in the same order."""

import pyarrow as pa
import pytest

from etl_assets.destinations.duckdb import row_groups
from etl_assets.destinations.duckdb.row_groups import in_row_groups
from etl_assets.model.schema.types import json_type

SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string()), ("json", json_type())])


def batch(start: int, stop: int) -> pa.RecordBatch:
    texts = pa.array([f"{n}" * (n % 3) for n in range(start, stop)], pa.string())
    json = pa.ExtensionArray.from_storage(json_type(), texts)
    return pa.RecordBatch.from_arrays(
        [pa.array(range(start, stop), pa.int64()), texts, json], schema=SCHEMA
    )


@pytest.mark.parametrize(("rows", "sizes"), [(10, [10, 10, 10]), (7, [7, 7, 7, 7, 2]), (100, [30])])
def test_the_same_rows_in_larger_batches(
    rows: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_groups, "ROW_GROUP_ROWS", rows)
    batches = [batch(start, min(start + 4, 30)) for start in range(0, 30, 4)]
    found = list(in_row_groups(pa.RecordBatchReader.from_batches(SCHEMA, batches)))
    assert [one.num_rows for one in found] == sizes
    assert pa.Table.from_batches(found) == pa.Table.from_batches(batches)


def test_wide_rows_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "ROW_GROUP_BYTES", 1)
    batches = [batch(0, 2), batch(2, 4)]
    found = list(in_row_groups(pa.RecordBatchReader.from_batches(SCHEMA, batches)))
    assert [one.num_rows for one in found] == [2, 2]
    assert pa.Table.from_batches(found) == pa.Table.from_batches(batches)


def test_no_rows_at_all() -> None:
    assert list(in_row_groups(pa.RecordBatchReader.from_batches(SCHEMA, []))) == []

"""A replication key of which no bookmark can be made is refused, however the rows come."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from etl_assets.exceptions import BookmarkError
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.tracker import BookmarkTracker
from etl_assets.model.stream import Stream

STREAM = Stream("numbers", primary_key=["id"], replication_key="x")


def taken(records: Any) -> Any:
    tracker = BookmarkTracker(STREAM, None, check_order=False, ordered=True)
    tracker.take(Batch(records))
    return tracker.bookmark()


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity")])
def test_rows(value: Any, place: int) -> None:
    numbers: list[Any] = [type(value)(1), type(value)(2)]
    numbers.insert(place, value)
    with pytest.raises(BookmarkError, match=r"stream 'numbers'.*'x'"):
        taken([{"id": number, "x": x} for number, x in enumerate(numbers)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_arrow(value: float) -> None:
    with pytest.raises(BookmarkError, match=r"stream 'numbers'.*'x'"):
        taken(pa.table({"id": [1, 2, 3], "x": [1.0, value, 2.0]}))


def test_numbers_and_nulls_are_taken() -> None:
    assert taken([{"id": 1, "x": Decimal("1e400")}]) == {"x": Decimal("1e400")}
    assert taken([{"id": 1, "x": 1.5}, {"id": 2, "x": None}]) == {"x": 1.5}
    assert taken(pa.table({"id": [1, 2], "x": [1.5, None]})) == {"x": 1.5}

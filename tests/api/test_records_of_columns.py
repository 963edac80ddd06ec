"""Records that are made of columns are those that are made of rows."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.rows import python_columns, python_rows
from etl_assets.model.stream import Stream
from etl_assets.records import StreamRecord, StreamRecordHandler, new_record_ids

OWN = {"_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta"}


def handler(*names: str, prune: bool = True, normalize: bool = False) -> StreamRecordHandler:
    schema: dict[str, Any] = {"properties": {name: {} for name in names}}
    return StreamRecordHandler(
        json_schema=schema, prune_extra_fields=prune, normalize_keys=normalize, stream="s"
    )


def made(columns: dict[str, list[Any]], handler: StreamRecordHandler) -> Iterator[StreamRecord]:
    count = len(next(iter(columns.values())))
    return StreamRecord.of_columns(columns, count, stream_record_handler=handler)


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("id", "Name"), {}),
        (("id", "Name", "missing"), {}),
        (("Name", "id"), {}),
        (("id",), {}),
        (("id",), {"prune": False}),
        ((), {"prune": False}),
        (("ID", "name"), {}),
        (("id", "Name"), {"normalize": True}),
    ],
)
def test_records_have_the_keys_and_values_of_rows(
    names: tuple[str, ...], options: dict[str, bool]
) -> None:
    columns: dict[str, list[Any]] = {"id": [1, 2], "Name": ["a", None]}
    keys = handler(*names, **options)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    expected = [StreamRecord(row, stream_record_handler=keys) for row in rows]
    found = list(made(columns, keys))
    assert [list(record) for record in found] == [list(record) for record in expected]
    for record, other in zip(found, expected, strict=True):
        assert {key: record[key] for key in record.keys() - OWN} == {
            key: other[key] for key in other.keys() - OWN
        }
        assert record.get("ID" if "id" in record else "nothing") == other.get(
            "ID" if "id" in other else "nothing"
        )
        assert record["_airbyte_meta"] == {}
        assert abs(record["_airbyte_extracted_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert found[0]["_airbyte_meta"] is not found[1]["_airbyte_meta"]
    assert found[0]["_airbyte_raw_id"] != found[1]["_airbyte_raw_id"]


def test_two_columns_of_one_key_are_refused() -> None:
    with pytest.raises(DataError, match="one where case does not"):
        list(made({"id": [1], "ID": [2]}, handler("id", prune=False)))


def test_ids_are_those_of_rfc_9562() -> None:
    ids = [uuid.UUID(one) for one in new_record_ids(50)]
    assert len(set(ids)) == 50
    assert {(one.version, one.variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert new_record_ids(0) == []


JSON_TEXTS = st.sampled_from(
    ["null", "1", "1.5", "0.1234567890123456789", "-0", "1e400", "12345678901234567890123", '"a"', '{"a":1.10}', '{"a":{"a":"\\":"}}',
     '"\\u003a"', "[1,2]", "[]", "true", '{"é":"\\u0000"}']
)  # fmt: skip
COLUMNS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(max_size=4),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(UTC)),
    pa.timestamp("ms", "UTC"): st.datetimes().map(
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    pa.decimal128(10, 2): st.decimals(-(10**7), 10**7, places=2),
}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 4), st.booleans())
def test_columns_have_the_values_that_arrow_gives(
    data: st.DataObject, count: int, nulls: bool
) -> None:
    arrays = [
        pa.array(
            data.draw(
                st.lists(st.none() | values if nulls else values, min_size=count, max_size=count)
            ),
            type_,
        )
        for type_, values in COLUMNS.items()
    ]
    table = pa.table(arrays, names=[str(number) for number in range(len(arrays))])
    table = pa.concat_tables([table.slice(1), table])
    found, expected = python_columns(table, "s"), table.to_pydict()
    assert repr(found) == repr(expected)
    assert repr(python_rows(table, "s")) == repr(table.to_pylist())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | JSON_TEXTS, min_size=1, max_size=4))
def test_json_reads_as_one_value_after_the_other(texts: list[str | None]) -> None:
    def column(some: list[str | None]) -> pa.Table:
        storage = pa.array(some, pa.string())
        return pa.table({"j": pa.ExtensionArray.from_storage(pa.json_(pa.utf8()), storage)})

    together = python_columns(column(texts), "s")["j"]
    alone = [python_columns(column([text]), "s")["j"][0] for text in texts]
    assert repr(together) == repr(alone)
    assert not any(isinstance(value, str) and value == "null" for value in together)


def test_json_keeps_its_digits_and_refuses_a_key_twice() -> None:
    def batch(*texts: str) -> Batch:
        storage = pa.array(texts, pa.string())
        return Batch(pa.table({"j": pa.ExtensionArray.from_storage(pa.json_(pa.utf8()), storage)}))

    stream = Stream("s", schema={"properties": {"j": {}, "day": {"format": "date"}}})
    rows = batch('{"a":0.1234567890123456789}', "2").to_rows(stream)
    assert rows == [
        {"j": {"a": Decimal("0.1234567890123456789")}, "day": None},
        {"j": 2, "day": None},
    ]
    with pytest.raises(DataError, match="twice"):
        batch("1", '{"a":1,"a":2}').to_rows(stream)
    assert batch("[1]").to_python(stream) == {"j": [[1]], "day": [None]}


def test_rows_of_dates_and_moments_are_json_values_where_they_are_asked_for() -> None:
    table = pa.table({"day": pa.array([date(2026, 1, 2)]), "at": pa.array([datetime(2026, 1, 2)])})  # noqa: DTZ001
    assert Batch(table).to_rows(Stream("s")) == [{"day": "2026-01-02", "at": "2026-01-02T00:00:00"}]

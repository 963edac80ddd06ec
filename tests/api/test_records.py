"""Records as case-insensitive dicts."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest

from etl_assets.exceptions import DataError
from etl_assets.records import StreamRecord, StreamRecordHandler, new_record_id

SCHEMA = {
    "type": "object",
    "properties": {"Id": {"type": "integer"}, "Full-Name": {"type": "string"}, "tags": {}},
}


def handler(*, prune: bool = True, normalize: bool = False) -> StreamRecordHandler:
    return StreamRecordHandler(
        json_schema=SCHEMA, prune_extra_fields=prune, normalize_keys=normalize, stream="people"
    )


def record(
    fields: dict[str, object], *, prune: bool = True, normalize: bool = False
) -> StreamRecord:
    return StreamRecord(
        fields,
        stream_record_handler=handler(prune=prune, normalize=normalize),
        with_internal_columns=False,
    )


def test_keys_are_found_whatever_their_case() -> None:
    one = record({"ID": 1, "full-name": "Ada"})
    assert list(one) == ["Id", "Full-Name", "tags"]
    assert (one["id"], one["FULL-NAME"], one.get("TAGS", "there"), one.get("none", 0)) == (
        1,
        "Ada",
        None,
        0,
    )
    assert "iD" in one
    assert "none" not in one
    assert 1 not in one  # type: ignore[comparison-overlap]
    one["ID"] = 2
    del one["Tags"]
    assert dict(one) == {"Id": 2, "Full-Name": "Ada"}
    assert one.pop("id") == 2
    assert one.pop("id", None) is None
    one.update({"ID": 3}, TAGS=["x"])
    assert dict(one) == {"Full-Name": "Ada", "Id": 3, "tags": ["x"]}
    with pytest.raises(KeyError):
        one["none"]
    with pytest.raises(KeyError):
        del one["none"]
    assert json.loads(json.dumps(one)) == {"Full-Name": "Ada", "Id": 3, "tags": ["x"]}


def test_names_as_columns_have_them() -> None:
    one = record({"Id": 1, "Full-Name": "Ada"}, normalize=True)
    assert dict(one) == {"id": 1, "full_name": "Ada", "tags": None}
    assert one["Full-Name"] == one["full_name"] == "Ada"


def test_undeclared_fields_are_left_out_or_kept() -> None:
    assert "new" not in record({"Id": 1, "new": 5})
    kept = record({"Id": 1, "New": 5}, prune=False)
    assert kept["new"] == 5
    kept["NEW"] = 6
    assert kept["New"] == 6
    pruning = record({"Id": 1})
    pruning["other"] = 1
    assert "other" not in pruning


def test_two_keys_that_meet_are_an_error_and_nothing_is_overwritten() -> None:
    with pytest.raises(DataError, match=r"'people', field 'ID'.*'Id'"):
        record({"Id": 1, "ID": 2})
    with pytest.raises(DataError, match="case does not count"):
        record({"x": 1, "X": 2}, prune=False)
    with pytest.raises(DataError, match="normalised"):
        StreamRecordHandler(
            json_schema={"properties": {"a-b": {}, "a b": {}}},
            prune_extra_fields=True,
            normalize_keys=True,
        )


def test_the_columns_about_the_record_itself() -> None:
    message = SimpleNamespace(
        data={"Id": 1}, emitted_at=1_700_000_000_123, meta={"changes": [{"field": "x"}]}
    )
    one = StreamRecord.from_record_message(message, stream_record_handler=handler())
    assert UUID(one["_airbyte_raw_id"]).version == 7
    assert one["_airbyte_extracted_at"] == datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
    assert one["_airbyte_meta"] == {"changes": [{"field": "x"}]}
    other = StreamRecord({"Id": 1}, stream_record_handler=handler())
    assert other["_airbyte_meta"] == {}
    assert (datetime.now(UTC) - other["_airbyte_extracted_at"]).total_seconds() < 60


def test_equality_and_hash() -> None:
    one, other = record({"Id": 1, "tags": ["a"]}), record({"ID": 1, "TAGS": ["a"]})
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other}) == 1
    assert one == {"ID": 1, "full-name": None, "tags": ["a"]}
    assert one != {"ID": 2, "full-name": None, "tags": ["a"]}
    copied = one.copy()
    copied["id"] = 9
    assert one["id"] == 1


def test_ids_made_later_sort_later() -> None:
    ids = [new_record_id() for _ in range(50)]
    assert len(set(ids)) == 50
    milliseconds = [UUID(each).int >> 80 for each in ids]
    assert milliseconds == sorted(milliseconds)
    assert all(UUID(each).variant == UUID(int=0x8000000000000000).variant for each in ids)

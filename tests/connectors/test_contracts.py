"""Values of connectors that are not of their declared types, under a schema contract."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.assets.shop import failure_text

from .test_singer import schema, state
from .test_types import Make, materialized

DECLARED: Any = {"id": {"type": ["null", "integer"]}}
RECORDS: list[dict[str, Any]] = [{"id": 1}, {"id": "n/a"}, {"id": 3}]


@pytest.fixture(params=["singer", "airbyte"])
def source(request: pytest.FixtureRequest) -> Any:
    make: Make = request.getfixturevalue(request.param)
    if request.param == "singer":
        records = [{"type": "RECORD", "stream": "a", "record": one} for one in RECORDS]
        return make(schema("a", **DECLARED), *records, state(a=1), streams=["a"])
    lines = [
        {"type": "RECORD", "record": {"stream": "a", "data": one, "emitted_at": 1}}
        for one in RECORDS
    ]
    return make(["raw", "".join(json.dumps(one) + "\n" for one in lines)], streams=["a"])


@pytest.mark.parametrize("mode", ["discard_value", "discard_row"])
def test_a_row_whose_key_does_not_fit_is_left_out_and_counted(
    mode: str, source: Any, tmp_path: Path
) -> None:
    types = {"id": "integer"}
    frozen = materialized(
        source, tmp_path, options={"a": {"schema_contract": "freeze", "types": types}}
    )
    assert "field 'id'" in failure_text(frozen)
    options = {"a": {"schema_contract": mode, "keep_rejected": True, "types": types}}
    result = materialized(source, tmp_path, options=options)
    assert result.success
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["etl_assets/rejected"].value == 1
    table = event.materialization.asset_key.path[0]
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        assert [
            row[0] for row in connection.sql(f"SELECT id FROM {table}.a ORDER BY id").fetchall()
        ] == [1, 3]
        assert connection.sql(f"SELECT record->>'id' FROM {table}.a__rejected").fetchall() == [
            ("n/a",)
        ]


@pytest.mark.parametrize(
    ("mode", "rows"), [("discard_value", [5, None, 7]), ("discard_row", [5, 7])]
)
def test_a_value_that_does_not_fit_is_left_out(
    mode: str, rows: list[Any], singer: Make, tmp_path: Path
) -> None:
    records = [
        {"type": "RECORD", "stream": "a", "record": {"id": i, "n": n}}
        for i, n in enumerate((5, "n/a", 7))
    ]
    declared: Any = {**DECLARED, "n": {"type": ["null", "integer"]}}
    source = singer(schema("a", **declared), *records, state(a=1), streams=["a"])
    assert materialized(source, tmp_path, options={"a": {"schema_contract": mode}}).success
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        assert [
            row[0] for row in connection.sql("SELECT n FROM tap_fake.a ORDER BY id").fetchall()
        ] == rows

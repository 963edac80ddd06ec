"""What a tap sends that its catalog does not have: no metadata of other columns takes it away."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.catalog import Catalog
from etl_assets.sources.connector import ConnectorSource

from .conftest import Loaded
from .test_singer import record, schema, state

Make = Callable[..., ConnectorSource]
Load = Callable[..., Loaded]
AT = {"type": ["null", "string"], "format": "date-time"}


def sent(**more: Any) -> dict[str, Any]:
    return schema("told", id={"type": "integer"}, name={"type": ["null", "string"]}, **more)


@pytest.mark.parametrize("column", ["_sdc_deleted_at", "since_today"])
def test_a_column_that_only_the_schema_message_has_is_loaded(
    singer: Make, load: Load, column: str
) -> None:
    lines = [
        sent(**{column: AT}),
        record("told", 1),
        record("told", 2, None, **{column: "2026-01-02T03:04:05Z"}),
    ]
    result = load(singer(*lines, state(told=2), streams=["told"]))
    assert result.error is None
    assert result.rows("tap_fake.told", f'id, CAST("{column}" AS DATE)::VARCHAR') == [
        (1, None),
        (2, "2026-01-02"),
    ]


def test_a_field_that_only_the_records_have_is_loaded(singer: Make, load: Load) -> None:
    result = load(singer(sent(), record("told", 1, extra="x"), state(told=1), streams=["told"]))
    assert result.rows("tap_fake.told", "id, extra") == [(1, "x")]


def test_a_column_that_comes_later_is_loaded_from_then_on(singer: Make, load: Load) -> None:
    lines = [
        sent(),
        record("told", 1),
        sent(late={"type": "string"}),
        record("told", 2, late="x"),
        sent(),
    ]
    result = load(singer(*lines, record("told", 3), state(told=3), streams=["told"]))
    assert result.rows("tap_fake.told", "id, late") == [(1, None), (2, "x"), (3, None)]


def test_named_columns_stay_the_only_ones_but_for_what_tells_a_deleted_row(
    singer: Make, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    lines = [
        sent(late=AT, _sdc_deleted_at=AT),
        record("told", 1, name="n", late="2026-01-01T00:00:00Z", extra=1),
    ]
    source = singer(*lines, state(told=1), streams=["told"], note=str(note))
    destination = DuckDBDestination(str(tmp_path / "w.duckdb"))
    catalog = Catalog([stream.replace(columns=["id"]) for stream in source.discover().values()])
    assets = stream_assets(source, ["told"], catalog=catalog, destination=destination)
    assert dg.materialize(assets).success
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        columns = [name for name, *_ in connection.sql("DESCRIBE tap_fake.told").fetchall()]
    assert [name for name in columns if not name.startswith("_etl")] == ["id", "_sdc_deleted_at"]
    (entry,) = json.loads(note.read_text())["catalog"]["streams"]
    said = {
        one["breadcrumb"][-1]: one["metadata"]["selected"]
        for one in entry["metadata"]
        if one["breadcrumb"]
    }
    assert said == {"id": True, "name": False}

"""Rows of a load that are shown with its event: on request, few, and nothing that is secret."""

from typing import Any

import dagster as dg
import pytest

from etl_assets import Stream, checks
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ArgumentTypeError, ConfigError
from etl_assets.redaction import remember
from tests.toys import Rows

SCHEMA = {
    "properties": {
        "id": {"type": "integer"},
        "note": {"type": ["string", "null"]},
        "api_token": {"type": ["string", "null"]},
        "iban": {"type": ["string", "null"], "writeOnly": True},
        "pin": {"type": ["string", "null"], "airbyte_secret": True},
        "word": {"type": ["string", "null"], "format": "password"},
    }
}


def row(id_: int, note: str | None = None) -> dict[str, Any]:
    return {"id": id_, "note": note, "api_token": "t", "iban": "i", "pin": "p", "word": "w"}


class People(Rows):
    streams = (Stream("people", primary_key="id", replication_key="id", schema=SCHEMA),)


def shown(
    warehouse: DuckDBDestination, rows: list[dict[str, Any]], **options: Any
) -> list[dict[str, Any]] | None:
    """Load rows, and return what the event shows of them."""
    given = {"granularity": options.pop("granularity", "stream")}
    assets = stream_assets(
        People(rows, name="crm"),
        ["people"],
        destination=warehouse,
        options={"people": StreamOptions(**options)},
        **given,
    )
    (event,) = dg.materialize(assets).get_asset_materialization_events()
    found = event.materialization.metadata.get("etl_assets/preview")
    if found is None:
        return None
    assert isinstance(found, dg.TableMetadataValue)
    return [dict(record.data) for record in found.records]


def test_nothing_is_shown_unless_it_is_asked_for(warehouse: DuckDBDestination) -> None:
    assert shown(warehouse, [row(1)]) is None
    assert shown(warehouse, [row(2)], preview=0) is None


@pytest.mark.parametrize(
    "options", [{}, {"checks": [checks.unique_key()]}, {"granularity": "source"}], ids=str
)
def test_rows_of_the_load_are_shown_without_what_is_secret(
    options: dict[str, Any], warehouse: DuckDBDestination
) -> None:
    known = "a-word-91827364"
    remember(known)
    long, masked = "x" * 200, f"it is {known}"
    first = shown(warehouse, [row(1, "one"), row(2, long), row(3, masked)], preview=5, **options)
    assert first is not None
    assert [list(one) for one in first] == [["id", "note"]] * 3
    assert first[0] == {"id": 1, "note": "one"}
    assert len(first[1]["note"]) == 80
    assert known not in first[2]["note"]
    again = shown(warehouse, [row(3, "changed"), row(4), row(5)], preview=2, **options)
    assert again is not None
    assert len(again) == 2
    assert {one["id"] for one in again} <= {3, 4, 5}, "of this load"
    assert shown(warehouse, [], preview=2, **options) is None


@pytest.mark.parametrize("rows", [-1, 51])
def test_a_number_of_rows_is_small(rows: int) -> None:
    with pytest.raises(ConfigError, match="from 0 to 50"):
        StreamOptions(preview=rows)
    assert StreamOptions(preview=50).preview == 50


def test_yes_is_no_number_of_rows() -> None:
    with pytest.raises(ArgumentTypeError, match="preview must be a whole number"):
        StreamOptions(preview=True)

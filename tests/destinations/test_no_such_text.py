"""What no text can hold: unpaired surrogates in names and values, NaN and Infinity where a column becomes JSON."""

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from etl_assets.exceptions import ConfigError, DataError, EtlAssetsError, SchemaConflictError
from etl_assets.model.bookmarks.row_cells import row_hash
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests.pairs.places import DESTINATIONS, destination

BAD = "a\ud800b"


@pytest.mark.parametrize(
    "words", [{"namespace": BAD}, {"stream_alias": BAD}, {"primary_key": [BAD]}], ids=str
)
def test_no_name_of_a_stream_holds_half_a_character(words: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"ud800"):
        Stream("orders", **words)
    with pytest.raises(ConfigError, match=r"A stream's name.*ud800.*Rename"):
        Stream.from_dict({"tap_stream_id": BAD})


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_nor_any_other_name_or_value(kind: str, tmp_path: Path) -> None:
    declared = {"properties": {BAD: {"type": "integer"}}}
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        reads: list[tuple[GivenRead, dict[str, Any], type[EtlAssetsError]]] = [
            (GivenRead(Stream("orders"), [[{BAD: 1}]]), {}, DataError),
            (GivenRead(Stream("orders", schema=declared), [[{"a": 1}]]), {}, ConfigError),
            (GivenRead(Stream("orders"), [[{"a": BAD}]]), {}, DataError),
            (GivenRead(Stream("orders"), [[{"a": {BAD: [BAD]}}]]), {}, DataError),
            (GivenRead(Stream("orders"), [[{"a": 1}]], source_name=BAD), {}, ConfigError),
            (
                GivenRead(Stream("orders"), [[{"a": 1}]]),
                {"table": TableName(BAD, "main")},
                ConfigError,
            ),
        ]
        for read, options, error in reads:
            with pytest.raises(error, match=r"ud800") as refused:
                sync(read, warehouse, **options)
            assert "surrogate" in str(refused.value) or "must be Unicode" in str(refused.value)


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_column_with_nan_does_not_become_json(kind: str, value: float, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        sync(
            GivenRead(Stream("orders"), [[{"x": 1.5}, {"x": value}]]), warehouse, strategy="append"
        )
        with pytest.raises(SchemaConflictError) as refused:
            sync(GivenRead(Stream("orders"), [[{"x": [1]}]]), warehouse, strategy="append")
        assert "stream 'orders', field 'x'" in str(refused.value)
        assert "NaN or Infinity" in str(refused.value)
        (state,) = warehouse.states()
        assert warehouse.count(state.table) == 2
        where = str(refused.value).split("(WHERE ")[1].split(");")[0]
        with warehouse.transaction() as tx:
            tx.execute(f"UPDATE {tx.quoted(state.table)} SET x = NULL WHERE {where}")
        sync(GivenRead(Stream("orders"), [[{"x": [1]}]]), warehouse, strategy="append")
        assert sorted(map(str, warehouse.read_table(state.table)["x"].to_pylist())) == [
            "1.5",
            "None",
            "[1]",
        ]
        with pytest.raises(DataError, match=r"stream 'orders', field 'x'"):
            sync(GivenRead(Stream("orders"), [[{"x": value}]]), warehouse, strategy="append")


def test_a_row_is_told_by_a_nan_inside_of_it() -> None:
    assert (
        row_hash({"a": {"b": math.nan}})
        == row_hash({"a": {"b": math.nan}})
        != row_hash({"a": {"b": math.inf}})
    )

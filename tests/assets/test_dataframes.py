"""DataFrames as they are in people's assets: their index, and errors that name the stream."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from etl_assets import Batch, DuckDBDestination, Source, Stream, stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from tests.pairs.readers import held

OURS = {"_etl_assets_load_id", "_etl_assets_loaded_at"}


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(tmp_path / "w.duckdb"))


class Frames(Source):
    """Gives DataFrames, as they are or in a batch."""

    streams = [Stream("t")]

    def __init__(self, frame: Any, *, in_batch: bool) -> None:
        super().__init__(name="shop")
        self.frame, self.in_batch = frame, in_batch

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield Batch(self.frame) if self.in_batch else self.frame


def by_asset(frame: Any, warehouse: DuckDBDestination) -> dg.ExecuteInProcessResult:
    @dg.asset(key=["shop", "t"], io_manager_key="io")
    def made() -> Any:
        return frame

    return dg.materialize(
        [made], resources={"io": DestinationIOManager(warehouse)}, raise_on_error=False
    )


def by_source(frame: Any, warehouse: DuckDBDestination) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        stream_assets(Frames(frame, in_batch=False), destination=warehouse), raise_on_error=False
    )


def by_batch(frame: Any, warehouse: DuckDBDestination) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        stream_assets(Frames(frame, in_batch=True), destination=warehouse), raise_on_error=False
    )


def by_step(frame: Any, warehouse: DuckDBDestination) -> dg.ExecuteInProcessResult:
    source = Frames(frame, in_batch=False)
    assets = stream_assets(source, destination=warehouse, granularity="source")
    return dg.materialize(
        [assets] if isinstance(assets, dg.AssetsDefinition) else [*assets], raise_on_error=False
    )


WAYS = [by_asset, by_source, by_batch, by_step]


def rows(warehouse: DuckDBDestination) -> list[dict[str, Any]]:
    return [
        {name: row[name] for name in row if name not in OURS} for row in held(warehouse, "t").rows
    ]


def frame(index: Any) -> pd.DataFrame:
    return pd.DataFrame({"v": [1, 2]}, index=index)


INDEXES: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "a name": (pd.Index(["a", "b"], name="key"), [{"key": "a"}, {"key": "b"}]),
    "a name for a numbering": (pd.RangeIndex(2, name="id"), [{"id": 0}, {"id": 1}]),
    "levels": (
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["key", "n"]),
        [{"key": "a", "n": 1}, {"key": "a", "n": 2}],
    ),
    "a level without a name": (
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["key", None]),
        [{"key": "a", "level_1": 1}, {"key": "a", "level_1": 2}],
    ),
    "periods": (
        pd.period_range("2020-01", periods=2, freq="M", name="month"),
        [{"month": "2020-01"}, {"month": "2020-02"}],
    ),
    "categories": (pd.CategoricalIndex(["a", "b"], name="key"), [{"key": "a"}, {"key": "b"}]),
    "labels": (["a", "b"], [{"index": "a"}, {"index": "b"}]),
    "the numbering": (None, [{}, {}]),
    "what is left of a numbering": ([7, 3], [{}, {}]),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", INDEXES)
def test_an_index_is_data_or_a_numbering(name: str, way: Any, warehouse: DuckDBDestination) -> None:
    index, wanted = INDEXES[name]
    assert way(frame(index), warehouse).success
    assert rows(warehouse) == [{**one, "v": at + 1} for at, one in enumerate(wanted)]


REFUSED: dict[str, tuple[Any, str]] = {
    "an index with the name of a column": (
        frame(pd.Index([5, 6], name="v")),
        "field 'v': the DataFrame has a column of",
    ),
    "complex numbers": (pd.DataFrame({"c": [1 + 2j]}), "field 'c': a builtins.complex"),
    "two columns of one name": (
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "field 'a': two columns have this name",
    ),
    "names that are one as text": (
        pd.DataFrame([[1, 2]], columns=[0, "0"]),
        "field '0': two columns have this name",
    ),
    "a set": (pd.DataFrame({"s": [{1}]}), "field 's': a builtins.set"),
    "text that is none": (
        pd.DataFrame({"s": pd.Series(["\ud800"], dtype=object)}),
        "field 's': holds an unpaired",
    ),
    "a series without a name": (pd.Series([1]), "a Series without a name"),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", REFUSED)
def test_an_error_names_the_stream(name: str, way: Any, warehouse: DuckDBDestination) -> None:
    value, told = REFUSED[name]
    result = way(value, warehouse)
    assert not result.success
    event: Any = next(one for one in result.all_events if one.is_step_failure)
    shown = str(event.step_failure_data.user_failure_data.description)
    assert "stream 't'" in shown
    assert told in shown
    assert "DataFrame'" not in shown


def test_the_hint_about_an_index_works(warehouse: DuckDBDestination) -> None:
    clash = frame(pd.Index([5, 6], name="v"))
    assert by_asset(clash.rename_axis("other"), warehouse).success
    assert rows(warehouse) == [{"other": 5, "v": 1}, {"other": 6, "v": 2}]
    assert by_asset(clash.reset_index(drop=True), warehouse).success
    assert rows(warehouse) == [{"v": 1}, {"v": 2}]


def test_a_series_with_a_name_is_a_column(warehouse: DuckDBDestination) -> None:
    assert by_asset(pd.Series([1, 2], name="v"), warehouse).success
    assert rows(warehouse) == [{"v": 1}, {"v": 2}]


def test_rows_without_columns_are_rows(warehouse: DuckDBDestination) -> None:
    assert by_asset(pd.DataFrame(index=range(2)), warehouse).success
    assert len(held(warehouse, "t").rows) == 2


def test_columns_of_several_levels_keep_their_names(warehouse: DuckDBDestination) -> None:
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    assert by_asset(pd.DataFrame([[1, 2]], columns=columns), warehouse).success
    with warehouse.transaction() as tx:
        assert len(tx.type_names(warehouse.table_for("shop", Stream("t")))) == 2 + len(OURS)

"""Hand-written assets go the same way as streams, and what was stored comes back as what an annotation asks for."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from typing_extensions import override

from etl_assets.assets.factory import stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.assets.iomanagers import DuckDBIOManager, io_manager_class
from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from tests.assets.shop import Shop, event, failure_text, query, run

Io = dict[str, Any]


@pytest.fixture
def io(warehouse: DuckDBDestination) -> Io:
    return {"io_manager": DestinationIOManager(warehouse)}


def returning(value: Any, **options: Any) -> dg.AssetsDefinition:
    """Return an asset `marts/daily` that returns a value."""

    def daily():  # type: ignore[no-untyped-def] # noqa: ANN202 - no annotation: Dagster would read it
        return value

    made: dg.AssetsDefinition = dg.asset(key=["marts", "daily"], **options)(daily)
    return made


class Batches:
    """An iterator that is no generator: Dagster would take a generator for events."""

    def __init__(self) -> None:
        self._left = [[{"a": 1}, {"a": 2}], pa.table({"a": [3]}), pd.DataFrame({"a": [4]})]

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._left:
            raise StopIteration
        return self._left.pop(0)


class TestOutputs:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ([{"a": 1}, {"a": 2}], [1, 2]),
            (pd.DataFrame({"a": [1, 2]}), [1, 2]),
            (pa.table({"a": [1, 2]}), [1, 2]),
            (pa.record_batch({"a": [1, 2]}), [1, 2]),
            (pl.DataFrame({"a": [1, 2]}), [1, 2]),
            (duckdb.sql("SELECT 1 AS a"), [1]),
            ([pa.table({"a": [1]}), pa.table({"a": [2]})], [1, 2]),
            (Batches(), [1, 2, 3, 4]),
        ],
        ids=["rows", "pandas", "table", "record batch", "polars", "relation", "tables", "iterator"],
    )
    def test_whatever_has_rows_is_loaded(
        self, value: Any, expected: list[int], io: Io, instance: dg.DagsterInstance, path: Path
    ) -> None:
        result = run([returning(value)], instance, resources=io)
        assert result.success
        assert query(path, "SELECT a FROM marts.daily ORDER BY a") == [(one,) for one in expected]
        shown = event(instance, "marts/daily")
        assert shown["dagster/row_count"] == len(expected)
        assert shown["etl_assets/write_strategy"] == "replace"
        assert shown["dagster/table_name"] == "warehouse.marts.daily"

    def test_a_reader_stays_lazy(self, io: Io, instance: dg.DagsterInstance, path: Path) -> None:
        reader = pa.RecordBatchReader.from_batches(
            pa.schema([("a", pa.int64())]), [pa.record_batch({"a": [1]})] * 3
        )
        assert run([returning(reader)], instance, resources=io).success
        assert query(path, "SELECT count(*) FROM marts.daily") == [(3,)]

    def test_it_replaces_by_default_and_does_as_its_metadata_says(
        self, io: Io, instance: dg.DagsterInstance, path: Path
    ) -> None:
        for _ in range(2):
            run([returning([{"a": 1}])], instance, resources=io)
        assert query(path, "SELECT count(*) FROM marts.daily") == [(1,)]
        append = {"etl_assets/write_strategy": "append"}
        for _ in range(2):
            assert run([returning([{"a": 1}], metadata=append)], instance, resources=io).success
        assert query(path, "SELECT count(*) FROM marts.daily") == [(3,)]

    @pytest.mark.parametrize("key", [["id"], "id"])
    def test_it_merges_by_the_key_its_metadata_names(
        self, key: Any, io: Io, instance: dg.DagsterInstance, path: Path
    ) -> None:
        merge = {"etl_assets/write_strategy": "merge", "etl_assets/primary_key": key}
        run(
            [returning([{"id": 1, "v": "a"}, {"id": 2, "v": "a"}], metadata=merge)],
            instance,
            resources=io,
        )
        run([returning([{"id": 2, "v": "b"}], metadata=merge)], instance, resources=io)
        assert query(path, "SELECT id, v FROM marts.daily ORDER BY id") == [(1, "a"), (2, "b")]

    def test_none_is_an_error_that_says_so(self, io: Io, instance: dg.DagsterInstance) -> None:
        assert "returned None, which has no rows" in failure_text(
            run([returning(None)], instance, resources=io)
        )

    @pytest.mark.parametrize("value", ["text", 7, {"a": 1}])
    def test_what_has_no_rows_is_an_error(
        self, value: Any, io: Io, instance: dg.DagsterInstance
    ) -> None:
        assert "which has no rows" in failure_text(run([returning(value)], instance, resources=io))

    def test_an_asset_annotated_none_is_left_alone(
        self, io: Io, instance: dg.DagsterInstance
    ) -> None:
        @dg.asset
        def alone() -> None:
            """Writes its own table."""

        assert run([alone], instance, resources=io).success

    def test_a_partitioned_asset_never_replaces_its_table(
        self, io: Io, instance: dg.DagsterInstance
    ) -> None:
        @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
        def parted() -> pd.DataFrame:
            return pd.DataFrame({"a": [1]})

        result = dg.materialize(
            [parted], instance=instance, resources=io, partition_key="a", raise_on_error=False
        )
        assert "is partitioned, and nothing says which" in failure_text(result)

    def test_one_part_and_many_parts_of_a_key(
        self, io: Io, instance: dg.DagsterInstance, path: Path
    ) -> None:
        @dg.asset(key=["a", "b", "c"])
        def three() -> list[dict[str, int]]:
            return [{"v": 3}]

        @dg.asset
        def one() -> list[dict[str, int]]:
            return [{"v": 1}]

        assert run([three, one], instance, resources=io).success
        assert query(path, "SELECT v FROM b.c") == [(3,)]
        assert query(path, "SELECT v FROM assets.one") == [(1,)]

    def test_a_table_by_metadata(self, io: Io, instance: dg.DagsterInstance, path: Path) -> None:
        place = {"etl_assets/table": "here.there"}
        assert run([returning([{"v": 1}], metadata=place)], instance, resources=io).success
        assert query(path, "SELECT v FROM here.there") == [(1,)]

    def test_an_op_without_an_asset_has_no_table(self, io: Io) -> None:
        @dg.op
        def alone() -> int:
            return 1

        @dg.job(
            resource_defs={
                "io_manager": dg.IOManagerDefinition.hardcoded_io_manager(io["io_manager"])
            }
        )
        def work() -> None:
            alone()

        result = work.execute_in_process(raise_on_error=False)
        assert "has no asset key" in failure_text(result)

    def test_a_custom_destination_takes_it_as_it_comes(self, instance: dg.DagsterInstance) -> None:
        seen: list[Any] = []

        class Sink(Destination):
            @override
            def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
                seen.extend(item["record"] for item in record_data)

        assert run(
            [returning([{"a": 1}])],
            instance,
            resources={"io_manager": DestinationIOManager(Sink())},
        ).success
        assert seen == [{"a": 1}]

    def test_an_io_manager_without_anything_says_what_it_needs(
        self, instance: dg.DagsterInstance
    ) -> None:
        result = run(
            [returning([{"a": 1}])], instance, resources={"io_manager": DestinationIOManager()}
        )
        assert "has no destination" in failure_text(result)


VALUES = {
    "big": 2**53 + 1,
    "money": Decimal("12345678901234567890.123456789"),
    "day": date(9999, 12, 31),
    "clock": time(1, 2, 3, 4),
    "moment": datetime(1, 1, 1, tzinfo=UTC),
    "text": "ü",
    "nothing": None,
    "bits": b"\x00\xff",
}


@pytest.fixture
def stored(io: Io, instance: dg.DagsterInstance) -> dg.AssetsDefinition:
    """An asset of two rows, the second of them all NULL, already materialized."""
    asset = returning([VALUES, dict.fromkeys(VALUES)])
    assert run([asset], instance, resources=io).success
    return asset


def load(
    annotation: Any,
    stored: dg.AssetsDefinition,
    io: Io,
    instance: dg.DagsterInstance,
    **options: Any,
) -> Any:
    """Return what a downstream asset with this annotation is handed."""
    seen: list[Any] = []

    def after(daily):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - annotated below
        seen.append(daily)

    after.__annotations__ = ({} if annotation is ... else {"daily": annotation}) | {"return": None}
    asset = dg.asset(ins={"daily": dg.AssetIn(key=["marts", "daily"], **options)})(after)
    result = run([stored, asset], instance, "after", resources=io)
    if not result.success:
        raise ConfigError(failure_text(result))
    return seen[0]


class TestInputs:
    @pytest.mark.parametrize("annotation", [pd.DataFrame, Any, ...], ids=str)
    def test_pandas_is_exact(
        self, annotation: Any, stored: dg.AssetsDefinition, io: Io, instance: dg.DagsterInstance
    ) -> None:
        frame = load(annotation, stored, io, instance)
        assert isinstance(frame, pd.DataFrame)
        first = frame.iloc[0]
        assert int(first["big"]) == 2**53 + 1
        assert first["money"] == VALUES["money"]
        assert first["day"] == VALUES["day"]
        assert first["clock"] == VALUES["clock"]
        assert first["moment"].to_pydatetime() == VALUES["moment"]
        assert first["text"] == "ü"
        assert pd.isna(first["nothing"])
        assert first["bits"] == VALUES["bits"]
        assert all(pd.isna(frame.iloc[1][name]) for name in VALUES)

    def test_arrow(self, stored: dg.AssetsDefinition, io: Io, instance: dg.DagsterInstance) -> None:
        table = load(pa.Table, stored, io, instance)
        assert isinstance(table, pa.Table)
        assert table.column("money").to_pylist()[0] == VALUES["money"]
        reader = load(pa.RecordBatchReader, stored, io, instance)
        assert reader.read_all().num_rows == 2

    def test_polars(
        self, stored: dg.AssetsDefinition, io: Io, instance: dg.DagsterInstance
    ) -> None:
        frame = load(pl.DataFrame, stored, io, instance)
        assert isinstance(frame, pl.DataFrame)
        assert frame["money"][0] == VALUES["money"]
        assert load(pl.LazyFrame, stored, io, instance).collect().height == 2

    def test_polars_that_is_not_installed_is_a_clear_error(
        self,
        stored: dg.AssetsDefinition,
        io: Io,
        instance: dg.DagsterInstance,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        annotation = pl.DataFrame
        monkeypatch.setitem(__import__("sys").modules, "polars", None)
        with pytest.raises(ConfigError, match="needs polars"):
            load(annotation, stored, io, instance)

    def test_a_duckdb_relation_holds_no_file(
        self, stored: dg.AssetsDefinition, io: Io, instance: dg.DagsterInstance, path: Path
    ) -> None:
        relation = load(duckdb.DuckDBPyRelation, stored, io, instance)
        with duckdb.connect(
            str(path), read_only=True
        ):  # "different configuration" if somebody held it
            assert relation.aggregate("max(big)").fetchall() == [(2**53 + 1,)]
            assert relation.filter("big IS NULL").count("*").fetchall() == [(1,)]

    def test_rows(self, stored: dg.AssetsDefinition, io: Io, instance: dg.DagsterInstance) -> None:
        rows = load(list, stored, io, instance)
        assert rows[0]["big"] == 2**53 + 1

    def test_columns_are_pushed_down(
        self, stored: dg.AssetsDefinition, io: Io, instance: dg.DagsterInstance
    ) -> None:
        frame = load(pd.DataFrame, stored, io, instance, metadata={"columns": ["text", "big"]})
        assert list(frame.columns) == ["text", "big"]

    def test_another_annotation_names_those_there_are(
        self, stored: dg.AssetsDefinition, io: Io, instance: dg.DagsterInstance
    ) -> None:
        with pytest.raises(ConfigError, match=r"pandas\.DataFrame"):
            load(Path, stored, io, instance)

    def test_json_comes_as_its_text(self, io: Io, instance: dg.DagsterInstance) -> None:
        asset = returning([{"v": {"a": [1, "x"]}}, {"v": 7}])
        assert run([asset], instance, resources=io).success
        assert [str(value) for value in load(pd.DataFrame, asset, io, instance)["v"]] == [
            '{"a":[1,"x"]}',
            "7",
        ]

    def test_a_stream_is_loaded_from_where_its_definition_says(
        self, shop: Shop, instance: dg.DagsterInstance, tmp_path: Path
    ) -> None:
        seen: list[int] = []

        def after(orders: pa.Table) -> None:
            seen.append(orders.num_rows)

        down = dg.asset(ins={"orders": dg.AssetIn(key=["shop", "orders"])})(after)
        by_key = stream_assets(shop, ["orders"], io_manager_key="warehouse")
        resource = DuckDBIOManager(path=str(tmp_path / "one.duckdb"), schema_name="landing")
        assert run([*by_key, down], instance, resources={"warehouse": resource}).success
        carried = stream_assets(
            shop,
            ["orders"],
            destination=DuckDBDestination(str(tmp_path / "two.duckdb")),
            options={"orders": {"table": "elsewhere.o"}},
        )
        assert run([*carried, down], instance).success
        assert seen == [5, 5]

    def test_what_cannot_be_read_back_says_so(
        self, shop: Shop, instance: dg.DagsterInstance
    ) -> None:
        class Sink(Destination):
            @override
            def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
                """Drop it."""

        @dg.asset(ins={"orders": dg.AssetIn(key=["shop", "orders"])})
        def after(orders: Any) -> None:
            """Never gets there."""

        result = run([*stream_assets(shop, ["orders"], destination=Sink()), after], instance)
        assert "cannot read" in failure_text(result)


class TestResources:
    def test_its_fields_are_the_destinations_options(self) -> None:
        fields: Any = DuckDBIOManager.to_config_schema().as_field().config_type
        assert set(fields.fields) == set(DuckDBDestination.Options.model_fields)
        assert fields.fields["path"].description

    def test_an_env_var_is_resolved_in_the_run(
        self, shop: Shop, instance: dg.DagsterInstance, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WAREHOUSE", str(path))
        resources = {"warehouse": DuckDBIOManager(path=dg.EnvVar("WAREHOUSE"))}
        assert run(
            stream_assets(shop, io_manager_key="warehouse"), instance, resources=resources
        ).success
        assert query(path, "SELECT count(*) FROM shop.orders") == [(5,)]
        assert not Path("WAREHOUSE").exists()
        assert os.environ["WAREHOUSE"]

    def test_a_definitions_with_it_can_be_shown(self, shop: Shop) -> None:
        defs = dg.Definitions(
            assets=stream_assets(shop, io_manager_key="warehouse"),
            resources={"warehouse": DuckDBIOManager(path="w.duckdb", settings={"threads": 2})},
        )
        assert defs.get_repository_def().get_top_level_resources()

    def test_a_wrong_option_is_named(
        self, shop: Shop, instance: dg.DagsterInstance, path: Path
    ) -> None:
        resources = {"warehouse": DuckDBIOManager(path=str(path), naming="shouting")}
        result = run(
            stream_assets(shop, ["orders"], io_manager_key="warehouse"),
            instance,
            resources=resources,
        )
        assert "no naming 'shouting'" in failure_text(result)

    def test_a_destination_without_options_has_none(self) -> None:
        with pytest.raises(ConfigError, match="has no Options"):
            io_manager_class("X", Destination)

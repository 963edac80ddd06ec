"""`stream_assets`: where streams come from, what assets they become, and what is refused."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets.assets.bindings import bindings_of, refuse_same_names
from etl_assets.assets.collector import collecting
from etl_assets.assets.factory import build_stream_asset_specs, stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.assets.iomanagers import DuckDBIOManager
from etl_assets.assets.options import StreamOptions
from etl_assets.assets.sensors import build_source_sensor, build_sync_schedule
from etl_assets.assets.translator import StreamProps, StreamTranslator
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.model.catalog import Catalog
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from tests.assets.shop import CUSTOMERS, ORDERS, Shop, event, failure_text, people, query, run

ODD_NAMES = [
    "order items",
    "a.b",
    "a-b",
    "a/b",
    "ünïcode",
    "日本",
    "select",
    "1st",
    "x__y",
    "x_",
    "trailing ",
    'quo"te',
]


def keys_of(assets: list[dg.AssetsDefinition]) -> list[list[str]]:
    return [list(one.key.path) for one in assets]


class Nameless(Source):
    """Declares nothing."""


class TestStreams:
    def test_they_are_those_the_source_declares(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        assets = stream_assets(shop, destination=warehouse)
        assert keys_of(assets) == [
            ["shop", name] for name in ("customers", "orders", "visits", "countries")
        ]

    def test_globs_choose_among_them(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        assert keys_of(stream_assets(shop, "c*", destination=warehouse)) == [
            ["shop", "customers"],
            ["shop", "countries"],
        ]

    def test_an_unknown_name_is_an_error_with_the_nearest(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(ConfigError, match="Did you mean 'customers'"):
            stream_assets(shop, ["custmers"], destination=warehouse)

    def test_names_alone_are_enough_where_nothing_is_declared(
        self, warehouse: DuckDBDestination
    ) -> None:
        assets = stream_assets(Nameless(name="db"), ["a", "b"], destination=warehouse)
        assert keys_of(assets) == [["db", "a"], ["db", "b"]]

    def test_a_catalog_goes_before_what_the_source_declares(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        catalog = Catalog([Stream("returns", primary_key=["id"])])
        assert keys_of(stream_assets(shop, catalog=catalog, destination=warehouse)) == [
            ["shop", "returns"]
        ]
        assert keys_of(
            stream_assets(shop, catalog=catalog.to_dict() | {}, streams="*", destination=warehouse)
        )

    def test_the_committed_catalog_is_read(
        self, warehouse: DuckDBDestination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Catalog([Stream("a"), Stream("b", selected=False)]).dump(tmp_path / "catalogs" / "db.json")
        assert keys_of(stream_assets(Nameless(name="db"), destination=warehouse)) == [["db", "a"]]
        assert keys_of(stream_assets(Nameless(name="db"), "*", destination=warehouse)) == [
            ["db", "a"],
            ["db", "b"],
        ]

    def test_the_committed_catalog_is_found_beside_the_definitions_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "project").mkdir()
        (tmp_path / "elsewhere").mkdir()
        Catalog([Stream("a")]).dump(tmp_path / "project" / "catalogs" / "db.json")
        file = tmp_path / "project" / "definitions.py"
        text = (
            "from etl_assets.assets.factory import stream_assets\nfrom etl_assets.sources.base import Source\n"
            "assets = stream_assets(Source(name='db'), '*', io_manager_key='w')\n"
        )
        monkeypatch.chdir(tmp_path / "elsewhere")
        scope: dict[str, Any] = {"__name__": "definitions", "__file__": str(file)}
        exec(compile(text, str(file), "exec"), scope)  # noqa: S102 - as Dagster loads a file
        assert keys_of(scope["assets"]) == [["db", "a"]]

    @pytest.mark.parametrize("streams", [None, "*", ["a", "b*"]])
    def test_a_glob_without_a_catalog_names_the_command_that_writes_one(
        self, streams: Any, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(ConfigError, match="etl-assets discover"):
            stream_assets(Nameless(name="db"), streams, destination=warehouse)

    def test_a_missing_catalog_file_is_an_error(
        self, shop: Shop, warehouse: DuckDBDestination, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            stream_assets(shop, catalog=tmp_path / "none.json", destination=warehouse)

    def test_nothing_selected_is_an_error(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        with pytest.raises(ConfigError, match="No stream"):
            stream_assets(
                shop, catalog=Catalog([Stream("a", selected=False)]), destination=warehouse
            )


class TestRefused:
    def test_neither_and_both_of_destination_and_key(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(ConfigError, match="needs a destination or an io_manager_key"):
            stream_assets(shop)
        with pytest.raises(ConfigError, match="got both"):
            stream_assets(shop, destination=warehouse, io_manager_key="warehouse")

    def test_a_source_without_a_name(self, warehouse: DuckDBDestination) -> None:
        with pytest.raises(ConfigError, match="Nameless has no name"):
            stream_assets(Nameless(), ["a"], destination=warehouse)
        assert keys_of(stream_assets(Nameless(), ["a"], name="db", destination=warehouse)) == [
            ["db", "a"]
        ]

    def test_a_destination_that_is_none(self, shop: Shop) -> None:
        with pytest.raises(ConfigError, match="is no destination"):
            stream_assets(shop, destination="warehouse.duckdb")
        with pytest.raises(ConfigError, match="is a class"):
            stream_assets(shop, destination=DuckDBDestination)

    def test_two_streams_on_one_key_names_both(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        class One(StreamTranslator):
            @override
            def get_asset_key(self, props: StreamProps) -> dg.AssetKey:
                return dg.AssetKey("everything")

        with pytest.raises(ConfigError, match="'customers' and 'orders' share the asset key"):
            stream_assets(shop, ["customers", "orders"], destination=warehouse, translator=One())

    def test_two_streams_on_one_table_names_both(self, warehouse: DuckDBDestination) -> None:
        options = {"people": {"table": "db.Users"}}
        with pytest.raises(ConfigError, match="'users' and 'people' share the table"):
            stream_assets(
                Nameless(name="db"), ["users", "people"], destination=warehouse, options=options
            )

    def test_streams_of_like_names_have_a_table_each(self, warehouse: DuckDBDestination) -> None:
        for names in (["Users", "users"], ["a.b", "a-b"]):
            assets = stream_assets(Nameless(name="db"), names, destination=warehouse)
            again = stream_assets(Nameless(name="db"), names[::-1], destination=warehouse)
            tables = [
                {
                    key: spec.metadata["etl_assets/table"]
                    for one in some
                    for key, spec in one.specs_by_key.items()
                }
                for some in (assets, again)
            ]
            assert tables[0] == tables[1]
            assert len({table["name"].lower() for table in tables[0].values()}) == len(names)
        assert stream_assets(Nameless(name="db"), ["a.b", "a-b"], io_manager_key="warehouse")

    def test_options_of_a_stream_that_is_not_there(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(ConfigError, match="Did you mean 'orders'"):
            stream_assets(shop, destination=warehouse, options={"order": {}})
        with pytest.raises(ConfigError, match="no option 'strategy'"):
            stream_assets(shop, destination=warehouse, options={"orders": {"strategy": "append"}})
        with pytest.raises(ConfigError, match="no write strategy 'overwrite'"):
            stream_assets(
                shop, destination=warehouse, options={"orders": {"write_strategy": "overwrite"}}
            )
        with pytest.raises(ConfigError, match="on_conflict cannot be 'explode'"):
            stream_assets(
                shop, destination=warehouse, options={"orders": {"on_conflict": "explode"}}
            )


class TestSpecs:
    def test_the_defaults(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        (asset,) = stream_assets(shop, ["orders"], destination=warehouse)
        spec = asset.get_asset_spec()
        assert spec.group_name == "shop"
        assert spec.kinds == {"duckdb"}
        assert spec.metadata["dagster/table_name"] == "shop.orders"
        assert spec.metadata["dagster/storage_kind"] == "duckdb"
        assert spec.metadata["etl_assets/source"] == "shop"
        assert spec.metadata["etl_assets/stream"] == "orders"
        assert spec.metadata["etl_assets/table"] == {"schema": "shop", "name": "orders"}
        assert asset.op.name == "shop__orders"

    def test_a_namespace_is_part_of_the_key_and_the_table(
        self, warehouse: DuckDBDestination
    ) -> None:
        catalog = Catalog([Stream("users", namespace="public")])
        (asset,) = stream_assets(Nameless(name="db"), catalog=catalog, destination=warehouse)
        assert asset.key.path == ["db", "public", "users"]
        assert asset.get_asset_spec().metadata["dagster/table_name"] == "db.public_users"

    def test_a_declared_schema_is_shown_under_the_columns_names(
        self, warehouse: DuckDBDestination
    ) -> None:
        schema = {
            "properties": {
                "Id": {"type": "integer"},
                "made": {"type": ["null", "string"], "format": "date-time", "description": "When."},
                "any": {},
            },
            "required": ["Id"],
        }
        catalog = Catalog(
            [Stream("users", schema=schema, primary_key=["Id"], replication_key="made")]
        )
        (asset,) = stream_assets(Nameless(name="db"), catalog=catalog, destination=warehouse)
        columns = {
            one.name: one
            for one in asset.get_asset_spec().metadata["dagster/column_schema"].columns
        }
        assert list(columns) == ["id", "made", "any"]
        assert columns["id"].description == "Field 'Id' of the source."
        assert columns["id"].constraints.other == ["primary key"]
        assert columns["id"].constraints.other == ["primary key"]  # said once, not by a tag too
        assert columns["id"].tags == {}
        assert not columns["id"].constraints.nullable
        assert (columns["made"].type, columns["made"].description) == ("timestamp", "When.")
        assert "bookmark" in columns["made"].tags
        assert columns["any"].type == "json"

    def test_options_without_a_translator(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        retries = dg.RetryPolicy(max_retries=2)
        options = {
            "orders": StreamOptions(
                write_strategy="append",
                primary_key=["number"],
                deps=["customers_list"],
                tags={"tier": "gold"},
                owners=["team:shop"],
                group="sales",
                pool="one",
                retry_policy=retries,
                table=TableName("o", "s"),
                on_table_changed="full_refresh",
                on_conflict="ignore",
                adopt=True,
                automation_condition=dg.AutomationCondition.eager(),
                description="**Orders.**",
            )
        }
        (asset,) = stream_assets(shop, ["orders"], destination=warehouse, options=options)
        spec = asset.get_asset_spec()
        assert spec.tags["tier"] == "gold"
        assert spec.owners == ["team:shop"]
        assert spec.group_name == "sales"
        assert spec.description == "**Orders.**"
        assert spec.automation_condition is not None
        assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey("customers_list")]
        assert asset.op.pool == "one"
        assert asset.op.retry_policy == retries
        assert spec.metadata["etl_assets/write_strategy"] == "append"
        assert spec.metadata["etl_assets/on_table_changed"] == "full_refresh"
        assert spec.metadata["dagster/table_name"] == "s.o"
        assert bindings_of([asset])[asset.key].stream.primary_key == ("number",)

    def test_defaults_of_the_call(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        retries = dg.RetryPolicy(max_retries=1)
        (asset,) = stream_assets(
            shop,
            ["orders"],
            destination=warehouse,
            retry_policy=retries,
            pool="p",
            write_strategy="replace",
        )
        assert asset.op.pool == "p"
        assert asset.op.retry_policy == retries
        assert asset.get_asset_spec().metadata["etl_assets/write_strategy"] == "replace"

    def test_a_replication_key_makes_a_full_table_incremental(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        (asset,) = stream_assets(
            shop,
            ["countries"],
            destination=warehouse,
            options={"countries": {"replication_key": "seen"}},
        )
        assert bindings_of([asset])[asset.key].stream.cursor == ("seen",)

    def test_a_translator_changes_what_it_overrides_only(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        class Upper(StreamTranslator):
            @override
            def get_asset_key(self, props: StreamProps) -> dg.AssetKey:
                return dg.AssetKey(["raw", props.stream.name.upper()])

            @override
            def get_metadata(self, props: StreamProps) -> dict[str, Any]:
                return {"mine": 1}

        (asset,) = stream_assets(shop, ["orders"], destination=warehouse, translator=Upper())
        assert asset.key.path == ["raw", "ORDERS"]
        assert asset.get_asset_spec().metadata["mine"] == 1
        assert asset.get_asset_spec().metadata["etl_assets/stream"] == "orders"

    def test_specs_alone(self, shop: Shop) -> None:
        specs = build_stream_asset_specs(shop, ["orders"])
        assert [spec.key.path for spec in specs] == [["shop", "orders"]]
        assert specs[0].metadata["dagster/table_name"] == "shop.orders"
        dg.Definitions(assets=specs).resolve_asset_graph()

    def test_a_binding_survives_new_keys_and_resources(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        assets = stream_assets(shop, ["orders"], destination=warehouse)
        moved = [
            one.with_attributes(asset_key_replacements={one.key: dg.AssetKey("moved")})
            for one in assets
        ]
        assert list(bindings_of(moved)) == [dg.AssetKey("moved")]
        assert bindings_of(moved)[dg.AssetKey("moved")].stream == ORDERS


class TestOddNames:
    def test_each_stream_gets_an_op_a_key_and_a_table_of_its_own(
        self, instance: dg.DagsterInstance, warehouse: DuckDBDestination, path: Path
    ) -> None:
        names = [
            name for name in ODD_NAMES if name not in {"a-b", "a/b"}
        ]  # they share a table with "a.b"
        shop = Shop(
            {name: people(1) for name in names},
            streams=[Stream(name, primary_key=["id"]) for name in names],
        )
        result = run(stream_assets(shop, destination=warehouse), instance)
        assert result.success
        stored = {
            one.materialization.asset_key.path[-1]
            for one in result.get_asset_materialization_events()
        }
        assert stored == set(names)
        assert query(path, "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'shop'") == [
            (len(names),)
        ]

    def test_names_that_look_alike_get_different_ops(self, warehouse: DuckDBDestination) -> None:
        options = {name: {"table": f"t{index}"} for index, name in enumerate(ODD_NAMES)}
        assets = stream_assets(
            Nameless(name="db"), ODD_NAMES, destination=warehouse, options=options
        )
        assert len({one.op.name for one in assets}) == len(ODD_NAMES)
        dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()

    def test_a_source_of_another_script_has_a_group(self, warehouse: DuckDBDestination) -> None:
        (asset,) = stream_assets(Nameless(name="größe"), ["a"], destination=warehouse)
        assert asset.key.path == ["größe", "a"]
        assert str(asset.get_asset_spec().group_name).startswith("gr__e_")


class TestDestinations:
    def test_two_live_in_one_project(
        self, shop: Shop, instance: dg.DagsterInstance, tmp_path: Path
    ) -> None:
        one, two = tmp_path / "one.duckdb", tmp_path / "two.duckdb"
        assets = [
            *stream_assets(shop, ["customers"], destination=DuckDBDestination(str(one))),
            *stream_assets(shop, ["orders"], destination=DuckDBDestination(str(two))),
        ]
        assert run(assets, instance).success
        assert query(one, "SELECT count(*) FROM shop.customers") == [(3,)]
        assert query(two, "SELECT count(*) FROM shop.orders") == [(5,)]

    def test_one_serves_two_calls(
        self, shop: Shop, instance: dg.DagsterInstance, warehouse: DuckDBDestination
    ) -> None:
        other = Shop({"customers": people(2)}, name="other")
        assets = [
            *stream_assets(shop, ["customers"], destination=warehouse),
            *stream_assets(shop, ["orders"], destination=warehouse),
            *stream_assets(other, ["customers"], destination=warehouse),
        ]
        assert run(assets, instance).success
        assert event(instance, "other/customers")["dagster/row_count"] == 2

    def test_a_resource_key_means_development_here_and_production_there(
        self, shop: Shop, instance: dg.DagsterInstance, tmp_path: Path
    ) -> None:
        assets = stream_assets(shop, ["orders"], io_manager_key="warehouse")
        for place in ("dev", "prod"):
            file = tmp_path / f"{place}.duckdb"
            result = run(assets, instance, resources={"warehouse": DuckDBIOManager(path=str(file))})
            assert result.success
            assert query(file, "SELECT count(*) FROM shop.orders") == [(5,)]

    def test_an_io_manager_is_a_destination_too(
        self, shop: Shop, instance: dg.DagsterInstance, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WAREHOUSE", str(path))
        managers = [
            DestinationIOManager(DuckDBDestination(str(path))),
            DuckDBIOManager(path=dg.EnvVar("WAREHOUSE")),
        ]
        for manager in managers:
            assert run(stream_assets(shop, ["orders"], destination=manager), instance).success
        assert query(path, "SELECT count(*) FROM shop.orders") == [(5,)]

    def test_any_object_with_export_batch_data_is_one(
        self, shop: Shop, instance: dg.DagsterInstance
    ) -> None:
        class Mage:
            def __init__(self) -> None:
                self.seen: list[Any] = []

            def export_batch_data(
                self, record_data: list[Any], stream: str, tags: Any = None
            ) -> None:
                del tags
                self.seen += [(stream, item["record"]["id"]) for item in record_data]

        mage = Mage()
        assert run(stream_assets(shop, ["customers"], destination=mage), instance).success
        assert mage.seen == [("customers", 1), ("customers", 2), ("customers", 3)]
        assert event(instance, "shop/customers")["etl_assets/delivery"] == "at_least_once"


class TestOneName:
    def test_two_sources_of_one_name_do_not_share_a_stream(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        class Other(StreamTranslator):
            @override
            def get_asset_key(self, props: StreamProps) -> dg.AssetKey:
                return dg.AssetKey(["other", props.stream.name])

        class Running:
            def __init__(self, assets: list[dg.AssetsDefinition]) -> None:
                self.repository_def = dg.Definitions(assets=assets).get_repository_def()

        def check(*sources: Shop) -> None:
            assets = [
                *stream_assets(sources[0], ["orders"], destination=warehouse),
                *stream_assets(sources[1], ["orders"], destination=warehouse, translator=Other()),
            ]
            context: Any = Running(assets)
            refuse_same_names(context, [bindings_of(assets)[assets[0].key]])

        here, there = Shop(config={"url": "here"}), Shop(config={"url": "there"})
        check(shop, shop)
        check(here, Shop(config={"url": "here"}))
        check(here, Shop(config={"url": "there"}, name="other"))
        with pytest.raises(ConfigError, match="Two sources are named 'shop'"):
            check(here, there)


class TestCollecting:
    def test_the_command_line_learns_what_a_file_declares(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        with collecting() as declared:
            assets = stream_assets(shop, ["orders"], destination=DestinationIOManager(warehouse))
            stream_assets(shop, ["customers"], io_manager_key="warehouse")
        first, second = declared
        assert len(assets) == 1
        assert (first.source, first.source_name, first.destination) == (shop, "shop", warehouse)
        assert list(first.streams) == [ORDERS]
        assert (second.destination, second.io_manager_key, list(second.streams)) == (
            None,
            "warehouse",
            [CUSTOMERS],
        )

    def test_a_missing_catalog_is_told_and_is_no_error_there(
        self, warehouse: DuckDBDestination
    ) -> None:
        source = Nameless(name="db")
        with collecting() as declared:
            assets = stream_assets(source, "*", destination=warehouse)
            sensor = build_source_sensor(source, assets=assets)
            schedule = build_sync_schedule(assets, "@daily")
            dg.Definitions(
                assets=assets, sensors=[sensor], schedules=[schedule]
            ).resolve_asset_graph()
        assert assets == []
        assert declared[0].catalog_missing
        assert declared[0].catalog_path.name == "db.json"
        with pytest.raises(ConfigError):
            stream_assets(source, "*", destination=warehouse)


def test_failures_say_what_to_do(shop: Shop, instance: dg.DagsterInstance) -> None:
    nowhere = DuckDBDestination("/nowhere/at/all.duckdb")
    result = run(stream_assets(shop, ["orders"], destination=nowhere), instance)
    assert not result.success
    assert "does not exist" in failure_text(result)


def test_an_asset_upstream_is_named_as_its_key_is_shown() -> None:
    named = ["erp/orders", dg.AssetKey(["a", "b"]), "flat"]
    (spec,) = build_stream_asset_specs(Shop({}), ["orders"], options={"orders": {"deps": named}})
    assert [dep.asset_key.path for dep in spec.deps] == [["erp", "orders"], ["a", "b"], ["flat"]]

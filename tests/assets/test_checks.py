"""Checks of streams as Dagster shows and obeys them."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets import checks
from etl_assets.assets.factory import build_stream_asset_specs, stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError, UnavailableError
from etl_assets.model.load import Load, Session
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from tests.assets.shop import Shop, event, failure, failure_text, logged, people, person, query, run

ORDERS = dg.AssetKey(["shop", "orders"])
GATE = checks.not_null("name", gate=True)


class Counting(Shop):
    """A shop that counts its rows."""

    more = 0
    closed = False

    @override
    def count_records(
        self,
        stream: Stream,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> int | None:
        if self.closed:
            raise UnavailableError("the shop is closed")
        return len(self.rows[stream.name]) + self.more


def found(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Return what Dagster was told of each check."""
    return {
        f"{one.asset_key.path[-1]}:{one.check_name}": one.passed
        for one in result.get_asset_check_evaluations()
    }


def materialized(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return the assets of which a run has a materialization."""
    return sorted(
        one.asset_key.path[-1] for one in result.get_asset_materialization_events() if one.asset_key
    )


def orders(shop: Shop, warehouse: Any, *wanted: Any, **options: Any) -> list[dg.AssetsDefinition]:
    """Return the asset of the orders with checks."""
    return stream_assets(
        shop,
        ["orders"],
        destination=warehouse,
        options={"orders": StreamOptions(checks=list(wanted), **options)},
    )


class TestOneStream:
    def test_the_materialization_has_its_results(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        shop.rows["orders"].append({**person(6), "name": None})
        assets = orders(
            shop,
            warehouse,
            checks.unique_key(),
            checks.not_null("name", severity="warn"),
            checks.sql("SELECT id FROM {table} WHERE id > 4", name="few"),
        )
        result = run(assets, instance)
        assert result.success
        assert found(result) == {
            "orders:unique_key": True,
            "orders:not_null_name": False,
            "orders:few": False,
        }
        _, empty, few = result.get_asset_check_evaluations()
        assert empty.severity is dg.AssetCheckSeverity.WARN
        assert empty.description == "1 row is NULL in name"
        assert empty.metadata["etl_assets/failing_rows"].value == 1
        assert empty.metadata["etl_assets/failing_keys"].value == [{"id": 6}]
        assert '"name" IS NULL' in str(empty.metadata["etl_assets/query"].value)
        assert few.target_materialization_data is not None
        assert event(instance, "shop/orders")["etl_assets/records_loaded"] == 6

    def test_an_event_is_as_that_of_a_stream_without_checks(
        self, shop: Shop, path: Path, tmp_path: Path, instance: dg.DagsterInstance
    ) -> None:
        run(orders(shop, DuckDBDestination(str(path)), checks.unique_key()), instance)
        checked = event(instance, "shop/orders")
        other = DuckDBDestination(str(tmp_path / "other" / "warehouse.duckdb"))
        run(stream_assets(shop, ["orders"], destination=other), instance)
        plain = event(instance, "shop/orders")
        assert checked.keys() == plain.keys()
        same = ["etl_assets/bookmark", "dagster/row_count", "dagster/table_name"]
        assert {key: checked[key] for key in same} == {key: plain[key] for key in same}

    def test_run_config_and_bookmarks_are_as_ever(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        assets = orders(shop, warehouse, checks.unique_key())
        for config in ({}, {"limit": 3}, {"full_refresh": True}, {"bookmark": {"updated_at": "2"}}):
            assert run(assets, instance, config={"shop__orders": config}).success
        bookmark = {"updated_at": "2026-01-05T00:00:00Z"}
        assert shop.reads == [
            ("orders", None),
            ("orders", bookmark),
            ("orders", None),
            ("orders", {"updated_at": "2"}),
        ]

    def test_a_gate_that_fails_leaves_the_table_and_tells_why(
        self, shop: Shop, path: Path, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        policy = dg.RetryPolicy(max_retries=2)
        assets = orders(shop, warehouse, GATE, checks.row_count(min=1), retry_policy=policy)
        assert run(assets, instance).success
        shop.rows["orders"].append({**person(6), "name": None})
        result = run(assets, instance)
        assert not result.success
        assert found(result) == {"orders:not_null_name": False, "orders:row_count": True}
        assert materialized(result) == []
        assert "not_null_name: 1 row is NULL in name" in failure_text(result)
        assert not [one for one in result.all_events if one.is_step_up_for_retry]
        # Another process reads what the table holds.
        script = f"import duckdb; print(duckdb.connect({str(path)!r}).sql({COUNT!r}).fetchall())"
        asked = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert asked.stdout.strip() == "[(5,)]", asked.stderr
        del shop.rows["orders"][-1]
        assert run(assets, instance).success

    def test_a_blocking_check_holds_back_what_is_downstream(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        ran: list[int] = []

        @dg.asset(deps=[ORDERS])
        def report() -> None:
            ran.append(1)

        empty = checks.not_null("name", blocking=True)
        assets = [*orders(shop, warehouse, empty, checks.row_count(max=1)), report]
        assert run(assets, instance).success, "what is not blocking holds nothing back"
        assert ran == [1]
        shop.rows["orders"].append({**person(6), "name": None})
        result = run(assets, instance)
        assert not result.success
        assert ran == [1]
        assert materialized(result) == ["orders"], "it is loaded all the same"
        assert "1 blocking asset check failed" in str(failure(result).step_failure_data.error)

    def test_what_is_downstream_reads_the_table(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        read: list[Any] = []

        @dg.asset(ins={"orders": dg.AssetIn(ORDERS)})
        def report(orders: list[dict[str, Any]]) -> None:
            read.extend(orders)

        assets = stream_assets(
            shop, ["orders"], io_manager_key="warehouse", defaults={"checks": "unique_key"}
        )
        resources = {"warehouse": DestinationIOManager(warehouse)}
        assert run([*assets, report], instance, resources=resources).success
        assert len(read) == 5

    def test_a_failed_load_has_no_results(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        shop.failures["orders"] = [UnavailableError("not now")]
        result = run(orders(shop, warehouse, checks.unique_key()), instance)
        assert not result.success
        assert found(result) == {}
        assert "not now" in failure_text(result)

    def test_checks_are_listed_before_the_first_run(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        (asset,) = orders(
            shop, warehouse, checks.unique_key(blocking=True), checks.row_count(min=1)
        )
        specs = {spec.name: spec for spec in asset.check_specs}
        assert specs["unique_key"].blocking
        assert not specs["row_count"].blocking
        assert specs["unique_key"].asset_key == ORDERS
        assert "No two rows have the same key" in str(specs["unique_key"].description)

    @pytest.mark.parametrize(
        ("check", "told"),
        [
            (checks.unique_key("a", "b"), "No two rows have the same key (a, b)."),
            (checks.unique_key(), "No two rows have the same key (the stream's primary key)."),
            (checks.not_null("a", "b"), "No row is NULL in a or b."),
            (checks.matches_source(), "The table has as many rows as the source."),
            (
                checks.matches_source(tolerance=0.01),
                "The table has as many rows as the source; a difference of 1.00% is allowed.",
            ),
            (
                checks.row_count(min=1, max=2000),
                "The table has at least 1 row. The table has at most 2,000 rows.",
            ),
            (
                checks.row_count(anomaly=2.5),
                (
                    "The number of rows that a load brings is at most 2.5 standard deviations "
                    "from the mean of the last loads."
                ),
            ),
            (checks.max_lag("at", timedelta(hours=2)), "The newest at is at most 2:00:00 old."),
            (
                checks.schema_unchanged(),
                "The load has added, changed and dropped no column.",
            ),
            (checks.sql("SELECT 1 FROM {table}", name="one"), "SELECT 1 FROM {table}"),
        ],
    )
    def test_the_ui_says_what_is_checked(self, check: checks.Check, told: str) -> None:
        assert check.meaning == told


COUNT = "SELECT COUNT(*) FROM shop.orders"


class TestTheSource:
    @pytest.fixture
    def shop(self) -> Counting:
        return Counting({"orders": people(5)})

    def test_its_rows_are_counted_after_the_load(
        self, shop: Counting, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        exact, about = checks.matches_source(), checks.matches_source(0.2, name="about")
        assets = orders(shop, warehouse, exact, about)
        assert found(run(assets, instance)) == {
            "orders:matches_source": True,
            "orders:about": True,
        }
        shop.more = 1
        result = run(assets, instance)
        assert found(result) == {"orders:matches_source": False, "orders:about": True}
        told, allowing = result.get_asset_check_evaluations()
        assert told.metadata["etl_assets/rows_at_source"].value == 6
        assert told.metadata["etl_assets/rows"].value == 5
        assert told.description == "6 rows at the source, 5 in the table"
        assert allowing.description == f"{told.description}; a difference of 20.00% is allowed"

    def test_a_source_that_is_away_fails_the_check_alone(
        self, shop: Counting, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        shop.closed = True
        result = run(orders(shop, warehouse, checks.matches_source(severity="warn")), instance)
        assert result.success
        (told,) = result.get_asset_check_evaluations()
        assert not told.passed
        assert told.severity is dg.AssetCheckSeverity.ERROR
        assert "could not be evaluated: the shop is closed" in str(told.description)


def test_a_check_that_a_destination_leaves_out_has_failed(
    shop: Shop, path: Path, instance: dg.DagsterInstance
) -> None:
    class Forgetful(DuckDBDestination):
        @contextmanager
        def session(self, loads: Sequence[Load]) -> Iterator[Session]:
            with super().session([replace(load, checks=()) for load in loads]) as session:
                yield session

    result = run(orders(shop, Forgetful(str(path)), checks.unique_key()), instance)
    assert result.success
    (told,) = result.get_asset_check_evaluations()
    assert not told.passed
    assert "the destination has said nothing of it" in str(told.description)


class TestManyStreams:
    def assets(
        self, shop: Shop, warehouse: DuckDBDestination, *wanted: Any, **options: Any
    ) -> list[dg.AssetsDefinition]:
        return stream_assets(
            shop,
            ["orders", "customers"],
            destination=warehouse,
            granularity="source",
            defaults={"checks": list(wanted)},
            **options,
        )

    def test_each_stream_has_its_own(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        shop.rows["orders"].append({**person(6), "name": None})
        result = run(self.assets(shop, warehouse, checks.not_null("name")), instance)
        assert result.success
        assert found(result) == {"orders:not_null_name": False, "customers:not_null_name": True}

    def test_the_gate_of_one_fails_that_one(
        self, shop: Shop, path: Path, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        shop.rows["orders"].append({**person(6), "name": None})
        policy = dg.RetryPolicy(max_retries=2)
        result = run(self.assets(shop, warehouse, GATE, retry_policy=policy), instance)
        assert not result.success
        assert found(result) == {"orders:not_null_name": False, "customers:not_null_name": True}
        assert materialized(result) == ["customers"]
        assert "1 of 2 streams failed: shop/orders" in failure_text(result)
        assert not [one for one in result.all_events if one.is_step_up_for_retry]
        assert query(path, "SELECT COUNT(*) FROM shop.customers") == [(3,)]

    def test_one_asset_is_selected_with_its_checks(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        result = run(self.assets(shop, warehouse, GATE), instance, "shop/orders")
        assert result.success
        assert found(result) == {"orders:not_null_name": True}

    def test_checks_that_were_not_selected_are_not_told(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        selection = dg.AssetSelection.assets(ORDERS).without_checks()
        job = dg.define_asset_job("unchecked", selection)
        assets = self.assets(shop, warehouse, checks.row_count(max=1))
        defs = dg.Definitions(assets=assets, jobs=[job])
        result = defs.resolve_job_def("unchecked").execute_in_process(instance=instance)
        assert result.success
        assert found(result) == {}

    def test_a_retry_does_not_let_pass_what_is_held_back(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        """The orders are loaded and held back, the customers fail; the second attempt loads both."""
        shop.rows["orders"].append({**person(6), "name": None})
        shop.failures["customers"] = [UnavailableError("not now")]
        ran: list[int] = []

        @dg.asset(deps=[ORDERS])
        def report() -> None:
            ran.append(1)

        policy = dg.RetryPolicy(max_retries=1)
        empty = checks.not_null("name", blocking=True)
        assets = [*self.assets(shop, warehouse, empty, retry_policy=policy), report]
        result = run(assets, instance)
        assert [one for one in result.all_events if one.is_step_up_for_retry]
        assert not result.success
        assert ran == []
        assert sorted(set(materialized(result))) == ["customers", "orders"]


class TestOtherKeys:
    """A project may give assets other keys: checks go with them."""

    def test_of_one_stream(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        other = dg.AssetKey(["raw", "sales"])
        assets = [
            one.with_attributes(asset_key_replacements={ORDERS: other})
            for one in orders(shop, warehouse, checks.unique_key())
        ]
        result = run(assets, instance)
        assert result.success
        assert found(result) == {"sales:unique_key": True}

    def test_of_many_streams(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        other = dg.AssetKey(["raw", "sales"])
        assets = [
            one.with_attributes(asset_key_replacements={ORDERS: other})
            for one in TestManyStreams().assets(shop, warehouse, checks.unique_key())
        ]
        result = run(assets, instance)
        assert result.success
        assert found(result) == {"sales:unique_key": True, "customers:unique_key": True}


class TestWhatIsRefused:
    def test_a_destination_without_transactions(self, shop: Shop) -> None:
        class Printer(DestinationIOManager):
            def export_batch_data(self, *_: Any, **__: Any) -> None:
                raise AssertionError("nothing is loaded")

        with pytest.raises(ConfigError, match="the check 'unique_key' needs a destination with"):
            orders(shop, Printer(), checks.unique_key())

    def test_a_resource_without_transactions_before_anything_is_read(
        self, shop: Shop, instance: dg.DagsterInstance
    ) -> None:
        options = {"orders": {"checks": ["unique_key"]}}
        assets = stream_assets(shop, ["orders"], io_manager_key="files", options=options)
        files = dg.FilesystemIOManager()
        result = run(assets, instance, resources={"files": files})
        assert "the check 'unique_key' needs an IO manager of this library" in failure_text(result)
        assert shop.reads == []

    def test_a_source_that_cannot_count(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        with pytest.raises(ConfigError, match="Shop cannot count them"):
            orders(shop, warehouse, checks.matches_source())

    def test_the_stream_is_named(self, shop: Shop, warehouse: DuckDBDestination) -> None:
        options: dict[str, dict[str, Any]] = {"orders": {"checks": {"unique_kye": {}}}}
        with pytest.raises(
            ConfigError, match="stream 'orders': There is no check 'unique_kye'"
        ) as e:
            stream_assets(shop, ["orders"], destination=warehouse, options=options)
        assert e.value.hint == "Did you mean 'unique_key'?"


def test_specs_alone_say_nothing_of_checks(shop: Shop) -> None:
    (spec,) = build_stream_asset_specs(shop, ["orders"], defaults={"checks": ["unique_key"]})
    assert spec.key == ORDERS


def test_an_error_is_logged_without_the_values_of_rows(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    wrong = checks.sql("SELECT id FROM {table} WHERE CAST(name AS INTEGER) > 3", name="wrong")
    result = run(
        orders(shop, warehouse, wrong, checks.max_lag("updated_at", timedelta(1))), instance
    )
    assert result.success
    told = logged(result, instance)
    assert "the check 'wrong' could not be evaluated: DuckDB: ConversionException" in told
    assert "Ada" not in told

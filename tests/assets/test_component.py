"""`StreamsComponent`: YAML by the command `dg`, in a project of its own."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import duckdb
import pytest
import yaml
from dagster.components.resolved.errors import ResolutionException
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from typing_extensions import override

from etl_assets.assets.component.component import StreamsComponent
from etl_assets.assets.component.models import OpModel, ScheduleModel, SensorModel, StreamModel
from etl_assets.assets.component.scaffolder import StreamsParams
from etl_assets.assets.component.scaffolder import attributes as scaffolded
from etl_assets.assets.component.templates import EnvironmentText, without_secrets
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.assets.sensors import build_source_sensor, build_sync_schedule
from etl_assets.assets.translator import StreamProps
from etl_assets.cli import main
from etl_assets.exceptions import ConfigError
from etl_assets.sample import make_shop

SHOP = """
source: {name: sqlite, source_name: shop, path: shop.db}
destination: {name: duckdb, path: warehouse.duckdb}
"""
NAMED = """
streams:
  orders: {primary_key: id, replication_key: updated_at}
"""


def component(text: str, **scope: Any) -> StreamsComponent:
    made: StreamsComponent = StreamsComponent.resolve_from_yaml(text, scope=scope)
    return made


def built(text: str, **scope: Any) -> dg.Definitions:
    context: Any = Context()
    return component(text, **scope).build_defs_from_state(context, None)


class Context:
    """What a component asks of the context of its load."""

    project_root = Path()


def spec(defs: dg.Definitions, key: str = "shop/orders") -> dg.AssetSpec:
    (found,) = [one for one in defs.resolve_all_asset_specs() if one.key.to_user_string() == key]
    return found


def upstream(defs: dg.Definitions) -> list[str]:
    return [dep.asset_key.to_user_string() for dep in spec(defs).deps]


def in_progress(key: str) -> dg.DagsterRun:
    """Return a run that is materializing an asset."""
    return dg.DagsterRun(
        job_name="other",
        run_id=str(uuid4()),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({dg.AssetKey.from_user_string(key)}),
    )


class TestSchema:
    """`dg check yaml` and editors go by it."""

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("granularty: source", "granularty"),
            ("streams: {orders: {grup: x}}", "streams.orders.grup"),
            ("op: {opname: x}", "op.opname"),
            ("op: {retry_policy: {max_retrys: 1}}", "op.retry_policy.max_retrys"),
            ("schedule: [{cron_schedule: '@daily', skip: true}]", "schedule.0.skip"),
            ("schedule: {cron_schedule: '@daily', skip: true}", "schedule.skip"),
            ("sensor: {run: tick}", "sensor.run"),
            ("upstream: {prefix: x}", "upstream.prefix"),
            ("overview: {name: x}", "overview.name"),
        ],
    )
    def test_a_wrong_word_is_told_where_it_stands(self, text: str, place: str) -> None:
        *path, word = place.split(".")
        (error,) = errors(SHOP + text)
        assert [str(one) for one in error.absolute_path] == path
        assert error.message == (f"Additional properties are not allowed ('{word}' was unexpected)")

    def test_a_wrong_type_is_told_where_it_stands(self) -> None:
        (error,) = errors(SHOP + "streams: {orders: {hooks: 5}}")
        assert list(error.absolute_path) == ["streams", "orders", "hooks"]
        assert "5 is not of type" in error.message

    @pytest.mark.parametrize(
        "text",
        [
            'streams: "c*"',
            "streams: [orders]",
            "streams: {orders: }",
            'schedule: "@daily"',
            "sensor: true",
            "overview: true",
            "upstream: true",
            'op: "{{ op }}"',
            "catalog: catalog.json",
        ],
    )
    def test_each_way_to_say_something_is_right(self, text: str) -> None:
        assert errors(SHOP + text) == []


def errors(text: str) -> list[Any]:
    schema = StreamsComponent.get_model_cls().model_json_schema()
    return list(Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))


class TestYaml:
    def test_what_stream_assets_takes_has_a_word(self) -> None:
        words = set(StreamsComponent.get_model_cls().model_fields) | set(OpModel.model_fields)
        of_python = set(signature(stream_assets).parameters)
        elsewhere = {
            "name": "source.source_name",
            "translator": "translation",
            "options": "streams",
        }
        assert of_python - elsewhere.keys() <= words

    def test_what_the_sensor_and_the_schedule_take_has_a_word(self) -> None:
        of_sensor = set(signature(build_source_sensor).parameters)
        of_assets = {
            "source",
            "assets",
            "source_name",
            "catalog",
            "translator",
            "options",
            "defaults",
        }
        assert of_sensor - of_assets == set(SensorModel.model_fields)
        assert set(signature(build_sync_schedule).parameters) - {"assets"} == set(
            ScheduleModel.model_fields
        )

    def test_a_stream_has_every_option(self) -> None:
        known = {each.name for each in fields(StreamOptions)} | {"group_name"}
        assert set(StreamModel.model_fields) == known

    def test_options_are_seen_in_the_definitions(self) -> None:
        @dg.success_hook
        def note(context: dg.HookContext) -> None:
            del context

        defs = built(
            SHOP
            + """
defaults:
  owners: [team:shop]
  tags: {tier: raw, cost: 1}
  metadata: {runbook: wiki/shop}
streams:
  customers:
  orders:
    primary_key: id
    replication_key: updated_at
    write_strategy: merge
    table: raw.orders
    group_name: sales
    tags: {version: "1.10"}
    code_version: "1.10"
    deps: [crm/accounts]
    automation_condition: "{{ dg.AutomationCondition.eager() }}"
    freshness_policy: "{{ dg.FreshnessPolicy.time_window(fail_window=datetime.timedelta(hours=24)) }}"
    retry_policy: {max_retries: 3, delay: 2, backoff: exponential}
    hooks: ["{{ note }}"]
    partitions_def: "{{ dg.DailyPartitionsDefinition('2026-01-01') }}"
    partition_by: updated_at
    backfill_policy: {type: single_run}
op:
  pool: p
  tags: {dagster-celery/queue: slow}
""",
            note=note,
        )
        orders, customers = spec(defs), spec(defs, "shop/customers")
        assert orders.group_name == "sales"
        assert orders.owners == customers.owners == ["team:shop"]
        assert {name: orders.tags[name] for name in ("tier", "cost", "version")} == {
            "tier": "raw",
            "cost": "1",
            "version": "1.10",
        }
        assert orders.code_version == "1.10"
        assert orders.partitions_def == dg.DailyPartitionsDefinition("2026-01-01")
        assert orders.metadata["etl_assets/partition_by"] == "updated_at"
        assert customers.partitions_def is None
        step = defs.resolve_assets_def(orders.key)
        assert step.backfill_policy == dg.BackfillPolicy.single_run()
        assert orders.metadata["runbook"] == "wiki/shop"
        assert orders.metadata["dagster/table_name"] == "raw.orders"
        assert [one.asset_key.path for one in orders.deps] == [["crm", "accounts"]]
        assert orders.automation_condition == dg.AutomationCondition.eager()
        assert orders.freshness_policy is not None
        assets = {
            one.key.path[-1]: one
            for one in defs.assets or ()
            if isinstance(one, dg.AssetsDefinition)
        }
        policy = assets["orders"].op.retry_policy
        assert policy == dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL)
        assert assets["orders"].hook_defs == {note}
        assert assets["customers"].op.pool == "p"
        assert assets["customers"].op.tags["dagster-celery/queue"] == "slow"

    def test_translation_schedule_and_sensor(self) -> None:
        defs = built(
            SHOP
            + NAMED
            + """
translation:
  key: "raw/{{ stream.name }}"
  tags: {source: "{{ source }}"}
schedule:
  - cron_schedule: "0 5 * * *"
    execution_timezone: Europe/Paris
    default_status: RUNNING
  - {cron_schedule: "0 3 * * 0", full_refresh: true}
sensor: {minimum_interval_seconds: 60, runs: tick}
"""
        )
        (one,) = defs.resolve_all_asset_specs()
        assert (one.key.path, one.tags["source"]) == (["raw", "orders"], "shop")
        names = {schedule.name: schedule for schedule in defs.schedules or ()}
        assert set(names) == {"shop_sync", "shop_full_refresh"}
        assert names["shop_sync"].default_status is dg.DefaultScheduleStatus.RUNNING
        (sensor,) = defs.sensors or ()
        assert sensor.minimum_interval_seconds == 60
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance=instance, definitions=defs)
            assert len(sensor.evaluate_tick(context).run_requests or ()) == 1
        again = built(SHOP + NAMED + 'schedule: "@daily"\nsensor: true\n')
        assert [len(list(found or ())) for found in (again.schedules, again.sensors)] == [1, 1]

    def test_one_step_has_its_name_and_its_settings(self) -> None:
        defs = built(SHOP + NAMED + "granularity: source\nop: {op_name: nightly, pool: shop}\n")
        step = defs.resolve_assets_def(dg.AssetKey(["shop", "orders"]))
        assert (step.op.name, step.op.pool) == ("nightly", "shop")
        with pytest.raises(ConfigError, match="op_name"):
            built(SHOP + NAMED + "op: {op_name: nightly}\n")

    def test_a_schedule_may_run_beside_another_run(self) -> None:
        text = 'schedule: {cron_schedule: "@daily", skip_if_running: false, stale_after: 60}\n'
        (schedule,) = built(SHOP + NAMED + text).schedules or ()
        assert isinstance(schedule, dg.ScheduleDefinition)
        with (
            dg.DagsterInstance.local_temp() as instance,
            dg.build_schedule_context(instance=instance) as context,
        ):
            instance.add_run(in_progress("shop/orders"))
            (asked,) = schedule.evaluate_tick(context).run_requests or ()
            assert [key.path for key in asked.asset_selection or ()] == [["shop", "orders"]]
            (careful,) = built(SHOP + NAMED + 'schedule: "@daily"\n').schedules or ()
            assert isinstance(careful, dg.ScheduleDefinition)
            assert "is in progress" in str(careful.evaluate_tick(context).skip_message)

    def test_a_sensor_looks_after_some_streams(self) -> None:
        defs = built(SHOP + "streams: [orders, customers]\nsensor: {streams: [orders]}\n")
        (sensor,) = defs.sensors or ()
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance=instance, definitions=defs) as context,
        ):
            (asked,) = sensor.evaluate_tick(context).run_requests or ()
        assert asked.asset_selection == [dg.AssetKey(["shop", "orders"])]

    def test_the_tables_of_the_source_are_upstream(self) -> None:
        defs = built(SHOP + NAMED + "upstream: true\n")
        assert {one.key.to_user_string() for one in defs.resolve_all_asset_specs()} == {
            "source/shop/orders",
            "shop/orders",
        }
        assert upstream(defs) == ["source/shop/orders"]
        raw = built(SHOP + NAMED + "upstream: {key_prefix: raw}\n")
        assert upstream(raw) == ["raw/shop/orders"]
        own = built(SHOP + NAMED + "upstream: {keys: {orders: crm/orders}}\n")
        assert upstream(own) == ["crm/orders"]
        assert upstream(built(SHOP + NAMED + "upstream: false\n")) == []

    def test_the_tables_are_there_or_are_made(self) -> None:
        both = "upstream: {key_prefix: raw, keys: {orders: crm/orders}}\n"
        with pytest.raises(ConfigError, match="upstream has both keys and key_prefix") as told:
            built(SHOP + NAMED + both)
        assert "either there (`keys`), or made (`key_prefix`)" in str(told.value.hint)

    def test_an_overview_is_made_when_the_schedule_says(self) -> None:
        defs = built(SHOP + NAMED + 'overview: {group_name: ops, cron_schedule: "0 * * * *"}\n')
        assert spec(defs, "etl_assets/overview/shop").group_name == "ops"
        (schedule,) = defs.schedules or ()
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert (schedule.name, schedule.cron_schedule) == ("shop_overview", "0 * * * *")
        named = built(SHOP + NAMED + "overview: {key: pages/shop}\n")
        assert spec(named, "pages/shop").group_name == "etl_assets"
        assert not list(named.schedules or ())

    def test_what_a_template_variable_gives_is_taken(self, shop: Any, warehouse: Any) -> None:
        defs = built(
            'source: "{{ shop }}"\ndestination: "{{ warehouse }}"\nstreams: "c*"\n',
            shop=shop,
            warehouse=warehouse,
        )
        assert {one.key.path[-1] for one in defs.resolve_all_asset_specs()} == {
            "customers",
            "countries",
        }

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (SHOP + "streams: {orders: {grup: x}}", "grup"),
            (SHOP + "streams: {orders: {automation_condition: eager}}", "must be a dagster.Auto"),
            (SHOP.replace("sqlite,", "sqlit,") + NAMED, "sqlit"),
            (SHOP.replace("path: shop.db", "path: shop.db, shcema: x") + NAMED, "shcema"),
            ('source: "{{ 1 + 1 }}"\n' + NAMED, "no etl_assets Source"),
            (SHOP.replace("shop.db", '"{{ env.A or env.B }}"') + NAMED, "can only be inserted"),
            (SHOP + 'sensor: "true"', "switches nothing on or off"),
            (SHOP + "streams: {orders: {checks: {not_null: {columns: 5}}}}", "columns is 5"),
        ],
    )
    def test_what_is_wrong_is_named(self, text: str, told: str) -> None:
        with pytest.raises((ResolutionException, dg.DagsterError, ValueError), match=told):
            component(text)

    def test_no_streams_are_all_of_them_and_no_destination_is_none(self) -> None:
        assert component(SHOP + "streams:").streams is None
        source = SHOP.partition("destination")[0]
        assert component(source + "destination:\nio_manager_key: lake").destination is None

    def test_a_secret_is_not_quoted(self) -> None:
        lines = (
            'name: postgres\n  password: hunter2-secret\n  \'api_key\' : "a \\" b, c"\n'
            "  {host: db, token: 'x, y', port: 1}\n  url: postgresql://me:hunter2-secret@db/x\n"
            '  password: "{{ env.SHOP_PASSWORD }}"\n'
        )
        assert without_secrets(lines) == (
            "name: postgres\n  password: ****\n  'api_key' : ****\n"
            "  {host: db, token: ****, port: 1}\n  url: postgresql://me:****@db/x\n"
            '  password: "{{ env.SHOP_PASSWORD }}"\n'
        )
        model = StreamsComponent.get_model_cls()
        with pytest.raises(ValidationError) as told:
            model.model_validate({"source": {"nam": "postgres", "password": "hunter2-secret"}})
        assert "hunter2-secret" not in str(told.value)

    def test_options_of_a_glob_are_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"'c\*' stands for many.*belong under `defaults`"):
            built(SHOP + 'streams: {"c*": {pool: p}}')


class TestEnvironment:
    def test_a_variable_stays_a_reference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_PW", "hunter2hunter2")
        made = component(
            """
source:
  name: postgres
  source_name: shop
  url: "postgresql://me:{{ env.SHOP_PW }}@{{ env('SHOP_HOST', 'db.example.com') }}/shop"
destination:
  name: postgres
  url: "{{ env.WAREHOUSE_URL }}"
streams: [orders]
"""
        )
        url = made.source._url  # type: ignore[attr-defined]
        assert isinstance(url, EnvironmentText)
        assert url.get_value() == "postgresql://me:hunter2hunter2@db.example.com/shop"
        assert made.destination.options.url == dg.EnvVar("WAREHOUSE_URL")
        assert "hunter2" not in repr(made)
        monkeypatch.delenv("SHOP_PW")
        assert (url.get_value(), url.env_var_name) == (None, "SHOP_PW")

    def test_an_option_is_not_left_out_for_want_of_a_variable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = SHOP + 'streams: {orders: {primary_key: "{{ env.SHOP_KEY }}"}}'
        with pytest.raises(ResolutionException, match="variable SHOP_KEY is not set") as told:
            component(text)
        monkeypatch.setenv("SHOP_KEY", "id")
        assert component(text).streams == {"orders": StreamOptions(primary_key="id")}
        monkeypatch.delenv("SHOP_KEY")
        hint = str(told.value).partition("give a default: ")[2].strip('".')
        with_default = component(text.replace("{{ env.SHOP_KEY }}", hint)).streams
        assert with_default == {"orders": StreamOptions(primary_key="default")}
        table = SHOP + "streams: {orders: {table: \"raw_{{ env.SHOP_KEY or 'x' }}\"}}"
        assert component(table).streams == {"orders": StreamOptions(table="raw_x")}

    def test_a_text_without_a_template_is_not_touched(self) -> None:
        made = component(
            "source: {name: source-faker, config: {seed: '007', ratio: '1.10', list: ['[1]']}}\n"
            "destination: {name: duckdb, path: w.duckdb}\nstreams: [users]\n"
        )
        config = made.source._config
        assert dict(config) == {"seed": "007", "ratio": "1.10", "list": ["[1]"]}


# By the command itself

KEPT_BACK = "not-to-be-seen-8261.db"
LONG = pytest.mark.timeout(900)  # each `dg` is a process that imports all of Dagster


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    return {**given, "PATH": paths, "PYTHONPATH": "."}


def command(folder: Path, environment: dict[str, str], *words: str, fails: bool = False) -> str:
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, told
    return told


@LONG
def test_a_new_project_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    assert main(["init", "my-shop"]) == 0
    project = tmp_path / "my-shop"
    assert "successfully" in command(project, environment, "dg", "check", "defs")
    command(project, environment, "dg", "launch", "--assets", "*")
    with duckdb.connect(str(project / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM shop.orders").fetchall() == [(3,)]
        assert connection.execute("SELECT count(*) FROM shop.customers").fetchall() == [(2,)]
    told = command(project, environment, "etl-assets", "state", "list", "my_shop/definitions.py")
    assert "updated_at" in told


def test_a_project_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    told = {
        "taken": "Name a folder that is empty, or not there yet",
        "My Shop": "Use small letters, digits",
        "dagster": "Choose another name",
    }
    for name, hint in told.items():
        assert main(["init", name]) == 1
        assert hint in capsys.readouterr().err
    assert main(["init", "fine"]) == 0


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project without a component; its shop is where `SHOP_PATH` says."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "demo"]) == 0
    project = tmp_path / "demo"
    shutil.rmtree(project / "demo" / "defs" / "shop")
    (project / "shop.db").rename(project / KEPT_BACK)
    return project


@LONG
def test_it_is_listed_scaffolded_and_checked(bare: Path, environment: dict[str, str]) -> None:
    listed = command(bare, environment, "dg", "list", "components", "--json")
    kind = "etl_assets.StreamsComponent"
    assert kind in listed
    command(bare, environment, "dg", "scaffold", "defs", kind, "shop", "--source", "postgres")
    written = bare / "demo" / "defs" / "shop" / "defs.yaml"
    assert "{{ env.SHOP_URL }}" in written.read_text()
    told = command(bare, environment, "dg", "check", "defs", fails=True)
    assert "Run `dg utils refresh-defs-state`, commit a catalog, or name the streams" in told
    written.write_text(written.read_text() + "  streams:\n    orders:\n      grup: sales\n")
    told = command(bare, environment, "dg", "check", "yaml", fails=True)
    assert "attributes.streams.orders.grup Additional properties are not allowed" in told
    line = len(written.read_text().splitlines())
    assert f"defs.yaml:{line} - " in told


@LONG
def test_a_refresh_finds_the_streams(bare: Path, environment: dict[str, str]) -> None:
    environment = {**environment, "SHOP_PATH": KEPT_BACK}
    folder = bare / "demo" / "defs" / "shop"
    folder.mkdir()
    attributes = scaffolded("shop", StreamsParams())
    text = yaml.safe_dump({"type": "etl_assets.StreamsComponent", "attributes": attributes})
    (folder / "defs.yaml").write_text(text)
    command(bare, environment, "dg", "utils", "refresh-defs-state")
    (state,) = (bare / "demo" / "defs" / ".local_defs_state").glob("*/state")
    found = {one["stream"] for one in json.loads(state.read_text())["streams"]}
    assert found == {"customers", "orders"}
    assert KEPT_BACK not in state.read_text()
    listed = command(bare, environment, "dg", "list", "defs", "--json")
    assert "shop/orders" in listed
    assert KEPT_BACK not in listed
    command(bare, environment, "dg", "launch", "--assets", "shop/orders")
    with duckdb.connect(str(bare / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM shop.orders").fetchall() == [(3,)]


def test_a_committed_catalog_goes_before_the_state(tmp_path: Path) -> None:
    make_shop(tmp_path / "shop.db")
    made = component(SHOP.replace("shop.db", str(tmp_path / "shop.db")))
    made.write_state_to_path(tmp_path / "state")
    context: Any = Context()
    context.project_root = tmp_path
    assert (
        len(made.build_defs_from_state(context, tmp_path / "state").resolve_all_asset_specs()) == 2
    )
    streams = json.loads((tmp_path / "state").read_text())["streams"]
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "shop.json").write_text(json.dumps({"streams": streams[:1]}))
    (one,) = made.build_defs_from_state(context, tmp_path / "state").resolve_all_asset_specs()
    assert one.key.path == ["shop", streams[0]["stream"]]


def test_loading_the_library_does_not_load_the_component() -> None:
    code = "import sys, etl_assets; assert not any(m.startswith('dagster') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys; from etl_assets import stream_assets; "
        "assert not any(m.startswith('etl_assets.assets.component') for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_subclass_says_what_yaml_cannot() -> None:
    class Ours(StreamsComponent):
        @override
        def get_asset_spec(self, props: StreamProps) -> dg.AssetSpec:
            said = super().get_asset_spec(props)
            return said.merge_attributes(tags={"letter": props.stream.name[0]})

    made: Any = Ours.resolve_from_yaml(f"{SHOP}{NAMED}translation: {{group_name: raw}}")
    found = spec(made.build_defs_from_state(Context(), None))
    assert (found.group_name, found.tags["letter"]) == ("raw", "o")

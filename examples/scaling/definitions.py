"""The tables of a shop, loaded by workers on several machines; see docs/scaling.md."""

from pathlib import Path

import dagster as dg
import yaml
from dagster_celery import celery_executor

from etl_assets import (
    PostgresDestination,
    PostgresSource,
    StreamOptions,
    build_sync_schedule,
    stream_assets,
)

# The workers start with the same file, so that they and the runs agree about the broker.
celery = yaml.safe_load(Path(__file__).with_name("celery.yaml").read_text(encoding="utf-8"))

shop = PostgresSource(name="shop", url=dg.EnvVar("SHOP_URL"))
assets = stream_assets(
    shop,
    streams="*",
    destination=PostgresDestination(dg.EnvVar("WAREHOUSE_URL")),
    defaults=StreamOptions(
        replication_key="updated_at",
        pool="shop",
        op_tags={"dagster-celery/queue": "loads"},
    ),
    options={"orders": StreamOptions(split=4)},
)

defs = dg.Definitions(
    assets=assets,
    jobs=[dg.define_asset_job("everything")],
    schedules=[build_sync_schedule(assets, "0 * * * *", name="every_hour")],
    executor=celery_executor.configured(celery["execution"]["config"]),
)

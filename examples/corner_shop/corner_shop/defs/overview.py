"""The asset `etl_assets/overview`: all streams of the project on one page, made anew each hour."""

from etl_assets import build_overview_asset, build_sync_schedule

overview = build_overview_asset()
every_hour = build_sync_schedule([overview], "0 * * * *", name="overview_every_hour")

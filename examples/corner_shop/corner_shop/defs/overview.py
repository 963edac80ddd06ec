"""The asset `etl_assets/overview`: all streams of the project on one page."""

from etl_assets import build_overview_asset

overview = build_overview_asset()

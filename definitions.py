"""The demo project: five tables of an operational database, as assets in a DuckDB warehouse."""

import dagster as dg

from etl_assets import (
    DuckDBDestination,
    SqlSource,
    Stream,
    build_source_sensor,
    build_sync_schedule,
    stream_assets,
)

flights = SqlSource(
    name="nycflights",
    url="sqlite:///.demo/flights.db",
    streams=[
        Stream("airlines", primary_key=["carrier"]),
        Stream("airports", primary_key=["faa"]),
        Stream("planes", primary_key=["tailnum"]),
        Stream("weather", replication_key="time_hour"),
        Stream("flights", replication_key="time_hour"),
    ],
)

assets = stream_assets(flights, destination=DuckDBDestination(".demo/warehouse.duckdb"))

defs = dg.Definitions(
    assets=assets,
    schedules=[build_sync_schedule(assets, "0 6 * * *", name="every_morning")],
    sensors=[
        build_source_sensor(flights, assets=assets, default_status=dg.DefaultSensorStatus.RUNNING)
    ],
)

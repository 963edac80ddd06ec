"""Where scripts written for PyAirbyte find the makers of destinations."""

from etl_assets.destinations.base import Destination
from etl_assets.destinations.connectors import get_destination
from etl_assets.destinations.noop import get_noop_destination

__all__ = ["Destination", "get_destination", "get_noop_destination"]

"""The entry point of destinations written for Mage, where they import it from."""

from etl_assets.destinations.base import Destination, main

__all__ = ["Destination", "main"]

"""Where scripts written for PyAirbyte find the makers of sources."""

from etl_assets.sources.base import Source
from etl_assets.sources.benchmark import get_benchmark_source
from etl_assets.sources.connectors import get_source

__all__ = ["Source", "get_benchmark_source", "get_source"]

"""What starts a connector, where scripts written for PyAirbyte look for the type."""

from etl_assets.connectors.executors import Executor

__all__ = ["Executor"]

"""`mage_integrations.destinations.sink`."""

from etl_assets.mage.singer_targets import BatchSink, RecordSink, Sink

__all__ = ["BatchSink", "RecordSink", "Sink"]

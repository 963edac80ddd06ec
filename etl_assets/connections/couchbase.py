"""`mage_integrations.connections.couchbase`."""

from etl_assets.mage.databases import Couchbase

__all__ = ["Couchbase"]

"""`mage_integrations.connections.utils.google`."""

from typing import Any

CredentialsInfoType = dict[str, Any]
"""The JSON of a service account's key."""

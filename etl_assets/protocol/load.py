"""Names of `etl_assets.model.load`, under the path that they had before."""

from etl_assets.model.load import (
    Capabilities,
    Committed,
    Load,
    Readable,
    Session,
    SyncResult,
    Target,
)

__all__ = ["Capabilities", "Committed", "Load", "Readable", "Session", "SyncResult", "Target"]

"""Names of `etl_assets.model.stored`, under the path that they had before."""

from etl_assets.model.stored import (
    Bookmark,
    Column,
    SharedState,
    Stored,
    StoredSource,
    StreamState,
    TableName,
)

__all__ = [
    "Bookmark",
    "Column",
    "SharedState",
    "Stored",
    "StoredSource",
    "StreamState",
    "TableName",
]

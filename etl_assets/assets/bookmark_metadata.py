"""A bookmark as metadata of an event, and back.

People see it without the hashes of the rows at it (`BOUNDARY`). A destination that keeps state has
these in its state row. For one that keeps none the event is the only copy, so there they stand in
an entry of their own. Events of earlier versions have both in one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import dagster as dg
import simplejson

from etl_assets.model.bookmarks.appending import BOUNDARY
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.stored import Bookmark
from etl_assets.model.values.scalars import to_json

BOOKMARK = "etl_assets/bookmark"
BOOKMARK_BOUNDARY = "etl_assets/bookmark_boundary"
LOAD_ID = "etl_assets/load_id"

MAX_BYTES = 64 * 1024
"""A larger bookmark is shown by its digest, where the destination keeps the bookmark itself."""
MAX_SHARED_BYTES = 4 * 1024
"""The same for the state of a whole source, which is in the event of each of its streams."""
MAX_SHOWN_BYTES = 4 * 1024
BookmarkMetadata = dg.JsonMetadataValue | dg.TextMetadataValue | dg.NullMetadataValue
DIGEST = "etl_assets_bookmark_sha256"


@dataclass(frozen=True)
class ShownBookmark:
    """A bookmark as an event has it.

    Args:
        value: The bookmark; of one that is only shown by its digest, the values of its keys where
            they are short.
        whole: It is the bookmark itself, so a sync may begin from it.
    """

    value: Bookmark | None
    whole: bool = True


def to_metadata(
    bookmark: Bookmark | None, *, show_with: str, may_cut: bool, shared: bool = False
) -> BookmarkMetadata:
    """Return a bookmark as JSON for people to read, without the hashes of the rows at it.

    Where JSON of the UI would round a number, it is exact text.

    Args:
        bookmark: The bookmark.
        show_with: The command that shows the whole of it.
        may_cut: The destination keeps it, so a large one may be a digest here.
        shared: It is the state of a whole source.
    """
    if bookmark is None:
        return dg.NullMetadataValue()
    bookmark = {name: value for name, value in bookmark.items() if name != BOUNDARY}
    text = to_json(bookmark)
    size = len(text.encode("utf-8", "surrogatepass"))
    if may_cut and size > (MAX_SHARED_BYTES if shared else MAX_BYTES):
        return dg.JsonMetadataValue(_digest(bookmark, text, size, show_with))
    plain = simplejson.loads(text)
    return dg.JsonMetadataValue(plain) if to_json(plain) == text else dg.TextMetadataValue(text)


def boundary_to_metadata(bookmark: Bookmark | None) -> dg.JsonMetadataValue | None:
    """Return the hashes of the rows at a bookmark, or None where it has none."""
    boundary = (bookmark or {}).get(BOUNDARY)
    return dg.JsonMetadataValue(boundary) if boundary else None


def bookmark_in(metadata: Mapping[str, Any]) -> ShownBookmark:
    """Return the bookmark of an event, with the hashes of the rows at it where the event has them.

    Args:
        metadata: Of the event; it has a bookmark.
    """
    shown = from_metadata(metadata[BOOKMARK])
    boundary = metadata.get(BOOKMARK_BOUNDARY)
    if boundary is None or shown.value is None:
        return shown
    return replace(shown, value={**shown.value, BOUNDARY: boundary.value})


def from_metadata(value: Any) -> ShownBookmark:
    """Return the bookmark that an entry of an event's metadata holds."""
    found = value.value if isinstance(value, dg.MetadataValue) else value
    if isinstance(found, str):
        found = simplejson.loads(found, use_decimal=True)
    if not isinstance(found, Mapping):
        return ShownBookmark(None)
    if DIGEST in found:
        return ShownBookmark(found.get("values"), whole=False)
    return ShownBookmark(dict(found))


def _digest(bookmark: Bookmark, text: str, size: int, show_with: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        DIGEST: sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        "bytes": size,
        "show": show_with,
    }
    values = plain(bookmark)
    if values and len(to_json(values)) <= MAX_SHOWN_BYTES:
        shown["values"] = simplejson.loads(to_json(values))
    return shown

"""The client of `issues_by_hand.py` as a `RestSource`, which keeps more promises.

It reads `Retry-After` as a date too, and every number exactly; it fails where a page lacks its
records or comes twice.
"""

import dagster as dg

from etl_assets.sources.rest import Bearer, Endpoint, PageNumber, RestSource, Since

tracker = RestSource(
    name="tracker",
    url=dg.EnvVar("TRACKER_URL"),
    auth=Bearer(dg.EnvVar("TRACKER_TOKEN")),
    pages=PageNumber(pages="meta.pages"),
    streams=[
        Endpoint("issues", "/issues", records="data", primary_key="id",
                 incremental=Since("updated_at", param="since")),
        Endpoint("comments", "/issues/{issues.id}/comments", records="data",
                 primary_key=["issue_id", "id"], keep={"issue_id": "issues.id"}),
    ],
)  # fmt: skip

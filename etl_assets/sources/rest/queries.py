"""GraphQL: a query by POST, with its variables and its page info."""

from collections.abc import Mapping
from typing import Any

from etl_assets.sources.rest.endpoint import Endpoint
from etl_assets.sources.rest.pages import Cursor


def graphql(
    name: str,
    query: str,
    *,
    records: str,
    path: str = "/graphql",
    variables: Mapping[str, Any] | None = None,
    page_info: str | None = None,
    after: str = "after",
    **options: Any,
) -> Endpoint:
    """Return the endpoint of a query.

    Args:
        name: The stream's name.
        query: The query.
        records: Where below `data` the records are: `users.nodes`, or `users.edges[].node`.
        path: Below the source's URL.
        variables: The variables. Those of `Since` are set with `body="variables.since"`.
        page_info: Where below `data` the page info is, such as `users.pageInfo`; None for one page.
        after: The variable that takes the cursor.
        options: Those of `Endpoint`.
    """
    pages = None
    if page_info is not None:
        pages = Cursor(
            f"data.{page_info}.endCursor",
            body=f"variables.{after}",
            more=f"data.{page_info}.hasNextPage",
        )
    given: dict[str, Any] = {"pages": pages, "errors": "errors", **options}
    return Endpoint(
        name,
        path,
        method="POST",
        json={"query": query, "variables": dict(variables or {})},
        records=f"data.{records}",
        **given,
    )

"""`RestSource` passes the kit: merged, appended, as a full table, and below parents."""

from collections.abc import Iterator
from typing import Any

import pytest

from etl_assets.sources.base import Source
from etl_assets.sources.rest import Bearer, Cursor, Endpoint, PageNumber, RestSource, Since
from etl_assets.testing import SourceConformance
from tests.sources.rest.server import Asked, Server

KEYED = Endpoint(
    "keyed",
    "/keyed",
    records="data",
    primary_key="id",
    pages=Cursor("next", param="after"),
    incremental=Since("at", "since"),
)
UNKEYED = Endpoint(
    "unkeyed", "/unkeyed", pages=PageNumber(), incremental=Since("n", "since", order="asc")
)
WHOLE = Endpoint("whole", "/whole", primary_key="id", pages=PageNumber())
BELOW = Endpoint("below", "/whole/{whole.id}/below", primary_key="id")


def order(n: int) -> int:
    """Return the replication key of a row: the first seven share it in pairs."""
    return n // 2 if n < 7 else n


class TestRestSource(SourceConformance):
    @pytest.fixture
    def source(self) -> Iterator[Source]:
        self.rows = 7
        server = Server()
        server.routes["/keyed"] = self.keyed
        server.routes["/unkeyed"] = lambda asked: self.paged(
            [
                {"n": order(n), "name": f"row {n}"}
                for n in range(self.rows)
                if order(n) >= int(asked.query.get("since", 0))
            ],
            asked,
        )
        server.routes["/whole"] = lambda asked: self.paged(
            [{"id": n} for n in range(self.rows)], asked
        )
        for parent in range(99):
            server.routes[f"/whole/{parent}/below"] = lambda asked: [
                {"id": int(asked.path.split("/")[2]) * 10}
            ]
        self.url = server.url
        yield self.made(Bearer("a-token"))
        server.close()

    def made(self, auth: Any) -> Source:
        return RestSource("api", self.url, auth=auth, streams=[KEYED, UNKEYED, WHOLE, BELOW])

    def keyed(self, asked: Asked) -> Any:
        rows = [
            {"id": n, "at": f"2026-01-{1 + order(n):02}T00:00:00Z", "price": n / 4}
            for n in range(self.rows)
        ]
        rows = [one for one in rows if str(one["at"]) >= asked.query.get("since", "")]
        start = int(asked.query.get("after") or 0)
        following = start + 2 if start + 2 < len(rows) else None
        return {"data": rows[start : start + 2], "next": following}

    def paged(self, rows: list[Any], asked: Asked) -> list[Any]:
        start = (int(asked.query["page"]) - 1) * 2
        return rows[start : start + 2]

    def add_rows(self) -> bool:
        self.rows += 1
        return True

    def source_with_secret(self, reference: Any) -> Source:
        return self.made(Bearer(reference))

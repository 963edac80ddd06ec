"""Whatever the pages, the parents and the failures on the way: every row comes, and comes once."""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.engine.sync import sync
from etl_assets.sources.read import StreamRead
from etl_assets.sources.rest import (
    Cursor,
    Endpoint,
    LinkHeader,
    NextUrl,
    Offset,
    PageNumber,
    RestSource,
    Since,
)
from etl_assets.sources.rest.transport import in_place_of_the_network
from etl_assets.testing.fakes import MemoryDestination
from tests.sources.rest.conftest import rows_of

URL = "https://api.example.com"
FEW = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PAGES: dict[str, Any] = {
    "number": PageNumber(size=4),
    "offset": Offset(size=4),
    "cursor": Cursor("next", param="after"),
    "header": Cursor(from_header="X-Next", param="after"),
    "link": LinkHeader(),
    "url": NextUrl("url"),
}


@dataclass
class Api:
    """An API that gives rows in pages of its own size, and fails now and then."""

    rows: dict[str, list[dict[str, Any]]]
    most: int = 3
    fails: random.Random = field(default_factory=lambda: random.Random(0))
    rate: float = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        good = self.good(request)
        if self.fails.random() >= self.rate:
            return good
        body = good.content
        kind = self.fails.randrange(5)
        if kind == 0:
            return httpx.Response(self.fails.choice([500, 502, 503]), text="down")
        if kind == 1:
            return httpx.Response(429, headers={"Retry-After": "0"}, text="slow down")
        if kind == 2:
            return httpx.Response(200, content=body[: self.fails.randrange(len(body))])
        if kind == 3:
            packed = gzip.compress(body)
            cut = httpx.ByteStream(packed[: self.fails.randrange(len(packed))])
            return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=cut)
        raise httpx.ReadError("connection reset")

    def good(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        rows = self.selected(self.rows.get(request.url.path, []), query)
        size = min(self.most, int(query.get("limit") or query.get("per_page") or 99))
        if "page" in query:
            start = (int(query["page"]) - 1) * size
        else:
            start = int(query.get("offset") or query.get("after") or 0)
        following = start + size if start + size < len(rows) else None
        document: dict[str, Any] = {
            "data": rows[start : start + size],
            "next": following,
            "url": None,
        }
        headers = {}
        if following is not None:
            url = str(request.url.copy_set_param("after", following))
            document["url"] = url
            headers = {"Link": f'<{url}>; rel="next"', "X-Next": str(following)}
        return httpx.Response(200, content=json.dumps(document), headers=headers)

    def selected(self, rows: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        first, last = query.get("from", ""), query.get("to", "~")
        return [row for row in rows if first <= str(row.get("at", "x")) < last]


@contextmanager
def answered_by(api: Callable[[httpx.Request], httpx.Response]) -> Iterator[None]:
    with in_place_of_the_network(httpx.MockTransport(api)):
        yield


@pytest.mark.parametrize("pages", PAGES)
@given(
    children=st.lists(st.integers(0, 9), max_size=7),
    most=st.integers(1, 4),
    seed=st.integers(0, 2**16),
    rate=st.sampled_from([0.0, 0.3]),
    workers=st.sampled_from([1, 3]),
)
@FEW
def test_every_child_of_every_parent_comes_once(
    pages: str, children: list[int], most: int, seed: int, rate: float, workers: int
) -> None:
    rows = {
        "/parents": [{"id": n} for n in range(len(children))],
        **{
            f"/parents/{parent}/children": [{"n": n} for n in range(count)]
            for parent, count in enumerate(children)
        },
    }
    source = RestSource(
        "api",
        URL,
        pages=PAGES[pages],
        retries=30,
        concurrency=workers,
        streams=[
            Endpoint("parents", "/parents", records="data"),
            Endpoint(
                "children",
                "/parents/{parents.id}/children",
                records="data",
                keep={"parent": "parents.id"},
            ),
        ],
    )
    with answered_by(Api(rows, most, random.Random(seed), rate)):
        found = [(row["parent"], row["n"]) for row in rows_of(source, "children")]
    assert found == [(parent, n) for parent, count in enumerate(children) for n in range(count)]


def moment(hours: int) -> str:
    return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


@pytest.fixture
def _january(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 1, 15, tzinfo=tz)

    monkeypatch.setattr("etl_assets.sources.rest.reading.datetime", Clock)


WAYS: dict[str, Since] = {
    "plain": Since("at", "from"),
    "here": Since("at"),
    "typed": Since("at", "from", type="date-time"),
    "date": Since("at", "from", type="date-time", format="date"),
    "windows": Since("at", "from", end_param="to", initial="2026-01-01", window="1d", format="iso"),
    "days": Since("at", "from", end_param="to", initial="2026-01-01", window="2d", format="date"),
    "ascending": Since("at", "from", order="asc"),
    "descending": Since("at", order="desc"),
}


@pytest.mark.usefixtures("_january")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", ["id", ()], ids=["merge", "append"])
@given(
    rounds=st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=4),
    most=st.integers(1, 4),
)
@FEW
def test_after_every_sync_the_table_has_what_the_api_has(
    way: str, key: Any, rounds: list[list[int]], most: int
) -> None:
    """Rows come at or after the largest moment so far, many with the same."""
    api = Api({"/rows": []}, most)
    rows = api.rows["/rows"]
    endpoint = Endpoint(
        "rows",
        "/rows",
        records="data",
        primary_key=key,
        pages=Cursor("next", param="after"),
        incremental=WAYS[way],
    )
    source = RestSource("api", URL, streams=[endpoint])
    destination = MemoryDestination()
    stream = source.discover().streams[0]
    clock = 0
    for hours in rounds:
        for step in hours:
            clock += step
            rows.append({"id": len(rows), "at": moment(clock)})
        rows.sort(key=lambda row: (row["at"], row["id"]), reverse=way == "descending")
        with answered_by(api):
            sync(StreamRead(source, stream), destination)
        assert sorted(row["id"] for row in destination.rows) == sorted(row["id"] for row in rows)

"""A server for each test, and how a source over it is read."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from etl_assets.sources.read import StreamRead
from etl_assets.sources.rest import RestSource
from tests.sources.rest.server import Server

Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have retries follow at once."""
    monkeypatch.setattr("etl_assets.sources.rest.connection._FIRST_WAIT", 0.001)
    monkeypatch.setattr("etl_assets.sources.rest.connection._LONGEST_WAIT", 0.002)


@pytest.fixture
def api(server: Server) -> Callable[..., RestSource]:
    """Return what makes a source of endpoints over the server."""

    def made(*endpoints: Any, **options: Any) -> RestSource:
        given = {"name": "api", "url": server.url, "timeout": 5, "retries": 2, **options}
        return RestSource(streams=list(endpoints), **given)

    return made


def rows_of(
    source: RestSource, stream: str | None = None, bookmark: Any = None, **options: Any
) -> list[dict[str, Any]]:
    """Read a stream, the first one by default."""
    catalog = source.discover()
    found = catalog.streams[0] if stream is None else catalog.select([stream])[0]
    read = StreamRead(source, found, **options)
    return [row for batch in read.open(bookmark) for row in batch.to_rows(found)]


def batches_of(source: RestSource, stream: str | None = None, bookmark: Any = None) -> list[Any]:
    catalog = source.discover()
    found = catalog.streams[0] if stream is None else catalog.select([stream])[0]
    return list(StreamRead(source, found).open(bookmark))

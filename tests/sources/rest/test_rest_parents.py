"""Endpoints that are asked for by the rows of others."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from etl_assets import DuckDBDestination, stream_assets
from etl_assets.exceptions import ConfigError, DataError, SourceError
from etl_assets.sources.rest import Cursor, Endpoint, PageNumber, RestSource, Since
from tests.sources.rest.conftest import batches_of, rows_of
from tests.sources.rest.server import Asked, Reply, Server

Api = Callable[..., RestSource]
USERS = Endpoint("users", "/users", primary_key="id", pages=PageNumber())
INVOICES = Endpoint(
    "invoices",
    "/users/{users.id}/invoices",
    records="items[]",
    primary_key=["user_id", "id"],
    keep={"user_id": "users.id"},
    pages=Cursor("next", param="after"),
)


def paged(rows: list[Any], asked: Asked, size: int = 2) -> list[Any]:
    start = (int(asked.query.get("page", 1)) - 1) * size
    return rows[start : start + size]


def with_users(server: Server, count: int) -> None:
    users = [{"id": n, "name": f"user {n}"} for n in range(count)]
    server.routes["/users"] = lambda asked: paged(users, asked)


def with_invoices(server: Server, of: dict[int, int]) -> None:
    """Give users so many invoices, two on a page; a user without any has an empty page."""
    with_users(server, len(of))
    for user, count in of.items():

        def answer(asked: Asked, count: int = count) -> Any:
            start = int(asked.query.get("after") or 0)
            items = [{"id": n} for n in range(start, min(count, start + 2))]
            return {"items": items, "next": start + 2 if start + 2 < count else None}

        server.routes[f"/users/{user}/invoices"] = answer


def pairs(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(row["user_id"], row["id"]) for row in rows]


def wanted(of: dict[int, int]) -> list[tuple[int, int]]:
    return [(user, n) for user, count in of.items() for n in range(count)]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_each_parent_has_pages_of_its_own(server: Server, api: Api, concurrency: int) -> None:
    """Parents without children, also where a page of the parents ends: nothing is lost behind them."""
    of = {0: 5, 1: 0, 2: 0, 3: 3, 4: 0, 5: 1, 6: 0}
    with_invoices(server, of)
    source = api(USERS, INVOICES, concurrency=concurrency)
    assert pairs(rows_of(source, "invoices")) == wanted(of)


def test_streams_may_be_named_in_any_order_and_go_over_several_levels(
    server: Server, api: Api
) -> None:
    with_invoices(server, {0: 2, 1: 1})
    for user, invoice in ((0, 0), (0, 1), (1, 0)):
        path = f"/users/{user}/invoices/{invoice}/lines"
        server.route(path, [{"line": 1, "of": [user, invoice]}])
    lines = Endpoint(
        "lines",
        "/users/{users.id}/invoices/{invoices.id}/lines",
        keep={"name": "users.name", "invoice": "invoices.id"},
    )
    rows = rows_of(api(lines, INVOICES, USERS), "lines")
    assert [(row["name"], row["invoice"], row["of"]) for row in rows] == [
        ("user 0", 0, [0, 0]),
        ("user 0", 1, [0, 1]),
        ("user 1", 0, [1, 0]),
    ]


def test_values_of_parents_stand_in_parameters_headers_and_bodies(server: Server, api: Api) -> None:
    server.route("/users", [{"id": 7, "org": {"key": "a/b c"}}])
    server.routes["/search/a%2Fb%20c"] = lambda _: [{"x": 1}]
    endpoint = Endpoint(
        "found",
        "/search/{users.org.key}",
        method="POST",
        params={"user": "{users.id}", "label": "u-{users.id}"},
        headers={"X-User": "{users.id}"},
        json={"id": "{users.id}", "query": "query { users { id } }"},
    )
    source = api(Endpoint("users", "/users"), endpoint)
    assert rows_of(source, "found") == [{"x": 1}]
    asked = server.asked[-1]
    assert asked.query == {"user": "7", "label": "u-7"}
    assert asked.headers["X-User"] == "7"
    assert asked.json == {"id": 7, "query": "query { users { id } }"}


def test_parents_that_come_twice_are_asked_for_once(server: Server, api: Api) -> None:
    with_invoices(server, {0: 1, 1: 1})
    users = [{"id": 0}, {"id": 1}, {"id": 0, "changed": True}]
    server.routes["/users"] = lambda asked: paged(users, asked)
    assert pairs(rows_of(api(USERS, INVOICES), "invoices")) == [(0, 0), (1, 0)]


@pytest.mark.parametrize("status", [404, 410])
def test_a_parent_that_is_gone_is_an_error_or_skipped(
    server: Server, api: Api, status: int
) -> None:
    with_invoices(server, {0: 1, 1: 1, 2: 1})
    server.route("/users/1/invoices", Reply({"error": "gone"}, status))
    with pytest.raises(SourceError, match=f"GET /users/1/invoices answered {status}"):
        rows_of(api(USERS, INVOICES), "invoices")
    skipping = Endpoint(**{**vars(INVOICES), "not_found": "skip"})
    assert pairs(rows_of(api(USERS, skipping), "invoices")) == [(0, 0), (2, 0)]
    remarks = [batch.remark for batch in batches_of(api(USERS, skipping), "invoices")]
    assert remarks[-1] == "1 parents were skipped, as the API knows them no more"


def test_a_page_that_is_gone_in_the_midst_of_a_parent_is_never_skipped(
    server: Server, api: Api
) -> None:
    with_invoices(server, {0: 1})
    server.route("/users/0/invoices", {"items": [{"id": 1}], "next": 2}, Reply(None, 404))
    skipping = Endpoint(**{**vars(INVOICES), "not_found": "skip"})
    with pytest.raises(SourceError, match="GET /users/0/invoices answered 404"):
        rows_of(api(USERS, skipping), "invoices")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "has no single value"),
        ([1], "has no single value"),
        ("..", "part of a path"),
        ("", "part of a path"),
    ],
)
def test_a_parent_that_cannot_be_named_is_an_error(
    server: Server, api: Api, value: Any, told: str
) -> None:
    server.route("/users", [{"id": value}])
    source = api(Endpoint("users", "/users"), INVOICES)
    with pytest.raises(DataError, match=told) as raised:
        rows_of(source, "invoices")
    assert raised.value.stream == "invoices"
    assert raised.value.field == "users.id"


def test_a_field_that_is_kept_does_not_take_the_place_of_another_value(
    server: Server, api: Api
) -> None:
    server.route("/users", [{"id": 1}])
    server.route("/users/1/invoices", {"items": [{"id": 5, "user_id": 2}], "next": None})
    with pytest.raises(DataError, match="another value than its parent's"):
        rows_of(api(Endpoint("users", "/users"), INVOICES), "invoices")
    server.route("/users/1/invoices", {"items": [{"id": 5, "user_id": 1}], "next": None})
    source = api(Endpoint("users", "/users"), INVOICES)
    assert rows_of(source, "invoices") == [{"id": 5, "user_id": 1}]


def test_at_most_so_many_parents_are_read_at_once_and_their_order_stays(
    server: Server, api: Api
) -> None:
    with_users(server, 8)
    running, most, lock = 0, 0, threading.Lock()
    three = threading.Barrier(3, timeout=5)

    def answer(asked: Asked) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        user = int(asked.path.split("/")[2])
        if user < 3:
            three.wait()
        with lock:
            running -= 1
        return {"items": [{"id": user}], "next": None}

    for user in range(8):
        server.routes[f"/users/{user}/invoices"] = answer
    endpoint = Endpoint(**{**vars(INVOICES), "concurrency": 3})
    assert pairs(rows_of(api(USERS, endpoint), "invoices")) == [(n, n) for n in range(8)]
    assert most == 3


def test_an_error_of_one_of_several_ends_all_and_is_raised(server: Server, api: Api) -> None:
    with_invoices(server, dict.fromkeys(range(8), 1))
    server.route("/users/3/invoices", Reply({"error": "no"}, 400))
    with pytest.raises(SourceError, match="GET /users/3/invoices answered 400"):
        rows_of(api(USERS, INVOICES, concurrency=3), "invoices")
    assert [one for one in threading.enumerate() if one.name == "rest-read"] == []


def test_a_read_that_is_cut_ends_its_threads(server: Server, api: Api) -> None:
    with_invoices(server, dict.fromkeys(range(50), 4))
    assert len(rows_of(api(USERS, INVOICES, concurrency=4), "invoices", limit=3)) == 3
    assert [one for one in threading.enumerate() if one.name == "rest-read"] == []


def test_each_parent_is_asked_from_the_bookmark_of_before_the_read(
    server: Server, api: Api
) -> None:
    """A bookmark that moved from parent to parent would hide what the next ones have."""
    with_users(server, 2)
    server.route("/users/0/events", [{"id": 1, "at": "2026-01-09"}])
    server.route("/users/1/events", [{"id": 2, "at": "2026-01-05"}])
    endpoint = Endpoint(
        "events", "/users/{users.id}/events", incremental=Since("at", param="since")
    )
    rows_of(api(USERS, endpoint), "events", bookmark={"at": "2026-01-04"})
    asked = [one.query["since"] for one in server.asked if one.path.endswith("events")]
    assert asked == ["2026-01-04", "2026-01-04"]


def with_events(server: Server, events: dict[int, list[str]]) -> None:
    """Give users events, each with a moment, by the moment they are asked from."""
    server.routes["/users"] = lambda asked: paged([{"id": n} for n in sorted(events)], asked)
    for user in range(9):
        server.routes[f"/users/{user}/events"] = lambda asked: [
            {"id": n, "at": at}
            for n, at in enumerate(events[int(asked.path.split("/")[2])])
            if at >= asked.query.get("since", "")
        ]


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("strategy", ["auto", "append"])
def test_each_parent_has_a_bookmark_of_its_own_where_that_is_asked_for(
    server: Server, api: Api, tmp_path: Path, concurrency: int, strategy: str
) -> None:
    events = {0: ["2026-01-01", "2026-01-09", "2026-01-09"], 1: ["2026-01-02"], 2: []}
    with_events(server, events)
    endpoint = Endpoint(
        "events",
        "/users/{users.id}/events",
        primary_key=["user", "id"],
        keep={"user": "users.id"},
        incremental=Since("at", "since", per_parent=True),
    )
    source = api(USERS, endpoint, concurrency=concurrency)
    assets = stream_assets(
        source,
        ["events"],
        destination=DuckDBDestination(tmp_path / "w.duckdb"),
        write_strategy=strategy,
    )
    instance = dg.DagsterInstance.ephemeral()
    assert dg.materialize(assets, instance=instance).success
    events[1].append("2026-01-03")  # before the largest of all
    events[0].append("2026-01-09")  # at the bookmark of its own
    events[3] = ["2020-01-01"]  # a parent that is new
    server.asked.clear()
    assert dg.materialize(assets, instance=instance).success
    asked = {one.path: one.query for one in server.asked}
    assert asked["/users/0/events"] == {"since": "2026-01-09"}
    assert asked["/users/1/events"] == {"since": "2026-01-02"}
    assert asked["/users/2/events"] == asked["/users/3/events"] == {}
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        found = connection.sql('SELECT "user", id FROM api.events ORDER BY ALL').fetchall()
    assert found == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (3, 0)]


def test_bookmarks_of_parents_stay_while_they_are_read_and_end_with_them(
    server: Server, api: Api
) -> None:
    events = {0: ["2026-01-05"], 1: ["2026-01-06"]}
    with_events(server, events)
    endpoint = Endpoint(
        "events",
        "/users/{users.id}/events",
        primary_key="id",
        incremental=Since("at", "since", per_parent=True),
    )
    source = api(USERS, endpoint)
    stream = source.discover().select(["events"])[0]
    known = {
        "parents": {
            f'{{"users.id":{user}}}': [at, []]
            for user, at in ((0, "2026-01-01"), (1, "2026-01-02"), (7, "2026"))
        }
    }
    batches = list(source.load_data(stream, known, {"_limit": 99}))
    values = [
        {key[-2]: value for key, (value, _) in batch.bookmark["parents"].items()}  # type: ignore[index]
        for batch in batches
    ]
    assert values == [
        {"0": "2026-01-05", "1": "2026-01-02", "7": "2026"},
        {"0": "2026-01-05", "1": "2026-01-06", "7": "2026"},
        {"0": "2026-01-05", "1": "2026-01-06"},
    ]
    with pytest.raises(ConfigError, match="per_parent needs parents and a primary key"):
        Endpoint("events", "/events", incremental=Since("at", per_parent=True))


def test_a_parent_is_read_whole_also_where_it_is_incremental(server: Server, api: Api) -> None:
    server.routes["/users"] = lambda _: [{"id": 0, "at": "2020-01-01"}]
    server.route("/users/0/invoices", {"items": [], "next": None})
    users = Endpoint("users", "/users", incremental=Since("at", "since", initial="2019-01-01"))
    rows_of(api(users, INVOICES), "invoices")
    assert server.asked[0].query == {"since": "2019-01-01"}


def test_parents_that_are_not_there_or_go_in_a_circle_are_refused(api: Api) -> None:
    with pytest.raises(ConfigError, match="there is no stream 'users' to be its parent"):
        api(INVOICES)
    with pytest.raises(ConfigError, match="is a parent of itself"):
        api(Endpoint("a", "/{b.id}"), Endpoint("b", "/{a.id}"))
    with pytest.raises(ConfigError, match="are not below each other"):
        api(USERS, Endpoint("teams", "/teams"), Endpoint("x", "/{users.id}/{teams.id}"))
    with pytest.raises(ConfigError, match="keep names 'id'"):
        api(Endpoint("x", "/x", keep={"a": "id"}))
    with pytest.raises(ConfigError, match="Two streams are called 'users'"):
        api(USERS, USERS)

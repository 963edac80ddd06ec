"""Pages: each way from one to the next, and what becomes of pages that do not end as they should."""

from collections.abc import Callable
from typing import Any

import pytest

from etl_assets.exceptions import ConfigError, SourceError
from etl_assets.sources.rest import (
    Cursor,
    Endpoint,
    LinkHeader,
    NextUrl,
    Offset,
    OnePage,
    Page,
    PageNumber,
    RestSource,
    graphql,
)
from tests.sources.rest.conftest import rows_of
from tests.sources.rest.server import Asked, Reply, Server

Api = Callable[..., RestSource]
ROWS = [{"id": n, "name": f"row {n}"} for n in range(7)]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def by_page(asked: Asked, size: int = 3) -> list[dict[str, Any]]:
    start = (int(asked.query.get("page", 1)) - 1) * size
    return ROWS[start : start + size]


def by_offset(asked: Asked, most: int = 100) -> list[dict[str, Any]]:
    start, size = int(asked.query["offset"]), min(most, int(asked.query["limit"]))
    return ROWS[start : start + size]


def test_page_numbers_end_at_an_empty_page(server: Server, api: Api) -> None:
    server.routes["/rows"] = by_page
    source = api(Endpoint("rows", "/rows", pages=PageNumber(size=3)))
    assert ids(rows_of(source)) == list(range(7))
    assert [one.query["page"] for one in server.asked] == ["1", "2", "3", "4"]


def test_page_numbers_end_where_the_api_says_how_many_there_are(server: Server, api: Api) -> None:
    server.routes["/rows"] = lambda asked: {"data": by_page(asked), "pages": 3}
    source = api(Endpoint("rows", "/rows", records="data", pages=PageNumber(pages="pages")))
    assert ids(rows_of(source)) == list(range(7))
    assert len(server.asked) == 3


def test_page_numbers_end_at_a_short_page_or_a_status_where_that_is_said(
    server: Server, api: Api
) -> None:
    server.routes["/short"] = by_page
    pages = PageNumber(size=3, short_page_ends=True)
    assert ids(rows_of(api(Endpoint("rows", "/short", pages=pages)))) == list(range(7))
    assert len(server.asked) == 3
    server.routes["/status"] = lambda asked: by_page(asked) or Reply({"error": "?"}, 404)
    with pytest.raises(SourceError, match="GET /status answered 404"):
        rows_of(api(Endpoint("rows", "/status", pages=PageNumber())))
    assert ids(
        rows_of(api(Endpoint("rows", "/status", pages=PageNumber(last_status=404))))
    ) == list(range(7))


def test_an_offset_counts_what_has_come_also_where_the_api_gives_less(
    server: Server, api: Api
) -> None:
    server.routes["/rows"] = lambda asked: by_offset(asked, most=2)
    assert ids(rows_of(api(Endpoint("rows", "/rows", pages=Offset(size=5))))) == list(range(7))


def test_an_offset_counts_the_records_that_the_selector_leaves_out(
    server: Server, api: Api
) -> None:
    server.routes["/rows"] = lambda asked: {"data": by_offset(asked), "total": 7}
    pages = Offset(size=2)
    source = api(Endpoint("rows", "/rows", records="data[?id > `2`]", pages=pages, total="total"))
    assert ids(rows_of(source)) == [3, 4, 5, 6]


def test_a_total_saves_the_last_request_and_is_kept(server: Server, api: Api) -> None:
    server.routes["/rows"] = lambda asked: {"data": by_offset(asked), "total": 7}
    source = api(Endpoint("rows", "/rows", records="data", pages=Offset(size=4), total="total"))
    assert ids(rows_of(source)) == list(range(7))
    assert len(server.asked) == 2
    server.routes["/rows"] = lambda asked: {"data": by_offset(asked), "total": 9}
    with pytest.raises(SourceError, match="7 records have come of 9"):
        rows_of(source)


def test_a_total_that_changes_meanwhile_is_no_error(server: Server, api: Api) -> None:
    totals = iter([8, 7, 7])
    server.routes["/rows"] = lambda asked: {"data": by_offset(asked), "total": next(totals)}
    source = api(Endpoint("rows", "/rows", records="data", pages=Offset(size=4), total="total"))
    assert ids(rows_of(source)) == list(range(7))


def in_body(asked: Asked) -> dict[str, Any]:
    start = int(asked.json.get("page", {}).get("cursor") or 0)
    following = start + 3 if start + 3 < 7 else None
    return {"data": ROWS[start : start + 3], "meta": {"next": following}}


def test_a_cursor_goes_into_a_parameter_a_body_or_a_header(server: Server, api: Api) -> None:
    def by_param(asked: Asked) -> Any:
        start = int(asked.query.get("after") or asked.headers.get("X-After") or 0)
        following = str(start + 3) if start + 3 < 7 else None
        reply = Reply({"data": ROWS[start : start + 3], "meta": {"next": following}})
        reply.headers = {} if following is None else {"X-Next": following}
        return reply

    server.routes["/rows"] = by_param
    for pages in (
        Cursor("meta.next", param="after"),
        Cursor("meta.next", header="X-After"),
        Cursor(from_header="X-Next", param="after"),
    ):
        source = api(Endpoint("rows", "/rows", records="data", pages=pages))
        assert ids(rows_of(source)) == list(range(7)), pages
    server.routes["/search"] = in_body
    pages = Cursor("meta.next", body="page.cursor")
    source = api(
        Endpoint("rows", "/search", method="POST", json={"q": "*"}, records="data", pages=pages)
    )
    assert ids(rows_of(source)) == list(range(7))
    assert server.asked[-1].json == {"q": "*", "page": {"cursor": 6}}


def test_a_cursor_may_be_the_last_record(server: Server, api: Api) -> None:
    def starting_after(asked: Asked) -> Any:
        start = int(asked.query.get("starting_after", -1)) + 1
        return {"data": ROWS[start : start + 3], "has_more": start + 3 < 7}

    server.routes["/rows"] = starting_after
    pages = Cursor("data[-1].id", param="starting_after", more="has_more")
    assert ids(rows_of(api(Endpoint("rows", "/rows", records="data", pages=pages)))) == list(
        range(7)
    )
    server.routes["/rows"] = lambda _: {"data": [], "has_more": True}
    with pytest.raises(SourceError, match="says that there is more"):
        rows_of(api(Endpoint("rows", "/rows", records="data", pages=pages)))


def test_an_empty_page_with_a_cursor_is_not_the_end(server: Server, api: Api) -> None:
    pages = {None: ([], "a"), "a": (ROWS[:2], "b"), "b": ([], "c"), "c": (ROWS[2:3], None)}

    def answer(asked: Asked) -> Any:
        rows, following = pages[asked.query.get("after")]
        return {"data": rows, "next": following}

    server.routes["/rows"] = answer
    source = api(Endpoint("rows", "/rows", records="data", pages=Cursor("next", param="after")))
    assert ids(rows_of(source)) == [0, 1, 2]


def test_a_page_without_the_place_of_the_cursor_is_an_error(server: Server, api: Api) -> None:
    server.routes["/rows"] = lambda asked: (
        {"data": ROWS[3:]} if asked.query else {"data": ROWS[:3], "next": "x"}
    )
    with pytest.raises(SourceError, match="has nothing at 'next', not even null") as raised:
        rows_of(api(Endpoint("rows", "/rows", records="data", pages=Cursor("next", param="c"))))
    assert 'missing="end"' in str(raised.value)
    pages = Cursor("next", param="c", missing="end")
    assert ids(rows_of(api(Endpoint("rows", "/rows", records="data", pages=pages)))) == list(
        range(7)
    )


@pytest.mark.parametrize("relative", [True, False])
def test_links_and_urls_are_followed(server: Server, api: Api, relative: bool) -> None:
    base = "" if relative else server.url

    def answer(asked: Asked) -> Any:
        rows, page = by_page(asked), int(asked.query.get("page", 1))
        url = f"{base}/rows?page={page + 1}&size=3"
        link = f'<{server.url}/rows?page=1>; rel="first", <{url}>; title="a, b"; rel="next"'
        is_last = page == 3
        return Reply(
            {"data": rows, "links": {"next": None if is_last else url}},
            headers={} if is_last else {"Link": link},
        )

    server.routes["/rows"] = answer
    for pages in (LinkHeader(), NextUrl("links.next")):
        source = api(Endpoint("rows", "/rows", records="data", pages=pages, params={"size": 3}))
        assert ids(rows_of(source)) == list(range(7)), pages


def test_a_function_says_what_comes_next(server: Server, api: Api) -> None:
    server.routes["/rows"] = by_page

    def following(page: Page) -> dict[str, Any] | None:
        return {"page": page.number + 2} if len(page.records) == 3 else None

    assert ids(rows_of(api(Endpoint("rows", "/rows", pages=following)))) == list(range(7))
    with pytest.raises(ConfigError, match="pages is a int"):
        Endpoint("rows", "/rows", pages=3)


def test_an_endpoint_inherits_the_pages_of_its_source(server: Server, api: Api) -> None:
    server.routes["/rows"] = by_page
    source = api(
        Endpoint("rows", "/rows"), Endpoint("one", "/rows", pages=OnePage()), pages=PageNumber()
    )
    assert ids(rows_of(source, "rows")) == list(range(7))
    assert ids(rows_of(source, "one")) == [0, 1, 2]


# What does not end as it should


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        (Reply([{"id": 1}], headers={"Link": '<http://x/2>; rel="next"'}), "the header Link"),
        (Reply({"data": [{"id": 1}], "next_cursor": "x"}), "next_cursor"),
        (Reply({"data": [{"id": 1}], "meta": {"has_more": True}}), "meta.has_more"),
        (Reply({"data": [{"id": 1}], "_links": {"next": {"href": "/2"}}}), "_links.next"),
    ],
)
def test_an_endpoint_without_pages_refuses_an_answer_that_speaks_of_another(
    server: Server, api: Api, reply: Reply, place: str
) -> None:
    server.route("/rows", reply)
    records = None if isinstance(reply.document, list) else "data"
    with pytest.raises(SourceError, match=f"speaks of another page .{place}."):
        rows_of(api(Endpoint("rows", "/rows", records=records)))
    assert ids(rows_of(api(Endpoint("rows", "/rows", records=records, pages=OnePage())))) == [1]


def test_a_cursor_that_comes_again_is_an_error(server: Server, api: Api) -> None:
    following = {None: "a", "a": "b", "b": "a"}
    counter = iter(range(99))

    def answer(asked: Asked) -> Any:
        return {"data": [{"id": next(counter)}], "next": following[asked.query.get("c")]}

    server.routes["/rows"] = answer
    with pytest.raises(SourceError, match=r"page 3. leads to a page that was read already"):
        rows_of(api(Endpoint("rows", "/rows", records="data", pages=Cursor("next", param="c"))))
    assert len(server.asked) == 3


def test_pages_that_repeat_are_an_error(server: Server, api: Api) -> None:
    """An API that does not know the parameter gives the first page for ever."""
    server.routes["/rows"] = lambda _: ROWS[:3]
    for pages in (PageNumber("pagina"), Offset("skip")):
        with pytest.raises(SourceError, match=r"page 2. has the same records as a page before"):
            rows_of(api(Endpoint("rows", "/rows", pages=pages)))


def test_pages_may_be_alike_where_that_is_said(server: Server, api: Api) -> None:
    server.routes["/rows"] = lambda asked: [{"id": 1}] if int(asked.query["page"]) < 4 else []
    source = api(Endpoint("rows", "/rows", pages=PageNumber(), repeated="allow"))
    assert ids(rows_of(source)) == [1, 1, 1]


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"rows": []}, "has nothing at 'data'"),
        ({"data": None}, "has null at 'data'"),
        (
            {"data": {"id": 9}},
            "has an object where the records should be, and before it was a list",
        ),
        ({"data": [9]}, "has 9 where a record should be"),
        ([], "has nothing at 'data'"),
    ],
)
def test_a_page_of_another_shape_is_an_error(
    server: Server, api: Api, second: Any, told: str
) -> None:
    server.route("/rows", {"data": ROWS[:3]}, second)
    with pytest.raises(SourceError, match=told):
        rows_of(api(Endpoint("rows", "/rows", records="data", pages=PageNumber())))


def test_missing_records_are_none_where_that_is_said(server: Server, api: Api) -> None:
    server.route("/rows", {"data": ROWS[:3]}, {"data": None})
    source = api(Endpoint("rows", "/rows", records="data", pages=PageNumber(), missing="empty"))
    assert ids(rows_of(source)) == [0, 1, 2]


def test_a_list_that_becomes_an_object_is_no_record(server: Server, api: Api) -> None:
    server.route("/rows", ROWS[:3], {"message": "internal error"})
    with pytest.raises(SourceError, match="has an object where the records should be"):
        rows_of(api(Endpoint("rows", "/rows", pages=PageNumber())))


def test_an_expression_that_would_lose_records_is_an_error(server: Server, api: Api) -> None:
    server.route("/rows", {"data": [{"user": {"id": 1}}, {"team": {"id": 2}}]})
    with pytest.raises(SourceError, match="has 1 records without what"):
        rows_of(api(Endpoint("rows", "/rows", records="data[].user")))
    assert ids(rows_of(api(Endpoint("rows", "/rows", records="data[?user].user")))) == [1]
    server.route("/rows", {"data": [{"id": 1}, None]})
    with pytest.raises(SourceError, match="has None where a record should be"):
        rows_of(api(Endpoint("rows", "/rows", records="data[]")))


def test_records_by_a_function_a_flat_list_or_the_whole(server: Server, api: Api) -> None:
    server.route("/rows", {"groups": [[{"id": 1}], [{"id": 2}, {"id": 3}]], "id": 9})
    assert ids(rows_of(api(Endpoint("rows", "/rows", records="groups[]")))) == [1, 2, 3]
    records = lambda document: document["groups"][1]  # noqa: E731
    assert ids(rows_of(api(Endpoint("rows", "/rows", records=records)))) == [2, 3]
    assert ids(rows_of(api(Endpoint("rows", "/rows")))) == [9]


def test_graphql_follows_its_page_info_and_refuses_errors(server: Server, api: Api) -> None:
    def answer(asked: Asked) -> Any:
        start = int(asked.json["variables"].get("after") or 0)
        nodes = [{"node": row} for row in ROWS[start : start + 3]]
        info = {"endCursor": str(start + 3), "hasNextPage": start + 3 < 7}
        return {"data": {"users": {"edges": nodes, "pageInfo": info}}}

    server.routes["/graphql"] = answer
    endpoint = graphql(
        "users",
        "query($after: String) { users(after: $after) { edges { node { id name } } } }",
        records="users.edges[].node",
        page_info="users.pageInfo",
        variables={"first": 3},
    )
    assert ids(rows_of(api(endpoint))) == list(range(7))
    server.route("/graphql", {"data": {"users": None}, "errors": [{"message": "too complex"}]})
    with pytest.raises(SourceError, match=r"something went wrong: .*too complex"):
        rows_of(api(endpoint))


def test_what_the_hints_about_pages_name_helps(server: Server, api: Api) -> None:
    server.route("/none", Reply(status=204))
    with pytest.raises(SourceError, match="has no body"):
        rows_of(api(Endpoint("none", "/none")))
    assert rows_of(api(Endpoint("none", "/none", missing="empty"))) == []
    server.route("/words", ["a", "b"])
    with pytest.raises(SourceError, match="which is no object"):
        rows_of(api(Endpoint("words", "/words")))
    source = api(Endpoint("words", "/words", records="[].{value: @}"))
    assert rows_of(source) == [{"value": "a"}, {"value": "b"}]
    assert Cursor("meta.next", param="after").body is None
    for wrong in ({}, {"at": "x"}, {"at": "x", "param": "y", "missing": "ignore"}):
        with pytest.raises(ConfigError):
            Cursor(**wrong)
    for given in ("param", "body", "header"):
        for missing in ("error", "end"):
            Cursor("x", **{given: "y", "missing": missing})
    with pytest.raises(ConfigError, match="is no JMESPath expression"):
        rows_of(api(Endpoint("words", "/words", records="a..b")))
    server.route("/rows", {"data": [{"id": 1, "label": "x"}], "result": {"items": [{"id": 2}]}})
    for records, rows in (
        ("data", [{"id": 1, "label": "x"}]),
        ("result.items[]", [{"id": 2}]),
        ("data[].{id: id, name: label}", [{"id": 1, "name": "x"}]),
    ):
        assert rows_of(api(Endpoint("rows", "/rows", records=records))) == rows

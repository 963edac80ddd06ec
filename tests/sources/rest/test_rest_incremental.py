"""What is new: what the API is asked for, what is left out here, and where a read may go on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from etl_assets.exceptions import BookmarkError, ConfigError, SourceError
from etl_assets.model.partitions import Partition, Partitions, TimeWindow
from etl_assets.sources.rest import Endpoint, Offset, PageNumber, RestSource, Since
from etl_assets.sources.rest.incremental import Span
from etl_assets.sources.rest.reading import _of_partitions
from tests.sources.rest.conftest import batches_of, rows_of
from tests.sources.rest.server import Asked, Server

Api = Callable[..., RestSource]


def row(n: int, day: int) -> dict[str, Any]:
    return {"id": n, "at": f"2026-01-{day:02}T00:00:00Z"}


ROWS = [row(n, n + 1) for n in range(9)]


def since(asked: Asked, *, strict: bool = False) -> list[dict[str, Any]]:
    start, end = asked.query.get("from", ""), asked.query.get("to", "9999")
    return [
        one
        for one in ROWS
        if (one["at"] > start if strict else one["at"] >= start) and one["at"] < end
    ]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [one["id"] for one in rows]


def test_the_api_is_asked_from_the_bookmark_on(server: Server, api: Api) -> None:
    server.routes["/rows"] = since
    source = api(Endpoint("rows", "/rows", primary_key="id", incremental=Since("at", param="from")))
    assert ids(rows_of(source)) == list(range(9))
    assert server.asked[-1].query == {}
    assert ids(rows_of(source, bookmark={"at": "2026-01-07T00:00:00Z"})) == [6, 7, 8]
    assert server.asked[-1].query == {"from": "2026-01-07T00:00:00Z"}


def test_the_first_read_begins_where_it_is_told(server: Server, api: Api) -> None:
    server.routes["/rows"] = since
    endpoint = Endpoint("rows", "/rows", incremental=Since("at", "from", initial="2026-01-05"))
    assert ids(rows_of(api(endpoint))) == [4, 5, 6, 7, 8]
    assert server.asked[-1].query == {"from": "2026-01-05"}


def test_the_value_may_go_into_a_body(server: Server, api: Api) -> None:
    server.routes["/rows"] = lambda _: ROWS[8:]
    given = Since("at", body="filter.since")
    endpoint = Endpoint(
        "rows", "/rows", method="POST", json={"filter": {"x": 1}}, incremental=given
    )
    rows_of(api(endpoint), bookmark={"at": "2026-01-07T00:00:00Z"})
    assert server.asked[-1].json == {"filter": {"x": 1, "since": "2026-01-07T00:00:00Z"}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (Since("at", "from", type="date-time", format="iso"), "2026-01-07T12:30:15.250000Z"),
        (Since("at", "from", type="date-time", format="date"), "2026-01-07"),
        (Since("at", "from", type="date-time", format="unix"), "1767789015"),
        (Since("at", "from", type="date-time", format="unix_ms"), "1767789015250"),
        (Since("at", "from", type="date-time", format="%d.%m.%Y %H:%M"), "07.01.2026 12:30"),
        (Since("at", "from", lookback="1d", format="date"), "2026-01-06"),
        (Since("at", "from", lookback=timedelta(hours=1)), "2026-01-07T11:30:15.250000Z"),
        (Since("at", "from", type="date-time", exclusive=True), "2026-01-07T12:30:14.250000Z"),
        (Since("at", "from"), "2026-01-07T13:30:15.250+01:00"),
        (Since("at", "from", type="date-time", format=lambda one: f"~{one:%Y}"), "~2026"),
    ],
)
def test_a_value_is_written_as_the_api_wants_it_and_never_later(
    server: Server, api: Api, given: Since, sent: str
) -> None:
    server.routes["/rows"] = lambda _: []
    endpoint = Endpoint("rows", "/rows", primary_key="id", incremental=given)
    rows_of(api(endpoint), bookmark={"at": "2026-01-07T13:30:15.250+01:00"})
    assert server.asked[-1].query == {"from": sent}


@pytest.mark.parametrize(
    ("given", "bookmark", "sent"),
    [
        (Since("at", "from", exclusive=True), 41, "40"),
        (Since("at", "from", lookback=10), 41, "31"),
        (Since("at", "from", type="unix", lookback="1m"), 1767789015, "1767788955"),
        (Since("at", "from", type="unix_ms", exclusive=True), 1767789015250, "1767789014250"),
        (Since("at", "from", type="date", lookback="2d"), "2026-01-07", "2026-01-05"),
    ],
)
def test_numbers_and_dates_go_back_too(
    server: Server, api: Api, given: Since, bookmark: Any, sent: str
) -> None:
    server.routes["/rows"] = lambda _: []
    endpoint = Endpoint("rows", "/rows", primary_key="id", incremental=given)
    rows_of(api(endpoint), bookmark={"at": bookmark})
    assert server.asked[-1].query == {"from": sent}


def test_an_api_that_leaves_out_the_bookmark_itself_is_asked_for_a_little_less(
    server: Server, api: Api
) -> None:
    server.routes["/rows"] = lambda asked: since(asked, strict=True)
    given = Since("at", "from", type="date-time", exclusive=True)
    source = api(Endpoint("rows", "/rows", incremental=given))
    assert ids(rows_of(source, bookmark={"at": "2026-01-07T00:00:00Z"})) == [6, 7, 8]
    server.asked.clear()
    untyped = api(Endpoint("rows", "/rows", incremental=Since("at", "from", exclusive=True)))
    with pytest.raises(BookmarkError, match="nothing can be taken from"):
        rows_of(untyped, bookmark={"at": "2026-01-07T00:00:00Z"})
    assert server.asked == []


def test_an_api_that_cannot_be_asked_is_filtered_here(server: Server, api: Api) -> None:
    server.routes["/rows"] = lambda _: [*ROWS, {"id": 99, "at": None}]
    bookmark = {"at": "2026-01-07T00:00:00Z"}
    for given in ("at", Since("at"), Since("at", type="date-time")):
        endpoint = Endpoint("rows", "/rows", primary_key="id", incremental=given)
        assert ids(rows_of(api(endpoint), bookmark=bookmark)) == [6, 7, 8, 99]
    zoned = {"at": "2026-01-07T02:00:00+02:00"}
    endpoint = Endpoint("rows", "/rows", incremental=Since("at", type="date-time"))
    assert ids(rows_of(api(endpoint), bookmark=zoned)) == [6, 7, 8, 99]


def test_the_newest_first_ends_the_read_early_and_is_checked(server: Server, api: Api) -> None:
    newest = ROWS[::-1]

    def answer(asked: Asked) -> Any:
        start = int(asked.query["offset"])
        return newest[start : start + 2]

    server.routes["/rows"] = answer
    endpoint = Endpoint(
        "rows", "/rows", pages=Offset(size=2), incremental=Since("at", order="desc")
    )
    assert ids(rows_of(api(endpoint), bookmark={"at": "2026-01-07T00:00:00Z"})) == [8, 7, 6]
    assert len(server.asked) == 2
    assert ids(rows_of(api(endpoint))) == ids(newest)
    newest[5], newest[6] = newest[6], newest[5]
    with pytest.raises(SourceError, match="rows came out of order"):
        rows_of(api(endpoint))


def test_an_order_makes_each_page_a_checkpoint_and_is_checked(server: Server, api: Api) -> None:
    def answer(asked: Asked) -> Any:
        found = since(asked)
        start = (int(asked.query["page"]) - 1) * 2
        return found[start : start + 2]

    server.routes["/rows"] = answer
    given = Since("at", "from", order="asc")
    source = api(Endpoint("rows", "/rows", pages=PageNumber(), incremental=given))
    source_batches = list(
        source.load_data(source.discover().streams[0], query={"_limit": 9})  # page by page
    )
    assert [(batch.bookmark or {})["at"][8:10] for batch in source_batches] == [
        *("02", "04", "06", "08", "09")
    ]
    server.routes["/rows"] = lambda asked: ROWS[::-1] if asked.query["page"] == "1" else []
    with pytest.raises(BookmarkError, match="rows came out of order"):
        batches_of(source)


def test_without_an_order_nothing_is_a_checkpoint(server: Server, api: Api) -> None:
    server.routes["/rows"] = since
    source = api(Endpoint("rows", "/rows", incremental=Since("at", "from")))
    assert [batch.bookmark for batch in batches_of(source)] == [None]


# Windows


def windowed(**options: Any) -> Since:
    return Since(
        "at", "from", end_param="to", initial="2026-01-01", window="3d", type="date-time", **options
    )


@pytest.fixture
def _tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 1, 10, 6, tzinfo=tz)

    monkeypatch.setattr("etl_assets.sources.rest.reading.datetime", Clock)


@pytest.mark.usefixtures("_tenth")
@pytest.mark.parametrize("kind", ["inclusive", "exclusive"])
@pytest.mark.parametrize("start", ["inclusive", "exclusive"])
def test_windows_follow_each_other_without_a_gap_or_a_row_twice(
    server: Server, api: Api, kind: str, start: str
) -> None:
    def answer(asked: Asked) -> Any:
        first, last = asked.query["from"], asked.query.get("to", "9999")
        found = []
        for one in ROWS:
            begins = one["at"] > first if start == "exclusive" else one["at"] >= first
            ends = one["at"] <= last if kind == "inclusive" else one["at"] < last
            found += [one] if begins and ends else []
        return found

    server.routes["/rows"] = answer
    given = windowed(exclusive=start == "exclusive")
    source = api(Endpoint("rows", "/rows", incremental=given))
    batches = batches_of(source)
    stream = source.discover().streams[0]
    assert ids([one for batch in batches for one in batch.to_rows(stream)]) == list(range(9))
    marks = [batch.bookmark["at"][:10] for batch in batches if batch.bookmark]
    assert marks == ["2026-01-03", "2026-01-06", "2026-01-09", "2026-01-09"]
    assert len(server.asked) == 4
    assert "to" not in server.asked[-1].query


@pytest.mark.usefixtures("_tenth")
def test_a_bookmark_of_windows_never_goes_back(server: Server, api: Api) -> None:
    server.routes["/rows"] = since
    given = windowed(lookback="5d")
    source = api(Endpoint("rows", "/rows", primary_key="id", incremental=given))
    batches = batches_of(source, bookmark={"at": "2026-01-08T00:00:00Z"})
    marks = [batch.bookmark["at"] for batch in batches if batch.bookmark]
    assert marks == ["2026-01-08T00:00:00Z", "2026-01-08T00:00:00Z", "2026-01-09T00:00:00Z"]
    assert server.asked[0].query["from"] == "2026-01-03T00:00:00Z"


@pytest.mark.usefixtures("_tenth")
def test_windows_of_dates_and_of_seconds(server: Server, api: Api) -> None:
    server.routes["/rows"] = lambda _: []
    dates = Since("day", "from", end_param="to", initial="2026-01-01", window="4d", type="date")
    assert batches_of(api(Endpoint("rows", "/rows", incremental=dates))) == []
    assert [one.query for one in server.asked] == [
        {"from": "2026-01-01", "to": "2026-01-05"},
        {"from": "2026-01-05", "to": "2026-01-09"},
        {"from": "2026-01-09"},
    ]
    server.asked.clear()
    seconds = Since("at", "from", end_param="to", initial=1767225600, window="5d", type="unix")
    assert batches_of(api(Endpoint("rows", "/rows", incremental=seconds))) == []
    assert server.asked[0].query == {"from": "1767225600", "to": "1767657600"}


@pytest.mark.usefixtures("_tenth")
def test_a_row_that_belongs_to_no_window_is_an_error(server: Server, api: Api) -> None:
    server.routes["/rows"] = lambda _: [{"id": 1, "at": None}]
    with pytest.raises(SourceError, match="belongs to no window"):
        batches_of(api(Endpoint("rows", "/rows", incremental=windowed())))


def test_windows_begin_and_end_at_what_the_format_can_say() -> None:
    given = Since(
        "at", "f", end_param="t", initial="2026-01-01T10:30:30Z", window="1d", format="%Y-%m-%d"
    )
    spans = list(given.spans(given.start(None), datetime(2026, 1, 4, 1, tzinfo=UTC)))
    days = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    assert spans == [
        Span(days[0], days[1], drops_after=True),
        Span(days[1], days[2], drops_before=True, drops_after=True),
        Span(days[2], days[3], drops_before=True, drops_after=True),
        Span(days[3], None, drops_before=True),
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"type": "time"}, "type is 'time'"),
        ({"order": "up"}, "order is 'up'"),
        ({"window": "3 fortnights"}, "window is '3 fortnights'"),
        ({"window": "1d"}, "needs param, end_param and initial"),
        ({"window": 5}, "window is 5"),
        ({"lookback": "a while"}, "lookback is 'a while'"),
    ],
)
def test_wrong_words_are_refused(words: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Since("at", **words)


def test_what_an_endpoint_cannot_do_is_refused(server: Server, api: Api) -> None:
    with pytest.raises(ConfigError, match="a lookback needs a primary key"):
        Endpoint("rows", "/rows", incremental=Since("at", "from", lookback="1d"))
    with pytest.raises(ConfigError, match="rows of many parents come in no order"):
        Endpoint("rows", "/a/{b.id}", incremental=Since("at", "from", order="asc"))
    source = api(Endpoint("rows", "/rows", incremental=Since("at", "from")))
    stream = source.discover().streams[0].replace(replication_key="id")
    with pytest.raises(SourceError, match="the endpoint asks by 'at'"):
        list(source.load_data(stream, {"id": 3}))
    with pytest.raises(ConfigError, match="cannot filter rows by 'id'"):
        list(source.load_data(source.discover().streams[0], query={"id": 3}))
    assert server.asked == []


def test_a_replication_key_of_the_asset_alone_filters_here(server: Server, api: Api) -> None:
    server.routes["/rows"] = since
    source = api(Endpoint("rows", "/rows"))
    stream = source.discover().streams[0].replace(replication_key="id", replication_method=None)
    found = [one for batch in source.load_data(stream, {"id": 7}) for one in batch.to_rows(stream)]
    assert ids(found) == [7, 8]


def test_what_the_hints_about_increments_name_is_taken() -> None:
    for span in ("30d", "12h", "5m", "1w", "90s", "250ms"):
        assert isinstance(Since("at", "from", lookback=span).lookback, timedelta)
    for kind in ("date-time", "date", "unix", "unix_ms"):
        assert Since("at", type=kind).type == kind
    for order in ("asc", "desc"):
        assert Since("at", order=order).order == order
    given = Since("at", "from", end_param="to", initial="2026-01-01", window="30d")
    assert given.window == timedelta(days=30)


def test_partitions_are_asked_for_by_windows_or_all_at_once_where_these_would_overlap() -> None:
    def day(hour: int, until: int) -> Partition:
        start = datetime(2026, 1, 2, hour, tzinfo=UTC)
        return Partition(str(hour), {"at": TimeWindow(start, start + timedelta(hours=until))})

    wanted = Partitions((day(1, 1), day(5, 1)))
    by_second = Since("at", "from", end_param="to", type="date-time")
    assert [(one.start.hour, one.end.hour) for one in _of_partitions(by_second, wanted)] == [
        (1, 2),
        (5, 6),
    ]
    by_date = by_second.replaced(format="date")
    (span,) = _of_partitions(by_date, wanted)
    assert (span.start.hour, span.end) == (1, datetime(2026, 1, 3, tzinfo=UTC))
    for cannot in (Since("at"), Since("at", "from"), Since("other", "from", type="date-time")):
        assert _of_partitions(cannot, wanted) == [Span()]

"""What goes wrong between a request and its answer: rates, failures, cut answers, other hosts."""

import gzip
import json
import logging
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest

from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    DataError,
    RateLimitedError,
    SourceError,
    UnavailableError,
)
from etl_assets.sources.rest import Bearer, Endpoint, LinkHeader, NextUrl, RestSource
from etl_assets.sources.rest.limits import Limiter, asked_pause, interval_of, used_up
from tests.sources.rest.conftest import rows_of
from tests.sources.rest.server import Reply, Server

Api = Callable[..., RestSource]
GOOD = [{"id": 1}]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note how long is waited, and do not wait."""
    waited: list[float] = []
    monkeypatch.setattr(
        "etl_assets.sources.rest.connection.Connection._sleep",
        lambda _, seconds: waited.append(seconds) if seconds > 0.05 else None,
    )
    monkeypatch.setattr(
        "etl_assets.sources.rest.limits.Limiter.pause", lambda _, seconds: waited.append(seconds)
    )
    return waited


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for_in_both_forms(
    server: Server, api: Api, pauses: list[float], status: int, form: str
) -> None:
    now = time.time()
    after = "7" if form == "seconds" else formatdate(now + 7, usegmt=True)
    reply = Reply({"error": "slow down"}, status, {"Retry-After": after})
    server.route("/rows", reply, reply, GOOD)
    assert rows_of(api(Endpoint("rows", "/rows"))) == GOOD
    assert len(server.asked) == 3
    assert len([one for one in pauses if 5 < one <= 8]) == 4  # of the request, and of all others


def test_a_pause_is_measured_by_the_servers_clock() -> None:
    """Its clock may be an hour ahead of ours."""
    ahead = time.time() + 3600
    headers = {"date": formatdate(ahead), "retry-after": formatdate(ahead + 5)}
    assert asked_pause(headers) == 5
    assert asked_pause({"retry-after": "1.5"}) == 1.5
    assert asked_pause({"retry-after": "soon"}) is None
    assert asked_pause({}) is None


def test_a_pause_that_is_too_long_is_left_to_the_next_try_of_the_step(
    server: Server, api: Api
) -> None:
    server.route("/rows", Reply({"error": "tomorrow"}, 429, {"Retry-After": "86400"}))
    with pytest.raises(RateLimitedError, match="GET /rows answered 429") as raised:
        rows_of(api(Endpoint("rows", "/rows")))
    assert raised.value.retry_after == 86_400
    assert raised.value.stream == "rows"
    assert raised.value.retryable
    assert len(server.asked) == 1


def test_a_rate_that_is_used_up_is_waited_for(
    server: Server, api: Api, pauses: list[float]
) -> None:
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3"}
    server.route("/rows", Reply(GOOD, 200, spent))
    assert rows_of(api(Endpoint("rows", "/rows"))) == GOOD
    assert pauses == [3]
    server.route("/rows", Reply({"message": "rate limit"}, 403, spent), GOOD)
    assert rows_of(api(Endpoint("rows", "/rows"))) == GOOD
    moment = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 9)}
    assert 7 < (used_up(moment) or 0) <= 9
    assert used_up({"x-ratelimit-remaining": "4", "x-ratelimit-reset": "9"}) is None


def test_a_rate_is_kept_by_all_streams_of_a_source() -> None:
    waited: list[float] = []
    limiter = Limiter(interval_of("10/s"))
    for _ in range(5):
        limiter.wait(waited.append)
    assert waited[0] == 0
    assert all(0 < after - before <= 0.11 for before, after in pairwise(waited))
    assert interval_of("600/m") == 0.1
    assert interval_of("100/10s") == 0.1
    assert interval_of(None) == 0
    for wrong in ("fast", "0/s", "5"):
        with pytest.raises(ConfigError, match="rate is"):
            interval_of(wrong)


def test_a_source_shares_its_limiter_with_its_copies(server: Server, api: Api) -> None:
    server.route("/rows", GOOD)
    source = api(Endpoint("rows", "/rows"), Endpoint("more", "/rows"), rate="20/s", name="shared")
    began = time.monotonic()
    threads = [
        threading.Thread(target=rows_of, args=(source, name)) for name in ("rows", "more", "rows")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.1
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [500, 502, 504, 408])
def test_failures_of_the_server_are_asked_again(server: Server, api: Api, status: int) -> None:
    server.route("/rows", Reply(None, status), Reply("down", status), GOOD)
    assert rows_of(api(Endpoint("rows", "/rows"))) == GOOD
    server.route("/rows", Reply({"error": "broken"}, status))
    with pytest.raises(UnavailableError, match=f"GET /rows answered {status}. .*broken"):
        rows_of(api(Endpoint("rows", "/rows")))


def test_other_errors_say_what_was_asked_and_what_was_answered(server: Server, api: Api) -> None:
    long = {"error": "no such field", "more": "x" * 5_000, "token": "s3cret-token-value"}
    server.route("/rows", Reply(long, 422))
    source = api(Endpoint("rows", "/rows"), auth=Bearer("s3cret-token-value"))
    with pytest.raises(SourceError, match=r"GET /rows answered 422.*no such field") as raised:
        rows_of(source)
    assert len(str(raised.value)) < 700
    assert len(server.asked) == 1
    server.route("/rows", Reply({"error": "bad token s3cret-token-value"}, 400))
    with pytest.raises(SourceError) as raised:
        rows_of(source)
    assert "s3cret" not in str(raised.value)


def cut(document: Any, after: int) -> Reply:
    return Reply(document, cut=after)


@pytest.mark.parametrize(
    "broken",
    [
        cut([{"id": 1}, {"id": 2}], 10),
        Reply(body=b'[{"id": 1}, {"id', bare=True),
        Reply(
            body=gzip.compress(b'[{"id": 1}]' * 50)[:-9],
            bare=True,
            headers={"Content-Encoding": "gzip"},
        ),
        Reply(body=b"not gzip at all", headers={"Content-Encoding": "gzip"}),
        Reply(body=b"x", headers={"Content-Encoding": "br"}),
        Reply(body=b""),
        Reply(body=b"<html>maintenance</html>", headers={"Content-Type": "text/html"}),
    ],
    ids=["connection", "json", "gzip", "no-gzip", "brotli", "empty", "html"],
)
def test_a_broken_answer_is_asked_for_again_and_never_taken(
    server: Server, api: Api, broken: Reply
) -> None:
    rows = [{"id": 1}, {"id": 2}]
    if broken.body != b"":
        server.route("/rows", broken, rows)
        assert rows_of(api(Endpoint("rows", "/rows"))) == rows
    server.route("/rows", broken)
    with pytest.raises((UnavailableError, SourceError), match="GET /rows"):
        rows_of(api(Endpoint("rows", "/rows")))


def test_gzip_is_read_as_an_encoding_and_as_a_file(server: Server, api: Api) -> None:
    rows = [{"id": n, "text": "x" * 100} for n in range(1000)]
    server.route("/rows", Reply(rows, zipped=True))
    assert rows_of(api(Endpoint("rows", "/rows"))) == rows
    packed = gzip.compress(json.dumps(rows[:500]).encode()[:-1] + b",")
    packed += gzip.compress(json.dumps(rows[500:]).encode()[1:])  # two members
    server.route("/rows", Reply(body=packed))
    assert rows_of(api(Endpoint("rows", "/rows"))) == rows


def test_a_bomb_is_refused(server: Server, api: Api) -> None:
    server.route("/rows", Reply(["x" * 100] * 100_000, zipped=True))
    with pytest.raises(SourceError, match="larger than 1,000,000 bytes"):
        rows_of(api(Endpoint("rows", "/rows"), max_bytes=1_000_000))


def test_a_slow_answer_is_asked_for_again(server: Server, api: Api) -> None:
    never = threading.Event()
    server.route("/rows", Reply(GOOD, wait=never), GOOD)
    assert rows_of(api(Endpoint("rows", "/rows"), timeout=0.2)) == GOOD
    never.set()


def test_a_server_that_is_not_there_is_unavailable(api: Api) -> None:
    with pytest.raises(UnavailableError, match=r"GET /rows: no whole answer from 127.0.0.1:9"):
        rows_of(api(Endpoint("rows", "/rows"), url="http://127.0.0.1:9", retries=0))


# Values


def test_numbers_are_read_exactly(server: Server, api: Api) -> None:
    text = b'[{"id": 12345678901234567890, "amount": 0.1234567890123456789, "rate": 0.1}]'
    server.route("/rows", Reply(body=text))
    (row,) = rows_of(api(Endpoint("rows", "/rows")))
    assert row["id"] == 12345678901234567890
    assert str(row["amount"]) == "0.1234567890123456789"
    assert row["rate"] == 0.1


def test_a_key_that_comes_twice_is_an_error_that_names_the_stream(server: Server, api: Api) -> None:
    server.route("/rows", Reply(body=b'[{"id": 1, "id": 2}]'))
    with pytest.raises(DataError, match=r"stream 'rows', field '0.id'") as raised:
        rows_of(api(Endpoint("rows", "/rows")))
    assert raised.value.stream == "rows"
    assert len(server.asked) == 1


def test_lines_of_json_and_csv_are_read(server: Server, api: Api) -> None:
    lines = b'{"id": 1, "n": 12345678901234567890}\n{"id": 2, "n": 0.1}\n\n'
    server.route("/lines", Reply(body=lines, headers={"Content-Type": "application/x-ndjson"}))
    assert rows_of(api(Endpoint("lines", "/lines"))) == [
        {"id": 1, "n": 12345678901234567890},
        {"id": 2, "n": 0.1},
    ]
    server.route("/lines", Reply(body=lines[:-8], bare=True))
    with pytest.raises(SourceError, match="cannot be read"):
        rows_of(api(Endpoint("lines", "/lines", format="jsonl")))
    text = b'id;name\n1;"a;b"\n2;\xc3\xa4\n'
    server.route("/csv", Reply(body=text, headers={"Content-Type": "text/csv"}))
    assert rows_of(api(Endpoint("csv", "/csv", csv={"delimiter": ";"}))) == [
        {"id": "1", "name": "a;b"},
        {"id": "2", "name": "ä"},
    ]
    server.route("/csv", Reply(body=b"id;name\n1\n", headers={"Content-Type": "text/csv"}))
    with pytest.raises(DataError, match="GET /csv"):
        rows_of(api(Endpoint("csv", "/csv", csv={"delimiter": ";"})))


def test_a_csv_whose_end_nobody_tells_is_remarked(server: Server, api: Api) -> None:
    reply = Reply(body=b"id\n1\n", headers={"Content-Type": "text/csv"}, bare=True)
    server.route("/csv", reply)
    source = api(Endpoint("csv", "/csv"))
    batches = list(source.load_data(source.discover().streams[0]))
    assert "does not say where an answer ends" in str(batches[-1].remark)


def test_other_charsets_are_read_as_they_say(server: Server, api: Api) -> None:
    body = '[{"name": "Zoë"}]'.encode("latin-1")
    headers = {"Content-Type": "application/json; charset=ISO-8859-1"}
    server.route("/rows", Reply(body=body, headers=headers))
    assert rows_of(api(Endpoint("rows", "/rows"))) == [{"name": "Zoë"}]
    server.route("/rows", Reply(body=b"\xef\xbb\xbf[{}]"))
    assert rows_of(api(Endpoint("rows", "/rows"))) == [{}]
    server.route("/rows", Reply(body=body))
    with pytest.raises(SourceError, match="cannot be read"):
        rows_of(api(Endpoint("rows", "/rows")))


# Other hosts


def leading_elsewhere(server: Server, other: Server, how: str) -> None:
    place = f"{other.url.replace('127.0.0.1', 'localhost')}/rows?page=2"
    if how == "redirect":
        server.route("/rows", Reply(None, 302, {"Location": place}))
    else:
        server.route(
            "/rows",
            Reply({"data": GOOD, "next": place}, headers={"Link": f'<{place}>; rel="next"'}),
        )


@pytest.mark.parametrize("how", ["redirect", "link", "next"])
def test_another_host_is_given_no_credentials(server: Server, api: Api, how: str) -> None:
    other = Server()
    other.route("/rows", {"data": [{"id": 2}], "next": None})
    leading_elsewhere(server, other, how)
    pages = LinkHeader() if how == "link" else NextUrl()
    endpoint = Endpoint("rows", "/rows", records="data", pages=pages, headers={"X-Mine": "secret1"})
    given = {"auth": Bearer("token-of-mine"), "headers": {"X-Api-Key": "key-of-mine"}}
    assert {"id": 2} in rows_of(api(endpoint, **given))
    told = other.asked[-1].headers
    assert "Authorization" not in told
    assert "X-Api-Key" not in told
    assert "X-Mine" not in told
    assert server.asked[-1].headers["Authorization"] == "Bearer token-of-mine"
    trusted = other.url.replace("127.0.0.1", "localhost")
    assert {"id": 2} in rows_of(api(endpoint, trusted_hosts=[trusted], **given))
    assert other.asked[-1].headers["Authorization"] == "Bearer token-of-mine"
    other.route("/rows", Reply({"error": "who?"}, 401))
    with pytest.raises(AuthenticationError, match="is another host than the API's"):
        rows_of(api(endpoint, **given))
    other.close()


def test_a_body_and_shared_parameters_are_not_sent_to_another_host(
    server: Server, api: Api
) -> None:
    other = Server()
    other.route("/rows", GOOD)
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    server.route("/rows", Reply(None, 307, {"Location": f"{elsewhere}/rows"}))
    endpoint = Endpoint("rows", "/rows", method="POST", form={"password": "pass-word"})
    with pytest.raises(SourceError, match="would send its body to localhost"):
        rows_of(api(endpoint))
    assert other.asked == []
    trusting = api(endpoint, trusted_hosts=[elsewhere])
    assert rows_of(trusting) == GOOD
    absolute = Endpoint("rows", f"{elsewhere}/rows", params={"own": 1})
    assert (
        rows_of(api(absolute, params={"key": "shared-key"}, auth=Bearer("token-of-mine"))) == GOOD
    )
    assert other.asked[-1].query == {"own": "1"}
    assert "Authorization" not in other.asked[-1].headers
    other.close()


def test_a_password_in_the_url_is_in_no_error(api: Api) -> None:
    source = api(Endpoint("rows", "/rows"), url="http://me:pass-word@127.0.0.1:9", retries=0)
    with pytest.raises(UnavailableError) as raised:
        rows_of(source)
    assert "pass-word" not in str(raised.value)


def test_redirects_within_a_host_are_followed_and_end(server: Server, api: Api) -> None:
    server.route("/old", Reply(None, 301, {"Location": "/rows?x=1"}))
    server.route("/rows", GOOD)
    assert rows_of(api(Endpoint("rows", "/old"), auth=Bearer("token-of-mine"))) == GOOD
    assert server.asked[-1].headers["Authorization"] == "Bearer token-of-mine"
    server.route("/rows", Reply(None, 307, {"Location": "/rows"}))
    with pytest.raises(SourceError, match="led on more than"):
        rows_of(api(Endpoint("rows", "/old")))
    server.route("/post", Reply(None, 302, {"Location": "/rows"}))
    with pytest.raises(SourceError, match="leads a POST to"):
        rows_of(api(Endpoint("rows", "/post", method="POST", json={})))
    server.route("/rows", Reply(None, 302, {"Location": "file:///etc/passwd"}))
    with pytest.raises(SourceError, match="is no URL of HTTP"):
        rows_of(api(Endpoint("rows", "/rows")))


def test_a_key_in_a_url_is_in_no_log(
    server: Server, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    from etl_assets.sources.rest import ApiKey

    server.route("/rows", Reply(None, 500), GOOD)
    with caplog.at_level(logging.DEBUG):
        rows_of(api(Endpoint("rows", "/rows"), auth=ApiKey("a-key-in-a-url", param="k")))
    assert server.asked[-1].query == {"k": "a-key-in-a-url"}
    assert "HTTP Request" in caplog.text
    assert "a-key-in-a-url" not in caplog.text
    assert "Trying again" in caplog.text


def test_requests_are_written_as_they_should(server: Server, api: Api) -> None:
    server.route("/rows", GOOD)
    params = {"q": "a+b &c", "many": [1, 2], "flag": True, "none": None, "n": 1.5}
    rows_of(api(Endpoint("rows", "/rows?fixed=%2B1", params=params), params={"all": "yes"}))
    assert server.asked[-1].query == {
        "fixed": "+1",
        "all": "yes",
        "q": "a+b &c",
        "many": "2",
        "flag": "true",
        "n": "1.5",
    }
    with pytest.raises(ConfigError, match="cannot be written in a URL"):
        rows_of(api(Endpoint("rows", "/rows", params={"q": {"a": 1}})))


def test_a_form_is_sent(server: Server, api: Api) -> None:
    server.route("/rows", GOOD)
    rows_of(api(Endpoint("rows", "/rows", method="POST", form={"a": "b c"})))
    assert server.asked[0].body == b"a=b+c"
    assert server.asked[0].headers["Content-Type"] == "application/x-www-form-urlencoded"

"""Answers that were recorded, those of three shapes among them; and rows as a command shows them."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from etl_assets.cli import main
from etl_assets.exceptions import SourceError
from etl_assets.sources.rest import (
    ApiKey,
    ClientCredentials,
    Cursor,
    Endpoint,
    LinkHeader,
    Offset,
    RestSource,
)
from etl_assets.testing.answers import recorded
from tests.sources.rest.conftest import rows_of
from tests.sources.rest.server import Reply, Server

Api = Callable[..., RestSource]
ANSWERS = Path(__file__).parent / "answers"


def test_what_is_recorded_is_answered_again(server: Server, api: Api, tmp_path: Path) -> None:
    server.route("/token", {"access_token": "a-token-that-is-secret"})
    server.route("/rows", Reply(None, 503), Reply([{"id": 1, "text": "ä"}], zipped=True))
    server.route("/packed", Reply(body=gzip.compress(b'[{"id": 2}]')))
    auth = ClientCredentials(f"{server.url}/token", "me", "the-client-secret")
    file = tmp_path / "answers" / "api.json"
    source = api(Endpoint("rows", "/rows"), Endpoint("packed", "/packed"), auth=auth)
    with recorded(file):
        assert rows_of(source) == [{"id": 1, "text": "ä"}]
        assert rows_of(source, "packed") == [{"id": 2}]
    text = file.read_text(encoding="utf-8")
    assert "secret" not in text.replace("client_secret", "")
    server.close()
    with recorded(file) as recording:
        assert rows_of(source) == [{"id": 1, "text": "ä"}]
        assert rows_of(source, "packed") == [{"id": 2}]
    assert [url.rpartition("/")[2] for url in recording.asked] == [
        *("token", "rows", "rows", "token", "packed")
    ]
    with recorded(file), pytest.raises(SourceError, match=r"/rows\?x=1 was not recorded"):
        rows_of(api(Endpoint("rows", "/rows", params={"x": 1}), auth=auth))


def test_a_key_in_a_url_is_masked_and_another_one_is_answered_too(
    server: Server, api: Api, tmp_path: Path
) -> None:
    server.route("/rows", [{"id": 1}])
    file = tmp_path / "api.json"
    with recorded(file):
        rows_of(api(Endpoint("rows", "/rows"), auth=ApiKey("the-real-key", param="api_key")))
    assert "the-real-key" not in file.read_text()
    with recorded(file):
        source = api(Endpoint("rows", "/rows"), auth=ApiKey("a-dummy-key", param="api_key"))
        assert rows_of(source) == [{"id": 1}]


@pytest.mark.parametrize(
    ("name", "endpoint", "count", "first"),
    [
        (
            "link_header",
            Endpoint(
                "releases",
                "/repos/pallets/click/releases",
                params={"per_page": 2},
                primary_key="id",
                pages=LinkHeader(),
            ),
            5,
            {"tag_name": "8.1.7"},
        ),
        (
            "cursor",
            Endpoint(
                "charges",
                "/v1/charges",
                params={"limit": 2},
                records="data",
                primary_key="id",
                pages=Cursor("data[-1].id", param="starting_after", more="has_more"),
            ),
            5,
            {"amount": 2000},
        ),
        (
            "offset",
            Endpoint(
                "pokemon",
                "/api/v2/pokemon",
                records="results",
                pages=Offset(size=3),
                total="count",
            ),
            7,
            {"name": "bulbasaur"},
        ),
    ],
)
def test_three_shapes_of_public_apis(
    name: str, endpoint: Endpoint, count: int, first: dict[str, object]
) -> None:
    """Answers in the form of GitHub's (a link), Stripe's (a cursor), and PokeAPI's (an offset and a total)."""
    source = RestSource("api", "https://api.example.com", streams=[endpoint])
    with recorded(ANSWERS / f"{name}.json") as recording:
        rows = rows_of(source)
    assert len(rows) == count
    assert rows[0].items() >= first.items()
    assert len(recording.asked) == 3


DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, Endpoint, RestSource, stream_assets

api = RestSource("api", {url!r}, streams=[Endpoint("users", "/users")])
defs = dg.Definitions(assets=stream_assets(api, destination=DuckDBDestination("w.duckdb")))
"""


def test_preview_shows_rows(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    users = [{"id": n, "name": f"user {n}", "tags": ["a"], "long": "x" * 99} for n in range(20)]
    server.route("/users", users)
    (tmp_path / "definitions.py").write_text(DEFINITIONS.format(url=server.url), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["preview", "api.users", "--rows", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["id", "name", "tags", "long"]
    assert lines[2].startswith('0   user 0  ["a"]  xxxx')
    assert lines[-1] == "2 rows of api.users"
    assert len(lines) == 5
    assert main(["preview", "api/users", "definitions.py", "--rows", "1", "--json"]) == 0
    assert '"tags": ["a"], "long": "xxx' in capsys.readouterr().out
    assert main(["preview", "users"]) == 1
    assert "Write SOURCE.STREAM: api.users." in capsys.readouterr().err
    assert main(["preview", "api.usrs"]) == 1
    assert "Did you mean 'users'" in capsys.readouterr().err
    assert not (tmp_path / "w.duckdb").exists()

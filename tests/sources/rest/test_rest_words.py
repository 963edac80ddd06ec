"""The same in words: YAML, and an OpenAPI document that describes the rows and proposes the streams."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox

from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream
from etl_assets.sources.rest import (
    ApiKey,
    Bearer,
    ClientCredentials,
    Cursor,
    Endpoint,
    LinkHeader,
    RefreshToken,
    RestSource,
    Since,
)
from etl_assets.sources.rest.words import auth_in, endpoints_in, pages_in
from tests.sources.rest.conftest import rows_of
from tests.sources.rest.server import Reply, Server

Api = Callable[..., RestSource]


def test_words_stand_for_the_objects() -> None:
    assert auth_in({"type": "bearer", "token": "a-token"}) == Bearer("a-token")
    assert auth_in(None) is None
    assert pages_in("link_header") == LinkHeader()
    assert pages_in({"type": "cursor", "at": "next", "param": "c"}) == Cursor("next", param="c")
    (users, events) = endpoints_in(
        [
            {
                "name": "users",
                "path": "/users",
                "primary_key": "id",
                "pages": {"type": "cursor", "at": "next", "param": "c"},
                "incremental": {"field": "at", "param": "since"},
            },
            {"name": "events", "path": "/events", "incremental": "at"},
        ]
    )
    assert users == Endpoint(
        "users",
        "/users",
        primary_key="id",
        pages=Cursor("next", param="c"),
        incremental=Since("at", "since"),
    )
    assert events == Endpoint("events", "/events", incremental="at")
    assert endpoints_in({"events": {"path": "/events", "incremental": "at"}}) == [events]
    (query,) = endpoints_in(
        [{"type": "graphql", "name": "users", "query": "query { x }", "records": "users.nodes"}]
    )
    assert query.method == "POST"
    token = auth_in(
        {
            "type": "refresh_token",
            "token_url": "https://x/token",
            "refresh_token": {"path": "token", "first": "first-token"},
        }
    )
    assert isinstance(token, RefreshToken)
    assert token.refresh_token.path == Path("token")


@pytest.mark.parametrize(
    ("make", "given", "told"),
    [
        (auth_in, {"type": "barer", "token": "x"}, "Did you mean 'bearer'"),
        (auth_in, {"type": "bearer", "tokn": "x"}, "Did you mean 'token'"),
        (auth_in, {"type": "bearer"}, "missing 1 required"),
        (pages_in, {"type": "pages"}, "there is no type 'pages'"),
        (endpoints_in, [{"name": "x", "pth": "/x"}], "Did you mean 'path'"),
        (endpoints_in, "users", "no list of endpoints"),
    ],
)
def test_words_that_are_none_are_refused(make: Any, given: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make(given)


def test_the_examples_of_hints_are_taken() -> None:
    RestSource("x", url="https://api.example.com", streams=[Endpoint("users", "/users")])
    assert endpoints_in([Endpoint("users", "/users")]) == [Endpoint("users", "/users")]
    ApiKey(dg.EnvVar("KEY"), header="X-Api-Key")
    for way in ("body", "basic"):
        ClientCredentials("https://x", "me", "client-secret", send_as=way)
    with pytest.raises(ConfigError, match="needs a url"):
        RestSource("x", streams=[])
    with pytest.raises(ConfigError, match="needs streams"):
        RestSource("x", "https://x")
    with pytest.raises(ConfigError, match="that is no endpoint"):
        RestSource("x", "https://x", streams=["users"])


YAML = """
type: etl_assets.StreamsComponent
attributes:
  source:
    name: rest
    source_name: crm
    url: "{{ env.CRM_URL }}/v2"
    auth: {type: bearer, token: "{{ env.CRM_TOKEN }}"}
    rate: 500/s
    pages: {type: page_number, start: 0}
    streams:
      - name: users
        path: /users
        records: data
        primary_key: id
        incremental: {field: updated_at, param: updated_since}
      - name: invoices
        path: "/users/{users.id}/invoices"
        keep: {user_id: users.id}
        pages: one_page
  destination: {name: duckdb, path: "{{ env.CRM_WAREHOUSE }}"}
  streams:
    users: {group_name: people}
    invoices:
"""


def test_a_component_reads_an_api(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def users(asked: Any) -> Any:
        if asked.headers.get("Authorization") != "Bearer token-of-yaml":
            return Reply(None, 401)
        return {"data": [{"id": 1, "updated_at": "2026"}] if asked.query["page"] == "0" else []}

    server.routes["/v2/users"] = users
    server.route("/v2/users/1/invoices", [{"id": 5}])
    from etl_assets import StreamsComponent

    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=StreamsComponent, defs_path="crm", defs_yaml_contents=yaml.safe_load(YAML)
        )
        monkeypatch.setenv("CRM_WAREHOUSE", str(tmp_path / "w.duckdb"))
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, defs):
            assert server.asked == []
            monkeypatch.setenv("CRM_URL", server.url)
            monkeypatch.setenv("CRM_TOKEN", "token-of-yaml")
            assets = [one for one in defs.assets or () if isinstance(one, dg.AssetsDefinition)]
            assert dg.materialize(assets, instance=dg.DagsterInstance.ephemeral()).success
    import duckdb

    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        assert connection.sql("SELECT user_id, id FROM crm.invoices").fetchall() == [(1, 5)]


DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "paths": {
        "/users": {
            "get": {
                "summary": "All users",
                "parameters": [{"name": "page", "in": "query"}],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/UserList"}
                            }
                        }
                    }
                },
            }
        },
        "/countries": {
            "get": {
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "properties": {"code": {"type": "string"}},
                                    },
                                }
                            }
                        }
                    }
                }
            }
        },
        "/users/{id}": {"get": {"responses": {"200": {}}}},
        "/search": {"get": {"parameters": [{"name": "q", "in": "query", "required": True}]}},
        "/health": {"get": {"responses": {"200": {"description": "ok"}}}},
    },
    "components": {
        "schemas": {
            "Base": {
                "type": "object",
                "properties": {"id": {"type": "integer", "format": "int64"}},
            },
            "User": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {
                        "properties": {
                            "born": {"type": "string", "format": "date", "nullable": True},
                            "seen": {"$ref": "#/components/schemas/Moment"},
                            "tags": {"type": "array", "items": {"type": "string"}},
                            "boss": {"$ref": "#/components/schemas/User"},
                            "price": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                            "any": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
                        }
                    },
                ]
            },
            "Moment": {"type": "string", "format": "date-time", "description": "In UTC"},
            "UserList": {
                "type": "object",
                "properties": {
                    "data": {"type": "array", "items": {"$ref": "#/components/schemas/User"}},
                    "total": {"type": "integer"},
                },
            },
        }
    },
}
USER = {
    "id": {"type": "integer", "format": "int64"},
    "born": {"type": ["null", "string"], "format": "date"},
    "seen": {"type": "string", "format": "date-time", "description": "In UTC"},
    "tags": {"type": "array", "items": {}},
    "price": {"type": ["null", "number"]},
    "any": {},
}


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    return path


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_a_schema_is_taken_from_an_openapi_document(
    server: Server, api: Api, document: Path, ending: str
) -> None:
    place = document.with_suffix(f".{ending}")
    place.write_text(
        json.dumps(DOCUMENT) if ending == "json" else yaml.safe_dump(DOCUMENT), encoding="utf-8"
    )
    endpoint = Endpoint("users", "/users", schema=f"{place}#/components/schemas/User")
    properties = dict((endpoint.stream.schema or {})["properties"])
    boss = properties.pop("boss")
    assert "$ref" not in json.dumps(boss)
    assert properties == USER
    rows = [{"id": 1, "seen": "2026-01-01T00:00:00Z", "tags": ["a"], "boss": {"id": 2}, "any": 5}]
    server.route("/users", rows)
    (row,) = rows_of(api(endpoint))
    assert row["boss"] == {"id": 2}


def test_streams_are_proposed_and_read(server: Server, document: Path) -> None:
    source = RestSource("api", server.url, openapi=str(document))
    assert source.declared_catalog() is None
    catalog = source.discover()
    users, countries = catalog.streams
    assert [(one.name, one.primary_key, one.description) for one in (users, countries)] == [
        ("users", ("id",), "All users"),
        ("countries", (), None),
    ]
    server.route("/users", {"data": [{"id": 7}], "total": 1})
    assert [row["id"] for row in rows_of(source, "users")] == [7]
    chosen = RestSource("api", server.url, openapi=DOCUMENT, streams=["users"])
    assert [one.name for one in chosen.streams] == ["users"]


def test_discover_writes_the_catalog_of_an_openapi_document(
    server: Server, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etl_assets.cli import main

    monkeypatch.chdir(document.parent)
    (document.parent / "definitions.py").write_text(
        "import dagster as dg\n"
        "from etl_assets import DuckDBDestination, RestSource, stream_assets\n"
        f"api = RestSource('api', {server.url!r}, openapi='openapi.json')\n"
        "assets = stream_assets(api, destination=DuckDBDestination('w.duckdb'))\n"
        "defs = dg.Definitions(assets=assets)\n",
        encoding="utf-8",
    )
    assert main(["discover"]) == 0
    written = json.loads((document.parent / "catalogs" / "api.json").read_text())
    assert [one["tap_stream_id"] for one in written["streams"]] == ["countries", "users"]
    assert server.asked == []


def test_openapi_hints_are_followed(document: Path) -> None:
    for place, told in (
        ("users.json", "For example"),
        (f"{document}#/components/schemas/Usr", "Did you mean 'User'"),
        (f"{document}#/components/schemas/Moment", "Name the schema of one record"),
        ("https://x/openapi.json#/a", "Save the document"),
        (f"{document.parent}/none.json#/a", "Check the path"),
    ):
        with pytest.raises(ConfigError, match=told):
            Endpoint("users", "/users", schema=place).stream  # noqa: B018 - a property
    found: Stream = Endpoint(
        "users", "/users", schema=f"{document}#/components/schemas/User"
    ).stream
    assert found.schema
    document.write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="is no OpenAPI document"):
        Endpoint("users", "/users", schema=f"{document}#/a").stream  # noqa: B018

"""SQL sources and destinations that were written for Mage: they discover, sync, count and load here."""

import io
import json
import logging
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import pytest

from etl_assets import DuckDBDestination, Stream, stream_assets
from etl_assets.connections.sql.base import Connection
from etl_assets.exceptions import ConfigError, DestinationError
from etl_assets.sources.base import main
from etl_assets.sources.catalog import Catalog
from tests.mage.sql_connectors import MySqlTable, MySqlTables, PostgresTable, PostgresTables
from tests.servers import (
    MYSQL,
    POSTGRES,
    mysql_query,
    mysql_schema,
    postgres_schema,
    postgres_server,
    query,
)

USERS = """
CREATE TABLE {place}.users (id int PRIMARY KEY, name varchar(40), price numeric(12, 4), at timestamp NULL, other int);
INSERT INTO {place}.users VALUES (1, 'it''s', 1.25, '2026-01-01 01:00:00', 1),
    (2, 'b\\b', 2.5, '2026-01-01 02:00:00', 1),
    (3, NULL, NULL, '2026-01-01 02:00:00', 2), (4, 'd', 0.1, NULL, NULL);
"""


def config_of(url: str, **more: Any) -> dict[str, Any]:
    parts = urlsplit(url.replace("postgresql+psycopg", "postgresql"))
    named = {
        "database": parts.path.lstrip("/"),
        "host": parts.hostname,
        "port": parts.port,
        "username": parts.username,
    }
    return {**named, "password": parts.password or "", **more}


@pytest.fixture
def postgres() -> Iterator[dict[str, Any]]:
    with postgres_schema() as name:
        postgres_server().execute(f"CREATE SCHEMA {name}".encode())
        yield config_of(POSTGRES, schema=name)


@pytest.fixture
def shop(postgres: dict[str, Any]) -> dict[str, Any]:
    postgres_server().execute(USERS.format(place=postgres["schema"]).encode())
    return postgres


def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    cls: Any,
    config: Any,
    *argv: str,
    **documents: Any,
) -> list[Any]:
    words = [
        word for name, value in documents.items() for word in (f"--{name}_json", json.dumps(value))
    ]
    monkeypatch.setattr("sys.argv", ["shop.py", "--config_json", json.dumps(config), *words, *argv])
    capsys.readouterr()
    main(cls)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def chosen(catalog: Any, **words: Any) -> Any:
    for entry in catalog["streams"]:
        entry.update(words)
        for said in entry["metadata"]:
            said["metadata"]["selected"] = True
    return catalog


def records(messages: list[dict[str, Any]]) -> list[Any]:
    return [message["record"] for message in messages if message["type"] == "RECORD"]


def test_a_source_discovers_syncs_and_counts_as_a_program(
    shop: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (catalog,) = run(capsys, monkeypatch, PostgresTables, shop, "--discover")
    (entry,) = catalog["streams"]
    assert entry["key_properties"] == entry["unique_constraints"] == ["id"]
    assert {name: prop["type"] for name, prop in entry["schema"]["properties"].items()} == {
        "id": ["integer"], "name": ["null", "string"], "price": ["null", "number"], "at": ["null", "string"],
        "other": ["null", "integer"],
    }  # fmt: skip
    assert entry["schema"]["properties"]["at"]["format"] == "date-time"
    assert (
        run(capsys, monkeypatch, PostgresTables, shop, catalog=catalog) == []
    )  # nothing is selected yet
    full = run(capsys, monkeypatch, PostgresTables, shop, catalog=chosen(catalog))
    assert [row["id"] for row in records(full)] == [1, 2, 3, 4]
    assert {key: value for key, value in records(full)[0].items() if key != "other"} == {
        "id": 1, "name": "it's", "price": 1.25, "at": "2026-01-01T01:00:00"
    }  # fmt: skip
    by_time = chosen(
        catalog, replication_method="INCREMENTAL", replication_key="at", bookmark_properties=["at"]
    )
    since = {"bookmarks": {"users": {"at": "2026-01-01T02:00:00"}}}
    later = run(capsys, monkeypatch, PostgresTables, shop, catalog=by_time, state=since)
    assert [row["id"] for row in records(later)] == [2, 3]
    assert later[-1]["value"]["bookmarks"]["users"]["at"] == "2026-01-01T02:00:00"
    named = ("--count_records", "--selected_streams_json", '["users"]')
    (counts,) = run(capsys, monkeypatch, PostgresTables, shop, *named, catalog=by_time, state=since)
    assert counts == [{"count": 2, "id": "users", "stream": "users"}]
    some = run(
        capsys,
        monkeypatch,
        PostgresTables,
        shop,
        catalog=catalog,
        query={"other": 1, "_limit": 1, "_offset": 1},
    )
    assert [row["id"] for row in records(some)] == [2]


def entry_of(source: Any, **words: Any) -> Any:
    (found,) = source.discover(["users"]).streams
    (selected,) = chosen({"streams": [found.to_dict()]}, **words)["streams"]
    return Catalog.from_dict({"streams": [selected]}).streams[0]


def test_a_composite_bookmark_weighs_its_first_field_most(shop: dict[str, Any]) -> None:
    """Mage joins the conditions by AND, which loses rows with a larger first field and a smaller second one."""
    source = PostgresTables(config=shop)
    entry = entry_of(
        source, replication_method="INCREMENTAL", replication_key="other", bookmark_properties=["other", "id"],
        unique_constraints=[],
    )  # fmt: skip
    (rows,) = source.load_data(entry, bookmarks={"other": 1, "id": 2})
    assert [row["id"] for row in rows] == [2, 3]


@pytest.mark.parametrize("value", ["it's", "'; DROP TABLE users; --", "b\\b", "\\'"])
def test_no_value_breaks_out_of_its_literal(value: str, shop: dict[str, Any]) -> None:
    source = PostgresTables(config=shop)
    (rows,) = list(source.load_data(entry_of(source), query={"name": value})) or [[]]
    assert [row["id"] for row in rows] == {"it's": [1], "b\\b": [2]}.get(value, [])
    assert query(f"SELECT count(*) FROM {shop['schema']}.users") == [(4,)]


def test_a_read_is_one_statement_in_pieces_and_closes_its_connection(shop: dict[str, Any]) -> None:
    source = PostgresTables(config={**shop, "batch_fetch_limit": 3})
    rows = source.load_data(entry_of(source))
    assert len(next(rows)) == 3
    postgres_server().execute(f"DELETE FROM {shop['schema']}.users WHERE id = 4".encode())
    assert [row["id"] for row in next(rows)] == [4]
    rows.close()
    assert query(
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND query LIKE '%users%'"
    ) == [(0,)]


def test_a_connection_of_ones_own_is_asked_page_by_page(shop: dict[str, Any]) -> None:
    asked: list[str] = []

    class Own:
        def load(self, text: str) -> Any:
            asked.append(text.splitlines()[-1])
            return [(len(asked),)] * (2 if len(asked) < 3 else 1)

    class Paged(PostgresTables):
        def build_connection(self) -> Any:
            return Own()

        @property
        def fetch_limit(self) -> int:
            return 2

    entry = entry_of(
        PostgresTables(config=shop),
        metadata=[{"breadcrumb": ["properties", "id"], "metadata": {"selected": True}}],
    )
    pages = list(Paged(config=shop).load_data(entry))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert asked == [f"LIMIT 2 OFFSET {offset}" for offset in (0, 2, 4)]


def test_such_a_source_is_assets(shop: dict[str, Any], tmp_path: Any) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    discovered = PostgresTables(config=shop).discover()
    entries = [
        {**stream.to_dict(), "replication_method": "INCREMENTAL", "replication_key": "id"}
        for stream in discovered.streams
    ]
    source = PostgresTables(name="shop", config={**shop, "database": dg.EnvVar("SHOP_DB")})
    assets = stream_assets(
        source,
        streams=["users"],
        catalog=Catalog.from_dict({"streams": entries}),
        destination=warehouse,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_DB", shop["database"])
        assert dg.materialize(assets).success
        postgres_server().execute(
            f"INSERT INTO {shop['schema']}.users (id, name) VALUES (9, 'z')".encode()
        )
        assert dg.materialize(assets).success
    (state,) = warehouse.states()
    table = (
        warehouse.read_table(state.table)
        .select(["id", "name", "price", "at"])
        .sort_by("id")
        .to_pylist()
    )
    assert [row["id"] for row in table] == [1, 2, 3, 4, 9]
    assert table[0] == {"id": 1, "name": "it's", "price": 1.25, "at": datetime(2026, 1, 1, 1)}  # noqa: DTZ001 - naive there


def test_mysql_is_read_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with mysql_schema() as name:
        for statement in USERS.format(place=name).replace("\\", "\\\\").split(";\n"):
            if statement.strip():
                mysql_query(statement)
        config = config_of(MYSQL, database=name)
        (catalog,) = run(capsys, monkeypatch, MySqlTables, config, "-d")
        assert catalog["streams"][0]["key_properties"] == ["id"]
        rows = records(run(capsys, monkeypatch, MySqlTables, config, catalog=chosen(catalog)))
        assert [(row["id"], row["price"]) for row in rows] == [
            (1, 1.25),
            (2, 2.5),
            (3, None),
            (4, 0.1),
        ]
        source = MySqlTables(config=config)
        (found,) = source.load_data(entry_of(source), query={"name": "b\\b"})
        assert [row["id"] for row in found] == [2]


def test_a_log_and_a_missing_connection_are_clear_errors(shop: dict[str, Any]) -> None:
    from etl_assets.sources.sql.base import Source

    entry = entry_of(PostgresTables(config=shop), replication_method="LOG_BASED")
    assert PostgresTables(config=shop).count_records(entry) == 1
    with pytest.raises(ConfigError, match=r"'users'.*cannot read a log"):
        list(PostgresTables(config=shop).load_data(entry))
    with pytest.raises(NotImplementedError, match="build_connection"):
        Source().test_connection()


# Destinations

SCHEMA: dict[str, Any] = {
    "type": "SCHEMA", "stream": "users", "key_properties": ["id"], "replication_method": "FULL_TABLE",
    "unique_constraints": ["id"], "unique_conflict_method": "UPDATE",
    "schema": {"properties": {
        "id": {"type": "integer"}, "Full Name": {"type": ["null", "string"]}, "order": {"type": ["null", "string"]},
        "at": {"type": ["null", "string"], "format": "date-time"}, "o": {"type": ["null", "object"]},
    }},
}  # fmt: skip


def record(id_: int, stream: str = "users", **more: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": {"id": id_, **more}}


def load(cls: Any, config: dict[str, Any], *messages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x.py", "--config_json", json.dumps(config)])
    lines = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    cls(argument_parser=ArgumentParser(), batch_processing=True).process(io.BytesIO(lines))


def test_a_destination_makes_its_table_upserts_and_grows(
    postgres: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {**postgres, "table": "loaded"}
    values: dict[str, Any] = {
        "Full Name": "it's",
        "order": "o",
        "at": "2026-01-01T00:00:00Z",
        "o": {"a": "it's"},
    }
    first = record(1, **values)
    state = {"type": "STATE", "value": {"bookmarks": {"users": {"id": 2}}}}
    load(PostgresTable, config, SCHEMA, first, record(2), state, monkeypatch=monkeypatch)
    assert capsys.readouterr().out == '{"bookmarks":{"users":{"id":2}}}\n'
    place = f"{postgres['schema']}.loaded"
    assert query(f"SELECT id, full_name, _order, at, o FROM {place} ORDER BY id") == [
        (1, "it's", "o", datetime(2026, 1, 1, tzinfo=UTC), {"a": "it's"}), (2, None, None, None, None)
    ]  # fmt: skip
    (made,) = query(f"SELECT _mage_created_at, _mage_updated_at FROM {place} WHERE id = 1")
    grown = {
        **SCHEMA,
        "schema": {
            "properties": {**SCHEMA["schema"]["properties"], "new": {"type": ["null", "integer"]}}
        },
    }
    load(PostgresTable, config, grown, record(1, new=7, undeclared="u"), monkeypatch=monkeypatch)
    assert query(f"SELECT id, full_name, new, undeclared FROM {place} ORDER BY id") == [
        (1, None, 7, "u"), (2, None, None, None)
    ]  # fmt: skip
    (later,) = query(f"SELECT _mage_created_at, _mage_updated_at FROM {place} WHERE id = 1")
    assert (later[0], later[1] > made[1]) == (made[0], True)


def test_a_stream_that_comes_late_has_its_table_too(
    postgres: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mage makes tables for the first batch alone."""
    late = {**SCHEMA, "stream": "late"}
    config = {**postgres, "maximum_batch_rows": 1}
    load(
        PostgresTable,
        config,
        SCHEMA,
        record(1),
        record(2),
        late,
        record(3, "late"),
        monkeypatch=monkeypatch,
    )
    assert query(f"SELECT count(*) FROM {postgres['schema']}.users") == [(2,)]
    assert query(f"SELECT id FROM {postgres['schema']}.late") == [(3,)]


def test_mysql_is_loaded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with mysql_schema() as name:
        config = config_of(MYSQL, database=name, table="loaded")
        load(
            MySqlTable,
            config,
            SCHEMA,
            record(1, order="a"),
            record(1, order="it's"),
            monkeypatch=monkeypatch,
        )
        assert mysql_query(f"SELECT id, _order, full_name FROM {name}.loaded") == [
            (1, "it's", None)
        ]


def test_an_asset_loads_into_it_and_a_batch_that_comes_again_doubles_nothing(
    shop: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    source = PostgresTables(name="shop", config=shop)
    destination = PostgresTable(config={**shop, "table": "copied"})
    assets = stream_assets(
        source, streams=["users"], catalog=source.discover(), destination=destination
    )
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            assert dg.materialize(assets).success
    copied = query(f"SELECT id, name, price FROM {shop['schema']}.copied ORDER BY id")
    assert copied == [(1, "it's", 1.25), (2, "b\\b", 2.5), (3, None, None), (4, "d", 0.1)]
    assert "it's" not in caplog.text  # statements hold rows: no log has them


def test_columns_nobody_declared_are_found_in_the_rows_of_an_asset(
    postgres: dict[str, Any],
) -> None:
    from etl_assets import Source

    class Found(Source):
        def load_data(
            self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1, "price": Decimal("0.10"), "tags": ["a"]}]
            yield [{"id": 2, "more": True}]

    assets = stream_assets(
        Found(name="found", streams=[Stream("things", primary_key="id")]),
        destination=PostgresTable(config=postgres),
    )
    assert dg.materialize(assets).success
    assert query(f"SELECT id, price::numeric, more FROM {postgres['schema']}.things ORDER BY id") == [
        (1, Decimal("0.1"), None), (2, None, True)
    ]  # fmt: skip


def test_what_it_cannot_load_is_an_error_by_name(
    postgres: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = {**SCHEMA, "replication_method": "SOMETIMES"}
    with pytest.raises(DestinationError, match=r"'users'.*SOMETIMES"):
        load(PostgresTable, postgres, odd, record(1), monkeypatch=monkeypatch)


# Connections


def test_a_connection_closes_what_it_opens_and_logs_no_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closed: list[str] = []

    class Cursor:
        description = None

        def execute(self, text: str) -> None:
            raise ValueError("no")

        def close(self) -> None:
            closed.append("cursor")

    class Opened:
        def cursor(self) -> Cursor:
            return Cursor()

        def close(self) -> None:
            closed.append("connection")

    class Failing(Connection):
        def build_connection(self) -> Any:
            return Opened()

    with pytest.raises(ValueError, match="no"):
        Failing().execute(["INSERT INTO t VALUES ('hidden')"])
    assert closed == ["cursor", "connection"]
    assert "INSERT" in caplog.text
    assert "hidden" not in caplog.text


def test_a_driver_that_is_missing_is_named_with_what_to_install() -> None:
    from etl_assets.connections.teradata import Teradata

    with pytest.raises(
        ConfigError, match=r"teradatasql cannot be imported.*pip install teradatasql"
    ):
        Teradata(host="h").build_connection()

"""The state of a real tap, kept by a real Meltano, is gone on with by our own source in the target's table."""

import json
from pathlib import Path

import psycopg
import pytest

from etl_assets.connectors.executors import PythonExecutor
from tests.adoption.peers import MELTANO, etl_assets, materialize, peer, run
from tests.connectors.real import source_of
from tests.servers import POSTGRES, postgres_schema, postgres_server

STATE_ID = "dev:tap-postgres-to-target-postgres"
ROWS = 50
DEFINITIONS = """
import dagster as dg
from etl_assets import PostgresDestination, PostgresSource, Stream, stream_assets

shop = PostgresSource(
    {url!r},
    name="shop",
    schema={schema!r},
    streams=[
        Stream("orders", namespace={schema!r}, primary_key="id", replication_key="updated_at"),
        Stream("visits", namespace={schema!r}, replication_key="seq"),
    ],
)
options = {{
    "{schema}.orders": {{"table": "{schema}_loaded.orders"}},
    "{schema}.visits": {{"table": "{schema}_loaded.visits"}},
}}
warehouse = PostgresDestination({url!r}, schema_name="{schema}_loaded", state_schema="{schema}_state")
defs = dg.Definitions(assets=stream_assets(shop, destination=warehouse, options=options))
"""


def made(schema: str) -> None:
    """Make a shop, and the tables that a target has made of it: with columns of its own, one of which must not be NULL."""
    server = postgres_server()
    server.execute(f"CREATE SCHEMA {schema}; CREATE SCHEMA {schema}_loaded")
    server.execute(
        f"CREATE TABLE {schema}.orders (id bigint PRIMARY KEY, total double precision, updated_at timestamp);"
        f"CREATE TABLE {schema}.visits (seq bigint, page text);"
        f"INSERT INTO {schema}.orders SELECT n, n / 2.0, timestamp '2026-01-01' + n * interval '1 hour'"
        f" FROM generate_series(1, {ROWS}) n;"
        f"INSERT INTO {schema}.visits SELECT n / 10, 'p' || n FROM generate_series(1, {ROWS}) n"
    )


def tap(schema: str, folder: Path) -> dict[str, object]:
    """Run the tap, and write what it sends into tables as a target does; give its last state."""
    login = psycopg.conninfo.conninfo_to_dict(POSTGRES.replace("+psycopg", ""))
    config = {
        "host": login.get("host"), "port": int(str(login.get("port", 5432))), "user": login.get("user"),
        "password": login.get("password") or "none", "dbname": login.get("dbname"), "filter_schemas": schema,
    }  # fmt: skip
    source = source_of("tap-postgres", config, pip_url="pipelinewise-tap-postgres")
    assert isinstance(source.executor, PythonExecutor)
    (folder / "config.json").write_text(json.dumps(config))
    command = [*source.executor.command(), "--config", "config.json"]
    catalog = json.loads(run(*command, "--discover", folder=folder))
    for stream in catalog["streams"]:
        key = {"orders": "updated_at", "visits": "seq"}[stream["table_name"]]
        (about,) = [one["metadata"] for one in stream["metadata"] if not one["breadcrumb"]]
        about |= {"selected": True, "replication-method": "INCREMENTAL", "replication-key": key}
    (folder / "catalog.json").write_text(json.dumps(catalog))
    said = run(*command, "--properties", "catalog.json", folder=folder).splitlines()
    messages = [json.loads(line) for line in said if line.startswith("{")]
    server, state = postgres_server(), {}
    for name in ("orders", "visits"):
        server.execute(
            f"CREATE TABLE {schema}_loaded.{name} (LIKE {schema}.{name}, _sdc_batched_at timestamptz NOT NULL)"
        )
    for message in messages:
        if message["type"] == "STATE":
            state = message["value"]
        if message["type"] == "RECORD":
            record = {**message["record"], "_sdc_batched_at": "2026-01-01T00:00:00Z"}
            names, marks = ", ".join(record), ", ".join(["%s"] * len(record))
            table = f"{schema}_loaded.{message['stream'].removeprefix(f'{schema}-')}"
            server.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(record.values()))
    return state


@pytest.mark.full
@pytest.mark.connectors
@pytest.mark.timeout(1200)  # it may have to install the tool
def test_a_real_taps_state_is_gone_on_with(tmp_path: Path) -> None:
    meltano = peer("meltano", MELTANO) / "meltano"
    with postgres_schema() as schema:
        made(schema)
        try:
            _gone_on_with(schema, meltano, tmp_path)
        finally:
            postgres_server().execute(f"DROP SCHEMA IF EXISTS {schema}_loaded CASCADE")


def _gone_on_with(schema: str, meltano: Path, folder: Path) -> None:
    state = tap(schema, folder)
    run(meltano, "init", "project", folder=folder)
    project = folder / "project"
    wrapped = json.dumps({"singer_state": state})
    run(meltano, "state", "set", "--force", STATE_ID, wrapped, folder=project)
    printed = run(meltano, "state", "get", STATE_ID, folder=project)
    url = POSTGRES.replace("+psycopg", "")
    (folder / "definitions.py").write_text(DEFINITIONS.format(url=url, schema=schema))

    (folder / "printed.json").write_text(printed)
    asked = ("state", "import", "shop", "--adopt")
    told = etl_assets(*asked, "printed.json", "--dry-run", folder=folder)
    assert told.count("would import shop/") == 2
    told = etl_assets(*asked, project / ".meltano" / "meltano.db", folder=folder)
    assert told.count("imported  shop/") == 2
    assert told.count("Takes NULL from now on: _sdc_batched_at.") == 2

    server = postgres_server()
    loads = (
        f"SELECT stream, rows_in FROM {schema}_state._etl_assets_loads WHERE rows_in > 0 ORDER BY 1"
    )
    materialize(folder)
    assert server.execute(loads).fetchall() == [], "nothing is loaded once more"
    server.execute(f"INSERT INTO {schema}.orders VALUES (99, 1, '2026-02-01')")
    server.execute(f"INSERT INTO {schema}.visits VALUES ({ROWS // 10}, 'new'), (77, 'newest')")
    materialize(folder)
    assert server.execute(loads).fetchall() == [("orders", 1), ("visits", 2)]
    for name, key in (("orders", "id"), ("visits", "page")):
        found = server.execute(
            f"SELECT count(*), count(DISTINCT {key}), count(_sdc_batched_at) FROM {schema}_loaded.{name}"
        ).fetchone()
        new = {"orders": 1, "visits": 2}[name]
        assert found == (ROWS + new, ROWS + new, ROWS)

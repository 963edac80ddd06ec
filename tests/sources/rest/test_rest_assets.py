"""An API as assets: into DuckDB, twice, day by day, and where a run is killed in its midst."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from etl_assets import DuckDBDestination, StreamOptions, get_source, stream_assets
from etl_assets.sources.rest import Bearer, Cursor, Endpoint, PageNumber, RestSource, Since
from tests.sources.rest.server import Asked, Reply, Server

Api = Callable[..., RestSource]


def materialize(assets: Any, **options: Any) -> dg.ExecuteInProcessResult:
    options.setdefault("instance", dg.DagsterInstance.ephemeral())
    return dg.materialize(assets, **options)


def query(path: Path, sql: str) -> list[Any]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


class Crm:
    """The API of the readme: users by a cursor and since a moment, and their invoices."""

    def __init__(self, server: Server) -> None:
        self.users: list[dict[str, Any]] = [
            {"id": n, "name": f"user {n}", "updated_at": f"2026-01-0{n}T00:00:00Z"}
            for n in range(1, 6)
        ]
        self.invoices = {n: [{"id": 1, "total": 9.5}] for n in range(1, 6)}
        server.routes["/v2/users"] = self.answer
        for user in range(1, 10):
            server.routes[f"/v2/users/{user}/invoices"] = lambda asked: {
                "items": self.invoices.get(int(asked.path.split("/")[3]), [])
            }

    def answer(self, asked: Asked) -> Any:
        if asked.headers.get("Authorization") != "Bearer a-token-of-crm":
            return Reply({"error": "who?"}, 401)
        since = asked.query.get("updated_since", "")
        rows = [one for one in self.users if one["updated_at"] >= since]
        start = int(asked.query.get("after") or 0)
        following = start + 2 if start + 2 < len(rows) else None
        return {"data": rows[start : start + 2], "meta": {"next": following}}


def fifteen_lines(url: str) -> RestSource:
    return RestSource(
        name="crm",
        url=f"{url}/v2",
        auth=Bearer(dg.EnvVar("CRM_TOKEN")),
        rate="500/s",
        streams=[
            Endpoint(
                "users",
                "/users",
                records="data",
                primary_key="id",
                incremental=Since("updated_at", param="updated_since"),
                pages=Cursor("meta.next", param="after"),
            ),
            Endpoint(
                "invoices",
                "/users/{users.id}/invoices",
                records="items[]",
                primary_key=["user_id", "id"],
                keep={"user_id": "users.id"},
            ),
        ],
    )


def test_the_source_of_the_issue_loads_what_is_new(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = Crm(server)
    path = tmp_path / "w.duckdb"
    assets = stream_assets(fifteen_lines(server.url), destination=DuckDBDestination(path))
    assert server.asked == [], "nothing is asked when definitions load"
    monkeypatch.setenv("CRM_TOKEN", "a-token-of-crm")
    instance = dg.DagsterInstance.ephemeral()
    assert materialize(assets, instance=instance).success
    assert query(path, "SELECT count(*), max(updated_at) FROM crm.users") == [
        (5, "2026-01-05T00:00:00Z")
    ]
    assert query(path, "SELECT user_id, id, total FROM crm.invoices ORDER BY 1") == [
        (n, 1, 9.5) for n in range(1, 6)
    ]
    crm.users.append({"id": 6, "name": "new", "updated_at": "2026-01-06T00:00:00Z"})
    crm.users[4] = {"id": 5, "name": "changed", "updated_at": "2026-01-05T00:00:00Z"}
    crm.invoices = {6: [{"id": 3, "total": 1}]}
    server.asked.clear()
    assert materialize(assets, instance=instance).success
    assert any(one.query == {"updated_since": "2026-01-05T00:00:00Z"} for one in server.asked)
    assert query(path, "SELECT id, name FROM crm.users WHERE id > 4 ORDER BY 1") == [
        (5, "changed"),
        (6, "new"),
    ]
    assert query(path, "SELECT user_id, id FROM crm.invoices") == [(6, 3)], "a full table"


def test_rows_at_the_bookmark_are_not_appended_twice(
    server: Server, api: Api, tmp_path: Path
) -> None:
    rows = [
        {"n": 1, "at": "2026-01-01"},
        {"n": 2, "at": "2026-01-02"},
        {"n": 3, "at": "2026-01-02"},
    ]
    server.routes["/events"] = lambda asked: [
        one for one in rows if str(one["at"]) >= asked.query.get("since", "")
    ]
    path = tmp_path / "w.duckdb"
    source = api(Endpoint("events", "/events", incremental=Since("at", "since")))
    assets = stream_assets(source, destination=DuckDBDestination(path))
    instance = dg.DagsterInstance.ephemeral()
    for _ in range(2):
        assert materialize(assets, instance=instance).success
    rows.append({"n": 4, "at": "2026-01-02"})
    assert materialize(assets, instance=instance).success
    assert query(path, "SELECT n FROM api.events ORDER BY 1") == [(1,), (2,), (3,), (4,)]


def test_values_arrive_exactly(server: Server, api: Api, tmp_path: Path) -> None:
    text = (
        b'[{"id": 12345678901234567, "amount": 0.12345678901234567890, "at": "2026-01-01T00:00:00+02:00",'
        b' "tags": ["a", {"n": 1.0}]}]'
    )
    server.route("/rows", Reply(body=text))
    path = tmp_path / "w.duckdb"
    schema = {
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            "amount": {"type": "number", "multipleOf": 1e-20},
        }
    }
    source = api(Endpoint("rows", "/rows", schema=schema))
    assert materialize(stream_assets(source, destination=DuckDBDestination(path))).success
    ((id_, amount, at, tags),) = query(
        path, "SELECT id, amount, epoch_ms(api.rows.at), tags::VARCHAR FROM api.rows"
    )
    assert (id_, amount) == (12345678901234567, Decimal("0.12345678901234567890"))
    assert at == 1767218400000
    assert tags == '["a",{"n":1.0}]'


def test_a_read_that_fails_leaves_the_table_as_it_was(
    server: Server, api: Api, tmp_path: Path
) -> None:
    server.routes["/rows"] = lambda asked: [{"id": 1}] if asked.query["page"] == "1" else []
    path = tmp_path / "w.duckdb"
    source = api(Endpoint("rows", "/rows", pages=PageNumber()))
    assets = stream_assets(source, destination=DuckDBDestination(path))
    assert materialize(assets).success
    server.route("/rows", [{"id": 2}], {"oops": True})
    result = materialize(assets, raise_on_error=False)
    assert not result.success
    assert query(path, "SELECT id FROM api.rows") == [(1,)]


def by_day(server: Server) -> None:
    days = [f"2026-01-0{day}T{hour:02}:30:00Z" for day in range(1, 4) for hour in (0, 12, 23)]
    rows = [{"id": n, "at": at} for n, at in enumerate(days)]
    server.routes["/rows"] = lambda asked: [
        one
        for one in rows
        if asked.query.get("from", "") <= str(one["at"]) < asked.query.get("to", "9")
    ]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_partition_asks_for_its_own_day(
    server: Server, api: Api, tmp_path: Path, zone: str
) -> None:
    by_day(server)
    path = tmp_path / "w.duckdb"
    since = Since("at", "from", end_param="to", type="date-time")
    source = api(Endpoint("rows", "/rows", primary_key="id", incremental=since))
    partitions = dg.DailyPartitionsDefinition("2026-01-01", timezone=zone)
    options = {"rows": StreamOptions(partitions_def=partitions, partition_by="at")}
    assets = stream_assets(source, destination=DuckDBDestination(path), options=options)
    assert materialize(assets, partition_key="2026-01-02").success
    hour = "00" if zone == "UTC" else "05"
    assert server.asked[-1].query == {
        "from": f"2026-01-02T{hour}:00:00Z",
        "to": f"2026-01-03T{hour}:00:00Z",
    }
    expected = [3, 4, 5] if zone == "UTC" else [4, 5, 6]
    assert query(path, "SELECT id FROM api.rows ORDER BY 1") == [(n,) for n in expected]


def test_partitions_that_the_api_cannot_tell_apart_are_asked_for_together(
    server: Server, api: Api, tmp_path: Path
) -> None:
    """Two hours of one day, of an API that can only be asked for whole days: no row comes twice."""
    by_day(server)
    path = tmp_path / "w.duckdb"
    since = Since("at", "from", end_param="to", type="date-time", format="date")
    source = api(Endpoint("rows", "/rows", incremental=since))
    partitions = dg.HourlyPartitionsDefinition("2026-01-01-00:00")
    options = {
        "rows": StreamOptions(
            partitions_def=partitions,
            partition_by="at",
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
    }
    assets = stream_assets(source, destination=DuckDBDestination(path), options=options)
    tags = {
        "dagster/asset_partition_range_start": "2026-01-02-00:00",
        "dagster/asset_partition_range_end": "2026-01-02-12:00",
    }
    assert materialize(assets, tags=tags).success
    assert query(path, "SELECT id FROM api.rows ORDER BY 1") == [(3,), (4,)]
    assert server.asked[-1].query == {"from": "2026-01-02", "to": "2026-01-03"}


def test_times_without_a_zone_are_no_partition_of_another_zone(
    server: Server, api: Api, tmp_path: Path
) -> None:
    server.route("/rows", [{"id": 1, "at": "2026-01-02T01:00:00"}])
    since = Since("at", "from", end_param="to", type="date-time")
    source = api(Endpoint("rows", "/rows", primary_key="id", incremental=since))
    partitions = dg.DailyPartitionsDefinition("2026-01-01", timezone="America/New_York")
    options = {"rows": StreamOptions(partitions_def=partitions, partition_by="at")}
    destination = DuckDBDestination(tmp_path / "w.duckdb")
    assets = stream_assets(source, destination=destination, options=options)
    with pytest.raises(Exception, match="have no zone"):
        materialize(assets, partition_key="2026-01-02")


def test_an_api_by_its_name(server: Server, tmp_path: Path) -> None:
    server.route("/rows", [{"id": 1}])
    source = get_source(
        "rest",
        source_name="crm",
        url=server.url,
        streams=[{"name": "rows", "path": "/rows"}],  # type: ignore[list-item]
    )
    assets = stream_assets(source, destination=DuckDBDestination(tmp_path / "w.duckdb"))
    assert materialize(assets).success


# Killed

DEFINITIONS = """
import dagster as dg
from etl_assets import DuckDBDestination, Endpoint, RestSource, stream_assets
from etl_assets.sources.rest import PageNumber, Since

api = RestSource(
    name="api", url={url!r}, pages=PageNumber(),
    streams=[Endpoint("rows", "/rows", {key} incremental=Since("n", "since", order="asc"))],
)
defs = dg.Definitions(assets=stream_assets(api, destination=DuckDBDestination("w.duckdb")))
"""
SIZE = 5_000
COUNT = 4 * SIZE


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="append"),
        pytest.param("primary_key='n',", id="merge", marks=pytest.mark.full),
    ],
)
def test_a_run_that_is_killed_goes_on_from_its_last_page(
    server: Server, tmp_path: Path, key: str
) -> None:
    hangs = threading.Event()
    reached = threading.Event()

    def answer(asked: Asked) -> Any:
        page, since = int(asked.query["page"]), int(asked.query.get("since", 0))
        if page == 3 and since == 0:
            reached.set()
            hangs.wait(20)
        start = since + (page - 1) * SIZE
        return [{"n": n, "text": f"row {n}"} for n in range(start, min(COUNT, start + SIZE))]

    server.routes["/rows"] = answer
    (tmp_path / "definitions.py").write_text(DEFINITIONS.format(url=server.url, key=key))
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-f", "definitions.py"]
    environment = {
        **os.environ,
        "ETL_ASSETS_CHECKPOINT_SECONDS": "0",
        "DAGSTER_HOME": str(tmp_path),
        "PYTHONPATH": str(Path.cwd()),
    }
    options: dict[str, Any] = {
        "cwd": tmp_path,
        "env": environment,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "start_new_session": True,
    }
    with subprocess.Popen([*command, "--select", "api/rows"], **options) as run:
        assert reached.wait(60)
        time.sleep(0.5)  # the second page is being committed
        os.killpg(run.pid, signal.SIGKILL)
    hangs.set()
    committed = query(tmp_path / "w.duckdb", "SELECT count(*) FROM api.rows")[0][0]
    assert committed in {SIZE, 2 * SIZE}
    server.asked.clear()
    subprocess.run([*command, "--select", "api/rows"], check=True, **options)
    assert server.asked[0].query["since"] == str(committed - 1)
    assert query(
        tmp_path / "w.duckdb", "SELECT count(*), count(DISTINCT n), sum(n) FROM api.rows"
    ) == [(COUNT, COUNT, COUNT * (COUNT - 1) // 2)]

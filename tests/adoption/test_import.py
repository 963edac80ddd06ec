"""`etl-assets state import`, as people type it: what is taken, what is left, and what each line says of it."""

import json
from pathlib import Path

import duckdb
import pytest

from etl_assets.cli import main
from etl_assets.model.stored import TableName
from tests.cli_shop import CUSTOMERS, HEAD, VISITS, load, project, run_sql, warehouse

Capture = pytest.CaptureFixture[str]
DEFINITIONS = """
shop = SqlSource(name="shop", url="sqlite:///shop.db", streams=[
    Stream("customers", primary_key=["id"], replication_key="seq"),
    Stream("visits", replication_key="seq"),
    Stream("orders", primary_key=["id"]),
])
warehouse = DuckDBDestination("warehouse.duckdb", schema_name="theirs")
defs = dg.Definitions(assets=stream_assets(shop, destination=warehouse))
"""
TABLES = """
CREATE SCHEMA theirs;
CREATE TABLE theirs.customers (id BIGINT, name VARCHAR, seq BIGINT, _sling_loaded_at BIGINT NOT NULL);
CREATE TABLE theirs.visits (seq BIGINT, page VARCHAR, _fivetran_synced TIMESTAMPTZ NOT NULL);
INSERT INTO theirs.customers VALUES (1, 'Ada', 1, 0), (2, 'Bo', 2, 0);
INSERT INTO theirs.visits VALUES (1, 'a', now()), (2, 'b', now());
"""


@pytest.fixture(autouse=True)
def in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A project whose tables are somebody else's."""
    project(tmp_path, DEFINITIONS)
    ask(tmp_path, TABLES)
    return tmp_path


def ask(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        return connection.execute(sql).fetchall()


def given(folder: Path, **bookmarks: object) -> str:
    (folder / "state.json").write_text(json.dumps({"bookmarks": bookmarks}), encoding="utf-8")
    return "state.json"


def told(capsys: Capture, *arguments: str, code: int = 0) -> list[str]:
    """Run the command, and give the lines that it prints."""
    assert main(["state", "import", *arguments]) == code
    out = capsys.readouterr()
    return (out.out + out.err).splitlines()


def test_a_table_is_only_taken_over_if_that_is_said(theirs: Path, capsys: Capture) -> None:
    state = given(theirs, customers={"seq": 2})
    (skipped, *_) = told(capsys, "shop", state, code=1)
    assert skipped == (
        "skipped   shop/customers: the table theirs.customers was not made by this library. "
        "With --adopt it is taken over."
    )
    (would, *_) = told(capsys, "shop", state, "--adopt", "--dry-run")
    assert would.startswith("would import shop/customers: the table theirs.customers is taken over")
    assert ask(theirs, "FROM duckdb_tables() SELECT count(*)") == [(2,)], "a dry run makes nothing"
    lines = told(capsys, "definitions.py", "shop", state, "--adopt")
    assert lines == [
        'imported  shop/customers: the table theirs.customers is taken over, and goes on from {"seq": 2}.',
        "  Takes NULL from now on: _sling_loaded_at.",
        "left      shop/visits: the state says nothing of it.",
        "left      shop/orders: the state says nothing of it.",
    ]
    assert told(capsys, "-f", "definitions.py", "shop", state)[0] == (
        'unchanged shop/customers: it goes on from {"seq": 2}.'
    )
    run_sql(theirs, "INSERT INTO customers VALUES (3, 'Cy', 3)")
    result = load(theirs, CUSTOMERS, table=TableName("customers", "theirs"))
    assert (result.records_read, result.records_loaded) == (2, 1)
    assert ask(theirs, "SELECT id, _sling_loaded_at FROM theirs.customers ORDER BY id") == [
        (1, 0), (2, 0), (3, None),
    ]  # fmt: skip


def test_a_bookmark_is_only_replaced_if_that_is_said(theirs: Path, capsys: Capture) -> None:
    told(capsys, "shop", given(theirs, customers={"seq": 2}), "--adopt")
    state = given(theirs, customers={"seq": 1})
    (skipped, *_) = told(capsys, "shop", state, code=1)
    assert skipped.endswith(
        'it has the bookmark {"seq": 2} already. With --replace this one takes its place.'
    )
    (replaced, *_) = told(capsys, "shop", state, "--replace")
    assert replaced == 'imported  shop/customers: the bookmark was {"seq": 2}, is {"seq": 1}.'


@pytest.mark.parametrize(
    "said",
    ["abc", True, [2], {"a": 1}, "9999-12-31T23:59:59-05:00", "2026-01-01T00:00:00.123456789Z"],
)
def test_what_cannot_be_compared_with_the_table_is_not_taken(
    theirs: Path, capsys: Capture, said: object
) -> None:
    state = given(theirs, customers={"seq": said})
    (skipped, *_) = told(capsys, "shop", state, "--adopt", code=1)
    assert "cannot be compared with the greatest key of the table theirs.customers" in skipped
    told(capsys, "shop", given(theirs, customers={"seq": 2}), "--adopt")
    state = given(theirs, customers={"seq": said})
    (skipped, *_) = told(capsys, "shop", state, "--replace", code=1)
    assert "cannot be compared with the greatest key" in skipped
    (skipped, *_) = told(capsys, "shop", given(theirs, customers={"seq": 3}), "--replace", code=1)
    assert "rows in between would never be read" in skipped
    (taken, *_) = told(capsys, "shop", given(theirs, customers={"seq": 3}), "--replace", "--force")
    assert taken.endswith('is {"seq": 3}.')


def test_streams_that_are_not_there_are_named(theirs: Path, capsys: Capture) -> None:
    state = given(theirs, custmers={"seq": 2}, customers={"seq": 2})
    lines = told(capsys, "shop", state, "--adopt", code=1)
    assert lines[0] == "skipped   shop/custmers: there is no such stream. Did you mean 'customers'?"
    assert lines[1].startswith("imported  shop/customers")
    assert told(capsys, "shop", state, "--stream", "visits", code=1) == [
        "skipped   shop/visits: the state says nothing of it."
    ]
    assert told(capsys, "shop", state, "--stream", "visit", code=1) == [
        "error: The source 'shop' has no stream 'visit'. Did you mean 'visits'?"
    ]
    assert told(capsys, "shp", state, code=1) == [
        "error: There is no source 'shp'. Did you mean 'shop'?"
    ]


def test_no_row_is_skipped_or_doubled_by_a_bookmark_that_does_not_fit(
    theirs: Path, capsys: Capture
) -> None:
    ahead = given(theirs, customers={"seq": 3}, visits={"seq": 1})
    lines = told(capsys, "shop", ahead, "--adopt", code=1)
    assert lines[0] == (
        'skipped   shop/customers: its bookmark {"seq": 3} is beyond the greatest key of the table '
        'theirs.customers, {"seq": 2}: rows in between would never be read. --from-table begins at '
        "the table's."
    )
    assert lines[1] == (
        'skipped   shop/visits: the table theirs.visits has rows beyond its bookmark {"seq": 1}, '
        "which would be appended once more. --from-table begins at the table's greatest key."
    )
    lines = told(capsys, "shop", given(theirs, customers={"seq": 1}), "--adopt")
    assert lines[0].startswith('note      shop/customers: the table has rows up to {"seq": 2}')
    assert "goes on from" in lines[1]
    forced = given(theirs, customers={"seq": 3}, visits={"seq": 3})
    lines = told(capsys, "shop", forced, "--adopt", "--force", "--replace", code=1)
    assert 'is {"seq": 3}' in lines[0]
    assert lines[1].startswith(
        "skipped   shop/visits: the table theirs.visits has rows that cannot be told"
    )


def test_a_table_that_is_not_there_or_another_stream_s(theirs: Path, capsys: Capture) -> None:
    ask(theirs, "DROP TABLE theirs.visits")
    load(theirs, CUSTOMERS, source="other", table=TableName("customers", "theirs"), adopt=True)
    lines = told(
        capsys, "shop", given(theirs, customers={"seq": 2}, visits={"seq": 2}), "--adopt", code=1
    )
    assert lines == [
        "skipped   shop/customers: the table theirs.customers is that of other/customers.",
        (
            "skipped   shop/visits: its table theirs.visits is not there, so the rows before the bookmark "
            "would be missing. If they are in another table, name it: "
            'options={"visits": {"table": "schema.name"}}.'
        ),
        "left      shop/orders: the state says nothing of it.",
    ]


def test_without_a_state_each_table_tells(theirs: Path, capsys: Capture) -> None:
    ask(theirs, "INSERT INTO theirs.customers VALUES (9, 'No', NULL, 0)")
    lines = told(capsys, "shop", "--from-table", "--adopt", code=1)
    assert lines == [
        'imported  shop/customers: the table theirs.customers is taken over, and goes on from {"seq": 2}.',
        "  Takes NULL from now on: _sling_loaded_at.",
        "  1 rows have no replication key. No bookmark covers them: those that come again are merged.",
        'imported  shop/visits: the table theirs.visits is taken over, and goes on from {"seq": 2}.',
        "  1 rows stand there, and are known when they come again.",
        "  Takes NULL from now on: _fivetran_synced.",
        "skipped   shop/orders: it has no replication key, and is read whole.",
        (
            "The bookmarks are the greatest keys of the tables. A row that gets to the source later with "
            "a smaller key is not read."
        ),
    ]
    run_sql(theirs, "INSERT INTO visits VALUES (2, 'c'), (3, 'd')")
    result = load(theirs, VISITS, table=TableName("visits", "theirs"))
    assert (result.records_read, result.records_loaded) == (3, 2)
    assert ask(theirs, "SELECT page, count(*) FROM theirs.visits GROUP BY 1 ORDER BY 1") == [
        (page, 1) for page in "abcd"
    ]


def test_an_empty_table_has_nothing_to_go_on_from(theirs: Path, capsys: Capture) -> None:
    ask(theirs, "DELETE FROM theirs.customers; UPDATE theirs.visits SET seq = NULL")
    lines = told(capsys, "shop", "--from-table", "--adopt", code=1)
    assert "the table theirs.customers is empty: there is nothing to go on from." in lines[0]
    assert "no row of the table theirs.visits has a replication key." in lines[1]
    lines = told(capsys, "shop", given(theirs, customers={"seq": 2}), "--adopt", code=1)
    assert (
        "no row of the table theirs.customers has a replication key, so the rows up to its bookmark "
        '{"seq": 2} would be missing.' in lines[0]
    )


def test_what_was_meant_has_to_be_said(theirs: Path, capsys: Capture) -> None:
    (error,) = told(capsys, "shop", "--from-table", "--from", "dlt", code=1)
    assert error.endswith("Leave one of them out.")
    (error,) = told(capsys, "shop", "--from", "airbyte", code=1)
    assert "Name its file, or --from dlt or --from pyairbyte" in error
    (error,) = told(capsys, "shop", "--from", "dlt", code=1)
    assert error.startswith("error: There is no table theirs._dlt_pipeline_state")
    (error,) = told(capsys, "shop", "theirs", "--from", "pyairbyte", code=1)
    assert error.startswith("error: There is no table theirs._airbyte_state")
    for wrong in ([], ["a", "b", "c", "d"]):
        with pytest.raises(SystemExit):
            main(["state", "import", *wrong])


def test_tables_in_several_schemas(theirs: Path, capsys: Capture) -> None:
    elsewhere = DEFINITIONS.replace(
        "destination=warehouse",
        'destination=warehouse, options={"visits": {"table": "other.visits"}}',
    )
    (theirs / "definitions.py").write_text(HEAD + elsewhere)
    (error,) = told(capsys, "shop", "--from", "dlt", code=1)
    assert error.startswith("error: The tables are in several schemas: other, theirs.")
    ask(
        theirs,
        "CREATE TABLE theirs._dlt_loads (load_id VARCHAR, status BIGINT);"
        "CREATE TABLE theirs._dlt_pipeline_state (pipeline_name VARCHAR, state VARCHAR, _dlt_load_id VARCHAR)",
    )
    (error,) = told(capsys, "shop", "theirs", "--from", "dlt", code=1)
    assert "_dlt_pipeline_state of the destination has the states of 0 pipelines" in error


def test_a_stream_that_is_loaded_by_partition_is_backfilled(theirs: Path, capsys: Capture) -> None:
    daily = DEFINITIONS.replace(
        "destination=warehouse",
        'destination=warehouse, options={"visits": {"partitions_def": '
        'dg.StaticPartitionsDefinition(["a"]), "partition_by": "page"}}',
    )
    (theirs / "definitions.py").write_text(HEAD + daily)
    lines = told(capsys, "shop", given(theirs, visits={"seq": 2}), "--adopt", code=1)
    assert (
        "skipped   shop/visits: it is loaded by partition; launch a backfill of the missing ones."
        in lines
    )


TAP = """
from etl_assets.sources.messages import write_records, write_schema, write_state

class Tap(Source):
    streams = [Stream("users", primary_key="id", replication_key="id"), Stream("teams", primary_key="id")]

    def sync(self, catalog, properties=None):
        last = self.state.get("bookmarks", {}).get("users", {}).get("id", 0)
        for name in ("users", "teams"):
            write_schema(name, {"type": "object", "properties": {"id": {"type": "integer"}}}, ["id"])
        write_records("users", [{"id": last + 1}])
        write_state({"bookmarks": {"users": {"id": last + 1}}})

warehouse = DuckDBDestination("warehouse.duckdb", schema_name="theirs")
defs = dg.Definitions(assets=stream_assets(Tap(name="tap"), destination=warehouse))
"""


def test_a_tap_gets_its_whole_state_back(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, TAP)
    ask(
        tmp_path,
        "CREATE SCHEMA theirs; CREATE TABLE theirs.users (id BIGINT, _sdc_batched_at TIMESTAMP NOT NULL);"
        "INSERT INTO theirs.users SELECT i, now() FROM range(1, 8) t(i)",
    )
    state = given(tmp_path, users={"id": 7})
    lines = told(capsys, "tap", state, "--adopt", "--dry-run", code=1)
    assert lines[0] == "would import tap/users: the table theirs.users is taken over."
    assert lines[1].startswith("skipped   tap/teams: its table theirs.teams is not there")
    lines = told(capsys, "tap", state, "--adopt", code=1)
    assert lines[2:] == [
        "  Takes NULL from now on: _sdc_batched_at.",
        'imported  tap/: its streams go on from {"bookmarks": {"users": {"id": 7}}}.',
    ]
    (error,) = told(capsys, "tap", state, "--stream", "users", code=1)
    assert error.endswith("share one state, so it is imported whole. Leave --stream out.")
    of_airbyte = '[{"streamDescriptor": {"name": "users"}, "streamState": {"id": 1}}]'
    (tmp_path / "airbyte.json").write_text(of_airbyte)
    lines = told(capsys, "tap", "airbyte.json", code=1)
    assert lines[-1].endswith("Import the state of the tool that ran this connector.")
    run_project(tmp_path)
    assert ask(tmp_path, "SELECT count(*), max(id), count(_sdc_batched_at) FROM theirs.users") == [
        (8, 8, 7)
    ]
    kept = warehouse(tmp_path).states()
    assert [one.bookmark for one in kept if one.shared] == [{"bookmarks": {"users": {"id": 8}}}]
    lines = told(capsys, "tap", given(tmp_path, users={"id": 3}), code=1)
    assert "With --replace this one takes its place." in lines[0]


def run_project(folder: Path) -> None:
    """Materialize what a project defines."""
    import dagster as dg

    from etl_assets.assets.definitions_file import loaded

    with loaded(folder / "definitions.py") as found:
        (target,) = found.targets
        result = dg.materialize(list(target.assets), instance=dg.DagsterInstance.ephemeral())
    assert result.success

"""`etl-assets state`: every verb, with a sync before and after."""

import json
from pathlib import Path

import duckdb
import pytest

from etl_assets.cli import main
from etl_assets.model.bookmarks.appending import BOUNDARY
from etl_assets.model.stream import Stream
from tests.cli_shop import CUSTOMERS, NAMED, ORDERS, VISITS, load, project, run_sql, warehouse

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project(tmp_path, NAMED)


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        return connection.sql(sql).fetchall()


def test_list_is_a_table(tmp_path: Path, capsys: Capture) -> None:
    assert main(["state", "list"]) == 0
    assert (
        capsys.readouterr().out
        == "Nothing was synced into DuckDBDestination('warehouse.duckdb') yet.\n"
    )
    assert not (tmp_path / "warehouse.duckdb").exists()
    first, second = load(tmp_path, CUSTOMERS), load(tmp_path, VISITS)
    assert main(["state", "list", "definitions.py"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "SOURCE",
        "STREAM",
        "PARTITION",
        "BOOKMARK",
        "ROWS",
        "LOAD",
        "ID",
        "COMMITTED",
        "AT",
    ]
    for line, stream, result in zip(lines, ("customers", "visits"), (first, second), strict=True):
        words = line.split()
        assert words[:3] == ["shop", stream, "-"]
        assert '{"seq": 2}' in line
        assert words[5:7] == ["2", result.load_id]


def test_get_prints_the_bookmark_alone_and_set_takes_it(tmp_path: Path, capsys: Capture) -> None:
    load(tmp_path, VISITS)
    assert main(["state", "get", "shop/visits"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["seq"] == 2
    assert BOUNDARY in json.loads(out)
    (tmp_path / "bookmark.json").write_text(out, encoding="utf-8")
    assert main(["state", "set", "shop/visits", '{"seq": 1}']) == 0
    assert 'shop/visits: the bookmark was {"seq": 2}, is {"seq": 1}.' in capsys.readouterr().out
    assert main(["state", "set", "definitions.py", "shop/visits", "@bookmark.json"]) == 0
    assert load(tmp_path, VISITS).records_loaded == 0


def test_the_next_sync_begins_at_the_bookmark_that_was_set(tmp_path: Path) -> None:
    load(tmp_path, CUSTOMERS)
    run_sql(tmp_path, "UPDATE customers SET name = 'Ida' WHERE id = 1;")
    assert load(tmp_path, CUSTOMERS).records_read == 1
    assert main(["state", "set", "shop/customers", '{"seq": 0}']) == 0
    result = load(tmp_path, CUSTOMERS)
    assert (result.records_read, result.bookmark_previous) == (2, {"seq": 0})
    assert rows(tmp_path, "SELECT name FROM shop.customers ORDER BY id") == [("Ida",), ("Bo",)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "The bookmark is not JSON"),
        ("5", "A bookmark is an object"),
        ('{"sec": 5}', "its bookmark has no 'sec'. Did you mean 'seq'? With --force"),
        ("{}", "its bookmark also has seq."),
        ("@no.json", "'no.json' cannot be read: No such file or directory."),
    ],
)
def test_set_refuses_what_is_no_bookmark_of_the_stream(
    value: str, message: str, tmp_path: Path, capsys: Capture
) -> None:
    load(tmp_path, CUSTOMERS)
    assert main(["state", "set", "shop/customers", value]) == 1
    assert message in capsys.readouterr().err
    assert warehouse(tmp_path).states()[0].bookmark == {"seq": 2}


def test_set_takes_anything_by_force_and_null(tmp_path: Path) -> None:
    load(tmp_path, CUSTOMERS)
    assert main(["state", "set", "shop/customers", '{"page": 1.10}', "--force"]) == 0
    assert str(warehouse(tmp_path).states()[0].bookmark) == "{'page': Decimal('1.10')}"
    assert main(["state", "set", "shop/customers", "null"]) == 0
    assert warehouse(tmp_path).states()[0].bookmark is None
    assert load(tmp_path, CUSTOMERS).records_read == 2


def test_set_says_that_a_stream_without_a_replication_key_is_read_whole(
    tmp_path: Path, capsys: Capture
) -> None:
    load(tmp_path, Stream("customers"))
    assert (
        main(["state", "set", "--duckdb", "warehouse.duckdb", "shop/customers", '{"seq": 1}']) == 0
    )
    assert (
        "left no bookmark: if the stream has no replication key, it is read whole"
        in capsys.readouterr().out
    )
    assert load(tmp_path, Stream("customers")).records_read == 2
    load(tmp_path, VISITS)
    assert main(["state", "set", "shop/visits", '{"seq": 1}']) == 0
    assert "read whole" not in capsys.readouterr().out


def test_reset_makes_the_next_sync_replace_the_table(tmp_path: Path, capsys: Capture) -> None:
    load(tmp_path, CUSTOMERS)
    run_sql(tmp_path, "DELETE FROM customers WHERE id = 1;")
    assert main(["state", "reset", "shop/customers"]) == 0
    assert (
        "The next sync reads everything and replaces the table shop.customers."
        in capsys.readouterr().out
    )
    assert warehouse(tmp_path).states() == []
    load(tmp_path, CUSTOMERS)
    assert rows(tmp_path, "SELECT id FROM shop.customers") == [(2,)]


def test_rewind_deletes_the_rows_of_later_loads(tmp_path: Path, capsys: Capture) -> None:
    first = load(tmp_path, VISITS)
    run_sql(tmp_path, "INSERT INTO visits VALUES (3, 'c'), (4, 'd');")
    load(tmp_path, VISITS)
    assert main(["state", "rewind", "shop/visits", first.load_id]) == 0
    assert "2 rows were deleted, 2 are left." in capsys.readouterr().out
    assert rows(tmp_path, "SELECT page FROM shop.visits ORDER BY seq") == [("a",), ("b",)]
    assert load(tmp_path, VISITS).records_loaded == 2
    assert rows(tmp_path, "SELECT page FROM shop.visits ORDER BY seq") == [
        ("a",),
        ("b",),
        ("c",),
        ("d",),
    ]


def test_rewind_refuses_a_load_it_does_not_know_and_a_merge(
    tmp_path: Path, capsys: Capture
) -> None:
    first = load(tmp_path, CUSTOMERS)
    assert main(["state", "rewind", "shop/customers", "nope"]) == 1
    assert "error: stream 'customers' has no load 'nope'." in capsys.readouterr().err
    run_sql(tmp_path, "UPDATE customers SET name = 'Bob', seq = 3 WHERE id = 2")
    load(tmp_path, CUSTOMERS)
    assert main(["state", "rewind", "shop/customers", first.load_id]) == 1
    assert "cannot be undone" in capsys.readouterr().err


def test_rename_gives_the_states_to_another_source(tmp_path: Path, capsys: Capture) -> None:
    load(tmp_path, CUSTOMERS)
    load(tmp_path, ORDERS)
    assert main(["state", "rename", "shop", "store"]) == 0
    out = capsys.readouterr().out
    assert "2 stored states of 'shop' are now of 'store'." in out
    assert (
        'its rows stay in shop.customers; keep them there with options={"customers": {"table": "shop.customers"}}'
        in out
    )
    assert main(["state", "get", "store/customers"]) == 0
    assert main(["state", "rename", "shop", "store"]) == 1
    assert "No state of a source 'shop' is stored." in capsys.readouterr().err


def test_a_renamed_source_goes_on_in_its_tables(tmp_path: Path) -> None:
    table = warehouse(tmp_path).table_for("shop", CUSTOMERS)
    load(tmp_path, CUSTOMERS)
    assert main(["state", "rename", "definitions.py", "shop", "store"]) == 0
    result = load(tmp_path, CUSTOMERS, source="store", table=table)
    assert (result.bookmark_previous, result.rows_in_table) == ({"seq": 2}, 2)


def test_rename_refuses_a_name_that_has_states_or_is_no_word(
    tmp_path: Path, capsys: Capture
) -> None:
    load(tmp_path, CUSTOMERS)
    load(tmp_path, CUSTOMERS, source="store")
    assert main(["state", "rename", "shop", "store"]) == 1
    assert "has stored states already" in capsys.readouterr().err
    assert main(["state", "rename", "shop", "my-store"]) == 1
    assert "is not a word" in capsys.readouterr().err


def test_import_takes_over_a_state(tmp_path: Path, capsys: Capture) -> None:
    load(tmp_path, CUSTOMERS)
    load(tmp_path, VISITS)
    singer = {"replication_key": "seq", "replication_key_value": 1, "version": 7}
    state = {"bookmarks": {"customers": {"seq": 1}, "visits": singer}}
    (tmp_path / "state.json").write_text(
        json.dumps({"type": "STATE", "value": state}), encoding="utf-8"
    )
    assert main(["state", "import", "shop", "state.json"]) == 1
    assert (
        'skipped   shop/visits: it has the bookmark {"seq": 2} already. With --replace'
        in capsys.readouterr().out
    )
    assert main(["state", "import", "shop", "state.json", "--replace"]) == 0
    assert (
        'imported  shop/visits: the bookmark was {"seq": 2}, is {"seq": 1}.'
        in capsys.readouterr().out
    )
    assert [one.bookmark for one in warehouse(tmp_path).states()] == [{"seq": 1}, {"seq": 1}]
    assert load(tmp_path, CUSTOMERS).records_read == 2


def test_import_says_what_it_skipped_and_why(tmp_path: Path, capsys: Capture) -> None:
    load(tmp_path, CUSTOMERS)
    bookmarks = {"customers": {"id": 1}, "orders": {"seq": 1}, "visits": {}}
    (tmp_path / "state.json").write_text(json.dumps({"bookmarks": bookmarks}), encoding="utf-8")
    assert main(["state", "import", "shop", "state.json"]) == 1
    skipped = capsys.readouterr().out.splitlines()
    assert skipped[0].startswith("skipped   shop/orders: there is no such stream.")
    assert skipped[1].startswith("skipped   shop/customers: its bookmark has no 'id'.")
    assert skipped[2] == "skipped   shop/visits: it has no bookmark."
    (tmp_path / "state.json").write_text("[]", encoding="utf-8")
    assert main(["state", "import", "shop", "state.json"]) == 1
    assert "'state.json' is no state." in capsys.readouterr().err


def test_unknown_streams_are_answered_with_the_nearest(tmp_path: Path, capsys: Capture) -> None:
    load(tmp_path, CUSTOMERS)
    assert main(["state", "get", "shop/custmers"]) == 1
    out = capsys.readouterr()
    assert out.out == ""
    assert (
        out.err == "error: No state of 'shop/custmers' is stored. Did you mean 'shop/customers'?\n"
    )


def test_streams_of_one_name_need_their_namespace(tmp_path: Path, capsys: Capture) -> None:
    for namespace in ("main", None):
        load(
            tmp_path,
            Stream("orders", namespace=namespace, primary_key=["id"], replication_key="seq"),
        )
    assert main(["state", "get", "shop/main.orders"]) == 0
    assert main(["state", "get", "shop/orders"]) == 0
    load(tmp_path, CUSTOMERS, partition="a")
    load(
        tmp_path, CUSTOMERS, partition="b", table=warehouse(tmp_path).table_for("other", CUSTOMERS)
    )
    assert main(["state", "get", "shop/customers"]) == 1
    assert (
        "Name the one: shop/customers --partition a, shop/customers --partition b."
        in capsys.readouterr().err
    )
    assert main(["state", "get", "shop/customers", "--partition", "b"]) == 0


def test_a_duckdb_file_needs_no_definitions(tmp_path: Path, capsys: Capture) -> None:
    load(tmp_path, CUSTOMERS)
    (tmp_path / "definitions.py").unlink()
    assert main(["state", "get", "--duckdb", "warehouse.duckdb", "shop/customers"]) == 0
    assert capsys.readouterr().out == '{"seq": 2}\n'
    assert main(["state", "list", "--duckdb", "no.duckdb"]) == 1
    assert "There is no DuckDB file 'no.duckdb'." in capsys.readouterr().err
    assert not (tmp_path / "no.duckdb").exists()
    assert main(["state", "list"]) == 1
    assert "There is no definitions file" in capsys.readouterr().err


def test_of_several_destinations_one_is_chosen(tmp_path: Path, capsys: Capture) -> None:
    load(tmp_path, CUSTOMERS)
    project(
        tmp_path,
        """
shop = SqlSource(name="shop", url="sqlite:///shop.db")
defs = dg.Definitions(assets=[
    *stream_assets(shop, ["orders"], destination=DuckDBDestination("other.duckdb")),
    *stream_assets(shop, ["customers"], destination=DuckDBDestination("warehouse.duckdb")),
    *stream_assets(shop, ["visits"], destination=DuckDBDestination("warehouse.duckdb")),
])
""",
    )
    assert main(["state", "list"]) == 1
    hint = "1: DuckDBDestination('other.duckdb') (shop); 2: DuckDBDestination('warehouse.duckdb') (shop)."
    assert f"Choose with --destination N: {hint}" in capsys.readouterr().err
    assert main(["state", "list", "--destination", "3"]) == 1
    assert main(["state", "get", "shop/customers", "--destination", "2"]) == 0
    assert capsys.readouterr().out == '{"seq": 2}\n'


def test_of_several_destinations_the_one_is_meant_that_the_stream_is_loaded_into(
    tmp_path: Path, capsys: Capture
) -> None:
    load(tmp_path, CUSTOMERS)
    project(
        tmp_path,
        """
shop = SqlSource(name="shop", url="sqlite:///shop.db")
defs = dg.Definitions(assets=[
    *stream_assets(shop, ["orders"], destination=DuckDBDestination("other.duckdb")),
    *stream_assets(shop, ["customers"], destination=DuckDBDestination("warehouse.duckdb")),
])
""",
    )
    assert main(["state", "get", "shop/customers"]) == 0
    assert capsys.readouterr().out == '{"seq": 2}\n'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('destination=DuckDBDestination("warehouse.duckdb")', 'io_manager_key="w"'),
        ('io_manager_key="v"', 'io_manager_key="w"'),
        (
            'destination=DuckDBDestination("warehouse.duckdb", lock_timeout=3)',
            'destination=DuckDBDestination("./warehouse.duckdb")',
        ),
    ],
)
def test_two_that_keep_their_state_in_one_place_are_one(
    one: str, other: str, tmp_path: Path, capsys: Capture
) -> None:
    load(tmp_path, CUSTOMERS)
    project(
        tmp_path,
        f"""
from etl_assets import DuckDBIOManager
shop = SqlSource(name="shop", url="sqlite:///shop.db")
warehouse = {{"path": "warehouse.duckdb"}}
defs = dg.Definitions(
    assets=[
        *stream_assets(shop, ["orders"], {one}), *stream_assets(shop, ["customers"], {other}),
    ],
    resources={{"v": DuckDBIOManager(**warehouse), "w": DuckDBIOManager(**warehouse)}},
)
""",
    )
    assert main(["state", "list"]) == 0
    assert "customers" in capsys.readouterr().out
    assert main(["state", "get", "shop/customers"]) == 0
    assert capsys.readouterr().out == '{"seq": 2}\n'

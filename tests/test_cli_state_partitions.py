"""`etl-assets state` where a stream has a state for each of many partitions."""

import json
from pathlib import Path

import pytest

from etl_assets.cli import main
from tests.cli_shop import CUSTOMERS, NAMED, VISITS, load, project, warehouse

Capture = pytest.CaptureFixture[str]
DAYS = [f"2026-01-{day:02d}" for day in range(1, 9)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project whose visits were loaded by day, and whose customers were not."""
    monkeypatch.chdir(tmp_path)
    project(tmp_path, NAMED)
    load(tmp_path, CUSTOMERS)
    for day in DAYS:
        load(tmp_path, VISITS, partition=day)
    return tmp_path


def test_all_partitions_are_one_line(folder: Path, capsys: Capture) -> None:
    assert main(["state", "list"]) == 0
    _, customers, visits = capsys.readouterr().out.splitlines()
    assert customers.split()[:3] == ["shop", "customers", "-"]
    assert visits.split()[:5] == ["shop", "visits", "8", "partitions", "-"]
    (rows,) = {
        state.rows_in_table for state in warehouse(folder).states() if state.partition == DAYS[-1]
    }
    assert visits.split()[5] == str(rows)


def test_each_has_a_line_where_that_is_asked_for(folder: Path, capsys: Capture) -> None:
    assert main(["state", "list", "--partitions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[2:]] == DAYS
    assert folder.exists()


def test_one_is_named_and_few_of_many_are_listed(folder: Path, capsys: Capture) -> None:
    assert main(["state", "get", "shop/visits"]) == 1
    told = capsys.readouterr().err
    assert "'shop/visits' has 8 stored states" in told
    named = [f"shop/visits --partition {day}" for day in (*DAYS[:4], DAYS[-1])]
    assert f"Name the one: {', '.join([*named[:4], '3 more', named[4]])}." in told
    assert main(["state", "get", "shop/visits", "--partition", DAYS[0]]) == 0
    assert json.loads(capsys.readouterr().out)["seq"] == 2
    assert folder.exists()


def test_a_renamed_source_says_once_where_the_rows_of_all_partitions_stay(
    folder: Path, capsys: Capture
) -> None:
    assert main(["state", "rename", "shop", "store"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("9 stored states of 'shop' are now of 'store'.")
    assert sorted(line.split()[0] for line in lines[1:]) == ["customers:", "visits:"]
    assert folder.exists()


def test_a_bookmark_of_a_partition_is_set_by_force_only(folder: Path, capsys: Capture) -> None:
    words = ["state", "set", "shop/visits", '{"seq": 1}', "--partition", DAYS[0]]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "a partition is loaded whole, wherever its bookmark is." in told
    assert "With --force it is stored all the same." in told
    assert main([*words, "--force"]) == 0
    states = {one.partition: one.bookmark for one in warehouse(folder).states()}
    assert states[DAYS[0]] == {"seq": 1}


def test_one_that_is_reset_leaves_its_rows_and_the_others(folder: Path, capsys: Capture) -> None:
    assert main(["state", "reset", "shop/visits", "--partition", DAYS[2]]) == 0
    told = capsys.readouterr().out
    assert "Its rows stay in " in told
    assert "until a run loads the partition anew." in told
    left = [one.partition for one in warehouse(folder).states() if one.stream == "visits"]
    assert left == [day for day in DAYS if day != DAYS[2]]


def test_the_state_of_a_stream_stands_before_those_of_its_partitions(
    folder: Path, capsys: Capture
) -> None:
    load(folder, CUSTOMERS, partition="a")
    assert main(["state", "get", "shop/customers"]) == 0
    assert json.loads(capsys.readouterr().out)["seq"] == 2
    file = folder / "state.json"
    file.write_text(json.dumps({"bookmarks": {"customers": {"seq": 1}, "visits": {"seq": 1}}}))
    assert main(["state", "import", "shop", str(file), "--replace"]) == 1
    told = capsys.readouterr().out
    assert "imported  shop/customers: the bookmark was" in told
    assert "skipped   shop/visits: it is loaded by partition" in told
